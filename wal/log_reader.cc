#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/integer.h"
#include "base/sometimes.h"
#include "wal/group.h"
#include "wal/recovery_verdict.h"
#include "wal/segment_name.h"
#include "wal/segment_stream.h"
#include "wal/wal.h"

namespace penstock::wal {

namespace {

struct SegmentToRead {
  SegmentFacts facts;
  reactor::File file;
  std::string path;
  std::uint64_t readable_bytes = 0;  ///< Less than the header says if the file was cut short.

  std::uint64_t file_offset(std::uint64_t position) const noexcept { return position - facts.base_offset + kLogBlockBytes; }
  /// Position up to which there are bytes.
  std::uint64_t readable_end() const noexcept { return facts.base_offset + readable_bytes - kLogBlockBytes; }
};

/// Reads one log. Each step answers false once `failure_` is set.
class LogReader {
 public:
  LogReader(reactor::Reactor& reactor, ReadOptions options, RecordVisitor& visitor)
      : reactor_(reactor),
        options_(std::move(options)),
        visitor_(visitor),
        streams_{SegmentStream(reactor, options_.source, options_.sink),
                 SegmentStream(reactor, options_.source, options_.sink)} {}

  Task<Outcome<ReadResult>> run();

 private:
  enum class Step : std::uint8_t { kGroup, kNothing, kFailed };

  Task<bool> open_segments();
  Task<bool> open_segment(const SegmentFile& named);
  bool choose_segments();
  Task<bool> read_groups();
  Task<Step> read_group();
  Task<bool> deliver(std::span<const std::byte> group, const GroupFacts& facts);
  Task<> attach(std::size_t index);
  Task<> enter_segment(std::size_t index);
  SegmentStream& stream_of(std::size_t index) noexcept { return streams_[index % streams_.size()]; }
  Task<Step> next_segment_continues();
  Task<bool> judge_end();
  Task<bool> look_behind_end(TailFacts& facts, std::uint64_t& proven_end);
  bool check_beginning();

  GroupContext context_of(const SegmentToRead& segment) const noexcept {
    return {.identity = options_.identity, .log = options_.log, .salt = segment.facts.salt};
  }
  bool has_segment(std::size_t index) const noexcept { return index < segments_.size(); }
  bool fail(Status status, std::string text);
  bool fail_reading(Status status, const SegmentToRead& segment, std::uint64_t position);
  bool fail_damaged(std::uint64_t begin, std::uint64_t end, std::string what);
  static std::string place(const SegmentToRead& segment, std::uint64_t position);
  /// "; ...": the files that would go before the first segment, or after the last one.
  std::string absent_text() const;

