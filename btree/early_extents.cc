// Extents that are written, whole and durable, before the record that names them goes to the log; a pass adopts them later.

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"
#include "base/sometimes.h"
#include "btree/extent_head.h"
#include "btree/page.h"
#include "btree/page_format.h"
#include "btree/page_store_impl.h"

namespace penstock::btree {
namespace {

constexpr std::uint64_t kWriteBytes = 512 * 1024;

}  // namespace

/// Space that a pass does not count on.
Task<Result<Address>> PageStore::Impl::place_early(std::uint64_t blocks) {
  const std::size_t zones = base::div_ceil<std::uint64_t>(blocks, kZoneBlocks);
  if (zones >= file_zones_max()) co_return std::unexpected(Status(Code::kTooLarge).with_shard(options_.shard));
  if (const std::optional<Address> address = map_.take_early(blocks)) co_return *address;
  co_await lock_growth();
  std::optional<Address> address = map_.take_early(blocks);  // Another one may have made room for many.
  Status grown;
  while (!address.has_value() && grown.is_ok()) {
    const std::size_t wanted = map_.early_zones_wanted(blocks);
    const std::size_t missing = wanted > map_.free_zones() ? wanted - map_.free_zones() : zones;
    grown = co_await grow_locked(std::max(missing, zones), zones);
    address = map_.take_early(blocks);
  }
  unlock_growth();
  if (!address.has_value()) co_return std::unexpected(grown);
  co_return *address;
}

Task<Status> PageStore::Impl::put_early(std::vector<EarlyValue> values, std::vector<ExtentPointer>* extents) {
  PENSTOCK_ASSERT(extents->empty());
  if (poisoned_) co_return failure();
  PENSTOCK_CO_TRY(co_await confirm_if_needed());
  std::vector<Status> results(values.size());
  Status status;
  extents->reserve(values.size());
  {
    reactor::TaskGroup writes(reactor_);
    std::vector<Address> places;
    for (const EarlyValue& value : values) {
      const Result<Address> place = co_await place_early(extent_blocks(value.value.size()));
      if (!place.has_value()) {
        status = place.error();
        break;
      }
      places.push_back(*place);
      extents->push_back({.address = *place, .value_bytes = value.value.size()});
    }
    for (std::size_t index = 0; status.is_ok() && index < places.size(); ++index) {
      writes.spawn(&Impl::write_early, this, &values[index], places[index], &(*extents)[index], &results[index]);
    }
    co_await writes.join();
  }
  for (const Status& result : results) {
    if (result.is_ok()) continue;
    status = result;
    map_.close_early();
  }
  std::vector<std::uint16_t> files;
  for (const ExtentPointer& extent : *extents) files.push_back(extent.address.file);
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  for (const std::uint16_t file : files) {
    if (status.is_ok()) status = co_await sync_early(file);
  }
  if (!status.is_ok()) {
    for (const ExtentPointer& extent : *extents) map_.release_early(extent.address, extent_blocks(extent.value_bytes));
    extents->clear();
  }
  co_return status;
}

/// A sync covers what was written before it began: values that come meanwhile share the next one.
Task<Status> PageStore::Impl::sync_early(std::uint16_t number) {
  EarlySync& sync = early_syncs_[number];
  const std::uint64_t ticket = ++sync.asked;
  while (sync.covered < ticket) {
    if (poisoned_) co_return failure();
    if (sync.is_running) {
      PENSTOCK_SOMETIMES("extents: values share a sync", true);
      co_await early_sync_ended_.wait();
      continue;
    }
    sync.is_running = true;
    const std::uint64_t covers = sync.asked;
    Status status;
    co_await sync_page_file(number, &status);
    sync.is_running = false;
    poisoned_ = poisoned_ || !status.is_ok();
    sync.covered = status.is_ok() ? covers : sync.covered;
    early_sync_ended_.notify_all();
    PENSTOCK_CO_TRY(status);
    if (poisoned_) co_return failure();  // By a pass's sync of the same file, which may have lost what ours should cover.
  }
  co_return Status::ok();
}

Task<> PageStore::Impl::write_early(const EarlyValue* value, Address address, ExtentPointer* pointer, Status* status) {
  const std::uint64_t birth = current_.superblock.generation;  // No pass that is under way has it.
  const std::vector<std::byte> head = build_head(value->family, value->key, value->value, address, birth);
  pointer->birth = birth;
  pointer->checksum = base::checksum(head);
  const std::uint64_t total = extent_blocks(value->value.size()) * kPageBlockBytes;
  reactor::AlignedBuffer buffer(std::min(total, kWriteBytes));
  if (!buffer) {
    *status = Status::from_errno(ENOMEM).with_shard(options_.shard);
    co_return;
  }
  const std::span<const std::byte> data = as_span(value->value);
  std::uint64_t done = 0;
  while (done < total && status->is_ok()) {
    const std::uint64_t bytes = std::min(total - done, kWriteBytes);
    const std::span<std::byte> out = buffer.span().first(bytes);
    std::uint64_t filled = 0;
    if (done < head.size()) {
      filled = std::min<std::uint64_t>(head.size() - done, bytes);
      std::memcpy(out.data(), head.data() + done, filled);
    }
    const std::uint64_t offset = done + filled - head.size();  // In the value.
    const std::uint64_t copied =
        std::min<std::uint64_t>(bytes - filled, data.size() - std::min<std::uint64_t>(offset, data.size()));
    if (copied > 0) std::memcpy(out.data() + filled, data.data() + offset, copied);
    std::ranges::fill(out.subspan(filled + copied), std::byte{0});
    const Status written = co_await reactor_.write(files_[address.file - 1U].file.fd(),
                                                   (std::uint64_t{address.block} * kPageBlockBytes) + done, out);
    const auto block = static_cast<std::uint32_t>(address.block + (done / kPageBlockBytes));
    if (!written.is_ok()) {
      *status = written.with_place(FileKind::kPages, block).with_file(address.file).with_shard(options_.shard);
    }
    other_written_bytes_ += bytes;
    done += bytes;
  }
  ++counters_.early_extents;
}

void PageStore::Impl::adopt_early(const ExtentPointer& pointer) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  PENSTOCK_ASSERT_LE(pointer.birth, pass_);
  map_.adopt_early(pointer.address, extent_blocks(pointer.value_bytes));
}

