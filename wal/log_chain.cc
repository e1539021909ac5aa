#include <algorithm>
#include <array>
#include <cerrno>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/sometimes.h"
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
  const bool is_idle = !is_in_flight() && sent_.empty() && queue_.empty() && open_batch_ == nullptr;
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
  if (!started_ || is_failed()) return;
  resend_ahead();
  if (chain_pending_ > 0) {
    send_ahead();
    return;
  }
  if (chain_batch_ != nullptr) {  // The rest of a chain that ended early.
    submit_chain(*chain_batch_->segment, chain_batch_->needs_sync);
    return;
  }
  if (!sent_.empty()) return;  // The next chain shall cover what went ahead: it has to be whole before.
  if (queue_.empty()) close_batch();
  if (queue_.empty() && !closing_) {
    // Without a next segment somebody may wait for just those that a statement frees: at once.
    const bool is_urgent = is_statement_due() && pool_.state() != SegmentPool::State::kReady;
    PENSTOCK_SOMETIMES("log: a statement frees segments that are waited for", is_urgent);
    const bool is_due = std::exchange(marker_due_, false) && (!last_is_marker_ || is_statement_due());
    if ((is_urgent || is_due) && !append_marker()) arm_marker_timer();
  }
  const bool must_sync = durable_wanted_ > durable_offset_;
  if (queue_.empty()) {
    PENSTOCK_SOMETIMES("log: a sync without a write", must_sync);
    if (must_sync) send_sync();
    return;
  }
  Batch& batch = *queue_.front();
  if (unsynced_ != nullptr && unsynced_ != batch.segment) {  // Writer-I2.
    PENSTOCK_SOMETIMES("log: the old segment is synced before the next is written", true);
    send_sync();
    return;
  }
  batch.needs_sync = batch.needs_sync || must_sync;
  send_chain(batch);
}

/// While a chain is in flight. Never in another segment than its (Writer-I2).
void Log::Impl::send_ahead() {
  const bool is_enough = gathered_bytes() >= options_.ahead_bytes_min;
  if (queue_.empty() && is_enough && ahead_pending_ < kWritesAheadMax && open_batch_->segment == chain_segment_) close_batch();
  while (!queue_.empty() && ahead_pending_ < kWritesAheadMax) {
    Batch& batch = *queue_.front();
    if (batch.segment != chain_segment_ || batch.bytes < options_.ahead_bytes_min) return;
    stamp(batch);
    if (batch.needs_sync) durable_wanted_ = std::max(durable_wanted_, batch.end());
    ++counters_.writes_ahead;
    submit_ahead(batch);
  }
}

/// In the open batch.
std::uint64_t Log::Impl::gathered_bytes() const noexcept {
  if (open_batch_ == nullptr) return 0;
  return open_batch_->bytes + (group_.is_open() ? group_bytes_of(group_.records_bytes()) : 0);
}

/// The rest of what came back short, or has not run.
void Log::Impl::resend_ahead() {
  for (Batch* const batch : sent_) {
    if (batch != chain_batch_ && !batch->is_in_flight && !batch->is_whole()) submit_ahead(*batch);
  }
}

/// Takes it from the queue: what was released and what is durable now is what it says.
void Log::Impl::stamp(Batch& batch) {
  PENSTOCK_ASSERT_EQ(&batch, queue_.front());
  PENSTOCK_ASSERT_LE(batch.end(), batch.segment->facts.limit());
  batch.sent_ns = reactor_.now_ns();
  batch.stated_released = released_;
  const GroupStamp stamp{
      .durable_position = durable_offset_, .released_position = released_, .wall_clock_ns = reactor_.system().wall_clock_ns()};
  for (std::uint64_t offset = 0; offset < batch.bytes;) {
    offset += stamp_group(batch.data() + offset, batch.segment->facts.salt, stamp);
  }
  queue_.erase(queue_.begin());
  sent_.push_back(&batch);
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
  PENSTOCK_SOMETIMES("log: a marker after a pause", true);
  ++counters_.markers;
  close_batch();
  return true;
}

void Log::Impl::send_chain(Batch& batch) {
  PENSTOCK_ASSERT(sent_.empty());
  stamp(batch);
  chain_batch_ = &batch;
  submit_chain(*batch.segment, batch.needs_sync);
}

void Log::Impl::send_sync() {
  PENSTOCK_ASSERT(unsynced_ != nullptr);
  PENSTOCK_ASSERT(sent_.empty());
  PENSTOCK_ASSERT(chain_batch_ == nullptr);
  submit_chain(*unsynced_, true);
}

/// Instead of a link. A durable write covers itself alone: what was written before it without a sync needs the link, be it an
/// earlier batch or the beginning of this one.
bool Log::Impl::may_write_durably(const Batch& batch) const noexcept {
  const bool is_small = batch.bytes <= kDurableWriteBytesMax;
  const bool is_wanted = options_.sync_mode == SyncMode::kDsync || (options_.sync_mode == SyncMode::kAuto && is_small);
  return is_wanted && unsynced_ == nullptr && batch.sent_bytes == 0;
}

