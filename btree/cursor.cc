#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

struct Cursor::Impl {
  struct Level {
    PageRef page;
    NodeView node;
    std::uint32_t index = 0;
  };

  Impl(PageStore& page_store, ChildPointer tree_root, FamilyId tree_family)
      : store(page_store), root(tree_root), family(tree_family) {}

  PageStore& store;
  ChildPointer root;
  FamilyId family;
  std::vector<Level> path;  // Inner nodes, the root first; the child at `index` is the one below.
  PageRef leaf;
  NodeView node;  // Of the leaf.
  std::uint32_t index = 0;
  bool is_valid = false;
  bool has_key = false;  // `key` is that of `index`; made when asked for.
  std::string key;

  /// From `pointer` down to the leaf for `sought`, or to the first leaf. Leaves `index` there; it may be past the leaf's end.
  Task<Status> descend(ChildPointer pointer, const Bytes* sought);
  /// To the first pair of the next leaf.
  Task<Status> next_leaf();
};

Task<Status> Cursor::Impl::descend(ChildPointer pointer, const Bytes* sought) {
  while (true) {
    PageRef page = store.find_cached(pointer);
    if (!page) {
      Result<PageRef> read = co_await store.read_page(pointer, family);
      if (!read.has_value()) co_return read.error();
      page = std::move(*read);
    }
    const NodeView here(page.bytes());
    if (!path.empty() && path.back().node.level() != here.level() + 1U) co_return corruption_at(pointer.address);
    if (here.is_leaf()) {
      leaf = std::move(page);
      node = here;
      index = sought == nullptr ? 0 : node.lower_bound(*sought).index;
      is_valid = index < node.count();
      has_key = false;
      co_return Status::ok();
    }
    path.push_back(Level{.page = std::move(page), .node = here, .index = sought == nullptr ? 0 : here.child_index(*sought)});
    pointer = here.child(path.back().index);
  }
}

Task<Status> Cursor::Impl::next_leaf() {
  is_valid = false;
  leaf = PageRef();
  while (!path.empty() && path.back().index + 1 == path.back().node.count()) path.pop_back();
  if (path.empty()) co_return Status::ok();
  path.back().index += 1;
  const ChildPointer pointer = path.back().node.child(path.back().index);
  PENSTOCK_CO_TRY(co_await descend(pointer, nullptr));
  co_return Status::ok();
}

Cursor::Cursor(PageStore& store, ChildPointer root, FamilyId family) : impl_(std::make_unique<Impl>(store, root, family)) {}
Cursor::~Cursor() = default;
Cursor::Cursor(Cursor&&) noexcept = default;

Task<Status> Cursor::seek(Bytes key) {
  Impl& impl = *impl_;
  impl.path.clear();
  impl.leaf = PageRef();
  impl.is_valid = false;
  if (impl.root.is_null()) co_return Status::ok();
  const std::string sought(key);  // Of this cursor, perhaps.
  const Bytes view = sought;
  PENSTOCK_CO_TRY(co_await impl.descend(impl.root, &view));
  if (!impl.is_valid) PENSTOCK_CO_TRY(co_await impl.next_leaf());
  co_return Status::ok();
}

Task<Status> Cursor::next() {
  if (try_next()) co_return Status::ok();
  PENSTOCK_CO_TRY(co_await impl_->next_leaf());
  co_return Status::ok();
}

bool Cursor::try_next() {
  Impl& impl = *impl_;
  PENSTOCK_ASSERT(impl.is_valid);
  if (impl.index + 1 >= impl.node.count()) return false;
  impl.index += 1;
  impl.has_key = false;
  return true;
}

bool Cursor::valid() const noexcept { return impl_->is_valid; }

Bytes Cursor::key() const noexcept {
  Impl& impl = *impl_;
  PENSTOCK_ASSERT(impl.is_valid);
  if (!impl.has_key) {
    impl.node.copy_key(impl.index, impl.key);
    impl.has_key = true;
  }
  return impl.key;
}

Bytes Cursor::value() const noexcept {
  PENSTOCK_ASSERT(impl_->is_valid);
  if ((impl_->node.cell_flags(impl_->index) & kCellExtent) != 0) return {};
  return impl_->node.payload(impl_->index);
}

std::optional<ExtentPointer> Cursor::extent() const noexcept {
  PENSTOCK_ASSERT(impl_->is_valid);
  if ((impl_->node.cell_flags(impl_->index) & kCellExtent) == 0) return std::nullopt;
  return impl_->node.extent(impl_->index);
}

}  // namespace penstock::btree
