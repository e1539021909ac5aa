#include <algorithm>
#include <array>
#include <cerrno>

#include "base/assert.h"
#include "base/checksum.h"
#include "wal/log_writer.h"

namespace penstock::wal {

namespace {

/// "It has not run" more often than this in a row is a broken device, not bad luck.
constexpr std::uint32_t kRetriesMax = 1000;

}  // namespace

// --- From the loop ---

void Log::Impl::before_enter() {
  deliver_notices();
  send_next();
}

void Log::Impl::on_pool_change() {
  if (pool_.state() == SegmentPool::State::kFailed) poison(pool_.failure());
  room_due_ = true;
}

void Log::Impl::deliver_notices() {
  raise_pressure();
  if (std::exchange(progress_due_, false)) listener_.on_log_progress();
  if (std::exchange(room_due_, false) && std::exchange(room_wanted_, false)) listener_.on_log_room();
}

void Log::Impl::on_marker_timer() {
  if (closing_ || is_failed()) return;
  const bool is_idle = chain_pending_ == 0 && chain_batch_ == nullptr && queue_.empty() && open_batch_ == nullptr;
  const bool has_paused = reactor_.now_ns() - last_activity_ns_ >= options_.marker_delay_ns;
  if (is_idle && has_paused) {
    marker_due_ = true;
  } else {
    arm_marker_timer();
  }
}

void Log::Impl::arm_marker_timer() {
  const bool has_something_to_say = !last_is_marker_ || is_statement_due();
  if (marker_timer_.is_armed() || closing_ || is_failed() || !has_something_to_say) return;
  const std::uint64_t now_ns = reactor_.now_ns();
  const std::uint64_t paused_ns = std::min(now_ns - last_activity_ns_, options_.marker_delay_ns);
  const std::uint64_t left_ns = options_.marker_delay_ns - paused_ns;
  marker_timer_.arm_at(now_ns + (left_ns == 0 ? options_.marker_delay_ns : left_ns));
}

// --- Sending ---

void Log::Impl::send_next() {
  if (!started_ || is_failed() || chain_pending_ > 0) return;
  if (chain_batch_ != nullptr) {  // The rest of a chain that ended early.
    send_batch(*chain_batch_);
    return;
  }
  if (queue_.empty()) close_batch();
  if (queue_.empty() && !closing_) {
    // Without a next segment somebody may wait for just those that a statement frees: at once.
    const bool is_urgent = is_statement_due() && pool_.state() != SegmentPool::State::kReady;
    const bool is_due = std::exchange(marker_due_, false) && (!last_is_marker_ || is_statement_due());
    if ((is_urgent || is_due) && !append_marker()) arm_marker_timer();
  }
  const bool must_sync = durable_wanted_ > durable_offset_;
  if (queue_.empty()) {
    if (must_sync) send_sync();
    return;
  }
  Batch& batch = *queue_.front();
  if (unsynced_ != nullptr && unsynced_ != batch.segment) {  // Writer-I2.
    send_sync();
    return;
  }
  batch.needs_sync = batch.needs_sync || must_sync;
  batch.stated_released = released_;
  const GroupStamp stamp{
      .durable_position = durable_offset_, .released_position = released_, .wall_clock_ns = reactor_.system().wall_clock_ns()};
  for (std::uint64_t offset = 0; offset < batch.bytes;) {
    offset += stamp_group(batch.data() + offset, batch.segment->facts.salt, stamp);
  }
  chain_batch_ = &batch;
  send_batch(batch);
}

bool Log::Impl::append_marker() {
  PENSTOCK_ASSERT(queue_.empty() && open_batch_ == nullptr);
  if (room_in_segment(false) < kLogBlockBytes) {
    if (pool_.state() == SegmentPool::State::kReady) {
      use_next_segment();
    } else if (!is_statement_due() || room_in_segment(true) < kLogBlockBytes) {
      return false;
    }
  }
  Batch* const batch = free_batch();
  PENSTOCK_ASSERT(batch != nullptr);  // None is in use.
  if (!batch->reserve(kLogBlockBytes, 0)) return false;
  open_batch();
  open_group();
  group_.add({.type = RecordType::kMarker, .payload_checksum = base::checksum({}), .parts = {}});
  group_is_marker_ = true;
  open_batch_->needs_sync = true;
  ++counters_.markers;
  close_batch();
  return true;
}

void Log::Impl::send_batch(Batch& batch) {
  PENSTOCK_ASSERT_EQ(&batch, queue_.front());
  PENSTOCK_ASSERT_LE(batch.end(), batch.segment->facts.limit());
  if (batch.sent_ns == 0) batch.sent_ns = reactor_.now_ns();
  submit_chain(batch.sent_bytes < batch.bytes, batch.needs_sync);
}

void Log::Impl::send_sync() {
  PENSTOCK_ASSERT(unsynced_ != nullptr);
  PENSTOCK_ASSERT(chain_batch_ == nullptr);
  submit_chain(false, true);
}

/// Instead of a link. A durable write covers itself alone: what was written before it without a sync needs the link, be it an
/// earlier batch or the beginning of this one.
bool Log::Impl::may_write_durably(const Batch& batch) const noexcept {
  const bool is_small = batch.bytes <= kDurableWriteBytesMax;
  const bool is_wanted = options_.sync_mode == SyncMode::kDsync || (options_.sync_mode == SyncMode::kAuto && is_small);
  return is_wanted && unsynced_ == nullptr && batch.sent_bytes == 0;
}

void Log::Impl::submit_chain(bool has_write, bool has_sync) {
  PENSTOCK_ASSERT_EQ(chain_pending_, 0U);  // Wal-I1.
  PENSTOCK_ASSERT(has_write || has_sync);
  Segment& segment = chain_batch_ != nullptr ? *chain_batch_->segment : *unsynced_;
  write_is_durable_ = has_write && has_sync && may_write_durably(*chain_batch_);
  has_sync = has_sync && !write_is_durable_;
  const bool is_blocking = options_.sync_mode == SyncMode::kSyscall || std::exchange(retry_blocking_, false);
  std::array<reactor::Entry, 2> entries;
  chain_ = {.has_write = has_write, .has_sync = has_sync};
  if (has_write) {
    chain_.write_bytes = static_cast<std::uint32_t>(chain_batch_->bytes - chain_batch_->sent_bytes);
    entries[chain_pending_++] = {.op = reactor::Op::kWrite,
                                 .link = has_sync,
                                 .durable = write_is_durable_,
                                 .blocking = is_blocking,
                                 .file = segment.file.fd(),
                                 .bytes = chain_.write_bytes,
                                 .offset = segment.file_offset(chain_batch_->position + chain_batch_->sent_bytes),
                                 .buffer = chain_batch_->data() + chain_batch_->sent_bytes,
                                 .completion = &write_completion_};
  }
  if (has_sync) {
    entries[chain_pending_++] = {
        .op = reactor::Op::kSyncData, .blocking = is_blocking, .file = segment.file.fd(), .completion = &sync_completion_};
  }
  reactor_.submit(std::span<const reactor::Entry>(entries).first(chain_pending_));
}

// --- Completions ---

void Log::Impl::on_entry_complete(ChainCompletion& completion, std::int32_t result) {
  PENSTOCK_ASSERT_GT(chain_pending_, 0U);
  completion.result = result;
  if (&completion == &write_completion_ && chain_.has_sync) write_ended_ns_ = reactor_.now_ns();
  if (--chain_pending_ == 0) on_chain_end();
}

void Log::Impl::on_chain_end() {
  if (is_failed()) {  // By another cause, meanwhile: nothing moves any more (Wal-I3).
    progress_.notify_all();
    return;
  }
  chain_.write = write_completion_.result;
  chain_.sync = sync_completion_.result;
  const ChainVerdict verdict = judge_chain(chain_);
  using Action = ChainVerdict::Action;
  const bool has_progressed = verdict.action == Action::kDone || verdict.progress_bytes > 0;
  retries_ = has_progressed ? 0 : retries_ + 1;
  if (verdict.action == Action::kPoison || retries_ > kRetriesMax) {
    poison(Status::from_errno(verdict.error_number != 0 ? verdict.error_number : EIO));
    return;
  }
  last_activity_ns_ = reactor_.now_ns();
  retry_blocking_ = verdict.needs_blocking;
  if (verdict.action == Action::kResume) {
    chain_batch_->sent_bytes += verdict.progress_bytes;
    ++counters_.resumed_writes;
    return;
  }
  if (chain_.has_write) on_batch_written(*chain_batch_);
  if (verdict.action == Action::kDone) {
    if (chain_.has_sync || write_is_durable_) on_synced();
    if (chain_batch_ != nullptr) {
      note_stages(*chain_batch_);
      retire_batch(*chain_batch_);
    }
    release_segments();
    arm_marker_timer();
  }
  note_progress();
  stages_.wake.record(reactor_.now_ns() - last_activity_ns_);
}

/// The chain of the batch has ended at last_activity_ns_. A batch of several chains (a write was short) has the times of all.
void Log::Impl::note_stages(const Batch& batch) {
  stages_.queue.record(batch.sent_ns - batch.opened_ns);
  if (write_is_durable_) {
    stages_.sync.record(last_activity_ns_ - batch.sent_ns);
    return;
  }
  const std::uint64_t write_ended_ns = chain_.has_sync && chain_.has_write ? write_ended_ns_ : last_activity_ns_;
  stages_.write.record(write_ended_ns - batch.sent_ns);
  if (chain_.has_sync) stages_.sync.record(last_activity_ns_ - write_ended_ns);
}

void Log::Impl::on_batch_written(Batch& batch) {
  batch.sent_bytes = batch.bytes;
  PENSTOCK_ASSERT_LE(written_offset_, batch.position);
  PENSTOCK_ASSERT_LT(written_group_, batch.last_group);
  written_offset_ = batch.end();
  written_group_ = batch.last_group;
  PENSTOCK_ASSERT_LE(stated_released_, batch.stated_released);
  stated_released_ = batch.stated_released;
  PENSTOCK_ASSERT(unsynced_ == nullptr || unsynced_ == batch.segment);
  unsynced_ = batch.segment;
  counters_.written_bytes += batch.bytes;
}

void Log::Impl::on_synced() {
  ++counters_.syncs;
  unsynced_ = nullptr;
  // One chain at a time, each after the one before: the sync covered all that was written, earlier segments before (Writer-I2).
  durable_offset_ = written_offset_;
  durable_group_ = written_group_;
  while (!awaiting_statement_.empty() && awaiting_statement_.front()->facts.limit() <= stated_released_) {
    pool_.give_back(std::move(awaiting_statement_.front()));
    awaiting_statement_.pop_front();
  }
}

void Log::Impl::retire_batch(Batch& batch) {
  PENSTOCK_ASSERT_EQ(queue_.front(), &batch);
  PENSTOCK_ASSERT_EQ(batch.sent_bytes, batch.bytes);
  queue_.erase(queue_.begin());
  chain_batch_ = nullptr;
  batch.segment = nullptr;
  batch.bytes = 0;
  batch.sent_bytes = 0;
  batch.sent_ns = 0;
  batch.needs_sync = false;
  batch.is_free = true;
  // One that grew for a large record is not kept.
  if (batch.capacity_bytes() > 2 * options_.group_bytes_max) batch.larger = reactor::AlignedBuffer();
  room_due_ = true;
}

void Log::Impl::note_progress() {
  progress_.notify_all();
  listener_.on_log_progress();
}

Task<Status> Log::Impl::make_durable(Position position) {
  PENSTOCK_ASSERT_EQ(position.epoch, options_.epoch);
  if (position.offset > end_) close_group();
  PENSTOCK_ASSERT_LE(position.offset, end_);
  while (durable_offset_ < position.offset) {
    if (is_failed()) co_return failure_;
    durable_wanted_ = std::max(durable_wanted_, position.offset);
    co_await progress_.wait();
  }
  co_return Status::ok();
}

}  // namespace penstock::wal
