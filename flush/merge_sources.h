// What a flush feeds to btree::merge: the entries of a frozen memtable, or changed roots, each with the keys to move mixed in.
//
// Invariant: keys ascend; a move comes before the operation of the same key (btree.h asks for it).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "btree/btree.h"
#include "memtable/memtable.h"

namespace penstock::flush {

/// Keys of pages and extents that lie in zones to be emptied, sorted.
using MoveKeys = std::vector<std::string>;

/// One family's entries in a frozen memtable (none: moves alone).
class MemtableSource final : public btree::MergeSource {
 public:
  MemtableSource(const memtable::Memtable* memtable, FamilyId family, const MoveKeys* moves);

  bool valid() const override { return valid_; }
  const btree::MergeOperation& current() const override { return operation_; }
  void next() override;

 private:
  void load();

  std::optional<memtable::Memtable::Cursor> cursor_;
  const MoveKeys* moves_;
  std::size_t move_index_ = 0;
  bool at_move_ = false;
  bool valid_ = false;
  btree::MergeOperation operation_;
};

/// Encoded operations in order, with moves.
class ListSource final : public btree::MergeSource {
 public:
  struct Item {
    std::string key;
    std::string value;
    bool is_delete = false;
  };
  ListSource(std::vector<Item> items, const MoveKeys* moves);

  bool valid() const override { return valid_; }
  const btree::MergeOperation& current() const override { return operation_; }
  void next() override;

 private:
  void load();

  std::vector<Item> items_;
  std::size_t item_index_ = 0;
  const MoveKeys* moves_;
  std::size_t move_index_ = 0;
  bool at_move_ = false;
  bool valid_ = false;
  btree::MergeOperation operation_;
};

}  // namespace penstock::flush
