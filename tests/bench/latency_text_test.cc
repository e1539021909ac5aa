// Goal: latencies read as fio prints them, and a distribution that is known comes back out of the report within the histogram's
// error of 1/128.
#include "tools/penstock-bench/latency_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <sstream>
#include <string>

#include "base/random.h"

namespace penstock::bench {
namespace {

using ::testing::HasSubstr;

base::Histogram histogram_of(std::initializer_list<std::uint64_t> values_ns) {
  base::Histogram latency;
  for (const std::uint64_t value_ns : values_ns) {
    latency.record(value_ns);
  }
  return latency;
}

TEST(LatencyText, TheUnitIsTheCoarsestInWhichTheLeastIsOverTwoAndTheMostHasSixDigits) {
  EXPECT_EQ(latency_line("clat", histogram_of({1'000, 3'000})),
            "    clat (nsec): min=1000, max=3000, avg=2000.00, stdev=1000.00\n");
  EXPECT_EQ(latency_line("lat", histogram_of({3'000, 100'001})).substr(0, 37), "     lat (usec): min=3, max=100, avg=");
  EXPECT_EQ(latency_line("clat", histogram_of({2'000'001, 99'999'001})).substr(0, 36), "    clat (msec): min=2, max=99, avg=");
  EXPECT_THAT(latency_line("clat", histogram_of({2'000, 100'001})), HasSubstr("(nsec)"));
  EXPECT_THAT(latency_line("clat", histogram_of({3'000, 99'999})), HasSubstr("(nsec)"));
}

TEST(LatencyText, PercentilesAreRoundedUpAndATableIsAtMostEightyColumnsWide) {
  base::Histogram latency;
  for (std::uint64_t value = 1; value <= 1000; ++value) {
    latency.record(value * 1'001 + 2'000);
  }
  const std::string table = percentile_table("clat", latency, default_percentiles());
  EXPECT_THAT(table, HasSubstr("    clat percentiles (usec):\n     |  1.00th=["));
  std::istringstream lines(table);
  std::string line;
  std::size_t entries = 0;
  while (std::getline(lines, line)) {
    EXPECT_LE(line.size(), 80U);
    for (std::size_t at = line.find("th=["); at != std::string::npos; at = line.find("th=[", at + 1)) {
      ++entries;
    }
  }
  EXPECT_EQ(entries, default_percentiles().size());
  EXPECT_EQ(percentile_table("clat", histogram_of({2'001'001, 100'000'001}), std::vector<double>{50, 99}),
            "    clat percentiles (msec):\n     | 50.00th=[  3], 99.00th=[101]\n");
}

TEST(LatencyText, BucketsAreFiosAndTheEmptyOnesAreLeftOut) {
  EXPECT_EQ(bucket_lines(histogram_of({1'500, 1'999, 2'000, 49'999})), "  lat (usec)   : 2=50.00%, 4=25.00%, 50=25.00%\n");
  EXPECT_EQ(bucket_lines(histogram_of({1, 3})), "  lat (nsec)   : 2=50.00%, 4=50.00%\n");
  EXPECT_EQ(bucket_lines(histogram_of({1'500'000'000, 3'000'000'000})), "  lat (msec)   : 2000=50.00%, >=2000=50.00%\n");
  EXPECT_EQ(bucket_lines({}), "");
}

// Exponential with a mean of 100 us: the p-th percentile is at -ln(1 - p) times the mean.
TEST(LatencyText, AKnownDistributionComesBackWithinTheErrorOfTheHistogram) {
  constexpr double kMeanNs = 100'000;
  constexpr int kValues = 2'000'000;
  base::Histogram latency;
  base::Histogram halves[2];
  for (int at = 0; at < kValues; ++at) {
    // By quantiles and not by chance: what differs from the formula is the histogram's error alone.
    const double share = (at + 0.5) / kValues;
    const auto value_ns = static_cast<std::uint64_t>(std::llround(-std::log(1 - share) * kMeanNs));
    latency.record(value_ns);
    halves[at % 2].record(value_ns);
  }
  for (const double percent : default_percentiles()) {
    const double exact_ns = -std::log(1 - percent / 100) * kMeanNs;
    EXPECT_NEAR(static_cast<double>(latency.percentile_ns(percent)), exact_ns, exact_ns * 0.008) << percent;
  }
  halves[0].merge(halves[1]);
  EXPECT_EQ(percentile_table("clat", halves[0], default_percentiles()),
            percentile_table("clat", latency, default_percentiles()));
  EXPECT_EQ(latency_line("clat", halves[0]), latency_line("clat", latency));
}

}  // namespace
}  // namespace penstock::bench
