// Where nodes are cut: fill, joins, even splits, and that no cell is lost or outlives its bytes.
#include "btree/node_packer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace penstock::btree {
namespace {

std::string key_number(std::uint32_t number) {
  const std::string digits = std::to_string(number);
  return "key" + std::string(8 - digits.size(), '0') + digits;
}

struct Packed {
  std::vector<std::uint32_t> counts;  // Cells of each node.
  std::vector<std::string> keys;
  std::vector<double> fills;
};

void take_group(NodePacker& packer, std::uint8_t level, Packed& packed) {
  const CellGroup& group = packer.first_group();
  ASSERT_TRUE(group_fits(group, level, 100));
  packed.counts.push_back(group.count);
  packed.fills.push_back(static_cast<double>(group.bytes()) / node_capacity_bytes(level, group.largest_cell_bytes));
  for (const Cell& cell : packer.first_cells()) {
    std::string key;
    cell.append_key(key, kKeyBytesMax);
    packed.keys.push_back(key);
  }
  packer.drop_group();
}

Packed pack(const std::vector<std::size_t>& value_bytes, std::uint32_t fill_percent, bool at_tree_end) {
  NodePacker packer;
  packer.start(0, fill_percent);
  Packed packed;
  for (std::uint32_t number = 0; number < value_bytes.size(); ++number) {
    packer.add_copy(key_number(number), std::string(value_bytes[number], 'v'), kCellInline);
    if (packer.has_full_group()) take_group(packer, 0, packed);
  }
  packer.end_run(at_tree_end);
  while (!packer.is_empty()) take_group(packer, 0, packed);
  return packed;
}

TEST(NodePacker, LosesNoCellWhateverTheirSizes) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    std::vector<std::size_t> value_bytes(random.below(300));
    const std::uint64_t largest = random.one_in(2) ? 150 : kInlineValueBytesMax;
    for (std::size_t& bytes : value_bytes) bytes = random.below(largest + 1);
    const Packed packed = pack(value_bytes, random.one_in(2) ? 90 : 100, random.one_in(2));
    ASSERT_EQ(packed.keys.size(), value_bytes.size());
    for (std::uint32_t number = 0; number < value_bytes.size(); ++number) EXPECT_EQ(packed.keys[number], key_number(number));
  }
}

TEST(NodePacker, FillsNodesToTheTarget) {
  for (const std::uint32_t percent : {90U, 100U}) {
    const Packed packed = pack(std::vector<std::size_t>(1000, 20), percent, true);
    for (std::size_t node = 0; node + 1 < packed.fills.size(); ++node) {
      EXPECT_GE(packed.fills[node], (percent - 1.0) / 100);
      EXPECT_LE(packed.fills[node], percent / 100.0);
    }
  }
}

TEST(NodePacker, ANodeThatOverflowsBecomesTwoHalves) {
  std::uint32_t fitting = 1;  // So many fill a node to the brim.
  while (pack(std::vector<std::size_t>(fitting + 1, 100), 90, false).counts.size() == 1) ++fitting;
  const Packed packed = pack(std::vector<std::size_t>(fitting + 1, 100), 90, false);
  ASSERT_EQ(packed.counts.size(), 2U);
  EXPECT_LE(packed.counts[0] > packed.counts[1] ? packed.counts[0] - packed.counts[1] : packed.counts[1] - packed.counts[0],
            1U);
}

TEST(NodePacker, WhatFitsOneNodeWhenTheRunEndsStaysOneNode) {
  const Packed overfull = pack(std::vector<std::size_t>(34, 100), 90, false);
  EXPECT_EQ(overfull.counts.size(), 1U);  // Over 90 %, and under 100 %.
  EXPECT_GT(overfull.fills[0], 0.9);
}

TEST(NodePacker, AtTheTreesEndFullNodesAreLeftBehind) {
  const Packed packed = pack(std::vector<std::size_t>(50, 100), 90, true);
  ASSERT_EQ(packed.counts.size(), 2U);
  EXPECT_GE(packed.fills[0], 0.87);
}

TEST(NodePacker, TellsAnUnderfullNode) {
  NodePacker packer;
  packer.start(0, 90);
  EXPECT_FALSE(packer.is_underfull());
  packer.add_copy("a", "b", kCellInline);
  EXPECT_TRUE(packer.is_underfull());
  packer.add_copy("c", std::string(1000, 'v'), kCellInline);
  EXPECT_FALSE(packer.is_underfull());
}

TEST(PlanEvenSplit, CutsWhereTheHalvesAreClosest) {
  const std::string key = "k";
  const std::string value(1000, 'v');
  Cell cell;
  cell.suffix = key.data();
  cell.suffix_bytes = 1;
  cell.payload = value.data();
  std::vector<Cell> cells(6, cell);
  for (const std::uint16_t payload_bytes : std::initializer_list<std::uint16_t>{900, 900, 100, 100, 900, 900}) {
    cells.erase(cells.begin());
    cell.payload_bytes = payload_bytes;
    cells.push_back(cell);
  }
  EXPECT_EQ(plan_even_split(cells, 0), 3U);
  cells.pop_back();
  EXPECT_EQ(plan_even_split(cells, 0), 2U);
  cells.resize(2);
  EXPECT_EQ(plan_even_split(cells, 0), 1U);
}

}  // namespace
}  // namespace penstock::btree
