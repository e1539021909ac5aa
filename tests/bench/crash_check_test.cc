// Goal: the crash check passes on every engine whose process is killed in the middle of its load, and finds a planted loss: a
// ledger that claims a commit that was never made, and a store whose last commits were taken away. Method: real kills, real
// stores.
#include "tools/penstock-bench/crash_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/bench/run_sections.h"
#include "tools/penstock-bench/report.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class CrashCheck : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    if (!has_engine(GetParam())) {
      GTEST_SKIP() << missing_engine_text(GetParam());
    }
    std::string name = (fs::temp_directory_path() / "penstock-crash-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (!folder_.empty()) {
      fs::remove_all(folder_);
    }
  }

  // Batches over two families, keys overwritten again and again, until the kill or the end of the operations.
  std::string text(const std::string& settings) const {
    const bool is_ours = GetParam() == Engine::kPenstock;
    return "[load]\ndir=" + (folder_ / "db").string() + "\nengine=" + engine_name(GetParam()) +
           "\nop=put\nkey_order=random\ncfs=2\nkeys=500\nclients=4\nbatch=5\nmemory_limit=64m\nfresh=1\npreload=0\n" +
           (is_ours ? "shards=2\nreactors=2\ncf_placement=pinned\n" : "") + settings;
  }
  JobResult run(const std::string& settings) const { return run_sections(text(settings)).front(); }
  Job job(const std::string& settings) const { return build_jobs(parse_job_text(text(settings), "test.ini", {}), {}).front(); }

  fs::path folder_;
};

TEST_P(CrashCheck, NothingThatWasAcknowledgedIsLostByAKill) {
  for (const std::string durability : {"sync", "written"}) {
    const JobResult result = run("ops=2000000\ntrigger=kill\ntrigger_timeout=200ms\ndurability=" + durability + "\n");
    EXPECT_EQ(result.error, "");
    ASSERT_TRUE(result.verify.has_value());
    EXPECT_GT(result.verify->issued, 0U);
    EXPECT_GE(result.verify->issued, result.verify->acknowledged);
    EXPECT_EQ(result.verify->demanded, result.verify->acknowledged);
    if (durability == "written") {  // Of a slow disk the first sync may still be on its way.
      EXPECT_GT(result.verify->rows, 0U);
    }
    EXPECT_THAT(text_report(result), HasSubstr("killed after"));
  }
}

TEST_P(CrashCheck, WhatIsOnlyBufferedMayBeLostAndIsNeverHalfThere) {
  const JobResult result = run("ops=2000000\ntrigger=kill\ntrigger_timeout=80ms\ndurability=buffered\nverify_policy=durable\n");
  EXPECT_EQ(result.error, "");
  ASSERT_TRUE(result.verify.has_value());
  EXPECT_EQ(result.verify->demanded, 0U);
}

TEST_P(CrashCheck, AnEarlierRunIsCheckedByItsLedgerAlone) {
  const JobResult written = run("ops=2000\nverify=inline\n");
  EXPECT_EQ(written.error, "");
  const JobResult only = run("ops=2000\nverify=only\n");
  EXPECT_EQ(only.error, "");
  ASSERT_TRUE(only.verify.has_value());
  EXPECT_EQ(only.verify->demanded, 2000U);
  EXPECT_EQ(only.verify->rows, written.verify->rows);
}

TEST_P(CrashCheck, ALedgerThatClaimsACommitThatWasNeverMadeIsNotBelieved) {
  EXPECT_EQ(run("ops=2000\nverify=1\n").error, "");
  // The clients have 500 operations each; with 2,500 in all the plan of each goes on in the same way.
  const Job more = job("ops=2500\nverify=only\n");
  {
    Ledger ledger = Ledger::create(ledger_path(more), plan_text(more), more.clients);
    for (std::uint32_t client = 0; client < more.clients; ++client) {
      ledger.counters()[client].issued = 500;
      ledger.counters()[client].acknowledged = 500;
    }
    ledger.counters()[2].issued = 505;
    ledger.counters()[2].acknowledged = 505;
  }
  const JobResult result = run("ops=2500\nverify=only\n");
  EXPECT_THAT(result.error, HasSubstr("or later is expected"));
  EXPECT_EQ(result.failure, Failure::kJob);
  EXPECT_GT(result.verify->missing, 0U);
}

TEST_P(CrashCheck, AStoreWhoseLastCommitsWereTakenAwayIsFound) {
  EXPECT_EQ(run("ops=2000\nverify=1\n").error, "");
  const fs::path store = GetParam() == Engine::kPenstock ? folder_ / "db" : folder_ / ("db-" + engine_name(GetParam()));
  fs::copy(store, folder_ / "earlier", fs::copy_options::recursive);
  EXPECT_EQ(run("ops=2400\nverify=1\n").error, "");
  fs::remove_all(store);
  fs::copy(folder_ / "earlier", store, fs::copy_options::recursive);
  const JobResult result = run("ops=2400\nverify=only\n");
  EXPECT_THAT(result.error, HasSubstr("or later is expected"));
}

INSTANTIATE_TEST_SUITE_P(AllEngines, CrashCheck,
                         ::testing::Values(Engine::kPenstock, Engine::kRocksdb, Engine::kLmdb, Engine::kLeveldb,
                                           Engine::kWiredtiger),
                         [](const ::testing::TestParamInfo<Engine>& engine) { return engine_name(engine.param); });

TEST(CrashCheckOfACommand, ACommandThatFailsFailsTheJob) {
  std::string name = (fs::temp_directory_path() / "penstock-crash-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const JobResult result =
      run_sections("[load]\ndir=" + name +
                   "/db\nop=put\nkey_order=random\nkeys=100\nops=100000\nmemory_limit=64m\nreactors=1\nshards=1\n"
                   "fresh=1\npreload=0\ntrigger=exit 3\ntrigger_timeout=10ms\n")
          .front();
  EXPECT_THAT(result.error, HasSubstr("trigger=exit 3"));
  fs::remove_all(name);
}

}  // namespace
}  // namespace penstock::bench
