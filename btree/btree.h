// Copy-on-write B+trees in a shard's page store: look-up, ordered reading, merging sorted operations, checking.
//
// The front door of btree/. btree/ knows pages and keys, never the log. A tree is named by its root pointer; a null pointer is
// an empty tree. Leaves hold one version of a key and no sequence numbers. Invariants:
//   Tree-I1 Keys of a node lie between its separators in the parent: separator[i] <= keys of child i < separator[i + 1].
//   Tree-I2 All leaves of a tree have level 0; a child's level is its parent's less one; depth <= 16.
//   Tree-I3 A pointer's entry count is the number of pairs below it, its flags the union of those below.
//   Tree-I4 A merge writes new pages and never changes one that a published root reaches.
// Thread: the shard's reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "btree/page_store.h"
#include "btree/pointer.h"
#include "penstock/status.h"
#include "penstock/task.h"

namespace penstock::btree {

/// A value found in a leaf: its bytes (valid while `page` lives), or the extent that holds it.
struct Found {
  PageRef page;
  Bytes value;
  std::optional<ExtentPointer> extent;
};

/// Looks `key` up with cached pages only. `complete` false: a page is missing, use find().
struct CachedFind {
  bool complete = false;
  std::optional<Found> found;
};
CachedFind find_cached(PageStore& store, const ChildPointer& root, Bytes key);

/// The same for borrowers: see PageStore::look_at_leaf(). `complete` false: a page or an extent would have to be read.
struct BorrowedFind {
  bool complete = false;
  std::optional<Bytes> value;
};
BorrowedFind find_borrowed(PageStore& store, const ChildPointer& root, Bytes key);

/// Empty if the key is not there. The caller holds a ReadPin. Errors: corruption, io_error.
Task<Result<std::optional<Found>>> find(PageStore& store, ChildPointer root, FamilyId family, Bytes key);

/// Ordered walk over one tree. Pages are read as needed; the current leaf stays pinned. The caller holds a ReadPin meanwhile.
class Cursor {
 public:
  Cursor(PageStore& store, ChildPointer root, FamilyId family);
  ~Cursor();
  Cursor(Cursor&&) noexcept;

  /// To the first pair with key >= `key`.
  Task<Status> seek(Bytes key);
  Task<Status> next();
  /// The same if all pages that are needed are in memory. False: seek() has to read one.
  bool try_seek(Bytes key);
  /// False: a page has to be read. The cursor is at no pair then, and next() goes on.
  bool try_next();
  bool valid() const noexcept;
  Bytes key() const noexcept;    ///< Valid until the cursor moves.
  Bytes value() const noexcept;  ///< Empty if extent().
  std::optional<ExtentPointer> extent() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One operation of a merge. kMove rewrites what is in evacuated zones on the way to `key`, at `level` and above, and changes
/// no pair.
struct MergeOperation {
  enum class Kind : std::uint8_t { kPut, kDelete, kMove };
  Kind kind = Kind::kPut;
  Bytes key;
  Bytes value;
};

/// Operations in ascending key order, at most one per key (a kMove may share the key of another and comes before it). current()
/// stays valid until next(), across suspensions.
class MergeSource {
 public:
  virtual bool valid() const = 0;
  virtual const MergeOperation& current() const = 0;
  virtual void next() = 0;

 protected:
  ~MergeSource() = default;
};

struct MergeStats {
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;  ///< Of keys that were there.
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

/// Frees every page and extent of a tree in the open pass. Reads inner nodes, and leaves only where extents are.
Task<Status> free_tree(PageStore& store, ChildPointer root, FamilyId family);

/// Walks a whole tree: checksums, order, separators, levels, counts, flags, births <= `generation`, extents. Calls `on_blocks`
/// for every page and extent. The first violation as `corruption` with its place.
Task<Status> check(PageStore& store, ChildPointer root, FamilyId family, std::uint64_t generation,
                   void (*on_blocks)(void* context, Address address, std::uint64_t blocks), void* context);

/// Values of the roots tree: a family's root and whether it was dropped (its pages wait to be freed). 40 bytes on disk.
struct FamilyRoot {
  FamilyId family = 0;
  ChildPointer root;
  bool dropped = false;
};
std::string encode_family_key(FamilyId family);  ///< Big-endian, 4 bytes.
std::string encode_family_root(const FamilyRoot& root);
Result<FamilyRoot> decode_family_root(Bytes key, Bytes value);

}  // namespace penstock::btree
