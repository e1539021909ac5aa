// Goal: values written before any tree names them are durable and readable at once, are written over by nothing while they are
// held, also after a power cut and in files that no superblock knows the length of, and give their space back when nobody holds
// or reaches them. Method: extents of all sizes beside scripted passes on the simulated disk.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/random.h"
#include "btree/test_store_harness.h"

namespace penstock::btree {
namespace {

class EarlyExtents : public ::testing::Test {
 public:
  /// A pass in which a tree is said to reach them, or to reach them no more.
  Task<Status> change_live(bool adopts) {
    store().begin_pass();
    for (const Put& each : puts_) {
      if (adopts) {
        store().adopt_early(each.extent);
      } else {
        store().free_extent(each.extent);
      }
    }
    co_return co_await store().publish(store().current().applied, store().current().roots);
  }

 protected:
  EarlyExtents() : harness_(7) {
    harness_.create();
    harness_.open();
  }
  PageStore& store() { return harness_.store(); }

  struct Put {
    std::string value;
    ExtentPointer extent;
  };
  void put(std::uint64_t number, std::size_t bytes) {
    puts_.push_back({.value = filler(number, bytes), .extent = {}});
    std::vector<ExtentPointer> extents;
    std::vector<PageStore::EarlyValue> values(1, {.family = kTestFamily, .key = "key", .value = puts_.back().value});
    const Status status = harness_.world().run(0, &PageStore::put_early, &store(), values, &extents);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    ASSERT_EQ(extents.size(), 1U);
    puts_.back().extent = extents.front();
  }
  void expect_readable(const Put& put) {
    const Result<std::string> value = harness_.world().run(0, &PageStore::read_extent, &store(), put.extent, kTestFamily);
    ASSERT_TRUE(value.has_value()) << value.error().to_string();
    EXPECT_TRUE(*value == put.value);
  }
  void expect_all_readable() {
    for (const Put& each : puts_) {
      expect_readable(each);
    }
  }
  void run_passes(std::uint64_t count) {
    for (; count > 0; --count) {
      const Status status = harness_.script_pass(++sequence_);
      ASSERT_TRUE(status.is_ok()) << status.to_string();
    }
    EXPECT_EQ(harness_.verify(), "");
  }
  std::uint64_t live_blocks() {
    std::uint64_t blocks = 0;
    for (const auto& [zone, live] : store().live_blocks_by_zone()) {
      blocks += live;
    }
    return blocks;
  }

