// A family's trees as one: look-ups from new to old, and a cursor over all of them.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "btree/btree.h"

namespace penstock::btree {

namespace {

/// What filters are asked with; of no use without runs.
std::uint64_t hash_for(const FamilyTrees& trees, Bytes key) noexcept { return trees.runs.empty() ? 0 : KeyFilter::hash(key); }

}  // namespace

CachedFind find_cached(PageStore& store, const FamilyTrees& trees, Bytes key) {
  const std::uint64_t hash = hash_for(trees, key);
  for (const Run& run : trees.runs) {
    if (!run.may_hold(hash)) continue;
    CachedFind in_run = find_cached(store, run.root, key);
    if (!in_run.complete) return in_run;
    if (!in_run.found.has_value()) continue;
    if (in_run.found->is_delete) in_run.found.reset();
    return in_run;
  }
  return find_cached(store, trees.base, key);
}

BorrowedFind find_borrowed(PageStore& store, const FamilyTrees& trees, Bytes key) {
  const std::uint64_t hash = hash_for(trees, key);
  for (const Run& run : trees.runs) {
    if (!run.may_hold(hash)) continue;
    const BorrowedFind in_run = find_borrowed(store, run.root, key);
    if (!in_run.complete || in_run.is_delete || in_run.value.has_value()) return in_run;
  }
  return find_borrowed(store, trees.base, key);
}

Task<Result<std::optional<Found>>> find(PageStore& store, FamilyTrees trees, FamilyId family, Bytes key) {
  const std::uint64_t hash = hash_for(trees, key);
  for (const Run& run : trees.runs) {
    if (!run.may_hold(hash)) continue;
    Result<std::optional<Found>> in_run = co_await find(store, run.root, family, key);
    if (!in_run.has_value()) co_return in_run;
    if (!in_run->has_value()) continue;
    if ((*in_run)->is_delete) in_run->reset();
    co_return in_run;
  }
  co_return co_await find(store, trees.base, family, key);
}

FamilyCursor::FamilyCursor(PageStore& store, const FamilyTrees& trees, FamilyId family) {
  trees_.reserve(trees.runs.size() + 1);
  for (const Run& run : trees.runs) trees_.emplace_back(store, run.root, family);
  trees_.emplace_back(store, trees.base, family);
}

void FamilyCursor::begin_seek() noexcept {
  nearest_ = nullptr;
  missing_ = nullptr;
  for (OneTree& tree : trees_) tree.must_move = false;
}

bool FamilyCursor::try_seek(Bytes key) {
  begin_seek();
  for (OneTree& tree : trees_) {
    if (!tree.try_seek(key)) return false;
  }
  return settle();
}

Task<Status> FamilyCursor::seek(Bytes key) {
  begin_seek();
  const std::string sought(key);  // Of this cursor, perhaps.
  for (OneTree& tree : trees_) PENSTOCK_CO_TRY(co_await tree.seek(sought));
  if (!settle()) PENSTOCK_CO_TRY(co_await finish());
  co_return Status::ok();
}

/// All that stand at the key of the row move on.
bool FamilyCursor::try_next() {
  PENSTOCK_ASSERT(valid());
  if (trees_.size() == 1) {  // No runs, so no marks.
    OneTree& base = trees_.front();
    const bool has_moved = base.try_next();
    nearest_ = base.valid() ? &base : nullptr;
    if (!has_moved) missing_ = &base;
    return has_moved;
  }
  for (OneTree& tree : trees_) {
    tree.must_move = &tree == nearest_ || (&tree > nearest_ && tree.valid() && tree.key() == nearest_->key());
  }
  return settle();
}

Task<Status> FamilyCursor::next() {
  if (missing_ == nullptr && try_next()) co_return Status::ok();
  co_return co_await finish();
}

Task<Status> FamilyCursor::finish() {
  while (missing_ != nullptr) {
    OneTree& tree = *std::exchange(missing_, nullptr);
    PENSTOCK_CO_TRY(co_await tree.next());
    tree.must_move = false;
    settle();
  }
  co_return Status::ok();
}

/// To the next row that is not deleted. False: `missing_` has to read.
bool FamilyCursor::settle() {
  while (true) {
    nearest_ = nullptr;
    for (OneTree& tree : trees_) {
      if (!tree.must_move) continue;
      if (!tree.try_next()) {
        missing_ = &tree;
        return false;
      }
      tree.must_move = false;
    }
    find_nearest();
    if (nearest_ == nullptr || !nearest_->is_delete()) return true;
    for (OneTree& tree : trees_) tree.must_move = tree.valid() && tree.key() == nearest_->key();
  }
}

void FamilyCursor::find_nearest() noexcept {
  for (OneTree& tree : trees_) {
    if (tree.valid() && (nearest_ == nullptr || tree.key() < nearest_->key())) nearest_ = &tree;
  }
}

}  // namespace penstock::btree
