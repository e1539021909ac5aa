// Goal: a job that reads finds its own rows and no others, and a database that this tool did not make keeps all it holds.
// Method: small jobs on a real database. For the peers' stores see peer_test.cc.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "penstock/db.h"
#include "tests/bench/run_sections.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

class LoadedData : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "penstock-loaded-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { fs::remove_all(path_); }

  std::string directory() const { return path_.string() + "/db"; }

  std::vector<JobResult> run(const std::string& sections) const {
    const std::string text =
        "[global]\ndir=" + directory() +
        "\nreactors=2\nshards=2\nmemory_limit=64m\ndurability=written\nkeys=500\nkey_size=16\nvalue_size=100\n" + sections;
    return run_sections(text);
  }

  fs::path path_;
};

TEST_F(LoadedData, IsLoadedIntoAnEmptyDatabaseWhereAnotherJobLeftRows) {
  const auto results =
      run("[other]\nop=put\npreload=0\nops=1000\ncfs=2\nbatch=100\nseed=7\n[scan]\nstonewall\nop=scan\nops=50\n");
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].error, "");
  EXPECT_EQ(results[1].loaded_keys, 500U);
}

TEST_F(LoadedData, NeverTakesADatabaseOfSomeoneElseAway) {
  const auto with_database = [&](auto&& use) {
    Outcome<Runtime> runtime = Runtime::start({.reactors = 1, .memory_limit = std::uint64_t{64} << 20U});
    ASSERT_TRUE(runtime.has_value());
    Outcome<Database> database = Database::open(*runtime, directory(), {.shards = 2});
    ASSERT_TRUE(database.has_value());
    use(*database);
    EXPECT_TRUE(database->close().is_ok());
  };
  with_database([](Database& database) {
    const Outcome<Family> family = database.create_family("theirs").get();
    ASSERT_TRUE(family.has_value());
    EXPECT_TRUE(database.put(*family, "key", "value").get().is_ok());
  });
  EXPECT_EQ(run("[read]\nop=get\nops=50\n")[0].error, "");
  with_database([](Database& database) {
    const Outcome<Family> family = database.open_family("theirs").get();
    ASSERT_TRUE(family.has_value());
    EXPECT_EQ(database.get(*family, "key").get(), "value");
  });
}

TEST_F(LoadedData, AStatusIsAPartOfWhatTheEndReports) {
  const std::string text = "[write]\nop=put\nruntime=300ms\ndir=" + directory() +
                           "\nreactors=2\nshards=2\nmemory_limit=64m\ndurability=written\nkeys=500\n";
  const std::vector<Job> jobs = build_jobs(parse_job_text(text, "test.ini", {}), {});
  std::vector<std::uint64_t> operations;
  Session session;
  const StatusReport status{.interval_ns = 10'000'000, .print = [&](const std::vector<JobResult>& so_far) {
                              ASSERT_EQ(so_far.size(), 1U);
                              operations.push_back(so_far.front().operations());
                            }};
  const std::vector<JobResult> results = run_jobs(session, jobs, Eta::kNever, nullptr, status);
  session.close();
  EXPECT_EQ(results.front().error, "");
  ASSERT_FALSE(operations.empty());
  EXPECT_TRUE(std::ranges::is_sorted(operations));
  EXPECT_LE(operations.back(), results.front().operations());
}

}  // namespace
}  // namespace penstock::bench
