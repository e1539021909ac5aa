// Goal: the log files hold every call, in fio's format, and the histograms of several clients add up exactly.
#include "tools/penstock-bench/call_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace penstock::bench {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

std::vector<std::vector<std::uint64_t>> rows_of(const std::string& text) {
  std::vector<std::vector<std::uint64_t>> rows;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::vector<std::uint64_t>& row = rows.emplace_back();
    std::uint64_t value = 0;
    while (fields >> value) {
      row.push_back(value);
      fields.ignore(1);
    }
  }
  return rows;
}

TEST(CallLog, EveryCallHasALineAndThoseOfAllClientsAreInTheOrderOfTime) {
  const LogSettings settings{.latency_prefix = "p"};
  CallLog one(settings);
  CallLog two(settings);
  one.note(OpKind::kPut, 5 * kMs, 1107, 116);
  two.note(OpKind::kGet, 3 * kMs, 900, 100);
  one.note(OpKind::kPut, 9 * kMs, 2000, 116);
  one.finish();
  two.finish();
  const std::vector<const CallLog*> logs = {&one, &two};
  EXPECT_EQ(latency_log_text(logs), "3, 900, 4, 100, 0\n5, 1107, 0, 116, 0\n9, 2000, 0, 116, 0\n");
  EXPECT_EQ(histogram_log_text(logs, settings), "");
}

TEST(CallLog, AWindowHasTheMeanOfItsCallsAtItsEnd) {
  const LogSettings settings{.latency_prefix = "p", .average_ns = 10 * kMs};
  CallLog log(settings);
  log.note(OpKind::kPut, 1 * kMs, 100, 10);
  log.note(OpKind::kPut, 9 * kMs, 300, 30);
  log.note(OpKind::kPut, 25 * kMs, 500, 50);
  log.finish();
  const std::vector<const CallLog*> logs = {&log};
  EXPECT_EQ(latency_log_text(logs), "10, 200, 0, 20, 0\n30, 500, 0, 50, 0\n");
}

TEST(CallLog, HistogramsOfAnIntervalAreTheSumOverTheClientsBucketByBucket) {
  const LogSettings settings{.histogram_prefix = "p", .histogram_ns = 10 * kMs};
  CallLog one(settings);
  CallLog two(settings);
  for (const std::uint64_t latency : {5U, 5U, 1000U}) {
    one.note(OpKind::kPut, 2 * kMs, latency, 1);
    two.note(OpKind::kPut, 8 * kMs, latency, 1);
  }
  two.note(OpKind::kPut, 11 * kMs, 7, 1);
  one.finish();
  two.finish();
  const std::vector<const CallLog*> logs = {&one, &two};
  const auto rows = rows_of(histogram_log_text(logs, settings));
  ASSERT_EQ(rows.size(), 2U);
  ASSERT_EQ(rows[0].size(), 3 + base::Histogram::kBucketCount);
  EXPECT_EQ(rows[0][0], 10U);  // Milliseconds, at the interval's end.
  EXPECT_EQ(rows[0][3 + 5], 4U);
  EXPECT_EQ(rows[0][3 + base::Histogram::bucket_of(1000)], 2U);
  EXPECT_EQ(std::accumulate(rows[0].begin() + 3, rows[0].end(), std::uint64_t{0}), 6U);
  EXPECT_EQ(rows[1][0], 20U);
  EXPECT_EQ(rows[1][3 + 7], 1U);
}

TEST(CallLog, CoarserHistogramsHaveFewerBucketsAndTheSameSum) {
  const LogSettings settings{.histogram_prefix = "p", .histogram_coarseness = 6};
  CallLog log(settings);
  for (std::uint64_t latency = 1; latency < 100'000; latency *= 3) {
    log.note(OpKind::kGet, 0, latency, 1);
  }
  log.finish();
  const std::vector<const CallLog*> logs = {&log};
  const auto rows = rows_of(histogram_log_text(logs, settings));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].size(), 3U + 29U);
  EXPECT_EQ(std::accumulate(rows[0].begin() + 3, rows[0].end(), std::uint64_t{0}), 11U);
}

}  // namespace
}  // namespace penstock::bench
