#include "flush/family_merge.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace penstock::flush {

namespace {

/// Neighbours among a memtable's entries that are looked at to tell how many share a leaf.
constexpr std::uint64_t kSamples = 256;
/// Entries walked over between two looks at the clock.
constexpr std::uint64_t kPaceEntries = 4096;
/// A slice without a memtable, for its own sake.
constexpr std::uint64_t kDrainedMin = 16 * 1024;

}  // namespace

RunCounters& RunCounters::operator+=(const RunCounters& other) noexcept {
  made += other.made;
  entries_in += other.entries_in;
  entries_out += other.entries_out;
  slices += other.slices;
  joined += other.joined;
  return *this;
}

Task<Status> FamilyMerge::run() {
  const Result<MergePlan> planned = co_await plan();
  if (!planned.has_value()) {
    co_return planned.error();
  }
  if (planned->way == MergePlan::Way::kBase) {
    if (input_.memtable == nullptr) {
      NoSource nothing;
      co_return co_await merge_base(nothing);
    }
    MemtableSource source(*input_.memtable, family_);
    co_return co_await merge_base(source);
  }
  KeyRange slice;
  const bool has_slice = planned->slice_entries > 0;
  if (has_slice) {
    PENSTOCK_CO_TRY(co_await merge_slice(*planned, slice));
  } else if (input_.moves != nullptr) {
    NoSource nothing;
    PENSTOCK_CO_TRY(co_await merge_base(nothing));
  }
  if (has_slice && slice.is_everything()) {
    co_return co_await drop_runs();
  }
  co_return co_await merge_runs(*planned, has_slice ? &slice : nullptr);
}

Task<Result<MergePlan>> FamilyMerge::plan() {
  std::vector<std::uint64_t> run_entries;
  std::uint64_t held = 0;
  for (const btree::Run& run : trees_.runs) {
    run_entries.push_back(run.root.entries);
    held += run.root.entries;
  }
  if (input_.memtable == nullptr) {
    MergePlan plan;
    if (!trees_.runs.empty()) {
      plan.way = MergePlan::Way::kNewestRun;
      plan.slice_entries = input_.drain ? std::min(std::max(held / kRunsWanted, kDrainedMin), input_.slice_entries_max) : 0;
    }
    co_return plan;
  }
  if (trees_.runs.empty() && input_.gather_from_bytes == ~std::uint64_t{0}) {
    co_return MergePlan{};
  }
  MergeShape shape{.entries = input_.memtable->family_entry_count(family_),
                   .base_entries = trees_.base.entries,
                   .base_bytes_min = input_.gather_from_bytes,
                   .run_entries = run_entries};
  PENSTOCK_CO_TRY_RESULT(co_await sample(shape));
  MergePlan plan = plan_merge(shape);
  const bool is_room_short = input_.slice_entries_max != ~std::uint64_t{0};
  if (plan.join_from.has_value() && is_room_short) {
    plan.way = MergePlan::Way::kNewestRun;
    plan.join_from.reset();
  }
  plan.slice_entries = plan.join_from.has_value() ? 0 : std::min(plan.slice_entries, input_.slice_entries_max);
  co_return plan;
}

/// How long entries are, and how far apart: from some of them, evenly chosen, each with its successor.
Task<Status> FamilyMerge::sample(MergeShape& shape) {
  memtable::Memtable::Cursor cursor = input_.memtable->cursor(family_);
  const std::uint64_t stride = std::max<std::uint64_t>(shape.entries / kSamples, 1);
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;
  std::uint64_t leaves = 0;
  cursor.seek_first();
  for (std::uint64_t number = 0; cursor.valid(); ++number) {
    const Bytes key = cursor.key();
    const bool is_sample = number % stride == 0;
    if (is_sample) {
      ++samples;
      bytes += key.size() + cursor.newest().value.size();
    }
    cursor.next();
    if (is_sample && cursor.valid()) {
      const Result<bool> shared = co_await btree::share_leaf(store_, trees_.base, family_, key, cursor.key());
      if (!shared.has_value()) {
        co_return shared.error();
      }
      leaves += *shared ? 0U : 1U;
    } else if (is_sample) {
      ++leaves;  // The last one's.
    }
    if (number % kPaceEntries == 0 && store_.reactor().background_slice_over()) {
      co_await store_.reactor().background_slice();
    }
  }
  PENSTOCK_ASSERT_GT(samples, 0U);
  shape.bytes_per_entry = static_cast<double>(bytes) / static_cast<double>(samples);
  shape.leaves_per_entry = static_cast<double>(leaves) / static_cast<double>(samples);
  co_return Status::ok();
}

