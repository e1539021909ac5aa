// .hgrm files: the table that HdrHistogram's plotter reads, and that a known distribution comes back out of it.
#include "tools/penstock-bench/hgrm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <vector>

namespace penstock::bench {
namespace {

using ::testing::HasSubstr;

struct Line {
  double value_ms = 0;
  double percentile = 0;
  double count = 0;
};

std::vector<Line> lines_of(const std::string& text) {
  std::vector<Line> lines;
  std::istringstream input(text);
  std::string row;
  while (std::getline(input, row)) {
    std::istringstream words(row);
    Line line;
    if (words >> line.value_ms >> line.percentile >> line.count) {
      lines.push_back(line);
    }
  }
  return lines;
}

TEST(Hgrm, OneValueIsAtBothEnds) {
  base::Histogram latency;
  latency.record_many(50, 4);
  EXPECT_EQ(hgrm_text(latency),
            "       Value     Percentile TotalCount 1/(1-Percentile)\n"
            "\n"
            "    0.000050 1.000000000000          4\n"
            "#[Mean    =     0.000050, StdDeviation   =     0.000000]\n"
            "#[Max     =     0.000050, Total count    =            4]\n"
            "#[Buckets =           29, SubBuckets     =           64]\n");
}

TEST(Hgrm, LinesHaveTheValueThatSoManyDoNotExceed) {
  base::Histogram latency;
  latency.record_many(10, 1);
  latency.record_many(20, 1);
  latency.record_many(30, 2);
  EXPECT_THAT(hgrm_text(latency), HasSubstr("    0.000010 0.000000000000          1           1.00\n"
                                            "    0.000010 0.100000000000          1           1.11\n"
                                            "    0.000010 0.200000000000          1           1.25\n"
                                            "    0.000020 0.300000000000          2           1.43\n"
                                            "    0.000020 0.400000000000          2           1.67\n"
                                            "    0.000020 0.500000000000          2           2.00\n"
                                            "    0.000030 1.000000000000          4\n"));
}

TEST(Hgrm, AnExponentialDistributionComesBackWithinTheHistogramsError) {
  constexpr int kCount = 100'000;
  constexpr double kMeanNs = 1e6;
  base::Histogram latency;
  for (int at = 0; at < kCount; ++at) {
    latency.record(static_cast<std::uint64_t>(-kMeanNs * std::log(1 - ((at + 0.5) / kCount))));
  }
  const auto lines = lines_of(hgrm_text(latency));
  ASSERT_GT(lines.size(), 50U);
  for (std::size_t at = 1; at + 1 < lines.size(); ++at) {
    EXPECT_GE(lines[at].value_ms, lines[at - 1].value_ms);
    EXPECT_GT(lines[at].percentile, lines[at - 1].percentile);
    EXPECT_GE(lines[at].count, lines[at].percentile * kCount);
    if (lines[at].percentile > 0.01 && lines[at].percentile < 0.999) {
      EXPECT_NEAR(lines[at].value_ms / -std::log(1 - lines[at].percentile), 1, 0.01) << lines[at].percentile;
    }
  }
  EXPECT_EQ(lines.back().percentile, 1);
  EXPECT_EQ(lines.back().count, kCount);
}

TEST(Hgrm, WithoutValuesThereAreNoLines) { EXPECT_TRUE(lines_of(hgrm_text(base::Histogram())).empty()); }

TEST(Hgrm, ItsFileIsNamedAfterTheJob) { EXPECT_EQ(hgrm_path("/tmp/a-", "read/8"), "/tmp/a-read_8.hgrm"); }

}  // namespace
}  // namespace penstock::bench
