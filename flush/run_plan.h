// How a memtable's entries of one family get into its trees: into the base at once, or through a run.
//
// A copy-on-write base writes a whole leaf for whatever falls into it. Where several entries fall into each leaf that is cheap;
// where hardly one does, each costs a leaf. Then they are cheaper gathered: a memtable becomes a run of full leaves, and each
// pass carries a slice of the key space, of all runs at once, into the base. Runs together hold at least kGathered entries
// for each leaf of the base, so a slice brings each of its leaves as many; and more, as long as that takes no more than
// kRunsWanted runs of one memtable each: nothing is written twice for it. A key is written to the log, to a run, and with
// its leaf. Source of the idea: P. O'Neil et al., "The log-structured merge-tree", Acta Informatica 1996 (rolling merge).
// Choice and figures: docs/decisions/0007-runs.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace penstock::flush {

/// Entries that the runs gather for each leaf of the base before it is written anew: at least, and at most.
inline constexpr double kGathered = 6;
inline constexpr double kGatheredMax = 20;
/// Runs that a look-up is to meet at most, as a rule.
inline constexpr std::uint64_t kRunsWanted = 8;
/// Neighbours that become one where there would be too many: small ones, made while the base was small.
inline constexpr std::size_t kJoined = 4;
/// What a pass carries for each entry that it brings, where there is more in the runs than wanted: passes stay alike.
inline constexpr std::uint64_t kSliceMax = 2;
/// Leaves of the base that a slice rewrites at least before its end may come.
inline constexpr std::uint64_t kSliceLeavesMin = 16;

struct MergeShape {
  std::uint64_t entries = 0;    ///< Of the memtable.
  double bytes_per_entry = 0;   ///< Of key and value.
  double leaves_per_entry = 0;  ///< Of the base, touched by the memtable's entries: 1 where each has a leaf of its own.
  std::uint64_t base_entries = 0;
  std::uint64_t base_bytes_min = 0;            ///< No runs for a base that is smaller.
  std::span<const std::uint64_t> run_entries;  ///< From new to old.
};

struct MergePlan {
  enum class Way : std::uint8_t { kBase, kNewRun, kNewestRun };
  Way way = Way::kBase;
  std::uint64_t slice_entries = 0;  ///< To be carried from the runs into the base; at most kSliceMax times the memtable's.
  std::uint64_t slice_leaves_max = ~std::uint64_t{0};  ///< Of the base, for a slice: where little was gathered it is smaller.
  std::uint64_t run_entries_max = 0;                   ///< What a new run may grow to.
  /// kJoined runs from this one on are to become one first; such a pass carries no slice.
  std::optional<std::size_t> join_from = std::nullopt;
};

/// kBase only without runs: they would cover what is newer.
MergePlan plan_merge(const MergeShape& shape) noexcept;

}  // namespace penstock::flush