Task<Status> FamilyMerge::merge_base(btree::MergeSource& source) {
  WithMoves moved(source, input_.moves);
  const Result<btree::ChildPointer> base = co_await btree::merge(store_, trees_.base, family_, moved, stats_);
  if (!base.has_value()) {
    co_return base.error();
  }
  trees_.base = *base;
  co_return Status::ok();
}

Task<Status> FamilyMerge::merge_slice(const MergePlan& plan, KeyRange& slice) {
  SliceSource source(store_, trees_.runs, input_.memtable, family_, std::move(input_.slice_begin), plan.slice_entries);
  if (plan.slice_leaves_max != ~std::uint64_t{0}) {
    source.bound_leaves(stats_, plan.slice_leaves_max);
  }
  PENSTOCK_CO_TRY(co_await source.start());
  PENSTOCK_CO_TRY(co_await merge_base(source));
  slice = source.range();
  input_.slice_begin = slice.end.value_or(std::string());
  counters_.slices += 1;
  counters_.entries_out += source.used_entries();
  co_return Status::ok();
}

/// The slice held all that they had.
Task<Status> FamilyMerge::drop_runs() {
  const std::vector<btree::Run> runs = std::exchange(trees_.runs, {});
  co_return co_await free_runs(runs);
}

/// Their extents live on elsewhere.
Task<Status> FamilyMerge::free_runs(std::span<const btree::Run> runs) {
  for (const btree::Run& run : runs) {
    PENSTOCK_CO_TRY(co_await btree::free_tree(store_, run.root, family_, btree::ExtentsOfTree::kKeep));
  }
  co_return Status::ok();
}

/// kJoined of them become one.
Task<Status> FamilyMerge::join_runs(std::size_t begin) {
  const auto first = trees_.runs.begin() + static_cast<std::ptrdiff_t>(begin);
  const std::vector<btree::Run> parts(first, first + kJoined);
  std::uint64_t entries = 0;
  for (const btree::Run& run : parts) {
    entries += run.root.entries;
  }
  const auto filter = std::make_shared<btree::KeyFilter>(entries);
  SliceSource everything(store_, parts, nullptr, family_, {}, ~std::uint64_t{0});
  PENSTOCK_CO_TRY(co_await everything.start());
  JoinSource source(everything, *filter);
  const Result<btree::ChildPointer> root = co_await btree::merge(store_, {}, family_, source, stats_);
  if (!root.has_value()) {
    co_return root.error();
  }
  PENSTOCK_CO_TRY(co_await free_runs(parts));
  trees_.runs.erase(first, first + kJoined);
  trees_.runs.insert(trees_.runs.begin() + static_cast<std::ptrdiff_t>(begin), {.root = *root, .filter = filter});
  counters_.joined += kJoined;
  co_return Status::ok();
}

/// What is not in the slice goes to a run; what was in it leaves all runs.
Task<Status> FamilyMerge::merge_runs(const MergePlan& plan, const KeyRange* slice) {
  btree::ChildPointer joined;
  if (plan.join_from.has_value()) {
    PENSTOCK_CO_TRY(co_await join_runs(*plan.join_from));
    joined = trees_.runs[*plan.join_from].root;
  }
  std::vector<btree::Run> runs = std::exchange(trees_.runs, {});
  const bool has_memtable = input_.memtable != nullptr;
  if (has_memtable && plan.way == MergePlan::Way::kNewRun) {
    runs.insert(runs.begin(), {.root = {}, .filter = std::make_shared<btree::KeyFilter>(plan.run_entries_max)});
    counters_.made += 1;
  }
  const std::uint64_t puts_before = stats_.puts;
  for (std::size_t index = 0; index < runs.size(); ++index) {
    const bool takes_memtable = has_memtable && index == 0;
    const bool is_moved = input_.moves != nullptr && runs[index].root != joined;  // All pages of that one are new.
    if (takes_memtable || slice != nullptr || is_moved) {
      RunSource source(takes_memtable ? input_.memtable : nullptr, family_, slice, runs[index].filter.get());
      WithMoves moved(source, input_.moves, slice);
      const Result<btree::ChildPointer> run = co_await btree::merge(store_, runs[index].root, family_, moved, stats_);
      if (!run.has_value()) {
        co_return run.error();
      }
      runs[index].root = *run;
    }
    if (takes_memtable) {
      counters_.entries_in += stats_.puts - puts_before;
    }
    if (!runs[index].root.is_null()) {
      trees_.runs.push_back(runs[index]);
    }
  }
  co_return Status::ok();
}

}  // namespace penstock::flush
