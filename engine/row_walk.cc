#include "engine/row_walk.h"

#include <utility>

#include "base/assert.h"

namespace penstock::detail {

RowWalk::RowWalk(ShardEngine& shard, FamilyId family)
    : shard_(shard),
      family_(family),
      visible_(shard.published_),
      reader_(shard.readers_.insert(visible_)),
      generations_(shard.generations_with(family)),
      pin_(shard.store_->pin_current()),
      tree_(*shard.store_, shard.flusher_->trees_of(family), family) {
  memtables_.reserve(generations_.size());
  for (const std::shared_ptr<const ShardEngine::Generation>& generation : generations_) {
    memtables_.push_back(generation->memtable.cursor(family));
  }
}

RowWalk::~RowWalk() { shard_.readers_.erase(reader_); }

bool RowWalk::try_seek(Bytes key) {
  leave_row();
  for (memtable::Memtable::Cursor& cursor : memtables_) {
    cursor.seek(key);
  }
  find_nearest();
  missing_ = Missing::kNothing;
  if (!tree_.try_seek(key)) {
    missing_ = Missing::kSeek;
    sought_.assign(key);
    return false;
  }
  return settle();
}

Task<Status> RowWalk::seek(Bytes key) {
  if (try_seek(key)) {
    co_return Status::ok();
  }
  co_return co_await finish();
}

bool RowWalk::try_next() {
  PENSTOCK_ASSERT(valid());
  if (at_ == At::kTree && nearest_ == nullptr && tree_.try_step()) {  // Nothing but the tree has rows here.
    if (!tree_.has_extent()) {
      show_row(At::kTree, tree_.key(), tree_.value());
      return true;
    }
    leave_row();
    return settle();
  }
  const bool tree_moves = at_ == At::kTree || (tree_.valid() && tree_.key() == row_.key);
  if (at_ == At::kMemtables) {
    step_memtables();
  }
  leave_row();
  if (tree_moves && !tree_.try_next()) {
    missing_ = Missing::kPage;
    return false;
  }
  return settle();
}

Task<Status> RowWalk::next() {
  const bool is_under_way = missing_ != Missing::kNothing;
  if (!is_under_way && try_next()) {
    co_return Status::ok();
  }
  co_return co_await finish();
}

/// Reads what is missing, until there is a row or the end.
Task<Status> RowWalk::finish() {
  while (true) {
    const Missing missing = std::exchange(missing_, Missing::kNothing);
    Status status;
    if (missing == Missing::kExtent || missing == Missing::kReference) {
      const bool is_in_tree = missing == Missing::kExtent;
      const btree::ExtentPointer extent = is_in_tree ? *tree_.extent() : *btree::extent_from_bytes(reference_);
      Result<std::string> value = co_await shard_.store_->read_extent(extent, family_);
      if (value.has_value()) {
        extent_value_ = std::move(*value);
        show_row(is_in_tree ? At::kTree : At::kMemtables, is_in_tree ? tree_.key() : nearest_key_, extent_value_);
        co_return Status::ok();
      }
      status = value.error();
    } else if (missing == Missing::kSeek) {
      status = co_await tree_.seek(sought_);
    } else if (missing == Missing::kPage) {
      status = co_await tree_.next();
    }
    if (!status.is_ok()) {
      co_return status.with_shard(shard_.id());
    }
    if (settle()) {
      co_return Status::ok();
    }
  }
}

/// To the next row from where the sources stand: that is where they are, unless it is deleted.
bool RowWalk::settle() {
  while (nearest_ != nullptr) {
    const int order = tree_.valid() ? nearest_key_.compare(tree_.key()) : -1;
    if (order > 0) {
      return settle_on_tree();
    }
    const std::optional<memtable::Memtable::Version> version = nearest_->version(visible_);
    PENSTOCK_ASSERT(version.has_value());  // find_nearest() skips what is invisible.
    if (version->is_reference) {
      missing_ = Missing::kReference;
      reference_ = version->value;
      return false;
    }
    if (!version->is_delete) {
      show_row(At::kMemtables, nearest_key_, version->value);
      return true;
    }
    step_memtables();
    if (order == 0 && !tree_.try_next()) {
      missing_ = Missing::kPage;
      return false;
    }
  }
  return !tree_.valid() || settle_on_tree();
}

bool RowWalk::settle_on_tree() {
  if (tree_.has_extent()) {
    missing_ = Missing::kExtent;
    return false;
  }
  show_row(At::kTree, tree_.key(), tree_.value());
  return true;
}

/// Past the nearest key in all of them.
void RowWalk::step_memtables() {
  const Bytes passed = nearest_key_;
  for (memtable::Memtable::Cursor& cursor : memtables_) {
    if (cursor.valid() && cursor.key() == passed) {
      cursor.next();
    }
  }
  find_nearest();
}

void RowWalk::find_nearest() noexcept {
  nearest_ = nullptr;
  for (memtable::Memtable::Cursor& cursor : memtables_) {
    while (cursor.valid() && !cursor.version(visible_).has_value()) {
      cursor.next();
    }
    if (cursor.valid() && (nearest_ == nullptr || cursor.key() < nearest_key_)) {
      nearest_ = &cursor;
      nearest_key_ = cursor.key();
    }
  }
}

}  // namespace penstock::detail
