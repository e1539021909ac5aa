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

#include "tests/bench/run_sections.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/report.h"

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
    return run_sections(text);
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
                                                         std::uint32_t rows, bool is_reverse = false) {
  std::vector<std::pair<std::string, std::string>> found;
  client.scan({.family = family, .from = from, .rows = rows, .is_reverse = is_reverse},
              [&](std::string_view key, std::string_view value) {
                found.emplace_back(key, value);
                return true;
              });
  return found;
}

TEST_P(PeerTest, JobsFillOverwriteCommitReadScanAndVerify) {
  const auto results =
      run("[global]\nstonewall\n"
          "[fill]\nop=put\nkey_order=shuffled\nbatch=10\nsettle=1\nverify=1\n"
          "[overwrite]\nop=put\nbatch=10\nops=600\nkey_dist=zipf:0.99\nverify=1\n"
          "[read]\nop=get\nops=300\n"
          "[multi]\nop=multiget\nops=305\nbatch=16\n"
          "[scan]\nop=scan\nops=30\nscan_len=20\nreopen=1\n"
          "[back]\nop=scan\nops=30\nscan_len=20\nscan_dir=reverse\n"
          "[rmw]\nop=rmw\nops=60\nverify=1\n"
          "[mixed]\nop=mixed\nopmix=get:50,put:20,scan:10,multiget:10,rmw:10\nops=200\nscan_len=5\nverify=1\n"
          "[commit]\nop=put\nops=60\npreload=0\nfresh=0\nverify=1\n");
  const std::vector<std::uint64_t> operations = {500, 600, 300, 305, 30, 30, 60, 200, 60};
  ASSERT_EQ(results.size(), operations.size());
  for (std::size_t at = 0; at < results.size(); ++at) {
    EXPECT_EQ(results[at].error, "") << results[at].job.name;
    EXPECT_EQ(results[at].operations(), operations[at]) << results[at].job.name;
    EXPECT_EQ(results[at].loaded_keys, 0U) << results[at].job.name;  // The first job's data is known to the others.
  }
  EXPECT_EQ(results[0].verify->keys, 500U);
  EXPECT_EQ(results[0].commits(), 51U);  // 166 or 167 keys of each client, ten at a time.
  EXPECT_EQ(results[3].ops.front().latency.count(), 305U);
  EXPECT_EQ(results[7].ops.size(), 5U);
}

TEST_P(PeerTest, DeletedKeysAreGoneAndDataThatLostKeysAreLoadedAnew) {
  const auto results =
      run("[global]\nstonewall\nkey_order=sequential\nbatch=10\n"
          "[delete]\nop=delete\nops=90\nverify=1\n"
          "[holes]\nop=get\npreload=0\n"
          "[batch]\nop=batch\nopmix=put:1,delete:1\nkey_order=random\nops=300\nverify=1\n"
          "[whole]\nop=get\n");
  ASSERT_EQ(results.size(), 4U);
  for (const JobResult& result : results) {
    EXPECT_EQ(result.error, "") << result.job.name;
  }
  EXPECT_EQ(results[0].loaded_keys, 500U);
  EXPECT_EQ(results[1].ops.front().misses, 90U);
  EXPECT_EQ(results[1].ops.front().operations, 500U);
  EXPECT_EQ(results[2].loaded_keys, 500U);
  EXPECT_EQ(results[3].loaded_keys, 500U);
  EXPECT_EQ(results[3].ops.front().misses, 0U);
}

TEST_P(PeerTest, AWriterAndReadersRunAtTheSameTimeOnOneStore) {
  const auto results =
      run("[global]\niodepth=2\n[write]\nop=put\nruntime=100ms\nstartdelay=20ms\n[read]\nop=get\nnumjobs=2\ngroup_"
          "reporting\nops=300\n"
          "[insert]\nop=mixed\nopmix=insert:20,get:80\nkey_dist=latest\nops=300\n");
  ASSERT_EQ(results.size(), 3U);
  for (const JobResult& result : results) {
    EXPECT_EQ(result.error, "") << result.job.name;
    EXPECT_EQ(result.concurrent, 4U);
    EXPECT_EQ(result.group_id, 0U);
  }
  EXPECT_EQ(results[0].loaded_keys, 500U);
  EXPECT_EQ(results[1].operations(), 600U);
  EXPECT_EQ(results[1].jobs, 2U);
  EXPECT_EQ(results[1].job.clients, 12U);
  EXPECT_EQ(results[2].operations(), 300U);
}

