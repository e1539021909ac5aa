// Values too large for the log: written once, to extents that are durable before the record that names them.
//
// Life: a commit with such values comes in -> their extents are written and synced (PageStore::put_early), later commits of the
// shard wait behind it -> its payload is written anew with the extents' pointers in place of the values -> it goes the way of
// all commits -> a flush hands the extents over to a tree. Invariant:
//   Large-I1 From put_early() or claim_early() on, somebody holds the extent until a tree reaches it or nothing can: the call,
//   then the memtable's generation that names it; in recovery first the shard.
// Thread: the shard's.
#pragma once

#include <memory>
#include <vector>

#include "btree/btree.h"
#include "penstock/bytes.h"
#include "penstock/status.h"

namespace penstock::engine {

/// A generation whose references name more is closed, however small it is in memory: until then what was overwritten in it
/// keeps its space.
inline constexpr std::uint64_t kEarlyBytesMax = 128_MiB;

/// Holds on early extents, given up at its end.
class EarlyExtents {
 public:
  EarlyExtents() noexcept = default;
  EarlyExtents(const EarlyExtents&) = delete;
  EarlyExtents& operator=(const EarlyExtents&) = delete;
  ~EarlyExtents() { release(); }

  /// One more hold.
  void hold(const std::shared_ptr<btree::PageStore>& store, const btree::ExtentPointer& pointer);
  /// Becomes the owner of a hold that somebody has.
  void take_over(const std::shared_ptr<btree::PageStore>& store, const btree::ExtentPointer& pointer);
  void release() noexcept;
  /// Of the values.
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  std::weak_ptr<btree::PageStore> store_;  // What readers keep may outlive it.
  std::vector<btree::ExtentPointer> extents_;
  std::uint64_t bytes_ = 0;
};

/// A commit's payload with the pointers of its large values' extents.
struct LargeBatch {
  std::vector<char> payload;
  EarlyExtents extents;
};

/// Views into `payload`, in its order.
std::vector<btree::PageStore::EarlyValue> large_values_of(Bytes payload);
/// `extents`: one for each of large_values_of(payload).
std::vector<char> with_extents(Bytes payload, const std::vector<btree::ExtentPointer>& extents);

}  // namespace penstock::engine
