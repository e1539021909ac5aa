// Checks how leaves split, and how full the trees of the common arrival orders end up.
#include "memtable/tree.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace penstock::memtable {
namespace {

std::string big_endian(std::uint64_t number) {
  number = __builtin_bswap64(number);
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

void add(Arena& arena, Tree& tree, Bytes key) {
  Tree::Place place;
  tree.locate(key, place);
  if (place.found == nullptr) {
    tree.insert(arena, place, make_entry(arena, key, Content{}, 1));
  }
}

// Entries per leaf slot.
double fill_of(const Tree& tree) {
  double slots = 0;
  for (const Leaf* leaf = tree.first_leaf(); leaf != nullptr; leaf = leaf->next) {
    slots += leaf->capacity;
  }
  return static_cast<double>(tree.entry_count()) / slots;
}

TEST(SplitPlan, PutsTheNewSlotIntoAHalfWithRoomAndLeavesNoneEmpty) {
  for (std::uint32_t index = 0; index <= kLeafCapacity; ++index) {
    for (std::uint32_t last_insert = 0; last_insert <= kLeafCapacity; ++last_insert) {
      const SplitPlan plan = plan_split(kLeafCapacity, index, last_insert);
      const std::uint32_t right_count = kLeafCapacity - plan.left_count;
      if (plan.insert_goes_left) {
        ASSERT_LE(index, plan.left_count);
        ASSERT_LT(plan.left_count, kLeafCapacity);
        ASSERT_GT(right_count, 0U);
      } else {
        ASSERT_GE(index, plan.left_count);
        ASSERT_LT(right_count, kLeafCapacity);
        ASSERT_GT(plan.left_count, 0U);
      }
    }
  }
}

TEST(Tree, AscendingKeysLeaveFullLeaves) {
  Arena arena;
  Tree tree(arena);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    add(arena, tree, big_endian(i));
  }
  tree.assert_invariants();
  EXPECT_GT(fill_of(tree), 0.99);
}

TEST(Tree, DescendingKeysLeaveFullLeaves) {
  Arena arena;
  Tree tree(arena);
  for (std::uint64_t i = 100'000; i > 0; --i) {
    add(arena, tree, big_endian(i));
  }
  tree.assert_invariants();
  EXPECT_GT(fill_of(tree), 0.95);
}

TEST(Tree, SeveralAscendingRunsLeaveMostlyFullLeaves) {
  Arena arena;
  Tree tree(arena);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    for (std::uint64_t run = 0; run < 10; ++run) {
      add(arena, tree, big_endian((run << 32U) + i));
    }
  }
  tree.assert_invariants();
  EXPECT_GT(fill_of(tree), 0.9);
}

TEST(Tree, RandomKeysFillLeavesToTwoThirds) {
  Arena arena;
  Tree tree(arena);
  base::Random random(1);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    add(arena, tree, big_endian(random.next()));
  }
  tree.assert_invariants();
  EXPECT_GT(fill_of(tree), 0.64);
}

// 60 equal leading bytes are more than a node cuts off: heads tie for good, and keys decide.
TEST(Tree, OrdersKeysWhoseSharedPrefixIsLongerThanANodeCutsOff) {
  Arena arena;
  Tree tree(arena);
  const std::string prefix(kNodePrefixBytesMax + 20, 'p');
  base::Random random(2);
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    add(arena, tree, prefix + big_endian(random.next()));
  }
  add(arena, tree, prefix);
  add(arena, tree, "a");
  add(arena, tree, "z");
  add(arena, tree, "");
  tree.assert_invariants();
  EXPECT_NE(tree.find(prefix), nullptr);
  EXPECT_EQ(tree.find(prefix + "x"), nullptr);
}

}  // namespace
}  // namespace penstock::memtable
