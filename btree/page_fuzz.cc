// A page on hostile bytes. Page-I1: what validate_page() accepts can be walked without checks; its keys ascend and each is
// found where it stands. The pointer says what the page says of itself, with the right checksum, so that nothing is refused
// before its structure is looked at. Also the values of the tree of roots, extent pointers, and what cleaning reads.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/checksum.h"
#include "btree/btree.h"
#include "btree/page.h"
#include "tests/fuzz/fuzz_target.h"

namespace penstock::btree {
namespace {

void walk(const NodeView& node) {
  std::string before;
  std::string key;
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    node.copy_key(index, key);
    PENSTOCK_ASSERT_LE(key.size(), kKeyBytesMax);
    PENSTOCK_ASSERT(index == 0 || before < key);
    const NodeView::Position position = node.lower_bound(key);
    PENSTOCK_ASSERT(position.equal && position.index == index);
    PENSTOCK_ASSERT(!node.is_below(key, index));
    before = key;
    if (node.is_leaf()) {
      const NodeView::LeafCell cell = node.leaf_cell_at(index);
      PENSTOCK_ASSERT(cell.payload == node.payload(index));
      (void)base::checksum(as_span(cell.payload));
      if ((cell.flags & kCellExtent) != 0) PENSTOCK_ASSERT_GT(node.extent(index).value_bytes, 0U);
    } else {
      PENSTOCK_ASSERT(!node.child(index).is_null());
    }
  }
  (void)node.lower_bound({});
  (void)node.child_index(before + "x");
}

/// What was walked can be laid out again, if it fits: repacking does that with every page it meets.
void rebuild(const NodeView& node, std::span<const std::byte> page, FamilyId family) {
  std::vector<Cell> cells;
  std::uint64_t bytes = 0;
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    cells.push_back(cell_at(node, index));
    bytes += cell_bytes(cells.back(), node.level());
  }
  const std::uint32_t prefix = cells.size() == 1 ? 0 : common_prefix_bytes(cells.front(), cells.back(), kKeyBytesMax);
  if (node_bytes(bytes, cells.size(), prefix) > page.size()) return;
  std::vector<std::byte> made(page.size());
  const BuiltNode built = build_node(made, family, node.level(), cells, prefix);
  const ChildPointer place{.address = {.file = 1, .block = 300},
                           .blocks = static_cast<std::uint8_t>(page.size() / kPageBlockBytes),
                           .codec = 0,
                           .flags = built.flags,
                           .birth = base::load<PageHeader>(page).birth.get(),  // Not before what its cells name.
                           .entries = built.entries,
                           .checksum = 0};
  auto header = base::load<PageHeader>(made);
  header.file = place.address.file;
  header.block = place.address.block;
  header.birth = place.birth;
  base::store(std::span(made), header);
  ChildPointer pointer = place;
  pointer.checksum = base::checksum(made);
  const Status status = validate_page(made, pointer, family);
  PENSTOCK_ASSERT(status.is_ok());
}

void fuzz_node(fuzz::Input input) {
  const std::size_t blocks = 1 + (input.take<std::uint8_t>() % kPageBlocksMax);
  std::vector<std::byte> page(blocks * kPageBlockBytes);
  // The front and the back of the page: slots and cells meet in the middle.
  const std::size_t front = std::min(page.size(), (input.rest().size() + 1) / 2);
  std::ranges::copy(input.take_bytes(front), page.begin());
  const std::span<const std::byte> back = input.take_bytes(page.size() - front);
  std::ranges::copy(back, page.end() - static_cast<std::ptrdiff_t>(back.size()));
  (void)read_first_key(page);
  (void)read_first_key(std::span(page).first(page.size() / 2));
  const auto header = base::load<NodeHeader>(page);
  ChildPointer pointer{.address = {.file = header.page.file.get(), .block = header.page.block.get()},
                       .blocks = static_cast<std::uint8_t>(blocks),
                       .codec = 0,
                       .flags = 0,
                       .birth = header.page.birth.get(),
                       .entries = header.entries.get(),
                       .checksum = base::checksum(page)};
  for (std::uint8_t flags = 0; flags < 4; ++flags) {
    pointer.flags = flags;
    if (!validate_page(page, pointer, header.page.family.get()).is_ok()) continue;
    const NodeView node(page);
    walk(node);
    rebuild(node, page, header.page.family.get());
  }
}

void fuzz_family_root(fuzz::Input input) {
  const Bytes key = input.take_text(sizeof(FamilyId));
  const Bytes value = input.take_text(input.rest().size());
  const Result<FamilyRoot> root = decode_family_root(key, value);
  if (!root.has_value()) return;
  PENSTOCK_ASSERT(encode_family_key(root->family) == key);
  PENSTOCK_ASSERT(encode_family_root(*root) == value);
}

void fuzz_extent(fuzz::Input input) {
  const Bytes bytes = input.take_text(input.rest().size());
  const Result<ExtentPointer> extent = extent_from_bytes(bytes);
  if (extent.has_value()) PENSTOCK_ASSERT(extent_to_bytes(*extent) == bytes);
}

}  // namespace

void fuzz_page(fuzz::Input input) {
  switch (input.take<std::uint8_t>() % 4) {
    case 0:
      return fuzz_family_root(input);
    case 1:
      return fuzz_extent(input);
    default:
      return fuzz_node(input);
  }
}

}  // namespace penstock::btree

PENSTOCK_FUZZ_TARGET(penstock::btree::fuzz_page)
