// Goal: the page of pictures is well formed, stands alone and leaves nothing out. Method: results as penstock-bench writes
// them, made up here; the page is taken apart tag by tag. A browser looks at it in tests/dev/report_page_test.py.
#include "tools/penstock-bench/report_page.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace penstock::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// One job of a result: a name, an engine and a call with its latencies.
std::string job_text(const std::string& name, const std::string& engine, const std::string& more = "") {
  return fmt::format(
      R"({{"jobname": "{}", "error": 0, "ops_per_second": 1000.0, "elapsed_ns": 400000000,
          "job options": {{"engine": "{}", "op": "put", "clients": 2, "durability": "sync"}},
          "put": {{"iops": 1000.0, "clat_ns": {{"N": 100, "mean": 2000.0, "max": 9000, "bins": {{"1000": 50, "2000": 49, "9000": 1}}}}}},
          "system": {{"write_amplification": 2.5, "space_amplification": 1.25}},
          "series": {{"interval_ns": 100000000, "operations": [90, 110, 0, 100], "flushes": [0, 1, 0, 0],
                      "delayed_ns": [0, 0, 5000000, 0]}}{}}})",
      name, engine, more);
}

ResultFile result(const std::string& jobs) {
  return parse_result(R"({"penstock-bench version": "0.1.0", "time": "today", "env": {"kernel": "Linux 6.1", "cores": 2,
                          "processor": "A & B <fast>", "file_system": "ext4"}, "jobs": [)" +
                          jobs + "]}",
                      "r.json");
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

// What is wrong with the nesting of the page's elements; empty: nothing.
std::string nesting_problem(const std::string& page) {
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const std::size_t end = page.find('>', at);
    if (end == std::string::npos) {
      return "a tag does not end";
    }
    const std::string tag = page.substr(at + 1, end - at - 1);
    if (tag.starts_with("!") || tag.ends_with("/")) {
      continue;
    }
    const std::string name =
        tag.substr(tag.starts_with("/") ? 1 : 0, tag.find_first_of(" \n") - (tag.starts_with("/") ? 1 : 0));
    if (!tag.starts_with("/")) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return fmt::format("</{}> closes <{}>", name, open.empty() ? "" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "open: " + open.back();
}

TEST(ReportPage, IsWellFormedAndNeedsNoOtherFile) {
  const std::string page = report_page({result(job_text("fill", "penstock") + "," + job_text("fill-rocksdb", "rocksdb"))});
  EXPECT_EQ(nesting_problem(page), "");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>\n"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  for (const char* reference : {"http://", "https://", "src=", "url(", "@import", "<link"}) {
    // The name of SVG's namespace is not an address to be fetched.
    EXPECT_EQ(count_of(page, reference),
              std::string(reference) == "http://" ? count_of(page, "http://www.w3.org/2000/svg") : 0U)
        << reference;
  }
}

TEST(ReportPage, ShowsEachEngineOfAWorkloadInTheTableAndInAPictureOfEachKind) {
  const std::string page = report_page(
      {result(job_text("fill", "penstock") + "," + job_text("fill-rocksdb", "rocksdb") + "," + job_text("other", "lmdb"))});
  EXPECT_EQ(count_of(page, "<section"), 2U);  // fill of two engines, and other.
  EXPECT_EQ(count_of(page, "<tr class=\"penstock\">"), 1U);
  EXPECT_EQ(count_of(page, "<tr class=\"rocksdb\">"), 1U);
  EXPECT_EQ(count_of(page, "Latency of put by percentile, fill\""), 1U);
  EXPECT_EQ(count_of(page, "over time, fill\""), 2U);
  EXPECT_THAT(page, HasSubstr("<td>2.50</td><td>1.25</td>"));
  EXPECT_THAT(page, HasSubstr("<td>1 us</td><td>2 us</td>"));
}

TEST(ReportPage, MarksTheIntervalsWithFlushesAndThoseInWhichCommitsWaited) {
  const std::string page = report_page({result(job_text("fill", "penstock"))});
  EXPECT_EQ(count_of(page, "class=\"band flush\""), 1U);
  EXPECT_EQ(count_of(page, "class=\"band stall s1\""), 1U);  // 5 ms of 100.
  EXPECT_THAT(page, HasSubstr("0.2 s: commits waited 5.0 ms for room"));
}

TEST(ReportPage, TwoRunsOfOneEngineAreToldApart) {
  const std::string page = report_page({result(job_text("fill", "penstock")), result(job_text("fill", "penstock"))});
  EXPECT_EQ(count_of(page, "<tr class=\"penstock\">"), 2U);
  EXPECT_THAT(page, HasSubstr("penstock j1 d1"));
  EXPECT_THAT(page, HasSubstr("penstock (r.json)"));
}

TEST(ReportPage, AJobThatFailedIsShownWithItsError) {
  const std::string page = report_page({result(job_text("fill", "penstock", R"(, "error_text": "commit: <no space>")"))});
  EXPECT_THAT(page, HasSubstr("failed: commit: &lt;no space&gt;"));
  EXPECT_EQ(nesting_problem(page), "");
}

TEST(ReportPage, NamesCannotEndThePage) {
  const std::string page = report_page({result(job_text("</section><script>alert(1)", "penstock"))});
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("A &amp; B &lt;fast&gt;"));
  EXPECT_EQ(nesting_problem(page), "");
}

TEST(ResultFile, WhatIsNotAResultIsRefusedWithItsName) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"fio version": "fio-3.33", "jobs": []})", R"({"penstock-bench version": "1", "jobs": 3})"}) {
    try {
      parse_result(text, "other.json");
      ADD_FAILURE() << text;
    } catch (const ResultError& error) {
      EXPECT_THAT(error.what(), HasSubstr("other.json: "));
    }
  }
}

TEST(ResultFile, AResultOfPercentilesAloneHasTheirCurveUpToItsMaximum) {
  const ResultFile file = result(
      R"({"jobname": "read", "job options": {"engine": "lmdb"},
          "get": {"lat_ns": {"N": 10, "max": 700, "percentile": {"50.000000": 100, "99.000000": 500}}}})");
  ASSERT_EQ(file.jobs.size(), 1U);
  ASSERT_EQ(file.jobs[0].calls.size(), 1U);
  const std::vector<CurvePoint>& curve = file.jobs[0].calls[0].curve;
  ASSERT_EQ(curve.size(), 3U);
  EXPECT_EQ(curve[1].ns, 500);
  EXPECT_EQ(curve[2].percent, 100);
  EXPECT_EQ(curve[2].ns, 700);
}

}  // namespace
}  // namespace penstock::bench
