// Failing writes and syncs, and full disks.

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "btree/test_store_harness.h"

namespace penstock::btree {
namespace {

using reactor::SimCut;
using reactor::SimEvent;
using reactor::SimFault;
using reactor::SimSyncLoss;

void set_up(StoreHarness& harness) {
  harness.create();
  harness.open();
  for (std::uint64_t pass = 0; pass < 3; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
}

TEST(StoreFault, AFailedSyncPoisonsThePassesAndNotTheReads) {
  for (const char* file : {"pages-1", "super"}) {
    SCOPED_TRACE(file);
    StoreHarness harness(1);
    set_up(harness);
    harness.disk().faults().fail_nth(SimEvent::kSync, 1, {.result = -EIO, .sync_loss = SimSyncLoss::kLost}, file);
    EXPECT_TRUE(harness.script_pass(3).is(Code::kIoError));
    EXPECT_TRUE(harness.store().failure().is(Code::kPoisoned));
    EXPECT_EQ(harness.store().current().generation, 4U);
    EXPECT_TRUE(harness.script_pass(4).is(Code::kPoisoned));
    EXPECT_EQ(harness.verify(), "");
    harness.cut({.data = SimCut::Data::kNone, .names = SimCut::Names::kNone});
    harness.open();
    EXPECT_EQ(harness.store().current().applied.sequence, 3U);
    EXPECT_EQ(harness.verify(), "");
    ASSERT_TRUE(harness.script_pass(5).is_ok());
    EXPECT_EQ(harness.verify(), "");
  }
}

TEST(StoreFault, ASuperblockWriteOfUnknownResultPoisons) {
  for (const SimFault fault : {SimFault{.result = -EIO}, SimFault{.short_bytes = 4096}, SimFault{.result = -ENOSPC}}) {
    StoreHarness harness(1);
    set_up(harness);
    harness.disk().faults().fail_nth(SimEvent::kWrite, 1, fault, "super");
    EXPECT_FALSE(harness.script_pass(3).is_ok());
    EXPECT_TRUE(harness.store().failure().is(Code::kPoisoned));
    EXPECT_EQ(harness.verify(), "");
    harness.reopen();
    EXPECT_EQ(harness.verify(), "");
    ASSERT_TRUE(harness.script_pass(4).is_ok());
    EXPECT_EQ(harness.verify(), "");
  }
}

TEST(StoreFault, AFailedPageWriteEndsThePassAloneAndItsZoneIsLeftAlone) {
  for (std::uint64_t nth = 1; nth <= 6; ++nth) {
    SCOPED_TRACE(nth);
    StoreHarness harness(1);
    set_up(harness);
    harness.disk().faults().fail_nth(SimEvent::kWrite, nth, {.result = -EIO}, "pages-1");
    const Status failed = harness.script_pass(3);
    if (failed.is_ok()) break;  // Fewer writes than that.
    EXPECT_TRUE(failed.is(Code::kIoError));
    EXPECT_EQ(failed.file_kind(), FileKind::kPages);
    EXPECT_TRUE(harness.store().failure().is_ok());
    EXPECT_EQ(harness.verify(), "");
    for (std::uint64_t pass = 4; pass < 8; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
    EXPECT_EQ(harness.verify(), "");
    harness.reopen();
    EXPECT_EQ(harness.verify(), "");
  }
}

TEST(StoreFault, ShortAndInterruptedResultsChangeNothing) {
  StoreHarness harness(1);
  harness.script() = {.slots = 200, .rewrites = 300, .extent_one_in = 10};
  harness.create();
  harness.open();
  harness.disk().faults().set_rates({.interrupted_one_in = 4, .again_one_in = 4});
  for (std::uint64_t pass = 0; pass < 8; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  EXPECT_EQ(harness.verify(), "");
  harness.disk().faults().clear();
  harness.reopen();
  EXPECT_EQ(harness.verify(), "");
}

TEST(StoreFault, AFullDiskRefusesOrdinaryPassesServesTheReserveAndResumes) {
  StoreHarness harness(1, 12_MiB);
  harness.options().growth_bytes_min = 2_MiB;
  harness.create();
  harness.open();
  std::uint64_t pass = 0;
  Status status;
  std::uint32_t slots = 100;
  while (status.is_ok() && pass < 60) {
    harness.script() = {.slots = slots, .rewrites = 600, .extent_one_in = 0};
    slots = std::min(slots + 100, 1000U);
    status = harness.script_pass(pass++);
  }
  ASSERT_TRUE(status.is(Code::kNoSpace)) << status.to_string();
  EXPECT_TRUE(harness.store().failure().is_ok());
  EXPECT_EQ(harness.verify(), "");
  // What deletes need is left.
  harness.script().rewrites = 5;
  harness.script().for_reserve = true;
  for (std::uint32_t small = 0; small < 4; ++small) ASSERT_TRUE(harness.script_pass(pass++).is_ok());
  EXPECT_EQ(harness.verify(), "");
  harness.disk().set_capacity(64_MiB);
  harness.script().for_reserve = false;
  harness.script().rewrites = 600;
  for (std::uint32_t more = 0; more < 4; ++more) ASSERT_TRUE(harness.script_pass(pass++).is_ok());
  EXPECT_EQ(harness.verify(), "");
  harness.reopen();
  EXPECT_EQ(harness.verify(), "");
}

TEST(StoreFault, AFailedGrowthLeavesTheStoreAsItWas) {
  StoreHarness harness(1);
  harness.options().growth_bytes_min = 1_MiB;
  set_up(harness);
  harness.script() = {.slots = 900, .rewrites = 4000, .extent_one_in = 0};
  harness.disk().faults().fail_nth(SimEvent::kResize, 1, SimFault{.result = -EIO});
  EXPECT_TRUE(harness.script_pass(3).is(Code::kIoError));
  EXPECT_EQ(harness.verify(), "");
  ASSERT_TRUE(harness.script_pass(4).is_ok());
  EXPECT_EQ(harness.verify(), "");
}

}  // namespace
}  // namespace penstock::btree
