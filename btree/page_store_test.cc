#include "btree/page_store.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "btree/test_store_harness.h"

namespace penstock::btree {
namespace {

using reactor::SimCut;

constexpr SimCut kLoseUnsynced{.data = SimCut::Data::kNone, .names = SimCut::Names::kNone};

TEST(PageStore, ANewStoreOpensEmptyAtGenerationOne) {
  StoreHarness harness(1);
  harness.create();
  harness.cut(kLoseUnsynced);  // Names and contents were synced.
  harness.open();
  EXPECT_EQ(harness.store().current().generation, 1U);
  EXPECT_TRUE(harness.store().current().roots.is_null());
  EXPECT_EQ(harness.store().older_applied(), AppliedPosition{});
  EXPECT_EQ(harness.store().space().file_bytes, 0U);
}

TEST(PageStore, CreatingOverAnExistingStoreIsRefused) {
  StoreHarness harness(1);
  harness.create();
  EXPECT_TRUE(PageStore::create(harness.world().system(), "/shard-5", kTestIdentity, kTestShard).is(Code::kAlreadyExists));
}

TEST(PageStore, PublishedPagesAreReadAfterReopening) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 10; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  EXPECT_EQ(harness.store().current().generation, 11U);
  EXPECT_EQ(harness.verify(), "");
  harness.reopen();
  EXPECT_EQ(harness.store().current().generation, 11U);
  EXPECT_EQ(harness.store().current().applied, StoreHarness::position(10));
  EXPECT_EQ(harness.store().older_applied(), StoreHarness::position(9));
  EXPECT_EQ(harness.verify(), "");
}

TEST(PageStore, TheLogIsKeptForTheOlderSlotUntilTheNextPublication) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  EXPECT_EQ(harness.store().older_applied(), AppliedPosition{});
  ASSERT_TRUE(harness.script_pass(1).is_ok());
  EXPECT_EQ(harness.store().older_applied(), StoreHarness::position(1));
}

TEST(PageStore, AnotherStoresIdentityIsCorruption) {
  StoreHarness harness(1);
  harness.create();
  harness.options().identity.incarnation = 4;
  const Failure failure = harness.try_open();
  EXPECT_TRUE(failure.status.is(Code::kCorruption));
  EXPECT_EQ(failure.status.file_kind(), FileKind::kSuper);
}

TEST(PageStore, AMissingSuperblockFileIsCorruption) {
  StoreHarness harness(1);
  EXPECT_TRUE(harness.world().system().make_directory("/shard-5").is_ok());
  EXPECT_TRUE(harness.try_open().status.is(Code::kCorruption));
}

TEST(PageStore, AFileShorterThanItsSuperblockSaysIsCorruptionWithItsPlace) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 3; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  harness.close();
  Result<std::vector<std::byte>> bytes = harness.disk().read_all("/shard-5/pages-1");
  ASSERT_TRUE(bytes.has_value());
  bytes->resize(bytes->size() - kZoneBytes);
  ASSERT_TRUE(harness.disk().write_all("/shard-5/pages-1", *bytes).is_ok());
  const Failure failure = harness.try_open();
  EXPECT_TRUE(failure.status.is(Code::kCorruption));
  EXPECT_EQ(failure.status.file_kind(), FileKind::kPages);
  EXPECT_EQ(failure.status.file(), 1U);
  EXPECT_EQ(failure.status.shard(), kTestShard);
  EXPECT_EQ(failure.status.where(), bytes->size() / kPageBlockBytes);
  bytes->resize(bytes->size() + (3 * std::size_t{kZoneBytes}));  // Longer is growth that was not finished.
  ASSERT_TRUE(harness.disk().write_all("/shard-5/pages-1", *bytes).is_ok());
  harness.open();
  EXPECT_EQ(harness.verify(), "");
}

