// Copy-on-write B+trees in a shard's page store: look-up, ordered reading, merging sorted operations, checking.
//
// The front door of btree/. btree/ knows pages and keys, never the log. A tree is named by its root pointer; a null pointer is
// an empty tree. Leaves hold one version of a key and no sequence numbers. Invariants:
//   Tree-I1 Keys of a node lie between its separators in the parent: separator[i] <= keys of child i < separator[i + 1].
//   Tree-I2 All leaves of a tree have level 0; a child's level is its parent's less one; depth <= 16.
//   Tree-I3 A pointer's entry count is the number of pairs below it, its flags the union of those below.
//   Tree-I4 A merge writes new pages and never changes one that a published root reaches.
//   Tree-I5 What a family holds is its base covered by its runs, newer over older. A run may mark a key as deleted, the base
//   not.
// Thread: the shard's reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "btree/key_filter.h"
#include "btree/page_store.h"
#include "btree/pointer.h"
#include "penstock/status.h"
#include "penstock/task.h"

namespace penstock::btree {

/// The trees of one family on one shard (Tree-I5). Runs hold what lay too far apart to be worth a new leaf of the base each:
/// they wait there until a slice of the key space has collected enough.
struct Run {
  ChildPointer root;                  ///< Not null.
  std::shared_ptr<KeyFilter> filter;  ///< Null: any key may be there.

  bool may_hold(std::uint64_t hash) const noexcept { return filter == nullptr || filter->may_hold(hash); }
  friend bool operator==(const Run& left, const Run& right) noexcept { return left.root == right.root; }
};
struct FamilyTrees {
  std::vector<Run> runs;  ///< The newest first.
  ChildPointer base;      ///< Null: empty.

  bool is_empty() const noexcept { return base.is_null() && runs.empty(); }
  friend bool operator==(const FamilyTrees&, const FamilyTrees&) = default;
};

/// A value found in a leaf: its bytes (valid while `page` lives), or the extent that holds it.
struct Found {
  PageRef page;
  Bytes value;
  std::optional<ExtentPointer> extent;
  bool is_delete = false;  ///< In a run alone; look-ups in a whole family never answer it.
};

/// Looks `key` up with cached pages only. `complete` false: a page is missing, use find().
struct CachedFind {
  bool complete = false;
  std::optional<Found> found;
};
CachedFind find_cached(PageStore& store, const ChildPointer& root, Bytes key);
CachedFind find_cached(PageStore& store, const FamilyTrees& trees, Bytes key);

/// The same for borrowers: see PageStore::look_at_leaf(). `complete` false: a page or an extent would have to be read.
struct BorrowedFind {
  bool complete = false;
  bool is_delete = false;
  std::optional<Bytes> value;
};
BorrowedFind find_borrowed(PageStore& store, const ChildPointer& root, Bytes key);
BorrowedFind find_borrowed(PageStore& store, const FamilyTrees& trees, Bytes key);

/// Empty if the key is not there. The caller holds a ReadPin. Errors: corruption, io_error.
Task<Result<std::optional<Found>>> find(PageStore& store, ChildPointer root, FamilyId family, Bytes key);
Task<Result<std::optional<Found>>> find(PageStore& store, FamilyTrees trees, FamilyId family, Bytes key);

/// Ordered walk over one tree. Pages are read as needed; the current leaf stays pinned. The caller holds a ReadPin meanwhile.
class Cursor {
 public:
  /// kReader: what is read may stay in the cache. kMerge: it does not, and is read ahead in large requests.
  enum class Use : std::uint8_t { kReader, kMerge };
  Cursor(PageStore& store, ChildPointer root, FamilyId family, Use use = Use::kReader);
  ~Cursor();
  Cursor(Cursor&&) noexcept;

  /// To the first pair with key >= `key`.
  Task<Status> seek(Bytes key);
  Task<Status> next();
  /// The same if all pages that are needed are in memory. False: seek() has to read one.
  bool try_seek(Bytes key);
  /// False: a page has to be read. The cursor is at no pair then, and next() goes on.
  bool try_next();
  /// On to the next pair if it is in the same leaf. False: nothing has changed.
  bool try_step() noexcept;
  bool valid() const noexcept { return valid_; }
  Bytes key() const noexcept { return key_; }      ///< Valid until the cursor moves.
  Bytes value() const noexcept { return value_; }  ///< Empty if extent() or is_delete().
  bool has_extent() const noexcept { return has_extent_; }
  std::optional<ExtentPointer> extent() const noexcept { return has_extent_ ? load_extent() : std::nullopt; }
  bool is_delete() const noexcept { return is_delete_; }  ///< A mark in a run.

 private:
  struct Impl;
  void show() noexcept;
  void show_pair() noexcept;
  std::optional<ExtentPointer> load_extent() const noexcept;

  std::unique_ptr<Impl> impl_;
  // Of the pair that the cursor is at: decoded once a step.
  bool valid_ = false;
  bool has_extent_ = false;
  bool is_delete_ = false;
  Bytes key_;
  Bytes value_;
};

/// The same over all trees of a family, as if they were one.
class FamilyCursor {
 public:
  FamilyCursor(PageStore& store, const FamilyTrees& trees, FamilyId family);

