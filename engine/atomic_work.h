// A commit that decides what it does when its turn comes: the function behind update, compare_and_set, put_if_absent and
// atomically, what it decided, and what was read from disk for it.
//
// Life: submit -> decide() -> what was not in memory is loaded, decide() again -> with its decision current it is admitted as
// any commit, with the changes as its payload; a decision without changes takes its place behind the commits in flight, as all
// that it read, and is answered with them. Invariants:
//   Atomic-I1 A decision counts while the shard's last assigned sequence is what it was when it was made: at the moment of
//   apply() nothing lies between what it read and what it writes.
//   Atomic-I2 What was loaded answers a read only while it is what the shard would read now: the same trees, or the same
//   extent.
//   Atomic-I3 While a task works for a call (`is_busy`) nobody else ends the call: who wants to leaves word in `ended`.
// Thread: the shard's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "btree/btree.h"
#include "penstock/atomic.h"
#include "penstock/batch.h"
#include "penstock/types.h"

namespace penstock::engine {

class AtomicWork {
 public:
  struct Missing {
    Family family;
    std::string key;
  };
  /// What a key had, on disk.
  struct Loaded {
    FamilyId family = 0;
    std::string key;
    btree::FamilyTrees trees;  ///< Read there, or
    std::string reference;     ///< the extent that a memtable names.
    std::optional<std::string> value;
  };

  explicit AtomicWork(AtomicFunction wanted) : function(std::move(wanted)) {}

  /// Forgets the last run, not what was loaded.
  void begin_run();
  /// Of the changes of this run. `batch_offset`: where its newest one stands.
  const std::uint32_t* find_change(FamilyId family, Bytes key) const;
  Status change(const Family& family, Bytes key, std::optional<Bytes> value);
  const Loaded* find_loaded(FamilyId family, Bytes key) const noexcept;
  void keep(Loaded found);
  void note_missing(const Family& family, Bytes key);
  /// The first error sticks.
  Status fail(Status status) noexcept;
  const Batch::ShardPart* changes() const noexcept;

  AtomicFunction function;
  std::optional<Sequence> decided_at;  ///< None: there is no decision.
  Status answer;                       ///< What it was.
  Status run_failure;                  ///< Of the view.
  std::vector<Missing> missing;
  std::vector<btree::PageRef> pages;  ///< That this run's reads point into.

  bool is_busy = false;
  Status failure;               ///< Of loading or writing: ends the call.
  std::optional<Status> ended;  ///< Atomic-I3.

 private:
  Batch batch_;
  std::map<std::pair<FamilyId, std::string>, std::uint32_t> change_offsets_;
  std::vector<Loaded> loaded_;
};

/// The functions of the calls of one key.
class AtomicUpdate {
 public:
  AtomicUpdate(Family family, Bytes key, UpdateFunction function)
      : family_(std::move(family)), key_(key), function_(std::move(function)) {}
  Status operator()(AtomicView& view);
  std::optional<std::string> take_value() noexcept { return std::move(value_); }

 private:
  Family family_;
  std::string key_;
  UpdateFunction function_;
  std::optional<std::string> value_;  ///< That the key has then.
};

AtomicFunction compare_and_set_function(Family family, Bytes key, std::optional<Bytes> expected, std::optional<Bytes> desired);
AtomicFunction put_if_absent_function(Family family, Bytes key, Bytes value);

}  // namespace penstock::engine
