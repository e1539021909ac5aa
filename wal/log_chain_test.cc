// Faults at completions: what is sent again, what poisons, and that nothing is sent after that.
#include <gtest/gtest.h>

#include <cerrno>

#include "wal/test_log.h"

namespace penstock::wal {
namespace {

using reactor::SimEvent;
using reactor::SimFault;
using reactor::SimSyncLoss;

class ChainTest : public LogTest {
 protected:
  void start_log() {
    boot();
    open_and_start();
    ASSERT_TRUE(commit(0, 100).is_ok());
  }
  void expect_all_is_read_back() {
    ASSERT_TRUE(close().is_ok());
    const std::vector<TestRecord> written = user_->records;
    shut_down();
    disk_.cut_power(5);
    Collector collector;
    const Outcome<ReadResult> result = read(collector);
    ASSERT_TRUE(result.has_value()) << result.error().text;
    EXPECT_TRUE(collector.records == written);
  }
  /// Three records, the second of which meets the fault; what was acknowledged survives a power cut, and the rest is whole or
  /// absent.
  void expect_poisoned(int error_number) {
    EXPECT_TRUE(append(1, 9000).is_ok());
    EXPECT_TRUE(settle().is(Code::kPoisoned));
    EXPECT_EQ(user_->log().durable_group(), 1U);
    EXPECT_EQ(user_->log().failure().error_number(), error_number);
    EXPECT_EQ(user_->log().admit(10, 1), Log::Admission::kPoisoned);
    world_->drain();
    const std::uint64_t events = disk_.faults().events();
    world_->run_for(1'000'000'000);
    const Status durable = world_->run(0, &Log::make_durable, &user_->log(), user_->log().seal());
    EXPECT_TRUE(durable.is(Code::kPoisoned));
    EXPECT_TRUE(close().is(Code::kPoisoned));
    EXPECT_EQ(disk_.faults().events(), events);  // Wal-I3: nothing was sent, nothing tried again.
    const std::vector<TestRecord> written = user_->records;
    shut_down();
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto after = disk_.clone();
      after->cut_power(seed);
      Collector collector;
      const Outcome<ReadResult> result = read_from(*after, test_read_options(options_), collector);
      ASSERT_TRUE(result.has_value()) << result.error().text;
      ASSERT_GE(collector.records.size(), 1U);
      EXPECT_TRUE(std::ranges::equal(collector.records, std::span(written).first(collector.records.size())));
    }
    user_ = nullptr;
  }
};

TEST_F(ChainTest, AWriteThatDidNotRunIsSentAgain) {
  start_log();
  std::uint64_t resumed = 0;
  for (const std::int32_t result : {-EAGAIN, -EINTR, -ECANCELED}) {
    disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = result}, "3-1-0");
    ASSERT_TRUE(commit(1, 9000).is_ok());
    EXPECT_EQ(user_->log().counters().resumed_writes, ++resumed);
  }
  EXPECT_EQ(disk_.faults().struck(), 3U);
  expect_all_is_read_back();
}

TEST_F(ChainTest, EachBatchIsTimedOnceInEveryStageThatItGoesThrough) {
  start_log();  // One synced batch.
  ASSERT_TRUE(commit(1, 9000).is_ok());
  EXPECT_TRUE(user_->log().begins_batch());
  const LogStages& stages = user_->log().stages();
  for (const base::Histogram* stage : {&stages.queue, &stages.write, &stages.sync}) {
    EXPECT_EQ(stage->count(), 2U);
    EXPECT_GT(stage->min_ns(), 0U);
    EXPECT_LT(stage->max_ns(), world_->system().now_ns());
  }
  EXPECT_GE(stages.wake.count(), 2U);
  expect_all_is_read_back();
}

TEST_F(ChainTest, AWriteThatIsDurableWhenItCompletesCountsAsASync) {
  LogOptions options = test_options();
  options.sync_mode = SyncMode::kDsync;
  boot(options);
  open_and_start();
  ASSERT_TRUE(commit(0, 100).is_ok());
  EXPECT_EQ(user_->log().stages().write.count(), 0U);
  EXPECT_EQ(user_->log().stages().sync.count(), 1U);
  expect_all_is_read_back();
}

TEST_F(ChainTest, AShortWriteIsResumedAtABlock) {
  start_log();
  for (const std::uint32_t short_bytes : {4096U, 8192U}) {
    disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.short_bytes = short_bytes}, "3-1-0");
    ASSERT_TRUE(commit(1, 9000).is_ok());
  }
  EXPECT_EQ(user_->log().counters().resumed_writes, 2U);
  EXPECT_EQ(disk_.faults().struck(), 2U);
  expect_all_is_read_back();
}

