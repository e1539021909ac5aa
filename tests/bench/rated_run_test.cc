// Goal: every kind of client keeps a rate and ends in time, and what a time based job wrote over and over is found again.
// Method: small jobs on a real database. Time is only ever compared from below: a call does not begin before it is due.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>

#include "tests/bench/run_sections.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

struct Kind {
  const char* name;
  const char* settings;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for it by this name.
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class RatedRun : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "penstock-rate-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { fs::remove_all(path_); }

  JobResult run(const std::string& settings) {
    const std::string text =
        "[job]\ndir=" + path_.string() + "/db\nreactors=2\nshards=2\nmemory_limit=64m\ndurability=written\n" + settings;
    return run_sections(text).front();
  }

  fs::path path_;
};

TEST_P(RatedRun, NoCallBeginsBeforeItIsDue) {
  // 2 clients, 100 operations each: the last one is due at 99.5 ms.
  const JobResult result = run(std::string(GetParam().settings) + "clients=2\nops=200\nrate_ops=2000\n");
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.operations(), 200U);
  std::uint64_t calls = 0;
  for (const OpStats& stats : result.ops) {
    calls += stats.latency.count();
  }
  const bool is_batched = result.job.batch > 1 && result.job.op == Op::kPut;
  EXPECT_EQ(calls, is_batched ? 20U : 200U);
  const std::uint64_t last_due_ns = result.job.batch > 1 ? 95'000'000 : 99'500'000;
  EXPECT_GE(result.elapsed_ns, last_due_ns - Pacer::kEarlyNsMax);
  EXPECT_EQ(result.behind_ns, 0U);
}

TEST_P(RatedRun, ARateThatIsNotReachedEndsWithTheTimeAndSaysHowFarBehindItIs) {
  const JobResult result =
      run(std::string(GetParam().settings) + "clients=2\nruntime=200ms\nrate_ops=1000000000\ntime_based=1\n");
  EXPECT_EQ(result.error, "");
  EXPECT_GT(result.operations(), 0U);
  EXPECT_GE(result.behind_ns, 100'000'000U);
  std::uint64_t slowest_ns = 0;
  for (const OpStats& stats : result.ops) {
    slowest_ns = std::max(slowest_ns, stats.latency.max_ns());
  }
  EXPECT_GE(slowest_ns, 20'000'000U);  // Every call was due at the beginning.
}

INSTANTIATE_TEST_SUITE_P(
    AllClients, RatedRun,
    ::testing::Values(Kind{"Batches", "op=put\nkey_order=sequential\ncfs=2\nkeys=1000\nbatch=10\n"},
                      Kind{"BatchesInFlight", "op=put\nkey_order=sequential\ncfs=2\nkeys=1000\nbatch=10\niodepth=4\n"},
                      Kind{"Commits", "op=put\nkeys=1000\npreload=0\n"},
                      Kind{"CommitsOnShards", "op=put\nkeys=1000\npreload=0\nplacement=on_shard\n"},
                      Kind{"Gets", "op=get\nkeys=1000\n"}, Kind{"GetsInFlight", "op=get\nkeys=1000\niodepth=8\n"},
                      Kind{"GetsOfASession", "op=get\nkeys=1000\niodepth=8\nsession=1\n"},
                      Kind{"GetsOnShards", "op=get\nkeys=1000\nplacement=on_shard\n"},
                      Kind{"Multigets", "op=multiget\nkeys=1000\nbatch=10\n"},
                      Kind{"Scans", "op=scan\nkeys=1000\nscan_len=5\n"},
                      Kind{"ScansOnShards", "op=scan\nkeys=1000\nscan_len=5\nplacement=on_shard\n"},
                      Kind{"Mixed", "op=mixed\nopmix=get:2,put:1,rmw:1,scan:1\nscan_len=5\nkeys=1000\niodepth=4\n"},
                      Kind{"MixedOnShards",
                           "op=mixed\nopmix=get:2,put:1,rmw:1,scan:1\nscan_len=5\nkeys=1000\nplacement=on_shard\n"}),
    [](const ::testing::TestParamInfo<Kind>& kind) { return kind.param.name; });

using TimeBasedRun = RatedRun;

TEST_F(TimeBasedRun, KeysAreWrittenAgainAndAgainAndTheirLastVersionIsThere) {
  for (const char* settings : {"op=put\nkey_order=sequential\nclients=3\ncfs=2\nbatch=7\nkeys=21\n",
                               "op=put\nkey_order=shuffled\nkeys=100\nclients=3\nbatch=7\n"}) {
    const JobResult result = run(std::string(settings) + "runtime=50ms\ntime_based=1\nverify=1\n");
    EXPECT_EQ(result.error, "");
    const std::uint64_t keys = result.job.keys * result.job.cfs;
    EXPECT_GT(result.operations(), keys);
    ASSERT_TRUE(result.verify.has_value());
    EXPECT_EQ(result.verify->keys, keys);
  }
}

}  // namespace
}  // namespace penstock::bench
