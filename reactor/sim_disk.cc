// Data of files: reads, writes, sizes, syncs, space. Names: sim_disk_names.cc; cuts: sim_disk_power.cc.
#include "reactor/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"

namespace penstock::reactor {

namespace {

/// Of each write, for the trace's hash: what differs, differs in the first block.
constexpr std::size_t kHashedBytes = kBlockBytes;

}  // namespace

SimDisk::SimDisk(std::uint64_t seed, const SimDiskOptions& options)
    : faults_(seed), capacity_bytes_(options.capacity_bytes), root_(std::make_shared<SimDirectory>()) {
  root_->id = next_id_++;
}

SimDisk::~SimDisk() = default;

// --- events ---

bool SimDisk::begin_event(SimEvent event) {
  if (!is_powered_) return false;
  const std::uint64_t number = faults_.count(event);
  if (number != 0 && number >= cut_at_) {
    power_off();
    return false;
  }
  return true;
}

Status SimDisk::begin_call(SimEvent event, std::string_view path) {
  if (!begin_event(event)) return Status::from_errno(EIO);
  const SimFault fault = faults_.planned(event, path);
  faults_.mix(base::checksum(std::as_bytes(std::span(path)), static_cast<std::uint64_t>(event)));
  faults_.trace({.number = is_numbered(event) ? faults_.events() : 0, .event = event, .path = path, .result = fault.result});
  if (fault.result < 0) return Status::from_errno(-fault.result);
  return Status::ok();
}

SimFault SimDisk::fault_for(SimEvent event, const SimInode& inode, std::uint64_t bytes, const Caller& caller) {
  SimFault fault = faults_.planned(event, inode.path);
  if (fault.is_none() && caller.is_entry) {
    fault = faults_.drawn(event, inode.path, bytes, caller.granule, caller.is_blocking);
  }
  return fault;
}

void SimDisk::trace(SimEvent event, const SimInode& inode, std::uint64_t offset, std::int64_t result) {
  if (faults_.is_traced()) {
    const std::uint64_t number = is_numbered(event) ? faults_.events() : 0;
    faults_.trace({.number = number, .event = event, .path = inode.path, .offset = offset, .result = result});
  }
  faults_.mix((inode.id << 8U) | static_cast<std::uint64_t>(event));
  faults_.mix(offset);
  faults_.mix(static_cast<std::uint64_t>(result));
}

// --- space ---

bool SimDisk::allocate(SimInode& inode, std::uint64_t offset, std::uint64_t bytes) {
  if (bytes == 0) return true;
  const std::uint64_t begin = offset / kBlockBytes;
  const std::uint64_t end = base::div_ceil<std::uint64_t>(offset + bytes, kBlockBytes);
  const std::uint64_t wanted = (end - begin) - inode.allocated.count_in(begin, end);
  if (wanted == 0) return true;
  if (used_blocks_ + wanted > capacity_bytes_ / kBlockBytes) return false;
  inode.allocated.add(begin, end);
  if (inode.is_charged) used_blocks_ += wanted;
  return true;
}

void SimDisk::release_if_unused(SimInode& inode) noexcept {
  if (inode.links != 0 || inode.opens != 0 || !inode.is_charged) return;
  PENSTOCK_ASSERT_LE(inode.allocated.count(), used_blocks_);
  used_blocks_ -= inode.allocated.count();
  inode.is_charged = false;
}

SimChange& SimDisk::add_change(SimInode& inode, SimChange change) {
  change.sequence = ++sequence_;
  inode.changes.push_back(std::move(change));
  dirty_files_.try_emplace(inode.id, inode.shared_from_this());
  return inode.changes.back();
}

// --- reads and writes ---

std::int64_t SimDisk::read(SimInode& inode, std::uint64_t offset, std::span<std::byte> buffer, const Caller& caller) {
  if (!begin_event(SimEvent::kRead)) return -EIO;
  const SimFault fault = fault_for(SimEvent::kRead, inode, buffer.size(), caller);
  if (fault.result < 0) {
    trace(SimEvent::kRead, inode, offset, fault.result);
    return fault.result;
  }
  if (inode.unreadable.count() != 0 &&
      inode.unreadable.count_in(offset / kBlockBytes, base::div_ceil<std::uint64_t>(offset + buffer.size(), kBlockBytes)) !=
          0) {
    trace(SimEvent::kRead, inode, offset, -EIO);
    return -EIO;
  }
  std::uint64_t bytes = offset >= inode.bytes ? 0 : std::min<std::uint64_t>(buffer.size(), inode.bytes - offset);
  bytes -= std::min<std::uint64_t>(bytes, fault.short_bytes);
  inode.current.read(offset, buffer.first(bytes));
  const auto result = static_cast<std::int64_t>(bytes);
  trace(SimEvent::kRead, inode, offset, result);
  return result;
}

std::uint64_t SimDisk::begin_write(std::shared_ptr<SimInode> inode, std::uint64_t offset, std::span<const std::byte> data) {
  PENSTOCK_ASSERT(is_powered_);
  const std::uint64_t write = next_write_++;
  in_flight_.emplace(write, InFlight{std::move(inode), offset, data});
  return write;
}

SimDisk::Written SimDisk::apply_write(SimInode& inode, std::uint64_t offset, std::span<const std::byte> data) {
  if (data.empty()) return {};
  if (!allocate(inode, offset, data.size())) return {.result = -ENOSPC};
  if (inode.unreadable.count() != 0) {
    inode.unreadable.remove(offset / kBlockBytes, base::div_ceil<std::uint64_t>(offset + data.size(), kBlockBytes));
  }
  inode.current.write(offset, data);
  inode.bytes = std::max(inode.bytes, offset + data.size());
  SimChange change{.kind = SimChange::Kind::kWrite, .offset = offset, .bytes = data.size()};
  if (!is_zeros(data)) change.data.assign(data.begin(), data.end());
  const SimChange& added = add_change(inode, std::move(change));
  return {.result = static_cast<std::int64_t>(data.size()), .sequence = added.sequence};
}

/// A write that failed with EIO: some of its sectors may be there.
void SimDisk::apply_torn_write(SimInode& inode, std::uint64_t offset, std::span<const std::byte> data) {
  if (faults_.random().one_in(2)) return;
  const std::uint64_t bytes_before = inode.bytes;
  for (std::size_t done = 0; done < data.size();) {
    const std::size_t bytes = std::min<std::size_t>(data.size() - done, kSimSectorBytes - ((offset + done) % kSimSectorBytes));
    const bool fits = offset + done + bytes <= bytes_before;
    if (fits && faults_.random().one_in(2)) static_cast<void>(apply_write(inode, offset + done, data.subspan(done, bytes)));
    done += bytes;
  }
}

/// The write says that it went well, whatever became of it.
SimDisk::Written SimDisk::lie(SimLie lie, SimInode& inode, std::uint64_t offset, std::span<const std::byte> data) {
  const std::uint64_t blocks = inode.bytes / kBlockBytes;
  if (lie == SimLie::kMisdirected && blocks > 1 && data.size() <= inode.bytes) {
    const std::uint64_t last = (inode.bytes - data.size()) / kBlockBytes;
    const std::uint64_t block = faults_.random().below(last + 1);
    if (block != offset / kBlockBytes) static_cast<void>(apply_write(inode, block * kBlockBytes, data));
  }
  return {.result = static_cast<std::int64_t>(data.size())};
}

SimDisk::Written SimDisk::finish_write(std::uint64_t write, const Caller& caller) {
  // Before it is taken off the list: power may go off at this very event, and then the write was in flight.
  if (!begin_event(SimEvent::kWrite)) return {.result = -EIO};
  const auto place = in_flight_.find(write);
  PENSTOCK_ASSERT(place != in_flight_.end());
  const InFlight started = std::move(place->second);
  in_flight_.erase(place);
  SimInode& inode = *started.inode;
  const SimFault fault = fault_for(SimEvent::kWrite, inode, started.data.size(), caller);
  Written written;
  if (fault.result < 0) {
    if (fault.result == -EIO) apply_torn_write(inode, started.offset, started.data);
    written.result = fault.result;
  } else if (fault.lie != SimLie::kNone) {
    written = lie(fault.lie, inode, started.offset, started.data);
  } else {
    const std::size_t short_bytes = std::min<std::size_t>(started.data.size(), fault.short_bytes);
    written = apply_write(inode, started.offset, started.data.first(started.data.size() - short_bytes));
  }
  faults_.mix(base::checksum(started.data.first(std::min(started.data.size(), kHashedBytes))));
  trace(SimEvent::kWrite, inode, started.offset, written.result);
  return written;
}

Status SimDisk::resize(SimInode& inode, std::uint64_t bytes, bool reserve) {
  PENSTOCK_TRY(begin_call(SimEvent::kResize, inode.path));
  if (bytes > inode.bytes && reserve && !allocate(inode, inode.bytes, bytes - inode.bytes)) {
    return Status::from_errno(ENOSPC);
  }
  if (bytes < inode.bytes) {
    inode.current.truncate(bytes);
    const std::uint64_t first = base::div_ceil<std::uint64_t>(bytes, kBlockBytes);
    const std::uint64_t freed = inode.allocated.remove(first, ~0ULL);
    if (inode.is_charged) used_blocks_ -= freed;
  }
  if (bytes != inode.bytes) add_change(inode, {.kind = SimChange::Kind::kResize, .offset = bytes});
  inode.bytes = bytes;
  trace(SimEvent::kResize, inode, bytes, 0);
  return Status::ok();
}

Status SimDisk::fill(SimInode& inode, std::uint64_t offset, std::uint64_t bytes) {
  PENSTOCK_TRY(begin_call(SimEvent::kFill, inode.path));
  if (offset % kBlockBytes != 0 || bytes % kBlockBytes != 0 || offset + bytes > inode.bytes) return Status::from_errno(EINVAL);
  if (!allocate(inode, offset, bytes)) return Status::from_errno(ENOSPC);
  trace(SimEvent::kFill, inode, offset, 0);
  return Status::ok();
}

Status SimDisk::punch(SimInode& inode, std::uint64_t offset, std::uint64_t bytes) {
  PENSTOCK_TRY(begin_call(SimEvent::kPunch, inode.path));
  if (offset % kBlockBytes != 0 || bytes % kBlockBytes != 0) return Status::from_errno(EINVAL);
  inode.current.write_zeros(offset, bytes);
  const std::uint64_t freed = inode.allocated.remove(offset / kBlockBytes, (offset + bytes) / kBlockBytes);
  if (inode.is_charged) used_blocks_ -= freed;
  add_change(inode, {.kind = SimChange::Kind::kPunch, .offset = offset, .bytes = bytes});
  trace(SimEvent::kPunch, inode, offset, 0);
  return Status::ok();
}

// --- syncs ---

void SimDisk::make_durable(SimInode& inode, const SimChange& change) {
  if (change.kind == SimChange::Kind::kResize) {
    if (change.offset < inode.durable_bytes) inode.durable.truncate(change.offset);
    inode.durable_bytes = change.offset;
    return;
  }
  make_sector_durable(inode, change, change.offset, change.offset + change.bytes);
  if (change.kind == SimChange::Kind::kWrite) {
    inode.durable_bytes = std::max(inode.durable_bytes, change.offset + change.bytes);
  }
}

void SimDisk::make_sector_durable(SimInode& inode, const SimChange& change, std::uint64_t begin, std::uint64_t end) {
  if (change.data.empty()) {
    inode.durable.write_zeros(begin, end - begin);
  } else {
    inode.durable.write(begin, std::span(change.data).subspan(begin - change.offset, end - begin));
  }
}

std::int64_t SimDisk::sync(SimInode& inode, std::uint64_t until, std::span<const std::uint64_t> own, const Caller& caller) {
  if (!begin_event(SimEvent::kSync)) return -EIO;
  const SimFault fault = fault_for(SimEvent::kSync, inode, 0, caller);
  trace(SimEvent::kSync, inode, until, fault.result);
  const auto is_covered = [until, own](const SimChange& change) {
    return change.sequence <= until || std::find(own.begin(), own.end(), change.sequence) != own.end();
  };
  if (fault.result < 0) {
    if (fault.sync_loss == SimSyncLoss::kLost && std::erase_if(inode.changes, is_covered) != 0) inode.diverged = true;
    return fault.result;
  }
  const bool covers_all = !inode.diverged && std::all_of(inode.changes.begin(), inode.changes.end(), is_covered);
  for (const SimChange& change : inode.changes) {
    if (!is_covered(change)) continue;
    if (covers_all && change.kind != SimChange::Kind::kResize) {
      // Nothing stays apart: the blocks become those that readers see.
      inode.durable.share(inode.current, change.offset, change.bytes);
    } else {
      make_durable(inode, change);
    }
  }
  if (covers_all) {
    inode.durable_bytes = inode.bytes;
    inode.durable_allocated = inode.allocated;
    inode.changes.clear();
    dirty_files_.erase(inode.id);
  } else {
    std::erase_if(inode.changes, is_covered);
  }
  return 0;
}

std::uint64_t SimDisk::unsynced_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& [id, inode] : dirty_files_) {
    for (const SimChange& change : inode->changes) bytes += change.bytes;
  }
  for (const Interrupted& interrupted : interrupted_) bytes += interrupted.change.bytes;
  return bytes;
}

}  // namespace penstock::reactor
