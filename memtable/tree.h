// The entries of one family in key order: a B+tree whose nodes keep, beside each slot, eight bytes of its key as an integer.
//
// A search reads heads, one contiguous array per node, and follows a slot to its key only when heads tie. Keys of a node that
// share leading bytes (and would tie) have them cut off first: the node keeps that prefix, heads start behind it.
//
// Invariants:
//   Tree-I1  Keys ascend strictly within and across nodes; a child's keys lie in [separator before it, separator behind it).
//   Tree-I2  heads[i] is head_of(key i, prefix_bytes), and all keys of the node start with its prefix. Unused heads are all
//            ones: a search need not know how many are used.
//   Tree-I3  Nodes below the root are never empty. A leaf of less than full capacity is the root: an idle family stays small.
//   Tree-I4  Entries are only added, never moved or removed: entry_count() tells whether a found place is still good.
// Units: slots. Thread: as the memtable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "memtable/arena.h"
#include "memtable/entry.h"
#include "penstock/bytes.h"

namespace penstock::memtable {

inline constexpr std::size_t kCacheLineBytes = 64;
inline constexpr std::uint32_t kLeafCapacity = 64;    // Measured: docs/decisions/0002-memtable.md.
inline constexpr std::uint32_t kLeafCapacityMin = 4;  // A new family: a header and one cache line.
inline constexpr std::uint32_t kInnerCapacity = 64;   // Separators; one child more.
inline constexpr std::uint32_t kNodePrefixBytesMax = 40;
inline constexpr std::uint32_t kTreeHeightMax = 12;  // Inner nodes split after 32 splits below at least: 32^12 leaves.

/// The eight bytes of `key` behind its first `skip_bytes`, zero-padded, as an integer that orders as they do.
inline std::uint64_t head_of(Bytes key, std::size_t skip_bytes) noexcept {
  return key.size() <= skip_bytes ? 0 : base::load_big_endian_prefix(key.data() + skip_bytes, key.size() - skip_bytes);
}

struct Node {
  std::uint16_t slot_count;   // Leaf: entries. Inner: separators.
  std::uint16_t capacity;     // In slots.
  std::uint16_t last_insert;  // Slot of the last insert, to see ascending and descending runs.
  std::uint8_t level;         // 0: leaf.
  std::uint8_t prefix_bytes;
  std::array<char, kNodePrefixBytesMax> prefix;
};

/// Header, heads[capacity], entries[capacity]; whole cache lines.
struct alignas(kCacheLineBytes) Leaf : Node {
  Leaf* next;
  Leaf* prev;

  std::uint64_t* heads() noexcept { return reinterpret_cast<std::uint64_t*>(this + 1); }
  const std::uint64_t* heads() const noexcept { return reinterpret_cast<const std::uint64_t*>(this + 1); }
  Entry** entries() noexcept { return reinterpret_cast<Entry**>(heads() + capacity); }
  Entry* const* entries() const noexcept { return reinterpret_cast<Entry* const*>(heads() + capacity); }
};
static_assert(sizeof(Leaf) == kCacheLineBytes);
static_assert(sizeof(Entry*) == sizeof(std::uint64_t));

/// children[i] holds keys below separator i, children[i + 1] those from it on. A separator is some entry's key: those stay.
struct Inner : Node {
  alignas(kCacheLineBytes) std::array<std::uint64_t, kInnerCapacity> heads;
  std::array<Entry*, kInnerCapacity> separators;
  std::array<Node*, kInnerCapacity + 1> children;
};
static_assert(kLeafCapacity <= UINT16_MAX && kInnerCapacity <= UINT16_MAX && kNodePrefixBytesMax <= UINT8_MAX);

/// How a full leaf is cut before `insert_index` gets a slot: the first `left_count` stay.
struct SplitPlan {
  std::uint32_t left_count;
  bool insert_goes_left;
};
/// Ascending and descending runs leave full leaves behind them, everything else halves. Pure.
SplitPlan plan_split(std::uint32_t capacity, std::uint32_t insert_index, std::uint32_t last_insert) noexcept;

class Tree {
 public:
  /// Where a key is or belongs, and how the search came there.
  struct Place {
    Leaf* leaf = nullptr;
    std::uint32_t index = 0;
    Entry* found = nullptr;
    bool is_append = false;                    // Behind every entry; the steps, which are the right spine, were not taken.
    std::uint32_t depth = 0;                   // Inner nodes above the leaf, root first.
    std::array<Inner*, kTreeHeightMax> nodes;  // Written as far as `depth`.
    std::array<std::uint32_t, kTreeHeightMax> child_indexes;  // Likewise.
  };
  struct ConstPlace {
    const Leaf* leaf;  // Null: past the end.
    std::uint32_t index;
  };

  explicit Tree(Arena& arena);
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Entry* find(Bytes key) const noexcept;
  /// The first entry at or after `key`.
  ConstPlace lower_bound(Bytes key) const noexcept;
  /// A hint that `key` will be located soon: its leaf comes into the processor's cache meanwhile.
  void fetch(Bytes key) const noexcept;
  /// Fills `place` for `key`. Good until the next insert.
  void locate(Bytes key, Place& place) noexcept;
  /// Adds `entry`, whose key was not found, at the place located for it.
  void insert(Arena& arena, Place& place, Entry* entry);

  const Leaf* first_leaf() const noexcept { return first_leaf_; }
  const Leaf* last_leaf() const noexcept { return last_leaf_; }
  std::uint64_t entry_count() const noexcept { return entry_count_; }

  /// Ends the process if Tree-I1 to I3 do not hold; O(n).
  void assert_invariants() const;

 private:
  bool is_append(Bytes key) const noexcept;
  void walk_right_spine(Place& place) noexcept;
  void grow_root_leaf(Arena& arena, Place& place);
  void split_leaf(Arena& arena, Place& place, Entry* entry);
  void add_separator(Arena& arena, Place& place, Entry* separator, Node* right);
  void grow_root(Arena& arena, Entry* separator, Node* right);
  std::uint64_t assert_subtree(const Node& node, const Entry* low, const Entry* high) const;

  Node* root_;
  Leaf* first_leaf_;
  Leaf* last_leaf_;
  // Largest entry and its head: most appends are seen without following it.
  const Entry* last_entry_ = nullptr;
  std::uint64_t last_head_ = 0;
  std::uint64_t entry_count_ = 0;
};
static_assert(sizeof(Tree) <= kCacheLineBytes);

}  // namespace penstock::memtable
