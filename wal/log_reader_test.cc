// What the reader makes of a log that was cut, damaged, recycled, or written by somebody newer.
#include <gtest/gtest.h>

#include <cstring>

#include "wal/group.h"
#include "wal/test_log.h"

namespace penstock::wal {
namespace {

const std::string kFirst = "/log/3-1-0";

/// A log of one small record per group, each known durable before the next; without a marker behind.
class ReaderTest : public LogTest {
 protected:
  void make_log(std::uint32_t records, std::uint64_t payload_bytes = 300) {
    boot();
    open_and_start();
    for (std::uint32_t index = 0; index < records; ++index) {
      ASSERT_TRUE(commit(static_cast<ShardId>(index % 3), payload_bytes).is_ok());
      ends_.push_back(user_->log().seal().offset);
    }
    world_->drain();  // Pool included.
    ASSERT_TRUE(close().is_ok());
    written_ = user_->records;
    shut_down();
  }
  Outcome<ReadResult> read_with(const ReadOptions& options) {
    collector_ = Collector();
    return read_from(disk_, options, collector_);
  }
  Outcome<ReadResult> read_now() { return read_with(test_read_options(options_)); }
  void expect_prefix(const Outcome<ReadResult>& result, std::size_t records) {
    ASSERT_TRUE(result.has_value()) << result.error().text;
    EXPECT_EQ(collector_.records.size(), records);
    EXPECT_TRUE(std::ranges::equal(collector_.records, std::span(written_).first(collector_.records.size())));
    EXPECT_EQ(result->end, records == 0 ? 0 : ends_[records - 1]);
  }
  void expect_corruption(const Outcome<ReadResult>& result, std::uint64_t begin, std::uint64_t end) {
    ASSERT_FALSE(result.has_value());
    EXPECT_TRUE(result.error().status.is(Code::kCorruption)) << result.error().text;
    EXPECT_EQ(result.error().status.file_kind(), FileKind::kLog);
    EXPECT_EQ(result.error().status.where(), begin);
    ASSERT_EQ(result.error().ranges.size(), 1U);
    EXPECT_EQ(result.error().ranges.front().epoch, 3U);
    EXPECT_EQ(result.error().ranges.front().reactor, 1U);
    EXPECT_EQ(result.error().ranges.front().begin, begin);
    EXPECT_EQ(result.error().ranges.front().end, end);
    EXPECT_NE(result.error().text.find("/log/3-1-"), std::string::npos) << result.error().text;
  }
  void flip(std::uint64_t position, std::uint64_t offset) {
    const std::uint64_t capacity = options_.segment_bytes - kLogBlockBytes;
    const std::string path = "/log/3-1-" + std::to_string(position / capacity);
    ASSERT_TRUE(disk_.flip_byte(path, kLogBlockBytes + (position % capacity) + offset, 0x40).is_ok());
  }

