#include "memtable/tree.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace penstock::memtable {
namespace {

constexpr std::uint16_t kNoInsert = UINT16_MAX;
constexpr std::uint64_t kUnusedHead = ~std::uint64_t{0};  // Below no head: see count_below().
constexpr std::uint32_t kHeadsPerLine = kCacheLineBytes / sizeof(std::uint64_t);
constexpr std::uint32_t kFullCapacity = 64;
static_assert(kLeafCapacity == kFullCapacity && kInnerCapacity == kFullCapacity);

struct Probe {
  std::uint32_t index;  // First slot whose key is at or after the probed one.
  bool equal;
};

// A node's searchable part, the same for leaves and inner nodes.
struct Slots {
  Node& node;
  std::uint64_t* heads;
  Entry** keys;
};

Slots slots_of(Leaf& leaf) noexcept { return {leaf, leaf.heads(), leaf.entries()}; }
Slots slots_of(Inner& inner) noexcept { return {inner, inner.heads.data(), inner.separators.data()}; }

// How many heads are below `head`. A node's unused heads are all ones, so it need not look at the slot count, and the compares
// of a step do not wait for each other: a full-sized node takes eight cache lines at once and no mispredicted branch, where a
// binary search would wait for one line after the other.
std::uint32_t count_below(const std::uint64_t* heads, std::uint32_t capacity, std::uint64_t head) noexcept {
  if (capacity < kFullCapacity) {
    std::uint32_t below = 0;
    for (std::uint32_t i = 0; i < capacity; ++i) {
      below += heads[i] < head ? 1 : 0;
    }
    return below;
  }
  std::uint32_t lines_below = 0;
  for (std::uint32_t line = 0; line + 1 < kFullCapacity / kHeadsPerLine; ++line) {
    lines_below += heads[line * kHeadsPerLine + kHeadsPerLine - 1] < head ? 1 : 0;
  }
  std::uint32_t below = lines_below * kHeadsPerLine;
  const std::uint64_t* const line = heads + below;
  for (std::uint32_t i = 0; i < kHeadsPerLine; ++i) {
    below += line[i] < head ? 1 : 0;
  }
  return below;
}

// Orders two keys whose first `equal_bytes` (prefix and head, as far as both reach) are known to tie.
int compare_behind(Bytes left, Bytes right, std::size_t equal_bytes) noexcept {
  const std::size_t skip_bytes = std::min({equal_bytes, left.size(), right.size()});
  return left.substr(skip_bytes).compare(right.substr(skip_bytes));
}

Probe search(const Node& node, const std::uint64_t* heads, Entry* const* keys, Bytes key) noexcept {
  const std::size_t prefix_bytes = node.prefix_bytes;
  if (prefix_bytes != 0) {
    const int order = key.substr(0, prefix_bytes).compare(Bytes(node.prefix.data(), prefix_bytes));
    if (order != 0) {
      return {order < 0 ? 0U : node.slot_count, false};
    }
  }
  const std::uint64_t head = head_of(key, prefix_bytes);
  std::uint32_t low = count_below(heads, node.capacity, head);
  std::uint32_t high = low;
  while (high < node.slot_count && heads[high] == head) {
    ++high;
  }
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    const int order = compare_behind(keys[middle]->key(), key, prefix_bytes + sizeof(head));
    if (order == 0) {
      return {middle, true};
    }
    (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
  }
  return {low, false};
}

Probe search(const Leaf& leaf, Bytes key) noexcept { return search(leaf, leaf.heads(), leaf.entries(), key); }

std::uint32_t child_index_for(const Inner& inner, Bytes key) noexcept {
  const Probe probe = search(inner, inner.heads.data(), inner.separators.data(), key);
  return probe.index + (probe.equal ? 1 : 0);
}

std::uint32_t common_prefix_bytes(Bytes left, Bytes right) noexcept {
  const std::size_t limit = std::min({left.size(), right.size(), std::size_t{kNodePrefixBytesMax}});
  return static_cast<std::uint32_t>(
      std::mismatch(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(limit), right.begin()).first - left.begin());
}

void set_prefix(const Slots& slots, std::uint32_t prefix_bytes) noexcept {
  PENSTOCK_ASSERT_GT(slots.node.slot_count, 0U);
  PENSTOCK_ASSERT_LE(prefix_bytes, kNodePrefixBytesMax);
  const Bytes first = slots.keys[0]->key();
  PENSTOCK_ASSERT_LE(prefix_bytes, first.size());
  slots.node.prefix_bytes = static_cast<std::uint8_t>(prefix_bytes);
  std::copy_n(first.begin(), prefix_bytes, slots.node.prefix.begin());
  for (std::uint32_t i = 0; i < slots.node.slot_count; ++i) {
    slots.heads[i] = head_of(slots.keys[i]->key(), prefix_bytes);
  }
}

// Called when heads tie: cuts off all that the node's keys share. Ties are the only reason: else heads tell keys apart as they
// are.
void widen_prefix(const Slots& slots) noexcept {
  const std::uint32_t shared = common_prefix_bytes(slots.keys[0]->key(), slots.keys[slots.node.slot_count - 1]->key());
  if (shared > slots.node.prefix_bytes) {
    set_prefix(slots, shared);
  }
}

void widen_prefix_if_heads_tie(const Slots& slots) noexcept {
  std::uint64_t* const end = slots.heads + slots.node.slot_count;
  if (std::adjacent_find(slots.heads, end) != end) {
    widen_prefix(slots);
  }
}

void insert_slot(const Slots& slots, std::uint32_t index, Entry* entry) noexcept {
  Node& node = slots.node;
  PENSTOCK_ASSERT_LT(node.slot_count, node.capacity);
  PENSTOCK_ASSERT_LE(index, node.slot_count);
  const Bytes key = entry->key();
  const Bytes prefix(node.prefix.data(), node.prefix_bytes);
  if (node.slot_count == 0) {
    node.prefix_bytes = 0;  // A new right half keeps its left's until it has a key.
  } else if (!key.starts_with(prefix)) {
    set_prefix(slots, common_prefix_bytes(key, prefix));
  }
  const std::uint64_t head = head_of(key, node.prefix_bytes);
  std::copy_backward(slots.heads + index, slots.heads + node.slot_count, slots.heads + node.slot_count + 1);
  std::copy_backward(slots.keys + index, slots.keys + node.slot_count, slots.keys + node.slot_count + 1);
  slots.heads[index] = head;
  slots.keys[index] = entry;
  node.slot_count = static_cast<std::uint16_t>(node.slot_count + 1);
  node.last_insert = static_cast<std::uint16_t>(index);
  const bool ties =
      (index > 0 && slots.heads[index - 1] == head) || (index + 1U < node.slot_count && slots.heads[index + 1] == head);
  if (ties) {
    widen_prefix(slots);
  }
}

// Moves slots [begin, end) of `from` into the empty `to`, with `from`'s prefix; they must be its last ones.
void move_tail(const Slots& from, std::uint32_t begin, std::uint32_t end, const Slots& to) noexcept {
  PENSTOCK_ASSERT_EQ(to.node.slot_count, 0U);
  PENSTOCK_ASSERT_LE(begin, end);
  PENSTOCK_ASSERT_EQ(end, from.node.slot_count);
  std::copy(from.heads + begin, from.heads + end, to.heads);
  std::copy(from.keys + begin, from.keys + end, to.keys);
  to.node.slot_count = static_cast<std::uint16_t>(end - begin);
  to.node.prefix_bytes = from.node.prefix_bytes;
  to.node.prefix = from.node.prefix;
  from.node.slot_count = static_cast<std::uint16_t>(begin);
  from.node.last_insert = kNoInsert;
  if (begin == 0) {
    from.node.prefix_bytes = 0;  // The key that comes first into an empty node need not begin as those that left.
  }
  std::fill(from.heads + begin, from.heads + end, kUnusedHead);
}

Leaf* make_leaf(Arena& arena, std::uint32_t capacity) {
  const std::size_t slot_bytes = sizeof(std::uint64_t) + sizeof(Entry*);
  std::byte* const memory = arena.allocate(sizeof(Leaf) + capacity * slot_bytes, kCacheLineBytes);
  auto* const leaf = new (memory) Leaf{};
  leaf->capacity = static_cast<std::uint16_t>(capacity);
  leaf->last_insert = kNoInsert;
  std::fill_n(leaf->heads(), capacity, kUnusedHead);
  return leaf;
}

Inner* make_inner(Arena& arena, std::uint8_t level) {
  auto* const inner = new (arena.allocate(sizeof(Inner), kCacheLineBytes)) Inner;
  inner->slot_count = 0;
  inner->capacity = kInnerCapacity;
  inner->last_insert = kNoInsert;
  inner->level = level;
  inner->prefix_bytes = 0;
  inner->heads.fill(kUnusedHead);
  return inner;
}

void insert_child(Inner& inner, std::uint32_t index, Entry* separator, Node* right) noexcept {
  Node** const children = inner.children.data();
  std::copy_backward(children + index + 1, children + inner.slot_count + 1, children + inner.slot_count + 2);
  children[index + 1] = right;
  insert_slot(slots_of(inner), index, separator);
}

}  // namespace

