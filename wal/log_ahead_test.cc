// Writes ahead of the chain: which groups go, which sync covers them, and what faults of theirs do.
#include <gtest/gtest.h>

#include <cerrno>

#include "wal/test_log.h"

namespace penstock::wal {
namespace {

using reactor::SimEvent;
using reactor::SimFault;

constexpr std::uint64_t kLarge = 9000;  // Bytes of a record that goes ahead,
constexpr std::uint64_t kSmall = 100;   // and of one that waits.

class AheadTest : public LogTest {
 protected:
  /// With one chain in flight: its write is done, its sync runs.
  void start_log(SyncMode sync_mode = SyncMode::kLinked, std::uint64_t segment_bytes = 1_MiB) {
    LogOptions options = test_options();
    options.sync_mode = sync_mode;
    options.segment_bytes = segment_bytes;
    options.budget_bytes = 4 * segment_bytes;
    boot(options);
    open_and_start();
    world_->drain();
    syncs_before_ = io_syncs();
    start_chain();
  }
  void start_chain() {
    const std::uint64_t writes_before = disk_.faults().events_of(SimEvent::kWrite);
    append_small();
    if (options_.sync_mode == SyncMode::kDsync) return;
    step_until([&] { return disk_.faults().events_of(SimEvent::kWrite) > writes_before; });
  }
  void append_small() {
    ASSERT_TRUE(append(0, kSmall).is_ok());
    ASSERT_GT(world_->reactor(0).io().in_flight(), 0U);
  }
  void append_ahead(Durability durability = Durability::kSync) {
    const std::uint64_t before = ahead();
    ASSERT_TRUE(append(0, kLarge, durability).is_ok());
    ASSERT_EQ(ahead(), before + 1);
    ASSERT_EQ(user_->log().durable_group(), 0U) << "the first chain was too fast for this test";
  }
  void step_until(const std::function<bool()>& done) { ASSERT_TRUE(world_->run_until(done)); }
  std::uint64_t ahead() const { return user_->log().counters().writes_ahead; }
  std::uint64_t io_syncs() const { return world_->reactor(0).io().counters().syncs; }
  std::uint64_t syncs() const { return io_syncs() - syncs_before_; }
  /// The power goes, and with it all that no sync has covered: what was acknowledged must be there.
  void expect_durable_is_read_back() {
    const std::size_t durable = user_->durable_count();
    const std::vector<TestRecord> written = user_->records;
    disk_.power_off();
    close().ignore("there is no power");
    shut_down();
    disk_.cut_power({.data = reactor::SimCut::Data::kNone});
    Collector collector;
    const Outcome<ReadResult> result = read(collector);
    ASSERT_TRUE(result.has_value()) << result.error().text;
    ASSERT_GE(collector.records.size(), durable);
    EXPECT_TRUE(std::ranges::equal(std::span(collector.records), std::span(written).first(collector.records.size())));
  }

 private:
  std::uint64_t syncs_before_ = 0;
};

TEST_F(AheadTest, ALargeGroupGoesAheadAndALoneSyncCoversItIfNothingFollows) {
  start_log();
  append_ahead();
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(syncs(), 2U);
  expect_durable_is_read_back();
}

TEST_F(AheadTest, ASmallGroupWaitsForTheChain) {
  start_log();
  append_small();
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(ahead(), 0U);
}

// The chain was submitted before the write was reaped: its sync may have missed it.
TEST_F(AheadTest, TheSyncInFlightDoesNotCoverWhatGoesAhead) {
  start_log();
  append_ahead();
  step_until([this] { return user_->log().durable_group() > 0; });
  EXPECT_EQ(user_->log().durable_group(), user_->groups.front());
  expect_durable_is_read_back();
}

TEST_F(AheadTest, TheNextChainCoversWhatWentAhead) {
  start_log();
  append_ahead();
  append_small();
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(syncs(), 2U);
  EXPECT_EQ(ahead(), 1U);
  expect_durable_is_read_back();
}

// A durable write hardens nothing older.
TEST_F(AheadTest, BehindWhatWentAheadADurableWriteBecomesAChain) {
  start_log(SyncMode::kDsync);
  const std::uint64_t chains_before = world_->reactor(0).io().counters().chains;
  append_ahead();
  append_small();
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(world_->reactor(0).io().counters().chains - chains_before, 1U);
  expect_durable_is_read_back();
}

TEST_F(AheadTest, AGroupThatNeedsNoSyncGetsNone) {
  start_log();
  append_ahead(Durability::kWritten);
  step_until([this] { return user_->log().written_group() == user_->groups.back(); });
  world_->drain();
  EXPECT_EQ(syncs(), 1U);
  EXPECT_EQ(user_->log().durable_group(), user_->groups.front());
}

TEST_F(AheadTest, TheRestOfAShortWriteGoesOutAgainAndTheGroupCountsWhenItIsWhole) {
  start_log();
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.short_bytes = 4096}, "3-1-0");
  append_ahead();
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(user_->log().counters().resumed_writes, 1U);
  EXPECT_EQ(syncs(), 2U);
  expect_durable_is_read_back();
}

TEST_F(AheadTest, AFailedWriteAheadPoisonsAndNothingIsSentAfterIt) {
  start_log();
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = -EIO}, "3-1-0");
  append_ahead();
  EXPECT_TRUE(settle().is(Code::kPoisoned));
  EXPECT_EQ(user_->log().failure().error_number(), EIO);
  world_->drain();
  const std::uint64_t events = disk_.faults().events();
  world_->run_for(1'000'000'000);
  EXPECT_EQ(disk_.faults().events(), events);
  expect_durable_is_read_back();
}

TEST_F(AheadTest, NothingGoesAheadIntoAnotherSegment) {
  constexpr std::uint64_t kSegmentBytes = 64_KiB;
  constexpr std::uint64_t kGroupBytes = 12_KiB;  // Of a large record.
  start_log(SyncMode::kLinked, kSegmentBytes);
  ASSERT_TRUE(settle().is_ok());
  while (user_->log().durable_position().offset + kGroupBytes < kSegmentBytes) {
    ASSERT_TRUE(commit(0, kLarge).is_ok());
  }
  world_->drain();
  start_chain();
  ASSERT_TRUE(append(0, kLarge).is_ok());
  ASSERT_EQ(user_->log().bytes_in_use(), 2 * kSegmentBytes);
  ASSERT_LT(user_->log().durable_group() + 1, user_->groups.back());
  EXPECT_EQ(ahead(), 0U);
  ASSERT_TRUE(settle().is_ok());
  EXPECT_EQ(ahead(), 0U);
  expect_durable_is_read_back();
}

TEST_F(AheadTest, ManySmallTroublesLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    boot(test_options(), seed);
    open_and_start();
    disk_.faults().set_rates({.short_one_in = 3, .interrupted_one_in = 5, .again_one_in = 5});
    for (std::uint32_t index = 0; index < 60; ++index) {
      const Durability durability = index % 5 == 0 ? Durability::kWritten : Durability::kSync;
      ASSERT_TRUE(append(static_cast<ShardId>(index % 4), (index * 977) % 20000, durability).is_ok());
    }
    EXPECT_GT(ahead(), 0U);
    disk_.faults().clear();
    if (seed % 2 == 0) {
      ASSERT_TRUE(settle().is_ok());
    }
    expect_durable_is_read_back();
    for (const std::string& file : disk_.list_files()) {
      reactor::SimWorld world(disk_);
      ASSERT_TRUE(world.system().remove_file(file).is_ok());
    }
  }
}

}  // namespace
}  // namespace penstock::wal
