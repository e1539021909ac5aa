// Nodes: what is laid out is read back, and no bytes, whoever made them, are read out of bounds once validate_page() took them.
#include "btree/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/random.h"
#include "btree/btree.h"

namespace penstock::btree {
namespace {

constexpr FamilyId kFamily = 0x0a0b0c0d;
constexpr Address kPlace{.file = 3, .block = 0x01020304};
constexpr std::uint64_t kBirth = 0x0000111213141516;

struct Node {
  std::vector<std::byte> page;
  ChildPointer pointer;
};

/// As put_page does: address, birth, checksum.
void place(Node& node) {
  auto header = base::load<PageHeader>(node.page);
  header.file = kPlace.file;
  header.block = kPlace.block;
  header.birth = kBirth;
  base::store(std::span(node.page), header);
  node.pointer.checksum = base::checksum(node.page);
}

Node make_node(std::uint8_t level, const std::vector<Cell>& cells, std::uint32_t prefix_bytes, std::size_t blocks) {
  Node node;
  node.page.assign(blocks * kPageBlockBytes, std::byte{0xee});
  const BuiltNode built = build_node(node.page, kFamily, level, cells, prefix_bytes);
  node.pointer = ChildPointer{.address = kPlace,
                              .blocks = static_cast<std::uint8_t>(blocks),
                              .codec = 0,
                              .flags = built.flags,
                              .birth = kBirth,
                              .entries = built.entries,
                              .checksum = 0};
  place(node);
  return node;
}

Cell leaf_cell(const std::string& key, const std::string& value, std::uint8_t flags = kCellInline) {
  Cell cell;
  cell.suffix = key.data();
  cell.suffix_bytes = static_cast<std::uint16_t>(key.size());
  cell.payload = value.data();
  cell.payload_bytes = static_cast<std::uint16_t>(value.size());
  cell.flags = flags;
  return cell;
}

std::uint32_t shared_prefix(const std::vector<Cell>& cells) {
  return cells.size() == 1 ? 0 : common_prefix_bytes(cells.front(), cells.back(), kKeyBytesMax);
}

Node leaf_of(const std::map<std::string, std::string>& pairs, std::size_t blocks = 1) {
  std::vector<Cell> cells;
  for (const auto& [key, value] : pairs) cells.push_back(leaf_cell(key, value));
  return make_node(0, cells, shared_prefix(cells), blocks);
}

std::string stored(const ExtentPointer& extent) { return std::string(as_bytes(base::bytes_of(encode_extent(extent)))); }
std::string stored(const ChildPointer& child) { return std::string(as_bytes(base::bytes_of(encode_child(child)))); }

ChildPointer child_number(std::uint32_t number) {
  return ChildPointer{.address = {.file = 1, .block = 100 + number},
                      .blocks = 1,
                      .codec = 0,
                      .flags = number == 2 ? ChildPointer::kHasExtents : std::uint8_t{0},
                      .birth = 40 + number,
                      .entries = 10 * (number + 1),
                      .checksum = 0x0101010101010101ULL * number};
}

Node sample_leaf() {
  const ExtentPointer extent{.address = {.file = 2, .block = 0x300}, .value_bytes = 70'000, .birth = 9, .checksum = 0x1234};
  const std::string keys[] = {"apple/1", "apple/22", "apple/3"};
  const std::string values[] = {"red", "", stored(extent)};
  const std::vector<Cell> cells = {leaf_cell(keys[0], values[0]), leaf_cell(keys[1], values[1]),
                                   leaf_cell(keys[2], values[2], kCellExtent)};
  return make_node(0, cells, 6, 1);
}

Node sample_inner() {
  const std::string keys[] = {"", "apple/2", "b"};
  const std::string children[] = {stored(child_number(0)), stored(child_number(1)), stored(child_number(2))};
  std::vector<Cell> cells;
  for (int index = 0; index < 3; ++index) cells.push_back(leaf_cell(keys[index], children[index], 0));
  return make_node(1, cells, 0, 1);
}

Status check_node(const Node& node, FamilyId family = kFamily) { return validate_page(node.page, node.pointer, family); }

// --- reading and building ---

TEST(NodeView, FindsEveryKeyAndTheGapsBetween) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    const std::string prefix(random.below(30), 'p');
    std::map<std::string, std::string> pairs;
    for (std::uint64_t count = 1 + random.below(60); count > 0; --count) {
      std::string key = prefix;
      for (std::uint64_t bytes = random.below(9); bytes > 0; --bytes) {
        key += random.one_in(3) ? '\0' : (random.one_in(5) ? '\xff' : static_cast<char>('a' + random.below(3)));
      }
      pairs[key] = std::to_string(random.next());
    }
    const Node node = leaf_of(pairs, 2);
    ASSERT_TRUE(check_node(node).is_ok());
    const NodeView view(node.page);
    ASSERT_EQ(view.count(), pairs.size());
    std::vector<std::string> probes = {"", prefix, prefix.substr(0, prefix.size() / 2), "~", std::string(1024, '\xff')};
    for (const auto& [key, value] : pairs) {
      probes.push_back(key);
      probes.push_back(key + '\0');
      if (!key.empty()) probes.push_back(key.substr(0, key.size() - 1));
    }
    for (const std::string& probe : probes) {
      const auto expected = pairs.lower_bound(probe);
      const NodeView::Position position = view.lower_bound(probe);
      EXPECT_EQ(position.index, static_cast<std::uint32_t>(std::distance(pairs.begin(), expected)));
      EXPECT_EQ(position.equal, expected != pairs.end() && expected->first == probe);
      if (position.equal) {
        EXPECT_EQ(view.payload(position.index), expected->second);
      }
      if (position.index < view.count()) {
        EXPECT_EQ(view.is_below(probe, position.index), !position.equal);
      }
    }
    std::string key;
    std::uint32_t index = 0;
    for (const auto& pair : pairs) {
      view.copy_key(index++, key);
      EXPECT_EQ(key, pair.first);
    }
  }
}

TEST(NodeView, KeysBelowTheFirstSeparatorBelongToTheFirstChild) {
  const std::string keys[] = {"m", "t"};
  const std::string children[] = {stored(child_number(0)), stored(child_number(1))};
  const Node node = make_node(1, {leaf_cell(keys[0], children[0], 0), leaf_cell(keys[1], children[1], 0)}, 0, 1);
  ASSERT_TRUE(check_node(node).is_ok());
  const NodeView view(node.page);
  EXPECT_EQ(view.child_index("a"), 0U);
  EXPECT_EQ(view.child_index("m"), 0U);
  EXPECT_EQ(view.child_index("t"), 1U);
  EXPECT_EQ(view.child_index("z"), 1U);
  EXPECT_EQ(view.child(1), child_number(1));
}

TEST(BuildNode, KeepsCellsOfAnotherPageWhateverTheirPrefixWas) {
  const Node first = leaf_of({{"shared/aa1", "1"}, {"shared/aa2", "2"}, {"shared/ab", "3"}});
  const NodeView view(first.page);
  ASSERT_EQ(view.prefix(), "shared/a");
  const std::string low = "shape";
  const std::string value = "0";
  for (const std::uint32_t prefix_bytes : {0U, 2U, 3U}) {  // Shorter than the old prefix.
    const Node node = make_node(0, {leaf_cell(low, value), cell_at(view, 0), cell_at(view, 2)}, prefix_bytes, 1);
    ASSERT_TRUE(check_node(node).is_ok());
    std::string key;
    NodeView(node.page).copy_key(1, key);
    EXPECT_EQ(key, "shared/aa1");
  }
  const Node longer = make_node(0, {cell_at(view, 0), cell_at(view, 1)}, 9, 1);
  ASSERT_TRUE(check_node(longer).is_ok());
  EXPECT_EQ(NodeView(longer.page).prefix(), "shared/aa");
  EXPECT_EQ(NodeView(longer.page).payload(1), "2");
}

TEST(BuildNode, TakesTheLongestKeysAndValues) {
  const std::string key(kKeyBytesMax, 'k');
  const std::string value(kInlineValueBytesMax, 'v');
  const Node node = leaf_of({{"", ""}, {key, value}}, 5);
  ASSERT_TRUE(check_node(node).is_ok());
  EXPECT_EQ(NodeView(node.page).payload(1), value);
  const Node full = leaf_of({{key, value}}, 16);
  EXPECT_TRUE(check_node(full).is_ok());
}

TEST(ReadFirstKey, TellsTheLowKeyOfNodesAndExtents) {
  EXPECT_EQ(read_first_key(sample_leaf().page).value(), "apple/1");
  EXPECT_EQ(read_first_key(sample_inner().page).value(), "");
  std::vector<std::byte> extent(kPageBlockBytes);
  ExtentHeader header;
  header.page.magic = kPageMagic;
  header.page.type = static_cast<std::uint8_t>(PageType::kExtent);
  header.key_bytes = 5;
  base::store(std::span(extent), header);
  std::memcpy(extent.data() + sizeof(header), "photo", 5);
  EXPECT_EQ(read_first_key(extent).value(), "photo");
  extent[0] = std::byte{0};
  EXPECT_TRUE(read_first_key(extent).error().is(Code::kCorruption));
}

// --- checking ---

TEST(ValidatePage, NamesTheBlockOfEveryFlippedBit) {
  const Node good = sample_leaf();
  base::Random random(3);
  for (int trial = 0; trial < 500; ++trial) {
    Node node = good;
    node.page[random.below(node.page.size())] ^= std::byte{static_cast<std::uint8_t>(1U << random.below(8))};
    const Status status = check_node(node);
    EXPECT_TRUE(status.is(Code::kCorruption));
    EXPECT_EQ(status.file_kind(), FileKind::kPages);
    EXPECT_EQ(status.file(), kPlace.file);
    EXPECT_EQ(status.where(), kPlace.block);
  }
}

TEST(ValidatePage, RefusesARightPageInTheWrongPlace) {
  const Node good = sample_leaf();
  ASSERT_TRUE(check_node(good).is_ok());
  EXPECT_TRUE(check_node(good, kFamily + 1).is(Code::kCorruption));
  for (int field = 0; field < 5; ++field) {
    Node node = good;
    if (field == 0) node.pointer.address.block += 1;
    if (field == 1) node.pointer.birth += 1;
    if (field == 2) node.pointer.entries += 1;
    if (field == 3) node.pointer.flags = 0;
    if (field == 4) node.pointer.blocks = 2;
    EXPECT_TRUE(check_node(node).is(Code::kCorruption)) << field;
  }
}

/// A node with bytes replaced and the checksum made right again.
template <typename T>
Status check_with(Node node, std::size_t offset, T value) {
  std::memcpy(node.page.data() + offset, &value, sizeof(value));
  node.pointer.checksum = base::checksum(node.page);
  return check_node(node);
}

TEST(ValidatePage, RefusesWhatALaterVersionMayWrite) {
  const Node leaf = sample_leaf();
  EXPECT_TRUE(check_with(leaf, offsetof(PageHeader, type), PageType::kDeltaLeaf).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, offsetof(PageHeader, type), std::uint8_t{9}).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, offsetof(PageHeader, codec), std::uint8_t{1}).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, offsetof(PageHeader, key_id), std::uint8_t{1}).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, offsetof(PageHeader, version), std::uint8_t{2}).is(Code::kNotSupported));
  const std::size_t cell = base::load<NodeHeader>(leaf.page).heap_begin.get();
  EXPECT_TRUE(check_with(leaf, cell, std::uint8_t{kCellInline | kCellExpiry}).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, cell, std::uint8_t{kCellInline | kCellVersion}).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, cell, std::uint8_t{kCellInline | 0x40}).is(Code::kNotSupported));
  EXPECT_TRUE(check_with(leaf, cell + 1, std::uint8_t{1}).is(Code::kNotSupported));  // The value's codec.
  const Node inner = sample_inner();
  const std::size_t child = base::load<NodeHeader>(inner.page).heap_begin.get();
  EXPECT_TRUE(check_with(inner, child + 6, std::uint8_t{0x10}).is(Code::kNotSupported));  // The child's codec.
  EXPECT_TRUE(check_with(inner, child + 7, std::uint8_t{0x80}).is(Code::kNotSupported));  // An unknown flag.
}