SplitPlan plan_split(std::uint32_t capacity, std::uint32_t insert_index, std::uint32_t last_insert) noexcept {
  const std::uint32_t half = capacity / 2;
  if (insert_index == last_insert + 1 && insert_index >= half) {
    return {.left_count = insert_index, .insert_goes_left = insert_index < capacity};
  }
  if (insert_index == last_insert && insert_index < half) {
    return {.left_count = insert_index, .insert_goes_left = true};
  }
  return {.left_count = half, .insert_goes_left = insert_index <= half};
}

Tree::Tree(Arena& arena) : root_(make_leaf(arena, kLeafCapacityMin)) {
  first_leaf_ = static_cast<Leaf*>(root_);
  last_leaf_ = first_leaf_;
}

Entry* Tree::find(Bytes key) const noexcept {
  const Node* node = root_;
  while (node->level > 0) {
    const auto& inner = static_cast<const Inner&>(*node);
    node = inner.children[child_index_for(inner, key)];
  }
  const auto& leaf = static_cast<const Leaf&>(*node);
  const Probe probe = search(leaf, key);
  return probe.equal ? leaf.entries()[probe.index] : nullptr;
}

void Tree::fetch(Bytes key) const noexcept {
  const Node* node = root_;
  while (node->level > 0) {
    const auto& inner = static_cast<const Inner&>(*node);
    node = inner.children[child_index_for(inner, key)];
  }
  // Not even its header is looked at. An insert moves heads and entries: both arrays.
  const auto* const leaf = reinterpret_cast<const char*>(node);
  constexpr std::size_t kLeafBytes = sizeof(Leaf) + (2 * kLeafCapacity * sizeof(std::uint64_t));
  for (std::size_t at = 0; at < kLeafBytes; at += kCacheLineBytes) {
    __builtin_prefetch(leaf + at, 1);
  }
}

