#include "wal/log_check.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "wal/group.h"
#include "wal/segment_name.h"
#include "wal/segment_stream.h"

namespace penstock::wal {
namespace {

struct CheckedSegment {
  SegmentFacts facts;
  reactor::File file;
  std::string name;
  std::uint64_t readable_bytes = 0;

  std::uint64_t file_offset(std::uint64_t position) const noexcept { return position - facts.base_offset + kLogBlockBytes; }
  std::uint64_t readable_end() const noexcept { return facts.base_offset + readable_bytes - kLogBlockBytes; }
};

class LogChecker {
 public:
  LogChecker(reactor::Reactor& reactor, LogCheckOptions options, LogInspector& inspector)
      : reactor_(reactor), options_(std::move(options)), inspector_(inspector), stream_(reactor, nullptr, nullptr) {}

  Task<bool> run();

 private:
  enum class Found : std::uint8_t { kGood, kNothing, kUnreadable };

  Task<> open_segments();
  Task<> open_segment(const SegmentFile& named);
  Task<bool> check_segment(CheckedSegment& segment);
  Task<Found> read_group(const CheckedSegment& segment, std::uint64_t position);
  Task<std::uint64_t> find_next(const CheckedSegment& segment, std::uint64_t position);
  void settle_tail(std::optional<std::uint64_t> previous_end);
  void give_up_tail();
  void deliver(const CheckedSegment& segment, std::span<const std::byte> group);
  void report(LogDamage::Kind kind, const CheckedSegment& segment, std::uint64_t begin, std::uint64_t end);
  void report_missing(std::uint64_t begin, std::uint64_t end);