  reactor::Reactor& reactor_;
  ReadOptions options_;
  RecordVisitor& visitor_;
  std::array<SegmentStream, 2> streams_;  // Of the segment that is read and of the next one, whose beginning is read ahead.
  std::vector<SegmentToRead> segments_;   // Ascending, without a hole.
  std::vector<SegmentFile> headless_;     // Ascending; those without a header that can be believed.
  std::optional<Failure> failure_;
  ReadResult result_;
  std::size_t current_ = 0;     // The segment that is read.
  std::size_t attached_ = 0;    // How many segments, from the first on, a stream was attached to.
  std::uint64_t next_ = 0;      // Position of the group that is expected.
  bool is_first_ = true;        // No group was read yet.
  std::uint64_t released_ = 0;  // What the groups say is not needed any more.
};

bool LogReader::fail(Status status, std::string text) {
  failure_.emplace(status, std::move(text));
  return false;
}

std::string LogReader::place(const SegmentToRead& segment, std::uint64_t position) {
  return "log file " + segment.path + ", position " + std::to_string(position) + " (file offset " +
         std::to_string(segment.file_offset(position)) + ")";
}

std::string LogReader::absent_text() const {
  std::string text;
  if (has_segment(0) && options_.begin < segments_.front().facts.base_offset) {
    text = "; not there: " + segment_path(options_.directory, options_.log, segments_.front().facts.index - 1);
  }
  for (const SegmentFile& file : headless_) {
    text += "; damaged header: " + options_.directory + "/" + file.name;
  }
  return text;
}

bool LogReader::fail_reading(Status status, const SegmentToRead& segment, std::uint64_t position) {
  return fail(status.with_place(FileKind::kLog, position), place(segment, position) + " cannot be read: " + status.to_string());
}

bool LogReader::fail_damaged(std::uint64_t begin, std::uint64_t end, std::string what) {
  fail(Status(Code::kCorruption, FileKind::kLog, begin), std::move(what));
  failure_->ranges.push_back(
      {.epoch = options_.log.epoch, .reactor = options_.log.reactor, .begin = begin, .end = std::max(begin, end)});
  return false;
}

// --- Which segments ---

Task<bool> LogReader::open_segments() {
  // Names and contents are made durable before they are believed: what is read now must be there after a power cut as well.
  if (const Status status = reactor_.system().sync_directory(options_.directory); !status.is_ok()) {
    co_return fail(status, "the log folder " + options_.directory + " cannot be synced: " + status.to_string());
  }
  Outcome<std::vector<SegmentFile>> listed = list_segments(reactor_.system(), options_.directory);
  if (!listed) {
    failure_ = std::move(listed.error());
    co_return false;
  }
  for (const SegmentFile& named : *listed) {
    if (named.log.epoch != options_.log.epoch || named.log.reactor != options_.log.reactor) continue;
    const bool opened = co_await open_segment(named);
    if (!opened) co_return false;
  }
  co_return choose_segments();
}

/// Files whose header is torn or says another index are on their way to a new life: they count as gone, if their place allows.
Task<bool> LogReader::open_segment(const SegmentFile& named) {
  SegmentToRead segment;
  segment.path = options_.directory + "/" + named.name;
  const Result<reactor::Fd> opened = reactor_.system().open_file(segment.path, {.read_only = true});
  if (!opened) co_return fail(opened.error(), "log file " + segment.path + " cannot be opened: " + opened.error().to_string());
  segment.file = reactor::File(reactor_.system(), *opened);
  const Status synced = co_await reactor_.sync(segment.file.fd());
  if (!synced.is_ok()) co_return fail(synced, "log file " + segment.path + " cannot be synced: " + synced.to_string());
  const Result<std::uint64_t> file_bytes = reactor_.system().file_bytes(segment.file.fd());
  if (!file_bytes) co_return fail(file_bytes.error(), "log file " + segment.path + " has no length");
  if (*file_bytes < kLogBlockBytes) {
    headless_.push_back(named);
    co_return true;
  }
  const reactor::AlignedBuffer block(kLogBlockBytes);
  if (!block) co_return fail(Status::from_errno(12), "no memory to read " + segment.path);
  const Status read = co_await reactor_.read(segment.file.fd(), 0, block.span());
  if (!read.is_ok())
    co_return fail(read.with_place(FileKind::kLog, 0), "log file " + segment.path + ", its header cannot be read");
  const Check check = check_segment_header(block.span(), options_.identity, options_.log, segment.facts);
  if (check == Check::kUnknown) {
    co_return fail(Status(Code::kNotSupported, FileKind::kLog, 0),
                   "log file " + segment.path + ", file offset 0: written by a newer version");
  }
  PENSTOCK_SOMETIMES("recovery: a segment without a good header", check == Check::kBad);
  PENSTOCK_SOMETIMES("recovery: a segment on its way to another index",
                     check == Check::kGood && segment.facts.index != named.index);
  if (check == Check::kBad) headless_.push_back(named);
  if (check == Check::kBad || segment.facts.index != named.index) co_return true;
  if (*file_bytes < segment.facts.segment_bytes && !options_.known_end) {
    // A name is given to whole files only. What was cut off may have held acknowledged groups, and nothing else proves them.
    co_return fail_damaged(segment.facts.base_offset, segment.facts.limit(),
                           "log file " + segment.path + " is " + std::to_string(*file_bytes) + " bytes long, not " +
                               std::to_string(segment.facts.segment_bytes));
  }
  segment.readable_bytes = base::align_down<std::uint64_t>(std::min(*file_bytes, segment.facts.segment_bytes), kLogBlockBytes);
  segments_.push_back(std::move(segment));
  co_return true;
}

/// The newest segments, down to the first one missing; of these, from the one that holds `begin` on.
bool LogReader::choose_segments() {
  std::size_t first = segments_.size();
  while (first > 0 && (first == segments_.size() || segments_[first - 1].facts.index + 1 == segments_[first].facts.index))
    --first;
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first));
  for (std::size_t index = 1; index < segments_.size(); ++index) {
    if (segments_[index].facts.base_offset == segments_[index - 1].facts.limit()) continue;
    return fail_damaged(segments_[index - 1].facts.limit(), segments_[index].facts.base_offset,
                        "log file " + segments_[index].path + " does not begin where the segment before it ends");
  }
  const std::string log = options_.directory + "/" + segment_name(options_.log, 0);
  if (segments_.empty())
    return fail_damaged(options_.begin, options_.begin, "all segments of the log " + log + " ... are missing" + absent_text());
  // Only freed segments are written over, and those are older than all in use.
  const std::uint64_t limit = segments_.back().facts.limit();
  if (!headless_.empty() && headless_.back().index > segments_.back().facts.index &&
      options_.known_end.value_or(~0ULL) > limit) {
    return fail_damaged(limit, limit, "the log ends at " + segments_.back().path + absent_text());
  }
  // A position at the very end of the last segment is in none, but proves that one.
  if (options_.begin > segments_.back().facts.limit()) {
    return fail_damaged(segments_.back().facts.limit(), options_.begin,
                        "the last segments of the log " + log + " ... are missing" + absent_text());
  }
  while (segments_.size() > 1 && segments_.front().facts.limit() <= options_.begin) segments_.erase(segments_.begin());
  return true;
}