Tree::ConstPlace Tree::lower_bound(Bytes key) const noexcept {
  const Node* node = root_;
  while (node->level > 0) {
    const auto& inner = static_cast<const Inner&>(*node);
    node = inner.children[child_index_for(inner, key)];
  }
  const auto* const leaf = static_cast<const Leaf*>(node);
  const Probe probe = search(*leaf, key);
  // Behind the leaf's last key comes the next leaf's first: no leaf but a lone root is empty (Tree-I3).
  return probe.index < leaf->slot_count ? ConstPlace{leaf, probe.index} : ConstPlace{leaf->next, 0};
}

bool Tree::is_append(Bytes key) const noexcept {
  if (last_entry_ == nullptr) {
    return true;
  }
  const std::uint64_t head = head_of(key, 0);
  return head > last_head_ || (head == last_head_ && compare_behind(key, last_entry_->key(), sizeof(head)) > 0);
}

void Tree::locate(Bytes key, Place& place) noexcept {
  place.found = nullptr;
  place.depth = 0;
  place.is_append = is_append(key);
  if (place.is_append) {
    place.leaf = last_leaf_;
    place.index = last_leaf_->slot_count;
    return;
  }
  Node* node = root_;
  while (node->level > 0) {
    auto* const inner = static_cast<Inner*>(node);
    const std::uint32_t child_index = child_index_for(*inner, key);
    PENSTOCK_ASSERT_LT(place.depth, kTreeHeightMax);
    place.nodes[place.depth] = inner;
    place.child_indexes[place.depth] = child_index;
    ++place.depth;
    node = inner->children[child_index];
  }
  place.leaf = static_cast<Leaf*>(node);
  const Probe probe = search(*place.leaf, key);
  place.index = probe.index;
  place.found = probe.equal ? place.leaf->entries()[probe.index] : nullptr;
}