reactor::Entry Log::Impl::write_entry(Batch& batch) noexcept {
  PENSTOCK_ASSERT(!batch.is_in_flight);
  PENSTOCK_ASSERT(!batch.is_whole());
  batch.is_in_flight = true;
  const bool is_blocking = std::exchange(batch.needs_blocking, false) || options_.sync_mode == SyncMode::kSyscall;
  return {.op = reactor::Op::kWrite,
          .blocking = is_blocking,
          .file = batch.segment->file.fd(),
          .bytes = static_cast<std::uint32_t>(batch.bytes - batch.sent_bytes),
          .offset = batch.segment->file_offset(batch.position + batch.sent_bytes),
          .buffer = batch.data() + batch.sent_bytes,
          .completion = batch.completion};
}

void Log::Impl::submit_ahead(Batch& batch) {
  const reactor::Entry entry = write_entry(batch);
  ++ahead_pending_;
  reactor_.submit({&entry, 1});
}

void Log::Impl::submit_chain(Segment& segment, bool has_sync) {
  PENSTOCK_ASSERT_EQ(chain_pending_, 0U);  // Wal-I1.
  const bool has_write = chain_batch_ != nullptr;
  PENSTOCK_ASSERT(has_write || has_sync);
  PENSTOCK_ASSERT(!has_write || chain_batch_ == sent_.front());
  chain_segment_ = &segment;
  // All that was written before is whole: with the chain's own write the sync covers the log as far as here (Wal-I2).
  covered_offset_ = has_write ? chain_batch_->end() : written_offset_;
  covered_group_ = has_write ? chain_batch_->last_group : written_group_;
  covered_released_ = has_write ? chain_batch_->stated_released : stated_released_;
  write_is_durable_ = has_write && has_sync && may_write_durably(*chain_batch_);
  has_sync = has_sync && !write_is_durable_;
  std::array<reactor::Entry, 2> entries;
  chain_ = {.has_write = has_write, .has_sync = has_sync};
  if (has_write) {
    entries[0] = write_entry(*chain_batch_);
    entries[0].link = has_sync;
    entries[0].durable = write_is_durable_;
    chain_.write_bytes = entries[0].bytes;
    ++chain_pending_;
  }
  if (has_sync) {
    entries[chain_pending_++] = {
        .op = reactor::Op::kSyncData,
        .blocking = std::exchange(sync_needs_blocking_, false) || options_.sync_mode == SyncMode::kSyscall,
        .file = segment.file.fd(),
        .completion = &sync_completion_};
  }
  reactor_.submit(std::span<const reactor::Entry>(entries).first(chain_pending_));
}

// --- Completions ---

void Log::Impl::on_write_complete(Batch& batch, std::int32_t result) {
  PENSTOCK_ASSERT(batch.is_in_flight);
  batch.is_in_flight = false;
  batch.ended_ns = reactor_.now_ns();
  if (&batch != chain_batch_) {
    PENSTOCK_ASSERT_GT(ahead_pending_, 0U);
    --ahead_pending_;
    on_ahead_end(batch, result);
    return;
  }
  PENSTOCK_ASSERT_GT(chain_pending_, 0U);
  chain_.write = result;
  if (--chain_pending_ == 0) on_chain_end();
}

void Log::Impl::on_sync_complete(std::int32_t result) {
  PENSTOCK_ASSERT_GT(chain_pending_, 0U);
  chain_.sync = result;
  if (--chain_pending_ == 0) on_chain_end();
}

/// What a verdict says of a write. False: the log has ended.
bool Log::Impl::note_write(Batch& batch, const ChainVerdict& verdict) {
  using Action = ChainVerdict::Action;
  const bool has_progressed = verdict.action != Action::kResume || verdict.progress_bytes > 0;
  batch.retries = has_progressed ? 0 : batch.retries + 1;
  if (batch.retries > kRetriesMax) {
    poison(Status::from_errno(EIO));
    return false;
  }
  if (verdict.action == Action::kResume) {
    batch.sent_bytes += verdict.progress_bytes;
    batch.needs_blocking = verdict.needs_blocking;
    ++counters_.resumed_writes;
  } else {
    batch.sent_bytes = batch.bytes;
  }
  return true;
}