  reactor::Reactor& reactor_;
  LogCheckOptions options_;
  LogInspector& inspector_;
  SegmentStream stream_;
  std::vector<CheckedSegment> segments_;  // Ascending.
  std::vector<SegmentFile> headless_;
  GroupFacts facts_;                                  // Of the group read last.
  LogDamage::Kind bad_ = LogDamage::Kind::kChecksum;  // Why the last read_group() found none.
  std::uint64_t next_ = 0;                            // Everything before it was seen, reported or is in tail_.
  std::optional<std::uint64_t> group_end_;            // Of the last good group, unless damage came since.
  /// Where the groups of a segment ended before the segment does: unused, if the next group says that it follows.
  struct Tail {
    const CheckedSegment* segment;
    LogDamage::Kind kind;
    std::uint64_t begin;
    std::uint64_t end;
    bool looks_written;
  };
  std::optional<Tail> tail_;
  bool looks_written_ = false;  // What the last read_group() saw, whatever it was good for.
};

void LogChecker::report(LogDamage::Kind kind, const CheckedSegment& segment, std::uint64_t begin, std::uint64_t end) {
  const Code code = kind == LogDamage::Kind::kUnreadable    ? Code::kIoError
                    : kind == LogDamage::Kind::kUnsupported ? Code::kNotSupported
                                                            : Code::kCorruption;
  inspector_.on_damage({.kind = kind,
                        .status = Status(code, FileKind::kLog, begin),
                        .file = segment.name,
                        .file_offset = segment.file_offset(begin),
                        .begin = begin,
                        .end = end});
  group_end_.reset();
}

/// A segment that is not there, or whose header cannot be believed.
void LogChecker::report_missing(std::uint64_t begin, std::uint64_t end) {
  std::string name;
  for (const CheckedSegment& segment : segments_) {
    if (segment.facts.base_offset == end && segment.facts.index > 0) name = segment_name(options_.log, segment.facts.index - 1);
    if (segment.facts.limit() == begin) name = segment_name(options_.log, segment.facts.index + 1);
  }
  if (segments_.empty()) name = headless_.empty() ? segment_name(options_.log, 0) : headless_.back().name;
  inspector_.on_damage({.kind = LogDamage::Kind::kMissing,
                        .status = Status(Code::kCorruption, FileKind::kLog, begin),
                        .file = std::move(name),
                        .file_offset = 0,
                        .begin = begin,
                        .end = end});
  group_end_.reset();
}

Task<> LogChecker::open_segments() {
  const Outcome<std::vector<SegmentFile>> listed = list_segments(reactor_.system(), options_.directory);
  if (!listed.has_value()) co_return;  // Everything is missing then.
  for (const SegmentFile& named : *listed) {
    if (named.log.epoch == options_.log.epoch && named.log.reactor == options_.log.reactor) co_await open_segment(named);
  }
  std::ranges::sort(segments_, {}, [](const CheckedSegment& segment) { return segment.facts.base_offset; });
}

Task<> LogChecker::open_segment(const SegmentFile& named) {
  const Result<reactor::Fd> opened = reactor_.system().open_file(options_.directory + "/" + named.name, {.read_only = true});
  if (!opened.has_value()) co_return;
  CheckedSegment segment;
  segment.name = named.name;
  segment.file = reactor::File(reactor_.system(), *opened);
  const Result<std::uint64_t> file_bytes = reactor_.system().file_bytes(*opened);
  const reactor::AlignedBuffer block(kLogBlockBytes);
  Check check = Check::kBad;
  if (block && file_bytes.has_value() && *file_bytes >= kLogBlockBytes) {
    const Status read = co_await reactor_.read(*opened, 0, block.span());
    if (read.is_ok()) check = check_segment_header(block.span(), options_.identity, options_.log, segment.facts);
  }
  if (check != Check::kGood || segment.facts.index != named.index) {
    headless_.push_back(named);
    co_return;
  }
  segment.readable_bytes = std::min(*file_bytes, segment.facts.segment_bytes) / kLogBlockBytes * kLogBlockBytes;
  segments_.push_back(std::move(segment));
}

/// Fills facts_ if the group there is good; its bytes went to the inspector then.
Task<LogChecker::Found> LogChecker::read_group(const CheckedSegment& segment, std::uint64_t position) {
  const GroupContext context{.identity = options_.identity, .log = options_.log, .salt = segment.facts.salt};
  const auto block = co_await stream_.fetch(segment.file_offset(position), kLogBlockBytes);
  bad_ = LogDamage::Kind::kUnreadable;
  looks_written_ = true;
  if (!block.has_value()) co_return Found::kUnreadable;
  looks_written_ = looks_like_group(*block, position);
  const Check header = check_group_header(*block, context, position, facts_);
  bad_ = header == Check::kUnknown ? LogDamage::Kind::kUnsupported : LogDamage::Kind::kChecksum;
  if (header != Check::kGood || facts_.end() > segment.readable_end() || facts_.end() > options_.end) co_return Found::kNothing;
  const auto group = co_await stream_.fetch(segment.file_offset(position), facts_.group_bytes);
  if (!group.has_value()) {
    bad_ = LogDamage::Kind::kUnreadable;
    co_return Found::kUnreadable;
  }
  const Check body = check_group_body(*group, facts_);
  bad_ = body == Check::kUnknown ? LogDamage::Kind::kUnsupported : LogDamage::Kind::kChecksum;
  if (body != Check::kGood) co_return Found::kNothing;
  settle_tail(facts_.previous_end);
  if (group_end_.has_value() && facts_.previous_end != *group_end_) {
    // Sound for itself, but something that stood before it is not there.
    report(LogDamage::Kind::kContradiction, segment, position, facts_.end());
  }
  deliver(segment, *group);
  co_return Found::kGood;
}

/// A group follows whose log ended at `previous_end`, or nothing does any more.
void LogChecker::settle_tail(std::optional<std::uint64_t> previous_end) {
  if (!tail_.has_value()) return;
  const Tail tail = *std::exchange(tail_, std::nullopt);
  if (previous_end != tail.begin) report(tail.kind, *tail.segment, tail.begin, tail.end);
}

/// Nothing says any more whether the tail was used: it was, if something like a group stands there.
void LogChecker::give_up_tail() {
  if (tail_.has_value() && !tail_->looks_written) tail_.reset();
  settle_tail(std::nullopt);
}

void LogChecker::deliver(const CheckedSegment& segment, std::span<const std::byte> group) {
  const GroupPlace place{.file = segment.name,
                         .file_offset = segment.file_offset(facts_.position),
                         .bytes = facts_.group_bytes,
                         .begin = facts_.position};
  RecordWalker walker(group, facts_);
  Part part;
  while (walker.next_record()) {
    while (walker.next_part(part)) inspector_.on_part(part, place);
  }
  inspector_.on_group(facts_.group_bytes);
}

/// The next place behind `position` with a good group header; the segment's or the log's end if there is none.
Task<std::uint64_t> LogChecker::find_next(const CheckedSegment& segment, std::uint64_t position) {
  const GroupContext context{.identity = options_.identity, .log = options_.log, .salt = segment.facts.salt};
  const std::uint64_t limit = std::min(segment.readable_end(), options_.end);
  for (position += kLogBlockBytes; position + kLogBlockBytes <= limit; position += kLogBlockBytes) {
    const auto block = co_await stream_.fetch(segment.file_offset(position), kLogBlockBytes);
    GroupFacts facts;
    if (block.has_value() && check_group_header(*block, context, position, facts) == Check::kGood) co_return position;
  }
  co_return std::min(segment.facts.limit(), options_.end);
}

Task<bool> LogChecker::check_segment(CheckedSegment& segment) {
  const std::uint64_t limit = std::min(segment.facts.limit(), options_.end);
  if (segment.facts.base_offset > next_) {
    give_up_tail();
    report_missing(next_, std::min(segment.facts.base_offset, options_.end));
    next_ = segment.facts.base_offset;
  }
  if (next_ >= limit) co_return true;
  co_await stream_.attach(segment.file.fd(), segment.facts.index, segment.readable_bytes);
  while (next_ < limit) {
    const bool has_block = next_ + kLogBlockBytes <= segment.readable_end();
    const Found found = has_block ? co_await read_group(segment, next_) : Found::kNothing;
    if (found == Found::kGood) {
      group_end_ = facts_.end();
      next_ = facts_.end();
      const bool goes_on = co_await inspector_.go_on(facts_.group_bytes);
      if (!goes_on) co_return false;
      continue;
    }
    const LogDamage::Kind kind = has_block ? bad_ : LogDamage::Kind::kMissing;
    const std::uint64_t behind = has_block ? co_await find_next(segment, next_) : limit;
    const bool may_be_tail = behind == segment.facts.limit() && kind != LogDamage::Kind::kUnreadable;
    if (may_be_tail && !tail_.has_value() && (group_end_.has_value() || next_ == options_.begin)) {
      tail_ = {.segment = &segment, .kind = kind, .begin = next_, .end = behind, .looks_written = looks_written_};
    } else {
      give_up_tail();
      report(kind, segment, next_, behind);
    }
    next_ = behind;
  }
  co_return true;
}

Task<bool> LogChecker::run() {
  co_await open_segments();
  next_ = options_.begin;
  if (options_.begin >= options_.end) co_return true;
  bool goes_on = true;
  for (CheckedSegment& segment : segments_) {
    if (segment.facts.limit() <= options_.begin) continue;
    if (goes_on && next_ < options_.end) goes_on = co_await check_segment(segment);
  }
  co_await stream_.close();
  if (goes_on) settle_tail(std::nullopt);
  if (goes_on && next_ < options_.end) report_missing(next_, options_.end);
  co_return goes_on;
}

}  // namespace

Task<bool> check_log(reactor::Reactor& reactor, LogCheckOptions options, LogInspector& inspector) {
  LogChecker checker(reactor, std::move(options), inspector);
  co_return co_await checker.run();
}

}  // namespace penstock::wal
