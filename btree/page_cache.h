// Pages in memory, by address: bounded in bytes, scan-resistant, shared by all readers of the shard.
//
// Memory comes in arenas, cut into slabs, each cut into frames of one size (1-16 blocks). Eviction is S3-FIFO per size: new
// pages go through a small queue and reach the main one only if they were used again; a list of fingerprints lets a page that
// comes back soon go to the main queue at once. A size that needs memory from another takes a whole slab. Invariants:
//   Cache-I1 At most one frame stands under an address. It matches a pointer only if birth, checksum and length do: after a
//   zone was
//            written again an old frame is simply not found.
//   Cache-I2 A frame with pins is neither evicted nor reused. One that is no longer wanted is given back at its last unpin.
//   Cache-I3 Memory is at most the limit rounded up to an arena, plus frames that were needed while everything was pinned, plus
//            16 bytes a child of the inner pages that are here.
//   Cache-I4 A link of a frame to a child names the frame that find() would give for that child's pointer, loaded. It goes when
//            either of the two is found no more. A frame has one link to it at most: the last one made, by the newest parent.
// Units: bytes, blocks of 4 KiB. Thread: the shard's reactor.
// Source: S3-FIFO, Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "btree/page_store.h"
#include "btree/pointer.h"
#include "reactor/buffer.h"

namespace penstock::btree {

class PageCache;

/// What readers of a page that is being read wait for.
struct PendingRead {
  explicit PendingRead(reactor::Reactor& reactor) noexcept : done(reactor) {}
  reactor::Event done;
  Status status;
};

struct Frame;

/// From a parent's frame straight to a child's, without the hash table (pointer swizzling).
struct FrameLink {
  Frame* frame = nullptr;
  const std::byte* data = nullptr;  ///< The frame's: its lines are asked for before the frame's own arrive.
};

struct alignas(64) Frame {  // What a look-up reads is in the first line.
  enum class Queue : std::uint8_t { kNone, kSmall, kMain };

  std::uint64_t key = 0;  ///< Address::key()
  std::uint64_t birth = 0;
  std::uint64_t checksum = 0;
  std::byte* data = nullptr;
  std::uint32_t pins = 0;
  std::uint8_t blocks = 0;
  std::uint8_t uses = 0;  ///< 0 .. 3
  Queue queue = Queue::kNone;
  bool is_hashed : 1 = false;
  bool is_loading : 1 = false;
  bool is_passing : 1 = false;         ///< Not admitted: dropped at its last unpin.
  bool is_replaced : 1 = false;        ///< The pass wrote a successor: first to go.
  std::unique_ptr<FrameLink[]> links;  ///< Of an inner page that is found and loaded: one a child.
  FrameLink* linked_by = nullptr;      ///< The link that names this frame.
  Frame* previous = nullptr;
  Frame* next = nullptr;
  PageCache* cache = nullptr;
  std::uint32_t slab = 0;  ///< kLoose: memory of its own.
  std::uint32_t link_count = 0;
  std::shared_ptr<PendingRead> pending;
  std::unique_ptr<reactor::AlignedBuffer> loose;

  static constexpr std::uint32_t kLoose = ~std::uint32_t{0};

  bool matches(const ChildPointer& pointer) const noexcept {
    return checksum == pointer.checksum && birth == pointer.birth && blocks == pointer.blocks;
  }
  std::span<std::byte> bytes() const noexcept { return {data, std::size_t{blocks} * kPageBlockBytes}; }
};

class PageCache {
 public:
  explicit PageCache(std::uint64_t bytes_max);
  ~PageCache();
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;

  /// The frame of exactly this page, loading or not; null if there is none.
  Frame* find(const ChildPointer& pointer) noexcept {
    const std::uint64_t key = pointer.address.key();
    for (std::size_t place = home(key);; place = (place + 1) & mask_) {
      const Slot& slot = slots_[place];
      if (slot.frame == nullptr) return nullptr;
      if (slot.key == key) return slot.frame->matches(pointer) ? slot.frame : nullptr;
    }
  }
  static void note_use(Frame& frame) noexcept {
    if (frame.uses < 3) ++frame.uses;
    if (frame.is_passing && frame.slab != Frame::kLoose) frame.is_passing = false;
  }

  /// The same by several threads at once, while the shard's reactor stands still.
  static void note_use_shared(Frame& frame) noexcept {
    const std::atomic_ref<std::uint8_t> uses(frame.uses);
    const std::uint8_t seen = uses.load(std::memory_order_relaxed);
    if (seen < 3) uses.store(static_cast<std::uint8_t>(seen + 1), std::memory_order_relaxed);
  }