void Tree::walk_right_spine(Place& place) noexcept {
  PENSTOCK_ASSERT(place.is_append);
  PENSTOCK_ASSERT_EQ(place.depth, 0U);
  Node* node = root_;
  while (node->level > 0) {
    auto* const inner = static_cast<Inner*>(node);
    PENSTOCK_ASSERT_LT(place.depth, kTreeHeightMax);
    place.nodes[place.depth] = inner;
    place.child_indexes[place.depth] = inner->slot_count;
    ++place.depth;
    node = inner->children[inner->slot_count];
  }
  PENSTOCK_ASSERT_EQ(node, place.leaf);
}

void Tree::insert(Arena& arena, Place& place, Entry* entry) {
  PENSTOCK_ASSERT(place.found == nullptr);
  if (place.is_append) {
    last_entry_ = entry;
    last_head_ = head_of(entry->key(), 0);
  }
  ++entry_count_;
  if (place.leaf->slot_count < place.leaf->capacity) {
    insert_slot(slots_of(*place.leaf), place.index, entry);
    return;
  }
  if (place.leaf->capacity < kLeafCapacity) {
    grow_root_leaf(arena, place);
    insert_slot(slots_of(*place.leaf), place.index, entry);
    return;
  }
  split_leaf(arena, place, entry);
}

void Tree::grow_root_leaf(Arena& arena, Place& place) {
  PENSTOCK_ASSERT_EQ(place.leaf, root_);  // Tree-I3
  Leaf* const grown = make_leaf(arena, std::min<std::uint32_t>(place.leaf->capacity * 4U, kLeafCapacity));
  const std::uint16_t last_insert = place.leaf->last_insert;
  move_tail(slots_of(*place.leaf), 0, place.leaf->slot_count, slots_of(*grown));
  grown->last_insert = last_insert;
  root_ = grown;
  first_leaf_ = grown;
  last_leaf_ = grown;
  place.leaf = grown;
}

void Tree::split_leaf(Arena& arena, Place& place, Entry* entry) {
  Leaf* const left = place.leaf;
  const SplitPlan plan = plan_split(left->capacity, place.index, left->last_insert);
  PENSTOCK_ASSERT_LE(plan.left_count, left->slot_count);
  Leaf* const right = make_leaf(arena, kLeafCapacity);
  if (place.is_append) {
    walk_right_spine(place);
  }
  right->prev = left;
  right->next = left->next;
  left->next = right;
  (right->next != nullptr ? right->next->prev : last_leaf_) = right;
  move_tail(slots_of(*left), plan.left_count, left->slot_count, slots_of(*right));
  if (plan.insert_goes_left) {
    insert_slot(slots_of(*left), place.index, entry);
  } else {
    insert_slot(slots_of(*right), place.index - plan.left_count, entry);
  }
  PENSTOCK_ASSERT_GT(left->slot_count, 0U);
  PENSTOCK_ASSERT_GT(right->slot_count, 0U);
  widen_prefix_if_heads_tie(slots_of(*left));
  widen_prefix_if_heads_tie(slots_of(*right));
  add_separator(arena, place, right->entries()[0], right);
}