bool PageStore::Impl::claim_early(const ExtentPointer& pointer) {
  const std::uint64_t blocks = extent_blocks(pointer.value_bytes);
  const bool is_possible = pointer.value_bytes > 0 && pointer.value_bytes <= kValueBytesMax && !pointer.address.is_null() &&
                           pointer.address.block >= kZoneBlocks;
  if (!is_possible) return false;
  if (!map_.contains(pointer.address, blocks) && !find_file_zones(pointer.address, blocks).is_ok()) return false;
  if (!map_.contains(pointer.address, blocks)) return false;
  map_.claim_early(pointer.address, blocks);
  return true;
}

/// Files may have grown after the last superblock: what an early extent was written to had its length on disk by then.
Status PageStore::Impl::find_file_zones(Address address, std::uint64_t blocks) {
  reactor::System& system = reactor_.system();
  while (files_.size() < address.file) {
    const auto number = static_cast<std::uint16_t>(files_.size() + 1);
    const Result<reactor::Fd> fd = system.open_file(page_file_path(options_.directory, number), reactor::OpenOptions{});
    if (!fd.has_value()) return fd.error();
    files_.push_back({reactor::File(system, *fd)});
    map_.add_file({Zone{.state = ZoneState::kTables}});
  }
  const Result<std::uint64_t> bytes = system.file_bytes(files_[address.file - 1U].file.fd());
  if (!bytes.has_value()) return bytes.error();
  const auto zones = static_cast<std::uint32_t>(*bytes / kZoneBytes);
  const bool is_there = address.block + blocks <= std::uint64_t{zones} * kZoneBlocks;
  if (!is_there || zones <= map_.zone_count(address.file)) return Status(Code::kCorruption);
  PENSTOCK_SOMETIMES("extents: the log names one in growth that no superblock names", true);
  map_.grow_file(address.file, zones);
  return Status::ok();
}

}  // namespace penstock::btree
