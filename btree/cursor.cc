#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
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
constexpr std::size_t kLinesAtOnce = 8;  // Of the leaf that a walk begins in: four pairs of 100 bytes a step.

/// What is left of a key after its leaf's prefix is mostly short: then without a call.
void copy_suffix(char* to, Bytes suffix) noexcept {
  const std::size_t bytes = suffix.size();
  if (bytes >= 8 && bytes <= 16) {
    std::memcpy(to, suffix.data(), 8);
    std::memcpy(to + bytes - 8, suffix.data() + bytes - 8, 8);
  } else if (bytes >= 4 && bytes < 8) {
    std::memcpy(to, suffix.data(), 4);
    std::memcpy(to + bytes - 4, suffix.data() + bytes - 4, 4);
  } else if (bytes != 0) {
    std::memcpy(to, suffix.data(), bytes);
  }
}

}  // namespace

struct Cursor::Impl {
  struct Level {
    PageRef page;
    NodeView node;
    std::uint32_t index = 0;
    std::uint32_t asked_end = 0;  // Children before this one were read ahead.
  };
  /// Of a merge's walk.
  struct Ahead {
    std::deque<PageRef> pages;  // Read ahead and perhaps not used yet, the oldest first.
    std::vector<ChildPointer> asked;
  };

  Impl(PageStore& page_store, ChildPointer tree_root, FamilyId tree_family, Use use)
      : store(page_store),
        root(tree_root),
        family(tree_family),
        ahead(use == Use::kMerge ? std::make_unique<Ahead>() : nullptr) {}

  PageStore& store;
  const ChildPointer root;
  const FamilyId family;
  const std::unique_ptr<Ahead> ahead;  // Null: a reader.
  /// Inner nodes, the root first; the child at `index` is the one below.
  std::array<Level, kTreeDepthMax> path;
  std::size_t depth = 0;  // Of `path`.
  PageRef leaf;
  NodeView node;  // Of the leaf.
  std::uint32_t index = 0;
  bool is_valid = false;
  bool must_descend = false;  // The path leads to a child that has not been entered.
  /// What the processor has not been asked to bring yet, and how much of it to ask for at each step, so that it is there when
  /// the walk is.
  struct Lines {
    const std::byte* begin = nullptr;
    const std::byte* end = nullptr;
    std::size_t step_bytes = 0;

    void fetch() noexcept {
      if (begin == end) return;
      const std::byte* const step_end = std::min(begin + step_bytes, end);
      for (; begin < step_end; begin += kLineBytes) __builtin_prefetch(begin);
      begin = step_end;
    }
  };
  Lines rest;                          // Of a leaf that the walk came to by a key: its pairs from there on.
  Lines after;                         // Of the next leaf, if it is in memory.
  std::array<char, kKeyBytesMax> key;  // That of `index`; begins with the leaf's prefix.

