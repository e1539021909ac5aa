// A walk over the rows of one family on one shard, in key order: memtables and tree merged, deletes left out.
//
// Invariants:
//   RowWalk-I1 All rows are as of the position that was published when the walk began: it keeps that position's memtables and
//   root
//              until it ends, whatever is committed, flushed or dropped meanwhile.
//   RowWalk-I2 A step that answers false has not reached a row; finish() goes on from there.
// Thread: the shard's reactor.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "btree/btree.h"
#include "engine/shard_engine.h"
#include "memtable/memtable.h"
#include "penstock/status.h"
#include "penstock/task.h"

namespace penstock::detail {

class RowWalk {
 public:
  RowWalk(ShardEngine& shard, FamilyId family);
  ~RowWalk();
  RowWalk(const RowWalk&) = delete;
  RowWalk& operator=(const RowWalk&) = delete;

  /// To the first row with a key at or after `key`. False: something has to be read; next() does that.
  bool try_seek(Bytes key);
  Task<Status> seek(Bytes key);
  /// valid() beforehand. False: next() goes on.
  bool try_next();
  Task<Status> next();

  bool valid() const noexcept { return row_.is_valid; }
  Bytes key() const noexcept { return row_.key; }      ///< Good until the walk moves.
  Bytes value() const noexcept { return row_.value; }  ///< The same.
  const RowView& row() const noexcept { return row_; }

 private:
  enum class At : std::uint8_t { kNowhere, kMemtables, kTree };
  enum class Missing : std::uint8_t { kNothing, kSeek, kPage, kExtent, kReference };

  void leave_row() noexcept {
    at_ = At::kNowhere;
    row_.is_valid = false;
  }
  void show_row(At at, Bytes key, Bytes value) noexcept {
    at_ = at;
    row_ = {.is_valid = true, .key = key, .value = value};
  }
  bool settle();
  bool settle_on_tree();
  void step_memtables();
  void find_nearest() noexcept;
  Task<Status> finish();

  ShardEngine& shard_;
  const FamilyId family_;
  const Sequence visible_;
  const std::multiset<Sequence>::iterator reader_;
  const std::vector<std::shared_ptr<const ShardEngine::Generation>> generations_;  // That hold rows of the family.
  const btree::PageStore::ReadPin pin_;
  btree::FamilyCursor tree_;
  std::vector<memtable::Memtable::Cursor> memtables_;  // By generation.

  const memtable::Memtable::Cursor* nearest_ = nullptr;  // Of those with the smallest key, the newest; null: all at their ends.
  Bytes nearest_key_;                                    // Memtable keys never move.
  At at_ = At::kNowhere;
  Missing missing_ = Missing::kNothing;
  RowView row_;
  std::string sought_;
  Bytes reference_;  // In a memtable.
  std::string extent_value_;
};

}  // namespace penstock::detail
