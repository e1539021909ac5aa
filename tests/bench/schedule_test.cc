// When calls are to begin, and from when on their latency counts. Method: times are numbers handed in; no clock is read.
#include "tools/penstock-bench/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/histogram.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kMillisecondNs = 1'000'000;

std::vector<std::uint64_t> beginnings(const Rate& rate, const Pace& pace, std::size_t count) {
  Schedule schedule(rate, pace);
  std::vector<std::uint64_t> times;
  while (times.size() < count) {
    times.push_back(schedule.next_ns());
    schedule.advance(pace.batch);
  }
  return times;
}

TEST(Schedule, LinearIsExactForEveryCallAndDoesNotDrift) {
  constexpr std::uint64_t kCalls = 1'000'000;
  Schedule schedule({.ops_per_second = 3}, {});
  for (std::uint64_t call = 0; call < kCalls; ++call) {
    ASSERT_EQ(schedule.next_ns(), call * kSecondNs / 3);
    schedule.advance(1);
  }
}

TEST(Schedule, ClientsOfALinearRateTakeTurns) {
  // 4 clients with 250 operations a call: a call each millisecond.
  const Rate rate{.ops_per_second = 250'000};
  std::vector<std::uint64_t> all;
  for (std::uint32_t client = 0; client < 4; ++client) {
    const auto times = beginnings(rate, {.client = client, .clients = 4, .batch = 250}, 100);
    all.insert(all.end(), times.begin(), times.end());
  }
  std::ranges::sort(all);
  for (std::size_t call = 0; call < all.size(); ++call) {
    EXPECT_EQ(all[call], call * kMillisecondNs);
  }
}

TEST(Schedule, ABatchCountsWithItsOperations) {
  Schedule schedule({.ops_per_second = 1000}, {.batch = 100});
  schedule.advance(100);
  EXPECT_EQ(schedule.next_ns(), 100 * kMillisecondNs);
  schedule.advance(7);  // The rest of the work.
  EXPECT_EQ(schedule.next_ns(), 107 * kMillisecondNs);
}

TEST(Schedule, PoissonKeepsTheRateAndHasTheSpreadOfAnExponential) {
  constexpr std::size_t kCalls = 200'000;
  const auto times = beginnings({.ops_per_second = 10'000, .process = RateProcess::kPoisson},
                                {.client = 1, .clients = 2, .batch = 5, .seed = 7}, kCalls);
  const double wanted_ns = 1e9 * 5 * 2 / 10'000;
  double sum = 0;
  double squares = 0;
  for (std::size_t call = 1; call < kCalls; ++call) {
    ASSERT_GE(times[call], times[call - 1]);
    const auto gap = static_cast<double>(times[call] - times[call - 1]);
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / (kCalls - 1);
  const double deviation = std::sqrt(squares / (kCalls - 1) - mean * mean);
  EXPECT_NEAR(mean, wanted_ns, wanted_ns * 0.02);
  EXPECT_NEAR(deviation, wanted_ns, wanted_ns * 0.02);
}

TEST(Schedule, PoissonFollowsFromSeedAndClient) {
  const Rate rate{.ops_per_second = 1000, .process = RateProcess::kPoisson};
  const auto times = beginnings(rate, {.client = 0, .clients = 2, .seed = 1}, 100);
  EXPECT_EQ(times, beginnings(rate, {.client = 0, .clients = 2, .seed = 1}, 100));
  EXPECT_NE(times, beginnings(rate, {.client = 1, .clients = 2, .seed = 1}, 100));
  EXPECT_NE(times, beginnings(rate, {.client = 0, .clients = 2, .seed = 2}, 100));
}

TEST(Pacer, WithoutARateEveryCallIsDueAndCountsFromItsIssue) {
  Pacer pacer({}, {});
  pacer.begin(5 * kSecondNs);
  EXPECT_FALSE(pacer.is_paced());
  EXPECT_TRUE(pacer.is_due(0));
  EXPECT_EQ(pacer.take(6 * kSecondNs, 1), 6 * kSecondNs);
  EXPECT_EQ(pacer.behind_ns(7 * kSecondNs), 0U);
}

TEST(Pacer, ACallIsDueAHundredMicrosecondsEarlyAndNeverCountsFromTheFuture) {
  Pacer pacer({.ops_per_second = 100}, {});
  pacer.begin(kSecondNs);
  EXPECT_EQ(pacer.take(kSecondNs, 1), kSecondNs);
  const std::uint64_t second_ns = kSecondNs + 10 * kMillisecondNs;
  EXPECT_EQ(pacer.due_ns(), second_ns);
  EXPECT_FALSE(pacer.is_due(second_ns - 100'001));
  EXPECT_TRUE(pacer.is_due(pacer.wake_ns()));
  EXPECT_TRUE(pacer.is_due(second_ns - 100'000));
  EXPECT_EQ(pacer.take(second_ns - 40'000, 1), second_ns - 40'000);
}

// An engine answers in half a millisecond, but stands still for one second of ten; one client waits for each answer. 1,000
// calls should have begun in that second, and as many are late while the client catches up: from 1 s down to 0, evenly.
TEST(Pacer, AStallShowsInEveryCallThatShouldHaveBegunInIt) {
  constexpr std::uint64_t kServiceNs = 500'000;
  constexpr std::uint64_t kStallBeginNs = 4 * kSecondNs;
  constexpr std::uint64_t kStallEndNs = 5 * kSecondNs;
  const auto answered_at = [](std::uint64_t issued_ns) {
    const bool is_stalled = issued_ns >= kStallBeginNs && issued_ns < kStallEndNs;
    return (is_stalled ? kStallEndNs : issued_ns) + kServiceNs;
  };
  base::Histogram counted;
  base::Histogram from_issue;
  Pacer pacer({.ops_per_second = 1000}, {});
  std::uint64_t at_ns = 0;
  for (int call = 0; call < 10'000; ++call) {
    at_ns = std::max(at_ns, pacer.due_ns());
    const std::uint64_t start_ns = pacer.take(at_ns, 1);
    const std::uint64_t end_ns = answered_at(at_ns);
    counted.record(end_ns - start_ns);
    from_issue.record(end_ns - at_ns);
    at_ns = end_ns;
  }
  EXPECT_LT(from_issue.percentile_ns(99.9), kMillisecondNs);  // One call in ten thousand met it: nobody would see it.
  EXPECT_NEAR(static_cast<double>(counted.percentile_ns(99)), 950e6, 20e6);
  EXPECT_NEAR(static_cast<double>(counted.percentile_ns(90)), 500e6, 20e6);
  EXPECT_EQ(counted.max_ns(), kSecondNs + kServiceNs);
  EXPECT_LT(counted.percentile_ns(50), kMillisecondNs);
}

TEST(Pacer, SaysHowFarItIsBehind) {
  Pacer pacer({.ops_per_second = 1000}, {});
  pacer.begin(kSecondNs);
  EXPECT_EQ(pacer.behind_ns(kSecondNs), 0U);
  EXPECT_EQ(pacer.behind_ns(kSecondNs + 3 * kMillisecondNs), 3 * kMillisecondNs);
  pacer.take(kSecondNs + 3 * kMillisecondNs, 1);
  EXPECT_EQ(pacer.behind_ns(kSecondNs + 3 * kMillisecondNs), 2 * kMillisecondNs);
}

}  // namespace
}  // namespace penstock::bench
