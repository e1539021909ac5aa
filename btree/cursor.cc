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
constexpr std::size_t kLineBytes = 64;

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
  std::string key;            // That of `index`; begins with the leaf's prefix.
  /// Of the next leaf, if it is in memory: what the processor has not been asked to bring yet, and how much of it to ask for at
  /// each step, so that all of it is there when the walk is.
  std::span<const std::byte> next_bytes;
  std::size_t step_bytes = 0;
  std::deque<PageRef> ahead;  // Read ahead and perhaps not used yet, the oldest first.
  std::vector<ChildPointer> asked;

  void reset() noexcept {
    path.clear();
    leaf = PageRef();
    is_valid = false;
    must_descend = false;
  }
  /// From where the path ends down to the leaf for `sought`, or to the first leaf. Leaves `index` there; it may be past the
  /// leaf's end.
  Task<Status> descend(const Bytes* sought);
  /// The same from memory. False: a page is missing, or not what it should be; the path is as it was.
  bool try_descend(const Bytes* sought);
  /// Off the leaf, to the next child on the path. False: there is none.
  bool advance();
  ChildPointer next_child() const noexcept { return path.back().node.child(path.back().index); }
  /// Takes a page that the descent came to. False: it is of a wrong level.
  bool enter(PageRef page, const Bytes* sought);
  /// The root, or the child that the path leads to.
  PageRef find_page() noexcept {
    const bool is_root = path.empty();
    if (use == Use::kMerge) return store.peek_cached(is_root ? root : next_child());
    if (is_root) return store.find_cached(root);
    return store.find_child(path.back().page, path.back().index);
  }
  void fetch_ahead() noexcept {
    const std::span<const std::byte> lines = next_bytes.first(std::min(step_bytes, next_bytes.size()));
    next_bytes = next_bytes.subspan(lines.size());
    for (std::size_t at = 0; at < lines.size(); at += kLineBytes) __builtin_prefetch(lines.data() + at);
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
  must_descend = false;
  key.assign(node.prefix());
  if (use == Use::kReader && !path.empty()) {
    next_bytes = PageStore::linked_bytes(path.back().page, path.back().index + 1);
    const std::size_t steps = std::max<std::size_t>(node.count() - std::min(index, node.count()), 1);
    step_bytes = ((next_bytes.size() / steps / kLineBytes) + 1) * kLineBytes;
  }
  return true;
}

Task<Status> Cursor::Impl::descend(const Bytes* sought) {
  while (true) {
    PageRef page = find_page();
    const ChildPointer pointer = path.empty() ? root : next_child();
    if (!page) {
      Result<PageRef> read = co_await store.read_page(pointer, family, use == Use::kReader);
      if (!read.has_value()) co_return read.error();
      page = std::move(*read);
    }
    if (!enter(std::move(page), sought)) co_return corruption_at(pointer.address);
    if (leaf) co_return Status::ok();
  }
}

bool Cursor::Impl::try_descend(const Bytes* sought) {
  const std::size_t depth = path.size();
  while (true) {
    PageRef page = find_page();
    if (!page || !enter(std::move(page), sought)) {
      path.resize(depth);
      return false;
    }
    if (leaf) return true;
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

/// Where the walk stands now is what the accessors tell of.
void Cursor::show() noexcept {
  Impl& impl = *impl_;
  valid_ = impl.is_valid;
  if (!valid_) return;
  impl.fetch_ahead();
  const NodeView::LeafCell cell = impl.node.leaf_cell_at(impl.index);
  impl.key.resize(impl.node.prefix().size());
  impl.key.append(cell.suffix);
  key_ = impl.key;
  has_extent_ = (cell.flags & kCellExtent) != 0;
  is_delete_ = cell.flags == kCellDeleted;
  value_ = has_extent_ ? Bytes() : cell.payload;
}

std::optional<ExtentPointer> Cursor::load_extent() const noexcept { return impl_->node.extent(impl_->index); }

Task<Status> Cursor::seek(Bytes key) {
  Impl& impl = *impl_;
  const std::string sought(key);  // Of this cursor, perhaps.
  valid_ = false;
  impl.reset();
  if (impl.root.is_null()) co_return Status::ok();
  const Bytes view = sought;
  PENSTOCK_CO_TRY(co_await impl.descend(&view));
  if (!impl.is_valid && impl.advance()) PENSTOCK_CO_TRY(co_await impl.descend(nullptr));
  show();
  co_return Status::ok();
}

bool Cursor::try_seek(Bytes key) {
  Impl& impl = *impl_;
  valid_ = false;
  impl.reset();
  if (impl.root.is_null()) return true;
  if (!impl.try_descend(&key)) return false;
  if (!impl.is_valid && impl.advance() && !impl.try_descend(nullptr)) return false;
  show();
  return true;
}

Task<Status> Cursor::next() {
  Impl& impl = *impl_;
  if (!impl.must_descend && try_next()) co_return Status::ok();
  PENSTOCK_CO_TRY(co_await impl.descend(nullptr));
  show();
  co_return Status::ok();
}

bool Cursor::try_next() {
  Impl& impl = *impl_;
  PENSTOCK_ASSERT(valid_);
  valid_ = false;
  if (impl.index + 1 < impl.node.count()) {
    impl.index += 1;
  } else if (impl.advance() && !impl.try_descend(nullptr)) {
    return false;
  }
  show();
  return true;
}

}  // namespace penstock::btree
