// Goal: evidence from outside, by strace, for what the engine says of itself: a commit costs one submission of its log group,
// the reactor thread makes no other system call that writes or syncs, page writes and log writes share one ring, and there is
// one ring per reactor. Method: this program starts itself under strace as a driver that marks its phases with writes to no
// file. Skipped where strace is absent or may not trace.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "penstock/db.h"
#include "reactor/temporary_directory.h"

namespace penstock::iotest {
namespace {

constexpr std::uint64_t kCommits = 300;
constexpr const char* kDirectoryVariable = "PENSTOCK_TRACE_DIRECTORY";
constexpr const char* kReactorsVariable = "PENSTOCK_TRACE_REACTORS";

/// A system call that fails and means nothing but its text.
void mark(const std::string& text) {
  const std::string line = "MARK " + text;
  [[maybe_unused]] const auto result = ::write(-1, line.data(), line.size());
}

// Run by the tests below, under strace.
TEST(TraceDriver, DISABLED_CommitsAndFlushes) {
  const char* directory = std::getenv(kDirectoryVariable);
  const char* reactors = std::getenv(kReactorsVariable);
  ASSERT_NE(directory, nullptr);
  ASSERT_NE(reactors, nullptr);
  const auto count = static_cast<std::uint32_t>(std::stoul(reactors));
  auto runtime = Runtime::start({.reactors = count, .memory_limit = 64_MiB, .io_backend = IoBackend::kAuto});
  ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
  mark("backend " + runtime->io_backend());
  DatabaseOptions options;
  options.shards = count;
  options.log_segment_bytes = 8_MiB;
  options.wal_sync = WalSync::kLinked;  // A durable write would be one entry, which a trace cannot tell from any other.
  auto db = Database::open(*runtime, std::string(directory) + "/db", options);
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const Family family = *db->open_or_create_family("data", {.shard = 0}).get();
  // Steady state: page files exist, both superblocks are past the opening, the client knows its way.
  for (int round = 0; round < 3; ++round) {
    for (int index = 0; index < 20; ++index) {
      ASSERT_TRUE(db->put(family, "warm" + std::to_string(index), std::string(1000, 'w')).get().is_ok());
    }
    ASSERT_TRUE(db->flush().get().is_ok());
  }
  const Metrics before = db->metrics().get().value();
  mark("commits");
  for (std::uint64_t index = 0; index < kCommits; ++index) {
    ASSERT_TRUE(db->put(family, "key" + std::to_string(index), "value").get().is_ok());
  }
  mark("between");
  const Metrics after = db->metrics().get().value();
  mark("groups " + std::to_string(after.log_groups - before.log_groups));
  mark("syncs " + std::to_string(after.syncs - before.syncs));
  mark("entries " + std::to_string(after.entries - before.entries));
  for (int index = 0; index < 1000; ++index) {
    ASSERT_TRUE(db->put(family, "page" + std::to_string(index), std::string(1000, 'p'), {.durability = Durability::kBuffered})
                    .get()
                    .is_ok());
  }
  mark("flush");
  Future<Status> flushed = db->flush();
  for (int index = 0; index < 50; ++index) {
    ASSERT_TRUE(db->put(family, "during" + std::to_string(index), "value").get().is_ok());
  }
  ASSERT_TRUE(flushed.get().is_ok());
  mark("flushed");
  const Metrics end = db->metrics().get().value();
  mark("pages " + std::to_string(end.pages_written - after.pages_written));
  ASSERT_TRUE(db->close().is_ok());
}

struct Call {
  int thread = 0;
  std::string name;
  std::string text;  // From the name on.
  std::string phase;
};

/// What strace saw: the calls in order, each with the phase it began in.
struct Trace {
  std::vector<Call> calls;
  std::map<std::string, std::string> facts;  // From marks of two words.
};

Trace parse(const std::string& path) {
  Trace trace;
  std::ifstream file(path);
  std::string phase = "start";
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Call call;
    words >> call.thread;
    std::getline(words >> std::ws, call.text);
    const std::size_t bracket = call.text.find('(');
    if (call.text.starts_with("<...") || call.text.starts_with("+++") || call.text.starts_with("---") ||
        bracket == std::string::npos) {
      continue;
    }
    call.name = call.text.substr(0, bracket);
    const std::size_t place = call.text.find("\"MARK ");
    if (place != std::string::npos) {
      const std::string said = call.text.substr(place + 6, call.text.find('"', place + 1) - place - 6);
      const std::size_t space = said.find(' ');
      if (space == std::string::npos) {
        phase = said;
      } else {
        trace.facts[said.substr(0, space)] = said.substr(space + 1);
      }
      continue;
    }
    if (call.text.starts_with("write(") && call.text.substr(0, call.text.find(',')).find("<pipe:[") != std::string::npos) {
      continue;  // A sanitizer's question whether memory may be read: it writes from there to a pipe of its own.
    }
    call.phase = phase;
    trace.calls.push_back(std::move(call));
  }
  return trace;
}

class Traced : public ::testing::Test {
 protected:
  /// Runs the driver. False: the test is to be skipped, `why_not_` says why.
  bool run_driver(std::uint32_t reactors) {
    const std::string strace = "strace -f -y -s 120 -o '" + output() + "' -e trace=";
    if (std::system((strace + "write -- true >'" + directory_ / "probe" + "' 2>&1").c_str()) != 0) {
      why_not_ = "strace is not installed or may not trace here: the system calls per commit are not checked";
      return false;
    }
    const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
    // Two tracers can't hold one process: the leak sanitizer, which is one, stands back. Other tests look for the leaks.
    const char* sanitizer = std::getenv("ASAN_OPTIONS");
    const std::string sanitizer_options = (sanitizer == nullptr ? "" : std::string(sanitizer) + ":") + "detect_leaks=0";
    const std::string command =
        "env -u PENSTOCK_IO 'ASAN_OPTIONS=" + sanitizer_options + "' " + std::string(kDirectoryVariable) + "='" +
        directory_.path() + "' " + kReactorsVariable + "=" + std::to_string(reactors) + " " + strace +
        "io_uring_setup,io_uring_enter,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,msync,ftruncate,"
        "fallocate -- '" +
        self + "' --gtest_also_run_disabled_tests --gtest_brief=1 --gtest_filter=TraceDriver.DISABLED_CommitsAndFlushes >'" +
        (directory_ / "driver") + "' 2>&1";
    const int state = std::system(command.c_str());
    EXPECT_EQ(state, 0) << read_text(directory_ / "driver");
    trace_ = parse(output());
    if (!trace_.facts["backend"].starts_with("io_uring")) {
      why_not_ = "no io_uring here: " + trace_.facts["backend"];
      return false;
    }
    return true;
  }

