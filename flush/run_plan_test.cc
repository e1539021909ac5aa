#include "flush/run_plan.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "btree/btree.h"

namespace penstock::flush {
namespace {

using Way = MergePlan::Way;

/// 100,000 entries of 116 bytes, each in a leaf of its own, into a base of 4 million.
MergeShape far_apart() {
  return {.entries = 100'000, .bytes_per_entry = 116, .leaves_per_entry = 0.7, .base_entries = 4'000'000, .run_entries = {}};
}

TEST(PlanMerge, SendsWhatLiesFarApartThroughRuns) {
  EXPECT_EQ(plan_merge(far_apart()).way, Way::kNewRun);
  EXPECT_EQ(plan_merge(far_apart()).slice_entries, 0U);
}

TEST(PlanMerge, GathersMoreWhereAFewMemtablesAreEnough) {
  MergeShape shape = far_apart();
  const std::array<std::uint64_t, 2> runs = {250'000, 250'000};
  shape.run_entries = runs;
  shape.entries = 250'000;
  shape.base_entries = 1'000'000;
  shape.leaves_per_entry = 0.12;
  EXPECT_EQ(plan_merge(shape).slice_entries, 14'706U);  // 20 for each of some 37,000 leaves stay.
  shape.entries = 25'000;                               // 8 runs of as much hold 5 for each leaf: at least 6 stay.
  shape.base_entries = 1'000'000;
  EXPECT_EQ(plan_merge(shape).slice_entries, 50'000U);
}

TEST(PlanMerge, CarriesNoMoreThanTwiceWhatComes) {
  MergeShape shape = far_apart();
  const std::array<std::uint64_t, 1> runs = {3'000'000};
  shape.run_entries = runs;
  EXPECT_EQ(plan_merge(shape).slice_entries, kSliceMax * shape.entries);
  shape.entries = 10;
  EXPECT_EQ(plan_merge(shape).slice_entries, kSliceMax * 10);
}

TEST(PlanMerge, RewritesNoMoreLeavesThanWhatComesPaysFor) {
  MergeShape shape = far_apart();
  const std::array<std::uint64_t, 1> runs = {3'000'000};
  shape.run_entries = runs;
  const MergePlan plan = plan_merge(shape);
  EXPECT_GE(plan.slice_leaves_max, static_cast<std::uint64_t>(static_cast<double>(shape.entries) / kGathered));
  EXPECT_LE(plan.slice_leaves_max, static_cast<std::uint64_t>(static_cast<double>(kSliceMax * shape.entries) / kGathered));
  shape.entries = 1;
  EXPECT_EQ(plan_merge(shape).slice_leaves_max, kSliceLeavesMin);
}

TEST(PlanMerge, SendsNeighboursToTheBase) {
  MergeShape shape = far_apart();
  shape.leaves_per_entry = 0.05;
  EXPECT_EQ(plan_merge(shape).way, Way::kBase);
}

TEST(PlanMerge, SendsEverythingToAnEmptyBase) {
  MergeShape shape = far_apart();
  shape.base_entries = 0;
  EXPECT_EQ(plan_merge(shape).way, Way::kBase);
}

TEST(PlanMerge, SendsEverythingToASmallBase) {
  MergeShape shape = far_apart();
  shape.base_bytes_min = 1'000'000'000;
  EXPECT_EQ(plan_merge(shape).way, Way::kBase);
}

TEST(PlanMerge, SendsLongValuesToTheBase) {
  MergeShape shape = far_apart();
  shape.bytes_per_entry = 2000;
  shape.leaves_per_entry = 1;
  EXPECT_EQ(plan_merge(shape).way, Way::kBase);
}

TEST(PlanMerge, NeverGoesPastRuns) {
  MergeShape shape = far_apart();
  shape.leaves_per_entry = 0;
  const std::array<std::uint64_t, 1> runs = {1000};
  shape.run_entries = runs;
  EXPECT_NE(plan_merge(shape).way, Way::kBase);
  shape.bytes_per_entry = 2000;
  EXPECT_NE(plan_merge(shape).way, Way::kBase);
  shape.base_entries = 0;
  EXPECT_NE(plan_merge(shape).way, Way::kBase);
  EXPECT_EQ(plan_merge(shape).slice_entries, 101'000U);  // All there is.
}

TEST(PlanMerge, JoinsWhatIsSmallWithTheNewestRun) {
  MergeShape shape = far_apart();
  shape.entries = 10;
  const std::array<std::uint64_t, 2> runs = {1000, 100'000};
  shape.run_entries = runs;
  EXPECT_EQ(plan_merge(shape).way, Way::kNewestRun);
}

TEST(PlanMerge, NeverMakesMoreRunsThanARecordHolds) {
  MergeShape shape = far_apart();
  std::vector<std::uint64_t> runs(btree::kRunsMax, 100'000);
  std::fill_n(runs.begin() + 5, kJoined, 1000);
  shape.run_entries = runs;
  EXPECT_EQ(plan_merge(shape).way, Way::kNewRun);
  EXPECT_EQ(plan_merge(shape).join_from, 5U);
  runs.pop_back();
  shape.run_entries = runs;
  EXPECT_EQ(plan_merge(shape).join_from, std::nullopt);
}

// A run each pass, slices of all of them: how many there are in the long run, and how much is carried.
TEST(PlanMerge, ComesToRestWithAFewRuns) {
  MergeShape shape = far_apart();
  std::vector<std::uint64_t> runs;
  std::uint64_t carried = 0;
  for (int pass = 0; pass < 200; ++pass) {
    shape.run_entries = runs;
    const MergePlan plan = plan_merge(shape);
    if (plan.way == Way::kNewRun) runs.insert(runs.begin(), 0);
    runs.front() += shape.entries;
    // A slice of the key space takes from every run alike, but the oldest have been gone over before.
    std::uint64_t left = plan.slice_entries;
    while (left > 0 && !runs.empty()) {
      const std::uint64_t part = std::min(left, runs.back());
      runs.back() -= part;
      left -= part;
      if (runs.back() == 0) runs.pop_back();
    }
    if (pass >= 100) carried += plan.slice_entries;
  }
  EXPECT_GE(runs.size(), 4U);
  EXPECT_LE(runs.size(), kRunsWanted + 2);
  EXPECT_NEAR(static_cast<double>(carried), 100.0 * 100'000, 100'000);
}

}  // namespace
}  // namespace penstock::flush
