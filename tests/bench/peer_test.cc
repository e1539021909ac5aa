// Goal: every engine that is built in stores what the jobs write and is checked as Penstock is. Method: small jobs on real
// stores, whose clients check each value that they read; and single calls of the adapters, where a job cannot tell.
#include "tools/penstock-bench/peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/report.h"
#include "tools/penstock-bench/runner.h"
#include "tools/penstock-bench/session.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

class PeerTest : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    if (!has_engine(GetParam())) {
      GTEST_SKIP() << missing_engine_text(GetParam());
    }
    std::string name = (fs::temp_directory_path() / "penstock-peer-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override {
    if (!path_.empty()) {
      fs::remove_all(path_);
    }
  }

  // Of one session: jobs find what those before them left.
  std::vector<JobResult> run(const std::string& sections) {
    const std::string text = "[global]\ndir=" + (path_ / "db").string() + "\nengine=" + engine_name(GetParam()) +
                             "\nmemory_limit=64m\nkeys=500\nclients=3\n" + sections;
    std::vector<JobResult> results;
    Session session;
    for (const Job& job : build_jobs(parse_job_text(text, "test.ini", {}), {})) {
      results.push_back(run_job(session, job, Eta::kNever));
    }
    session.close();
    return results;
  }

  std::unique_ptr<Peer> open(std::uint32_t families, Durability durability) {
    fs::create_directories(path_ / "store");
    return open_peer(GetParam(), {.directory = (path_ / "store").string(),
                                  .families = families,
                                  .clients = 2,
                                  .memtable_bytes = 8U << 20U,
                                  .cache_bytes = 8U << 20U,
                                  .durability = durability});
  }

  fs::path path_;
};

std::vector<std::pair<std::string, std::string>> rows_of(PeerClient& client, std::uint32_t family, std::string_view from,
                                                         std::uint32_t rows) {
  std::vector<std::pair<std::string, std::string>> found;
  client.scan(family, from, rows, [&](std::string_view key, std::string_view value) {
    found.emplace_back(key, value);
    return true;
  });
  return found;
}

TEST_P(PeerTest, JobsFillOverwriteCommitReadScanAndVerify) {
  const auto results =
      run("[fill]\nop=fillrandom\nbatch=10\nsettled=1\nverify=1\n"
          "[overwrite]\nop=overwrite\nbatch=10\nops=600\nkey_dist=zipf:0.99\nverify=1\n"
          "[read]\nop=readrandom\nops=300\n"
          "[multi]\nop=readrandom\nops=305\nsession=1\niodepth=16\n"
          "[scan]\nop=scan\nops=30\nscan_rows=20\nreopen=1\n"
          "[commit]\nop=commit\nops=60\nfresh=0\nverify=1\n");
  const std::vector<std::uint64_t> operations = {500, 600, 300, 305, 30, 60};
  ASSERT_EQ(results.size(), operations.size());
  for (std::size_t at = 0; at < results.size(); ++at) {
    EXPECT_EQ(results[at].error, "") << results[at].job.name;
    EXPECT_EQ(results[at].operations, operations[at]) << results[at].job.name;
    EXPECT_EQ(results[at].loaded_keys, 0U) << results[at].job.name;  // The first job's data is known to the others.
  }
  EXPECT_EQ(results[0].verify->keys, 500U);
  EXPECT_EQ(results[0].commits, 51U);  // 166 or 167 keys of each client, ten at a time.
  EXPECT_EQ(results[3].latency.count(), 305U);
}

TEST_P(PeerTest, EveryDurabilityKeepsItsDataOverAnOrderlyClose) {
  const auto results =
      run("[global]\nop=batch_put\nfamilies=2\nbatch=7\ncommits=5\nverify=1\n"
          "[sync]\ndurability=sync\n[written]\ndurability=written\n[buffered]\ndurability=buffered\n");
  ASSERT_EQ(results.size(), 3U);
  for (const JobResult& result : results) {
    EXPECT_EQ(result.error, "") << result.job.name;
    ASSERT_TRUE(result.verify.has_value());
    EXPECT_EQ(result.verify->keys, 3U * 35);
    ASSERT_TRUE(result.peer.has_value());
    EXPECT_THAT(text_report(result), HasSubstr(result.peer->about.durability));
  }
  EXPECT_NE(results[0].peer->about.durability, results[1].peer->about.durability);
  EXPECT_NE(results[1].peer->about.durability, results[2].peer->about.durability);
}

// Its data would lie among the rows of the other.
TEST_P(PeerTest, DataIsLoadedIntoAnEmptyStoreWhereAnotherJobLeftRows) {
  const auto results = run("[other]\nop=batch_put\nfamilies=2\nbatch=100\ncommits=5\n[scan]\nop=scan\nops=50\n");
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].error, "");
  EXPECT_EQ(results[1].loaded_keys, 500U);
}

TEST_P(PeerTest, AJobThatReadsLoadsItsDataFirstAndChecksWhatItReads) {
  EXPECT_EQ(run("[read]\nop=readrandom\nops=50\n")[0].loaded_keys, 500U);
  EXPECT_EQ(run("[read]\nop=readrandom\nops=50\n")[0].loaded_keys, 0U);
  EXPECT_THAT(run("[read]\nop=readrandom\nops=50\nseed=2\n")[0].error, HasSubstr("holds other data"));
  // Values of another seed under the keys of this one: the check is not the engine's.
  EXPECT_EQ(
      run("[other]\nop=batch_put\nfamilies=1\nclients=1\nbatch=500\ncommits=1\nkey_size=16\nvalue_size=100\nseed=2\nfresh=0\n")
          [0]
              .error,
      "");
  EXPECT_THAT(run("[read]\nop=readrandom\nops=50\n")[0].error, HasSubstr("is not one that was written"));
  EXPECT_THAT(run("[scan]\nop=scan\nops=50\n")[0].error, HasSubstr("is not one that was written"));
}

