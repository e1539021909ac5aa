// Each distribution against its own formula: a chi-square test over bins of ranks. Method: the drawn counts of 200,000
// operations with a fixed seed; the limit is the value that a right generator passes once in 10,000 seeds (Wilson and
// Hilferty's approximation), and a slightly wrong one is shown to fail it.
#include "tools/penstock-bench/key_distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace penstock::bench {
namespace {

constexpr std::uint64_t kDraws = 200'000;
constexpr double kLimitQuantile = 3.719;  // Of the normal distribution, at 1 - 1 / 10,000.

using Density = std::function<double(std::uint64_t rank)>;

double chi_square_limit(std::size_t bins) {
  const double freedom = static_cast<double>(bins) - 1;
  const double part = 2 / (9 * freedom);
  return freedom * std::pow(1 - part + (kLimitQuantile * std::sqrt(part)), 3);
}

/// Chi-square over its limit: up to 1 fits.
double misfit(const std::string& text, std::uint64_t keys, const Density& density) {
  const KeyDistribution distribution(*KeyDistribution::parse(text), keys);
  std::vector<double> counts(keys);
  base::Random random(7);
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    const std::uint64_t rank = distribution.next(random);
    EXPECT_LT(rank, keys);
    ++counts.at(rank);
  }
  double total = 0;
  for (std::uint64_t rank = 0; rank < keys; ++rank) total += density(rank);
  // Neighbours share a bin until it is expected to hold 50.
  double chi_square = 0;
  std::size_t bins = 0;
  double expected = 0;
  double seen = 0;
  for (std::uint64_t rank = 0; rank < keys; ++rank) {
    expected += density(rank) / total * static_cast<double>(kDraws);
    seen += counts[rank];
    if (expected < 50 && rank + 1 < keys) continue;
    chi_square += (seen - expected) * (seen - expected) / expected;
    ++bins;
    expected = 0;
    seen = 0;
  }
  EXPECT_GT(bins, 20U);
  return chi_square / chi_square_limit(bins);
}

Density zipf(double theta) {
  return [theta](std::uint64_t rank) { return std::pow(static_cast<double>(rank + 1), -theta); };
}

TEST(KeyDistribution, RandomIsEven) {
  EXPECT_LT(misfit("random", 1000, [](std::uint64_t) { return 1.0; }), 1);
}

TEST(KeyDistribution, ZipfFollowsItsExponent) {
  for (const double theta : {0.5, 0.99, 1.0, 1.2, 2.0}) {
    EXPECT_LT(misfit("zipf:" + std::to_string(theta), 5000, zipf(theta)), 1) << theta;
  }
}

TEST(KeyDistribution, AnExponentTwoHundredthsOffIsSeen) { EXPECT_GT(misfit("zipf:1.00", 5000, zipf(0.98)), 1); }

TEST(KeyDistribution, ParetoIsSelfSimilar) {
  constexpr std::uint64_t kKeys = 4000;
  const double exponent = std::log(1 - 0.2) / std::log(0.2);
  EXPECT_LT(misfit("pareto:0.2", kKeys,
                   [exponent](std::uint64_t rank) {
                     const double from = static_cast<double>(rank) / kKeys;
                     const double to = static_cast<double>(rank + 1) / kKeys;
                     return std::pow(to, exponent) - std::pow(from, exponent);
                   }),
            1);
}

TEST(KeyDistribution, NormalIsABellAroundTheMiddle) {
  constexpr std::uint64_t kKeys = 2000;
  EXPECT_LT(misfit("normal:15", kKeys,
                   [](std::uint64_t rank) {
                     const auto below = [](double place) { return std::erf(((place / kKeys) - 0.5) / 0.15 / std::sqrt(2.0)); };
                     return below(static_cast<double>(rank + 1)) - below(static_cast<double>(rank));
                   }),
            1);
}

TEST(KeyDistribution, ZonesGetTheirShares) {
  EXPECT_LT(misfit("zoned:60/10:30/20:10/70", 1000,
                   [](std::uint64_t rank) { return rank < 100 ? 0.6 / 100 : (rank < 300 ? 0.3 / 200 : 0.1 / 700); }),
            1);
}

TEST(KeyDistribution, OneKeyIsAlwaysThatKey) {
  for (const char* text : {"random", "zipf:0.99", "zipf:1", "pareto:0.2", "normal:10", "zoned:100/100"}) {
    const KeyDistribution distribution(*KeyDistribution::parse(text), 1);
    base::Random random(1);
    for (int draw = 0; draw < 100; ++draw) EXPECT_EQ(distribution.next(random), 0U) << text;
  }
}

TEST(KeyDistribution, WhatIsNoDistributionSaysWhatWasExpected) {
  for (const char* text :
       {"", "zipfian:1", "zipf", "zipf:", "zipf:0", "zipf:-1", "zipf:x", "random:1", "pareto:0.6", "normal:0", "normal:101",
        "zoned:", "zoned:50/50", "zoned:60/50:50/50", "zoned:100", "zoned:100/0:0/100"}) {
    const auto shape = KeyDistribution::parse(text);
    ASSERT_FALSE(shape.has_value()) << text;
    EXPECT_NE(shape.error().find(std::string("\"") + text + "\""), std::string::npos) << shape.error();
  }
}

}  // namespace
}  // namespace penstock::bench
