#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/integer.h"
#include "base/sometimes.h"
#include "wal/log_writer.h"
#include "wal/wal.h"

namespace penstock::wal {

namespace {

constexpr std::uint64_t kPayloadBytesMax = 32_MiB;
constexpr std::uint64_t kMemoryRetryNs = 100'000'000;
/// Kept for a group that lets segments be recycled (Writer-I3).
constexpr std::uint64_t kReserveBytes = kLogBlockBytes;

}  // namespace

// --- The front door ---

Log::Log(reactor::Reactor& reactor, LogOptions options, LogListener& listener)
    : impl_(std::make_unique<Impl>(reactor, std::move(options), listener)) {}
Log::~Log() = default;
Task<Status> Log::open() { return impl_->open(); }
void Log::start() { impl_->start(); }
std::uint64_t Log::record_payload_bytes_max() const noexcept { return impl_->record_payload_bytes_max(); }
Log::Admission Log::admit(std::uint64_t payload_bytes, std::uint32_t parts) noexcept {
  return impl_->admit(payload_bytes, parts);
}
GroupNumber Log::append(const Record& record, Durability durability) { return impl_->append(record, durability); }
Position Log::seal() { return impl_->seal(); }
GroupNumber Log::written_group() const noexcept { return impl_->written_group(); }
GroupNumber Log::durable_group() const noexcept { return impl_->durable_group(); }
Position Log::durable_position() const noexcept { return impl_->position_at(impl_->durable_offset()); }
Task<Status> Log::make_durable(Position position) { return impl_->make_durable(position); }
void Log::release(ShardId shard, Position applied) { impl_->release(shard, applied); }
Status Log::failure() const noexcept { return impl_->failure(); }
void Log::poison(Status cause) { impl_->poison(cause); }
Task<Status> Log::close() { return impl_->close(); }
Position Log::end() const noexcept { return impl_->position_at(impl_->end_offset()); }
std::uint64_t Log::bytes_in_use() const noexcept { return impl_->bytes_in_use(); }
Position Log::needed_from() const noexcept { return impl_->position_at(impl_->needed_from()); }
std::uint64_t Log::buffer_bytes() const noexcept { return impl_->buffer_bytes(); }
void Log::set_budget(std::uint64_t bytes) noexcept { impl_->set_budget(bytes); }
const LogCounters& Log::counters() const noexcept { return impl_->counters(); }
const LogStages& Log::stages() const noexcept { return impl_->stages(); }
bool Log::begins_batch() const noexcept { return impl_->begins_batch(); }

// --- Life ---

bool Batch::reserve(std::uint64_t wanted_bytes, std::uint64_t used_bytes) noexcept {
  PENSTOCK_ASSERT_LE(used_bytes, capacity_bytes());
  if (wanted_bytes <= capacity_bytes()) return true;
  PENSTOCK_SOMETIMES("log: a record is larger than a batch", true);
  reactor::AlignedBuffer made(std::max<std::uint64_t>(wanted_bytes, capacity_bytes() * 2));
  if (!made) return false;
  if (used_bytes > 0) std::memcpy(made.data(), data(), used_bytes);
  larger = std::move(made);
  return true;
}

Log::Impl::Impl(reactor::Reactor& reactor, LogOptions options, LogListener& listener)
    : reactor_(reactor),
      options_(std::move(options)),
      listener_(listener),
      context_{.identity = options_.identity, .log = {.epoch = options_.epoch, .reactor = options_.reactor}},
      pool_(reactor, options_, counters_, *this),
      progress_(reactor),
      marker_timer_(reactor, *this),
      room_timer_(reactor, *this) {
  PENSTOCK_ASSERT_GT(options_.shard_count, 0U);
  PENSTOCK_ASSERT_GE(options_.group_bytes_max, std::uint64_t{kLogBlockBytes});
  PENSTOCK_ASSERT_EQ(options_.group_bytes_max % kLogBlockBytes, 0U);
  PENSTOCK_ASSERT_GT(record_payload_bytes_max(), 0U);
  for (std::size_t index = 0; index < batches_.size(); ++index) {
    write_completions_[index].log = this;
    write_completions_[index].batch = &batches_[index];
    batches_[index].completion = &write_completions_[index];
  }
  queue_.reserve(batches_.size());
  sent_.reserve(batches_.size());
  uncovered_.reserve(2 * batches_.size());
  group_shards_.reserve(options_.shard_count);
  pressure_shards_.reserve(options_.shard_count);
  last_group_of_shard_.resize(options_.shard_count);
}

Log::Impl::~Impl() {
  PENSTOCK_ASSERT(!is_in_flight());
  PENSTOCK_ASSERT(!hooked_);
}

Task<Status> Log::Impl::open() {
  PENSTOCK_ASSERT(segments_.empty());
  const std::size_t batch_bytes = options_.group_bytes_max;
  staging_ = reactor::AlignedBuffer(batches_.size() * batch_bytes);
  if (!staging_) co_return Status::from_errno(ENOMEM);
  staging_.populate();
  for (std::size_t index = 0; index < batches_.size(); ++index) {
    batches_[index].home = staging_.span().subspan(index * batch_bytes, batch_bytes);
  }
  Result<std::unique_ptr<Segment>> first = co_await pool_.open();
  if (!first) co_return first.error();
  segments_.push_back(std::move(*first));
  PENSTOCK_ASSERT_EQ(segments_.back()->facts.base_offset, 0U);
  PENSTOCK_CO_TRY(co_await settle_sync_mode());
  reactor_.add_hook(*this);
  hooked_ = true;
  co_return Status::ok();
}

/// Durable writes are tried where nothing is yet: not every file system takes them.
Task<Status> Log::Impl::settle_sync_mode() {
  if (options_.sync_mode != SyncMode::kDsync && options_.sync_mode != SyncMode::kAuto) co_return Status::ok();
  const std::int32_t result = co_await reactor_.perform({.op = reactor::Op::kWrite,
                                                         .durable = true,
                                                         .file = segments_.front()->file.fd(),
                                                         .bytes = kLogBlockBytes,
                                                         .offset = kLogBlockBytes,
                                                         .buffer = staging_.data()});
  const bool is_refused = result == -EOPNOTSUPP || result == -EINVAL;
  if (is_refused) options_.sync_mode = SyncMode::kLinked;
  const bool may_pass = result >= 0 || is_refused || result == -EINTR || result == -EAGAIN;
  co_return may_pass ? Status::ok() : Status::from_errno(-result);
}

void Log::Impl::start() {
  PENSTOCK_ASSERT(!segments_.empty());
  PENSTOCK_ASSERT(!started_);
  started_ = true;
}

Task<Status> Log::Impl::close() {
  closing_ = true;
  marker_timer_.disarm();
  room_timer_.disarm();
  if (started_ && !is_failed()) {
    close_group();
    durable_wanted_ = end_;
    while (durable_offset_ < end_ && !is_failed()) co_await progress_.wait();
  }
  while (is_in_flight()) co_await progress_.wait();
  co_await pool_.close();
  if (hooked_) reactor_.remove_hook(*this);
  hooked_ = false;
  unsynced_ = nullptr;
  segments_.clear();
  awaiting_statement_.clear();
  co_return failure_;
}

void Log::Impl::poison(Status cause) {
  PENSTOCK_ASSERT(!cause.is_ok());
  if (is_failed()) return;
  failure_ = cause.with_code(Code::kPoisoned).with_place(FileKind::kLog, durable_offset_);
  pool_.stop();
  marker_timer_.disarm();
  progress_due_ = true;
  room_due_ = true;  // Whoever waits for room has to learn it.
  progress_.notify_all();
}

// --- Admission and append ---

std::uint64_t Log::Impl::record_payload_bytes_max() const noexcept {
  const std::uint64_t overhead_bytes = kLogBlockBytes + kReserveBytes + sizeof(GroupHeader) +
                                       record_bytes(0, options_.shard_count);  // Matters to tiny segments alone.
  const std::uint64_t fits_bytes = options_.segment_bytes > overhead_bytes ? options_.segment_bytes - overhead_bytes : 0;
  return std::min({kPayloadBytesMax, options_.segment_bytes / 2, fits_bytes});
}

std::uint64_t Log::Impl::room_in_segment(bool with_reserve) const noexcept {
  const std::uint64_t limit = segments_.back()->facts.limit() - (with_reserve ? 0 : kReserveBytes);
  return tail_ < limit ? limit - tail_ : 0;
}

Log::Impl::Plan Log::Impl::plan(std::uint64_t added_bytes) const noexcept {
  std::uint64_t room_bytes = room_in_segment(false);
  const std::uint64_t group_bytes = group_bytes_of(added_bytes);
  if (group_.is_open()) {
    const std::uint64_t grown_bytes = group_bytes_of(group_.records_bytes() + added_bytes);
    const std::uint64_t batch_bytes = open_batch_->bytes + grown_bytes;
    if (batch_bytes <= options_.group_bytes_max && grown_bytes <= room_bytes) return {Place::kOpenGroup, batch_bytes};
    room_bytes -= group_bytes_of(group_.records_bytes());  // It would be closed first.
  } else if (open_batch_ != nullptr) {
    const std::uint64_t batch_bytes = open_batch_->bytes + group_bytes;
    if (batch_bytes <= options_.group_bytes_max && group_bytes <= room_bytes) return {Place::kOpenBatch, batch_bytes};
  }
  return {group_bytes <= room_bytes ? Place::kNewBatch : Place::kNextSegment, group_bytes};
}

Batch* Log::Impl::free_batch() noexcept {
  const auto found = std::ranges::find_if(batches_, [](const Batch& batch) { return batch.is_free; });
  return found == batches_.end() ? nullptr : &*found;
}

Log::Admission Log::Impl::admit(std::uint64_t payload_bytes, std::uint32_t parts) noexcept {
  if (is_failed()) return Admission::kPoisoned;
  if (closing_) return Admission::kClosed;
  PENSTOCK_ASSERT_LE(payload_bytes, record_payload_bytes_max());
  PENSTOCK_ASSERT_LE(parts, options_.shard_count);
  const Plan plan = this->plan(record_bytes(payload_bytes, parts));
  if (plan.place == Place::kNextSegment && pool_.state() != SegmentPool::State::kReady) return refuse_for_segment();
  const bool is_new = plan.place == Place::kNewBatch || plan.place == Place::kNextSegment;
  Batch* const batch = is_new ? free_batch() : open_batch_;
  if (batch == nullptr) return refuse_for_room();
  std::uint64_t used_bytes = is_new ? 0 : batch->bytes;
  if (!is_new && group_.is_open()) used_bytes += sizeof(GroupHeader) + group_.records_bytes();
  if (!batch->reserve(plan.batch_bytes, used_bytes)) {
    room_timer_.arm_at(reactor_.now_ns() + kMemoryRetryNs);
    return refuse_for_room();
  }
  if (!is_new && group_.is_open()) group_.relocate(batch->data() + batch->bytes);
  return Admission::kNow;
}

Log::Admission Log::Impl::refuse_for_room() noexcept {
  PENSTOCK_SOMETIMES("log: commits wait for a buffer", true);
  room_wanted_ = true;
  return Admission::kWait;
}

Log::Admission Log::Impl::refuse_for_segment() noexcept {
  PENSTOCK_SOMETIMES("log: commits wait for a segment", pool_.state() == SegmentPool::State::kPreparing);
  PENSTOCK_SOMETIMES("log: no space for a segment", pool_.state() == SegmentPool::State::kNoSpace);
  if (!room_wanted_) ++counters_.segments_late;
  room_wanted_ = true;
  pool_.hurry();
  if (pool_.state() == SegmentPool::State::kFailed) {
    poison(pool_.failure());
    return Admission::kPoisoned;
  }
  if (pool_.state() != SegmentPool::State::kNoSpace) return Admission::kWait;
  pool_.retry();
  return Admission::kNoSpace;
}

GroupNumber Log::Impl::append(const Record& record, Durability durability) {
  PENSTOCK_ASSERT(!is_failed() && !closing_);
  PENSTOCK_ASSERT(durability != Durability::kUnlogged);
  std::uint64_t payload_bytes = 0;
  for (const Part& part : record.parts) payload_bytes += part.payload.size();
  const std::uint64_t added_bytes = record_bytes(payload_bytes, record.parts.size());
  const Plan plan = this->plan(added_bytes);
  if (plan.place == Place::kNewBatch || plan.place == Place::kNextSegment) {
    close_batch();
    if (plan.place == Place::kNextSegment) use_next_segment();
    open_batch();
  }
  PENSTOCK_ASSERT_LE(plan.batch_bytes, open_batch_->capacity_bytes());  // Or admit() was not asked.
  if (!group_.is_open()) open_group();
  group_.add(record);
  group_is_marker_ = false;
  note_shards(record);
  if (durability == Durability::kSync) open_batch_->needs_sync = true;
  ++counters_.records;
  counters_.appended_bytes += added_bytes;
  return next_group_;
}

void Log::Impl::note_shards(const Record& record) {
  for (const Part& part : record.parts) {
    PENSTOCK_ASSERT_LT(part.shard, options_.shard_count);
    if (last_group_of_shard_[part.shard] == next_group_) continue;
    last_group_of_shard_[part.shard] = next_group_;
    group_shards_.push_back(part.shard);
  }
}

Position Log::Impl::seal() {
  close_group();
  return position_at(end_);
}

void Log::Impl::open_batch() {
  PENSTOCK_ASSERT(open_batch_ == nullptr);
  open_batch_ = free_batch();
  PENSTOCK_ASSERT(open_batch_ != nullptr);
  open_batch_->is_free = false;
  open_batch_->segment = segments_.back().get();
  open_batch_->position = tail_;
  open_batch_->opened_ns = reactor_.now_ns();
  PENSTOCK_ASSERT_EQ(open_batch_->bytes, 0U);
  PENSTOCK_ASSERT(!open_batch_->needs_sync);
}

void Log::Impl::open_group() {
  PENSTOCK_ASSERT(!group_.is_open());
  PENSTOCK_ASSERT_EQ(open_batch_->end(), tail_);
  PENSTOCK_ASSERT(open_batch_->segment == segments_.back().get());
  group_ = GroupWriter(open_batch_->data() + open_batch_->bytes, group_seed(open_batch_->segment->facts.salt, tail_));
}

void Log::Impl::close_group() {
  if (!group_.is_open()) return;
  const std::uint64_t group_bytes = group_.finish(context_, tail_, end_);
  open_batch_->bytes += group_bytes;
  open_batch_->last_group = next_group_++;
  tail_ += group_bytes;
  end_ = tail_;
  last_is_marker_ = group_is_marker_;
  ++counters_.groups;
  Segment& segment = *open_batch_->segment;
  PENSTOCK_ASSERT_LE(end_, segment.facts.limit());
  pool_.pace(end_ - segment.facts.base_offset);
  for (const ShardId shard : group_shards_) {
    if (segment.needed_by_shard[shard] == 0) ++segment.shards_needing;
    segment.needed_by_shard[shard] = end_;
  }
  group_shards_.clear();
}

void Log::Impl::close_batch() {
  close_group();
  if (open_batch_ == nullptr) return;
  PENSTOCK_ASSERT_GT(open_batch_->bytes, 0U);
  queue_.push_back(std::exchange(open_batch_, nullptr));
}

void Log::Impl::use_next_segment() {
  PENSTOCK_ASSERT(open_batch_ == nullptr);
  segments_.back()->end = end_;
  segments_.push_back(pool_.take());
  tail_ = segments_.back()->facts.base_offset;
  PENSTOCK_ASSERT_GE(tail_, end_);
}

// --- Freeing ---

void Log::Impl::release(ShardId shard, Position applied) {
  PENSTOCK_ASSERT_LT(shard, options_.shard_count);
  PENSTOCK_ASSERT_LE(applied.epoch, options_.epoch);
  if (applied.epoch < options_.epoch) return;
  for (const std::unique_ptr<Segment>& segment : segments_) {
    std::uint64_t& needed = segment->needed_by_shard[shard];
    if (needed == 0 || needed > applied.offset) continue;
    needed = 0;
    PENSTOCK_ASSERT_GT(segment->shards_needing, 0U);
    --segment->shards_needing;
  }
  release_segments();
}

void Log::Impl::release_segments() {
  if (is_failed() || closing_) return;
  while (segments_.size() > 1) {
    Segment& oldest = *segments_.front();
    if (oldest.shards_needing > 0 || oldest.end > durable_offset_) break;
    PENSTOCK_ASSERT(unsynced_ != &oldest);
    awaiting_statement_.push_back(std::move(segments_.front()));
    segments_.pop_front();
    released_ = segments_.front()->facts.base_offset;
  }
  if (is_statement_due()) arm_marker_timer();
}

void Log::Impl::raise_pressure() {
  if (segments_.size() < 2 || is_failed()) return;
  const bool is_short = bytes_in_use() > options_.budget_bytes || pool_.state() == SegmentPool::State::kNoSpace;
  const Segment& oldest = *segments_.front();
  if (!is_short || oldest.shards_needing == 0 || oldest.facts.index == pressed_index_) return;
  PENSTOCK_SOMETIMES("log: the oldest segment asks its shards to flush", true);
  pressed_index_ = oldest.facts.index;
  pressure_shards_.clear();
  for (std::uint32_t shard = 0; shard < options_.shard_count; ++shard) {
    if (oldest.needed_by_shard[shard] != 0) pressure_shards_.push_back(static_cast<ShardId>(shard));
  }
  listener_.on_log_pressure(pressure_shards_);
}

}  // namespace penstock::wal
