// Goal: a series keeps its sums and its even intervals, however long the job is.
#include "tools/penstock-bench/series.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace penstock::bench {
namespace {

TEST(Series, SamplesAreTheDifferencesOfTheTotals) {
  Series series;
  series.interval_ns = 100;
  series.add({.by_kind = {10}, .flushes = 1});
  series.add({.by_kind = {22, 3}, .flushes = 1});
  ASSERT_EQ(series.samples.size(), 2U);
  EXPECT_EQ(series.samples[0].operations(), 10U);
  EXPECT_EQ(series.samples[1].operations(), 15U);
  EXPECT_EQ(series.samples[1].flushes, 0U);
}

TEST(Series, ALongJobHasLongerIntervalsAndTheSameSum) {
  Series series;
  series.interval_ns = 100;
  std::uint64_t total = 0;
  constexpr std::uint64_t kIntervals = 5 * Series::kSamplesMax;
  for (std::uint64_t interval = 0; interval < kIntervals; ++interval) {
    total += interval % 7;
    series.add({.by_kind = {total}});
  }
  EXPECT_LT(series.samples.size(), Series::kSamplesMax);
  EXPECT_GE(series.samples.size(), Series::kSamplesMax / 2);
  EXPECT_EQ(series.samples.size() * series.interval_ns, kIntervals * 100);
  std::uint64_t sum = 0;
  for (const SeriesCounts& sample : series.samples) {
    sum += sample.operations();
  }
  EXPECT_EQ(sum, total);
}

TEST(SeriesSampler, ReadsUntilItIsAskedForTheSeries) {
  std::atomic<std::uint64_t> reads = 0;
  SeriesSampler sampler([&] { return SeriesCounts{.by_kind = {5 * ++reads}}; });
  while (reads < 2) {
    std::this_thread::yield();
  }
  const Series series = sampler.finish();
  ASSERT_EQ(series.samples.size(), reads);
  EXPECT_EQ(series.samples[1].operations(), 5U);
  EXPECT_EQ(series.interval_ns, SeriesSampler::kIntervalNs);
}

}  // namespace
}  // namespace penstock::bench
