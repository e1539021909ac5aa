// Flushing of a shard: freezing generations, the flusher's loop, and what follows a pass.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/sometimes.h"
#include "engine/commit_on_shard.h"
#include "engine/operation.h"
#include "engine/reactor_part.h"
#include "engine/shard_engine.h"

namespace penstock::detail {

namespace {

/// After a pass failed for want of space or by an I/O error, how long until the next try.
constexpr std::uint64_t kRetryNs = 100'000'000;

/// How long a flush that carries entries waits before it asks the log again.
constexpr std::uint64_t kLogWaitNs = 1'000'000;

/// Without a write for so long, a shard is at rest: it makes its reads shorter by emptying its runs. A pause after each slice.
constexpr std::uint64_t kRestNs = 1'000'000'000;
constexpr std::uint64_t kDrainPauseNs = 10'000'000;

/// Failures that another try may mend.
bool is_transient(Status status) noexcept { return status.is(Code::kNoSpace) || status.is(Code::kIoError); }

}  // namespace

bool ShardEngine::is_stuck() const noexcept { return !flush_failure_.is_ok() && !is_transient(flush_failure_); }

std::uint64_t ShardEngine::held_bytes() const noexcept {
  std::uint64_t bytes = active_->memtable.memory_bytes();
  for (const std::shared_ptr<Generation>& generation : frozen_) {
    bytes += generation->memtable.memory_bytes();
  }
  return bytes;
}

void ShardEngine::freeze() {
  if (active_->memtable.is_empty()) {
    return;
  }
  const wal::Position end = part_.log().seal();
  active_->applied = {.epoch = end.epoch, .offset = end.offset, .sequence = assigned_};
  part_.active_bytes_ -= active_bytes();
  frozen_.push_back(std::exchange(active_, make_generation()));
  work_.notify_all();
}

void ShardEngine::request_release() {
  freeze();
  publications_wanted_ = 2;
  work_.notify_all();
}

void ShardEngine::on_family_dropped(FamilyId family) {
  if (!flusher_->trees_of(family).is_empty()) {
    publications_wanted_ = std::max(publications_wanted_, 1U);
    work_.notify_all();
  }
}

Task<Status> ShardEngine::flush() {
  if (!part_.log().failure().is_ok()) {
    co_return Status(Code::kPoisoned).with_shard(id_);
  }
  freeze();
  const Sequence wanted = assigned_;
  flush_failure_ = Status::ok();  // The caller asks for a new try.
  work_.notify_all();
  while (superblock().applied.sequence < wanted) {
    if (!part_.log().failure().is_ok()) {
      co_return Status(Code::kPoisoned).with_shard(id_);
    }
    if (!flush_failure_.is_ok()) {
      co_return flush_failure_.with_shard(id_);
    }
    if (stopping_) {
      co_return Status(Code::kClosed);
    }
    co_await progress_.wait();
  }
  // What a damaged family had pending is durable, but in no tree.
  co_return flusher_->damaged().empty() ? Status::ok() : flusher_->damaged().begin()->second.with_shard(id_);
}

Task<> ShardEngine::run_flusher() {
  while (!stopping_) {
    const bool has_work = !frozen_.empty() || publications_wanted_ > 0 || drain_wanted_;
    const bool has_log_failed = !part_.log().failure().is_ok();
    if (!has_work || has_log_failed || is_stuck() || pass_runs_) {
      co_await work_.wait();
      continue;
    }
    pass_runs_ = true;
    const std::size_t damaged_before = flusher_->damaged().size();
    Status status = co_await flush_once();
    if (flusher_->damaged().size() > damaged_before) {
      status = Status::ok();  // The next try leaves that family out.
    }
    if (status.is(Code::kNoSpace)) {
      PENSTOCK_SOMETIMES("flush: the disk is full", true);
      co_await make_room();
    }
    pass_runs_ = false;
    flush_failure_ = status;
    disk_full_ = status.is(Code::kNoSpace);
    // A failed sync of a page file, or a superblock of unknown fate: the status says which, the store that it goes no further.
    PENSTOCK_SOMETIMES("flush: a page store of unknown contents poisons its log",
                       !store_->failure().is_ok() && part_.log().failure().is_ok());
    if (!store_->failure().is_ok() && part_.log().failure().is_ok()) {
      part_.log().poison(status);
    }
    progress_.notify_all();
    if (!status.is_ok()) {
      part_.drain_waiting();  // What waited for this flush gets its answer.
      if (is_transient(status) && !stopping_) {
        co_await reactor_.sleep(kRetryNs);
      }
    }
  }
  flusher_runs_ = false;
  progress_.notify_all();
}

Task<Status> ShardEngine::flush_once() {
  const engine::PassTurns::Turn turn = co_await part_.pass_turns().take();
  const std::shared_ptr<Generation> generation = frozen_.empty() ? nullptr : frozen_.front();
  const btree::AppliedPosition applied = generation != nullptr ? generation->applied : applied_now();
  if (generation != nullptr) {
    PENSTOCK_CO_TRY(co_await wait_published(applied.sequence));
  }
  const bool drains = std::exchange(drain_wanted_, false) && generation == nullptr;
  PENSTOCK_SOMETIMES("flush: a superblock without a memtable", generation == nullptr && !drains);
  PENSTOCK_SOMETIMES("flush: runs are emptied at rest", drains);
  const flush::PassInput input{.memtable = generation != nullptr ? &generation->memtable : nullptr,
                               .applied = applied,
                               .urgent = disk_full_,
                               .drain_runs = drains};
  if (generation != nullptr) {
    PENSTOCK_CO_TRY(co_await carry_damaged(*generation));
    part_.on_pass_begun(id_, generation->memtable.memory_bytes());
  }
  const Status status = co_await flusher_->run(input, log_of(applied));
  const bool is_published = status.is_ok();
  if (generation != nullptr && is_published) {
    PENSTOCK_ASSERT(frozen_.front() == generation);
    frozen_.pop_front();  // Shard-I4.
  }
  if (is_published) {
    room_was_made_ = false;
    on_published_pass();
  }
  if (generation != nullptr) {
    part_.on_pass_ended(id_, is_published ? generation->memtable.memory_bytes() : 0);
  }
  PENSTOCK_CO_TRY(status);
  watch_rest(drains);
  const Status returned = co_await store_->return_free_zones();
  if (store_->has_shorter_files() && frozen_.empty()) {
    publications_wanted_ = std::max(publications_wanted_, 1U);
  }
  co_return returned.is(Code::kPoisoned) ? returned : Status::ok();  // Space that could not be given back is tried again later.
}

/// Shard-I7.
Task<Status> ShardEngine::carry_damaged(const Generation& generation) {
  const std::uint64_t bytes_max = part_.log().record_payload_bytes_max();
  const std::uint64_t batch_bytes = std::min<std::uint64_t>(256_KiB, bytes_max);
  const std::vector<FamilyId> present = generation.memtable.families();
  std::uint64_t bytes = 0;
  for (const auto& [family, damage] : flusher_->damaged()) {
    if (!std::ranges::binary_search(present, family) || part_.is_dropped(family)) {
      continue;
    }
    const std::vector<FamilyId> families = {family};
    memtable::Memtable::Cursor cursor = generation.memtable.cursor(family);
    cursor.seek_first();
    while (cursor.valid()) {
      std::vector<char> payload;
      std::uint32_t operations = 0;
      for (; cursor.valid() && payload.size() < batch_bytes; cursor.next()) {
        if (is_in_newer(generation, family, cursor.key())) {
          continue;
        }
        const memtable::Memtable::Version version = cursor.newest();
        const auto put = version.is_reference ? engine::OperationKind::kPutExtent : engine::OperationKind::kPut;
        const auto kind = version.is_delete ? engine::OperationKind::kRemove : put;
        const std::size_t bytes_before = payload.size();
        engine::encode_operation({.kind = kind, .family = family, .key = cursor.key(), .value = version.value}, payload);
        if (payload.size() > bytes_max) {
          payload.resize(bytes_before);
          break;
        }
        ++operations;
      }
      if (operations == 0 && cursor.valid()) {  // Written when the log's segments were larger.
        co_return Status(Code::kTooLarge).with_shard(id_);
      }
      if (operations == 0) {
        continue;
      }
      PENSTOCK_CO_TRY(co_await wait_for_log(payload.size()));
      engine::CommitOnShard call;
      call.shard = this;
      call.payload = Bytes(payload.data(), payload.size());
      call.operation_count = operations;
      call.families = &families;
      call.payload_checksum = base::checksum(as_span(call.payload));
      PENSTOCK_SOMETIMES("flush: a damaged family's entries go to the log again", true);
      call.is_carried = true;
      const Status status = co_await call;
      PENSTOCK_CO_TRY(status);
      bytes += payload.size();
    }
  }
  carried_bytes_ = bytes;
  co_return Status::ok();
}

/// The log may be waiting for its next segment, which needs no flush. Ok: a record of that size is admitted, now.
Task<Status> ShardEngine::wait_for_log(std::uint64_t payload_bytes) {
  while (true) {
    const wal::Log::Admission admission = part_.log().admit(payload_bytes, 1);
    if (admission == wal::Log::Admission::kNow) {
      co_return Status::ok();
    }
    if (admission != wal::Log::Admission::kWait || stopping_) {
      const bool is_full = admission == wal::Log::Admission::kNoSpace;
      co_return Status(is_full ? Code::kNoSpace : stopping_ ? Code::kClosed : Code::kPoisoned).with_shard(id_);
    }
    co_await reactor_.sleep(kLogWaitNs);
  }
}

bool ShardEngine::is_in_newer(const Generation& generation, FamilyId family, Bytes key) const noexcept {
  const auto holds = [&](const Generation& other) { return other.memtable.find(family, key, assigned_).has_value(); };
  bool is_newer = false;
  for (const std::shared_ptr<Generation>& frozen : frozen_) {  // Oldest first.
    if (is_newer && holds(*frozen)) {
      return true;
    }
    is_newer = is_newer || frozen.get() == &generation;
  }
  return holds(*active_);
}

/// The log that must be durable up to `applied` first. None for a position in a log of an earlier epoch: that is durable
/// already.
wal::Log* ShardEngine::log_of(const btree::AppliedPosition& applied) const noexcept {
  return applied.epoch == part_.settings().epoch ? &part_.log() : nullptr;
}

/// On a full disk: cleans zones, carries deletes out of runs, and makes both superblocks reach the same pages, so that the next
/// try has what only the older one kept.
Task<> ShardEngine::make_room() {
  if (room_was_made_) {
    co_return;
  }
  const std::uint64_t free_before = store_->space().free_bytes;
  const btree::AppliedPosition applied = superblock().applied;
  const flush::PassInput confirm{.applied = applied, .urgent = true, .confirm_only = true};
  const flush::PassInput clean{.applied = applied, .urgent = true};
  const flush::PassInput drain{.applied = applied, .urgent = true, .drain_runs = true};
  for (const flush::PassInput& input : {confirm, clean, confirm, drain, confirm}) {
    if (input.drain_runs && !flusher_->has_runs()) {
      break;
    }
    if (const Status status = co_await flusher_->run(input, log_of(applied)); !status.is_ok()) {
      break;
    }
    on_published_pass();
  }
  room_was_made_ = store_->space().free_bytes <= free_before && !flusher_->has_runs();
}

/// What a superblock without a new generation has applied: everything, if nothing waits in memory, else what the last one had.
btree::AppliedPosition ShardEngine::applied_now() {
  if (!active_->memtable.is_empty() || !frozen_.empty()) {
    return superblock().applied;
  }
  const wal::Position end = part_.log().seal();
  return {.epoch = end.epoch, .offset = end.offset, .sequence = assigned_};
}

/// Only what is published may enter the tree: reads do not filter it there.
Task<Status> ShardEngine::wait_published(Sequence sequence) {
  const btree::AppliedPosition applied = frozen_.front()->applied;
  if (applied.epoch == part_.settings().epoch) {
    PENSTOCK_CO_TRY(co_await part_.log().make_durable({.epoch = applied.epoch, .offset = applied.offset}));
  }
  while (published_ < sequence) {
    PENSTOCK_CO_TRY(part_.log().failure());
    co_await progress_.wait();
  }
  co_return Status::ok();
}

void ShardEngine::on_published_pass() {
  share_cache();
  if (publications_wanted_ > 0) {
    --publications_wanted_;
  }
  const btree::AppliedPosition kept = store_->older_applied();
  part_.log().release(id_, {.epoch = kept.epoch, .offset = kept.offset});
  if (!caught_up_ && kept.epoch >= part_.settings().epoch) {
    PENSTOCK_SOMETIMES("flush: both superblocks are past the old logs", true);
    caught_up_ = true;
    part_.on_shard_caught_up();
  }
}

void ShardEngine::watch_rest(bool is_draining) {
  if (flusher_->has_runs() && !stopping_ && !rest_timer_.is_armed()) {
    rest_timer_.arm_at(reactor_.now_ns() + (is_draining ? kDrainPauseNs : kRestNs));
  }
}

void ShardEngine::on_rest() {
  const bool is_at_rest = std::exchange(rested_at_, assigned_) == assigned_ && frozen_.empty();
  if (is_at_rest) {
    drain_wanted_ = true;
    work_.notify_all();
  } else {
    watch_rest(false);
  }
}

Task<> ShardEngine::stop() {
  stopping_ = true;
  rest_timer_.disarm();
  work_.notify_all();
  progress_.notify_all();
  while (flusher_runs_ || pass_runs_) {
    co_await progress_.wait();
  }
}

Task<> ShardEngine::close_store() {
  if (store_ != nullptr) {
    co_await store_->close();
  }
}

}  // namespace penstock::detail