  StoreHarness harness_;
  std::vector<Put> puts_;
  std::uint64_t sequence_ = 0;
};

TEST_F(EarlyExtents, AreLeftAloneByPassesWhileTheyAreHeld) {
  base::Random random(3);
  for (std::uint64_t number = 0; number < 40; ++number) {
    put(number, 1 + random.below(number % 5 == 0 ? 3'000'000 : 300'000));
    run_passes(random.below(3));
  }
  run_passes(20);
  expect_all_readable();
}

TEST_F(EarlyExtents, SurviveAPowerCutInFilesThatHadGrownForThem) {
  run_passes(2);
  base::Random random(5);
  for (std::uint64_t number = 0; number < 60; ++number) {  // Into a second file of at most 64 MiB, without a publication.
    put(number, 1'000'000 + random.below(500'000));
  }
  harness_.cut({.data = reactor::SimCut::Data::kNone, .names = reactor::SimCut::Names::kNone});
  harness_.open();
  for (const Put& each : puts_) {
    ASSERT_TRUE(store().claim_early(each.extent));
  }
  run_passes(30);
  expect_all_readable();
  harness_.reopen();  // The superblock knows the files now.
  for (const Put& each : puts_) {
    ASSERT_TRUE(store().claim_early(each.extent));
  }
  run_passes(10);
  expect_all_readable();
}

TEST_F(EarlyExtents, BecomeATreesAndGiveTheirSpaceBackAfterIt) {
  run_passes(5);
  const std::uint64_t live_before = live_blocks();
  std::uint64_t blocks = 0;
  for (const std::size_t bytes : {70'000U, 100'000U, 2'500'000U, 1'000'000U}) {
    put(bytes, bytes);
    blocks += extent_blocks(bytes);
  }
  EXPECT_EQ(live_blocks(), live_before);
  ASSERT_TRUE(harness_.world().run(0, &EarlyExtents::change_live, this, true).is_ok());
  EXPECT_EQ(live_blocks(), live_before + blocks);
  for (const Put& each : puts_) {
    store().release_early(each.extent);
  }
  expect_all_readable();
  ASSERT_TRUE(harness_.world().run(0, &EarlyExtents::change_live, this, false).is_ok());
  EXPECT_EQ(live_blocks(), live_before);
  run_passes(3);  // Until no superblock reaches them.
  const std::uint64_t free_bytes = store().space().free_bytes;
  EXPECT_GT(free_bytes, 5_MiB);
  EXPECT_LT(store().space().pinned_bytes, 3_MiB) << "the zone that is open for early extents, and what the last pass emptied";
}

TEST_F(EarlyExtents, ThatNobodyCameToNeedGiveTheirSpaceBackAtOnce) {
  run_passes(3);
  for (std::uint64_t round = 0; round < 100; ++round) {
    put(round, 1'500'000);
    store().release_early(puts_.back().extent);
  }
  EXPECT_LT(store().space().file_bytes, 60_MiB) << "150 MB were written";
  run_passes(10);
}

TEST_F(EarlyExtents, ThatCannotBeThereAreNotClaimed) {
  run_passes(1);
  EXPECT_FALSE(store().claim_early({.address = {.file = 1, .block = 1'000'000}, .value_bytes = 70'000}));
  EXPECT_FALSE(store().claim_early({.address = {.file = 9, .block = 256}, .value_bytes = 70'000}));
  EXPECT_FALSE(store().claim_early({.address = {.file = 1, .block = 3}, .value_bytes = 70'000}));  // Among the tables.
  EXPECT_FALSE(store().claim_early({.address = {.file = 1, .block = 256}, .value_bytes = 0}));
}

/// A sync that fails takes with it what others wrote to the file; theirs then succeeds, and covers nothing of that any more.
TEST(EarlyExtentsBesideAPass, NeitherBelievesItsOwnSyncOnceTheOthersHasFailed) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    for (std::uint64_t nth = 1; nth <= 4; ++nth) {
      StoreHarness harness(seed);
      harness.create();
      harness.open();
      ASSERT_TRUE(harness.script_pass(1).is_ok());
      harness.disk().faults().fail_nth(reactor::SimEvent::kSync, nth,
                                       {.result = -EIO, .short_bytes = 0, .sync_loss = reactor::SimSyncLoss::kLost}, "pages-");
      const std::string value = filler(seed, 90'000);
      const std::vector<PageStore::EarlyValue> values(1, {.family = kTestFamily, .key = "key", .value = value});
      std::vector<ExtentPointer> extents;
      reactor::SimJob<Status> early = harness.world().start(0, &PageStore::put_early, &harness.store(), values, &extents);
      harness.script_pass(2).ignore("it may fail");
      ASSERT_TRUE(harness.world().run_until([&early] { return early.is_done(); }));
      const bool is_put = early.take().is_ok();
      harness.cut({.data = reactor::SimCut::Data::kNone, .names = reactor::SimCut::Names::kNone});
      harness.open();
      ASSERT_EQ(harness.verify(), "") << "seed " << seed << ", sync " << nth;
      if (!is_put) continue;
      ASSERT_TRUE(harness.store().claim_early(extents.front()));
      const Result<std::string> found =
          harness.world().run(0, &PageStore::read_extent, &harness.store(), extents.front(), kTestFamily);
      ASSERT_TRUE(found.has_value() && *found == value) << "seed " << seed << ", sync " << nth;
    }
  }
}

}  // namespace
}  // namespace penstock::btree
