#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

namespace {

/// Leaves that a merge's walk asks for at once, and pages that it keeps for that.
constexpr std::uint32_t kReadAheadLeaves = 64;
constexpr std::size_t kReadAheadPagesMax = 96;

}  // namespace

struct Cursor::Impl {
  struct Level {
    PageRef page;
    NodeView node;
    std::uint32_t index = 0;
    std::uint32_t asked_end = 0;  // Children before this one were read ahead.
  };

  Impl(PageStore& page_store, ChildPointer tree_root, FamilyId tree_family, Use tree_use)
      : store(page_store), root(tree_root), family(tree_family), use(tree_use) {}

  PageStore& store;
  ChildPointer root;
  FamilyId family;
  Use use;
  std::vector<Level> path;  // Inner nodes, the root first; the child at `index` is the one below.
  PageRef leaf;
  NodeView node;  // Of the leaf.
  std::uint32_t index = 0;
  bool is_valid = false;
  bool must_descend = false;  // The path leads to a child that has not been entered.
  bool has_key = false;       // `key` is that of `index`; made when asked for.
  std::string key;
  std::deque<PageRef> ahead;  // Read ahead and perhaps not used yet, the oldest first.
  std::vector<ChildPointer> asked;

  void reset() noexcept {
    path.clear();
    leaf = PageRef();
    is_valid = false;
    must_descend = false;
  }
  /// From `pointer` down to the leaf for `sought`, or to the first leaf. Leaves `index` there; it may be past the leaf's end.
  Task<Status> descend(ChildPointer pointer, const Bytes* sought);
  /// The same from memory. False: a page is missing, or not what it should be; the path is as it was.
  bool try_descend(ChildPointer pointer, const Bytes* sought);
  /// Off the leaf, to the next child on the path. False: there is none.
  bool advance();
  ChildPointer next_child() const noexcept { return path.back().node.child(path.back().index); }
  /// Takes a page that the descent came to. False: it is of a wrong level.
  bool enter(PageRef page, const Bytes* sought);
  PageRef find_page(const ChildPointer& pointer) noexcept {
    return use == Use::kReader ? store.find_cached(pointer) : store.peek_cached(pointer);
  }
  /// Of a merge: asks for the leaves that the walk will come to.
  void read_ahead();
};

void Cursor::Impl::read_ahead() {
  Level& level = path.back();
  if (level.node.level() != 1 || level.index < level.asked_end) return;
  asked.clear();
  level.asked_end = std::min(level.node.count(), level.index + kReadAheadLeaves);
  for (std::uint32_t child = level.index; child < level.asked_end; ++child) asked.push_back(level.node.child(child));
  store.prefetch(asked, family, ahead);
  while (ahead.size() > kReadAheadPagesMax) ahead.pop_front();
}

bool Cursor::Impl::enter(PageRef page, const Bytes* sought) {
  const NodeView here(page.bytes());
  if (!path.empty() && path.back().node.level() != here.level() + 1U) return false;
  if (!here.is_leaf()) {
    path.push_back(Level{.page = std::move(page), .node = here, .index = sought == nullptr ? 0 : here.child_index(*sought)});
    if (use == Use::kMerge) read_ahead();
    return true;
  }
  leaf = std::move(page);
  node = here;
  index = sought == nullptr ? 0 : node.lower_bound(*sought).index;
  is_valid = index < node.count();
  has_key = false;
  must_descend = false;
  return true;
}

Task<Status> Cursor::Impl::descend(ChildPointer pointer, const Bytes* sought) {
  while (true) {
    PageRef page = find_page(pointer);
    if (!page) {
      Result<PageRef> read = co_await store.read_page(pointer, family, use == Use::kReader);
      if (!read.has_value()) co_return read.error();
      page = std::move(*read);
    }
    if (!enter(std::move(page), sought)) co_return corruption_at(pointer.address);
    if (leaf) co_return Status::ok();
    pointer = next_child();
  }
}

bool Cursor::Impl::try_descend(ChildPointer pointer, const Bytes* sought) {
  const std::size_t depth = path.size();
  while (true) {
    PageRef page = find_page(pointer);
    if (!page || !enter(std::move(page), sought)) {
      path.resize(depth);
      return false;
    }
    if (leaf) return true;
    pointer = next_child();
  }
}

bool Cursor::Impl::advance() {
  is_valid = false;
  leaf = PageRef();
  while (!path.empty() && path.back().index + 1 == path.back().node.count()) path.pop_back();
  if (path.empty()) return false;
  path.back().index += 1;
  must_descend = true;
  if (use == Use::kMerge) read_ahead();
  return true;
}

Cursor::Cursor(PageStore& store, ChildPointer root, FamilyId family, Use use)
    : impl_(std::make_unique<Impl>(store, root, family, use)) {}
Cursor::~Cursor() = default;
Cursor::Cursor(Cursor&&) noexcept = default;

Task<Status> Cursor::seek(Bytes key) {
  Impl& impl = *impl_;
  impl.reset();
  if (impl.root.is_null()) co_return Status::ok();
  const std::string sought(key);  // Of this cursor, perhaps.
  const Bytes view = sought;
  PENSTOCK_CO_TRY(co_await impl.descend(impl.root, &view));
  if (!impl.is_valid && impl.advance()) PENSTOCK_CO_TRY(co_await impl.descend(impl.next_child(), nullptr));
  co_return Status::ok();
}

bool Cursor::try_seek(Bytes key) {
  Impl& impl = *impl_;
  impl.reset();
  if (impl.root.is_null()) return true;
  if (!impl.try_descend(impl.root, &key)) return false;
  return impl.is_valid || !impl.advance() || impl.try_descend(impl.next_child(), nullptr);
}

Task<Status> Cursor::next() {
  Impl& impl = *impl_;
  if (!impl.must_descend && try_next()) co_return Status::ok();
  PENSTOCK_CO_TRY(co_await impl.descend(impl.next_child(), nullptr));
  co_return Status::ok();
}

bool Cursor::try_next() {
  Impl& impl = *impl_;
  PENSTOCK_ASSERT(impl.is_valid);
  if (impl.index + 1 < impl.node.count()) {
    impl.index += 1;
    impl.has_key = false;
    return true;
  }
  return !impl.advance() || impl.try_descend(impl.next_child(), nullptr);
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

bool Cursor::is_delete() const noexcept {
  PENSTOCK_ASSERT(impl_->is_valid);
  return impl_->node.cell_flags(impl_->index) == kCellDeleted;
}

}  // namespace penstock::btree
