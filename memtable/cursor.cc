#include "base/assert.h"
#include "memtable/entry.h"
#include "memtable/memtable.h"
#include "memtable/tree.h"

namespace penstock::memtable {
namespace {}  // namespace

Memtable::Cursor Memtable::cursor(FamilyId family) const noexcept { return {this, family}; }

void Memtable::Cursor::seek_first() noexcept {
  if (attach()) {
    settle(tree_->first_leaf(), 0);
  }
}

void Memtable::Cursor::seek_last() noexcept {
  if (attach()) {
    const Leaf* const leaf = tree_->last_leaf();
    PENSTOCK_ASSERT_GT(leaf->slot_count, 0U);
    settle(leaf, leaf->slot_count - 1U);
  }
}

void Memtable::Cursor::seek(Bytes key) noexcept {
  if (attach()) {
    const Tree::ConstPlace place = tree_->lower_bound(key);
    settle(place.leaf, place.index);
  }
}

void Memtable::Cursor::seek_before(Bytes key) noexcept {
  if (!attach()) {
    return;
  }
  const Tree::ConstPlace place = tree_->lower_bound(key);
  if (place.leaf == nullptr) {
    seek_last();
  } else {
    settle(place.leaf, place.index);
    prev();
  }
}

void Memtable::Cursor::next() noexcept {
  PENSTOCK_ASSERT(valid());
  refresh();
  if (index_ + 1U < leaf_->slot_count) {
    settle(leaf_, index_ + 1U);
  } else {
    settle(leaf_->next, 0);
  }
}

void Memtable::Cursor::prev() noexcept {
  PENSTOCK_ASSERT(valid());
  refresh();
  if (index_ > 0) {
    settle(leaf_, index_ - 1);
  } else {
    const Leaf* const leaf = leaf_->prev;
    settle(leaf, leaf == nullptr ? 0 : leaf->slot_count - 1U);
  }
}

Bytes Memtable::Cursor::key() const noexcept {
  PENSTOCK_ASSERT(valid());
  return entry_->key();
}

Memtable::Version Memtable::Cursor::newest() const noexcept {
  PENSTOCK_ASSERT(valid());
  return version_of(*entry_->newest);
}

std::optional<Memtable::Version> Memtable::Cursor::version(Sequence visible) const noexcept {
  PENSTOCK_ASSERT(valid());
  const VersionRecord* const record = entry_->version_at(visible);
  if (record == nullptr) {
    return std::nullopt;
  }
  return version_of(*record);
}

bool Memtable::Cursor::attach() noexcept {
  tree_ = memtable_->find_tree(family_);
  entry_ = nullptr;
  return tree_ != nullptr;
}

void Memtable::Cursor::settle(const Leaf* leaf, std::uint32_t index) noexcept {
  leaf_ = leaf;
  index_ = index;
  seen_entry_count_ = tree_->entry_count();
  if (leaf == nullptr) {
    entry_ = nullptr;
    return;
  }
  PENSTOCK_ASSERT_LT(index, leaf->slot_count);
  entry_ = leaf->entries()[index];
}

void Memtable::Cursor::refresh() noexcept {
  if (seen_entry_count_ == tree_->entry_count()) {
    return;
  }
  const Entry* const entry = entry_;
  const Tree::ConstPlace place = tree_->lower_bound(entry->key());
  settle(place.leaf, place.index);
  PENSTOCK_ASSERT_EQ(entry_, entry);  // Entries are never removed (Tree-I4).
}

}  // namespace penstock::memtable
