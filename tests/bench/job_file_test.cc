// Job files: what is understood, and that every mistake is answered with file, line and the nearest word.
#include "tools/penstock-bench/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/job_words.h"
#include "tools/penstock-bench/store_options.h"

namespace penstock::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<Job> jobs_of(const std::string& text, const std::vector<Setting>& overrides = {}) {
  const Environment environment = {{"DATA", "/data/kv"}, {"ncores", "4"}};
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
      "[global]\nop=put\nops=5\ndir=/d\nbatch=10\n"
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
      jobs_of("# first\n\n  ; second\r\n[a]   ; third\n op = put # fourth\ndir=/d;1\nops=5\n  reopen\t\nverify=yes\n");
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].directory, "/d;1");
  EXPECT_TRUE(jobs[0].reopen);
  EXPECT_TRUE(jobs[0].verify);
}

TEST(JobFile, TheEnvironmentIsPutIn) {
  const auto jobs = jobs_of("[a]\nop=put\nops=5\ndir=${DATA}/x\nclients=2$ncores\n");
  EXPECT_EQ(jobs[0].directory, "/data/kv/x");
  EXPECT_EQ(jobs[0].clients, 24U);
  EXPECT_THAT(complaint("[a]\ndir=${NOWHERE}\n"), AllOf(HasSubstr("a.ini:2: "), HasSubstr("NOWHERE")));
  EXPECT_THAT(complaint("[a]\ndir=${DATA\n"), HasSubstr("a.ini:2: "));
}

TEST(JobFile, OverridesComeLast) {
  const auto jobs = jobs_of("[a]\nop=put\nops=5\ndir=/d\n", {{.key = "dir", .value = "/e", .place = {}}});
  EXPECT_EQ(jobs[0].directory, "/e");
}

TEST(JobFile, ARateIsOfOperationsAndLinearUnlessSaidOtherwise) {
  const auto jobs = jobs_of(
      "[global]\nop=put\nops=5\ndir=/d\n"
      "[none]\n"
      "[linear]\nrate_ops=1500000\n"
      "[poisson]\nrate_ops=4k\nrate_process=poisson\nops=0\nruntime=2m\ntime_based\n");
  EXPECT_EQ(jobs[0].rate.ops_per_second, 0U);
  EXPECT_FALSE(jobs[0].time_based);
  EXPECT_EQ(jobs[1].rate.ops_per_second, 1'500'000U);
  EXPECT_EQ(jobs[1].rate.process, RateProcess::kLinear);
  EXPECT_EQ(jobs[2].rate.ops_per_second, 4096U);
  EXPECT_EQ(jobs[2].rate.process, RateProcess::kPoisson);
  EXPECT_TRUE(jobs[2].time_based);
}

TEST(JobFile, WhatASectionDoesNotSayFollowsFromWhatItSays) {
  const auto jobs = jobs_of(
      "[global]\nstonewall\ndir=/d\nops=5\n"
      "[overwrite]\nop=put\n[fill]\nop=put\nkey_order=shuffled\n[fill-families]\nop=put\nkey_dist=sequential\ncfs=4\n"
      "[get]\nop=get\n[anew]\nop=put\npreload=0\n[same]\nop=put\npreload=0\nfresh=0\n");
  ASSERT_EQ(jobs.size(), 6U);
  EXPECT_TRUE(jobs[0].preload && !jobs[0].fresh && !jobs[0].makes_data());
  EXPECT_TRUE(!jobs[1].preload && jobs[1].fresh && jobs[1].makes_data());
  EXPECT_EQ(jobs[1].cf_placement, Placement::kHashed);
  EXPECT_EQ(jobs[2].key_order, KeyOrder::kSequential);
  EXPECT_EQ(jobs[2].cf_placement, Placement::kPinned);
  EXPECT_FALSE(jobs[2].makes_data());  // One client: three families stay empty.
  EXPECT_TRUE(jobs[3].preload && !jobs[3].fresh);
  EXPECT_TRUE(!jobs[4].preload && jobs[4].fresh && !jobs[4].makes_data());
  EXPECT_TRUE(!jobs[5].preload && !jobs[5].fresh);
}

