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
  } else {
    found.value = node.payload(position.index);
  }
  found.page = std::move(page);
  return found;
}

/// A child's level is its parent's less one: so a descent ends, whatever the pages say.
class LevelCheck {
 public:
  bool accepts(const NodeView& node) noexcept {
    const bool is_expected = expected_ == kTreeDepthMax || node.level() == expected_;
    expected_ = static_cast<std::uint8_t>(node.level() - 1);
    return is_expected;
  }

 private:
  std::uint8_t expected_ = kTreeDepthMax;  // The root's may be any.
};

}  // namespace

CachedFind find_cached(PageStore& store, const ChildPointer& root, FamilyId /*family*/, Bytes key) {
  CachedFind result;
  if (root.is_null()) {
    result.complete = true;
    return result;
  }
  ChildPointer pointer = root;
  LevelCheck levels;
  while (true) {
    PageRef page = store.find_cached(pointer);
    if (!page) return result;
    const NodeView node(page.bytes());
    if (!levels.accepts(node)) return result;  // find() says what is wrong.
    if (node.is_leaf()) {
      result.complete = true;
      result.found = find_in_leaf(node, std::move(page), key);
      return result;
    }
    pointer = node.child(node.child_index(key));
  }
}

BorrowedFind find_borrowed(PageStore& store, const ChildPointer& root, Bytes key) {
  BorrowedFind result;
  ChildPointer pointer = root;
  LevelCheck levels;
  while (!pointer.is_null()) {
    const std::span<const std::byte> page = store.look_at(pointer);
    if (page.empty()) return result;
    const NodeView node(page);
    if (!levels.accepts(node)) return result;
    if (node.is_leaf()) {
      const NodeView::Position position = node.lower_bound(key);
      if (!position.equal) break;
      if ((node.cell_flags(position.index) & kCellExtent) != 0) return result;
      result.value = node.payload(position.index);
      break;
    }
    pointer = node.child(node.child_index(key));
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
Task<Status> free_subtree(PageStore& store, ChildPointer pointer, FamilyId family, std::uint8_t level) {
  if (level == 0 && (pointer.flags & ChildPointer::kHasExtents) == 0) {
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
      PENSTOCK_CO_TRY(co_await free_subtree(store, node.child(index), family, below));
    } else if ((node.cell_flags(index) & kCellExtent) != 0) {
      store.free_extent(node.extent(index));
    }
  }
  store.free_page(pointer);
  if (store.reactor().background_slice_over()) co_await store.reactor().background_slice();
  co_return Status::ok();
}

}  // namespace

Task<Status> free_tree(PageStore& store, ChildPointer root, FamilyId family) {
  if (root.is_null()) co_return Status::ok();
  PENSTOCK_CO_TRY(co_await free_subtree(store, root, family, kTreeDepthMax));
  co_return Status::ok();
}

}  // namespace penstock::btree
