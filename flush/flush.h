// Carries frozen memtables of one shard into its trees, frees dropped families, moves live pages out of sparse zones,
// publishes, and says how far the log is no longer needed. The front door of flush/, the only place that knows log, memtable
// and tree.
//
// Each run() is one pass of the page store: merge every family's entries, then the roots tree, then one superblock.
// Invariants:
//   Flush-I1 Log before pages: before a superblock that contains a generation is submitted, the log is durable up to its end.
//   Flush-I2 trees_of() always answers with what the store's current superblock reaches; both change without a suspension
//   between. Flush-I3 A pass that fails changes nothing: the generation stays with the caller and can be tried again, unless
//   the failure is
//            `corruption` (a page cannot be read) or `poisoned`.
//   Flush-I4 Entries of dropped families are not carried over; their trees are freed by the first pass that finds them.
//   Flush-I5 Entries that lie far apart in a large family wait in runs (run_plan.h), which are as durable as its base.
//   Flush-I6 A family of which a page cannot be read is damaged from then on: passes leave its entries and its trees alone, and
//            the other families go on.
// Thread: the shard's reactor. Runs as background work in slices.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "btree/btree.h"
#include "flush/family_merge.h"
#include "memtable/memtable.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "reactor/reactor.h"
#include "wal/wal.h"

namespace penstock::flush {

/// Says which families are gone. Asked at the beginning of a pass.
class FamilyFilter {
 public:
  virtual bool is_dropped(FamilyId family) const = 0;

 protected:
  ~FamilyFilter() = default;
};

/// What a pass is to contain.
struct PassInput {
  const memtable::Memtable* memtable = nullptr;  ///< Frozen; null: none.
  btree::AppliedPosition applied;                ///< Of the memtable's freeze, or of now for a pass without one.
  bool urgent = false;  ///< The disk is full: use the reserve; without a memtable, clean what can be cleaned.
  /// Nothing but a superblock with the same contents: what only the older one reaches becomes free. Needs no space.
  bool confirm_only = false;
  bool drain_runs = false;  ///< Without a memtable: brings a part of each family's runs into its base.
};

struct FlushCounters {
  std::uint64_t passes = 0;
  std::uint64_t entries = 0;
  std::uint64_t duration_ns = 0;
  std::uint64_t trees_freed = 0;
  std::uint64_t moved_bytes = 0;
  RunCounters runs;
};

/// Of all families.
struct RunHoldings {
  std::uint64_t entries = 0;
  std::uint64_t filter_bytes = 0;
};

class Flusher {
 public:
  /// `gather_from_bytes`: see DatabaseOptions.
  Flusher(reactor::Reactor& reactor, btree::PageStore& store, const FamilyFilter& filter,
          std::uint64_t gather_from_bytes) noexcept
      : reactor_(reactor), store_(store), filter_(filter), gather_from_bytes_(gather_from_bytes) {}

  /// Reads the roots tree of the current superblock.
  Task<Status> load_roots();

  /// Empty if the family has no tree here. Good until the next publication: to be copied by who suspends.
  const btree::FamilyTrees& trees_of(FamilyId family) const noexcept;
  /// Families with a tree here, dropped ones included.
  std::vector<FamilyId> families() const;
  /// Whether some family has runs.
  bool has_runs() const noexcept;
  RunHoldings run_holdings() const noexcept;

  /// One pass; see the invariants. `log` may be null while a database recovers: generations then end in logs of earlier epochs,
  /// durable already. Errors: corruption (of a family: damaged() has one more, and another try leaves it out; else of the
  /// shard's own trees), io_error, no_space (try again), poisoned (the caller poisons the log).
  Task<Status> run(PassInput input, wal::Log* log);

  /// Flush-I6: where the damage was met first. Since load_roots().
  const std::map<FamilyId, Status>& damaged() const noexcept { return damaged_; }

  /// From the next pass on.
  void set_gather_from_bytes(std::uint64_t bytes) noexcept { gather_from_bytes_ = bytes; }

  const FlushCounters& counters() const noexcept { return counters_; }

 private:
  using Roots = std::map<FamilyId, btree::FamilyTrees>;
  using SliceBegins = std::map<FamilyId, std::string>;
  struct Pass;

  Task<Status> run_pass(PassInput input, wal::Log* log);
  void adapt_slices(Status status) noexcept;
  Task<Status> change_trees(Pass& pass);
  Task<Status> plan_moves(Pass& pass);
  Task<Status> merge_families(Pass& pass);
  Task<Status> merge_family(Pass& pass, FamilyId family, bool is_written);
  Task<Status> free_dropped(Pass& pass);
  Task<Status> merge_roots(Pass& pass);

  reactor::Reactor& reactor_;
  btree::PageStore& store_;
  const FamilyFilter& filter_;
  std::uint64_t gather_from_bytes_;
  Roots roots_;
  std::map<FamilyId, Status> damaged_;
  SliceBegins slice_begins_;  // Families with runs: where the next slice begins. Any place will do after an opening.
  /// Of one pass and family. Less after a full disk: what is carried into a base needs room before it gives any.
  std::uint64_t slice_entries_max_ = ~std::uint64_t{0};
  FlushCounters counters_;
};

}  // namespace penstock::flush
