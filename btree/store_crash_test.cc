// Power cuts at every event of scripted passes, and damage to every byte of superblocks and zone tables.

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "btree/super_format.h"
#include "btree/test_store_harness.h"
#include "btree/zone_format.h"

namespace penstock::btree {
namespace {

using reactor::SimCut;

constexpr std::uint32_t kPasses = 5;

void set_up(StoreHarness& harness) {
  harness.options().growth_bytes_min = 1_MiB;
  harness.options().file_bytes_max = 4_MiB;
  harness.script() = {.slots = 120, .rewrites = 150, .extent_one_in = 20, .extent_bytes_max = 400'000};
  harness.create();
  harness.open();
}

/// Passes until power goes off or all are done. Returns the last sequence whose publication succeeded.
std::uint64_t run_passes(StoreHarness& harness, std::uint64_t first, std::uint64_t count, std::uint64_t acknowledged) {
  for (std::uint64_t pass = first; pass < first + count; ++pass) {
    const std::uint64_t before = harness.store().current().applied.sequence;
    if (!harness.script_pass(pass).is_ok()) {
      if (!harness.disk().is_powered()) return before;
      ADD_FAILURE() << "pass " << pass << " failed with power on";
    }
    acknowledged = harness.store().current().applied.sequence;
  }
  return acknowledged;
}

/// After a cut: the newest durable state or the one that was being published; then the store goes on and is opened again.
void expect_recovery(StoreHarness& harness, std::uint64_t acknowledged, std::uint64_t next) {
  harness.open();
  if (!harness.has_store()) return;
  const std::uint64_t sequence = harness.store().current().applied.sequence;
  EXPECT_TRUE(sequence >= acknowledged && sequence <= next) << sequence << " after " << acknowledged;
  EXPECT_LE(harness.store().older_applied().sequence, sequence);
  ASSERT_EQ(harness.verify(), "");
  ASSERT_TRUE(harness.script_pass(next).is_ok());
  ASSERT_EQ(harness.verify(), "");
  harness.reopen();
  ASSERT_EQ(harness.store().current().applied.sequence, next + 1);
  ASSERT_EQ(harness.verify(), "");
}

TEST(StoreCrash, APowerCutAtEveryEventLeavesAWholeGeneration) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    StoreHarness harness(1);
    set_up(harness);
    first = harness.disk().faults().events();
    EXPECT_EQ(run_passes(harness, 0, kPasses, 0), kPasses);
    last = harness.disk().faults().events();
  }
  ASSERT_GT(last, first + 20);
  for (std::uint64_t event = first + 1; event <= last; ++event) {
    for (std::uint64_t seed = 0; seed < 1 + (event % 2); ++seed) {
      SCOPED_TRACE("event " + std::to_string(event) + " seed " + std::to_string(seed));
      StoreHarness harness(1);
      set_up(harness);
      harness.disk().cut_at(event);
      const std::uint64_t acknowledged = run_passes(harness, 0, kPasses, 0);
      harness.cut(SimCut::draw((event * 8) + seed));
      expect_recovery(harness, acknowledged, kPasses + 1);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

/// A file gets longer, is emptied, made shorter, used again and cut. Returns the last sequence that was published.
std::uint64_t shorten_and_grow(StoreHarness& harness, std::uint64_t acknowledged) {
  constexpr std::size_t kExtentBytes = 11'000'000;
  for (std::uint64_t step = 0; step < 12; ++step) {
    if (step % 6 == 1) {
      if (harness.world().run(0, &StoreHarness::extent_round_trip, &harness, kExtentBytes) != "") return acknowledged;
    } else {
      if (!harness.script_pass(step).is_ok()) return acknowledged;
      acknowledged = harness.store().current().applied.sequence;
    }
    harness.world().run(0, &PageStore::return_free_zones, &harness.store()).ignore("the disk may be off");
  }
  return acknowledged;
}

TEST(StoreCrash, APowerCutAtEveryEventOfShorteningLeavesAWholeGeneration) {
  const auto set_up_short = [](StoreHarness& harness) {
    harness.options().growth_bytes_min = 1_MiB;
    harness.script() = {.slots = 20, .rewrites = 6, .extent_one_in = 0, .has_strays = true};
    harness.create();
    harness.open();
  };
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    StoreHarness harness(1);
    set_up_short(harness);
    first = harness.disk().faults().events();
    EXPECT_EQ(shorten_and_grow(harness, 0), 12U);
    EXPECT_GT(harness.disk().faults().events_of(reactor::SimEvent::kResize), 2U);
    last = harness.disk().faults().events();
  }
  for (std::uint64_t event = first + 1; event <= last; event += 1 + (event % 7)) {
    SCOPED_TRACE("event " + std::to_string(event));
    StoreHarness harness(1);
    set_up_short(harness);
    harness.disk().cut_at(event);
    const std::uint64_t acknowledged = shorten_and_grow(harness, 0);
    harness.cut(SimCut::draw(event));
    expect_recovery(harness, acknowledged, 20);
    if (testing::Test::HasFatalFailure()) return;
  }
}

/// Two cuts in a row: what the first left behind must not come back after the second.
TEST(StoreCrash, ASecondCutAfterRecoveryLeavesAWholeGeneration) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::Random random(seed);
    StoreHarness harness(1);
    set_up(harness);
    std::uint64_t acknowledged = 0;
    for (std::uint64_t round = 0; round < 3; ++round) {
      harness.disk().cut_at(harness.disk().faults().events() + 1 + random.below(60));
      acknowledged = run_passes(harness, round * 10, 8, acknowledged);
      harness.cut(SimCut::draw(random.next()));
      harness.open();
      ASSERT_TRUE(harness.has_store());
      ASSERT_EQ(harness.verify(), "");
      ASSERT_GE(harness.store().current().applied.sequence, acknowledged);
      acknowledged = harness.store().current().applied.sequence;
    }
    expect_recovery(harness, acknowledged, 100);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(StoreCrash, AKillAtAnyTimeLosesNothingPublished) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    StoreHarness harness(1);
    set_up(harness);
    base::Random random(seed);
    harness.disk().cut_at(harness.disk().faults().events() + 1 + random.below(80));
    const std::uint64_t acknowledged = run_passes(harness, 0, 8, 0);
    harness.cut({.data = SimCut::Data::kAll, .names = SimCut::Names::kAll, .seed = seed});
    expect_recovery(harness, acknowledged, 10);
    if (testing::Test::HasFatalFailure()) return;
  }
}

/// The newest slot is damaged, the older one is opened, passes go on: the damaged generation must never win again.
TEST(StoreCrash, TheStoreGoesOnFromTheOlderSlot) {
  for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{50}, std::uint64_t{300}}) {
    SCOPED_TRACE(at);
    StoreHarness harness(1);
    set_up(harness);
    for (std::uint64_t pass = 0; pass < 4; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
    const std::uint64_t generation = harness.store().current().generation;
    harness.close();
    ASSERT_TRUE(harness.disk().flip_byte("/shard-5/super", ((generation % 2) * kSuperSlotBytes) + at, 1).is_ok());
    harness.open();
    ASSERT_EQ(harness.store().current().generation, generation - 1);
    EXPECT_EQ(harness.store().older_applied(), harness.store().current().applied);
    EXPECT_EQ(harness.verify(), "");
    for (std::uint64_t pass = 20; pass < 24; ++pass) {
      ASSERT_TRUE(harness.script_pass(pass).is_ok());
      ASSERT_EQ(harness.verify(), "");
      harness.reopen();
      ASSERT_EQ(harness.store().current().applied.sequence, pass + 1);
      ASSERT_EQ(harness.verify(), "");
    }
  }
}

