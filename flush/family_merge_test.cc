#include "flush/family_merge.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "btree/btree.h"
#include "btree/test_inspector.h"
#include "memtable/memtable.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::flush {
namespace {

constexpr FamilyId kFamily = 20;

using Model = std::map<std::string, std::string>;

/// A store with one family, whose trees are kept here, and the map that they must equal.
struct House {
  explicit House(std::uint64_t seed) : disk(seed), world(disk, {.seed = seed}), random(seed) {
    const btree::StoreIdentity identity{.uuid_high = 1, .uuid_low = 2};
    EXPECT_TRUE(btree::PageStore::create(world.system(), "/shard-0", identity, 0).is_ok());
    options.directory = "/shard-0";
    options.identity = identity;
    options.budgets.cache_bytes = seed % 2 == 0 ? 4_MiB : 128_KiB;
    const Status status = world.run(0, &House::open, this);
    EXPECT_TRUE(status.is_ok()) << status.to_string();
  }
  ~House() { world.run(0, &House::close, this); }
  static Task<Status> open(House* house) {
    Outcome<std::unique_ptr<btree::PageStore>> opened =
        co_await btree::PageStore::open(house->world.reactor(0), house->options);
    if (!opened.has_value()) {
      co_return opened.error().status;
    }
    house->store = std::move(*opened);
    co_return Status::ok();
  }
  static Task<> close(House* house) { co_await house->store->close(); }

