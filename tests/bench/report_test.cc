// Goal: a report has what a fio user looks for, under fio's names, and its JSON can be read back by the page of pictures.
// Method: results made up here, as a job leaves them.
#include "tools/penstock-bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/penstock-bench/report_page.h"
#include "tools/penstock-bench/report_values.h"

namespace penstock::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

OpStats stats_of(OpKind kind, std::uint64_t operations) {
  OpStats stats;
  stats.kind = kind;
  stats.operations = operations;
  stats.calls = operations;
  stats.bytes = operations * 116;
  for (std::uint64_t at = 0; at < operations; ++at) {
    stats.latency.record(10'000 + at * 1'000);
  }
  return stats;
}

JobResult result_of() {
  JobResult result;
  result.job.name = "mixed";
  result.job.op = Op::kMixed;
  result.job.mix = {{.kind = OpKind::kPut, .share = 0.5}, {.kind = OpKind::kGet, .share = 0.5}};
  result.job.keys = 1000;
  result.job.value_size = ValueSizes(100);
  result.job.preload = true;
  result.elapsed_ns = 2'000'000'000;
  result.ops = {stats_of(OpKind::kPut, 200), stats_of(OpKind::kGet, 400)};
  result.process.after.written_bytes = 2 * 200 * 116;
  result.disk_use_bytes = 3 * 1000 * 116;
  result.series.interval_ns = 1'000'000'000;
  SeriesCounts first;
  first.by_kind[0] = 150;
  first.flushes = 2;
  SeriesCounts second;
  second.by_kind[0] = 50;
  result.series.samples = {first, second};
  result.depths = {600, 0, 0, 0, 0, 0, 0};
  Span<CommitStages> stages;
  stages.before.sync = {.count = 1, .sum_ns = 100, .buckets = {{.low_ns = 100, .end_ns = 102, .count = 1}}};
  stages.after.sync = {
      .count = 4,
      .sum_ns = 3'100'000,
      .buckets = {{.low_ns = 100, .end_ns = 102, .count = 1}, {.low_ns = 1'000'000, .end_ns = 1'015'625, .count = 3}}};
  result.stages = stages;
  return result;
}

TEST(TextReport, HasASectionForEachKindOfOperationInFiosWords) {
  const std::string text = text_report(result_of());
  EXPECT_THAT(text, HasSubstr("mixed: (groupid=0, jobs=1): err= 0: pid="));
  EXPECT_THAT(text, HasSubstr("  put: OPS=100, BW=11.3KiB/s (11.6kB/s)(22.7KiB/2000msec)\n"));
  EXPECT_THAT(text, HasSubstr("  get: OPS=200, BW="));
  EXPECT_THAT(text, HasSubstr("    clat (usec): min=10, max=209, avg="));
  EXPECT_THAT(text, HasSubstr("     lat (usec): min=10, max=209, avg="));
  EXPECT_THAT(text, HasSubstr("    clat percentiles (usec):\n     |  1.00th=["));
  EXPECT_THAT(text, HasSubstr("   ops         : min=   50, max=  150, avg=100.00"));
  EXPECT_THAT(text, HasSubstr("  lat (usec)   : "));
  EXPECT_THAT(text, HasSubstr("  cpu          : usr="));
  EXPECT_THAT(text, HasSubstr("  IO depths    : 1=100.0%, 2=0.0%"));
  EXPECT_THAT(text, Not(HasSubstr("slat")));  // Nothing is handed over to be answered later.
}

TEST(TextReport, SaysWhatTheKernelCountedForEachByteGivenAndStored) {
  const std::string text = text_report(result_of());
  EXPECT_THAT(text, HasSubstr("(2.00 for each byte given)"));
  EXPECT_THAT(text, HasSubstr("(3.00 for each byte of the data)"));
}

TEST(TextReport, TheStagesOfCommitsAreThoseOfTheMeasuredPartAlone) {
  const std::string text = text_report(result_of());
  EXPECT_THAT(text, HasSubstr("sync=1007.8 / 1007.8"));
  EXPECT_THAT(text, HasSubstr("    sync (usec): min=1007, max=1007"));
}