TEST(ValidatePage, RefusesBrokenStructureUnderARightChecksum) {
  const Node leaf = sample_leaf();
  const auto header = base::load<NodeHeader>(leaf.page);
  const std::size_t cell = header.heap_begin.get();
  const std::size_t slot = sizeof(NodeHeader);
  struct Break {
    const char* what;
    std::size_t offset;
    std::uint16_t value;
  };
  const Break breaks[] = {
      {"no slots", offsetof(NodeHeader, slot_count), 0},
      {"slots beyond the heap", offsetof(NodeHeader, slot_count), 600},
      {"prefix too long", offsetof(NodeHeader, prefix_bytes), 1025},
      {"heap before the slots", offsetof(NodeHeader, heap_begin), 20},
      {"heap behind the page", offsetof(NodeHeader, heap_begin), 5000},
      {"reserved", offsetof(NodeHeader, reserved), 1},
      {"page reserved", offsetof(PageHeader, reserved), 1},
      {"cell before the heap", slot + offsetof(Slot, cell_offset), 60},
      {"cell behind the page", slot + offsetof(Slot, cell_offset), 4095},
      {"suffix too long", slot + offsetof(Slot, suffix_bytes), 1020},
      {"head", slot, 0x5555},
      {"entries", offsetof(NodeHeader, entries), 4},
      {"level of a leaf", offsetof(PageHeader, type), 0x0101},
      {"an inner node of level 0", offsetof(PageHeader, type), 0x0002},
      {"an extent", offsetof(PageHeader, type), 0x0003},
      {"value too long", cell + offsetof(LeafCellHeader, payload_bytes), 4000},
      {"neither inline nor extent", cell, 0},
      {"both inline and extent", cell, 3},
      {"gap not zero", slot + (3 * sizeof(Slot)), 1},
  };
  for (const Break& broken : breaks) {
    const Status status = check_with(leaf, broken.offset, broken.value);
    EXPECT_TRUE(status.is(Code::kCorruption)) << broken.what << ": " << status.to_string();
  }
}