TEST(PageStore, AnAbandonedPassChangesNothing) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 4; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  harness.disk().faults().fail_from(reactor::SimEvent::kWrite, 1, {.result = -EIO}, "pages-1");
  EXPECT_TRUE(harness.script_pass(4).is(Code::kIoError));
  harness.disk().faults().clear();
  EXPECT_TRUE(harness.store().failure().is_ok());
  EXPECT_EQ(harness.store().current().generation, 5U);
  EXPECT_EQ(harness.verify(), "");
  ASSERT_TRUE(harness.script_pass(5).is_ok());
  EXPECT_EQ(harness.store().current().generation, 6U);
  EXPECT_EQ(harness.verify(), "");
  harness.reopen();
  EXPECT_EQ(harness.verify(), "");
}

Task<Status> publish_nothing(PageStore* store) {
  store->begin_pass();
  co_return co_await store->publish(StoreHarness::position(99), store->current().roots);
}

TEST(PageStore, AConfirmingPublicationNeedsNoSpace) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  EXPECT_TRUE(harness.world().run(0, publish_nothing, &harness.store()).is_ok());
  EXPECT_EQ(harness.store().current().generation, 2U);
  harness.reopen();
  EXPECT_EQ(harness.store().current().applied, StoreHarness::position(99));
}

TEST(PageStore, FilesAreAddedWhenTheLastOneIsFull) {
  StoreHarness harness(1);
  harness.options().file_bytes_max = 4_MiB;
  harness.options().growth_bytes_min = 1_MiB;
  harness.script() = {.slots = 500, .rewrites = 400, .extent_one_in = 0};
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 8; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok()) << pass;
  EXPECT_TRUE(harness.disk().exists("/shard-5/pages-3"));
  EXPECT_EQ(harness.verify(), "");
  harness.reopen();
  EXPECT_EQ(harness.verify(), "");
}

TEST(PageStore, SpaceOfRewrittenPagesIsUsedAgain) {
  StoreHarness harness(1);
  harness.script() = {.slots = 400, .rewrites = 2000, .extent_one_in = 0};
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 5; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  const std::uint64_t file_bytes = harness.store().space().file_bytes;
  for (std::uint32_t pass = 5; pass < 40; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  EXPECT_LE(harness.store().space().file_bytes, file_bytes * 3 / 2);
  EXPECT_EQ(harness.verify(), "");
}

// --- the rule of reuse ---

/// Opens a copy of the disk on which the newest superblock is damaged.
std::string verify_older(StoreHarness& harness, StoreHarness& other) {
  const std::uint64_t generation = harness.store().current().generation;
  other.set_disk(harness.disk().clone());
  other.set_history(harness.history());
  EXPECT_TRUE(other.disk().flip_byte("/shard-5/super", ((generation % 2) * 65536) + 90, 4).is_ok());
  const Failure failure = other.try_open();
  if (!failure.status.is_ok()) return failure.text;
  EXPECT_EQ(other.store().current().generation, generation - 1);
  std::string wrong = other.verify();
  other.close();
  return wrong;
}

TEST(PageStore, TheOlderSlotOpensCompletelyAfterEveryPublication) {
  StoreHarness harness(1);
  StoreHarness other(2);
  for (StoreHarness* each : {&harness, &other}) each->script() = {.slots = 300, .rewrites = 1500, .extent_one_in = 10};
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  for (std::uint32_t pass = 1; pass < 16; ++pass) {
    ASSERT_TRUE(harness.script_pass(pass).is_ok());
    ASSERT_EQ(verify_older(harness, other), "") << pass;
  }
}

/// The same in the middle of a pass: it writes only where neither slot looks.
TEST(PageStore, BothSlotsStayWholeWhileAPassWrites) {
  StoreHarness harness(1);
  StoreHarness other(2);
  for (StoreHarness* each : {&harness, &other}) each->script() = {.slots = 300, .rewrites = 1500, .extent_one_in = 10};
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 12; ++pass) {
    ASSERT_TRUE(harness.script_pass(pass).is_ok());
    if (pass < 2) continue;
    ASSERT_TRUE(harness.world().run(0, &StoreHarness::write_and_abandon, &harness, std::uint64_t{1000} + pass).is_ok());
    ASSERT_EQ(verify_older(harness, other), "") << pass;
    ASSERT_EQ(harness.verify(), "") << pass;
  }
}

