// What a flush feeds to btree::merge: entries of a frozen memtable, changed roots, a slice of a family's runs, with moves
// between.
//
// Invariant: keys ascend; a move comes before the operation of the same key (btree.h asks for it).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "btree/btree.h"
#include "memtable/memtable.h"

namespace penstock::flush {

/// From `begin` to before `end`; without an end to the last key.
struct KeyRange {
  std::string begin;
  std::optional<std::string> end;

  bool contains(Bytes key) const noexcept { return key >= Bytes(begin) && (!end.has_value() || key < Bytes(*end)); }
  bool is_everything() const noexcept { return begin.empty() && !end.has_value(); }
};

/// Keys of pages and extents that lie in zones to be emptied, sorted.
using MoveKeys = std::vector<std::string>;

/// Another source with moves between its operations, but for those within `left_out`.
class WithMoves final : public btree::MergeSource {
 public:
  WithMoves(btree::MergeSource& inner, const MoveKeys* moves, const KeyRange* left_out = nullptr);

  bool valid() const override { return at_move_ || inner_.valid(); }
  const btree::MergeOperation& current() const override { return at_move_ ? move_ : inner_.current(); }
  bool next() override;
  Task<Status> load() override;

 private:
  void choose();

  btree::MergeSource& inner_;
  const MoveKeys* moves_;
  const KeyRange* left_out_;
  std::size_t move_index_ = 0;
  bool at_move_ = false;
  btree::MergeOperation move_;
};

/// No operation: moves alone.
class NoSource final : public btree::MergeSource {
 public:
  bool valid() const override { return false; }
  const btree::MergeOperation& current() const override { return none_; }
  bool next() override { return true; }

 private:
  btree::MergeOperation none_;
};

/// One family's entries in a frozen memtable.
class MemtableSource final : public btree::MergeSource {
 public:
  MemtableSource(const memtable::Memtable& memtable, FamilyId family);

  bool valid() const override { return cursor_.valid(); }
  const btree::MergeOperation& current() const override { return operation_; }
  bool next() override;

 private:
  void load_entry();

  memtable::Memtable::Cursor cursor_;
  btree::MergeOperation operation_;
};

/// For a run: one family's entries in a frozen memtable (null: none), deletes as marks, but for those within `slice`, if there
/// is one: these the base has got already, and what the run itself holds there is taken out. `filter`, if given, gets the keys.
class RunSource final : public btree::MergeSource {
 public:
  RunSource(const memtable::Memtable* memtable, FamilyId family, const KeyRange* slice, btree::KeyFilter* filter);

  bool valid() const override { return at_slice_ || (cursor_.has_value() && cursor_->valid()); }
  const btree::MergeOperation& current() const override { return operation_; }
  bool next() override;

 private:
  void load_entry();

  std::optional<memtable::Memtable::Cursor> cursor_;
  const KeyRange* slice_;
  btree::KeyFilter* filter_;
  bool before_slice_;  // There is a slice, and it has not been come to.
  bool at_slice_ = false;
  btree::MergeOperation operation_;
};

/// For the base: what a memtable (null: none) and the runs hold of a slice of the key space, the newest of each key. The slice
/// starts at `begin` and ends when it has used up `run_entries` of the runs' entries, or with the last key. Extents of older
/// values are freed; those of the newest go over to the base.
class SliceSource final : public btree::MergeSource {
 public:
  SliceSource(btree::PageStore& store, const std::vector<btree::Run>& runs, const memtable::Memtable* memtable, FamilyId family,
              std::string begin, std::uint64_t run_entries);
  /// It also ends where the merge that takes it has read so many leaves: `stats` are that merge's.
  void bound_leaves(const btree::MergeStats& stats, std::uint64_t leaves) noexcept {
    stats_ = &stats;
    leaves_end_ = stats.leaves_read + leaves;
  }

  Task<Status> start();
  bool valid() const override { return valid_; }
  const btree::MergeOperation& current() const override { return operation_; }
  bool next() override;
  Task<Status> load() override;

  /// Once it is no longer valid.
  const KeyRange& range() const noexcept { return range_; }
  std::uint64_t used_entries() const noexcept { return used_entries_; }

 private:
  bool settle();
  void choose();
  const btree::Cursor* first_run() const noexcept;

  btree::PageStore& store_;
  std::vector<btree::Cursor> runs_;   // From new to old.
  std::vector<std::uint8_t> moving_;  // By run: it has to move on.
  std::optional<memtable::Memtable::Cursor> memtable_;
  btree::Cursor* missing_ = nullptr;  // Its next page has to be read.
  KeyRange range_;
  std::uint64_t run_entries_;
  const btree::MergeStats* stats_ = nullptr;
  std::uint64_t leaves_end_ = 0;
  std::uint64_t used_entries_ = 0;
  bool runs_done_ = false;  // The slice has its end.
  bool valid_ = false;
  btree::MergeOperation operation_;
};

/// For one run made of several: what a slice of everything yields, deletes as marks. `filter` gets the keys.
class JoinSource final : public btree::MergeSource {
 public:
  JoinSource(SliceSource& runs, btree::KeyFilter& filter) noexcept : runs_(runs), filter_(filter) { load_entry(); }

  bool valid() const override { return runs_.valid(); }
  const btree::MergeOperation& current() const override { return operation_; }
  bool next() override;
  Task<Status> load() override;

 private:
  void load_entry();

  SliceSource& runs_;
  btree::KeyFilter& filter_;
  btree::MergeOperation operation_;
};

/// Encoded operations in order.
class ListSource final : public btree::MergeSource {
 public:
  struct Item {
    std::string key;
    std::string value;
    bool is_delete = false;
  };
  explicit ListSource(std::vector<Item> items);

  bool valid() const override { return index_ < items_.size(); }
  const btree::MergeOperation& current() const override { return operation_; }
  bool next() override;

 private:
  void load_item();

  std::vector<Item> items_;
  std::size_t index_ = 0;
  btree::MergeOperation operation_;
};

}  // namespace penstock::flush
