#include "flush/run_plan.h"

#include <algorithm>
#include <numeric>

#include "btree/btree.h"

namespace penstock::flush {

namespace {

/// Of a leaf as merges leave it, header and slots taken off.
constexpr double kLeafBytes = 0.85 * btree::kPageBlockBytes;
constexpr double kEntryOverheadBytes = 12;
/// What a run costs besides its pages: look-ups, and a pass that does two things.
constexpr double kGainMin = 1.2;

/// Entries for each leaf of the base.
double gathered_entries(const MergeShape& shape, double per_leaf) noexcept {
  const double least = std::min(kGathered, per_leaf / 4);
  const double most = std::min(kGatheredMax, per_leaf * 3 / 4);
  if (shape.base_entries == 0) return least;
  const double by_whole_memtables =
      static_cast<double>(kRunsWanted * shape.entries) * per_leaf / static_cast<double>(shape.base_entries);
  return std::clamp(by_whole_memtables, least, most);
}

std::size_t smallest_neighbours(std::span<const std::uint64_t> run_entries) noexcept {
  std::size_t best = 0;
  std::uint64_t least = ~std::uint64_t{0};
  for (std::size_t begin = 0; begin + kJoined <= run_entries.size(); ++begin) {
    const auto some = run_entries.subspan(begin, kJoined);
    const std::uint64_t entries = std::accumulate(some.begin(), some.end(), std::uint64_t{0});
    if (entries < least) {
      least = entries;
      best = begin;
    }
  }
  return best;
}

}  // namespace

MergePlan plan_merge(const MergeShape& shape) noexcept {
  const double per_leaf = kLeafBytes / (shape.bytes_per_entry + kEntryOverheadBytes);
  const double gathered = gathered_entries(shape, per_leaf);
  if (shape.run_entries.empty()) {
    const double leaves_per_entry_by_run = (1 / per_leaf) + (1 / gathered);
    const double base_bytes = static_cast<double>(shape.base_entries) * shape.bytes_per_entry;
    if (gathered < 1 || base_bytes == 0 || base_bytes < static_cast<double>(shape.base_bytes_min)) {
      return {};
    }
    if (shape.leaves_per_entry < kGainMin * leaves_per_entry_by_run) {
      return {};
    }
  }
  std::uint64_t held = shape.entries;
  for (const std::uint64_t entries : shape.run_entries) {
    held += entries;
  }
  const auto wanted = static_cast<std::uint64_t>(static_cast<double>(shape.base_entries) * std::max(gathered, 1.0) / per_leaf);
  MergePlan plan{.way = MergePlan::Way::kNewRun,
                 .slice_entries = held > wanted ? std::min(held - wanted, kSliceMax * shape.entries) : 0,
                 .slice_leaves_max = std::max(
                     kSliceLeavesMin, static_cast<std::uint64_t>(static_cast<double>(kSliceMax * shape.entries) / gathered)),
                 .run_entries_max = std::max(shape.entries, wanted / kRunsWanted)};
  if (!shape.run_entries.empty()) {
    const bool is_small = shape.run_entries.front() + shape.entries <= wanted / kRunsWanted;
    if (is_small) {
      plan.way = MergePlan::Way::kNewestRun;
    } else if (shape.run_entries.size() == btree::kRunsMax) {
      plan.join_from = smallest_neighbours(shape.run_entries);
    }
  }
  return plan;
}

}  // namespace penstock::flush