TEST_F(ChainTest, ASyncIsSentAgainOnlyIfItDidNotRun) {
  start_log();
  for (const std::int32_t result : {-EAGAIN, -EINTR, -ECANCELED}) {
    disk_.faults().fail_nth(SimEvent::kSync, 1, SimFault{.result = result}, "3-1-0");
    ASSERT_TRUE(commit(1, 9000).is_ok());
  }
  EXPECT_EQ(user_->log().counters().resumed_writes, 0U);
  EXPECT_EQ(disk_.faults().struck(), 3U);
  expect_all_is_read_back();
}

TEST_F(ChainTest, AWriteThatMovesNothingPoisons) {
  start_log();
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.short_bytes = 3 * 4096}, "3-1-0");
  expect_poisoned(EIO);
}

TEST_F(ChainTest, AFailedWritePoisons) {
  start_log();
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = -EIO}, "3-1-0");
  expect_poisoned(EIO);
}

TEST_F(ChainTest, NoSpaceAtACompletionPoisonsToo) {
  start_log();
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = -ENOSPC}, "3-1-0");
  expect_poisoned(ENOSPC);
}

TEST_F(ChainTest, AFailedSyncPoisonsAndIsNeverTriedAgain) {
  for (const SimSyncLoss loss : {SimSyncLoss::kKept, SimSyncLoss::kLost}) {
    start_log();
    disk_.faults().fail_nth(SimEvent::kSync, 1, SimFault{.result = -EIO, .sync_loss = loss}, "3-1-0");
    expect_poisoned(EIO);
    disk_.cut_power(1);
    for (const std::string& file : disk_.list_files()) {
      reactor::SimWorld world(disk_);
      ASSERT_TRUE(world.system().remove_file(file).is_ok());
    }
  }
}

TEST_F(ChainTest, EndlessExcusesPoison) {
  start_log();
  disk_.faults().fail_from(SimEvent::kWrite, 1, SimFault{.result = -EINTR}, "3-1-0");
  expect_poisoned(EIO);
}

TEST_F(ChainTest, AFailureElsewherePoisonsOnRequest) {
  start_log();
  ASSERT_TRUE(append(1, 100).is_ok());
  user_->log().poison(Status::from_errno(EROFS));
  EXPECT_TRUE(settle().is(Code::kPoisoned));
  EXPECT_EQ(user_->log().failure().error_number(), EROFS);
  user_->log().poison(Status::from_errno(EIO));
  EXPECT_EQ(user_->log().failure().error_number(), EROFS);  // The first cause stays.
  EXPECT_TRUE(close().is(Code::kPoisoned));
}

TEST_F(ChainTest, ManySmallTroublesLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    boot(test_options(), seed);
    open_and_start();
    disk_.faults().set_rates({.short_one_in = 3, .interrupted_one_in = 5, .again_one_in = 5});
    for (std::uint32_t index = 0; index < 60; ++index) {
      const Durability durability = index % 5 == 0 ? Durability::kWritten : Durability::kSync;
      ASSERT_TRUE(append(static_cast<ShardId>(index % 4), (index * 977) % 20000, durability).is_ok());
    }
    disk_.faults().clear();
    expect_all_is_read_back();
    for (const std::string& file : disk_.list_files()) {
      reactor::SimWorld world(disk_);
      ASSERT_TRUE(world.system().remove_file(file).is_ok());
    }
  }
}

TEST_F(ChainTest, InSyscallModeTheChainIsTheSame) {
  LogOptions options = test_options();
  options.sync_mode = SyncMode::kSyscall;
  boot(options);
  open_and_start();
  const auto before = world_->reactor(0).io().counters();
  world_->drain();
  ASSERT_TRUE(commit(0, 100).is_ok());
  EXPECT_EQ(world_->reactor(0).io().counters().chains - before.chains, 1U);
  disk_.faults().set_rates({.short_one_in = 3, .interrupted_one_in = 5});
  for (std::uint32_t index = 0; index < 60; ++index) ASSERT_TRUE(append(1, (index * 977) % 20000).is_ok());
  disk_.faults().clear();
  expect_all_is_read_back();
}

class DsyncTest : public ChainTest {
 protected:
  void start_dsync_log(SyncMode sync_mode = SyncMode::kDsync, std::uint64_t segment_bytes = test_options().segment_bytes) {
    LogOptions options = test_options();
    options.sync_mode = sync_mode;
    options.segment_bytes = segment_bytes;
    options.budget_bytes = 4 * segment_bytes;
    boot(options);
    open_and_start();
    ASSERT_TRUE(commit(0, 100).is_ok());
    world_->drain();
  }
  std::uint64_t chains() const { return world_->reactor(0).io().counters().chains; }
  /// Of a group that is larger than a durable write may be; after its acknowledgement the power goes, and with it all that is
  /// unsynced.
  void expect_short_write_is_covered() {
    disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.short_bytes = 8192}, "3-1-0");
    ASSERT_TRUE(commit(0, kDurableWriteBytesMax).is_ok());
    EXPECT_EQ(user_->log().counters().resumed_writes, 1U);
    const std::vector<TestRecord> written = user_->records;
    disk_.power_off();
    close().ignore("there is no power");
    shut_down();
    disk_.cut_power({.data = reactor::SimCut::Data::kNone});
    Collector collector;
    const Outcome<ReadResult> result = read(collector);
    ASSERT_TRUE(result.has_value()) << result.error().text;
    EXPECT_TRUE(collector.records == written);
  }
};

