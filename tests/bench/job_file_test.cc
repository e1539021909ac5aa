// Job files: what is understood, and that every mistake is answered with file, line and the nearest word.
#include "tools/penstock-bench/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tools/penstock-bench/job.h"

namespace penstock::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<Job> jobs_of(const std::string& text, const std::vector<Setting>& overrides = {}) {
  const Environment environment = {{"DATA", "/data/kv"}};
  return build_jobs(parse_job_text(text, "a.ini", environment), overrides);
}

// The complaint about `text`; empty if there is none.
std::string complaint(const std::string& text) {
  try {
    jobs_of(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

TEST(JobFile, GlobalSettingsHoldForTheSectionsBelowAndGiveWayToTheirOwn) {
  const auto jobs = jobs_of(
      "[global]\nop=batch_put\ndir=/d\nbatch=10\n"
      "[one]\nbatch=20\n"
      "[two]\n"
      "[global]\nbatch=30\n"
      "[three]\n");
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_EQ(jobs[0].name, "one");
  EXPECT_EQ(jobs[0].batch, 20U);
  EXPECT_EQ(jobs[1].batch, 10U);
  EXPECT_EQ(jobs[2].batch, 30U);
}

TEST(JobFile, CommentsBlanksAndLoneKeysAreUnderstood) {
  const auto jobs =
      jobs_of("# first\n\n  ; second\r\n[a]   ; third\n op = batch_put # fourth\ndir=/d;1\n  reopen\t\nverify=yes\n");
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].directory, "/d;1");
  EXPECT_TRUE(jobs[0].reopen);
  EXPECT_TRUE(jobs[0].verify);
}

TEST(JobFile, TheEnvironmentIsPutIn) {
  EXPECT_EQ(jobs_of("[a]\nop=batch_put\ndir=${DATA}/x\n")[0].directory, "/data/kv/x");
  EXPECT_THAT(complaint("[a]\ndir=${NOWHERE}\n"), AllOf(HasSubstr("a.ini:2: "), HasSubstr("NOWHERE")));
  EXPECT_THAT(complaint("[a]\ndir=${DATA\n"), HasSubstr("a.ini:2: "));
}

TEST(JobFile, OverridesComeLast) {
  const auto jobs = jobs_of("[a]\nop=batch_put\ndir=/d\n", {{.key = "dir", .value = "/e", .place = {}}});
  EXPECT_EQ(jobs[0].directory, "/e");
}

TEST(JobFile, AnUnknownKeyIsAnsweredWithPlaceAndNearestKey) {
  EXPECT_THAT(complaint("[a]\nop=batch_put\n\nclient=8\n"),
              AllOf(HasSubstr("a.ini:4: "), HasSubstr("'client'"), HasSubstr("'clients'")));
  EXPECT_THAT(complaint("[global]\nvaluesize=8\n[a]\nop=commit\n"), AllOf(HasSubstr("a.ini:2: "), HasSubstr("'value_size'")));
}

TEST(JobFile, ABadValueIsAnsweredWithPlaceAndWhatWasExpected) {
  EXPECT_THAT(complaint("[a]\nop=batch_putt\n"), AllOf(HasSubstr("a.ini:2: "), HasSubstr("'batch_put'")));
  EXPECT_THAT(complaint("[a]\nop=commit\nruntime=5x\n"), AllOf(HasSubstr("a.ini:3: "), HasSubstr("a time was expected")));
  EXPECT_THAT(complaint("[a]\nop=commit\nkeys=many\n"), AllOf(HasSubstr("a.ini:3: "), HasSubstr("keys=many")));
  EXPECT_THAT(complaint("[a]\nop=commit\nclients=0\n"), AllOf(HasSubstr("a.ini:3: "), HasSubstr("at least 1")));
  EXPECT_THAT(complaint("[a]\nop=commit\nclients=5g\n"), HasSubstr("too large"));
  EXPECT_THAT(complaint("[a]\nop=commit\nfresh=maybe\n"), HasSubstr("0 or 1"));
}

TEST(JobFile, JobsThatCannotRunAreRefused) {
  EXPECT_THAT(complaint("[a]\ndir=/d\n"), HasSubstr("no op="));
  EXPECT_THAT(complaint("[a]\nop=batch_put\n"), HasSubstr("no directory"));
  EXPECT_THAT(complaint("[a]\nop=commit\ndir=/d\n"), HasSubstr("never ends"));
  EXPECT_THAT(complaint("[a]\nop=commit\ndir=/d\nops=5\nbatch=2\n"), HasSubstr("batch=1"));
  EXPECT_THAT(complaint("[a]\nop=batch_put\ndir=/d\nbatch=1m\nvalue_size=1k\n"), HasSubstr("32 MiB"));
  EXPECT_THAT(complaint("[a]\nop=fillrandom\ndir=/d\nfamilies=2\n"), HasSubstr("families="));
  EXPECT_THAT(complaint("[a]\nop=batch_put\ndir=/d\n[a]\n"), HasSubstr("no op="));
  EXPECT_THAT(complaint("[a]\nop=batch_put\ndir=/d\n[a]\nop=batch_put\ndir=/d\n"),
              AllOf(HasSubstr("a.ini:4"), HasSubstr("twice")));
}

TEST(JobFile, ARateIsOfOperationsAndLinearUnlessSaidOtherwise) {
  const auto jobs = jobs_of(
      "[global]\nop=batch_put\ndir=/d\n"
      "[none]\n"
      "[linear]\nrate_ops=1500000\n"
      "[poisson]\nrate_ops=4k\nrate_process=poisson\nruntime=2m\ntime_based\n");
  EXPECT_EQ(jobs[0].rate.ops_per_second, 0U);
  EXPECT_FALSE(jobs[0].time_based);
  EXPECT_EQ(jobs[1].rate.ops_per_second, 1'500'000U);
  EXPECT_EQ(jobs[1].rate.process, RateProcess::kLinear);
  EXPECT_EQ(jobs[2].rate.ops_per_second, 4096U);
  EXPECT_EQ(jobs[2].rate.process, RateProcess::kPoisson);
  EXPECT_TRUE(jobs[2].time_based);
}

TEST(JobFile, RatesAndTimesThatContradictAreRefused) {
  EXPECT_THAT(complaint("[a]\nop=commit\ndir=/d\nops=5\nrate_process=poisson\n"), HasSubstr("needs rate_ops="));
  EXPECT_THAT(complaint("[a]\nop=commit\ndir=/d\nops=5\nrate_process=uniform\n"),
              AllOf(HasSubstr("a.ini:5: "), HasSubstr("poisson")));
  EXPECT_THAT(complaint("[a]\nop=recovery\ndir=/d\nrate_ops=5\n"), HasSubstr("op=recovery"));
  EXPECT_THAT(complaint("[a]\nop=batch_put\ndir=/d\ntime_based=1\n"), HasSubstr("set runtime="));
  EXPECT_THAT(complaint("[a]\nop=commit\ndir=/d\nruntime=5\nops=5\ntime_based=1\n"), HasSubstr("set one"));
  EXPECT_THAT(complaint("[a]\nop=commit\ndir=/d\nrate_ops=5\n"), HasSubstr("never ends"));
  EXPECT_EQ(complaint("[a]\nop=batch_put\ndir=/d\nrate_ops=0\n"), "");
}

TEST(JobFile, WhatAnEngineCannotDoIsRefusedWithTheKeyOrTheWayAround) {
  const std::string rocks = "[a]\ndir=/d\nops=5\nengine=rocksdb\n";
  EXPECT_THAT(complaint(rocks + "op=readrandom\non_shard=1\n"),
              AllOf(HasSubstr("a.ini:6: "), HasSubstr("engine=rocksdb has no on_shard=")));
  EXPECT_THAT(complaint(rocks + "op=commit\nwal_sync=dsync\n"), HasSubstr("has no wal_sync="));
  EXPECT_THAT(complaint(rocks + "op=overwrite\nclients=4\niodepth=8\n"), HasSubstr("clients=32 has as many in flight"));
  EXPECT_THAT(complaint(rocks + "op=readrandom\niodepth=8\n"), HasSubstr("session=1"));
  EXPECT_THAT(complaint(rocks + "op=recovery\n"), HasSubstr("op=recovery"));
  EXPECT_THAT(complaint("[a]\nop=commit\nengine=rocksbd\n"), AllOf(HasSubstr("a.ini:3: "), HasSubstr("'rocksdb'")));
  EXPECT_EQ(complaint(rocks + "op=readrandom\nsession=1\niodepth=8\nmemory_limit=1g\n"), "");
}

TEST(JobFile, KeyDistributionsAreReadAndRefusedWithWhatWasExpected) {
  EXPECT_EQ(jobs_of("[a]\nop=readrandom\ndir=/d\nops=5\nkey_dist=latest:1.1\n")[0].key_dist.shape.parameter, 1.1);
  EXPECT_THAT(complaint("[a]\nop=scan\nkey_dist=zipfian\n"),
              AllOf(HasSubstr("a.ini:3: "), HasSubstr("zipf:THETA"), HasSubstr("latest")));
  EXPECT_THAT(complaint("[a]\nop=fillrandom\ndir=/d\nkey_dist=zipf:1\n"), HasSubstr("write each key once"));
}

class Included : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "penstock-include-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  std::vector<Job> jobs(const std::string& name) {
    return build_jobs(read_job_file((path_ / name).string(), {{"SIZE", "7"}}), {});
  }
  std::string complaint_of(const std::string& name) {
    try {
      jobs(name);
    } catch (const UsageError& error) {
      return error.what();
    }
    return {};
  }

  std::filesystem::path path_;
};

