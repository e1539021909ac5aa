// Goal: no acknowledged commit is ever lost, no batch is ever half there, nothing old comes back, no read is wrong: over power
// cuts, kills, cuts during recovery, disks that fail and disks that lie, changing reactor counts, flushes, segment changes and
// families created, dropped and renamed, on the simulated disk. Method: EngineSim (engine_sim.h), in parts that may run side by
// side. PENSTOCK_SIM_CUTS sets how many crash-recover cycles all parts do (default 400), PENSTOCK_SIM_SEED the first seed. A
// failure names its plan, which `./dev sim` repeats and makes smaller.
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

constexpr std::uint64_t kParts = 4;

class EngineSimPart : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(EngineSimPart, NoAcknowledgedCommitIsLostAndNoReadIsWrong) {
  const std::uint64_t cuts = (environment_number("PENSTOCK_SIM_CUTS", 400) + kParts - 1) / kParts;
  SimCounts counts;
  for (Plan plan{.seed = environment_number("PENSTOCK_SIM_SEED", 1) + GetParam()}; counts.cycles < cuts; plan.seed += kParts) {
    EngineSim sim(plan, counts);
    const std::string wrong = sim.run();
    ASSERT_TRUE(wrong.empty()) << "./dev sim " << plan.to_string() << ": " << wrong;
  }
  std::printf("%s\n", counts.to_string().c_str());
  EXPECT_GT(counts.commits_acknowledged, 0U);
  EXPECT_GT(counts.reads_checked, 0U);
}

INSTANTIATE_TEST_SUITE_P(, EngineSimPart, ::testing::Range(std::uint64_t{0}, kParts));

TEST(EngineSim, TheSamePlanGivesTheSameTraceAndAnotherSeedAnotherOne) {
  SimCounts counts;
  const auto trace_of = [&counts](std::uint64_t seed) {
    EngineSim sim(Plan{.seed = seed, .cycles = 2}, counts);
    EXPECT_EQ(sim.run(), "") << "seed " << seed;
    return sim.trace_hash();
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::uint64_t first = trace_of(seed);
    EXPECT_EQ(trace_of(seed), first) << "seed " << seed;
    EXPECT_NE(trace_of(seed + 1000), first) << "seed " << seed;
  }
}

}  // namespace
}  // namespace penstock::simtest
