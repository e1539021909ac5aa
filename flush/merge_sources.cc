#include "flush/merge_sources.h"

namespace penstock::flush {

namespace {

using Kind = btree::MergeOperation::Kind;

/// The move to do before an operation on `key` (or before the end, without one), if any.
bool move_is_next(const MoveKeys* moves, std::size_t move_index, bool has_operation, Bytes key) {
  if (moves == nullptr || move_index == moves->size()) {
    return false;
  }
  return !has_operation || Bytes((*moves)[move_index]) <= key;
}

}  // namespace

MemtableSource::MemtableSource(const memtable::Memtable* memtable, FamilyId family, const MoveKeys* moves) : moves_(moves) {
  if (memtable != nullptr) {
    cursor_.emplace(memtable->cursor(family));
    cursor_->seek_first();
  }
  load();
}

void MemtableSource::load() {
  const bool has_entry = cursor_.has_value() && cursor_->valid();
  at_move_ = move_is_next(moves_, move_index_, has_entry, has_entry ? cursor_->key() : Bytes{});
  valid_ = at_move_ || has_entry;
  if (at_move_) {
    operation_ = {.kind = Kind::kMove, .key = (*moves_)[move_index_], .value = {}};
  } else if (has_entry) {
    const memtable::Memtable::Version version = cursor_->newest();
    operation_ = {.kind = version.is_delete ? Kind::kDelete : Kind::kPut, .key = cursor_->key(), .value = version.value};
  }
}

void MemtableSource::next() {
  PENSTOCK_ASSERT(valid_);
  if (at_move_) {
    ++move_index_;
  } else {
    cursor_->next();
  }
  load();
}

ListSource::ListSource(std::vector<Item> items, const MoveKeys* moves) : items_(std::move(items)), moves_(moves) { load(); }

void ListSource::load() {
  const bool has_item = item_index_ < items_.size();
  at_move_ = move_is_next(moves_, move_index_, has_item, has_item ? Bytes(items_[item_index_].key) : Bytes{});
  valid_ = at_move_ || has_item;
  if (at_move_) {
    operation_ = {.kind = Kind::kMove, .key = (*moves_)[move_index_], .value = {}};
  } else if (has_item) {
    const Item& item = items_[item_index_];
    operation_ = {.kind = item.is_delete ? Kind::kDelete : Kind::kPut, .key = item.key, .value = item.value};
  }
}

void ListSource::next() {
  PENSTOCK_ASSERT(valid_);
  if (at_move_) {
    ++move_index_;
  } else {
    ++item_index_;
  }
  load();
}

}  // namespace penstock::flush