  Level& bottom() noexcept { return path[depth - 1]; }
  void leave_levels_from(std::size_t first) noexcept {
    while (depth > first) path[--depth].page = PageRef();
  }
  void reset() noexcept {
    leave_levels_from(0);
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
  ChildPointer next_child() noexcept { return bottom().node.child(bottom().index); }
  /// Takes a page that the descent came to. False: it is of a wrong level.
  bool enter(PageRef page, const Bytes* sought);
  /// The root, or the child that the path leads to.
  PageRef find_page() noexcept {
    const bool is_root = depth == 0;
    if (ahead != nullptr) return store.peek_cached(is_root ? root : next_child());
    if (is_root) return store.find_cached(root);
    return store.find_child(bottom().page, bottom().index);
  }
  void plan_fetches(bool is_sought) noexcept;
  /// Of a merge: asks for the leaves that the walk will come to.
  void read_ahead();
};

void Cursor::Impl::read_ahead() {
  Level& level = bottom();
  if (level.node.level() != 1 || level.index < level.asked_end) return;
  ahead->asked.clear();
  level.asked_end = std::min(level.node.count(), level.index + kReadAheadLeaves);
  for (std::uint32_t child = level.index; child < level.asked_end; ++child) ahead->asked.push_back(level.node.child(child));
  store.prefetch(ahead->asked, family, ahead->pages);
  while (ahead->pages.size() > kReadAheadPagesMax) ahead->pages.pop_front();
}

bool Cursor::Impl::enter(PageRef page, const Bytes* sought) {
  const NodeView here(page.bytes());
  if (depth > 0 && bottom().node.level() != here.level() + 1U) return false;
  if (!here.is_leaf()) {
    if (depth == path.size()) return false;
    Level& level = path[depth++];
    level.page = std::move(page);
    level.node = here;
    level.index = sought == nullptr ? 0 : here.child_index(*sought);
    level.asked_end = 0;
    if (ahead != nullptr) read_ahead();
    return true;
  }
  leaf = std::move(page);
  node = here;
  index = sought == nullptr ? 0 : node.lower_bound(*sought).index;
  is_valid = index < node.count();
  must_descend = false;
  std::ranges::copy(node.prefix(), key.begin());
  if (ahead == nullptr) plan_fetches(sought != nullptr);
  return true;
}

void Cursor::Impl::plan_fetches(bool is_sought) noexcept {
  const std::uint32_t pairs = node.count() - std::min(index, node.count());
  rest = {};
  if (is_sought && pairs > 0) {  // Pairs lie in their order; a prefetch past the last one does no harm.
    const std::span<const std::byte> page = leaf.bytes();
    const auto* const begin = reinterpret_cast<const std::byte*>(node.suffix(index).data());
    rest = {begin, page.data() + page.size(), kLinesAtOnce * kLineBytes};
  }
  after = {};
  if (depth == 0) return;
  const std::span<const std::byte> next = PageStore::linked_bytes(bottom().page, bottom().index + 1);
  const std::size_t step_lines = (next.size() / std::max(pairs, 1U) / kLineBytes) + 1;
  after = {next.data(), next.data() + next.size(), step_lines * kLineBytes};
}

Task<Status> Cursor::Impl::descend(const Bytes* sought) {
  while (true) {
    PageRef page = find_page();
    const ChildPointer pointer = depth == 0 ? root : next_child();
    if (!page) {
      Result<PageRef> read = co_await store.read_page(pointer, family, ahead == nullptr);
      if (!read.has_value()) co_return read.error();
      page = std::move(*read);
    }
    if (!enter(std::move(page), sought)) co_return corruption_at(pointer.address);
    if (leaf) co_return Status::ok();
  }
}

bool Cursor::Impl::try_descend(const Bytes* sought) {
  const std::size_t depth_before = depth;
  while (true) {
    PageRef page = find_page();
    if (!page || !enter(std::move(page), sought)) {
      leave_levels_from(depth_before);
      return false;
    }
    if (leaf) return true;
  }
}

bool Cursor::Impl::advance() {
  is_valid = false;
  leaf = PageRef();
  while (depth > 0 && bottom().index + 1 == bottom().node.count()) leave_levels_from(depth - 1);
  if (depth == 0) return false;
  bottom().index += 1;
  must_descend = true;
  if (ahead != nullptr) read_ahead();
  return true;
}

Cursor::Cursor(PageStore& store, ChildPointer root, FamilyId family, Use use)
    : impl_(std::make_unique<Impl>(store, root, family, use)) {}
Cursor::~Cursor() = default;
Cursor::Cursor(Cursor&&) noexcept = default;

/// Where the walk stands now is what the accessors tell of.
void Cursor::show() noexcept {
  valid_ = impl_->is_valid;
  if (valid_) show_pair();
}

void Cursor::show_pair() noexcept {
  Impl& impl = *impl_;
  impl.rest.fetch();
  impl.after.fetch();
  const NodeView::LeafCell cell = impl.node.leaf_cell_at(impl.index);
  const std::size_t prefix_bytes = impl.node.prefix().size();
  PENSTOCK_ASSERT_LE(prefix_bytes + cell.suffix.size(), kKeyBytesMax);
  copy_suffix(impl.key.data() + prefix_bytes, cell.suffix);
  key_ = {impl.key.data(), prefix_bytes + cell.suffix.size()};
  has_extent_ = (cell.flags & kCellExtent) != 0;
  is_delete_ = cell.flags == kCellDeleted;
  value_ = has_extent_ ? Bytes() : cell.payload;
}

bool Cursor::try_step() noexcept {
  Impl& impl = *impl_;
  PENSTOCK_ASSERT(valid_);
  if (impl.index + 1 >= impl.node.count()) return false;
  impl.index += 1;
  show_pair();
  return true;
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
  if (try_step()) return true;
  Impl& impl = *impl_;
  valid_ = false;
  if (impl.advance() && !impl.try_descend(nullptr)) return false;
  show();
  return true;
}

}  // namespace penstock::btree
