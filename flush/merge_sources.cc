#include "flush/merge_sources.h"

#include <algorithm>

#include "base/assert.h"

namespace penstock::flush {

namespace {

using Kind = btree::MergeOperation::Kind;

/// A key's newest version; `erase`: what a delete becomes.
btree::MergeOperation operation_of(const memtable::Memtable::Cursor& cursor, Kind erase) {
  const memtable::Memtable::Version version = cursor.newest();
  btree::MergeOperation operation{.kind = version.is_delete ? erase : Kind::kPut, .key = cursor.key(), .value = version.value};
  if (version.is_reference) {
    const Result<btree::ExtentPointer> extent = btree::extent_from_bytes(version.value);
    PENSTOCK_ASSERT(extent.has_value());  // It was looked at when it was applied.
    operation.value = {};
    operation.extent = *extent;
    operation.is_early = true;
  }
  return operation;
}

}  // namespace

WithMoves::WithMoves(btree::MergeSource& inner, const MoveKeys* moves, const KeyRange* left_out)
    : inner_(inner), moves_(moves), left_out_(left_out) {
  move_.kind = Kind::kMove;
  choose();
}

void WithMoves::choose() {
  at_move_ = false;
  if (moves_ == nullptr) {
    return;
  }
  while (move_index_ < moves_->size() && left_out_ != nullptr && left_out_->contains((*moves_)[move_index_])) {
    ++move_index_;
  }
  if (move_index_ == moves_->size()) {
    return;
  }
  move_.key = (*moves_)[move_index_];
  at_move_ = !inner_.valid() || move_.key <= inner_.current().key;
}

bool WithMoves::next() {
  if (at_move_) {
    ++move_index_;
  } else if (!inner_.next()) {
    return false;
  }
  choose();
  return true;
}

Task<Status> WithMoves::load() {
  PENSTOCK_CO_TRY(co_await inner_.load());
  choose();
  co_return Status::ok();
}

MemtableSource::MemtableSource(const memtable::Memtable& memtable, FamilyId family) : cursor_(memtable.cursor(family)) {
  cursor_.seek_first();
  load_entry();
}

void MemtableSource::load_entry() {
  if (cursor_.valid()) {
    operation_ = operation_of(cursor_, Kind::kDelete);
  }
}

bool MemtableSource::next() {
  cursor_.next();
  load_entry();
  return true;
}

RunSource::RunSource(const memtable::Memtable* memtable, FamilyId family, const KeyRange* slice, btree::KeyFilter* filter)
    : slice_(slice), filter_(filter), before_slice_(slice != nullptr) {
  if (memtable != nullptr) {
    cursor_.emplace(memtable->cursor(family));
    cursor_->seek_first();
  }
  load_entry();
}

void RunSource::load_entry() {
  const bool has_entry = cursor_.has_value() && cursor_->valid();
  at_slice_ = before_slice_ && (!has_entry || cursor_->key() >= Bytes(slice_->begin));
  if (at_slice_) {
    operation_ = {.kind = Kind::kTake,
                  .key = slice_->begin,
                  .value = {},
                  .extent = std::nullopt,
                  .end = slice_->end.has_value() ? &*slice_->end : nullptr};
  } else if (has_entry) {
    operation_ = operation_of(*cursor_, Kind::kMark);
    if (filter_ != nullptr) {
      filter_->add(btree::KeyFilter::hash(operation_.key));
    }
  }
}

bool RunSource::next() {
  PENSTOCK_ASSERT(valid());
  if (!at_slice_) {
    cursor_->next();
  } else {
    before_slice_ = false;
    if (!slice_->end.has_value()) {
      cursor_.reset();
    } else if (cursor_.has_value()) {
      cursor_->seek(*slice_->end);
    }
  }
  load_entry();
  return true;
}

SliceSource::SliceSource(btree::PageStore& store, const std::vector<btree::Run>& runs, const memtable::Memtable* memtable,
                         FamilyId family, std::string begin, std::uint64_t run_entries)
    : store_(store), moving_(runs.size()), run_entries_(run_entries) {
  range_.begin = std::move(begin);
  runs_.reserve(runs.size());
  for (const btree::Run& run : runs) {
    runs_.emplace_back(store, run.root, family, btree::Cursor::Use::kMerge);
  }
  if (memtable != nullptr) {
    memtable_.emplace(memtable->cursor(family));
  }
}

Task<Status> SliceSource::start() {
  for (btree::Cursor& run : runs_) {
    PENSTOCK_CO_TRY(co_await run.seek(range_.begin));
  }
  if (memtable_.has_value()) {
    memtable_->seek(range_.begin);
  }
  choose();
  co_return Status::ok();
}

/// Where the run stands whose key is the smallest; null: all at their ends.
const btree::Cursor* SliceSource::first_run() const noexcept {
  const btree::Cursor* first = nullptr;
  for (const btree::Cursor& run : runs_) {
    if (run.valid() && (first == nullptr || run.key() < first->key())) {
      first = &run;  // Of equal ones the newest.
    }
  }
  return first;
}

/// The operation of the smallest key, if it is in the slice.
void SliceSource::choose() {
  const btree::Cursor* run = runs_done_ ? nullptr : first_run();
  const bool has_enough = used_entries_ >= run_entries_ || (stats_ != nullptr && stats_->leaves_read >= leaves_end_);
  if (!runs_done_ && (run == nullptr || has_enough)) {
    runs_done_ = true;
    if (run != nullptr) {
      range_.end = std::string(run->key());
      run = nullptr;
    }
  }
  const bool is_in_memtable = memtable_.has_value() && memtable_->valid() && (!runs_done_ || range_.contains(memtable_->key()));
  valid_ = run != nullptr || is_in_memtable;
  if (!valid_) {
    return;
  }
  const bool memtable_wins = is_in_memtable && (run == nullptr || memtable_->key() <= run->key());
  operation_ = {};
  if (memtable_wins) {
    operation_ = operation_of(*memtable_, Kind::kDelete);
  } else {
    operation_ = {.kind = run->is_delete() ? Kind::kDelete : Kind::kPut, .key = run->key(), .value = run->value()};
    operation_.extent = run->extent();
  }
  // All that stand at this key have had their say.
  for (std::size_t index = 0; index < runs_.size(); ++index) {
    const btree::Cursor& other = runs_[index];
    const bool is_here = !runs_done_ && other.valid() && other.key() == operation_.key;
    moving_[index] = is_here ? 1 : 0;
    used_entries_ += is_here ? 1U : 0U;
    const bool is_older = is_here && (memtable_wins || &other != run);
    if (is_older && other.extent().has_value()) {
      store_.free_extent(*other.extent());
    }
  }
}

bool SliceSource::next() {
  PENSTOCK_ASSERT(valid_);
  if (memtable_.has_value() && memtable_->valid() && memtable_->key() == operation_.key) {
    memtable_->next();
  }
  return settle();
}

/// The cursors that have to move do so. False: `missing_` has to read.
bool SliceSource::settle() {
  for (std::size_t index = 0; index < runs_.size(); ++index) {
    if (moving_[index] == 0) {
      continue;
    }
    if (!runs_[index].try_next()) {
      missing_ = &runs_[index];
      return false;
    }
    moving_[index] = 0;
  }
  choose();
  return true;
}

Task<Status> SliceSource::load() {
  while (missing_ != nullptr) {
    btree::Cursor& run = *std::exchange(missing_, nullptr);
    PENSTOCK_CO_TRY(co_await run.next());
    moving_[static_cast<std::size_t>(&run - runs_.data())] = 0;
    settle();
  }
  co_return Status::ok();
}

void JoinSource::load_entry() {
  if (!runs_.valid()) {
    return;
  }
  operation_ = runs_.current();
  if (operation_.kind == Kind::kDelete) {
    operation_.kind = Kind::kMark;
  }
  filter_.add(btree::KeyFilter::hash(operation_.key));
}

bool JoinSource::next() {
  const bool is_there = runs_.next();
  if (is_there) {
    load_entry();
  }
  return is_there;
}

Task<Status> JoinSource::load() {
  PENSTOCK_CO_TRY(co_await runs_.load());
  load_entry();
  co_return Status::ok();
}

ListSource::ListSource(std::vector<Item> items) : items_(std::move(items)) { load_item(); }

void ListSource::load_item() {
  if (valid()) {
    const Item& item = items_[index_];
    operation_ = {.kind = item.is_delete ? Kind::kDelete : Kind::kPut, .key = item.key, .value = item.value};
  }
}

bool ListSource::next() {
  ++index_;
  load_item();
  return true;
}

}  // namespace penstock::flush
