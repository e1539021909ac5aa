// Goal: when memory is short every shard of a reactor gets its turn. Method: simulated clients that write to all shards as fast
// as they may, on a disk that takes its time.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

constexpr std::uint16_t kShards = 4;
constexpr std::uint64_t kClientsPerShard = 16;
constexpr std::uint64_t kCommitsWanted = 24000;

struct Load {
  std::array<std::uint64_t, kShards> commits{};
  std::uint64_t total = 0;
  bool failed = false;

  static Task<> write(Load* load, detail::ShardEngine* engine, Family family, std::uint64_t client) {
    Shard shard(*engine);
    const std::string value(4000, 'v');
    for (std::uint64_t number = 0; load->total < kCommitsWanted && !load->failed; ++number) {
      const std::string key = std::to_string((client * 1'000'000) + number);
      const Status status = co_await shard.put(family, key, value, {.durability = Durability::kWritten});
      load->failed = load->failed || !status.is_ok();
      ++load->commits[engine->id()];
      ++load->total;
    }
  }
};

TEST(BackPressure, GivesEveryShardItsTurn) {
  reactor::SimDisk disk(3);
  SimDatabase db(disk, {.shards = kShards, .reactors = 1});
  const Outcome<bool> opened = db.open();
  ASSERT_TRUE(opened.has_value()) << opened.error().text;
  Load load;
  std::vector<reactor::SimJob<void>> jobs;
  for (std::uint16_t shard = 0; shard < kShards; ++shard) {
    const Outcome<Family> family = db.family("family" + std::to_string(shard), {.shard = shard});
    ASSERT_TRUE(family.has_value());
    for (std::uint64_t client = 0; client < kClientsPerShard; ++client) {
      jobs.push_back(db.world().start(0, &Load::write, &load, &db.core().shard(shard), *family, client));
    }
  }
  ASSERT_TRUE(db.world().run_until([&jobs] { return std::ranges::all_of(jobs, &reactor::SimJob<void>::is_done); }));
  EXPECT_FALSE(load.failed);
  const Metrics metrics = db.metrics();
  EXPECT_GT(metrics.delayed_commits, kCommitsWanted / 10) << "memory was never short: nothing was tested";
  const auto [least, most] = std::ranges::minmax(load.commits);
  EXPECT_GE(least * 4, most * 3) << "one shard got " << most << " commits, another " << least;
  EXPECT_TRUE(db.close().is_ok());
}

}  // namespace
}  // namespace penstock::simtest