/// Tables are written, then the pass fails: the copies that the two slots name are as they were.
TEST(PageStore, TablesOfAGenerationThatFailedHurtNeitherSlot) {
  StoreHarness harness(1);
  StoreHarness other(2);
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 5; ++pass) {
    ASSERT_TRUE(harness.script_pass(pass).is_ok());
    if (pass == 0) continue;
    harness.disk().faults().fail_nth(reactor::SimEvent::kSync, 1, {.result = -EIO}, "pages-1");
    EXPECT_TRUE(harness.script_pass(100 + pass).is(Code::kIoError));
    EXPECT_EQ(verify_older(harness, other), "") << pass;
    harness.reopen();
    EXPECT_EQ(harness.store().current().applied.sequence, pass + 1);
    EXPECT_EQ(harness.verify(), "");
  }
}

Task<Status> read_all_pages(PageStore* store, std::map<std::uint32_t, SlotValue> slots) {
  for (const auto& [slot, value] : slots) {
    if (value.is_extent) {
      const Result<std::string> read = co_await store->read_extent(value.extent, kTestFamily);
      if (!read.has_value()) co_return read.error();
    } else {
      const Result<PageRef> read = co_await store->read_page(value.page, kTestFamily);
      if (!read.has_value()) co_return read.error();
    }
  }
  co_return Status::ok();
}

