#include "memtable/memtable.h"

#include <algorithm>
#include <new>

#include "base/assert.h"
#include "memtable/entry.h"
#include "memtable/tree.h"

namespace penstock::memtable {
namespace {

constexpr std::uint32_t kFamilySlotCountMin = 16;

// Fibonacci hashing: family ids are small and dense, their product with 2^64 / phi spreads over the high bits.
std::uint32_t family_slot_of(FamilyId family, std::uint32_t slot_count) noexcept {
  const std::uint64_t mixed = family * 0x9e3779b97f4a7c15ULL;
  return static_cast<std::uint32_t>(mixed >> 32U) & (slot_count - 1);
}

}  // namespace

void Memtable::apply(FamilyId family, Bytes key, std::optional<Bytes> value, bool is_reference, Sequence sequence,
                     Sequence published) {
  PENSTOCK_ASSERT_GT(sequence, last_sequence_);  // Memtable-I1
  PENSTOCK_ASSERT_LE(key.size(), kKeyBytesMax);
  const Content content{.value = value, .is_reference = is_reference};
  Tree& tree = find_or_make_tree(family);
  Tree::Place place;
  tree.locate(key, place);
  if (place.found != nullptr) {
    version_count_ -= add_version(arena_, *place.found, content, sequence, {.published = published, .batch_base = batch_base_});
  } else {
    tree.insert(arena_, place, make_entry(arena_, key, content, sequence));
    ++entry_count_;
  }
  ++version_count_;
  if (first_sequence_ == 0) {
    first_sequence_ = sequence;
  }
  last_sequence_ = sequence;
}

void Memtable::fetch(FamilyId family, Bytes key) const noexcept {
  const Tree* const tree = find_tree(family);
  if (tree != nullptr) {
    tree->fetch(key);
  }
}

std::optional<Memtable::Version> Memtable::find(FamilyId family, Bytes key, Sequence visible) const noexcept {
  const Tree* const tree = find_tree(family);
  const Entry* const entry = tree == nullptr ? nullptr : tree->find(key);
  const VersionRecord* const version = entry == nullptr ? nullptr : entry->version_at(visible);
  if (version == nullptr) {
    return std::nullopt;
  }
  return version_of(*version);
}

Memtable::Version Memtable::version_of(const VersionRecord& record) noexcept {
  return {.sequence = record.sequence,
          .is_delete = record.is_delete(),
          .is_reference = record.is_reference(),
          .value = record.value()};
}

std::vector<FamilyId> Memtable::families() const {
  std::vector<FamilyId> ids;
  ids.reserve(family_count_);
  for (std::uint32_t i = 0; i < family_slot_count_; ++i) {
    if (family_slots_[i].tree != nullptr) {
      ids.push_back(family_slots_[i].family);
    }
  }
  PENSTOCK_ASSERT_EQ(ids.size(), family_count_);
  std::ranges::sort(ids);
  return ids;
}

std::uint64_t Memtable::family_entry_count(FamilyId family) const noexcept {
  const Tree* const tree = find_tree(family);
  return tree == nullptr ? 0 : tree->entry_count();
}

void Memtable::assert_invariants() const {
  std::uint64_t entries = 0;
  std::uint64_t versions = 0;
  for (std::uint32_t i = 0; i < family_slot_count_; ++i) {
    const Tree* const tree = family_slots_[i].tree;
    if (tree == nullptr) {
      continue;
    }
    PENSTOCK_ASSERT_EQ(find_tree(family_slots_[i].family), tree);
    tree->assert_invariants();
    PENSTOCK_ASSERT_GT(tree->entry_count(), 0U);
    entries += tree->entry_count();
    for (const Leaf* leaf = tree->first_leaf(); leaf != nullptr; leaf = leaf->next) {
      for (std::uint32_t slot = 0; slot < leaf->slot_count; ++slot) {
        const Entry& entry = *leaf->entries()[slot];
        std::uint32_t linked = 0;
        for (const VersionRecord* version = entry.newest; version != nullptr; version = version->older) {
          PENSTOCK_ASSERT(version->older == nullptr || version->older->sequence < version->sequence);
          PENSTOCK_ASSERT_LE(version->sequence, last_sequence_);
          ++linked;
        }
        PENSTOCK_ASSERT_EQ(linked, entry.version_count);  // Entry-I1
        versions += linked;
      }
    }
  }
  PENSTOCK_ASSERT_EQ(entries, entry_count_);
  PENSTOCK_ASSERT_EQ(versions, version_count_);
  PENSTOCK_ASSERT_LE(used_bytes(), memory_bytes());
}

Tree* Memtable::find_tree(FamilyId family) const noexcept {
  if (last_tree_ != nullptr && last_family_ == family) {
    return last_tree_;
  }
  if (family_count_ == 0) {
    return nullptr;
  }
  std::uint32_t slot = family_slot_of(family, family_slot_count_);
  while (family_slots_[slot].tree != nullptr && family_slots_[slot].family != family) {
    slot = (slot + 1) & (family_slot_count_ - 1);
  }
  return family_slots_[slot].tree;
}

Tree& Memtable::find_or_make_tree(FamilyId family) {
  Tree* tree = find_tree(family);
  if (tree == nullptr) {
    if ((family_count_ + 1) * 4 > family_slot_count_ * 3) {
      grow_family_slots();
    }
    tree = new (arena_.allocate(sizeof(Tree), alignof(Tree))) Tree(arena_);
    place_family(family, tree);
    ++family_count_;
  }
  last_family_ = family;
  last_tree_ = tree;
  return *tree;
}

void Memtable::grow_family_slots() {
  FamilySlot* const old_slots = family_slots_;
  const std::uint32_t old_slot_count = family_slot_count_;
  family_slot_count_ = std::max(kFamilySlotCountMin, old_slot_count * 2);
  family_slots_ = reinterpret_cast<FamilySlot*>(arena_.allocate(sizeof(FamilySlot) * family_slot_count_, alignof(FamilySlot)));
  std::uninitialized_fill_n(family_slots_, family_slot_count_, FamilySlot{.family = 0, .tree = nullptr});
  for (std::uint32_t i = 0; i < old_slot_count; ++i) {
    if (old_slots[i].tree != nullptr) {
      place_family(old_slots[i].family, old_slots[i].tree);
    }
  }
}

void Memtable::place_family(FamilyId family, Tree* tree) noexcept {
  std::uint32_t slot = family_slot_of(family, family_slot_count_);
  while (family_slots_[slot].tree != nullptr) {
    slot = (slot + 1) & (family_slot_count_ - 1);
  }
  family_slots_[slot] = {.family = family, .tree = tree};
}

}  // namespace penstock::memtable