TEST_F(Included, LinesStandWhereTheyAreIncludedAndPathsCountFromTheFile) {
  write("common/base.ini", "[global]\ndir=/d\nop=commit\nops=5\ninclude more.ini\n");
  write("common/more.ini", "clients=3\n");
  write("common/size7.ini", "keys=70\n");
  write("a.ini", "include = common/base.ini\n[one]\nops=6\ninclude common/size${SIZE}.ini ; a comment\nseed=8\n[two]\n");
  const auto found = jobs("a.ini");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].ops, 6U);
  EXPECT_EQ(found[0].keys, 70U);
  EXPECT_EQ(found[0].seed, 8U);
  EXPECT_EQ(found[1].ops, 5U);
  EXPECT_EQ(found[1].clients, 3U);
  EXPECT_NE(found[1].keys, 70U);
}

TEST_F(Included, MistakesNameTheFileInWhichTheyAre) {
  write("base.ini", "[global]\n\nclient=3\n");
  write("a.ini", "include base.ini\n[one]\nop=commit\n");
  EXPECT_THAT(complaint_of("a.ini"), AllOf(HasSubstr("base.ini:3: "), HasSubstr("'clients'")));
}

TEST_F(Included, FilesThatAreNotThereOrIncludeEachOtherAreRefusedWithTheirLine) {
  write("a.ini", "[one]\ninclude gone.ini\n");
  EXPECT_THAT(complaint_of("a.ini"), AllOf(HasSubstr("a.ini:2: "), HasSubstr("gone.ini"), HasSubstr("cannot be read")));
  write("b.ini", "[one]\ninclude\n");
  EXPECT_THAT(complaint_of("b.ini"), HasSubstr("b.ini:2: "));
  write("c.ini", "[one]\ninclude d.ini\n");
  write("d.ini", "include c.ini\n");
  EXPECT_THAT(complaint_of("c.ini"), HasSubstr("without end"));
}