  std::vector<TestRecord> written_;
  std::vector<std::uint64_t> ends_;
  Collector collector_;
};

TEST_F(ReaderTest, ADamagedLastGroupWithoutProofIsATornTail) {
  make_log(10);
  flip(ends_[8], 200);
  const Outcome<ReadResult> result = read_now();
  expect_prefix(result, 9);
  EXPECT_TRUE(result->torn_tail);
}

TEST_F(ReaderTest, ADamagedGroupThatALaterOneProvesIsCorruption) {
  make_log(10);
  flip(ends_[3], 200);
  const Outcome<ReadResult> result = read_now();
  // The last group says that everything before it was durable.
  expect_corruption(result, ends_[3], ends_[8]);
}

TEST_F(ReaderTest, ALaterGroupProvesEvenIfItsOwnBodyIsDamaged) {
  make_log(10);
  flip(ends_[7], 200);
  flip(ends_[8], 200);
  expect_corruption(read_now(), ends_[7], ends_[8]);
}

TEST_F(ReaderTest, ASuperblocksWordMakesADamagedLastGroupCorruption) {
  make_log(10);
  flip(ends_[8], 200);
  ReadOptions options = test_read_options(options_);
  options.proven_end = ends_[9];
  expect_corruption(read_with(options), ends_[8], ends_[9]);
  options.proven_end = 0;
  options.begin = ends_[9];
  expect_corruption(read_with(options), ends_[8], ends_[9]);
}

TEST_F(ReaderTest, BytesAfterAKnownEndAreIgnoredAndDamageBeforeItIsCorruption) {
  make_log(10);
  ReadOptions options = test_read_options(options_);
  options.known_end = ends_[4];
  expect_prefix(read_with(options), 5);
  flip(ends_[4], 200);
  expect_prefix(read_with(options), 5);
  flip(ends_[3], 200);
  expect_corruption(read_with(options), ends_[3], ends_[4]);
  options.known_end = 0;
  expect_prefix(read_with(options), 0);
}

TEST_F(ReaderTest, AnEndInTheMiddleOfAGroupIsCorruption) {
  make_log(3, 9000);
  ReadOptions options = test_read_options(options_);
  options.known_end = ends_[1] - kLogBlockBytes;
  expect_corruption(read_with(options), ends_[0], ends_[1] - kLogBlockBytes);
}

TEST_F(ReaderTest, AKnownEndThatIsNeverReachedIsCorruption) {
  make_log(3);
  ReadOptions options = test_read_options(options_);
  options.known_end = ends_[2] + kLogBlockBytes;
  expect_corruption(read_with(options), ends_[2], ends_[2] + kLogBlockBytes);
}

TEST_F(ReaderTest, SegmentsFollowEachOtherAndAHoleBetweenThemIsNoticed) {
  make_log(60);
  const std::uint64_t capacity = options_.segment_bytes - kLogBlockBytes;
  ASSERT_GT(ends_.back(), 2 * capacity);
  expect_prefix(read_now(), 60);
  // The last group of the first segment: nothing behind it in its own file, but the next segment names it.
  std::size_t last = 0;
  while (ends_[last + 1] <= capacity) ++last;
  flip(ends_[last - 1], 200);
  expect_corruption(read_now(), ends_[last - 1], ends_[58]);
}

TEST_F(ReaderTest, ReadingStartsWithTheSegmentThatHoldsTheBeginning) {
  make_log(60);
  const std::uint64_t capacity = options_.segment_bytes - kLogBlockBytes;
  ReadOptions options = test_read_options(options_);
  options.begin = capacity + kLogBlockBytes;
  const Outcome<ReadResult> result = read_with(options);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_TRUE(std::ranges::equal(collector_.records, std::span(written_).last(collector_.records.size())));
  EXPECT_EQ(collector_.ends.front(), capacity + kLogBlockBytes);
}

TEST_F(ReaderTest, AMissingSegmentThatIsNeededIsCorruption) {
  make_log(60);
  const std::uint64_t capacity = options_.segment_bytes - kLogBlockBytes;
  for (const char* missing : {"/log/3-1-0", "/log/3-1-1", "/log/3-1-2", "/log/3-1-4"}) {
    const auto kept = disk_.clone();
    {
      reactor::SimWorld world(*kept);
      const Status removed = world.system().remove_file(missing);
      if (!removed.is_ok()) continue;
    }
    ReadOptions options = test_read_options(options_);
    options.proven_end = ends_.back();
    Collector collector;
    const Outcome<ReadResult> result = read_from(*kept, options, collector);
    const std::uint64_t index = static_cast<std::uint64_t>(missing[9] - '0');
    if (index * capacity >= ends_.back()) continue;  // A spare one.
    ASSERT_FALSE(result.has_value()) << missing;
    EXPECT_TRUE(result.error().status.is(Code::kCorruption)) << missing;
    EXPECT_EQ(result.error().ranges.size(), 1U);
  }
}

// Names are given to whole files only, and what was cut off may have held the last acknowledged group, which nothing else
// proves.
TEST_F(ReaderTest, AFileCutShortIsCorruptionUnlessTheEndIsKnownToLieBefore) {
  make_log(10);
  const auto bytes = *disk_.read_all(kFirst);
  const auto cut = std::span(bytes).first(kLogBlockBytes + ends_[8] + 100);
  ASSERT_TRUE(disk_.write_all(kFirst, cut).is_ok());
  expect_corruption(read_now(), 0, options_.segment_bytes - kLogBlockBytes);
  ReadOptions options = test_read_options(options_);
  options.known_end = ends_[8];
  expect_prefix(read_with(options), 9);
  options.known_end = ends_[9];
  expect_corruption(read_with(options), ends_[8], ends_[9]);
}

TEST_F(ReaderTest, ADamagedHeaderAfterTheNewestSegmentIsCorruption) {
  make_log(20);
  ASSERT_TRUE(disk_.exists("/log/3-1-2"));
  ASSERT_TRUE(disk_.flip_byte("/log/3-1-2", 40, 1).is_ok());
  const Outcome<ReadResult> result = read_now();
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().status.is(Code::kCorruption));
  EXPECT_NE(result.error().text.find("/log/3-1-2"), std::string::npos) << result.error().text;
}

TEST_F(ReaderTest, AnotherDatabasesSegmentsAreNotRead) {
  make_log(5);
  ReadOptions options = test_read_options(options_);
  options.identity.incarnation++;
  EXPECT_FALSE(read_with(options).has_value());
  EXPECT_TRUE(collector_.records.empty());
}

TEST_F(ReaderTest, AReadErrorIsNotTakenForAnEnd) {
  make_log(10);
  disk_.faults().fail_nth(reactor::SimEvent::kRead, 2, reactor::SimFault{.result = -EIO}, "3-1-0");
  const Outcome<ReadResult> result = read_now();
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().status.is(Code::kIoError)) << result.error().text;
}

