#include "wal/segment_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "wal/segment_name.h"

namespace penstock::wal {

namespace {

constexpr std::uint64_t kFillBytes = 256_KiB;
constexpr std::uint32_t kFillDepth = 2;
constexpr std::size_t kFreedCountMax = 4;
/// Between two segments that are removed because there are too many.
constexpr std::uint64_t kRemovalPauseNs = 20'000'000;
constexpr std::uint64_t kRetryDelayNs = 100'000'000;
/// Attempts in a row that fail for another reason than space.
constexpr std::uint32_t kAttemptsMax = 3;

}  // namespace

SegmentPool::SegmentPool(reactor::Reactor& reactor, const LogOptions& options, LogCounters& counters, Owner& owner)
    : reactor_(reactor),
      options_(options),
      counters_(counters),
      owner_(owner),
      tasks_(reactor),
      fill_end_bytes_(options.segment_bytes),
      fill_allowed_(reactor) {
  PENSTOCK_ASSERT_EQ(options_.segment_bytes % kLogBlockBytes, 0U);
  PENSTOCK_ASSERT_GE(options_.segment_bytes, std::uint64_t{4} * kLogBlockBytes);
}

SegmentPool::~SegmentPool() { PENSTOCK_ASSERT(!running_); }

Task<Result<std::unique_ptr<Segment>>> SegmentPool::open() {
  zeros_ = reactor::AlignedBuffer(kFillBytes);
  header_ = reactor::AlignedBuffer(kLogBlockBytes);
  if (!zeros_ || !header_) co_return std::unexpected(Status::from_errno(ENOMEM));
  PENSTOCK_CO_TRY_RESULT(remove_leftovers());
  PENSTOCK_CO_TRY_RESULT(co_await prepare_one());
  std::unique_ptr<Segment> first = std::exchange(ready_, nullptr);
  PENSTOCK_CO_TRY_RESULT(co_await prepare_one());
  co_return std::move(first);
}

Status SegmentPool::remove_leftovers() {
  const Result<std::vector<std::string>> names = reactor_.system().list_directory(options_.directory);
  if (!names) return names.error();
  const LogName own{.epoch = options_.epoch, .reactor = options_.reactor};
  const bool has_leftovers = std::ranges::any_of(*names, [own](const std::string& name) {
    const auto parsed = parse_segment_name(name);
    return parsed && parsed->log.epoch == own.epoch && parsed->log.reactor == own.reactor;
  });
  PENSTOCK_SOMETIMES("log: segments of an opening that never came to be are removed", has_leftovers);
  return has_leftovers ? remove_log(reactor_.system(), options_.directory, own) : Status::ok();
}

SegmentPool::State SegmentPool::state() const noexcept {
  if (ready_ != nullptr) return State::kReady;
  if (!failure_.is_ok()) return State::kFailed;
  return no_space_ ? State::kNoSpace : State::kPreparing;
}

std::unique_ptr<Segment> SegmentPool::take() {
  PENSTOCK_ASSERT(ready_ != nullptr);
  std::unique_ptr<Segment> segment = std::exchange(ready_, nullptr);
  fill_end_bytes_ = 0;
  start_preparing();
  return segment;
}

void SegmentPool::pace(std::uint64_t used_bytes) noexcept { allow_fill(2 * used_bytes); }

void SegmentPool::allow_fill(std::uint64_t end_bytes) noexcept {
  if (end_bytes <= fill_end_bytes_) return;
  fill_end_bytes_ = end_bytes;
  fill_allowed_.notify_all();
}

void SegmentPool::stop() noexcept {
  stopping_ = true;
  fill_allowed_.notify_all();
}

void SegmentPool::give_back(std::unique_ptr<Segment> segment) {
  PENSTOCK_ASSERT_EQ(segment->shards_needing, 0U);
  PENSTOCK_ASSERT(freed_.empty() || freed_.back()->facts.index < segment->facts.index);
  freed_.push_back(std::move(segment));
  retry_at_ns_ = 0;
  start_preparing();  // Also removes what is too much.
}

void SegmentPool::retry() {
  if (no_space_ && reactor_.now_ns() >= retry_at_ns_) start_preparing();
}

Task<> SegmentPool::close() {
  stop();
  co_await tasks_.join();
  PENSTOCK_ASSERT(!running_);
  freed_.clear();
  ready_.reset();
}

void SegmentPool::start_preparing() {
  const bool has_work = must_prepare() || freed_.size() > kFreedCountMax;
  if (running_ || stopping_ || !has_work) return;
  running_ = true;
  tasks_.spawn(&SegmentPool::prepare, this);
}

Task<> SegmentPool::prepare() {
  std::uint32_t attempts = 0;
  bool goes_on = true;
  while (goes_on) {
    while (must_prepare()) {
      const Status status = co_await prepare_one();
      no_space_ = status.is(Code::kNoSpace);
      PENSTOCK_SOMETIMES("log: the disk is full when a segment is made", no_space_);
      if (!status.is_ok() && !no_space_ && ++attempts == kAttemptsMax) failure_ = status;
      if (no_space_) retry_at_ns_ = reactor_.now_ns() + kRetryDelayNs;
      if (no_space_ && freed_.empty()) break;  // With a freed one that came meanwhile it can still work.
    }
    if (!stopping_) owner_.on_pool_change();
    goes_on = !stopping_ && freed_.size() > kFreedCountMax;
    if (goes_on) co_await remove_one();
  }
  running_ = false;
}

Task<Status> SegmentPool::prepare_one() {
  PENSTOCK_ASSERT(ready_ == nullptr);
  SegmentFacts facts;
  facts.index = next_index_;
  facts.segment_bytes = options_.segment_bytes;
  facts.base_offset = facts.index * facts.capacity_bytes();
  facts.salt = reactor_.system().random_u64();
  std::unique_ptr<Segment> segment;
  Status status(Code::kNotFound);
  if (!freed_.empty()) {
    segment = std::move(freed_.front());
    freed_.pop_front();
    status = co_await recycle(*segment, facts);
    PENSTOCK_SOMETIMES("log: a segment is recycled", status.is_ok());
    PENSTOCK_SOMETIMES("log: a segment cannot be recycled", !status.is_ok() && !stopping_);
    if (status.is_ok()) ++counters_.segments_recycled;
    // What could not be recycled is half one, half the other: nobody needs it by either name.
    if (!status.is_ok() && !stopping_)
      reactor_.system().remove_file(segment->path).ignore("a leftover of a log that EPOCH drops");
  }
  if (!status.is_ok()) {
    segment = std::make_unique<Segment>();
    segment->needed_by_shard.resize(options_.shard_count);
    status = co_await make(*segment, facts);
    if (status.is_ok()) ++counters_.segments_prepared;
  }
  if (!status.is_ok()) co_return status;
  PENSTOCK_ASSERT_EQ(segment->shards_needing, 0U);
  segment->facts = facts;
  segment->end = 0;
  ready_ = std::move(segment);
  ++next_index_;
  co_return Status::ok();
}

Task<Status> SegmentPool::recycle(Segment& segment, const SegmentFacts& facts) {
  const LogName log{.epoch = options_.epoch, .reactor = options_.reactor};
  encode_segment_header(facts, options_.identity, log, header_.span());
  PENSTOCK_CO_TRY(co_await reactor_.write(segment.file.fd(), 0, header_.span()));
  PENSTOCK_CO_TRY(co_await reactor_.sync_data(segment.file.fd()));
  co_return co_await name_segment(segment, segment_path(options_.directory, log, facts.index));
}

Task<Status> SegmentPool::make(Segment& segment, const SegmentFacts& facts) {
  reactor::System& system = reactor_.system();
  const LogName log{.epoch = options_.epoch, .reactor = options_.reactor};
  segment.path = unfinished_segment_path(options_.directory, log, facts.index);
  // Not exclusive: a failed attempt may have left it, when it could not be removed either.
  const Result<reactor::Fd> opened = system.open_file(segment.path, {.create = true});
  if (!opened) co_return opened.error();
  segment.file = reactor::File(system, *opened);
  Status status = co_await fill(segment, facts);
  if (status.is_ok()) status = co_await name_segment(segment, segment_path(options_.directory, log, facts.index));
  if (!status.is_ok()) {
    segment.file.reset();
    system.remove_file(segment.path).ignore("written again by the next attempt, removed by the next opening");
  }
  co_return status;
}

Task<Status> SegmentPool::fill(Segment& segment, const SegmentFacts& facts) {
  PENSTOCK_CO_TRY(reactor_.system().resize_file(segment.file.fd(), facts.segment_bytes, true));
  FillJob job{.file = segment.file.fd(), .status = Status::ok(), .next_offset = kLogBlockBytes};
  reactor::TaskGroup writers(reactor_);
  for (std::uint32_t writer = 0; writer < kFillDepth; ++writer) writers.spawn(&SegmentPool::fill_part, this, &job);
  co_await writers.join();
  PENSTOCK_CO_TRY(job.status);
  if (stopping_) co_return Status(Code::kCancelled);
  const LogName log{.epoch = options_.epoch, .reactor = options_.reactor};
  encode_segment_header(facts, options_.identity, log, header_.span());
  PENSTOCK_CO_TRY(co_await reactor_.write(segment.file.fd(), 0, header_.span()));
  co_return co_await reactor_.sync(segment.file.fd());
}

Task<> SegmentPool::fill_part(FillJob* job) {
  while (job->status.is_ok() && !stopping_ && job->next_offset < options_.segment_bytes) {
    const std::uint64_t offset = job->next_offset;
    const std::uint64_t bytes = std::min(kFillBytes, options_.segment_bytes - offset);
    job->next_offset += bytes;
    while (offset >= fill_end_bytes_ && !stopping_) co_await fill_allowed_.wait();
    if (stopping_) co_return;
    const std::span<const std::byte> zeros = zeros_.span().first(bytes);
    const Status status = co_await reactor_.write(job->file, offset, zeros);
    if (!status.is_ok()) job->status = status;
    co_await reactor_.background_slice();
  }
}

Task<Status> SegmentPool::name_segment(Segment& segment, const std::string& path) {
  if (stopping_) co_return Status(Code::kCancelled);
  reactor::System& system = reactor_.system();
  PENSTOCK_CO_TRY(system.rename_file(segment.path, path));
  segment.path = path;
  co_return system.sync_directory(options_.directory);
}

/// Of too many, with a pause: a flush may free dozens at once, and each takes milliseconds of this thread to be removed.
Task<> SegmentPool::remove_one() {
  PENSTOCK_SOMETIMES("log: a segment too many is removed", true);
  const Status status = reactor_.system().remove_file(freed_.front()->path);
  status.ignore("a segment too many harms nobody; it goes with its log");
  freed_.pop_front();
  co_await reactor_.sleep(kRemovalPauseNs);
}

}  // namespace penstock::wal