TEST_F(DsyncTest, AGroupIsOneDurableWrite) {
  start_dsync_log();
  const reactor::IoCounters before = world_->reactor(0).io().counters();
  const std::uint64_t groups_before = user_->log().counters().groups;
  ASSERT_TRUE(commit(0, 100).is_ok());
  ASSERT_EQ(user_->log().counters().groups, groups_before + 1);
  const reactor::IoCounters after = world_->reactor(0).io().counters();
  EXPECT_EQ(after.entries - before.entries, 1U);
  EXPECT_EQ(after.syncs - before.syncs, 1U);
  expect_all_is_read_back();
}

TEST_F(DsyncTest, InAutoModeALargeGroupIsAChain) {
  start_dsync_log(SyncMode::kAuto, 1_MiB);
  const std::uint64_t chains_before = chains();
  const std::uint64_t syncs_before = world_->reactor(0).io().counters().syncs;
  ASSERT_TRUE(commit(0, kDurableWriteBytesMax / 2).is_ok());
  EXPECT_EQ(chains(), chains_before);
  ASSERT_TRUE(commit(0, kDurableWriteBytesMax).is_ok());  // And the record's header.
  EXPECT_EQ(chains() - chains_before, 1U);
  EXPECT_EQ(world_->reactor(0).io().counters().syncs - syncs_before, 2U);
  expect_all_is_read_back();
}

// The simulated device makes a durable write durable and nothing else, as one does that writes through its cache.
TEST_F(DsyncTest, WhatWasWrittenBeforeWithoutASyncIsCoveredByALink) {
  start_dsync_log();
  ASSERT_TRUE(append(1, 9000, Durability::kWritten).is_ok());
  world_->drain();
  ASSERT_EQ(user_->log().written_group(), 2U);
  ASSERT_EQ(user_->log().durable_group(), 1U);
  const std::uint64_t chains_before = chains();
  ASSERT_TRUE(commit(1, 100).is_ok());
  EXPECT_EQ(chains() - chains_before, 1U);
  const std::vector<TestRecord> written = user_->records;
  disk_.power_off();
  close().ignore("there is no power");
  shut_down();
  disk_.cut_power({.data = reactor::SimCut::Data::kNone});
  Collector collector;
  ASSERT_TRUE(read(collector).has_value());
  EXPECT_TRUE(collector.records == written);
}

// The rest of a chain's short write would be small enough for a durable write, which covers itself alone.
TEST_F(DsyncTest, InAutoModeTheRestOfAShortWriteBringsASyncForItsBeginning) {
  start_dsync_log(SyncMode::kAuto, 1_MiB);
  expect_short_write_is_covered();
}

TEST_F(DsyncTest, TheRestOfAShortDurableWriteIsCoveredToo) {
  start_dsync_log(SyncMode::kDsync, 1_MiB);
  expect_short_write_is_covered();
}

TEST_F(DsyncTest, ShortWritesAreResumedAndExcusesSentAgain) {
  start_dsync_log();
  disk_.faults().set_rates({.short_one_in = 3, .interrupted_one_in = 5, .again_one_in = 5});
  for (std::uint32_t index = 0; index < 60; ++index) {
    const Durability durability = index % 5 == 0 ? Durability::kWritten : Durability::kSync;
    ASSERT_TRUE(append(static_cast<ShardId>(index % 4), (index * 977) % 20000, durability).is_ok());
  }
  disk_.faults().clear();
  expect_all_is_read_back();
}

TEST_F(DsyncTest, AFailedDurableWritePoisons) {
  start_dsync_log();
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = -EIO}, "3-1-0");
  expect_poisoned(EIO);
}

TEST_F(DsyncTest, AFailedSyncWithinADurableWritePoisons) {
  start_dsync_log();
  disk_.faults().fail_nth(SimEvent::kSync, 1, SimFault{.result = -EIO, .sync_loss = SimSyncLoss::kLost}, "3-1-0");
  expect_poisoned(EIO);
}

TEST_F(DsyncTest, AFileSystemThatRefusesItGetsTheLink) {
  LogOptions options = test_options();
  options.sync_mode = SyncMode::kDsync;
  boot(options);
  // The header's sync is the segment's first, the one of the trial its second.
  disk_.faults().fail_nth(SimEvent::kSync, 2, SimFault{.result = -EOPNOTSUPP}, "3-1-0");
  open_and_start();
  EXPECT_EQ(disk_.faults().struck(), 1U);
  const std::uint64_t chains_before = chains();
  ASSERT_TRUE(commit(0, 100).is_ok());
  EXPECT_EQ(chains() - chains_before, 1U);
  expect_all_is_read_back();
}

}  // namespace
}  // namespace penstock::wal
