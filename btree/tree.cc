#include <utility>

#include "base/assert.h"
#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

namespace {

/// What `key` has in a leaf.
std::optional<Found> find_in_leaf(const NodeView& node, PageRef page, Bytes key) {
  const NodeView::Position position = node.lower_bound(key);
  if (!position.equal) return std::nullopt;
  Found found;
  if ((node.cell_flags(position.index) & kCellExtent) != 0) {
    found.extent = node.extent(position.index);
  } else if (node.cell_flags(position.index) == kCellDeleted) {
    found.is_delete = true;
  } else {
    found.value = node.payload(position.index);
  }
  found.page = std::move(page);
  return found;
}

}  // namespace

CachedFind find_cached(PageStore& store, const ChildPointer& root, Bytes key) {
  CachedFind result;
  if (root.is_null()) {
    result.complete = true;
    return result;
  }
  PageRef leaf = store.find_leaf(root, key);
  if (!leaf) return result;
  result.complete = true;
  const NodeView node(leaf.bytes());
  result.found = find_in_leaf(node, std::move(leaf), key);
  return result;
}

BorrowedFind find_borrowed(PageStore& store, const ChildPointer& root, Bytes key) {
  BorrowedFind result;
  if (root.is_null()) {
    result.complete = true;
    return result;
  }
  const std::span<const std::byte> leaf = store.look_at_leaf(root, key);
  if (leaf.empty()) return result;
  const NodeView node(leaf);
  const NodeView::Position position = node.lower_bound(key);
  if (position.equal) {
    const std::uint8_t flags = node.cell_flags(position.index);
    if ((flags & kCellExtent) != 0) return result;
    result.is_delete = flags == kCellDeleted;
    if (!result.is_delete) result.value = node.payload(position.index);
  }
  result.complete = true;
  return result;
}

Task<Result<std::optional<Found>>> find(PageStore& store, ChildPointer root, FamilyId family, Bytes key) {
  if (root.is_null()) co_return std::optional<Found>();
  ChildPointer pointer = root;
  LevelCheck levels;
  while (true) {
    PageRef page = store.find_cached(pointer);
    if (!page) {
      Result<PageRef> read = co_await store.read_page(pointer, family);
      if (!read.has_value()) co_return std::unexpected(read.error());
      page = std::move(*read);
    }
    const NodeView node(page.bytes());
    if (!levels.accepts(node)) co_return std::unexpected(corruption_at(pointer.address));
    if (node.is_leaf()) co_return find_in_leaf(node, std::move(page), key);
    pointer = node.child(node.child_index(key));
  }
}

namespace {

/// `level` kTreeDepthMax: the root, of any level.
Task<Status> free_subtree(PageStore& store, ChildPointer pointer, FamilyId family, std::uint8_t level, ExtentsOfTree extents) {
  const bool has_extents = extents == ExtentsOfTree::kFree && (pointer.flags & ChildPointer::kHasExtents) != 0;
  if (level == 0 && !has_extents) {
    store.free_page(pointer);
    co_return Status::ok();
  }
  Result<PageRef> page = co_await store.read_page(pointer, family, false);
  if (!page.has_value()) co_return page.error();
  const NodeView node(page->bytes());
  if (level != kTreeDepthMax && node.level() != level) co_return corruption_at(pointer.address);
  for (std::uint32_t index = 0; index < node.count(); ++index) {
    if (!node.is_leaf()) {
      const auto below = static_cast<std::uint8_t>(node.level() - 1);
      PENSTOCK_CO_TRY(co_await free_subtree(store, node.child(index), family, below, extents));
    } else if (has_extents && (node.cell_flags(index) & kCellExtent) != 0) {
      store.free_extent(node.extent(index));
    }
  }
  store.free_page(pointer);
  if (store.reactor().background_slice_over()) co_await store.reactor().background_slice();
  co_return Status::ok();
}

}  // namespace

Task<Status> free_tree(PageStore& store, ChildPointer root, FamilyId family, ExtentsOfTree extents) {
  if (root.is_null()) co_return Status::ok();
  PENSTOCK_CO_TRY(co_await free_subtree(store, root, family, kTreeDepthMax, extents));
  co_return Status::ok();
}

Task<Result<bool>> share_leaf(PageStore& store, ChildPointer root, FamilyId family, Bytes key, Bytes next) {
  ChildPointer pointer = root;
  LevelCheck levels;
  while (!pointer.is_null()) {
    Result<PageRef> page = co_await store.read_page(pointer, family);
    if (!page.has_value()) co_return std::unexpected(page.error());
    const NodeView node(page->bytes());
    if (!levels.accepts(node)) co_return std::unexpected(corruption_at(pointer.address));
    if (node.is_leaf()) break;  // The whole tree.
    const std::uint32_t index = node.child_index(key);
    if (index + 1 < node.count() && !node.is_below(next, index + 1)) co_return false;
    if (node.level() == 1) break;
    pointer = node.child(index);
  }
  co_return true;
}

}  // namespace penstock::btree
