// Checks the bucket layout over its whole range, and every statistic against the sorted values themselves.
#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>
#include <vector>

#include "base/random.h"

namespace penstock::base {
namespace {

// Values of every magnitude, as latencies are.
std::uint64_t random_value_ns(Random& random) { return random.next() >> (30 + random.below(34)); }

std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>> buckets_of(const Histogram& histogram) {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>> buckets;
  histogram.for_each_bucket(
      [&](std::uint64_t low_ns, std::uint64_t end_ns, std::uint64_t count) { buckets.emplace_back(low_ns, end_ns, count); });
  return buckets;
}

TEST(Histogram, BucketsCoverTheRangeWithoutGapsAndNoneIsWiderThanASixtyFourthOfItsValues) {
  std::uint64_t expected_low_ns = 0;
  for (std::uint32_t bucket = 0; bucket < Histogram::kBucketCount; ++bucket) {
    const std::uint64_t low_ns = Histogram::bucket_low_ns(bucket);
    const std::uint64_t end_ns = Histogram::bucket_end_ns(bucket);
    ASSERT_EQ(low_ns, expected_low_ns);
    ASSERT_EQ(Histogram::bucket_of(low_ns), bucket);
    ASSERT_EQ(Histogram::bucket_of(end_ns - 1), bucket);
    ASSERT_LE((end_ns - low_ns - 1) * 64, low_ns);
    expected_low_ns = end_ns;
  }
  EXPECT_EQ(expected_low_ns, Histogram::kClampedFromNs);
}

TEST(Histogram, AnEmptyOneAnswersZeroEverywhere) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min_ns(), 0U);
  EXPECT_EQ(histogram.max_ns(), 0U);
  EXPECT_EQ(histogram.mean_ns(), 0.0);
  EXPECT_EQ(histogram.stddev_ns(), 0.0);
  EXPECT_EQ(histogram.percentile_ns(99.9), 0U);
  EXPECT_TRUE(buckets_of(histogram).empty());
}

TEST(Histogram, PercentilesAreWithinOnePartIn128OfTheSortedValues) {
  Random random(1);
  for (const std::size_t value_count : {1U, 2U, 3U, 100U, 10'000U}) {
    Histogram histogram;
    std::vector<std::uint64_t> values;
    for (std::size_t i = 0; i < value_count; ++i) {
      values.push_back(random_value_ns(random));
      histogram.record(values.back());
    }
    std::ranges::sort(values);
    for (const double percent : {0.0, 0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
      const double exact_rank = std::ceil(percent / 100.0 * static_cast<double>(value_count));
      const std::size_t rank = std::max<std::size_t>(1, static_cast<std::size_t>(exact_rank));
      const auto exact = static_cast<double>(values[rank - 1]);
      ASSERT_LE(std::abs(static_cast<double>(histogram.percentile_ns(percent)) - exact) * 128, exact)
          << percent << " of " << value_count;
    }
    EXPECT_EQ(histogram.percentile_ns(0), values.front());
    EXPECT_EQ(histogram.percentile_ns(100), values.back());
  }
}

TEST(Histogram, MeanDeviationMinimumAndMaximumAreThoseOfTheValues) {
  Histogram histogram;
  for (const std::uint64_t value_ns : {2U, 4U, 4U, 4U, 5U, 5U, 7U, 9U}) {
    histogram.record(value_ns);
  }
  EXPECT_EQ(histogram.count(), 8U);
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), 5.0);
  EXPECT_DOUBLE_EQ(histogram.stddev_ns(), 2.0);
  EXPECT_EQ(histogram.min_ns(), 2U);
  EXPECT_EQ(histogram.max_ns(), 9U);
}

TEST(Histogram, MergingPartsEqualsRecordingEverythingInOne) {
  Random random(2);
  Histogram whole;
  Histogram parts[3];
  for (int i = 0; i < 30'000; ++i) {
    const std::uint64_t value_ns = random_value_ns(random);
    whole.record(value_ns);
    parts[random.below(3)].record(value_ns);
  }
  Histogram merged;
  for (const Histogram& part : parts) {
    merged.merge(part);
  }
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_EQ(merged.min_ns(), whole.min_ns());
  EXPECT_EQ(merged.max_ns(), whole.max_ns());
  EXPECT_EQ(merged.mean_ns(), whole.mean_ns());
  EXPECT_EQ(merged.stddev_ns(), whole.stddev_ns());
  EXPECT_EQ(buckets_of(merged), buckets_of(whole));
}

TEST(Histogram, ValuesBeyondTheRangeFallIntoTheLastBucketAndKeepTheirMaximumAndMean) {
  Histogram histogram;
  histogram.record(~std::uint64_t{0});
  histogram.record_many(Histogram::kClampedFromNs, 3);
  const auto buckets = buckets_of(histogram);
  ASSERT_EQ(buckets.size(), 1U);
  EXPECT_EQ(std::get<2>(buckets[0]), 4U);
  EXPECT_EQ(histogram.max_ns(), ~std::uint64_t{0});
  EXPECT_EQ(histogram.percentile_ns(100), ~std::uint64_t{0});
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), (0x1p64 + 3 * 0x1p34) / 4);
  EXPECT_EQ(histogram.stddev_ns(), 0.0) << "the deviation takes clamped values";
}

TEST(Histogram, ClearingForgetsEverything) {
  Histogram histogram;
  histogram.record_many(100, 5);
  histogram.record_many(200, 0);
  EXPECT_EQ(histogram.count(), 5U);
  histogram.clear();
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min_ns(), 0U);
  EXPECT_TRUE(buckets_of(histogram).empty());
}

}  // namespace
}  // namespace penstock::base
