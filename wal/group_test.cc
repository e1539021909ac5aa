// Groups and headers as bytes: what is written is read back; whatever is changed, moved, stale or newer is not taken for it.
#include "wal/group.h"

#include <gtest/gtest.h>

#include <cstring>

#include "wal/test_log.h"

namespace penstock::wal {
namespace {

constexpr std::uint64_t kPosition = 12 * kLogBlockBytes;
constexpr std::uint64_t kPreviousEnd = 11 * kLogBlockBytes;
const GroupContext kContext{.identity = kTestIdentity, .log = {.epoch = 3, .reactor = 1}, .salt = 0xfeedface};

struct Encoded {
  std::vector<std::byte> bytes;
  GroupFacts facts;
};

Encoded encode(const std::vector<Record>& records, const GroupContext& context = kContext) {
  Encoded made;
  made.bytes.resize(1_MiB, std::byte{0xee});
  GroupWriter writer(made.bytes.data(), group_seed(context.salt, kPosition));
  for (const Record& record : records) writer.add(record);
  const std::uint64_t bytes = writer.finish(context, kPosition, kPreviousEnd);
  EXPECT_FALSE(writer.is_open());
  made.bytes.resize(bytes);
  EXPECT_EQ(stamp_group(made.bytes.data(), context.salt,
                        {.durable_position = kPreviousEnd, .released_position = kLogBlockBytes, .wall_clock_ns = 1}),
            bytes);
  return made;
}

Check check(const Encoded& group, GroupFacts& facts, const GroupContext& context = kContext,
            std::uint64_t position = kPosition) {
  const Check header = check_group_header(group.bytes, context, position, facts);
  return header != Check::kGood ? header : check_group_body(group.bytes, facts);
}

Record batch_of(std::span<const Part> parts, const std::string& payload) {
  return {.type = RecordType::kBatch, .payload_checksum = base::checksum(as_span(payload)), .parts = parts};
}

class GroupTest : public ::testing::Test {
 protected:
  const std::string payload_ = test_payload(1, 5000);
  const Part parts_[2] = {{.shard = 2, .previous = 7, .first = 8, .operations = 3, .payload = Bytes(payload_).substr(0, 1200)},
                          {.shard = 3, .previous = 0, .first = 1, .operations = 1, .payload = Bytes(payload_).substr(1200)}};
  const std::string small_ = "abc";
  const Part small_part_{.shard = 0, .previous = 1, .first = 2, .operations = 1, .payload = small_};
  const std::vector<Record> records_{batch_of(parts_, payload_),
                                     batch_of({&small_part_, 1}, small_),
                                     {.type = RecordType::kMarker, .payload_checksum = base::checksum({}), .parts = {}}};
};

TEST_F(GroupTest, IsReadBackAsItWasWritten) {
  const Encoded group = encode(records_);
  EXPECT_EQ(group.bytes.size() % kLogBlockBytes, 0U);
  GroupFacts facts;
  ASSERT_EQ(check(group, facts), Check::kGood);
  EXPECT_EQ(facts.record_count, 3U);
  EXPECT_EQ(facts.end(), kPosition + group.bytes.size());
  EXPECT_EQ(facts.previous_end, kPreviousEnd);
  EXPECT_EQ(facts.durable_position, kPreviousEnd);
  EXPECT_EQ(facts.released_position, std::uint64_t{kLogBlockBytes});
  RecordWalker walker(group.bytes, facts);
  Part part;
  for (const Record& record : records_) {
    ASSERT_TRUE(walker.next_record());
    EXPECT_EQ(walker.type(), record.type);
    for (const Part& expected : record.parts) {
      ASSERT_TRUE(walker.next_part(part));
      EXPECT_EQ(part.shard, expected.shard);
      EXPECT_EQ(part.previous, expected.previous);
      EXPECT_EQ(part.first, expected.first);
      EXPECT_EQ(part.operations, expected.operations);
      EXPECT_EQ(part.payload, expected.payload);
    }
    EXPECT_FALSE(walker.next_part(part));
  }
  EXPECT_FALSE(walker.next_record());
}

TEST_F(GroupTest, EveryFlippedBitOfWhatIsUsedIsNoticed) {
  Encoded group = encode(records_);
  const std::size_t used_bytes = sizeof(GroupHeader) + record_bytes(5000, 2) + record_bytes(3, 1) + record_bytes(0, 0);
  ASSERT_LE(used_bytes, group.bytes.size());
  for (std::size_t offset = 0; offset < used_bytes; ++offset) {
    for (const unsigned bit : {0U, 3U, 7U}) {
      group.bytes[offset] ^= std::byte{static_cast<std::uint8_t>(1U << bit)};
      GroupFacts facts;
      EXPECT_EQ(check(group, facts), Check::kBad) << "offset " << offset << " bit " << bit;
      group.bytes[offset] ^= std::byte{static_cast<std::uint8_t>(1U << bit)};
    }
  }
  // What is left is padding, zeros although the memory had held other things.
  for (std::size_t offset = used_bytes; offset < group.bytes.size(); ++offset)
    ASSERT_EQ(group.bytes[offset], std::byte{0}) << offset;
}

TEST_F(GroupTest, CountsOnlyInItsOwnPlaceAndLife) {
  const Encoded group = encode(records_);
  GroupFacts facts;
  EXPECT_EQ(check(group, facts, kContext, kPosition + kLogBlockBytes), Check::kBad);
  GroupContext other = kContext;
  other.salt ^= 1U;
  EXPECT_EQ(check(group, facts, other), Check::kBad);
  other = kContext;
  other.identity.incarnation++;
  EXPECT_EQ(check(group, facts, other), Check::kBad);
  other = kContext;
  other.identity.uuid_low++;
  EXPECT_EQ(check(group, facts, other), Check::kBad);
  other = kContext;
  other.log.epoch++;
  EXPECT_EQ(check(group, facts, other), Check::kBad);
  other = kContext;
  other.log.reactor++;
  EXPECT_EQ(check(group, facts, other), Check::kBad);
}

/// Changes the header and makes its checksum right again.
template <typename Change>
Check check_changed(Encoded group, Change change) {
  auto header = base::load<GroupHeader>(group.bytes);
  change(header);
  base::store(group.bytes, header);
  header.header_checksum = base::checksum(std::span<const std::byte>(group.bytes).subspan(16, sizeof(GroupHeader) - 16),
                                          group_seed(kContext.salt, kPosition));
  base::store(group.bytes, header);
  GroupFacts facts;
  return check(group, facts);
}

TEST_F(GroupTest, AHeaderFromANewerVersionIsNotGuessed) {
  const Encoded group = encode(records_);
  EXPECT_EQ(check_changed(group, [](GroupHeader&) {}), Check::kGood);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.version = 2; }), Check::kUnknown);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.codec = 1; }), Check::kUnknown);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.key_id = 1; }), Check::kUnknown);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.block_bytes = 8192; }), Check::kUnknown);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.reserved0 = 1; }), Check::kUnknown);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.reserved1 = 1; }), Check::kUnknown);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.reserved2 = 1; }), Check::kUnknown);
}