  Task<Status> seek(Bytes key);
  Task<Status> next();
  bool try_seek(Bytes key);
  bool try_next();
  bool try_step() noexcept { return trees_.size() == 1 && nearest_->try_step(); }  ///< As Cursor's. valid() beforehand.
  bool valid() const noexcept { return nearest_ != nullptr; }
  Bytes key() const noexcept { return nearest_->key(); }
  Bytes value() const noexcept { return nearest_->value(); }
  bool has_extent() const noexcept { return nearest_->has_extent(); }
  std::optional<ExtentPointer> extent() const noexcept { return nearest_->extent(); }

 private:
  struct OneTree : Cursor {
    using Cursor::Cursor;
    bool must_move = false;
  };

  void begin_seek() noexcept;
  bool settle();
  void find_nearest() noexcept;
  Task<Status> finish();

  std::vector<OneTree> trees_;  // From new to old.
  OneTree* missing_ = nullptr;  // Its next page has to be read.
  OneTree* nearest_ = nullptr;  // Of those with the smallest key, the newest.
};

/// One operation of a merge.
struct MergeOperation {
  enum class Kind : std::uint8_t {
    kPut,     ///< `value`, or `extent` if there is one: then the tree takes over that extent.
    kDelete,  ///< The pair is gone.
    kMark,    ///< The key is marked as deleted (Tree-I5).
    kTake,    ///< All pairs from `key` to before `end`, or to the last if that is null, are gone; their extents stay with the
              ///< caller.
    kMove,    ///< What is in evacuated zones on the way to `key` is rewritten. Changes no pair.
  };
  Kind kind = Kind::kPut;
  Bytes key;
  Bytes value;
  std::optional<ExtentPointer> extent = std::nullopt;
  const std::string* end = nullptr;
  bool is_early = false;  ///< `extent` was written before its record (PageStore::put_early); the tree adopts it.
};

/// Operations in ascending key order, at most one per key (a kMove may share the key of another and comes before it; none
/// starts within the range of a kTake). current() stays valid until next(), across suspensions.
class MergeSource {
 public:
  virtual bool valid() const = 0;
  virtual const MergeOperation& current() const = 0;
  /// False: something has to be read, and load() does that.
  virtual bool next() = 0;
  virtual Task<Status> load() { co_return Status::ok(); }

 protected:
  ~MergeSource() = default;
};

struct MergeStats {
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;  ///< Of keys that were there.
  std::uint64_t taken = 0;    ///< Pairs that went by kTake.
  std::uint64_t leaves_read = 0;
  std::uint64_t pages_written = 0;
  std::uint64_t extents_written = 0;
  std::uint64_t bytes_moved = 0;  ///< For kMove.
};

/// Applies `source` to the tree of `family` within the store's open pass: new pages by put_page, old ones freed. Sorted input
/// into an empty tree builds it bottom-up with full leaves. Runs of adjacent dirty leaves are repacked to 90 %; an underfull
/// node takes its right neighbour along. Yields the reactor between slices (Reactor::background_slice) and throttles writes.
/// Returns the new root (null if the tree became empty). On error the pass is to be abandoned. Errors: corruption, io_error,
/// no_space.
Task<Result<ChildPointer>> merge(PageStore& store, ChildPointer root, FamilyId family, MergeSource& source, MergeStats& stats);

/// Frees every page of a tree in the open pass, and its extents unless they have another owner now. Reads inner nodes, and
/// leaves only where extents are to be freed.
enum class ExtentsOfTree : std::uint8_t { kFree, kKeep };
Task<Status> free_tree(PageStore& store, ChildPointer root, FamilyId family, ExtentsOfTree extents = ExtentsOfTree::kFree);

/// Whether one leaf of the tree has room for both keys in its range; `key` < `next`. Reads inner nodes alone. Errors:
/// corruption, io_error.
Task<Result<bool>> share_leaf(PageStore& store, ChildPointer root, FamilyId family, Bytes key, Bytes next);

/// Walks all trees of a family from disk: checksums, order, separators, levels, births <= `generation`, extents; marks are in
/// runs only. What is below a damaged page is not seen. False: the inspector had enough. The caller holds a ReadPin.
Task<bool> check(PageStore& store, FamilyTrees trees, FamilyId family, std::uint64_t generation, TreeInspector& inspector);

/// Values of the roots tree: a family's trees and whether it was dropped (its pages wait to be freed).
inline constexpr std::uint32_t kRunsMax = 16;
struct FamilyRoot {
  FamilyId family = 0;
  FamilyTrees trees;
  bool dropped = false;
};
std::string encode_family_key(FamilyId family);  ///< Big-endian, 4 bytes.
std::string encode_family_root(const FamilyRoot& root);
Result<FamilyRoot> decode_family_root(Bytes key, Bytes value);

}  // namespace penstock::btree