  /// Makes room for the links of a frame that has become an inner page of so many children.
  static void prepare_links(Frame& parent, std::uint32_t children);
  /// Empty if the child is not linked. `parent` was prepared for more than `index` children.
  static FrameLink linked(const Frame& parent, std::uint32_t index) noexcept { return parent.links[index]; }
  /// Cache-I4: `child` is what find() gives for the pointer at `index`, and loaded.
  static void link(Frame& parent, std::uint32_t index, Frame& child) noexcept;

  /// A frame for a page that has none, pinned once by the caller (unpin), its bytes undefined. `admit` false: it goes at its
  /// last unpin. Null only if the system has no memory.
  Frame* insert(const ChildPointer& pointer, bool admit);
  /// The same for the page that replaces a cached one: it takes over the place in the queues.
  Frame* insert_successor(const ChildPointer& pointer, Frame& predecessor);
  /// The page turned out not to be readable, or is of no use any more: not found from now on.
  void forget(Frame& frame);
  /// A page under this pointer is wanted no more, if it is here.
  void forget(const ChildPointer& pointer);
  /// First to be evicted, but found until then.
  void mark_replaced(Frame& frame) noexcept;
  static void pin(Frame& frame) noexcept { ++frame.pins; }
  static void unpin(Frame& frame) noexcept;

  void set_bytes_max(std::uint64_t bytes_max);
  std::uint64_t bytes() const noexcept { return arenas_bytes_ + loose_bytes_; }
  std::uint64_t evictions() const noexcept { return evictions_; }
  std::uint64_t pinned_frames() const noexcept;

 private:
  struct Slot {
    std::uint64_t key = 0;
    Frame* frame = nullptr;
  };
  struct List {
    Frame* newest = nullptr;
    Frame* oldest = nullptr;
    std::size_t count = 0;
  };
  struct Slab {
    std::byte* memory = nullptr;
    std::uint32_t arena = 0;
    std::uint8_t blocks = 0;  ///< Size of its frames; 0 = not cut.
    std::vector<Frame> frames;
  };
  struct Size {
    List small;
    List main;
    std::vector<Frame*> unused;
  };

  static std::uint64_t mix(std::uint64_t key) noexcept { return key * 0x9e37'79b9'7f4a'7c15ULL; }
  std::size_t home(std::uint64_t key) const noexcept { return static_cast<std::size_t>(mix(key) >> shift_); }
  static void push_newest(List& list, Frame& frame, Frame::Queue queue) noexcept;
  static void push_oldest(List& list, Frame& frame, Frame::Queue queue) noexcept;
  void unlink(Frame& frame) noexcept;

  void hash(Frame& frame);
  void unhash(Frame& frame) noexcept;
  static void drop_links(Frame& frame) noexcept;
  void rehash(std::size_t slots);

  Frame* take_memory(std::uint8_t blocks);
  Frame* take_loose(std::uint8_t blocks);
  bool add_arena();
  bool cut_slab(std::uint8_t blocks);
  bool steal_slab(std::uint8_t blocks);
  bool empty_slab(Slab& slab);
  bool drop_arena();
  Frame* evict_one(Size& size);
  Frame* evict_from_small(Size& size);
  Frame* evict_from_main(Size& size);
  void evict(Frame& frame);
  void give_back(Frame& frame);
  void release_unpinned(Frame& frame);
  bool was_here_lately(const ChildPointer& pointer) const noexcept;
  void remember(const Frame& frame) noexcept;

  std::uint64_t bytes_max_;
  std::vector<Slot> slots_;  // Open addressing, linear probing, at most 3/4 full.
  std::size_t mask_ = 0;
  unsigned shift_ = 0;
  std::size_t hashed_ = 0;

  std::uint64_t slab_bytes_;
  std::uint64_t arena_bytes_;
  std::uint64_t arenas_bytes_ = 0;
  std::uint64_t loose_bytes_ = 0;
  std::vector<reactor::AlignedBuffer> arenas_;  // Empty where one was given back.
  std::vector<std::unique_ptr<Slab>> slabs_;    // Null where its arena was given back.
  std::vector<std::uint32_t> uncut_;            // Slabs.
  std::array<Size, kPageBlocksMax + 1> sizes_;  // By blocks.
  std::vector<std::uint32_t> ghosts_;           // Fingerprints of pages evicted from the small queue.
  std::uint32_t steal_from_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace penstock::btree
