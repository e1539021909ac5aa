// One family's part of a pass: its entries of a memtable into its base, or into a run with a slice of the runs into the base;
// and the moves out of zones to be emptied, in all its trees. Thread: the shard's reactor. Runs within the store's open pass.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "btree/btree.h"
#include "flush/merge_sources.h"
#include "flush/run_plan.h"
#include "memtable/memtable.h"
#include "penstock/status.h"
#include "penstock/task.h"

namespace penstock::flush {

struct RunCounters {
  std::uint64_t made = 0;         ///< Runs.
  std::uint64_t entries_in = 0;   ///< That went into runs.
  std::uint64_t entries_out = 0;  ///< That went from runs into a base, or were covered by newer ones on the way.
  std::uint64_t slices = 0;       ///< Merged into a base.
  std::uint64_t joined = 0;       ///< Runs that became parts of others.

  RunCounters& operator+=(const RunCounters& other) noexcept;
};

class FamilyMerge {
 public:
  struct Input {
    const memtable::Memtable* memtable = nullptr;  ///< Null: nothing of this family in it.
    const MoveKeys* moves = nullptr;               ///< Null: none.
    std::string slice_begin;                       ///< Where the last slice ended.
    std::uint64_t gather_from_bytes = 0;           ///< A base smaller than this gets everything directly. ~0: never runs.
    bool drain = false;                            ///< Without a memtable: a slice of the runs.
    std::uint64_t slice_entries_max = ~std::uint64_t{0};
  };
  FamilyMerge(btree::PageStore& store, FamilyId family, btree::FamilyTrees trees, Input input, btree::MergeStats& stats)
      : store_(store), family_(family), trees_(std::move(trees)), input_(std::move(input)), stats_(stats) {}

  /// Errors: those of btree::merge(); the pass is to be abandoned then.
  Task<Status> run();

  /// After run():
  const btree::FamilyTrees& trees() const noexcept { return trees_; }
  const std::string& slice_begin() const noexcept { return input_.slice_begin; }
  const RunCounters& counters() const noexcept { return counters_; }

 private:
  Task<Result<MergePlan>> plan();
  Task<Status> sample(MergeShape& shape);
  Task<Status> merge_base(btree::MergeSource& source);
  Task<Status> merge_slice(const MergePlan& plan, KeyRange& slice);
  Task<Status> join_runs(std::size_t begin);
  Task<Status> merge_runs(const MergePlan& plan, const KeyRange* slice);
  Task<Status> drop_runs();
  Task<Status> free_runs(std::span<const btree::Run> runs);

  btree::PageStore& store_;
  const FamilyId family_;
  btree::FamilyTrees trees_;
  Input input_;
  btree::MergeStats& stats_;
  RunCounters counters_;
};

}  // namespace penstock::flush