TEST_P(PeerTest, EveryDurabilityKeepsItsDataOverAnOrderlyClose) {
  const auto results =
      run("[global]\nstonewall\nop=put\nkey_order=sequential\ncfs=2\nbatch=7\nverify=1\nkeys=100\n"
          "[sync]\ndurability=sync\n[written]\ndurability=written\n[buffered]\ndurability=buffered\n[unlogged]\ndurability="
          "unlogged\n");
  ASSERT_EQ(results.size(), 4U);
  for (const JobResult& result : results) {
    EXPECT_EQ(result.error, "") << result.job.name;
    ASSERT_TRUE(result.verify.has_value());
    EXPECT_EQ(result.verify->keys, 2U * 100);
    ASSERT_TRUE(result.peer.has_value());
    EXPECT_THAT(text_report(result), HasSubstr(result.peer->about.durability));
  }
  for (std::size_t at = 1; at < 3; ++at) {  // What has no log cannot leave it out.
    EXPECT_NE(results[at].peer->about.durability, results[at - 1].peer->about.durability);
  }
}

// Its data would lie among the rows of the other.
TEST_P(PeerTest, DataIsLoadedIntoAnEmptyStoreWhereAnotherJobLeftRows) {
  const auto results = run("[other]\nop=put\npreload=0\nops=1000\ncfs=2\nbatch=100\n[scan]\nstonewall\nop=scan\nops=50\n");
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].error, "");
  EXPECT_EQ(results[1].loaded_keys, 500U);
}

TEST_P(PeerTest, AJobThatReadsLoadsItsDataFirstAndChecksWhatItReads) {
  EXPECT_EQ(run("[read]\nop=get\nops=50\n")[0].loaded_keys, 500U);
  EXPECT_EQ(run("[read]\nop=get\nops=50\n")[0].loaded_keys, 0U);
  EXPECT_THAT(run("[read]\nop=get\nops=50\nseed=2\n")[0].error, HasSubstr("holds other data"));
  // Values of another seed under the keys of this one: the check is not the engine's.
  EXPECT_EQ(run("[other]\nop=put\nkey_order=sequential\nclients=1\nbatch=500\nseed=2\nfresh=0\n")[0].error, "");
  EXPECT_THAT(run("[read]\nop=get\nops=50\n")[0].error, HasSubstr("is not one that was written"));
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

TEST_P(PeerTest, ABackwardScanBeginsAtItsKeyOrTheOneBeforeAndEndsWithItsFamily) {
  const auto peer = open(2, Durability::kWritten);
  const auto client = peer->client();
  for (const char* key : {"b", "d", "f"}) {
    client->put(0, key, key);
    client->put(1, key, "other");
  }
  client->commit();
  EXPECT_THAT(rows_of(*client, 0, "c", 9, true), ElementsAre(Pair("b", "b")));
  EXPECT_THAT(rows_of(*client, 0, "d", 9, true), ElementsAre(Pair("d", "d"), Pair("b", "b")));
  EXPECT_THAT(rows_of(*client, 0, "x", 2, true), ElementsAre(Pair("f", "f"), Pair("d", "d")));
  EXPECT_THAT(rows_of(*client, 0, "a", 9, true), IsEmpty());
  EXPECT_THAT(rows_of(*client, 1, "z", 1, true), ElementsAre(Pair("f", "other")));
  EXPECT_THAT(rows_of(*client, 1, "a", 9, true), IsEmpty());
}

TEST_P(PeerTest, ARemovalIsPartOfItsBatchAndNeedsNoRow) {
  const auto peer = open(2, Durability::kWritten);
  const auto client = peer->client();
  client->put(0, "a", "1");
  client->put(1, "a", "2");
  client->commit();
  client->remove(0, "a");
  client->remove(0, "b");
  EXPECT_EQ(client->get(0, "a"), "1");
  client->commit();
  EXPECT_EQ(client->get(0, "a"), std::nullopt);
  EXPECT_EQ(client->get(1, "a"), "2");
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
    const auto jobs = build_jobs(parse_job_text("[a]\nop=put\ndir=/d\nops=1\nengine=" + engine_name(engine), "a.ini", {}), {});
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
  std::string text = "[global]\nstonewall\nop=put\nkey_order=shuffled\nkeys=100\nverify=1\nmemory_limit=64m\ndir=" + name +
                     "/db\n[penstock]\n";
  for (const Engine engine : {Engine::kRocksdb, Engine::kLmdb, Engine::kLeveldb, Engine::kWiredtiger}) {
    if (has_engine(engine)) {
      text += "[" + engine_name(engine) + "]\nengine=" + engine_name(engine) + "\n";
    }
  }
  text += "[penstock-again]\nop=get\nkey_order=random\nops=10\n";
  for (const JobResult& result : run_sections(text)) {
    EXPECT_EQ(result.error, "") << result.job.name;
    EXPECT_EQ(result.loaded_keys, 0U) << result.job.name;
  }
  fs::remove_all(name);
}

}  // namespace
}  // namespace penstock::bench