TEST(PageStore, APinKeepsItsPagesReadableAndItsEndFreesTheSpace) {
  StoreHarness harness(1);
  harness.options().budgets.cache_bytes = 64_KiB;
  harness.script() = {.slots = 300, .rewrites = 1500, .extent_one_in = 10};
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  PageStore::ReadPin pin = harness.store().pin_current();
  const std::map<std::uint32_t, SlotValue> slots = harness.load_slots();
  for (std::uint32_t pass = 1; pass < 8; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  EXPECT_GT(harness.store().space().pinned_bytes, 0U);
  EXPECT_EQ(harness.world().run(0, read_all_pages, &harness.store(), slots), Status::ok());
  pin = PageStore::ReadPin();
  for (std::uint32_t pass = 8; pass < 16; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  EXPECT_TRUE(harness.world().run(0, read_all_pages, &harness.store(), slots).is(Code::kCorruption))
      << "nothing was overwritten";
}

// --- reading ---

TEST(PageStore, ConcurrentReadsOfAPageShareTheRead) {
  StoreHarness harness(1);
  harness.script().extent_one_in = 0;
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  const ChildPointer page = harness.load_slots().begin()->second.page;
  harness.reopen();
  auto first = harness.world().start(0, &PageStore::read_page, &harness.store(), page, kTestFamily, true);
  auto second = harness.world().start(0, &PageStore::read_page, &harness.store(), page, kTestFamily, true);
  harness.world().drain();
  {
    const Result<PageRef> one = first.take();
    const Result<PageRef> two = second.take();
    ASSERT_TRUE(one.has_value() && two.has_value());
    EXPECT_EQ(one->bytes().data(), two->bytes().data());
  }
  EXPECT_EQ(harness.store().counters().pages_read, 1U);
  EXPECT_TRUE(static_cast<bool>(harness.store().find_cached(page)));
}

TEST(PageStore, AReadThatIsNotAdmittedLeavesNothingBehind) {
  StoreHarness harness(1);
  harness.script().extent_one_in = 0;
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  const ChildPointer page = harness.load_slots().begin()->second.page;
  harness.reopen();
  EXPECT_TRUE(harness.world().run(0, &PageStore::read_page, &harness.store(), page, kTestFamily, false).has_value());
  EXPECT_FALSE(static_cast<bool>(harness.store().find_cached(page)));
}

TEST(PageStore, AReadErrorIsRetriedOnceThenReportedWithItsPlace) {
  StoreHarness harness(1);
  harness.script().extent_one_in = 0;
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  const ChildPointer page = harness.load_slots().begin()->second.page;
  harness.reopen();
  harness.disk().faults().fail_nth(reactor::SimEvent::kRead, 1, -EIO);
  EXPECT_TRUE(harness.world().run(0, &PageStore::read_page, &harness.store(), page, kTestFamily, true).has_value());
  harness.reopen();
  harness.disk().faults().fail_from(reactor::SimEvent::kRead, 1, {.result = -EIO});
  const Result<PageRef> failed = harness.world().run(0, &PageStore::read_page, &harness.store(), page, kTestFamily, true);
  harness.disk().faults().clear();
  ASSERT_FALSE(failed.has_value());
  EXPECT_TRUE(failed.error().is(Code::kIoError));
  EXPECT_EQ(failed.error().file_kind(), FileKind::kPages);
  EXPECT_EQ(failed.error().where(), page.address.block);
}

TEST(PageStore, ADamagedPageIsCorruptionAndTheOthersAreRead) {
  StoreHarness harness(1);
  harness.script().extent_one_in = 0;
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  const std::map<std::uint32_t, SlotValue> slots = harness.load_slots();
  harness.reopen();
  const ChildPointer page = slots.begin()->second.page;
  ASSERT_TRUE(harness.disk().flip_byte("/shard-5/pages-1", (page.address.block * 4096ULL) + 700, 1).is_ok());
  const Result<PageRef> failed = harness.world().run(0, &PageStore::read_page, &harness.store(), page, kTestFamily, true);
  ASSERT_FALSE(failed.has_value());
  EXPECT_TRUE(failed.error().is(Code::kCorruption));
  EXPECT_EQ(failed.error().where(), page.address.block);
  EXPECT_TRUE(harness.world()
                  .run(0, &PageStore::read_page, &harness.store(), slots.rbegin()->second.page, kTestFamily, true)
                  .has_value());
}

TEST(PageStore, APointerOutsideTheFilesIsCorruptionNotACrash) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  ChildPointer wrong = harness.store().current().roots;
  for (const Address address : {Address{9, 300}, Address{1, 0}, Address{1, 0xffff'ffff}, Address{0, 300}}) {
    wrong.address = address;
    const Result<PageRef> failed = harness.world().run(0, &PageStore::read_page, &harness.store(), wrong, kTestFamily, true);
    ASSERT_FALSE(failed.has_value());
    EXPECT_TRUE(failed.error().is(Code::kCorruption));
  }
  ExtentPointer extent{.address = {1, 256}, .value_bytes = ~0ULL, .birth = 1, .checksum = 1};
  EXPECT_FALSE(harness.world().run(0, &PageStore::read_extent, &harness.store(), extent, kTestFamily).has_value());
}

TEST(PageStore, TheSuccessorOfACachedPageIsCachedAndOthersAreNot) {
  StoreHarness harness(1);
  harness.script() = {.slots = 24, .rewrites = 200, .extent_one_in = 0};
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  const std::map<std::uint32_t, SlotValue> before = harness.load_slots();
  const ChildPointer cached = before.begin()->second.page;
  ASSERT_TRUE(harness.world().run(0, &PageStore::read_page, &harness.store(), cached, kTestFamily, true).has_value());
  ASSERT_TRUE(harness.script_pass(1).is_ok());
  const std::map<std::uint32_t, SlotValue> after = harness.load_slots();
  EXPECT_FALSE(static_cast<bool>(harness.store().find_cached(cached)));
  EXPECT_TRUE(static_cast<bool>(harness.store().find_cached(after.begin()->second.page)));
  EXPECT_FALSE(static_cast<bool>(harness.store().find_cached(after.rbegin()->second.page)));
}

// --- cleaning ---

TEST(PageStore, TheCandidatesOfAZoneAreItsPages) {
  StoreHarness harness(1);
  harness.script() = {.slots = 40, .rewrites = 400, .extent_one_in = 8, .extent_bytes_max = 60'000};
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  std::map<Address, bool> expected;  // Address -> is an extent.
  for (const auto& [slot, value] : harness.load_slots()) {
    expected[value.is_extent ? value.extent.address : value.page.address] = value.is_extent;
  }
  std::size_t found = 0;
  for (const auto& [zone, live] : harness.store().live_blocks_by_zone()) {
    const auto candidates = harness.world().run(0, &PageStore::list_zone, &harness.store(), zone);
    ASSERT_TRUE(candidates.has_value());
    for (const PageStore::Candidate& candidate : *candidates) {
      if (candidate.family == kRootsFamily) continue;
      ASSERT_TRUE(expected.contains(candidate.address));
      EXPECT_EQ(candidate.is_extent, expected[candidate.address]);
      EXPECT_EQ(candidate.birth, 2U);
      EXPECT_EQ(candidate.first_key.substr(0, 5), "slot-");
      ++found;
    }
  }
  EXPECT_EQ(found, expected.size());
}

TEST(PageStore, ReturnedSpaceLeavesTheDiskAndIsTakenAgain) {
  StoreHarness harness(1);
  harness.options().growth_bytes_min = 48_MiB;
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 3; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  const std::uint64_t used = harness.disk().used_bytes();
  const std::uint64_t file_bytes = harness.store().space().file_bytes;
  EXPECT_TRUE(harness.world().run(0, &PageStore::return_free_zones, &harness.store()).is_ok());
  const SpaceStats after = harness.store().space();
  EXPECT_GT(after.returned_bytes, 20_MiB);
  EXPECT_EQ(after.file_bytes, file_bytes - after.returned_bytes);
  EXPECT_EQ(harness.disk().used_bytes(), used - after.returned_bytes);
  EXPECT_GE(after.free_bytes, 8_MiB);
  ASSERT_TRUE(harness.script_pass(3).is_ok());
  harness.reopen();
  EXPECT_EQ(harness.store().space().file_bytes, after.file_bytes);  // The table knows the holes.
  harness.script() = {.slots = 1000, .rewrites = 9000, .extent_one_in = 0};
  ASSERT_TRUE(harness.script_pass(4).is_ok());
  EXPECT_EQ(harness.verify(), "");
  EXPECT_GT(harness.store().space().file_bytes, after.file_bytes);
  EXPECT_FALSE(harness.disk().exists("/shard-5/pages-2"));  // Holes first, before another file.
}

std::uint64_t length_of(const StoreHarness& harness, std::uint16_t number) {
  return harness.disk().read_all("/shard-5/pages-" + std::to_string(number))->size();
}

TEST(PageStore, AnEmptyEndLeavesItsFileOnceBothSuperblocksSaySo) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  const auto return_zones = [&harness] {
    ASSERT_TRUE(harness.world().run(0, &PageStore::return_free_zones, &harness.store()).is_ok());
  };
  const auto confirm = [&harness] { ASSERT_TRUE(harness.script_pass(harness.history().size()).is_ok()); };
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  ASSERT_EQ(harness.world().run(0, &StoreHarness::extent_round_trip, &harness, std::size_t{30'000'000}), "");
  const std::uint64_t full = length_of(harness, 1);
  ASSERT_GT(full, 30'000'000U);
  confirm();  // The older superblock does not reach it any more.
  return_zones();
  EXPECT_TRUE(harness.store().has_shorter_files());
  EXPECT_EQ(length_of(harness, 1), full);
  confirm();
  return_zones();
  EXPECT_EQ(length_of(harness, 1), full);  // The older superblock may still be the one to open.
  for (int round = 0; round < 10 && harness.store().has_shorter_files(); ++round) {
    confirm();
    return_zones();
  }
  EXPECT_FALSE(harness.store().has_shorter_files());
  EXPECT_LT(length_of(harness, 1), full - 15_MiB);
  harness.reopen();
  EXPECT_EQ(harness.verify(), "");
  ASSERT_EQ(harness.world().run(0, &StoreHarness::extent_round_trip, &harness, std::size_t{30'000'000}), "");  // Longer again.
  EXPECT_EQ(harness.verify(), "");
}

TEST(PageStore, AFileThatWasMadeShorterIsUsedAgainBeforeItIsCut) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  ASSERT_EQ(harness.world().run(0, &StoreHarness::extent_round_trip, &harness, std::size_t{30'000'000}), "");
  ASSERT_TRUE(harness.script_pass(1).is_ok());
  const std::uint64_t full = length_of(harness, 1);
  ASSERT_TRUE(harness.world().run(0, &PageStore::return_free_zones, &harness.store()).is_ok());
  ASSERT_TRUE(harness.store().has_shorter_files());
  const std::uint64_t used = harness.disk().used_bytes();
  ASSERT_EQ(harness.world().run(0, &StoreHarness::extent_round_trip, &harness, std::size_t{20'000'000}), "");
  EXPECT_GT(harness.disk().used_bytes(), used + 4_MiB);  // Its holes were filled before they were written.
  EXPECT_LE(length_of(harness, 1), full);
  EXPECT_EQ(harness.verify(), "");
  harness.reopen();
  EXPECT_EQ(harness.verify(), "");
}

// --- extents ---

TEST(PageStore, ExtentsOfAllSizesAreReadBackAndFreed) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{17} * 1024, std::size_t{65536}, std::size_t{300'001},
                                  std::size_t{1} << 20U, (std::size_t{1} << 20U) - 8192, std::size_t{8} << 20U}) {
    const std::uint64_t live = harness.store().space().live_bytes;
    const std::string wrong = harness.world().run(0, &StoreHarness::extent_round_trip, &harness, bytes);
    EXPECT_EQ(wrong, "") << bytes;
    EXPECT_EQ(harness.store().space().live_bytes, live);
  }
}