TEST(ValidatePage, RefusesKeysOutOfOrderAndTwice) {
  const std::string keys[] = {"b", "a", "a"};
  const std::string value = "v";
  for (int first = 0; first < 2; ++first) {
    const Node node = make_node(0, {leaf_cell(keys[first], value), leaf_cell(keys[first + 1], value)}, 0, 1);
    EXPECT_TRUE(check_node(node).is(Code::kCorruption));
  }
}

/// Reads all that a node has.
std::uint64_t touch(const NodeView& view) {
  std::uint64_t sum = 0;
  std::string key;
  for (std::uint32_t index = 0; index < view.count(); ++index) {
    view.copy_key(index, key);
    for (const char byte : key) sum += static_cast<unsigned char>(byte);
    for (const char byte : view.payload(index)) sum += static_cast<unsigned char>(byte);
    if (!view.is_leaf()) {
      sum += view.child(index).entries;
    } else if ((view.cell_flags(index) & kCellExtent) != 0) {
      sum += view.extent(index).value_bytes;
    }
    sum += view.lower_bound(key).index;
  }
  return sum;
}

// Damage in the parts that steer the reader, with a right checksum; what passes must be readable (the address sanitizer looks
// on).
TEST(ValidatePage, HostileBytesAreRefusedOrSafeToRead) {
  std::uint64_t accepted = 0;
  std::uint64_t sum = 0;
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    base::Random random(seed);
    Node node = random.one_in(2) ? sample_leaf() : sample_inner();
    const std::size_t heap = base::load<NodeHeader>(node.page).heap_begin.get();
    for (std::uint64_t damage = 1 + random.below(3); damage > 0; --damage) {
      const bool in_heap = random.one_in(2);
      const std::size_t offset = in_heap ? heap + random.below(node.page.size() - heap) : random.below(100);
      node.page[offset] = static_cast<std::byte>(random.one_in(2) ? random.next() : random.below(4));
    }
    node.pointer.checksum = base::checksum(node.page);
    node.pointer.entries = base::load<NodeHeader>(node.page).entries.get();
    if (!check_node(node).is_ok()) continue;
    ++accepted;
    // A copy of exactly its bytes: a step beyond is seen.
    const std::vector<std::byte> exact(node.page.begin(), node.page.end());
    sum += touch(NodeView(exact));
  }
  EXPECT_GT(accepted, 0U);
  EXPECT_GT(sum, 0U);
}

