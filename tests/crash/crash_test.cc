// Goal: a process killed with SIGKILL at any moment loses nothing that it acknowledged, and what it leaves can be opened at
// once. Method: crash_child commits from several threads and reports through a pipe; this process kills it, reopens the
// database with another reactor count, and compares with the history (workload.h). PENSTOCK_KILLS sets how often (default 15).
// Flushes, segment changes, family creation and drops must fall into the window: they are counted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "penstock/db.h"
#include "tests/crash/workload.h"

namespace penstock::crashtest {
namespace {

struct History {
  std::map<std::uint32_t, std::uint64_t> acknowledged;  // By thread: last batch.
  std::set<std::uint64_t> created;
  std::set<std::uint64_t> dropped;
  std::uint64_t last_family = 0;
  std::uint64_t commits = 0;
  std::uint64_t flushes = 0;
  std::uint64_t segment_megabytes = 0;
};

using State = std::map<std::string, std::string>;

struct Model {
  State state;  // "h/key" or "e/key"
  std::uint64_t count = 0;
};

class CrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "crash_test_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void run_child_and_kill(std::uint32_t reactors, int milliseconds) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "crash_child";
    const std::string pipe_text = std::to_string(ends[1]);
    const std::string reactors_text = std::to_string(reactors);
    // The family after the last reported one, or the first of the last child, may be there unreported.
    first_family_ = std::max(history_.last_family, first_family_) + 2;
    const std::string family_text = std::to_string(first_family_);
    const std::string db = directory_ + "/db";
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      ::execl(program.c_str(), program.c_str(), db.c_str(), pipe_text.c_str(), reactors_text.c_str(), family_text.c_str(),
              nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    listen(ends[0], child, milliseconds);
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << status;
  }