TEST_F(ReaderTest, AFailedSyncBeforeReadingIsAFailure) {
  make_log(10);
  disk_.faults().fail_nth(reactor::SimEvent::kSync, 1, reactor::SimFault{.result = -EIO}, "3-1-0");
  EXPECT_FALSE(read_now().has_value());
}

class RefusingVisitor final : public RecordVisitor {
 public:
  Task<Status> on_part(const Part& part, Position end) override {
    (void)part;
    (void)end;
    ++parts;
    co_return parts == 3 ? Status(Code::kConflict) : Status::ok();
  }
  int parts = 0;
};

Task<Outcome<ReadResult>> read_refusing(reactor::Reactor* reactor, ReadOptions options, RefusingVisitor* visitor) {
  co_return co_await read_log(*reactor, std::move(options), *visitor);
}

TEST_F(ReaderTest, TheVisitorsRefusalEndsTheReading) {
  make_log(10);
  RefusingVisitor visitor;
  reactor::SimWorld world(disk_);
  const auto result = world.run(0, read_refusing, &world.reactor(0), test_read_options(options_), &visitor);
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().status.is(Code::kConflict));
  EXPECT_EQ(visitor.parts, 3);
}

/// Replaces the group at `position` by one that `record` alone is in.
void put_group(reactor::SimDisk& disk, std::uint64_t position, const Record& record, std::uint16_t version,
               std::uint64_t previous_end) {
  auto bytes = *disk.read_all(kFirst);
  SegmentFacts facts;
  ASSERT_EQ(check_segment_header(bytes, kTestIdentity, {.epoch = 3, .reactor = 1}, facts), Check::kGood);
  std::byte* const group = bytes.data() + kLogBlockBytes + position;
  GroupWriter writer(group, group_seed(facts.salt, position));
  writer.add(record);
  writer.finish({.identity = kTestIdentity, .log = {.epoch = 3, .reactor = 1}, .salt = facts.salt}, position, previous_end);
  auto header = base::load<GroupHeader>(std::span<const std::byte>(group, sizeof(GroupHeader)));
  header.version = version;
  base::store(std::span(group, sizeof(GroupHeader)), header);
  stamp_group(group, facts.salt, {});
  ASSERT_TRUE(disk.write_all(kFirst, bytes).is_ok());
}

