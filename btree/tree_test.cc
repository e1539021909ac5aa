// Trees against std::map: random merges over a simulated disk, then the whole tree is checked, walked and looked up.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "btree/btree.h"
#include "btree/page.h"
#include "btree/test_forest.h"

namespace penstock::btree {
namespace {

std::string bytes_of_length(base::Random& random, std::uint64_t length) {
  std::string bytes(length, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

/// Keys and values of one seed: short, long, with shared beginnings, in a row.
struct Generator {
  explicit Generator(std::uint64_t seed) : random(seed), shape(seed % 6), values(seed / 6 % 3) {
    prefix = bytes_of_length(random, random.below(200));
  }
  std::string key() {
    switch (shape) {
      case 0:
        return std::to_string(random.below(4000));
      case 1:
        return prefix + std::to_string(random.below(2000));
      case 2:
        return bytes_of_length(random, random.below(3) == 0 ? random.below(1025) : random.below(4));
      case 3:
        return std::string(random.below(300), 'a') + std::to_string(random.below(20));
      case 4:  // Long separators, so few children a node and a deep tree.
        return std::string(700, static_cast<char>('a' + random.below(20))) + std::to_string(random.below(3000)) + prefix;
      default:
        return prefix.substr(0, random.below(prefix.size() + 1)) + bytes_of_length(random, random.below(6));
    }
  }
  std::string value() {
    std::uint64_t bytes = random.below(120);
    if (values == 1 && random.one_in(4)) bytes = random.below(20'000);
    if (values == 2 && random.one_in(40)) bytes = random.below(200'000);
    return std::string(bytes, static_cast<char>(random.next()));
  }
  base::Random random;
  std::uint64_t shape;
  std::uint64_t values;
  std::string prefix;
};

std::vector<Operation> draw_operations(Generator& generator, std::uint64_t count, std::uint64_t delete_percent) {
  std::map<std::string, Operation> drawn;
  for (std::uint64_t index = 0; index < count; ++index) {
    Operation operation{.key = generator.key()};
    if (generator.random.below(100) < delete_percent) {
      operation.kind = MergeOperation::Kind::kDelete;
    } else {
      operation.value = generator.value();
    }
    drawn[operation.key] = std::move(operation);
  }
  std::vector<Operation> operations;
  for (auto& [key, operation] : drawn) operations.push_back(std::move(operation));
  return operations;
}

struct ZoneList {
  std::vector<Address> zones;
  std::vector<PageStore::Candidate> candidates;
};

Task<Status> list_zones(Forest* forest, ZoneList* list) {
  for (const Address zone : list->zones) {
    Result<std::vector<PageStore::Candidate>> listed = co_await forest->store->list_zone(zone);
    if (!listed.has_value()) co_return listed.error();
    list->candidates.insert(list->candidates.end(), listed->begin(), listed->end());
  }
  co_return Status::ok();
}

/// Some zones to empty, and the moves for what is in them joined with `operations`.
std::vector<Address> add_moves(Forest& forest, base::Random& random, std::vector<Operation>& operations) {
  ZoneList list;
  for (const auto& [zone, live] : forest.store->live_blocks_by_zone()) {
    if (live != 0 && random.one_in(3)) list.zones.push_back(zone);
  }
  const Status listed = forest.world.run(0, list_zones, &forest, &list);
  EXPECT_TRUE(listed.is_ok()) << listed.to_string();
  std::set<std::string> keys;
  for (const PageStore::Candidate& candidate : list.candidates) {
    if (candidate.family == kForestFamily) keys.insert(candidate.first_key);
  }
  for (const std::string& key : keys) operations.push_back({.kind = MergeOperation::Kind::kMove, .key = key});
  std::sort(operations.begin(), operations.end(), [](const Operation& left, const Operation& right) {
    if (left.key != right.key) return left.key < right.key;
    return left.kind == MergeOperation::Kind::kMove && right.kind != MergeOperation::Kind::kMove;
  });
  return list.zones;
}

class RandomTrees : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomTrees, EqualAMapAfterEveryMerge) {
  const std::uint64_t seed = GetParam();
  Forest forest(seed, seed % 2 == 0 ? 4_MiB : 128_KiB);  // Half of them with most pages on disk.
  Generator generator(seed);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    const std::uint64_t count = generator.random.one_in(3) ? 1 + generator.random.below(5) : generator.random.below(600);
    const std::uint64_t delete_percent = round % 4 == 3 ? 80 : generator.random.below(50);
    std::vector<Operation> operations = draw_operations(generator, count, delete_percent);
    std::vector<Address> zones;
    if (generator.random.one_in(2)) zones = add_moves(forest, generator.random, operations);
    forest.apply(std::move(operations), zones);
    ASSERT_FALSE(HasFatalFailure());
    forest.verify();
    ASSERT_FALSE(HasFailure());
    const auto live = forest.store->live_blocks_by_zone();
    for (const Address& zone : zones) {
      const auto place = std::find_if(live.begin(), live.end(), [&](const auto& entry) { return entry.first == zone; });
      EXPECT_TRUE(place == live.end() || place->second == 0) << "zone " << zone.block << " was to be emptied";
    }
    for (int probe = 0; probe < 30; ++probe) {
      std::string key = generator.key();
      if (probe % 3 == 0) key += static_cast<char>(generator.random.next());
      if (key.size() > kKeyBytesMax) key.resize(kKeyBytesMax);
      const Status looked = forest.world.run(0, compare_lookup, &forest, key);
      ASSERT_TRUE(looked.is_ok()) << looked.to_string();
    }
    ASSERT_FALSE(HasFailure());
  }
  std::vector<Operation> deletes;
  for (const auto& [key, value] : forest.model) deletes.push_back(deletion(key));
  forest.apply(std::move(deletes));
  forest.verify();
  EXPECT_TRUE(forest.root.is_null());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTrees, testing::Range(std::uint64_t{0}, std::uint64_t{36}));

/// Takes of random ranges between random puts: what btree.h asks of their order.
std::vector<Operation> draw_takes(Generator& generator, std::uint64_t count) {
  std::vector<Operation> operations = draw_operations(generator, count, 20);
  std::vector<Operation> result;
  std::size_t index = 0;
  while (index < operations.size()) {
    Operation& operation = operations[index];
    ++index;
    operation.value.resize(std::min<std::size_t>(operation.value.size(), 300));  // Extents stay with the caller: none here.
    if (generator.random.one_in(20)) {
      operation.kind = MergeOperation::Kind::kTake;
      operation.value.clear();
      index += generator.random.below(40);
      if (index < operations.size()) operation.end = operations[index].key;
    }
    result.push_back(operation);
  }
  return result;
}

TEST_P(RandomTrees, LoseWhatIsTaken) {
  const std::uint64_t seed = GetParam();
  Forest forest(seed, seed % 2 == 0 ? 4_MiB : 128_KiB);
  Generator generator(seed);
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    forest.apply(draw_takes(generator, generator.random.below(900)));
    ASSERT_FALSE(HasFatalFailure());
    forest.verify();
    ASSERT_FALSE(HasFailure());
  }
  forest.apply({{.kind = MergeOperation::Kind::kTake, .key = ""}});
  forest.verify();
  EXPECT_TRUE(forest.root.is_null());
}

std::string row_key(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return "row/" + std::string(12 - digits.size(), '0') + digits;
}
std::vector<Operation> rows(std::uint64_t begin, std::uint64_t end, std::uint64_t step = 1, std::size_t value_bytes = 100) {
  std::vector<Operation> operations;
  for (std::uint64_t number = begin; number < end; number += step) {
    operations.push_back({.key = row_key(number), .value = std::string(value_bytes, static_cast<char>('a' + number % 26))});
  }
  return operations;
}
/// Bytes of keys and values per byte of pages.
double use_of_pages(Forest& forest) {
  Walk walk;
  EXPECT_TRUE(forest.world.run(0, check_tree, &forest, &walk).is_ok());
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : forest.model) bytes += key.size() + value.size() + sizeof(Slot) + sizeof(LeafCellHeader);
  return static_cast<double>(bytes) / static_cast<double>(walk.blocks * kPageBlockBytes);
}

TEST(Merge, SortedInputIntoAnEmptyTreeFillsItsPages) {
  Forest forest(1);
  forest.apply(rows(0, 20'000));
  forest.verify();
  EXPECT_EQ(forest.stats.puts, 20'000U);
  EXPECT_GE(use_of_pages(forest), 0.95);
}

TEST(Merge, RowsAppendedInManyPassesFillTheirPages) {
  Forest forest(2);
  for (std::uint64_t begin = 0; begin < 20'000; begin += 1000) forest.apply(rows(begin, begin + 1000));
  forest.verify();
  EXPECT_GE(use_of_pages(forest), 0.90);
}

TEST(Merge, LargeInlineValuesWasteLittleSpace) {
  for (const std::size_t value_bytes : {700U, 1500U, 2100U, 3000U, 5000U, 9000U, 16'384U}) {
    SCOPED_TRACE(value_bytes);
    Forest forest(3);
    forest.apply(rows(0, 300, 1, value_bytes));
    EXPECT_GE(use_of_pages(forest), 0.77);
  }
}

TEST(Merge, OverwritesInPlaceKeepTheTreeItsSize) {
  Forest forest(4);
  forest.apply(rows(0, 20'000));
  const double before = use_of_pages(forest);
  for (int round = 0; round < 4; ++round) forest.apply(rows(static_cast<std::uint64_t>(round), 20'000, 7));
  forest.verify();
  EXPECT_GE(use_of_pages(forest), before * 0.87);
}

TEST(Merge, DeletingMostRowsMergesTheirLeaves) {
  Forest forest(5);
  forest.apply(rows(0, 20'000));
  std::vector<Operation> deletes;
  for (std::uint64_t number = 0; number < 20'000; ++number) {
    if (number % 10 != 0) deletes.push_back(deletion(row_key(number)));
  }
  forest.apply(std::move(deletes));
  forest.verify();
  EXPECT_EQ(forest.stats.deletes, 18'000U);
  EXPECT_GE(use_of_pages(forest), 0.80);
}

TEST(Merge, AnUnderfullLeafTakesItsRightNeighbourAlong) {
  Forest forest(6);
  forest.apply(rows(0, 2000));
  std::vector<Operation> deletes;  // One leaf's worth, but for a row.
  for (std::uint64_t number = 1001; number < 1060; ++number) {
    deletes.push_back(deletion(row_key(number)));
  }
  forest.apply(std::move(deletes));
  forest.verify();
  EXPECT_GE(use_of_pages(forest), 0.90);
}

TEST(Merge, DeletesOfAbsentKeysWriteNothing) {
  Forest forest(7);
  forest.apply(rows(0, 5000, 2));
  const ChildPointer before = forest.root;
  std::vector<Operation> deletes;
  for (std::uint64_t number = 1; number < 5000; number += 2) {
    deletes.push_back(deletion(row_key(number)));
  }
  forest.apply(std::move(deletes));
  EXPECT_EQ(forest.root, before);
  EXPECT_EQ(forest.stats.pages_written, 0U);
  EXPECT_EQ(forest.stats.deletes, 0U);
}

TEST(Merge, OnePutWritesOnePageALevel) {
  Forest forest(8);
  forest.apply(rows(0, 50'000, 2));
  std::vector<Operation> put;
  put.push_back({.key = row_key(24'000), .value = std::string(100, 'x')});
  forest.apply(put);
  EXPECT_LE(forest.stats.pages_written, 3U);
  EXPECT_EQ(forest.stats.leaves_read, 1U);
  put.front().key = row_key(24'001);  // Into a full leaf: it splits.
  forest.apply(put);
  EXPECT_LE(forest.stats.pages_written, 5U);  // And so does its full parent.
  forest.verify();
}

TEST(Merge, AnEmptyMergeOfAnEmptyTreeStaysEmpty) {
  Forest forest(9);
  forest.apply({});
  EXPECT_TRUE(forest.root.is_null());
  forest.apply({deletion("absent")});
  EXPECT_TRUE(forest.root.is_null());
  forest.verify();
}

Task<Status> free_all(Forest* forest) {
  forest->store->begin_pass();
  PENSTOCK_CO_TRY(co_await forest->store->reserve(64, false));
  PENSTOCK_CO_TRY(co_await free_tree(*forest->store, forest->root, kForestFamily));
  AppliedPosition applied = forest->store->current().applied;
  applied.sequence += 1;
  PENSTOCK_CO_TRY(co_await forest->store->publish(applied, ChildPointer{}));
  forest->root = ChildPointer{};
  forest->model.clear();
  co_return Status::ok();
}

TEST(FreeTree, LeavesNoLiveBlock) {
  Forest forest(10);
  forest.apply(rows(0, 3000));
  forest.apply(rows(100, 110, 1, 50'000));
  const Status freed = forest.world.run(0, free_all, &forest);
  ASSERT_TRUE(freed.is_ok()) << freed.to_string();
  for (const auto& [zone, live] : forest.store->live_blocks_by_zone()) EXPECT_EQ(live, 0U);
}

Task<Status> find_one(Forest* forest, std::string key) {
  const Result<std::optional<Found>> found = co_await find(*forest->store, forest->root, kForestFamily, key);
  co_return found.has_value() ? Status::ok() : found.error();
}

// One bit in each page and extent in turn: check() names its block, and find() does for a page on its way.
TEST(Tree, NamesTheBlockOfADamagedPage) {
  Forest forest(12);
  forest.apply(rows(0, 3000));
  forest.apply(rows(1500, 1502, 1, 50'000));
  Walk walk;
  ASSERT_TRUE(forest.world.run(0, check_tree, &forest, &walk).is_ok());
  std::uint32_t found_count = 0;
  for (const Address& address : walk.seen) {
    forest.close();
    const std::uint64_t offset = (std::uint64_t{address.block} * kPageBlockBytes) + 1234;
    ASSERT_TRUE(forest.disk.flip_byte("/shard-0/pages-1", offset, 4).is_ok());
    forest.open();
    Walk damaged;
    const Status checked = forest.world.run(0, check_tree, &forest, &damaged);
    EXPECT_TRUE(checked.is(Code::kCorruption));
    EXPECT_EQ(checked.where(), address.block);
    EXPECT_EQ(checked.file(), address.file);
    const Status status = forest.world.run(0, find_one, &forest, row_key(1500));
    if (!status.is_ok()) {
      EXPECT_TRUE(status.is(Code::kCorruption));
      EXPECT_EQ(status.where(), address.block);
      ++found_count;
    }
    ASSERT_TRUE(forest.disk.flip_byte("/shard-0/pages-1", offset, 4).is_ok());
  }
  EXPECT_EQ(found_count, 2U);  // The root and the row's leaf; its extent is not read by find().
  forest.close();
  forest.open();
  forest.verify();
}

/// A leaf of three pairs, placed in the open pass.
ChildPointer place_leaf(PageStore& store, const std::vector<std::string>& keys) {
  std::vector<Cell> cells;
  for (const std::string& key : keys) {
    Cell cell;
    cell.suffix = key.data();
    cell.suffix_bytes = static_cast<std::uint16_t>(key.size());
    cell.flags = kCellInline;
    cells.push_back(cell);
  }
  std::vector<std::byte> page(kPageBlockBytes);
  const BuiltNode built = build_node(page, kForestFamily, 0, cells, 0);
  return store.put_page(page, built.entries, built.flags, ChildPointer{}).value();
}

Task<Status> plant_overlapping_leaves(Forest* forest) {
  PageStore& store = *forest->store;
  store.begin_pass();
  PENSTOCK_CO_TRY(co_await store.reserve(64, false));
  const ChildPointerOnDisk children[] = {encode_child(place_leaf(store, {"b", "k", "z"})),  // "z" belongs to the next.
                                         encode_child(place_leaf(store, {"n", "o", "p"}))};
  const std::string separators[] = {"a", "m"};
  std::vector<Cell> cells(2);
  for (std::size_t index = 0; index < 2; ++index) {
    cells[index].suffix = separators[index].data();
    cells[index].suffix_bytes = 1;
    cells[index].payload = reinterpret_cast<const char*>(&children[index]);
    cells[index].payload_bytes = sizeof(ChildPointerOnDisk);
  }
  std::vector<std::byte> page(kPageBlockBytes);
  const BuiltNode built = build_node(page, kForestFamily, 1, cells, 0);
  forest->root = store.put_page(page, built.entries, built.flags, ChildPointer{}).value();
  AppliedPosition applied{.epoch = 1, .offset = 0, .sequence = 1};
  PENSTOCK_CO_TRY(co_await store.publish(applied, forest->root));
  co_return Status::ok();
}

Task<Status> merge_and_abandon(Forest* forest, LentSource* source) {
  forest->store->begin_pass();
  PENSTOCK_CO_TRY(co_await forest->store->reserve(64, false));
  const Result<ChildPointer> root = co_await merge(*forest->store, forest->root, kForestFamily, *source, forest->stats);
  co_await forest->store->abandon();
  co_return root.has_value() ? Status::ok() : root.error();
}

TEST(Tree, WhosePagesContradictEachOtherIsCorrupt) {
  Forest forest(13);
  const Status planted = forest.world.run(0, plant_overlapping_leaves, &forest);
  ASSERT_TRUE(planted.is_ok()) << planted.to_string();
  Walk walk;
  EXPECT_TRUE(forest.world.run(0, check_tree, &forest, &walk).is(Code::kCorruption));
  for (const char* second_key : {"m", "q"}) {
    LentSource source({Operation{.key = "c", .value = "1"}, Operation{.key = second_key, .value = "2"}});
    EXPECT_TRUE(forest.world.run(0, merge_and_abandon, &forest, &source).is(Code::kCorruption));
  }
}

TEST(Tree, IsTheSameAfterReopening) {
  Forest forest(11);
  forest.apply(rows(0, 3000));
  forest.apply(rows(0, 3000, 5, 20'000));
  forest.close();
  forest.open();
  forest.verify();
}

}  // namespace
}  // namespace penstock::btree
