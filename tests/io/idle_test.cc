// Goal: an open engine that nobody uses leaves the processor alone: under 1 % of one core, all threads together, once what was
// written is flushed and synced. Method: the process's own account of its time (getrusage) over seconds in which the only
// thread that is not the engine's sleeps.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "penstock/db.h"
#include "reactor/temporary_directory.h"

namespace penstock::iotest {
namespace {

constexpr std::chrono::seconds kIdle(5);
constexpr double kShareMax = 0.01;

struct Usage {
  double cpu_seconds;
  long sleeps;  // Voluntary context switches: how often a thread woke up and went back to sleep.
};

Usage usage() {
  rusage counters{};
  EXPECT_EQ(::getrusage(RUSAGE_SELF, &counters), 0);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {.cpu_seconds = seconds(counters.ru_utime) + seconds(counters.ru_stime), .sleeps = counters.ru_nvcsw};
}

TEST(IdleEngine, TakesUnderOnePercentOfACore) {
  const reactor::TemporaryDirectory directory;
  auto runtime = Runtime::start({.reactors = 2, .memory_limit = 64_MiB});
  ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
  DatabaseOptions options;
  options.shards = 8;
  auto db = Database::open(*runtime, directory.path() + "/db", options);
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const Family family = *db->open_or_create_family("data", {.placement = Placement::kHashed}).get();
  for (int index = 0; index < 2000; ++index) {
    const CommitOptions commit{.durability = index % 100 == 0 ? Durability::kSync : Durability::kBuffered};
    ASSERT_TRUE(db->put(family, "key" + std::to_string(index), std::string(500, 'v'), commit).get().is_ok());
  }
  ASSERT_TRUE(db->flush().get().is_ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // What follows a flush: the last sync, recycled segments.

  const Usage before = usage();
  std::this_thread::sleep_for(kIdle);
  const Usage after = usage();
  const double share = (after.cpu_seconds - before.cpu_seconds) / static_cast<double>(kIdle.count());
  std::printf(
      "idle engine, 2 reactors, 8 shards, io %s: %.1f ms of processor time and %ld wake-ups in %ld s: %.3f %% of a core\n",
      runtime->io_backend().c_str(), share * static_cast<double>(kIdle.count()) * 1e3, after.sleeps - before.sleeps,
      static_cast<long>(kIdle.count()), share * 100);
  EXPECT_LT(share, kShareMax);
  ASSERT_TRUE(db->close().is_ok());
}

}  // namespace
}  // namespace penstock::iotest