TEST_F(ReaderTest, ANewerVersionOrAnUnknownRecordIsNotSupportedAndNamed) {
  make_log(4);
  const auto original = *disk_.read_all(kFirst);
  Record record{.type = RecordType::kMarker, .payload_checksum = base::checksum({}), .parts = {}};
  put_group(disk_, ends_[1], record, 2, ends_[1]);
  Outcome<ReadResult> result = read_now();
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().status.is(Code::kNotSupported)) << result.error().text;
  EXPECT_NE(result.error().text.find(kFirst + ", position " + std::to_string(ends_[1])), std::string::npos)
      << result.error().text;
  for (const RecordType type : {RecordType::kPrepare, RecordType::kOutcome, RecordType::kGraft, RecordType::kDdl,
                                RecordType::kGap, RecordType::kFamilyName}) {
    ASSERT_TRUE(disk_.write_all(kFirst, original).is_ok());
    record.type = type;
    put_group(disk_, ends_[1], record, 1, ends_[1]);
    result = read_now();
    ASSERT_FALSE(result.has_value());
    EXPECT_TRUE(result.error().status.is(Code::kNotSupported)) << result.error().text;
  }
}

TEST_F(ReaderTest, AGroupThatComesAfterAnotherThanTheLastOneReadIsNotTaken) {
  make_log(4);
  put_group(disk_, ends_[1], {.type = RecordType::kMarker, .payload_checksum = base::checksum({}), .parts = {}}, 1, ends_[0]);
  expect_corruption(read_now(), ends_[1], ends_[2]);
}

TEST_F(ReaderTest, EveryFlippedByteLeavesRightDataOrIsCorruption) {
  make_log(6, 60);
  const std::uint64_t used_bytes = sizeof(GroupHeader) + record_bytes(60, 1);
  for (std::size_t group = 0; group < ends_.size(); ++group) {
    const std::uint64_t start = ends_[group] - kLogBlockBytes;
    for (std::uint64_t offset = 0; offset < kLogBlockBytes; offset += offset < used_bytes ? 1 : 97) {
      SCOPED_TRACE("group " + std::to_string(group) + " offset " + std::to_string(offset));
      flip(start, offset);
      const Outcome<ReadResult> result = read_now();
      if (offset >= used_bytes) {
        expect_prefix(result, ends_.size());
      } else if (group + 1 < ends_.size()) {
        expect_corruption(result, start, ends_[ends_.size() - 2]);
      } else {
        expect_prefix(result, group);
      }
      flip(start, offset);
      if (HasFailure()) return;
    }
  }
  for (std::uint64_t offset = 0; offset < kLogBlockBytes; offset += offset < sizeof(SegmentHeader) ? 1 : 97) {
    SCOPED_TRACE("segment header, offset " + std::to_string(offset));
    ASSERT_TRUE(disk_.flip_byte(kFirst, offset, 0x40).is_ok());
    const Outcome<ReadResult> result = read_now();
    if (offset < sizeof(SegmentHeader)) {
      ASSERT_FALSE(result.has_value());
      EXPECT_TRUE(result.error().status.is(Code::kCorruption));
    } else {
      expect_prefix(result, ends_.size());
    }
    ASSERT_TRUE(disk_.flip_byte(kFirst, offset, 0x40).is_ok());
    if (HasFailure()) return;
  }
}

TEST_F(ReaderTest, GroupsOverSeveralPiecesAreReadWhole) {
  LogOptions options = test_options();
  options.segment_bytes = 8_MiB;
  options.group_bytes_max = 1_MiB;
  boot(options);
  open_and_start();
  for (const std::uint64_t bytes : {700'000ULL, 900'000ULL, 100ULL, 3'500'000ULL, 1'040'000ULL, 0ULL, 2'000'000ULL}) {
    ASSERT_TRUE(commit(0, bytes).is_ok());
  }
  ASSERT_TRUE(close().is_ok());
  const std::vector<TestRecord> written = user_->records;
  shut_down();
  const Outcome<ReadResult> result = read_now();
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_TRUE(collector_.records == written);
}

}  // namespace
}  // namespace penstock::wal