// --- The groups ---

Task<> LogReader::attach(std::size_t index) {
  if (index < attached_) co_return;
  const SegmentToRead& segment = segments_[index];
  co_await stream_of(index).attach(segment.file.fd(), segment.facts.index, segment.readable_bytes);
  attached_ = index + 1;
}

Task<> LogReader::enter_segment(std::size_t index) {
  current_ = index;
  next_ = segments_[index].facts.base_offset;
  co_await attach(index);
}

Task<bool> LogReader::read_groups() {
  const std::uint64_t first = segments_.front().facts.base_offset;
  visitor_.on_log(std::max(first, std::min(options_.known_end.value_or(~0ULL), segments_.back().facts.limit())) - first);
  co_await enter_segment(0);
  result_.first = next_;
  result_.end = next_;
  while (!options_.known_end || result_.end < *options_.known_end) {
    Step step = co_await read_group();
    if (step == Step::kNothing) step = co_await next_segment_continues();
    if (step == Step::kFailed) co_return false;
    if (step == Step::kNothing) break;
  }
  co_return true;
}

Task<LogReader::Step> LogReader::read_group() {
  const SegmentToRead& segment = segments_[current_];
  if (next_ + kLogBlockBytes > segment.readable_end()) co_return Step::kNothing;
  const bool is_end_near = segment.readable_end() - next_ <= SegmentStream::kPieceBytes;
  if (is_end_near && has_segment(current_ + 1) && attached_ == current_ + 1) {
    co_await attach(current_ + 1);
    stream_of(current_ + 1).begin();
  }
  SegmentStream& stream = stream_of(current_);
  const Result<std::span<const std::byte>> block = co_await stream.fetch(segment.file_offset(next_), kLogBlockBytes);
  if (!block) {
    fail_reading(block.error(), segment, next_);
    co_return Step::kFailed;
  }
  GroupFacts facts;
  Check check = check_group_header(*block, context_of(segment), next_, facts);
  if (check == Check::kGood) {
    // The first group read may follow on segments that are gone. Of the others, none is missing before this one.
    const bool follows = is_first_ && segment.facts.index > 0 ? facts.previous_end <= next_ : facts.previous_end == result_.end;
    const bool is_within = facts.end() <= segment.readable_end() && (!options_.known_end || facts.end() <= *options_.known_end);
    if (!follows || !is_within) co_return Step::kNothing;
    const Result<std::span<const std::byte>> group = co_await stream.fetch(segment.file_offset(next_), facts.group_bytes);
    if (!group) {
      fail_reading(group.error(), segment, next_);
      co_return Step::kFailed;
    }
    check = check_group_body(*group, facts);
    PENSTOCK_SOMETIMES("recovery: a group whose body is torn", check == Check::kBad);
    if (check == Check::kGood) {
      const bool delivered = co_await deliver(*group, facts);
      co_return delivered ? Step::kGroup : Step::kFailed;
    }
  }
  if (check == Check::kBad) co_return Step::kNothing;
  fail(Status(Code::kNotSupported, FileKind::kLog, next_),
       place(segment, next_) + ": a group with features that this version does not know");
  co_return Step::kFailed;
}

Task<bool> LogReader::deliver(std::span<const std::byte> group, const GroupFacts& facts) {
  const Position end{.epoch = options_.log.epoch, .offset = facts.end()};
  RecordWalker walker(group, facts);
  Part part;
  while (walker.next_record()) {
    if (walker.type() != RecordType::kMarker) ++result_.records;
    while (walker.next_part(part)) {
      const Status status = co_await visitor_.on_part(part, end);
      if (status.is_ok()) continue;
      co_return fail(status, place(segments_[current_], facts.position) + ": its records were refused: " + status.to_string());
    }
  }
  visitor_.on_group(end, facts.group_bytes);
  is_first_ = false;
  ++result_.groups;
  result_.bytes += facts.group_bytes;
  result_.end = facts.end();
  result_.durable_offset = std::max(result_.durable_offset, facts.durable_position);
  released_ = std::max(released_, facts.released_position);
  next_ = facts.end();
  co_return true;
}

