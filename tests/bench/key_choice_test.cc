// From ranks to keys: where popular keys lie, and that writers keep to their own.
#include "tools/penstock-bench/key_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tools/penstock-bench/plan.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kKeys = 1000;

Job job_of(const std::string& settings) {
  return build_jobs(parse_job_text("[a]\nop=put\nops=1\ndir=/d\nkeys=1000\nclients=4\n" + settings, "a.ini", {}), {}).front();
}

std::vector<int> counts_of(const Job& job, std::uint64_t stream = 1) {
  constexpr int kDraws = 20'000;
  std::vector<int> counts(kKeys);
  KeyChoice choice(job, kKeys, stream);
  for (int draw = 0; draw < kDraws; ++draw) {
    ++counts.at(choice.next());
  }
  return counts;
}

std::size_t favourite_of(const std::vector<int>& counts) {
  return static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin());
}

TEST(KeyChoice, WithoutScatterTheFirstKeyIsTheMostPopular) {
  const auto counts = counts_of(job_of("key_dist=zipf:1.2\nkey_scatter=0\n"));
  EXPECT_EQ(favourite_of(counts), 0U);
  EXPECT_GT(counts[1], counts[100]);
}

TEST(KeyChoice, ScatteredPopularKeysLieElsewhereAndAreTheSameForAllClients) {
  const Job job = job_of("key_dist=zipf:1.2\n");
  const auto one = counts_of(job, 1);
  const auto other = counts_of(job, 2);
  EXPECT_NE(one, other);
  EXPECT_EQ(favourite_of(one), favourite_of(other));
  EXPECT_NE(favourite_of(one), 0U);
}

TEST(KeyChoice, ScatteringMovesCountsAndChangesNone) {
  auto in_order = counts_of(job_of("key_dist=zipf:1.2\nkey_scatter=0\n"));
  auto scattered = counts_of(job_of("key_dist=zipf:1.2\nkey_scatter=1\n"));
  EXPECT_NE(in_order, scattered);
  std::ranges::sort(in_order);
  std::ranges::sort(scattered);
  EXPECT_EQ(in_order, scattered);
}

TEST(KeyChoice, LatestCountsBackFromTheLastKey) {
  EXPECT_EQ(favourite_of(counts_of(job_of("key_dist=latest\n"))), kKeys - 1);
  EXPECT_EQ(counts_of(job_of("key_dist=latest\n")), counts_of(job_of("key_dist=latest:0.99\nkey_scatter=0\n")));
}

TEST(KeyChoice, APlanGivesEachClientItsOwnKeysWithTheDistributionWanted) {
  const Job job = job_of("key_dist=zipf:1.2\nkey_scatter=0\n");
  for (std::uint32_t client = 0; client < job.clients; ++client) {
    Plan plan(job, client);
    std::vector<int> counts(kKeys);
    for (int step = 0; step < 5000; ++step) {
      const std::uint32_t number = plan.next(OpKind::kPut).number;
      ASSERT_EQ(number % job.clients, client);
      ++counts.at(number);
    }
    EXPECT_EQ(favourite_of(counts), client);
  }
}

}  // namespace
}  // namespace penstock::bench