TEST(JobFile, CopiesRunTogetherAndStonewallsDivide) {
  const auto jobs = jobs_of(
      "[global]\ndir=/d\nop=get\nops=5\n"
      "[a]\nnumjobs=3\nclients=2\n[b]\n[c]\nstonewall\nnumjobs=2\n[d]\nwait_for_previous=1\n");
  ASSERT_EQ(jobs.size(), 7U);
  EXPECT_EQ(jobs[0].name, "a.1");
  EXPECT_EQ(jobs[2].name, "a.3");
  EXPECT_NE(jobs[0].stream, jobs[2].stream);
  EXPECT_EQ(jobs[0].clients_together, 7U);
  std::vector<bool> walls;
  for (const Job& job : jobs) {
    walls.push_back(job.stonewall);
  }
  EXPECT_EQ(walls, (std::vector<bool>{true, false, false, false, true, false, true}));
}

TEST(JobFile, APeerGetsAThreadForEachCallInFlight) {
  const auto jobs =
      jobs_of("[global]\nstonewall\ndir=/d\nop=get\nops=5\nclients=4\niodepth=8\n[ours]\n[theirs]\nengine=lmdb\n");
  EXPECT_EQ(jobs[0].clients, 4U);
  EXPECT_EQ(jobs[0].iodepth, 8U);
  EXPECT_EQ(jobs[1].clients, 32U);
  EXPECT_EQ(jobs[1].iodepth, 1U);
}

TEST(JobFile, CacheDecidesTheMemoryLimit) {
  const auto jobs =
      jobs_of("[a]\nop=get\nops=5\ndir=/d\ncache=450m\n[b]\nstonewall\nop=get\nops=5\ndir=/d\nengine=lmdb\ncache=450m\n");
  EXPECT_EQ(jobs[0].runtime.memory_limit, std::uint64_t{1000} << 20U);
  EXPECT_EQ(peer_settings(jobs[1]).cache_bytes, std::uint64_t{450} << 20U);
}

TEST(JobFile, MixesAreSharesOfOne) {
  const auto jobs = jobs_of("[a]\nop=mixed\nopmix=get:3,put:1\nops=5\ndir=/d\n");
  ASSERT_EQ(jobs[0].mix.size(), 2U);
  EXPECT_EQ(jobs[0].mix[0].share, 0.75);
  EXPECT_TRUE(jobs[0].writes() && jobs[0].reads() && !jobs[0].deletes());
  EXPECT_EQ(mix_text(jobs[0].mix), "get:75,put:25");
}

// Each file of bad_jobs/ says in its first line what is wrong with it.
TEST(BadJobs, EachIsAnsweredWithFileLineAndWhatWasExpected) {
  const std::filesystem::path folder = std::filesystem::path(PENSTOCK_SOURCE_DIR) / "tests/bench/bad_jobs";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream input(entry.path());
    std::stringstream content;
    content << input.rdbuf();
    const std::string text = content.str();
    ASSERT_TRUE(text.starts_with("; ")) << entry.path();
    const std::string expected = text.substr(2, text.find('\n') - 2);
    std::string found = "no complaint";
    try {
      build_jobs(parse_job_text(text, "bad.ini", {}), {});
    } catch (const UsageError& error) {
      found = error.what();
    }
    EXPECT_EQ(found, expected) << entry.path();
    EXPECT_TRUE(found.starts_with("bad.ini:")) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 50U);
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
  write("common/base.ini", "[global]\ndir=/d\nop=put\nops=5\ninclude more.ini\n");
  write("common/more.ini", "clients=3\n");
  write("common/size7.ini", "keys=70\n");
  write("a.ini",
        "include = common/base.ini\n[one]\nops=6\ninclude common/size${SIZE}.ini ; a comment\nseed=8\n[two]\nstonewall\n");
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
  write("a.ini", "include base.ini\n[one]\nop=put\nops=5\n");
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