TEST(TextReport, AJobThatFailedSaysSoInItsFirstLine) {
  JobResult result = result_of();
  result.error = "commit: no_space";
  EXPECT_THAT(text_report(result), HasSubstr("err= 1 (commit: no_space): pid="));
}

TEST(RunStatus, HasALineForEachKindOfEachJobUnderItsGroup) {
  std::vector<JobResult> results = {result_of(), result_of()};
  results[1].group_id = 1;
  const std::string text = run_status(results);
  EXPECT_THAT(text, HasSubstr("Run status group 0 (all jobs):\n       PUT: bw=11.3KiB/s"));
  EXPECT_THAT(text, HasSubstr("Run status group 1 (all jobs):\n"));
}

TEST(JsonReport, HasFiosShapeForEachKindAndNanosecondsThroughout) {
  const Json document = Json::parse(json_report({result_of()}, {}, JsonBins::kWithout));
  const Json& job = document["jobs"][0];
  for (const char* key :
       {"jobname",       "groupid",    "job_start",   "error",      "eta",     "elapsed", "job options", "put",
        "get",           "sync",       "job_runtime", "usr_cpu",    "sys_cpu", "ctx",     "majf",        "minf",
        "iodepth_level", "latency_ns", "latency_us",  "latency_ms", "engine",  "system",  "series"}) {
    EXPECT_TRUE(job.contains(key)) << key;
  }
  for (const char* key :
       {"io_bytes", "io_kbytes",  "bw_bytes", "bw",       "iops",      "runtime",     "total_ios",   "short_ios",
        "drop_ios", "slat_ns",    "clat_ns",  "lat_ns",   "bw_min",    "bw_max",      "bw_agg",      "bw_mean",
        "bw_dev",   "bw_samples", "iops_min", "iops_max", "iops_mean", "iops_stddev", "iops_samples"}) {
    EXPECT_TRUE(job["put"].contains(key)) << key;
  }
  EXPECT_EQ(job["put"]["clat_ns"]["min"], 10'000);
  EXPECT_EQ(job["put"]["clat_ns"]["N"], 200);
  EXPECT_TRUE(job["put"]["clat_ns"]["percentile"].contains("99.990000"));
  EXPECT_FALSE(job["put"]["clat_ns"].contains("bins"));
  EXPECT_EQ(job["sync"]["total_ios"], 3);
}

TEST(JsonReport, WithBinsTheBucketsAddUpToTheCalls) {
  const Json document = Json::parse(json_report({result_of()}, {}, JsonBins::kWith));
  std::uint64_t sum = 0;
  for (const auto& [ns, count] : document["jobs"][0]["get"]["clat_ns"]["bins"].items()) {
    EXPECT_GT(std::stoull(ns), 0U);
    sum += count.get<std::uint64_t>();
  }
  EXPECT_EQ(sum, 400U);
}

TEST(JsonReport, IsWhatThePageOfPicturesReads) {
  const ResultFile file = parse_result(json_report({result_of()}, {}, JsonBins::kWith), "r.json");
  ASSERT_EQ(file.jobs.size(), 1U);
  const ResultJob& job = file.jobs[0];
  EXPECT_EQ(job.engine, "penstock");
  EXPECT_EQ(job.ops_per_second, 300);
  EXPECT_EQ(job.written_for_each_byte, 2);
  EXPECT_EQ(job.space_for_each_byte, 3);
  ASSERT_GE(job.calls.size(), 2U);
  EXPECT_EQ(job.calls[0].name, "put");
  EXPECT_EQ(job.calls[0].curve.back().percent, 100);
  ASSERT_EQ(job.series.size(), 2U);
  EXPECT_EQ(job.series[0].operations, 150);
  EXPECT_EQ(job.series[0].flushes, 2);
  EXPECT_THAT(report_page({file}), HasSubstr("a flush ended"));
}

}  // namespace
}  // namespace penstock::bench
