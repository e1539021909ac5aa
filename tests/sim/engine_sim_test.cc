// Goal: no acknowledged commit is ever lost, no batch is ever half there, nothing old comes back: over power cuts, kills, cuts
// during recovery, changing reactor counts, flushes, segment changes and families created and dropped, on the simulated disk.
// Method: EngineSim (engine_sim.h), in parts that may run side by side. PENSTOCK_SIM_CUTS sets how many crash-recover cycles
// all parts do (default 400), PENSTOCK_SIM_SEED the first seed; a failure names its seed, which the first part alone repeats.
#include "tests/sim/engine_sim.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace penstock::simtest {
namespace {

std::uint64_t environment_number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

constexpr std::uint32_t kCyclesPerSeed = 8;

constexpr std::uint64_t kParts = 4;

class EngineSimPart : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(EngineSimPart, NoAcknowledgedCommitIsLostOverPowerCutsAndKills) {
  const std::uint64_t cuts = (environment_number("PENSTOCK_SIM_CUTS", 400) + kParts - 1) / kParts;
  std::uint64_t seed = environment_number("PENSTOCK_SIM_SEED", 1) + GetParam();
  SimCounts counts;
  while (counts.power_cuts + counts.kills < cuts) {
    if (std::getenv("PENSTOCK_SIM_VERBOSE") != nullptr) {
      std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
    }
    EngineSim sim(seed, counts);
    const std::string wrong = sim.run(kCyclesPerSeed);
    ASSERT_TRUE(wrong.empty()) << "PENSTOCK_SIM_SEED=" << seed << ": " << wrong;
    seed += kParts;
  }
  std::printf(
      "boots %llu, power cuts %llu (of these during opening %llu), kills %llu, clean closes %llu, commits acknowledged %llu, "
      "families created %llu, dropped %llu, changes of the reactor count %llu, torn tails %llu; "
      "unlogged %llu, large values %llu, runs %llu, joined %llu, slices %llu, changes of options %llu\n",
      static_cast<unsigned long long>(counts.boots), static_cast<unsigned long long>(counts.power_cuts),
      static_cast<unsigned long long>(counts.cuts_in_recovery), static_cast<unsigned long long>(counts.kills),
      static_cast<unsigned long long>(counts.clean_closes), static_cast<unsigned long long>(counts.commits_acknowledged),
      static_cast<unsigned long long>(counts.families_created), static_cast<unsigned long long>(counts.families_dropped),
      static_cast<unsigned long long>(counts.reactor_changes), static_cast<unsigned long long>(counts.torn_tails),
      static_cast<unsigned long long>(counts.unlogged_acknowledged), static_cast<unsigned long long>(counts.large_values),
      static_cast<unsigned long long>(counts.runs_made), static_cast<unsigned long long>(counts.runs_joined),
      static_cast<unsigned long long>(counts.run_slices), static_cast<unsigned long long>(counts.options_changed));
  if (cuts >= 400) {  // With fewer the rare may not come.
    EXPECT_GT(counts.cuts_in_recovery, 0U);
    EXPECT_GT(counts.kills, 0U);
    EXPECT_GT(counts.clean_closes, 0U);
    EXPECT_GT(counts.families_dropped, 0U);
    EXPECT_GT(counts.reactor_changes, 0U);
    EXPECT_GT(counts.torn_tails, 0U);
    EXPECT_GT(counts.flush_passes, 0U);
    EXPECT_GT(counts.runs_made, 0U);
    EXPECT_GT(counts.large_values, 0U);
    EXPECT_GT(counts.runs_joined, 0U);
    EXPECT_GT(counts.run_slices, 0U);
    EXPECT_GT(counts.unlogged_acknowledged, 0U);
    EXPECT_GT(counts.options_changed, 0U);
    EXPECT_GT(counts.segments, 0U);
    EXPECT_GT(counts.commits_acknowledged, cuts);
  }
}

INSTANTIATE_TEST_SUITE_P(, EngineSimPart, ::testing::Range(std::uint64_t{0}, kParts));

}  // namespace
}  // namespace penstock::simtest
