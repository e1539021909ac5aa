#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

namespace {

struct CheckContext {
  PageStore& store;
  FamilyId family = 0;
  std::uint64_t generation = 0;
  void (*on_blocks)(void* context, Address address, std::uint64_t blocks) = nullptr;
  void* context = nullptr;
  bool is_run = false;

  void report(Address address, std::uint64_t blocks) const {
    if (on_blocks != nullptr) on_blocks(context, address, blocks);
  }
};

/// What a parent says of a child.
struct Fences {
  std::string low;  // The separator.
  std::optional<std::string> high;
  std::uint8_t level = kTreeDepthMax;  // kTreeDepthMax: a root, of any level and with any low key.
};

/// Page-I1 has been checked at the read; what is left are the relations between pages.
Status check_fences(const NodeView& node, const Fences& fences, Address address) {
  const bool is_root = fences.level == kTreeDepthMax;
  if (!is_root && node.level() != fences.level) return corruption_at(address);
  std::string key;
  node.copy_key(0, key);
  if (!is_root && key < fences.low) return corruption_at(address);
  if (!is_root && !node.is_leaf() && key != fences.low) return corruption_at(address);
  node.copy_key(node.count() - 1, key);
  if (fences.high.has_value() && key >= *fences.high) return corruption_at(address);
  return Status::ok();
}

Task<Status> check_leaf(const CheckContext& check, const NodeView& node, Address address) {
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    if (node.cell_flags(index) == kCellDeleted && !check.is_run) co_return corruption_at(address);
    if ((node.cell_flags(index) & kCellExtent) == 0) continue;
    const ExtentPointer extent = node.extent(index);
    check.report(extent.address, extent_blocks(extent.value_bytes));
    Result<std::string> value = co_await check.store.read_extent(extent, check.family);
    if (!value.has_value()) co_return value.error();
    if (value->size() != extent.value_bytes) co_return corruption_at(extent.address);
  }
  co_return Status::ok();
}

Task<Status> check_subtree(const CheckContext& check, ChildPointer pointer, const Fences& fences) {
  if (pointer.birth > check.generation) co_return corruption_at(pointer.address);
  Result<PageRef> page = co_await check.store.read_page(pointer, check.family, false);
  if (!page.has_value()) co_return page.error();
  const NodeView node(page->bytes());
  // A cached page was verified for the family that read it first.
  if (base::load<PageHeader>(page->bytes()).family.get() != check.family) co_return corruption_at(pointer.address);
  PENSTOCK_CO_TRY(check_fences(node, fences, pointer.address));
  check.report(pointer.address, pointer.blocks);
  if (node.is_leaf()) {
    PENSTOCK_CO_TRY(co_await check_leaf(check, node, pointer.address));
    co_return Status::ok();
  }
  Fences below;
  below.level = static_cast<std::uint8_t>(node.level() - 1);
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    node.copy_key(index, below.low);
    if (index + 1 < node.count()) {
      node.copy_key(index + 1, below.high.emplace());
    } else {
      below.high = fences.high;
    }
    PENSTOCK_CO_TRY(co_await check_subtree(check, node.child(index), below));
  }
  if (check.store.reactor().background_slice_over()) co_await check.store.reactor().background_slice();
  co_return Status::ok();
}

}  // namespace

Task<Status> check(PageStore& store, ChildPointer root, FamilyId family, std::uint64_t generation,
                   void (*on_blocks)(void* context, Address address, std::uint64_t blocks), void* context) {
  return check(store, FamilyTrees{.runs = {}, .base = root}, family, generation, on_blocks, context);
}

Task<Status> check(PageStore& store, FamilyTrees trees, FamilyId family, std::uint64_t generation,
                   void (*on_blocks)(void* context, Address address, std::uint64_t blocks), void* context) {
  CheckContext check{.store = store, .family = family, .generation = generation, .on_blocks = on_blocks, .context = context};
  const Fences fences;
  if (!trees.base.is_null()) PENSTOCK_CO_TRY(co_await check_subtree(check, trees.base, fences));
  check.is_run = true;
  for (const Run& run : trees.runs) PENSTOCK_CO_TRY(co_await check_subtree(check, run.root, fences));
  co_return Status::ok();
}

}  // namespace penstock::btree