// The files of bench/jobs, as they are.
TEST(JobFile, TheFilesThatComeWithItAreUnderstood) {
  const std::filesystem::path folder = std::filesystem::path(PENSTOCK_SOURCE_DIR) / "bench/jobs";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_NO_THROW(build_jobs(read_job_file(entry.path().string(), {}), {{.key = "dir", .value = "/d", .place = {}}}))
        << entry.path();
    ++files;
  }
  EXPECT_GE(files, 10U);
}

TEST(JobFile, TextThatIsNoJobFileIsRefusedWithItsLine) {
  EXPECT_THAT(complaint(""), HasSubstr("no job"));
  EXPECT_THAT(complaint("[global]\nop=commit\n"), HasSubstr("no job"));
  EXPECT_THAT(complaint("op=commit\n"), HasSubstr("a.ini:1: "));
  EXPECT_THAT(complaint("\n[a\n"), HasSubstr("a.ini:2: "));
  EXPECT_THAT(complaint("[]\n"), HasSubstr("a.ini:1: "));
  EXPECT_THAT(complaint("[a]\n=5\n"), HasSubstr("a.ini:2: "));
  EXPECT_THAT(complaint("[a]\nsome words\n"), HasSubstr("some words"));
}

TEST(JobFile, SizesAndTimesHaveUnits) {
  EXPECT_EQ(parse_size("150"), 150U);
  EXPECT_EQ(parse_size("4k"), 4096U);
  EXPECT_EQ(parse_size("1M"), 1U << 20U);
  EXPECT_EQ(parse_size("2GiB"), 2ULL << 30U);
  EXPECT_EQ(parse_duration_ns("10"), 10'000'000'000U);
  EXPECT_EQ(parse_duration_ns("500ms"), 500'000'000U);
  EXPECT_EQ(parse_duration_ns("2m"), 120'000'000'000U);
  EXPECT_THROW(parse_size("-1"), std::invalid_argument);
  EXPECT_THROW(parse_size("99999999999999999999"), std::invalid_argument);
  EXPECT_THROW(parse_size("99999999999t"), std::invalid_argument);
  EXPECT_THROW(parse_size(""), std::invalid_argument);
}

TEST(JobFile, TheNearestWordNeedsFewestEdits) {
  EXPECT_EQ(nearest_word("client", {"keys", "clients", "commits"}), "clients");
  EXPECT_EQ(nearest_word("iodepht", {"runtime", "iodepth"}), "iodepth");
  EXPECT_EQ(nearest_word("x", {}), "");
}

}  // namespace
}  // namespace penstock::bench