// Carries a new right sibling up until an inner node has room; a full one is split around one separator, which goes up in turn.
void Tree::add_separator(Arena& arena, Place& place, Entry* separator, Node* right) {
  while (place.depth > 0) {
    --place.depth;
    Inner& inner = *place.nodes[place.depth];
    const std::uint32_t index = place.child_indexes[place.depth];
    if (inner.slot_count < inner.capacity) {
      insert_child(inner, index, separator, right);
      return;
    }
    // At the end (ascending keys) the left node stays all but full.
    const std::uint32_t middle = index == inner.slot_count ? inner.slot_count - 1U : inner.slot_count / 2U;
    Entry* const raised = inner.separators[middle];
    Inner* const sibling = make_inner(arena, inner.level);
    std::copy(inner.children.begin() + middle + 1, inner.children.begin() + inner.slot_count + 1, sibling->children.begin());
    move_tail(slots_of(inner), middle + 1, inner.slot_count, slots_of(*sibling));
    inner.slot_count = static_cast<std::uint16_t>(middle);
    inner.heads[middle] = kUnusedHead;
    if (index <= middle) {
      insert_child(inner, index, separator, right);
    } else {
      insert_child(*sibling, index - middle - 1, separator, right);
    }
    widen_prefix_if_heads_tie(slots_of(inner));
    widen_prefix_if_heads_tie(slots_of(*sibling));
    separator = raised;
    right = sibling;
  }
  grow_root(arena, separator, right);
}

void Tree::grow_root(Arena& arena, Entry* separator, Node* right) {
  PENSTOCK_ASSERT_LT(root_->level + 1U, kTreeHeightMax);
  Inner* const root = make_inner(arena, static_cast<std::uint8_t>(root_->level + 1));
  root->children[0] = root_;
  insert_child(*root, 0, separator, right);
  root_ = root;
}

void Tree::assert_invariants() const {
  PENSTOCK_ASSERT_EQ(assert_subtree(*root_, nullptr, nullptr), entry_count_);
  std::uint64_t chained = 0;
  const Leaf* prev = nullptr;
  for (const Leaf* leaf = first_leaf_; leaf != nullptr; leaf = leaf->next) {
    PENSTOCK_ASSERT_EQ(leaf->prev, prev);
    if (prev != nullptr) {
      PENSTOCK_ASSERT(prev->entries()[prev->slot_count - 1]->key() < leaf->entries()[0]->key());
    }
    chained += leaf->slot_count;
    prev = leaf;
  }
  PENSTOCK_ASSERT_EQ(prev, last_leaf_);
  PENSTOCK_ASSERT_EQ(chained, entry_count_);
  if (entry_count_ > 0) {
    PENSTOCK_ASSERT_EQ(last_entry_, last_leaf_->entries()[last_leaf_->slot_count - 1]);
  }
}

// Checks Tree-I1 to I3 below `node`, whose keys lie in [low, high); returns its entries.
std::uint64_t Tree::assert_subtree(const Node& node, const Entry* low, const Entry* high) const {
  const bool is_leaf = node.level == 0;
  const auto* const leaf = static_cast<const Leaf*>(&node);
  const auto* const inner = static_cast<const Inner*>(&node);
  const std::uint64_t* const heads = is_leaf ? leaf->heads() : inner->heads.data();
  Entry* const* const keys = is_leaf ? leaf->entries() : inner->separators.data();
  PENSTOCK_ASSERT(node.slot_count > 0 || &node == root_);
  PENSTOCK_ASSERT(node.capacity == (is_leaf ? kLeafCapacity : kInnerCapacity) || &node == root_);
  PENSTOCK_ASSERT_LE(node.slot_count, node.capacity);
  for (std::uint32_t i = 0; i < node.slot_count; ++i) {
    const Bytes key = keys[i]->key();
    PENSTOCK_ASSERT(key.starts_with(Bytes(node.prefix.data(), node.prefix_bytes)));
    PENSTOCK_ASSERT_EQ(heads[i], head_of(key, node.prefix_bytes));
    PENSTOCK_ASSERT(i == 0 || keys[i - 1]->key() < key);
    PENSTOCK_ASSERT(low == nullptr || low->key() <= key);
    PENSTOCK_ASSERT(high == nullptr || key < high->key());
  }
  PENSTOCK_ASSERT(
      std::all_of(heads + node.slot_count, heads + node.capacity, [](std::uint64_t head) { return head == kUnusedHead; }));
  if (is_leaf) {
    return node.slot_count;
  }
  std::uint64_t entries = 0;
  for (std::uint32_t i = 0; i <= node.slot_count; ++i) {
    const Node& child = *inner->children[i];
    PENSTOCK_ASSERT_EQ(child.level + 1, node.level);
    entries += assert_subtree(child, i == 0 ? low : keys[i - 1], i == node.slot_count ? high : keys[i]);
  }
  return entries;
}

}  // namespace penstock::memtable