  // Reads reports until the pipe ends; kills the child so many milliseconds after it was ready.
  void listen(int pipe_end, pid_t child, int milliseconds) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point deadline = Clock::now() + std::chrono::seconds(60);  // Until it is ready.
    bool killed = false;
    while (true) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      pollfd readable{.fd = pipe_end, .events = POLLIN, .revents = 0};
      if (!killed && left <= 0) {
        ::kill(child, SIGKILL);
        killed = true;
      }
      if (::poll(&readable, 1, killed ? -1 : static_cast<int>(left)) <= 0) {
        continue;
      }
      Report report;
      const ssize_t bytes = ::read(pipe_end, &report, sizeof(report));
      if (bytes <= 0) {
        return;
      }
      ASSERT_EQ(bytes, static_cast<ssize_t>(sizeof(report)));
      if (report.kind == Report::Kind::kReady) {
        deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
      }
      note(report);
    }
  }

  void note(const Report& report) {
    switch (report.kind) {
      case Report::Kind::kReady:
        break;
      case Report::Kind::kAcknowledged:
        history_.acknowledged[report.thread] = report.number;
        ++history_.commits;
        break;
      case Report::Kind::kFlushed:
        ++history_.flushes;
        break;
      case Report::Kind::kSegments:
        history_.segment_megabytes = std::max(history_.segment_megabytes, report.number);
        break;
      case Report::Kind::kFamilyCreated:
        history_.created.insert(report.number);
        history_.last_family = std::max(history_.last_family, report.number);
        break;
      case Report::Kind::kFamilyDropped:
        history_.dropped.insert(report.number);
        break;
      case Report::Kind::kFailed:
        ADD_FAILURE() << "the child failed by itself";
        break;
    }
  }

  void check(std::uint32_t reactors) {
    auto runtime = Runtime::start({.reactors = reactors, .memory_limit = 64_MiB});
    ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
    DatabaseOptions options;
    options.create_if_missing = false;
    options.log_segment_bytes = 1_MiB;
    options.log_budget_bytes = 8_MiB;
    auto db = Database::open(*runtime, directory_ + "/db", options);
    ASSERT_TRUE(db.has_value()) << db.error().text;
    check_families(*db);
    for (std::uint16_t shard = 0; shard < kShards; ++shard) {
      check_shard(*db, shard);
    }
    const auto verified = db->verify().get();
    ASSERT_TRUE(verified.has_value()) << verified.error().text;
    ASSERT_TRUE(db->close().is_ok());
  }

  void check_families(Database& db) {
    const auto list = db.list_families().get();
    ASSERT_TRUE(list.has_value());
    std::set<std::string> names;
    for (const FamilyInfo& info : *list) {
      names.insert(info.name);
    }
    for (const std::uint64_t number : history_.created) {
      const std::string name = "temporary" + std::to_string(number);
      if (history_.dropped.contains(number)) {
        EXPECT_FALSE(names.contains(name)) << name << " was dropped and is back";
      } else if (number % 2 != 0) {  // Even ones are dropped: that may have been under way.
        EXPECT_TRUE(names.contains(name)) << name << " was created and is missing";
      }
    }
  }

  static void read_family(Database& db, const std::string& name, const std::string& prefix, State& state) {
    const auto family = db.open_family(name).get();
    if (!family.has_value()) {
      return;
    }
    ScanOptions options;
    while (true) {
      const auto rows = db.scan(*family, options).get();
      ASSERT_TRUE(rows.has_value()) << rows.error().to_string();
      for (const Row& row : rows->rows) {
        state[prefix + row.key] = row.value;
      }
      if (!rows->next.has_value()) {
        return;
      }
      options.from = *rows->next;
    }
  }

  void check_shard(Database& db, std::uint16_t shard) {
    State found;
    read_family(db, "home" + std::to_string(shard), "h/", found);
    read_family(db, "extra" + std::to_string(shard), "e/", found);
    State wanted;
    for (std::uint32_t thread = shard; thread < kThreads; thread += kShards) {
      Model& model = models_[thread];
      const auto counter = found.find("h/" + counter_key(thread));
      const std::uint64_t present = counter == found.end() ? 0 : std::stoull(counter->second);
      ASSERT_GE(present, history_.acknowledged[thread]) << "thread " << thread << ": acknowledged batches are missing";
      ASSERT_LE(present, history_.acknowledged[thread] + 1) << "thread " << thread << ": a batch that was never submitted";
      ASSERT_GE(present, model.count);
      for (std::uint64_t number = model.count + 1; number <= present; ++number) {
        for (const Change& change : batch_of(thread, number)) {
          const std::string key = (change.in_extra ? "e/" : "h/") + change.key;
          if (change.value.has_value()) {
            model.state[key] = *change.value;
          } else {
            model.state.erase(key);
          }
        }
      }
      model.count = present;
      history_.acknowledged[thread] = present;  // What was found is durable now.
      wanted.insert(model.state.begin(), model.state.end());
    }
    ASSERT_EQ(found.size(), wanted.size()) << "shard " << shard;
    for (const auto& [key, value] : wanted) {
      const auto place = found.find(key);
      ASSERT_NE(place, found.end()) << "shard " << shard << ": " << key << " is missing";
      ASSERT_EQ(place->second.substr(0, 40), value.substr(0, 40)) << "shard " << shard << ": " << key;
      ASSERT_EQ(place->second, value);
    }
  }

  std::string directory_;
  std::uint64_t first_family_ = 0;
  History history_;
  std::map<std::uint32_t, Model> models_;
};

TEST_F(CrashTest, AKilledProcessLosesNothingThatItAcknowledged) {
  const char* text = std::getenv("PENSTOCK_KILLS");
  const int kills = text == nullptr ? 15 : std::stoi(text);
  base::Random random(static_cast<std::uint64_t>(kills));
  for (int kill = 0; kill < kills; ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    run_child_and_kill(static_cast<std::uint32_t>(1 + random.below(3)), static_cast<int>(random.below(150)));
    if (HasFatalFailure()) return;
    check(static_cast<std::uint32_t>(1 + random.below(4)));
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  std::printf(
      "kills %d, commits %llu, flushes %llu, most log written by one process %llu MiB, families created %zu, dropped %zu\n",
      kills, static_cast<unsigned long long>(history_.commits), static_cast<unsigned long long>(history_.flushes),
      static_cast<unsigned long long>(history_.segment_megabytes), history_.created.size(), history_.dropped.size());
  EXPECT_GT(history_.commits, 0U);
  if (kills >= 10) {
    EXPECT_GT(history_.flushes, 0U);
    EXPECT_GT(history_.segment_megabytes, 1U) << "no segment change fell into the window";
    EXPECT_GT(history_.created.size(), 0U);
    EXPECT_GT(history_.dropped.size(), 0U);
  }
}

}  // namespace
}  // namespace penstock::crashtest