// --- pointers and roots ---

TEST(Pointers, AreTheSameAfterEncodingAndDecoding) {
  ChildPointer child = child_number(2);
  child.blocks = 16;
  child.flags = ChildPointer::kHasExtents | ChildPointer::kHasExpiry;
  child.birth = (1ULL << 48U) - 1;
  child.entries = (1ULL << 48U) - 1;
  EXPECT_EQ(decode_child(encode_child(child)).value(), child);
  const ExtentPointer extent{
      .address = {.file = 65'535, .block = ~0U}, .value_bytes = kValueBytesMax, .birth = 7, .checksum = ~0ULL};
  EXPECT_EQ(decode_extent(encode_extent(extent)).value(), extent);
}

TEST(Pointers, WithReservedBitsAreCorrupt) {
  ChildPointerOnDisk child = encode_child(child_number(1));
  child.reserved1 = 1;
  EXPECT_TRUE(decode_child(child).error().is(Code::kCorruption));
  ExtentPointerOnDisk extent = encode_extent({.address = {.file = 1, .block = 1}, .value_bytes = 1, .birth = 1, .checksum = 0});
  extent.reserved0 = 1;
  EXPECT_TRUE(decode_extent(extent).error().is(Code::kCorruption));
  extent.reserved0 = 0;
  extent.value_bytes = kValueBytesMax + 1;
  EXPECT_TRUE(decode_extent(extent).error().is(Code::kCorruption));
}

TEST(FamilyRoot, IsTheSameAfterEncodingAndDecoding) {
  const btree::Run two{.root = child_number(2), .filter = nullptr};
  const btree::Run three{.root = child_number(3), .filter = nullptr};
  const std::vector<std::vector<btree::Run>> runs = {{}, {two}, {two, three}};
  for (const std::vector<btree::Run>& some : runs) {
    for (const ChildPointer& base : {ChildPointer{}, child_number(1)}) {
      const FamilyRoot root{.family = 0x01020304, .trees = {.runs = some, .base = base}, .dropped = !some.empty()};
      const std::string key = encode_family_key(root.family);
      EXPECT_EQ(key, std::string("\x01\x02\x03\x04"));
      const auto decoded = decode_family_root(key, encode_family_root(root));
      ASSERT_TRUE(decoded.has_value());
      EXPECT_EQ(decoded->family, root.family);
      EXPECT_EQ(decoded->trees, root.trees);
      EXPECT_EQ(decoded->dropped, root.dropped);
    }
  }
}

TEST(FamilyRoot, RefusesOtherLengthsAndUnknownFlags) {
  const FamilyTrees trees{.runs = {{.root = child_number(2), .filter = nullptr}}, .base = child_number(1)};
  const std::string value = encode_family_root({.family = 1, .trees = trees, .dropped = false});
  EXPECT_TRUE(decode_family_root("abc", value).error().is(Code::kCorruption));
  EXPECT_TRUE(decode_family_root("abcd", value.substr(1)).error().is(Code::kCorruption));
  EXPECT_TRUE(decode_family_root("abcd", value.substr(0, sizeof(FamilyRootOnDisk))).error().is(Code::kCorruption));
  std::string flagged = value;
  flagged[offsetof(FamilyRootOnDisk, flags)] = 2;
  EXPECT_TRUE(decode_family_root("abcd", flagged).error().is(Code::kNotSupported));
  std::string many = value;
  many[offsetof(FamilyRootOnDisk, runs)] = kRunsMax + 1;
  many.resize(sizeof(FamilyRootOnDisk) + ((kRunsMax + 1) * sizeof(ChildPointerOnDisk)), '\0');
  EXPECT_TRUE(decode_family_root("abcd", many).error().is(Code::kCorruption));
  std::string null_run = value;
  null_run.replace(sizeof(FamilyRootOnDisk), sizeof(ChildPointerOnDisk), sizeof(ChildPointerOnDisk), '\0');
  EXPECT_TRUE(decode_family_root("abcd", null_run).error().is(Code::kCorruption));
}

// --- golden pages ---

std::string golden_path(const std::string& name) {
  const std::string here = __FILE__;
  return here.substr(0, here.rfind("btree/")) + "tests/golden/page/v1/" + name;
}

/// Its pointer says the checksum that the golden page had when it was made.
void expect_golden(const Node& made, const std::string& name, std::uint64_t checksum) {
  std::vector<std::byte> stored_page(kPageBlockBytes);
  std::FILE* file = std::fopen(golden_path(name).c_str(), "rb");
  ASSERT_NE(file, nullptr) << golden_path(name);
  const std::size_t read = std::fread(stored_page.data(), 1, stored_page.size(), file);
  std::fclose(file);
  ASSERT_EQ(read, stored_page.size());
  EXPECT_EQ(stored_page, made.page);
  ChildPointer pointer = made.pointer;
  pointer.checksum = checksum;
  EXPECT_TRUE(validate_page(stored_page, pointer, kFamily).is_ok());
}

TEST(GoldenPage, LeafOfVersion1IsReadAndWritten) {
  expect_golden(sample_leaf(), "leaf", 0x524f59972c784319);
  const Node node = sample_leaf();
  const NodeView view(node.page);
  EXPECT_EQ(view.prefix(), "apple/");
  EXPECT_EQ(view.payload(0), "red");
  EXPECT_EQ(view.extent(2).value_bytes, 70'000U);
}

TEST(GoldenPage, InnerNodeOfVersion1IsReadAndWritten) { expect_golden(sample_inner(), "inner", 0xe6fa21e05a633dfc); }

}  // namespace
}  // namespace penstock::btree