  std::string output() const { return directory_ / "trace"; }

  static std::string read_text(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::set<int> reactor_threads() const {
    std::set<int> threads;
    for (const Call& call : trace_.calls) {
      if (call.name == "io_uring_enter") {
        threads.insert(call.thread);
      }
    }
    return threads;
  }

  /// Entries that an io_uring_enter submits: its second argument.
  static std::uint64_t submitted(const Call& call) {
    const std::size_t comma = call.text.find(", ");
    return std::stoull(call.text.substr(comma + 2));
  }

  /// Eight bytes, the number 1, to an eventfd: a client, or another reactor, wakes a reactor that sleeps in its ring.
  static bool is_wake_up(const Call& call) {
    return call.name == "write" && call.text.find(R"(, "\1\0\0\0\0\0\0\0", 8)") != std::string::npos;
  }

  reactor::TemporaryDirectory directory_;
  Trace trace_;
  std::string why_not_;
};

TEST_F(Traced, ACommitIsOneSubmissionAndNoOtherWriteOrSync) {
  if (!run_driver(1)) {
    GTEST_SKIP() << why_not_;
  }
  const std::set<int> threads = reactor_threads();
  ASSERT_EQ(threads.size(), 1U);
  std::uint64_t enters = 0;
  std::uint64_t group_submissions = 0;
  for (const Call& call : trace_.calls) {
    if (call.phase != "commits") {
      continue;
    }
    if (call.name == "io_uring_enter") {
      ++enters;
      group_submissions += submitted(call) >= 2 ? 1U : 0U;  // write and fdatasync; one alone is the wake-up's read.
      continue;
    }
    EXPECT_FALSE(threads.contains(call.thread)) << "the reactor thread calls " << call.text;
    EXPECT_TRUE(is_wake_up(call)) << call.text;
  }
  const std::uint64_t groups = std::stoull(trace_.facts["groups"]);
  std::printf("%llu commits: %llu groups, %llu submissions of groups, %llu io_uring_enter\n",
              static_cast<unsigned long long>(kCommits), static_cast<unsigned long long>(groups),
              static_cast<unsigned long long>(group_submissions), static_cast<unsigned long long>(enters));
  // More groups than commits only by the log's marker after a pause of 50 ms, which a slow machine may make.
  EXPECT_GE(groups, kCommits);
  EXPECT_LE(groups, kCommits + kCommits / 10);
  EXPECT_GE(group_submissions, kCommits);
  EXPECT_LE(group_submissions, groups);
  EXPECT_EQ(std::stoull(trace_.facts["syncs"]), groups);
  EXPECT_EQ(std::stoull(trace_.facts["entries"]), 2 * groups);
  // A lone client sleeps between its commits, and so does the reactor: it is woken (1), submits (2), and learns of the write
  // (3) and of the sync (4), each by an enter that may be the one before.
  EXPECT_LE(enters, 4 * groups + 10);
}

TEST_F(Traced, PagesAndCommitsShareTheOnlyRingOfAReactor) {
  constexpr std::uint32_t kReactors = 2;
  if (!run_driver(kReactors)) {
    GTEST_SKIP() << why_not_;
  }
  const std::set<int> threads = reactor_threads();
  EXPECT_EQ(threads.size(), kReactors);
  std::uint64_t rings = 0;
  std::map<int, std::set<std::string>> files_of_threads;
  for (const Call& call : trace_.calls) {
    rings += call.name == "io_uring_setup" && call.text.find("= -1") == std::string::npos ? 1U : 0U;
    if (call.name == "io_uring_enter") {
      files_of_threads[call.thread].insert(call.text.substr(0, call.text.find(',')));
    }
    if (call.phase == "flush" && call.name != "io_uring_enter") {
      EXPECT_TRUE(is_wake_up(call)) << call.text;
    }
  }
  EXPECT_EQ(rings, kReactors);
  for (const auto& [thread, files] : files_of_threads) {
    EXPECT_EQ(files.size(), 1U) << "a reactor enters more than one ring";
  }
  EXPECT_GT(std::stoull(trace_.facts["pages"]), 100U);
}

}  // namespace
}  // namespace penstock::iotest
