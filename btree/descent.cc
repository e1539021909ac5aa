// Look-ups in pages that are in memory: from frame to frame, by links where a look-up came this way before.
//
// What costs is waiting for memory: a leaf's frame, its slots and its cell are seldom in a processor's cache. A link brings the
// frame's and the page's address at once, so that the lines that the search in the page will read are fetched side by side.
// Source: pointer swizzling as in V. Leis et al., "LeanStore: In-Memory Data Management Beyond Main Memory", ICDE 2018; here
// links are looked up beside the page, whose bytes stay those on disk.
#include "base/assert.h"
#include "btree/page.h"
#include "btree/page_store_impl.h"

namespace penstock::btree {

namespace {

constexpr std::size_t kLineBytes = 64;
/// Header and slots of a leaf of 4 KiB with values of 100 bytes.
constexpr std::size_t kLinesAhead = 5;

void fetch_lines(const FrameLink& link) noexcept {
  __builtin_prefetch(link.frame, 1);
  for (std::size_t line = 0; line < kLinesAhead; ++line) __builtin_prefetch(link.data + (line * kLineBytes));
}

}  // namespace

void prepare_links(Frame& frame) {
  const NodeView node(frame.bytes());
  if (!node.is_leaf()) PageCache::prepare_links(frame, node.count());
}

/// The frame of the leaf; null if a page on the way is missing, or not of the level it should be: find() says what is wrong.
/// kFetch: null, and a leaf that is linked is on its way.
template <PageStore::Impl::Walk kWalk>
Frame* PageStore::Impl::descend(const ChildPointer& root, Bytes key) noexcept {
  Frame* frame = cache_.find(root);
  if (frame == nullptr || frame->is_loading) return nullptr;
  LevelCheck levels;
  while (true) {
    if constexpr (kWalk == Walk::kBorrow) PageCache::note_use_shared(*frame);
    if constexpr (kWalk == Walk::kFind) {
      PageCache::note_use(*frame);
      ++counters_.cache_hits;
    }
    const NodeView node(frame->bytes());
    if (!levels.accepts(node)) return nullptr;
    if (node.is_leaf()) return frame;
    const std::uint32_t index = node.child_index(key);
    if (const FrameLink link = PageCache::linked(*frame, index); link.frame != nullptr) {
      fetch_lines(link);
      if (kWalk == Walk::kFetch && node.level() == 1) return nullptr;
      frame = link.frame;
      continue;
    }
    if constexpr (kWalk == Walk::kFetch) return nullptr;
    Frame* child = cache_.find(node.child(index));
    if (child == nullptr || child->is_loading) return nullptr;
    if constexpr (kWalk == Walk::kFind) PageCache::link(*frame, index, *child);
    frame = child;
  }
}

PageRef PageStore::Impl::find_leaf(const ChildPointer& root, Bytes key) noexcept {
  return PageRef(descend<Walk::kFind>(root, key));
}

std::span<const std::byte> PageStore::Impl::look_at_leaf(const ChildPointer& root, Bytes key) noexcept {
  const Frame* leaf = descend<Walk::kBorrow>(root, key);
  return leaf == nullptr ? std::span<const std::byte>() : leaf->bytes();
}

PageRef PageStore::Impl::find_child(Frame& parent, std::uint32_t index) noexcept {
  const bool has_links = index < parent.link_count;  // A page that is found no more has none.
  const FrameLink link = has_links ? PageCache::linked(parent, index) : FrameLink{};
  Frame* child = link.frame;
  if (child != nullptr) {
    fetch_lines(link);
  } else {
    child = cache_.find(NodeView(parent.bytes()).child(index));
    if (child == nullptr || child->is_loading) return PageRef();
    if (has_links) PageCache::link(parent, index, *child);
  }
  PageCache::note_use(*child);
  ++counters_.cache_hits;
  return PageRef(child);
}

std::span<const std::byte> PageStore::Impl::linked_bytes(const Frame& parent, std::uint32_t index) noexcept {
  const FrameLink link = index < parent.link_count ? PageCache::linked(parent, index) : FrameLink{};
  __builtin_prefetch(link.frame, 1);  // Of nothing: nothing happens.
  return {link.data, link.frame == nullptr ? 0 : kPageBlockBytes};
}

void PageStore::Impl::fetch_leaf(const ChildPointer& root, Bytes key) noexcept { descend<Walk::kFetch>(root, key); }

}  // namespace penstock::btree