TEST_P(PeerTest, ABatchIsThereAfterItsCommitAndNotBefore) {
  const auto peer = open(2, Durability::kWritten);
  const auto writer = peer->client();
  const auto reader = peer->client();
  writer->put(0, "a", "1");
  writer->put(0, "b", "2");
  EXPECT_EQ(reader->get(0, "a"), std::nullopt);
  writer->commit();
  EXPECT_EQ(reader->get(0, "a"), "1");
  EXPECT_EQ(reader->get(1, "a"), std::nullopt);
  writer->put(1, "a", "3");
  writer->commit();
  EXPECT_EQ(reader->get(1, "a"), "3");
  EXPECT_EQ(reader->get(0, "a"), "1");
  EXPECT_EQ(reader->get(1, "b"), std::nullopt);
}

TEST_P(PeerTest, AScanBeginsAtItsKeyAndEndsWithItsFamily) {
  const auto peer = open(2, Durability::kWritten);
  const auto client = peer->client();
  for (const char* key : {"b", "d", "f"}) {
    client->put(0, key, key);
  }
  client->commit();
  client->put(1, "a", "other");
  client->commit();
  EXPECT_THAT(rows_of(*client, 0, "c", 9), ElementsAre(Pair("d", "d"), Pair("f", "f")));
  EXPECT_THAT(rows_of(*client, 0, "b", 2), ElementsAre(Pair("b", "b"), Pair("d", "d")));
  EXPECT_THAT(rows_of(*client, 0, "g", 9), IsEmpty());
  EXPECT_THAT(rows_of(*client, 1, "A", 9), ElementsAre(Pair("a", "other")));
}

TEST_P(PeerTest, AMultiGetTellsEachKeyItsValueOrThatThereIsNone) {
  const auto peer = open(1, Durability::kWritten);
  const auto client = peer->client();
  client->put(0, "a", "1");
  client->put(0, "c", "3");
  client->commit();
  std::vector<std::string> found;
  client->multi_get(0, std::vector<std::string>{"c", "b", "a"}, [&](std::size_t at, std::optional<std::string_view> value) {
    found.push_back(std::to_string(at) + std::string(value.value_or("-")));
  });
  EXPECT_THAT(found, ElementsAre("03", "1-", "21"));
}

TEST_P(PeerTest, WhatWasSettledIsThereAgainAndTheEngineSaysWhatItIs) {
  {
    const auto peer = open(1, Durability::kSync);
    const auto client = peer->client();
    client->put(0, "a", "1");
    client->commit();
    peer->settle();
    EXPECT_THAT(peer->about().version, Not(IsEmpty()));
    EXPECT_THAT(peer->about().options, Not(IsEmpty()));
    for (const PeerCounter& counter : peer->counters()) {
      EXPECT_THAT(counter.name, Not(IsEmpty()));
    }
  }
  const auto peer = open(1, Durability::kSync);
  EXPECT_EQ(peer->client()->get(0, "a"), "1");
}

TEST_P(PeerTest, AStoreThatCannotBeOpenedIsAnErrorOfTheJob) {
  EXPECT_THROW(static_cast<void>(open_peer(GetParam(), {.directory = (path_ / "no" / "such").string()})), JobError);
}

INSTANTIATE_TEST_SUITE_P(Engines, PeerTest,
                         ::testing::Values(Engine::kRocksdb, Engine::kLmdb, Engine::kLeveldb, Engine::kWiredtiger),
                         [](const ::testing::TestParamInfo<Engine>& engine) { return engine_name(engine.param); });

TEST(Engines, OneThatIsNotBuiltInSaysWhatToInstall) {
  EXPECT_TRUE(has_engine(Engine::kPenstock));
  for (const Engine engine : {Engine::kRocksdb, Engine::kLmdb, Engine::kLeveldb, Engine::kWiredtiger}) {
    const std::string package = "lib" + engine_name(engine) + "-dev";
    EXPECT_THAT(missing_engine_text(engine), HasSubstr("install " + package));
    const auto jobs =
        build_jobs(parse_job_text("[a]\nop=commit\ndir=/d\nops=1\nengine=" + engine_name(engine), "a.ini", {}), {});
    if (has_engine(engine)) {
      EXPECT_NO_THROW(require_engines(jobs));
      EXPECT_THAT(engine_help(), Not(HasSubstr(package)));
    } else {
      EXPECT_THROW(require_engines(jobs), UsageError);
      EXPECT_THAT(engine_help(), HasSubstr(package));
    }
  }
}

TEST(Engines, JobsOfSeveralEnginesShareARun) {
  std::string name = (fs::temp_directory_path() / "penstock-peer-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  std::string text = "[global]\nop=fillrandom\nkeys=100\nverify=1\nmemory_limit=64m\ndir=" + name + "/db\n[penstock]\n";
  for (const Engine engine : {Engine::kRocksdb, Engine::kLmdb, Engine::kLeveldb, Engine::kWiredtiger}) {
    if (has_engine(engine)) {
      text += "[" + engine_name(engine) + "]\nengine=" + engine_name(engine) + "\n";
    }
  }
  text += "[penstock-again]\nop=readrandom\nops=10\n";
  Session session;
  for (const Job& job : build_jobs(parse_job_text(text, "test.ini", {}), {})) {
    const JobResult result = run_job(session, job, Eta::kNever);
    EXPECT_EQ(result.error, "") << job.name;
    EXPECT_EQ(result.loaded_keys, 0U) << job.name;
  }
  session.close();
  fs::remove_all(name);
}

}  // namespace
}  // namespace penstock::bench
