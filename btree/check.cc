// Walking whole trees, page by page from disk.
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

namespace {

/// What a parent says of a child.
struct Fences {
  std::string low;  // The separator.
  std::optional<std::string> high;
  std::uint8_t level = kTreeDepthMax;  // kTreeDepthMax: a root, of any level and with any low key.
};

struct CheckContext {
  PageStore& store;
  FamilyId family = 0;
  std::uint64_t generation = 0;
  TreeInspector& inspector;
  bool is_run = false;

  void report(TreeDamage::Kind kind, const Status& status, Address address, std::uint64_t blocks) const {
    inspector.on_damage({kind, status, address, blocks, family});
  }
};

/// Page-I1 has been checked at the read; what is left are the relations between pages.
bool fits(const NodeView& node, const Fences& fences) {
  const bool is_root = fences.level == kTreeDepthMax;
  if (!is_root && node.level() != fences.level) return false;
  std::string key;
  node.copy_key(0, key);
  if (!is_root && key < fences.low) return false;
  if (!is_root && !node.is_leaf() && key != fences.low) return false;
  node.copy_key(node.count() - 1, key);
  return !fences.high.has_value() || key < *fences.high;
}

TreeDamage::Kind kind_of(const Status& status, std::span<const std::byte> page, const ChildPointer& pointer) {
  if (status.is(Code::kNotSupported)) return TreeDamage::Kind::kStructure;
  if (!status.is(Code::kCorruption)) return TreeDamage::Kind::kUnreadable;
  return base::checksum(page) == pointer.checksum ? TreeDamage::Kind::kStructure : TreeDamage::Kind::kChecksum;
}

Task<bool> check_leaf(const CheckContext& check, const NodeView& node, const ChildPointer& pointer) {
  std::string key;
  bool is_bad = false;
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    const std::uint8_t flags = node.cell_flags(index);
    is_bad = is_bad || ((flags & kCellDeleted) != 0 && !check.is_run);
    if ((flags & kCellInline) != 0) {
      node.copy_key(index, key);
      check.inspector.on_pair(pointer.address, check.family, key, node.payload(index));
    }
    if ((flags & kCellExtent) == 0) continue;
    const ExtentPointer extent = node.extent(index);
    check.inspector.on_blocks(extent.address, extent_blocks(extent.value_bytes));
    const bool goes_on = co_await check.store.check_extent(extent, check.family, check.inspector);
    if (!goes_on) co_return false;
  }
  if (is_bad) {
    check.report(TreeDamage::Kind::kContradiction, corruption_at(pointer.address), pointer.address, pointer.blocks);
  }
  co_return true;
}

/// False: the inspector had enough.
Task<bool> check_subtree(const CheckContext& check, ChildPointer pointer, const Fences& fences) {
  const reactor::AlignedBuffer buffer(std::size_t{pointer.blocks} * kPageBlockBytes);
  const Status status = buffer ? co_await check.store.read_page_from_disk(pointer, check.family, buffer.span())
                               : Status::from_errno(ENOMEM).with_place(FileKind::kPages, pointer.address.block);
  check.inspector.on_blocks(pointer.address, pointer.blocks);
  const bool goes_on = co_await check.inspector.go_on(buffer.bytes());
  if (!goes_on) co_return false;
  if (!status.is_ok()) {
    check.report(kind_of(status, buffer.span(), pointer), status, pointer.address, pointer.blocks);
    co_return true;
  }
  const NodeView node(buffer.span());
  if (pointer.birth > check.generation || !fits(node, fences)) {
    check.report(TreeDamage::Kind::kContradiction, corruption_at(pointer.address), pointer.address, pointer.blocks);
    co_return true;
  }
  if (check.store.reactor().background_slice_over()) co_await check.store.reactor().background_slice();
  if (node.is_leaf()) co_return co_await check_leaf(check, node, pointer);
  Fences below;
  below.level = static_cast<std::uint8_t>(node.level() - 1);
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    node.copy_key(index, below.low);
    if (index + 1 < node.count()) {
      node.copy_key(index + 1, below.high.emplace());
    } else {
      below.high = fences.high;
    }
    const bool goes_on_after = co_await check_subtree(check, node.child(index), below);
    if (!goes_on_after) co_return false;
  }
  co_return true;
}

}  // namespace

Task<bool> check(PageStore& store, FamilyTrees trees, FamilyId family, std::uint64_t generation, TreeInspector& inspector) {
  CheckContext check{.store = store, .family = family, .generation = generation, .inspector = inspector};
  const Fences fences;
  bool goes_on = true;
  if (!trees.base.is_null()) goes_on = co_await check_subtree(check, trees.base, fences);
  check.is_run = true;
  for (const Run& run : trees.runs) {
    if (goes_on) goes_on = co_await check_subtree(check, run.root, fences);
  }
  co_return goes_on;
}

}  // namespace penstock::btree
