#include "btree/page_cache.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "base/assert.h"

namespace penstock::btree {
namespace {

constexpr std::uint64_t kArenaBytesLarge = 8_MiB;  // From here on in 2 MiB pages.
constexpr std::uint64_t kSlabBytesLarge = 256_KiB;
constexpr std::uint64_t kSlabBytesSmall = 64_KiB;  // One frame of 16 blocks.
constexpr std::uint64_t kLargeCacheBytes = 128_MiB;
constexpr std::uint64_t kSmallCacheBytes = 4_MiB;
constexpr std::size_t kSlotsMin = 64;
/// The small queue's part of the frames of a size.
constexpr std::size_t kSmallQueueDivisor = 10;
/// Uses since it came in that take a page from the small queue to the main one.
constexpr std::uint8_t kUsesToStay = 2;
static_assert(kSlabBytesSmall >= std::uint64_t{kPageBlocksMax} * kPageBlockBytes);

}  // namespace

PageRef::PageRef(Frame* frame) noexcept : frame_(frame) {
  if (frame_ != nullptr) PageCache::pin(*frame_);
}

PageRef::~PageRef() {
  if (frame_ != nullptr) PageCache::unpin(*frame_);
}

PageRef PageRef::adopt(void* released) noexcept {
  PageRef page;
  page.frame_ = static_cast<Frame*>(released);
  return page;
}

std::span<const std::byte> PageRef::bytes() const noexcept {
  PENSTOCK_ASSERT(frame_ != nullptr);
  return frame_->bytes();
}

PageCache::PageCache(std::uint64_t bytes_max)
    : bytes_max_(bytes_max),
      slab_bytes_(bytes_max >= kSmallCacheBytes ? kSlabBytesLarge : kSlabBytesSmall),
      arena_bytes_(bytes_max >= kLargeCacheBytes ? kArenaBytesLarge : slab_bytes_) {
  rehash(kSlotsMin);
}

PageCache::~PageCache() {
  PENSTOCK_ASSERT_EQ(pinned_frames(), 0U);
  PENSTOCK_ASSERT_EQ(loose_bytes_, 0U);
}

// --- hash ---

void PageCache::rehash(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  mask_ = slots - 1;
  shift_ = static_cast<unsigned>(64 - std::countr_zero(slots));
  ghosts_.assign(slots, 0);
  for (const Slot& slot : old) {
    if (slot.frame == nullptr) continue;
    std::size_t place = home(slot.key);
    while (slots_[place].frame != nullptr) place = (place + 1) & mask_;
    slots_[place] = slot;
  }
}

void PageCache::hash(Frame& frame) {
  PENSTOCK_ASSERT(!frame.is_hashed);
  if ((hashed_ + 1) * 4 > slots_.size() * 3) rehash(slots_.size() * 2);
  std::size_t place = home(frame.key);
  while (slots_[place].frame != nullptr) {
    PENSTOCK_ASSERT_NE(slots_[place].key, frame.key);
    place = (place + 1) & mask_;
  }
  slots_[place] = {frame.key, &frame};
  frame.is_hashed = true;
  ++hashed_;
}

void PageCache::unhash(Frame& frame) noexcept {
  PENSTOCK_ASSERT(frame.is_hashed);
  drop_links(frame);
  std::size_t hole = home(frame.key);
  while (slots_[hole].frame != &frame) {
    PENSTOCK_ASSERT(slots_[hole].frame != nullptr);
    hole = (hole + 1) & mask_;
  }
  // Later entries of the cluster move up if their home does not lie behind the hole.
  for (std::size_t place = (hole + 1) & mask_; slots_[place].frame != nullptr; place = (place + 1) & mask_) {
    const std::size_t distance_home = (place - home(slots_[place].key)) & mask_;
    const std::size_t distance_hole = (place - hole) & mask_;
    if (distance_home < distance_hole) continue;
    slots_[hole] = slots_[place];
    hole = place;
  }
  slots_[hole] = {};
  frame.is_hashed = false;
  --hashed_;
}

// --- links ---

void PageCache::prepare_links(Frame& parent, std::uint32_t children) {
  PENSTOCK_ASSERT(parent.links == nullptr);
  parent.links = std::make_unique<FrameLink[]>(children);  // NOLINT(*-avoid-c-arrays): one pointer, in the frame's first line.
  parent.link_count = children;
}

void PageCache::link(Frame& parent, std::uint32_t index, Frame& child) noexcept {
  PENSTOCK_ASSERT_LT(index, parent.link_count);
  PENSTOCK_ASSERT(child.is_hashed && !child.is_loading);
  if (child.linked_by != nullptr) *child.linked_by = {};
  parent.links[index] = {&child, child.data};
  child.linked_by = &parent.links[index];
}

/// Those of the frame, and the one to it.
void PageCache::drop_links(Frame& frame) noexcept {
  if (frame.linked_by != nullptr) *std::exchange(frame.linked_by, nullptr) = {};
  if (frame.links == nullptr) return;
  for (const FrameLink& link : std::span(frame.links.get(), frame.link_count)) {
    if (link.frame != nullptr) link.frame->linked_by = nullptr;
  }
  frame.links.reset();
  frame.link_count = 0;
}

// --- queues ---

void PageCache::push_newest(List& list, Frame& frame, Frame::Queue queue) noexcept {
  frame.queue = queue;
  frame.previous = nullptr;
  frame.next = list.newest;
  (list.newest != nullptr ? list.newest->previous : list.oldest) = &frame;
  list.newest = &frame;
  ++list.count;
}

void PageCache::push_oldest(List& list, Frame& frame, Frame::Queue queue) noexcept {
  frame.queue = queue;
  frame.next = nullptr;
  frame.previous = list.oldest;
  (list.oldest != nullptr ? list.oldest->next : list.newest) = &frame;
  list.oldest = &frame;
  ++list.count;
}

void PageCache::unlink(Frame& frame) noexcept {
  if (frame.queue == Frame::Queue::kNone) return;
  Size& size = sizes_[frame.blocks];
  List& list = frame.queue == Frame::Queue::kSmall ? size.small : size.main;
  (frame.previous != nullptr ? frame.previous->next : list.newest) = frame.next;
  (frame.next != nullptr ? frame.next->previous : list.oldest) = frame.previous;
  --list.count;
  frame.queue = Frame::Queue::kNone;
  frame.previous = nullptr;
  frame.next = nullptr;
}

bool PageCache::was_here_lately(const ChildPointer& pointer) const noexcept {
  const auto fingerprint = static_cast<std::uint32_t>(pointer.checksum | 1U);
  return ghosts_[home(pointer.address.key())] == fingerprint;
}

void PageCache::remember(const Frame& frame) noexcept {
  ghosts_[home(frame.key)] = static_cast<std::uint32_t>(frame.checksum | 1U);
}

Frame* PageCache::evict_from_small(Size& size) {
  for (std::size_t turns = size.small.count; turns > 0; --turns) {
    Frame& frame = *size.small.oldest;
    if (frame.pins > 0) {
      unlink(frame);
      push_newest(size.small, frame, Frame::Queue::kSmall);
    } else if (frame.uses >= kUsesToStay && !frame.is_replaced) {
      unlink(frame);
      frame.uses = 0;
      push_newest(size.main, frame, Frame::Queue::kMain);
    } else {
      remember(frame);
      evict(frame);
      return &frame;
    }
  }
  return nullptr;
}

Frame* PageCache::evict_from_main(Size& size) {
  // Each frame comes round at most four times: three uses to take off, then it goes.
  for (std::size_t turns = size.main.count * 4; turns > 0; --turns) {
    Frame& frame = *size.main.oldest;
    if (frame.pins == 0 && (frame.uses == 0 || frame.is_replaced)) {
      evict(frame);
      return &frame;
    }
    if (frame.uses > 0) --frame.uses;
    unlink(frame);
    push_newest(size.main, frame, Frame::Queue::kMain);
  }
  return nullptr;
}

/// Leaves the evicted frame in the list of unused ones. Null if all of this size are pinned.
Frame* PageCache::evict_one(Size& size) {
  const std::size_t frames = size.small.count + size.main.count;
  const bool small_first = size.small.count > 0 && size.small.count * kSmallQueueDivisor >= frames;
  Frame* frame = small_first ? evict_from_small(size) : nullptr;
  if (frame == nullptr) frame = evict_from_main(size);
  if (frame == nullptr) frame = evict_from_small(size);
  return frame;
}

void PageCache::evict(Frame& frame) {
  PENSTOCK_ASSERT_EQ(frame.pins, 0U);
  ++evictions_;
  unlink(frame);
  if (frame.is_hashed) unhash(frame);
  give_back(frame);
}

/// Its memory is free for another page of the size.
void PageCache::give_back(Frame& frame) {
  PENSTOCK_ASSERT_EQ(frame.pins, 0U);
  PENSTOCK_ASSERT(!frame.is_hashed && frame.queue == Frame::Queue::kNone);
  PENSTOCK_ASSERT(frame.links == nullptr && frame.linked_by == nullptr);
  if (frame.slab == Frame::kLoose) {
    loose_bytes_ -= frame.loose->bytes();
    delete &frame;  // NOLINT(cppcoreguidelines-owning-memory): made by take_loose(), owned by its pins.
    return;
  }
  frame.pending.reset();
  sizes_[frame.blocks].unused.push_back(&frame);
}

// --- memory ---

bool PageCache::add_arena() {
  if (arenas_bytes_ != 0 && arenas_bytes_ + arena_bytes_ > bytes_max_) return false;
  reactor::AlignedBuffer arena(arena_bytes_);
  if (!arena) return false;
  auto place = std::ranges::find_if(arenas_, [](const reactor::AlignedBuffer& held) { return !held; });
  if (place == arenas_.end()) place = arenas_.emplace(place);
  const auto index = static_cast<std::uint32_t>(place - arenas_.begin());
  arenas_bytes_ += arena.bytes();
  for (std::uint64_t offset = 0; offset + slab_bytes_ <= arena.bytes(); offset += slab_bytes_) {
    auto slab = std::make_unique<Slab>();
    slab->memory = arena.data() + offset;
    slab->arena = index;
    auto hole = std::ranges::find_if(slabs_, [](const std::unique_ptr<Slab>& held) { return held == nullptr; });
    if (hole == slabs_.end()) hole = slabs_.emplace(hole);
    *hole = std::move(slab);
    uncut_.push_back(static_cast<std::uint32_t>(hole - slabs_.begin()));
  }
  *place = std::move(arena);
  return true;
}

bool PageCache::cut_slab(std::uint8_t blocks) {
  if (uncut_.empty()) return false;
  const std::uint32_t index = uncut_.back();
  uncut_.pop_back();
  Slab& slab = *slabs_[index];
  const std::size_t frame_bytes = std::size_t{blocks} * kPageBlockBytes;
  slab.blocks = blocks;
  slab.frames = std::vector<Frame>(slab_bytes_ / frame_bytes);
  for (std::size_t number = slab.frames.size(); number-- > 0;) {
    Frame& frame = slab.frames[number];
    frame.data = slab.memory + (number * frame_bytes);
    frame.blocks = blocks;
    frame.cache = this;
    frame.slab = index;
    sizes_[blocks].unused.push_back(&frame);
  }
  return true;
}

/// Evicts all of a slab and takes its frames apart. False if something in it is pinned.
bool PageCache::empty_slab(Slab& slab) {
  if (std::ranges::any_of(slab.frames, [](const Frame& frame) { return frame.pins > 0; })) return false;
  for (Frame& frame : slab.frames) {
    if (frame.is_hashed) evict(frame);
  }
  std::erase_if(sizes_[slab.blocks].unused, [&](const Frame* frame) { return slabs_[frame->slab].get() == &slab; });
  slab.frames.clear();
  slab.blocks = 0;
  return true;
}

/// A slab of another size becomes uncut, the next in turn without pins.
bool PageCache::steal_slab(std::uint8_t blocks) {
  for (std::size_t turns = slabs_.size(); turns > 0; --turns) {
    steal_from_ = (steal_from_ + 1) % static_cast<std::uint32_t>(slabs_.size());
    const std::unique_ptr<Slab>& slab = slabs_[steal_from_];
    if (slab == nullptr || slab->blocks == 0 || slab->blocks == blocks || !empty_slab(*slab)) continue;
    uncut_.push_back(steal_from_);
    return true;
  }
  return false;
}

/// Gives an arena without pinned frames back to the system.
bool PageCache::drop_arena() {
  for (std::uint32_t index = 0; index < arenas_.size(); ++index) {
    if (!arenas_[index]) continue;
    const auto is_here = [&](const std::unique_ptr<Slab>& slab) { return slab != nullptr && slab->arena == index; };
    const bool is_pinned = std::ranges::any_of(slabs_, [&](const std::unique_ptr<Slab>& slab) {
      return is_here(slab) && std::ranges::any_of(slab->frames, [](const Frame& frame) { return frame.pins > 0; });
    });
    if (is_pinned) continue;
    for (std::uint32_t number = 0; number < slabs_.size(); ++number) {
      if (!is_here(slabs_[number])) continue;
      PENSTOCK_ASSERT(empty_slab(*slabs_[number]));
      std::erase(uncut_, number);
      slabs_[number].reset();
    }
    arenas_bytes_ -= arenas_[index].bytes();
    arenas_[index] = {};
    return true;
  }
  return false;
}

Frame* PageCache::take_loose(std::uint8_t blocks) {
  auto memory = std::make_unique<reactor::AlignedBuffer>(std::size_t{blocks} * kPageBlockBytes);
  if (!*memory) return nullptr;
  auto* frame = new Frame;  // NOLINT(cppcoreguidelines-owning-memory): give_back() deletes it.
  frame->data = memory->data();
  frame->blocks = blocks;
  frame->cache = this;
  frame->slab = Frame::kLoose;
  frame->loose = std::move(memory);
  loose_bytes_ += frame->loose->bytes();
  return frame;
}

Frame* PageCache::take_memory(std::uint8_t blocks) {
  Size& size = sizes_[blocks];
  if (size.unused.empty() && !cut_slab(blocks)) {
    const bool has_room = add_arena() && cut_slab(blocks);
    // A size that holds little of the cache takes from the others; one that holds much evicts its own.
    const std::uint64_t own_bytes = (size.small.count + size.main.count) * std::uint64_t{blocks} * kPageBlockBytes;
    const bool steals = !has_room && own_bytes < slab_bytes_ && steal_slab(blocks) && cut_slab(blocks);
    if (!has_room && !steals && evict_one(size) == nullptr && steal_slab(blocks)) cut_slab(blocks);
  }
  if (size.unused.empty()) return take_loose(blocks);
  Frame* frame = size.unused.back();
  size.unused.pop_back();
  return frame;
}

Frame* PageCache::insert(const ChildPointer& pointer, bool admit) {
  PENSTOCK_ASSERT(pointer.blocks >= 1 && pointer.blocks <= kPageBlocksMax);
  // A page that stood there before, in a zone written again since: nobody asks for it any more.
  const std::uint64_t key = pointer.address.key();
  for (std::size_t place = home(key); slots_[place].frame != nullptr; place = (place + 1) & mask_) {
    if (slots_[place].key != key) continue;
    PENSTOCK_ASSERT(!slots_[place].frame->matches(pointer));
    forget(*slots_[place].frame);
    break;
  }
  Frame* frame = take_memory(pointer.blocks);
  if (frame == nullptr) return nullptr;
  frame->key = key;
  frame->birth = pointer.birth;
  frame->checksum = pointer.checksum;
  frame->pins = 1;
  frame->uses = 0;
  frame->is_loading = false;
  frame->is_replaced = false;
  frame->is_passing = !admit || frame->slab == Frame::kLoose;
  hash(*frame);
  Size& size = sizes_[pointer.blocks];
  if (frame->slab == Frame::kLoose) return frame;
  if (admit && was_here_lately(pointer)) {
    push_newest(size.main, *frame, Frame::Queue::kMain);
  } else {
    push_newest(size.small, *frame, Frame::Queue::kSmall);
  }
  return frame;
}

Frame* PageCache::insert_successor(const ChildPointer& pointer, Frame& predecessor) {
  const Frame::Queue queue = predecessor.queue;
  pin(predecessor);
  Frame* frame = insert(pointer, true);
  unpin(predecessor);
  if (frame == nullptr) return nullptr;
  frame->uses = predecessor.uses;
  if (queue == Frame::Queue::kMain && frame->queue == Frame::Queue::kSmall) {
    unlink(*frame);
    push_newest(sizes_[frame->blocks].main, *frame, queue);
  }
  return frame;
}

void PageCache::forget(Frame& frame) {
  if (frame.is_hashed) unhash(frame);
  if (frame.pins == 0) {
    unlink(frame);
    give_back(frame);
  }
}

void PageCache::forget(const ChildPointer& pointer) {
  if (Frame* frame = find(pointer); frame != nullptr) forget(*frame);
}

void PageCache::mark_replaced(Frame& frame) noexcept {
  frame.is_replaced = true;
  if (frame.queue == Frame::Queue::kNone) return;
  unlink(frame);
  push_oldest(sizes_[frame.blocks].small, frame, Frame::Queue::kSmall);
}

void PageCache::unpin(Frame& frame) noexcept {
  PENSTOCK_ASSERT_GT(frame.pins, 0U);
  if (--frame.pins == 0 && (frame.is_passing || !frame.is_hashed)) frame.cache->release_unpinned(frame);
}

void PageCache::release_unpinned(Frame& frame) {
  if (frame.is_hashed) unhash(frame);
  unlink(frame);
  give_back(frame);
}

void PageCache::set_bytes_max(std::uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  while (arenas_bytes_ > std::max(bytes_max_, arena_bytes_) && drop_arena()) {
  }
}

std::uint64_t PageCache::pinned_frames() const noexcept {
  std::uint64_t pinned = 0;
  for (const std::unique_ptr<Slab>& slab : slabs_) {
    if (slab == nullptr) continue;
    pinned +=
        static_cast<std::uint64_t>(std::ranges::count_if(slab->frames, [](const Frame& frame) { return frame.pins > 0; }));
  }
  return pinned;
}

}  // namespace penstock::btree
