// The writing side on the simulated disk: what is acknowledged, when and in what order, how segments come and go.
#include <gtest/gtest.h>

#include <cerrno>

#include "wal/group.h"
#include "wal/test_log.h"
#include "wal/wal.h"

namespace penstock::wal {
namespace {

using reactor::SimEvent;
using reactor::SimFault;

TEST_F(LogTest, WhatWasClosedIsReadBackInOrder) {
  boot();
  open_and_start();
  for (std::uint32_t index = 0; index < 400; ++index) {
    ASSERT_TRUE(append(static_cast<ShardId>(index % 4), index * 7 % 900).is_ok());
  }
  ASSERT_TRUE(close().is_ok());
  EXPECT_EQ(user_->durable_count(), 400U);
  const std::vector<TestRecord> written = user_->records;
  const Position end = user_->log().end();
  EXPECT_GT(user_->log().counters().segments_prepared, 3U);
  shut_down();
  Collector collector;
  const Outcome<ReadResult> result = read(collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->end, end.offset);
  EXPECT_EQ(result->records, 400U);
  EXPECT_FALSE(result->torn_tail);
  EXPECT_EQ(result->bytes, collector.bytes);
  EXPECT_TRUE(collector.records == written);
}

TEST_F(LogTest, AnEmptyLogIsReadAsEmpty) {
  boot();
  open_and_start();
  ASSERT_TRUE(close().is_ok());
  EXPECT_EQ(user_->log().end(), (Position{.epoch = 3, .offset = 0}));
  shut_down();
  Collector collector;
  const Outcome<ReadResult> result = read(collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->end, 0U);
  EXPECT_EQ(result->groups, 0U);
}

TEST_F(LogTest, RecordsThatArriveDuringAChainShareTheNextOne) {
  boot();
  open_and_start();
  const std::uint64_t chains_before = world_->reactor(0).io().counters().chains;
  ASSERT_TRUE(append(0, 100).is_ok());
  for (std::uint32_t index = 0; index < 50; ++index) {
    ASSERT_EQ(user_->log().admit(100, 1), Log::Admission::kNow);
    user_->append_now(1, 100, Durability::kSync);
  }
  ASSERT_TRUE(settle().is_ok());
  EXPECT_LE(user_->log().counters().groups, 2U);
  EXPECT_LE(world_->reactor(0).io().counters().chains - chains_before, 2U);
}

TEST_F(LogTest, AWriteAndItsSyncGoOutAsOneChain) {
  boot();
  open_and_start();
  world_->drain();
  const auto before = world_->reactor(0).io().counters();
  for (std::uint32_t index = 0; index < 5; ++index) ASSERT_TRUE(commit(0, 100).is_ok());
  const auto& after = world_->reactor(0).io().counters();
  EXPECT_EQ(after.chains - before.chains, 5U);
  EXPECT_EQ(after.writes - before.writes, 5U);
  EXPECT_EQ(after.syncs - before.syncs, 5U);
  EXPECT_EQ(after.entries - before.entries, 10U);
  EXPECT_EQ(user_->log().counters().syncs, 5U);
}

TEST_F(LogTest, GroupsStayWithinTheirLimitUnlessOneRecordIsLarger) {
  boot();
  open_and_start();
  const std::uint64_t large_bytes = user_->log().record_payload_bytes_max();
  EXPECT_GT(large_bytes, options_.group_bytes_max);
  ASSERT_TRUE(append(0, 100).is_ok());
  ASSERT_TRUE(append(1, large_bytes).is_ok());
  for (std::uint32_t index = 0; index < 30; ++index) ASSERT_TRUE(append(2, 3000).is_ok());
  ASSERT_TRUE(append(1, large_bytes).is_ok());
  ASSERT_TRUE(close().is_ok());
  const std::vector<TestRecord> written = user_->records;
  shut_down();
  Collector collector;
  const Outcome<ReadResult> result = read(collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_TRUE(collector.records == written);
}

TEST_F(LogTest, SealEndsAGroupAndGivesItsEnd) {
  boot();
  open_and_start();
  EXPECT_EQ(user_->log().seal().offset, 0U);
  ASSERT_EQ(user_->log().admit(100, 1), Log::Admission::kNow);
  const GroupNumber first = user_->append_now(0, 100, Durability::kSync);
  const Position end = user_->log().seal();
  EXPECT_EQ(end.offset, std::uint64_t{kLogBlockBytes});
  EXPECT_EQ(user_->log().seal(), end);
  ASSERT_EQ(user_->log().admit(100, 1), Log::Admission::kNow);
  EXPECT_EQ(user_->append_now(0, 100, Durability::kSync), first + 1);
  const Status durable = world_->run(0, &Log::make_durable, &user_->log(), end);
  EXPECT_TRUE(durable.is_ok());
  EXPECT_GE(user_->log().durable_position(), end);
}

TEST_F(LogTest, WrittenGroupsNeedNoSyncUntilSomebodyWantsThemDurable) {
  boot();
  open_and_start();
  ASSERT_TRUE(append(0, 100, Durability::kWritten).is_ok());
  world_->run_until([this] { return user_->log().written_group() == 1; });
  world_->run_for(1'000'000);
  EXPECT_EQ(user_->log().durable_group(), 0U);
  EXPECT_EQ(user_->log().counters().syncs, 0U);
  const Position end = user_->log().seal();
  const Status durable = world_->run(0, &Log::make_durable, &user_->log(), end);
  ASSERT_TRUE(durable.is_ok());
  EXPECT_EQ(user_->log().durable_group(), 1U);
  EXPECT_EQ(user_->log().durable_position(), end);
  EXPECT_EQ(user_->log().counters().syncs, 1U);
}

TEST_F(LogTest, AnOldSegmentIsSyncedBeforeAGroupOfTheNextIsSent) {
  boot();
  open_and_start();
  disk_.faults().fail_nth(SimEvent::kSync, 1, SimFault{.result = -EIO}, "3-1-0");
  while (user_->log().seal().offset + (3 * kLogBlockBytes) < options_.segment_bytes) {
    ASSERT_TRUE(append(0, 3000, Durability::kWritten).is_ok());
  }
  const GroupNumber written = user_->log().seal().offset / kLogBlockBytes;
  ASSERT_TRUE(append(1, 9000, Durability::kSync).is_ok());  // Does not fit any more.
  EXPECT_TRUE(settle().is(Code::kPoisoned));
  EXPECT_EQ(user_->log().durable_group(), 0U);
  EXPECT_LE(user_->log().written_group(), written);
  const auto next = disk_.read_all("/log/3-1-1");
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE(reactor::is_zeros(std::span(*next).subspan(kLogBlockBytes)));
}

TEST_F(LogTest, APauseIsFollowedByOneMarker) {
  boot();
  open_and_start();
  world_->run_for(200'000'000);
  EXPECT_EQ(user_->log().counters().markers, 0U);  // Nothing to state yet.
  ASSERT_TRUE(commit(0, 100).is_ok());
  world_->run_for(30'000'000);
  EXPECT_EQ(user_->log().counters().markers, 0U);
  world_->run_for(1'000'000'000);
  EXPECT_EQ(user_->log().counters().markers, 1U);
  EXPECT_EQ(user_->log().durable_group(), 2U);
  ASSERT_TRUE(commit(0, 100).is_ok());
  world_->run_for(1'000'000'000);
  EXPECT_EQ(user_->log().counters().markers, 2U);
}

TEST_F(LogTest, TheMarkerProvesTheLastAcknowledgedGroup) {
  boot();
  open_and_start();
  ASSERT_TRUE(commit(0, 100).is_ok());
  world_->run_for(1'000'000'000);
  ASSERT_TRUE(close().is_ok());
  shut_down();
  ASSERT_TRUE(disk_.flip_byte("/log/3-1-0", kLogBlockBytes + 200, 1).is_ok());
  Collector collector;
  const Outcome<ReadResult> result = read(collector);
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().status.is(Code::kCorruption));
}

TEST_F(LogTest, SegmentsAreRecycledOnceEveryShardIsPastThem) {
  boot();
  open_and_start();
  for (std::uint32_t round = 0; round < 40; ++round) {
    for (std::uint32_t index = 0; index < 10; ++index) ASSERT_TRUE(append(static_cast<ShardId>(index % 3), 3000).is_ok());
    ASSERT_TRUE(settle().is_ok());
    const Position end = user_->log().seal();
    release(0, end);
    release(1, end);
    if (round > 2) release(2, end);
    if (round <= 2) {
      EXPECT_EQ(user_->log().counters().segments_recycled, 0U);
    }
  }
  EXPECT_GT(user_->log().counters().segments_recycled, 10U);
  EXPECT_LE(user_->log().bytes_in_use(), 3 * options_.segment_bytes);
  EXPECT_LE(disk_.list_files().size(), 12U);
  ASSERT_TRUE(close().is_ok());
  const std::vector<TestRecord> written = user_->records;
  shut_down();
  // Shard 3 was never heard of: it would read from the beginning, which is gone, with the log's own word for it.
  Collector collector;
  const Outcome<ReadResult> result = read(collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  ASSERT_LT(collector.records.size(), written.size());
  EXPECT_TRUE(std::ranges::equal(collector.records, std::span(written).last(collector.records.size())));
}

// The smallest of a flush that freed the log of minutes: removing it all in one go held up the reactor for a tenth of a second.
TEST_F(LogTest, WhatIsTooMuchIsRemovedOneSegmentAfterTheOther) {
  boot();
  open_and_start();
  while (disk_.list_files().size() < 16) ASSERT_TRUE(append(0, 3000).is_ok());
  ASSERT_TRUE(settle().is_ok());
  release_all(user_->log().seal());
  ASSERT_TRUE(commit(0, 100).is_ok());  // Says so.
  const std::size_t before = disk_.list_files().size();
  world_->run_for(15'000'000);
  EXPECT_GE(disk_.list_files().size() + 2, before);
  world_->run_for(1'000'000'000);
  EXPECT_LE(disk_.list_files().size(), 8U);
  EXPECT_TRUE(close().is_ok());
}

TEST_F(LogTest, ASegmentThatOneShardStillNeedsIsKept) {
  boot();
  open_and_start();
  ASSERT_TRUE(append(2, 100).is_ok());
  for (std::uint32_t index = 0; index < 100; ++index) ASSERT_TRUE(append(0, 3000).is_ok());
  ASSERT_TRUE(settle().is_ok());
  const std::uint64_t before = user_->log().bytes_in_use();
  release(0, user_->log().seal());
  world_->run_for(1'000'000'000);
  EXPECT_EQ(user_->log().bytes_in_use(), before);
  release(2, {.epoch = 3, .offset = 0});
  EXPECT_EQ(user_->log().bytes_in_use(), before);
  release(2, {.epoch = 2, .offset = ~0ULL});  // Of an earlier epoch: says nothing about this log.
  EXPECT_EQ(user_->log().bytes_in_use(), before);
  release(2, {.epoch = 3, .offset = kLogBlockBytes});
  EXPECT_EQ(user_->log().bytes_in_use(), options_.segment_bytes);
}

TEST_F(LogTest, NothingIsRecycledBeforeADurableGroupSaysSo) {
  boot();
  open_and_start();
  for (std::uint32_t index = 0; index < 40; ++index) ASSERT_TRUE(append(0, 3000).is_ok());
  ASSERT_TRUE(settle().is_ok());
  world_->drain();
  const auto before = *disk_.read_all("/log/3-1-0");
  release(0, user_->log().seal());
  world_->drain();
  EXPECT_EQ(*disk_.read_all("/log/3-1-0"), before);
  world_->run_for(1'000'000'000);  // A marker says it in the pause.
  EXPECT_EQ(user_->log().counters().markers, 1U);
  for (std::uint32_t index = 0; index < 40; ++index) ASSERT_TRUE(append(0, 3000).is_ok());
  ASSERT_TRUE(settle().is_ok());
  world_->drain();
  EXPECT_GT(user_->log().counters().segments_recycled, 0U);
}

TEST_F(LogTest, ARecycledSegmentHasAFreshSaltAndItsHeaderAndNameSurviveAPowerCut) {
  boot();
  open_and_start();
  std::vector<std::uint64_t> salts;
  std::uint64_t seen = 0;
  for (std::uint32_t round = 0; round < 100; ++round) {
    ASSERT_TRUE(commit(0, 9000).is_ok());
    release_all(user_->log().seal());
    world_->run_for(100'000);
    const auto after = disk_.clone();
    after->cut_power({.data = reactor::SimCut::Data::kNone, .names = reactor::SimCut::Names::kNone});
    const std::string path = "/log/3-1-" + std::to_string(seen);
    if (!after->exists(path)) {
      continue;
    }
    SegmentFacts facts;
    ASSERT_EQ(check_segment_header(*after->read_all(path), kTestIdentity, {.epoch = 3, .reactor = 1}, facts), Check::kGood);
    EXPECT_EQ(facts.index, seen++);
    EXPECT_EQ(std::ranges::count(salts, facts.salt), 0);
    salts.push_back(facts.salt);
  }
  EXPECT_GT(seen, 10U);
  EXPECT_GT(user_->log().counters().segments_recycled, 5U);
}

TEST_F(LogTest, PressureIsRaisedOncePerOldestSegment) {
  boot();
  open_and_start();
  for (std::uint32_t index = 0; index < 60; ++index) ASSERT_TRUE(append(static_cast<ShardId>(index % 2), 3000).is_ok());
  ASSERT_TRUE(settle().is_ok());
  EXPECT_TRUE(user_->pressures.empty());
  for (std::uint32_t index = 0; index < 120; ++index) ASSERT_TRUE(append(3, 3000).is_ok());
  ASSERT_TRUE(settle().is_ok());
  ASSERT_EQ(user_->pressures.size(), 1U);
  EXPECT_EQ(user_->pressures.front(), (std::vector<ShardId>{0, 1}));
  release(0, {.epoch = 3, .offset = 60 * kLogBlockBytes});
  world_->run_for(10'000'000);
  EXPECT_EQ(user_->pressures.size(), 1U);
  release(1, {.epoch = 3, .offset = 60 * kLogBlockBytes});
  world_->run_for(10'000'000);
  EXPECT_GE(user_->pressures.size(), 2U);
}

TEST_F(LogTest, AFullDiskRefusesRecordsAndTakesThemAgainAfterARelease) {
  boot();
  open_and_start();
  ASSERT_TRUE(commit(0, 100).is_ok());
  world_->drain();
  disk_.set_capacity(disk_.used_bytes());
  Status status;
  while (status.is_ok()) status = append(1, 3000);
  ASSERT_TRUE(status.is(Code::kNoSpace)) << status.to_string();
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(user_->log().admit(3000, 1), Log::Admission::kNoSpace);
  world_->run_for(10'000'000);
  EXPECT_FALSE(user_->pressures.empty());
  EXPECT_EQ(user_->log().admit(0, 1), Log::Admission::kNoSpace);
  release_all(user_->log().seal());
  world_->run_for(10'000'000);
  // A group in the last block has said so: the freed segment was made the next one although there is no other room for a word.
  EXPECT_GE(user_->log().counters().segments_recycled, 1U);
  EXPECT_TRUE(commit(1, 3000).is_ok());
  ASSERT_TRUE(close().is_ok());
  const std::vector<TestRecord> written = user_->records;
  shut_down();
  Collector collector;
  const Outcome<ReadResult> result = read(collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_TRUE(std::ranges::equal(collector.records, std::span(written).last(collector.records.size())));
  EXPECT_GE(collector.records.size(), 1U);
}

TEST_F(LogTest, AFullDiskIsAskedAgainOnDemandButNotAllTheTime) {
  boot();
  open_and_start();
  ASSERT_TRUE(commit(0, 100).is_ok());
  world_->drain();
  disk_.set_capacity(disk_.used_bytes());
  Status status;
  while (status.is_ok()) status = append(1, 3000);
  const std::uint64_t attempts = disk_.faults().events_of(SimEvent::kResize);
  for (std::uint32_t index = 0; index < 20; ++index) {
    EXPECT_EQ(user_->log().admit(3000, 1), Log::Admission::kNoSpace);
    world_->run_for(1'000'000);
  }
  EXPECT_LE(disk_.faults().events_of(SimEvent::kResize), attempts + 1);
  disk_.set_capacity(~0ULL);
  world_->run_for(200'000'000);
  EXPECT_EQ(user_->log().admit(3000, 1), Log::Admission::kNoSpace);
  world_->run_for(50'000'000);
  EXPECT_TRUE(commit(1, 3000).is_ok());
}

TEST_F(LogTest, ACloseIsAnsweredToLateAppends) {
  boot();
  open_and_start();
  ASSERT_TRUE(commit(0, 100).is_ok());
  ASSERT_TRUE(close().is_ok());
  EXPECT_EQ(user_->log().admit(100, 1), Log::Admission::kClosed);
  EXPECT_EQ(user_->log().end().offset, std::uint64_t{kLogBlockBytes});
}

TEST_F(LogTest, AnUnfinishedOpeningOfTheSameEpochIsClearedAway) {
  boot();
  open_and_start();
  ASSERT_TRUE(close().is_ok());
  shut_down();
  ASSERT_TRUE(disk_.write_all("/log/3-1-5.new", std::vector<std::byte>(4096)).is_ok());
  ASSERT_TRUE(disk_.write_all("/log/3-1-9", std::vector<std::byte>(4096)).is_ok());
  boot();
  open_and_start();
  EXPECT_EQ(disk_.list_files(), (std::vector<std::string>{"/log/3-1-0", "/log/3-1-1"}));
}

TEST_F(LogTest, ZerosForTheNextSegmentKeepAheadOfTwiceWhatIsUsed) {
  LogOptions options = test_options();
  options.segment_bytes = 4_MiB;
  options.group_bytes_max = 256_KiB;
  boot(options);
  open_and_start();
  const auto zeros_written = [this] {
    world_->drain();
    return world_->reactor(0).io().counters().write_bytes - user_->log().counters().written_bytes;
  };
  const auto fill_to = [this](std::uint64_t offset) {
    while (user_->log().end().offset < offset) ASSERT_TRUE(commit(0, 100'000).is_ok());
  };
  const std::uint64_t at_first = zeros_written();  // Two segments.
  fill_to(4_MiB);                                  // A little into the second.
  EXPECT_LE(zeros_written() - at_first, 1_MiB);
  EXPECT_EQ(user_->log().counters().segments_prepared, 2U);
  fill_to(6_MiB + 256_KiB);
  EXPECT_EQ(zeros_written() - at_first, 4_MiB);
  EXPECT_EQ(user_->log().counters().segments_prepared, 3U);
  fill_to(13_MiB);
  EXPECT_EQ(user_->log().counters().segments_late, 0U);
}

}  // namespace
}  // namespace penstock::wal