TEST_F(GroupTest, AHeaderThatMakesNoSenseIsBadAlthoughItsChecksumIsRight) {
  const Encoded group = encode(records_);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.body_bytes = 0xffffffff; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.group_bytes = 0; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.body_raw_bytes = 1; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.record_count = 0; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.record_count = 0xffffffff; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.previous_end = kPosition + kLogBlockBytes; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.previous_end = 1; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.durable_position = kPosition; }), Check::kBad);
  EXPECT_EQ(check_changed(group, [](GroupHeader& header) { header.released_position = kPosition + 1; }), Check::kBad);
}

TEST_F(GroupTest, RecordTypesThatAreNotBuiltAreNotSupported) {
  for (const RecordType type :
       {RecordType::kPrepare, RecordType::kOutcome, RecordType::kGraft, RecordType::kDdl, RecordType::kGap,
        RecordType::kFamilyName, static_cast<RecordType>(0), static_cast<RecordType>(99)}) {
    std::vector<Record> records = records_;
    records[1].type = type;
    GroupFacts facts;
    EXPECT_EQ(check(encode(records), facts), Check::kUnknown) << static_cast<int>(type);
  }
}

TEST_F(GroupTest, AWrongPayloadIsNoticed) {
  std::vector<Record> records = records_;
  records[0].payload_checksum ^= 1U;
#ifndef PENSTOCK_ENABLE_AUDIT  // Else the writer notices.
  GroupFacts facts;
  EXPECT_EQ(check(encode(records), facts), Check::kBad);
#endif
}

TEST(SegmentHeaderTest, IsReadBackAndEveryFlippedByteIsNoticed) {
  const SegmentFacts facts{.index = 5, .base_offset = 5 * 61440, .segment_bytes = 65536, .salt = 42};
  const LogName log{.epoch = 3, .reactor = 1};
  std::vector<std::byte> block(kLogBlockBytes, std::byte{0xee});
  encode_segment_header(facts, kTestIdentity, log, block);
  SegmentFacts found;
  ASSERT_EQ(check_segment_header(block, kTestIdentity, log, found), Check::kGood);
  EXPECT_EQ(found.index, facts.index);
  EXPECT_EQ(found.base_offset, facts.base_offset);
  EXPECT_EQ(found.segment_bytes, facts.segment_bytes);
  EXPECT_EQ(found.salt, facts.salt);
  for (std::size_t offset = 0; offset < sizeof(SegmentHeader); ++offset) {
    block[offset] ^= std::byte{0x10};
    EXPECT_EQ(check_segment_header(block, kTestIdentity, log, found), Check::kBad) << offset;
    block[offset] ^= std::byte{0x10};
  }
  EXPECT_EQ(check_segment_header(block, kTestIdentity, {.epoch = 4, .reactor = 1}, found), Check::kBad);
  EXPECT_EQ(check_segment_header(block, kTestIdentity, {.epoch = 3, .reactor = 2}, found), Check::kBad);
  auto header = base::load<SegmentHeader>(block);
  header.version = 2;
  header.checksum = base::checksum(base::bytes_of(header).subspan(16));
  base::store(block, header);
  EXPECT_EQ(check_segment_header(block, kTestIdentity, log, found), Check::kUnknown);
}

}  // namespace
}  // namespace penstock::wal
