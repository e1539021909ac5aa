#include "reactor/sim_io.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "reactor/io_counting.h"

namespace penstock::reactor {

namespace {

/// Completions that may be outstanding for each submission slot, as with CQSIZE.
constexpr std::uint32_t kInFlightPerEntry = 8;
constexpr int kJunk = 0xdb;

std::span<std::byte> bytes_of(const Entry& entry) noexcept { return {entry.buffer, entry.bytes}; }

}  // namespace

SimIo::SimIo(SimSystem& system, std::uint32_t entries) : system_(system), entries_(entries), random_(system.fork_random()) {
  PENSTOCK_ASSERT_GE(entries_, 2U);  // A chain of two must fit.
}

SimIo::~SimIo() { PENSTOCK_ASSERT_EQ(in_flight_, 0U); }

std::uint32_t SimIo::room() const noexcept {
  const std::uint32_t free_completions = (entries_ * kInFlightPerEntry) - in_flight_;
  return std::min(entries_ - prepared_count_, free_completions);
}

void SimIo::prepare(std::span<const Entry> chain) {
  PENSTOCK_ASSERT(!chain.empty());
  PENSTOCK_ASSERT_LE(chain.size(), room());
  for (std::size_t index = 0; index < chain.size(); ++index) {
    PENSTOCK_ASSERT_EQ(chain[index].link, index + 1 < chain.size());
    PENSTOCK_ASSERT(chain[index].completion != nullptr);
  }
  prepared_.emplace_back(chain.begin(), chain.end());
  prepared_count_ += static_cast<std::uint32_t>(chain.size());
  in_flight_ += static_cast<std::uint32_t>(chain.size());
}

void SimIo::enter(std::int64_t /*wait_ns*/) {
  if (prepared_.empty() && running_.empty()) return;
  ++counters_.enters;
  submit_prepared();
  const std::uint64_t now = system_.time_ns();
  while (system_.is_alive() && !running_.empty() && running_.begin()->first.first <= now) {
    const std::uint64_t time_ns = running_.begin()->first.first;
    std::unique_ptr<Chain> chain = std::move(running_.begin()->second);
    running_.erase(running_.begin());
    finish_entry(std::move(chain), time_ns);
  }
  if (!system_.is_alive()) fail_everything();
}

std::uint32_t SimIo::reap(std::span<Reaped> reaped) {
  std::uint32_t count = 0;
  while (count < reaped.size() && !collected_.empty()) {
    reaped[count++] = collected_.front();
    collected_.pop_front();
  }
  in_flight_ -= count;
  return count;
}

Status SimIo::hold_file(Fd file) {
  std::shared_ptr<SimOpenFile> found = system_.find_file(file);
  if (found == nullptr) return Status::from_errno(EBADF);
  held_.push_back(std::move(found));
  return Status::ok();
}

std::uint64_t SimIo::next_event_ns() const noexcept {
  const bool has_work_now = !prepared_.empty() || !collected_.empty() || (!system_.is_alive() && !running_.empty());
  if (has_work_now) return 0;
  return running_.empty() ? ~0ULL : running_.begin()->first.first;
}

// --- running ---

void SimIo::submit_prepared() {
  for (std::vector<Entry>& entries : prepared_) {
    for (const Entry& entry : entries) count_entry(counters_, entry);
    if (entries.size() > 1) ++counters_.chains;
    auto chain = std::make_unique<Chain>();
    chain->entries = std::move(entries);
    chain->covered_until = system_.disk().sequence();
    start_entry(*chain);
    const std::uint64_t end_ns = system_.time_ns() + draw_latency_ns(chain->entries.front().op);
    running_.emplace(std::pair(end_ns, next_event_++), std::move(chain));
  }
  prepared_.clear();
  prepared_count_ = 0;
}

/// From here on the entry's effects may be on the disk when power goes off.
void SimIo::start_entry(Chain& chain) {
  const Entry& entry = chain.entries[chain.next];
  chain.file = entry.op == Op::kNop ? nullptr : system_.find_file(entry.file);
  if (chain.file == nullptr) return;
  ++chain.file->in_flight;
  if (!system_.is_alive()) return;
  if (entry.op == Op::kRead) std::memset(entry.buffer, kJunk, entry.bytes);
  if (entry.op != Op::kWrite) return;
  if (chain.file->check(entry.offset, entry.bytes, entry.buffer, true) != 0) return;
  chain.checksum = base::checksum(bytes_of(entry));
  chain.write = system_.disk().begin_write(chain.file->inode, entry.offset, bytes_of(entry));
}

void SimIo::finish_entry(std::unique_ptr<Chain> chain, std::uint64_t time_ns) {
  const Entry entry = chain->entries[chain->next];
  const std::int32_t result = perform(*chain);
  if (chain->file != nullptr) --chain->file->in_flight;
  chain->file = nullptr;
  complete(entry, result);
  const bool is_whole = result == (moves_bytes(entry.op) ? static_cast<std::int32_t>(entry.bytes) : 0);
  ++chain->next;
  if (!is_whole) {
    for (; chain->next < chain->entries.size(); ++chain->next) complete(chain->entries[chain->next], -ECANCELED);
    return;
  }
  if (chain->next == chain->entries.size()) return;
  start_entry(*chain);
  const std::uint64_t end_ns = time_ns + draw_latency_ns(chain->entries[chain->next].op);
  running_.emplace(std::pair(end_ns, next_event_++), std::move(chain));
}

std::int32_t SimIo::perform(Chain& chain) {
  const Entry& entry = chain.entries[chain.next];
  if (entry.op == Op::kNop) return 0;
  if (chain.file == nullptr) return -EBADF;
  const SimDisk::Caller caller{
      .is_entry = true, .is_blocking = entry.blocking, .granule = chain.file->is_direct ? kBlockBytes : 1};
  SimInode& inode = *chain.file->inode;
  switch (entry.op) {
    case Op::kRead: {
      const std::int32_t refused = chain.file->check(entry.offset, entry.bytes, entry.buffer, false);
      if (refused != 0) return refused;
      return static_cast<std::int32_t>(system_.disk().read(inode, entry.offset, bytes_of(entry), caller));
    }
    case Op::kWrite: {
      const std::int32_t refused = chain.file->check(entry.offset, entry.bytes, entry.buffer, true);
      if (refused != 0) return refused;
      PENSTOCK_ASSERT_EQ(base::checksum(bytes_of(entry)), chain.checksum);  // SimIo-I3: the buffer changed in flight.
      const SimDisk::Written written = system_.disk().finish_write(chain.write, caller);
      if (written.sequence != 0) chain.own.push_back(written.sequence);
      if (entry.durable && written.sequence != 0) {
        // As a device with FUA does it: this write alone.
        const std::int64_t synced = system_.disk().sync(inode, 0, {&written.sequence, 1}, caller);
        if (synced < 0) return static_cast<std::int32_t>(synced);
      }
      return static_cast<std::int32_t>(written.result);
    }
    case Op::kSyncData:
    case Op::kSync:
      return static_cast<std::int32_t>(system_.disk().sync(inode, chain.covered_until, chain.own, caller));
    case Op::kNop:
      break;
  }
  return 0;
}

void SimIo::complete(const Entry& entry, std::int32_t result) {
  count_result(counters_, entry.op, moves_bytes(entry.op) ? entry.bytes : 0, result);
  collected_.push_back({entry.completion, result});
}

/// The machine has no disk any more: what runs ends with -EIO, what waits in a chain is cancelled.
void SimIo::fail_everything() {
  for (auto& [key, chain] : running_) {
    if (chain->file != nullptr) --chain->file->in_flight;
    complete(chain->entries[chain->next], -EIO);
    for (std::size_t index = chain->next + 1; index < chain->entries.size(); ++index) {
      complete(chain->entries[index], -ECANCELED);
    }
  }
  running_.clear();
}

/// Mostly tens of microseconds, rarely a hundred times that.
std::uint64_t SimIo::draw_latency_ns(Op op) {
  std::uint64_t base_ns = 0;
  switch (op) {
    case Op::kRead:
      base_ns = 40'000;
      break;
    case Op::kWrite:
      base_ns = 30'000;
      break;
    case Op::kSyncData:
    case Op::kSync:
      base_ns = 80'000;
      break;
    case Op::kNop:
      base_ns = 1'000;
      break;
  }
  const std::uint64_t latency_ns = (base_ns / 2) + random_.below(base_ns * 2);
  const std::uint32_t slow_one_in = system_.disk().faults().rates().slow_one_in;
  const bool is_slow = random_.one_in(128) || (slow_one_in != 0 && random_.one_in(slow_one_in));
  return is_slow ? latency_ns * 100 : latency_ns;
}

}  // namespace penstock::reactor