  reactor::SimDisk disk;
  reactor::SimWorld world;
  base::Random random;
  btree::PageStoreOptions options;
  std::unique_ptr<btree::PageStore> store;
  btree::FamilyTrees trees;
  std::string slice_begin;
  RunCounters counters;
  Sequence sequence = 0;
  Model model;
};

std::string key_of(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return "key" + std::string(8 - digits.size(), '0') + digits;
}

Task<Status> run_pass(House* house, const memtable::Memtable* memtable, bool drain, bool empties_zones) {
  btree::PageStore& store = *house->store;
  store.begin_pass();
  PENSTOCK_CO_TRY(co_await store.reserve(8192, false));
  MoveKeys moves;
  if (empties_zones) {
    std::vector<btree::Address> zones;
    for (const auto& [zone, live] : store.live_blocks_by_zone()) {
      if (live != 0 && house->random.one_in(3)) {
        zones.push_back(zone);
      }
    }
    std::set<std::string> keys;
    for (const btree::Address& zone : zones) {
      const auto candidates = co_await store.list_zone(zone);
      if (!candidates.has_value()) {
        co_return candidates.error();
      }
      for (const btree::PageStore::Candidate& candidate : *candidates) {
        keys.insert(candidate.first_key);
      }
    }
    moves.assign(keys.begin(), keys.end());
    store.set_evacuated(zones);
  }
  btree::MergeStats stats;
  FamilyMerge merge(store, kFamily, house->trees,
                    {.memtable = memtable,
                     .moves = empties_zones ? &moves : nullptr,
                     .slice_begin = house->slice_begin,
                     .gather_from_bytes = 0,
                     .drain = drain},
                    stats);
  PENSTOCK_CO_TRY(co_await merge.run());
  btree::AppliedPosition applied = store.current().applied;
  applied.epoch = 1;
  applied.sequence = house->sequence;
  PENSTOCK_CO_TRY(co_await store.publish(applied, btree::ChildPointer{}));
  house->trees = merge.trees();
  house->slice_begin = merge.slice_begin();
  house->counters += merge.counters();
  co_return Status::ok();
}

struct Walk {
  std::map<btree::Address, std::uint32_t> live_by_zone;
  std::set<btree::Address> seen;
};

void count_blocks(void* context, btree::Address address, std::uint64_t blocks) {
  Walk& walk = *static_cast<Walk*>(context);
  EXPECT_TRUE(walk.seen.insert(address).second) << "two owners of block " << address.block;
  for (std::uint64_t index = 0; index < blocks; ++index) {
    const auto block = static_cast<std::uint32_t>(address.block + index);
    walk.live_by_zone[{.file = address.file, .block = block / btree::kZoneBlocks * btree::kZoneBlocks}] += 1;
  }
}

Task<Result<std::string>> value_of(House* house, std::optional<btree::ExtentPointer> extent, std::string value) {
  if (!extent.has_value()) {
    co_return value;
  }
  co_return co_await house->store->read_extent(*extent, kFamily);
}

/// The cursor over all trees and look-ups answer what the map does; every block has one owner and none is lost.
Task<Status> compare(House* house) {
  btree::PageStore& store = *house->store;
  Walk walk;
  PENSTOCK_CO_TRY(co_await btree::check_all(&store, house->trees, kFamily, &count_blocks, &walk));
  std::map<btree::Address, std::uint32_t> live_by_zone;
  for (const auto& [zone, live] : store.live_blocks_by_zone()) {
    if (live != 0) {
      live_by_zone[zone] = live;
    }
  }
  EXPECT_EQ(live_by_zone, walk.live_by_zone);
  btree::FamilyCursor cursor(store, house->trees, kFamily);
  PENSTOCK_CO_TRY(co_await cursor.seek(""));
  for (const auto& [key, value] : house->model) {
    EXPECT_TRUE(cursor.valid()) << key;
    if (!cursor.valid()) {
      co_return Status(Code::kNotFound);
    }
    EXPECT_EQ(cursor.key(), key);
    const Result<std::string> found = co_await value_of(house, cursor.extent(), std::string(cursor.value()));
    if (!found.has_value()) {
      co_return found.error();
    }
    EXPECT_EQ(*found, value);
    if (house->random.one_in(2) || !cursor.try_next()) {
      PENSTOCK_CO_TRY(co_await cursor.next());
    }
  }
  EXPECT_FALSE(cursor.valid());
  for (int probe = 0; probe < 60; ++probe) {
    const std::string key = key_of(house->random.below(4000));
    const auto expected = house->model.find(key);
    const auto found = co_await btree::find(store, house->trees, kFamily, key);
    if (!found.has_value()) {
      co_return found.error();
    }
    EXPECT_EQ(found->has_value(), expected != house->model.end()) << key;
    const btree::CachedFind cached = btree::find_cached(store, house->trees, key);
    if (cached.complete) {
      EXPECT_EQ(cached.found.has_value(), found->has_value()) << key;
    }
    const btree::BorrowedFind borrowed = btree::find_borrowed(store, house->trees, key);
    if (borrowed.complete) {
      EXPECT_EQ(borrowed.value.has_value(), found->has_value()) << key;
    }
    PENSTOCK_CO_TRY(co_await cursor.seek(key));
    const auto lower = house->model.lower_bound(key);
    EXPECT_EQ(cursor.valid(), lower != house->model.end());
    if (cursor.valid() && lower != house->model.end()) {
      EXPECT_EQ(cursor.key(), lower->first);
    }
  }
  co_return Status::ok();
}

class FamilyMerges : public testing::TestWithParam<std::uint64_t> {
 protected:
  /// A generation of `count` operations on keys of [0, 4000).
  void write(House& house, std::uint64_t count, bool empties_zones) {
    memtable::Memtable memtable;
    for (std::uint64_t number = 0; number < count; ++number) {
      const std::string key = key_of(house.random.below(4000));
      const std::uint64_t bytes = house.random.one_in(60) ? 20'000 + house.random.below(80'000) : house.random.below(120);
      if (house.random.one_in(4)) {
        memtable.apply(kFamily, key, std::nullopt, ++house.sequence, 0);
        house.model.erase(key);
      } else {
        const std::string value(bytes, static_cast<char>('a' + house.sequence % 26));
        memtable.apply(kFamily, key, Bytes(value), ++house.sequence, 0);
        house.model[key] = value;
      }
    }
    const Status status = house.world.run(0, &run_pass, &house, &memtable, false, empties_zones);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  void verify(House& house) {
    const Status status = house.world.run(0, &compare, &house);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
};

TEST_P(FamilyMerges, EqualAMapAfterEveryPass) {
  House house(GetParam());
  write(house, 6000, false);
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + " round " + std::to_string(round));
    write(house, 1 + house.random.below(60), house.random.one_in(3));
    ASSERT_FALSE(HasFailure());
    verify(house);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(house.counters.made, 3U);
  EXPECT_GT(house.counters.slices, 3U);
  // At rest: slices until nothing waits.
  for (int pass = 0; pass < 40 && !house.trees.runs.empty(); ++pass) {
    const Status status = house.world.run(0, &run_pass, &house, static_cast<const memtable::Memtable*>(nullptr), true, false);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    verify(house);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_TRUE(house.trees.runs.empty());
  EXPECT_EQ(house.trees.base.entries, house.model.size());
  EXPECT_GT(house.counters.entries_out, 0U);
  EXPECT_GE(house.counters.entries_in, house.counters.entries_out);  // What is overwritten in a run is not carried on.
}

// Generations of sizes of which so many wait until the slices have gone through all keys that one run each would be too many.
TEST_P(FamilyMerges, JoinsRunsThatWouldBeTooMany) {
  House house(GetParam());
  for (int pass = 0; pass < 3; ++pass) {
    write(house, 4000, false);
  }
  for (std::uint64_t count = 80; count > 10; count -= count / 6) {
    for (int pass = 0; pass < 20; ++pass) {
      write(house, count, house.random.one_in(8));
      EXPECT_LE(house.trees.runs.size(), btree::kRunsMax);
    }
    verify(house);
  }
  EXPECT_GT(house.counters.joined, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FamilyMerges, testing::Range(std::uint64_t{0}, std::uint64_t{12}));

}  // namespace
}  // namespace penstock::flush