/// There is no group here. kGroup: the next segment's first one says that it comes after the last one read; it is entered.
Task<LogReader::Step> LogReader::next_segment_continues() {
  if (!has_segment(current_ + 1) || is_first_) co_return Step::kNothing;
  const SegmentToRead& segment = segments_[current_ + 1];
  const std::uint64_t position = segment.facts.base_offset;
  if (position + kLogBlockBytes > segment.readable_end()) co_return Step::kNothing;
  co_await attach(current_ + 1);
  const Result<std::span<const std::byte>> block =
      co_await stream_of(current_ + 1).fetch(segment.file_offset(position), kLogBlockBytes);
  if (!block) {
    fail_reading(block.error(), segment, position);
    co_return Step::kFailed;
  }
  GroupFacts facts;
  const Check check = check_group_header(*block, context_of(segment), position, facts);
  if (check == Check::kGood && facts.previous_end != result_.end) co_return Step::kNothing;
  if (check == Check::kBad) co_return Step::kNothing;
  PENSTOCK_SOMETIMES("recovery: a log goes on in its next segment", true);
  co_await enter_segment(current_ + 1);  // read_group() says what of it is good, or not known.
  co_return Step::kGroup;
}

// --- The end ---

Task<bool> LogReader::judge_end() {
  TailFacts facts;
  facts.end_is_known = options_.known_end.has_value();
  facts.end_is_reached = facts.end_is_known && result_.end == *options_.known_end;
  const std::uint64_t applied = std::max(options_.proven_end, options_.begin);
  facts.superblock_proves = applied > result_.end;
  std::uint64_t proven_end = std::max(applied, options_.known_end.value_or(0));
  if (!facts.end_is_known) {
    const bool looked = co_await look_behind_end(facts, proven_end);
    if (!looked) co_return false;
  }
  const Tail tail = wal::judge_tail(facts);
  PENSTOCK_SOMETIMES("recovery: a torn tail", tail == Tail::kTorn);
  PENSTOCK_SOMETIMES("recovery: damage to what was acknowledged", tail == Tail::kDamaged);
  result_.torn_tail = tail == Tail::kTorn;
  if (tail != Tail::kDamaged) co_return true;
  // The place that is damaged: where the next group should have been.
  co_return fail_damaged(result_.end, proven_end,
                         place(segments_[current_], next_) + ": no valid group, but the log was durable up to position " +
                             std::to_string(proven_end) + absent_text());
}

/// Headers of groups further on, in this segment and those after it: what they say was durable when they were sent is true
/// whether or not their own bodies arrived.
Task<bool> LogReader::look_behind_end(TailFacts& facts, std::uint64_t& proven_end) {
  for (std::size_t index = current_; index < segments_.size(); ++index) {
    const SegmentToRead& segment = segments_[index];
    std::uint64_t position = index == current_ ? next_ : segment.facts.base_offset;
    co_await attach(index);
    for (; position + kLogBlockBytes <= segment.readable_end(); position += kLogBlockBytes) {
      const Result<std::span<const std::byte>> block =
          co_await stream_of(index).fetch(segment.file_offset(position), kLogBlockBytes);
      if (!block) co_return fail_reading(block.error(), segment, position);
      if (!looks_like_group(*block, position)) continue;
      facts.looks_unfinished = true;
      GroupFacts found;
      if (check_group_header(*block, context_of(segment), position, found) != Check::kGood) continue;
      facts.later_group_proves = facts.later_group_proves || found.durable_position > result_.end;
      proven_end = std::max(proven_end, found.durable_position);
    }
  }
  co_return true;
}

/// Segments before the first one read may be gone only if a group says that nobody needs them.
bool LogReader::check_beginning() {
  const std::uint64_t first = segments_.front().facts.base_offset;
  if (options_.begin >= first || released_ >= first) return true;
  return fail_damaged(options_.begin, first,
                      "segments of the log before " + segments_.front().path + " are missing, and positions from " +
                          std::to_string(options_.begin) + " on are needed" + absent_text());
}

Task<Outcome<ReadResult>> LogReader::run() {
  if (options_.known_end && *options_.known_end <= options_.begin) {
    result_.end = *options_.known_end;
    co_return result_;
  }
  bool is_fine = co_await open_segments();
  if (is_fine) is_fine = co_await read_groups();
  if (is_fine) is_fine = co_await judge_end();
  if (is_fine) is_fine = check_beginning();
  for (SegmentStream& stream : streams_) co_await stream.close();
  if (!is_fine) {
    PENSTOCK_ASSERT(failure_.has_value());
    co_return std::unexpected(std::move(*failure_));
  }
  co_return result_;
}

}  // namespace

Task<Outcome<ReadResult>> read_log(reactor::Reactor& reactor, ReadOptions options, RecordVisitor& visitor) {
  LogReader reader(reactor, std::move(options), visitor);
  co_return co_await reader.run();
}

}  // namespace penstock::wal