/// The newest superblock is fine but its zone table cannot be read, once. The older generation goes on; then the table can be
/// read.
TEST(StoreCrash, AGenerationGivenUpAtOpeningDoesNotComeBack) {
  StoreHarness harness(1);
  set_up(harness);
  for (std::uint64_t pass = 0; pass < 4; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  const std::uint64_t generation = harness.store().current().generation;
  harness.close();
  for (const std::uint64_t nth : {1U, 2U}) {
    harness.disk().faults().fail_nth(reactor::SimEvent::kRead, nth, {.result = -EIO}, "pages-1");
  }
  harness.open();
  ASSERT_EQ(harness.store().current().generation, generation - 1);
  EXPECT_EQ(harness.store().older_applied(), harness.store().current().applied);
  ASSERT_EQ(harness.verify(), "");
  // A pass that writes over what the lost generation had written, and is not published.
  ASSERT_TRUE(harness.world().run(0, &StoreHarness::write_and_abandon, &harness, std::uint64_t{50}).is_ok());
  harness.reopen();
  EXPECT_GT(harness.store().current().generation, generation);
  ASSERT_EQ(harness.store().current().applied.sequence, 3U);
  ASSERT_EQ(harness.verify(), "");
  ASSERT_TRUE(harness.script_pass(20).is_ok());
  harness.reopen();
  EXPECT_EQ(harness.store().current().applied.sequence, 21U);
  EXPECT_EQ(harness.verify(), "");
}

TEST(StoreCrash, AFlippedByteOfTheSuperblocksGivesRightDataOrCorruption) {
  StoreHarness harness(1);
  set_up(harness);
  for (std::uint64_t pass = 0; pass < 4; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  harness.close();
  const std::uint64_t used = sizeof(SuperHeader) + (4 * sizeof(SuperFile));
  std::uint32_t older = 0;
  for (std::uint64_t slot = 0; slot < kSuperSlots; ++slot) {
    for (std::uint64_t at = 0; at < used; ++at) {
      const std::uint64_t offset = (slot * kSuperSlotBytes) + at;
      const auto mask = static_cast<std::uint8_t>(1U << (at % 8));
      ASSERT_TRUE(harness.disk().flip_byte("/shard-5/super", offset, mask).is_ok());
      const Failure failure = harness.try_open();
      ASSERT_TRUE(failure.status.is_ok()) << offset << ": " << failure.text;  // The other slot is whole.
      older += harness.store().current().applied.sequence == 3 ? 1U : 0U;
      ASSERT_EQ(harness.verify(), "") << offset;
      harness.close();
      ASSERT_TRUE(harness.disk().flip_byte("/shard-5/super", offset, mask).is_ok());
    }
  }
  EXPECT_GE(older, sizeof(SuperHeader));
}

TEST(StoreCrash, BothSuperblocksDamagedIsCorruption) {
  StoreHarness harness(1);
  set_up(harness);
  for (std::uint64_t pass = 0; pass < 3; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  harness.close();
  ASSERT_TRUE(harness.disk().flip_byte("/shard-5/super", 60, 1).is_ok());
  ASSERT_TRUE(harness.disk().flip_byte("/shard-5/super", kSuperSlotBytes + 60, 1).is_ok());
  const Failure failure = harness.try_open();
  EXPECT_TRUE(failure.status.is(Code::kCorruption));
  EXPECT_EQ(failure.status.file_kind(), FileKind::kSuper);
  EXPECT_NE(failure.text.find("/shard-5"), std::string::npos);
}

TEST(StoreCrash, AFlippedByteOfAZoneTableGivesRightDataOrCorruption) {
  StoreHarness harness(1);
  set_up(harness);
  for (std::uint64_t pass = 0; pass < 4; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  harness.close();
  std::uint32_t older = 0;
  for (std::uint64_t copy = 0; copy < kZoneTableCopies; ++copy) {
    for (std::uint64_t at = 0; at < kPageBlockBytes; at = at < 128 ? at + 1 : at + 97) {
      const std::uint64_t offset = (copy * kZoneTableBytes) + at;
      ASSERT_TRUE(harness.disk().flip_byte("/shard-5/pages-1", offset, 32).is_ok());
      const Failure failure = harness.try_open();
      ASSERT_TRUE(failure.status.is_ok()) << offset << ": " << failure.text;
      older += harness.store().current().applied.sequence == 3 ? 1U : 0U;
      ASSERT_EQ(harness.verify(), "") << offset;
      harness.close();
      ASSERT_TRUE(harness.disk().flip_byte("/shard-5/pages-1", offset, 32).is_ok());
    }
  }
  EXPECT_GE(older, 128U);
}

}  // namespace
}  // namespace penstock::btree