void Log::Impl::on_chain_end() {
  if (is_failed()) {  // By another cause, meanwhile: nothing moves any more (Wal-I3).
    PENSTOCK_SOMETIMES("log: a chain ends after its log was poisoned", true);
    progress_.notify_all();
    return;
  }
  const ChainVerdict verdict = judge_chain(chain_);
  using Action = ChainVerdict::Action;
  PENSTOCK_SOMETIMES("log: a write goes on where it was short", verdict.progress_bytes > 0);
  PENSTOCK_SOMETIMES("log: a write has not run and is sent again",
                     verdict.action == Action::kResume && verdict.progress_bytes == 0);
  PENSTOCK_SOMETIMES("log: a sync has not run and is sent alone", verdict.action == Action::kSyncOnly);
  PENSTOCK_SOMETIMES("log: a failed write or sync poisons", verdict.action == Action::kPoison);
  if (verdict.action == Action::kPoison) {
    poison(Status::from_errno(verdict.error_number));
    return;
  }
  last_activity_ns_ = reactor_.now_ns();
  if (chain_.has_write) {
    if (!note_write(*chain_batch_, verdict) || verdict.action == Action::kResume) return;
    if (chain_.has_sync) durable_wanted_ = std::max(durable_wanted_, covered_offset_);  // Also if the sync has not run.
    chain_batch_ = nullptr;
    advance_written();
  }
  if (verdict.action == Action::kSyncOnly) {
    sync_needs_blocking_ = verdict.needs_blocking;
    if (++sync_retries_ > kRetriesMax) poison(Status::from_errno(EIO));
  } else if (chain_.has_sync || write_is_durable_) {
    on_synced();
  }
  release_segments();
  arm_marker_timer();
  note_progress();
  stages_.wake.record(reactor_.now_ns() - last_activity_ns_);
}

void Log::Impl::on_ahead_end(Batch& batch, std::int32_t result) {
  if (is_failed()) {
    progress_.notify_all();
    return;
  }
  const ChainVerdict verdict = judge_chain(
      {.has_write = true, .write_bytes = static_cast<std::uint32_t>(batch.bytes - batch.sent_bytes), .write = result});
  if (verdict.action == ChainVerdict::Action::kPoison) {
    poison(Status::from_errno(verdict.error_number));
    return;
  }
  last_activity_ns_ = reactor_.now_ns();
  if (!note_write(batch, verdict) || chain_batch_ != nullptr) return;
  advance_written();
  note_progress();
}

/// Writer-I1: in order.
void Log::Impl::advance_written() {
  while (!sent_.empty() && sent_.front()->is_whole()) {
    on_batch_written(*sent_.front());
    retire_batch(*sent_.front());
  }
}

void Log::Impl::on_batch_written(Batch& batch) {
  PENSTOCK_ASSERT_LE(written_offset_, batch.position);
  PENSTOCK_ASSERT_LT(written_group_, batch.last_group);
  written_offset_ = batch.end();
  written_group_ = batch.last_group;
  PENSTOCK_ASSERT_LE(stated_released_, batch.stated_released);
  stated_released_ = batch.stated_released;
  PENSTOCK_ASSERT(unsynced_ == nullptr || unsynced_ == batch.segment);
  unsynced_ = batch.segment;
  counters_.written_bytes += batch.bytes;
  note_stages(batch);
}

void Log::Impl::note_stages(const Batch& batch) {
  stages_.queue.record(batch.sent_ns - batch.opened_ns);
  const bool is_durable = chain_.has_write && write_is_durable_ && batch.end() == covered_offset_;
  (is_durable ? stages_.sync : stages_.write).record(batch.ended_ns - batch.sent_ns);
  if (is_durable || !batch.needs_sync || uncovered_.size() == uncovered_.capacity()) return;
  uncovered_.push_back({.end = batch.end(), .written_ns = batch.ended_ns});
}

void Log::Impl::on_synced() {
  ++counters_.syncs;
  sync_retries_ = 0;
  PENSTOCK_ASSERT_LE(durable_offset_, covered_offset_);
  PENSTOCK_ASSERT_LE(covered_offset_, written_offset_);
  durable_offset_ = covered_offset_;
  durable_group_ = covered_group_;
  if (durable_offset_ == written_offset_) unsynced_ = nullptr;
  const auto behind = std::ranges::find_if(uncovered_, [this](const Uncovered& batch) { return batch.end > covered_offset_; });
  for (auto batch = uncovered_.begin(); batch != behind; ++batch) stages_.sync.record(last_activity_ns_ - batch->written_ns);
  uncovered_.erase(uncovered_.begin(), behind);
  while (!awaiting_statement_.empty() && awaiting_statement_.front()->facts.limit() <= covered_released_) {
    pool_.give_back(std::move(awaiting_statement_.front()));
    awaiting_statement_.pop_front();
  }
}

void Log::Impl::retire_batch(Batch& batch) {
  PENSTOCK_ASSERT_EQ(sent_.front(), &batch);
  PENSTOCK_ASSERT(batch.is_whole() && !batch.is_in_flight);
  sent_.erase(sent_.begin());
  batch.segment = nullptr;
  batch.bytes = 0;
  batch.sent_bytes = 0;
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