TEST(PageStore, ADamagedExtentIsCorruptionWithItsBlock) {
  StoreHarness harness(1);
  harness.script() = {.slots = 1, .rewrites = 1, .extent_one_in = 1};
  harness.create();
  harness.open();
  ASSERT_TRUE(harness.script_pass(0).is_ok());
  const ExtentPointer extent = harness.load_slots().begin()->second.extent;
  const std::uint64_t last = extent.address.block + extent_blocks(extent.value_bytes) - 1;
  for (const std::uint64_t block : {std::uint64_t{extent.address.block}, last}) {
    ASSERT_TRUE(harness.disk().flip_byte("/shard-5/pages-1", block * kPageBlockBytes, 1).is_ok());
    const Result<std::string> read = harness.world().run(0, &PageStore::read_extent, &harness.store(), extent, kTestFamily);
    ASSERT_FALSE(read.has_value());
    EXPECT_TRUE(read.error().is(Code::kCorruption));
    EXPECT_LE(read.error().where(), block);
    EXPECT_GT(read.error().where() + 16, block);
    ASSERT_TRUE(harness.disk().flip_byte("/shard-5/pages-1", block * kPageBlockBytes, 1).is_ok());
  }
  EXPECT_TRUE(harness.world().run(0, &PageStore::read_extent, &harness.store(), extent, kTestFamily).has_value());
  EXPECT_FALSE(harness.world().run(0, &PageStore::read_extent, &harness.store(), extent, FamilyId{21}).has_value());
}

}  // namespace
}  // namespace penstock::btree
