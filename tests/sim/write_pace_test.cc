// Goal: flush_bytes_per_second holds, over all shards of all reactors, and can be changed. Method: the simulated clock.
#include <gtest/gtest.h>

#include <string>

#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

/// Seconds that writing and flushing `rows` rows of 4,000 bytes took, and the bytes of pages written.
struct Flushed {
  double seconds = 0;
  double bytes = 0;
};

Flushed flush_rows(SimDatabase& db, const Family& family, int rows) {
  const std::uint64_t bytes_before = db.metrics().page_bytes_written;
  const std::uint64_t began_ns = db.world().reactor(0).now_ns();
  for (int row = 0; row < rows; ++row) {
    const Status status = db.put(family, std::to_string(row), std::string(4000, 'v'), Durability::kBuffered);
    EXPECT_TRUE(status.is_ok()) << status.to_string();
  }
  for (ShardId shard = 0; shard < db.shard_count(); ++shard) {
    EXPECT_TRUE(db.flush(shard).is_ok());
  }
  return {.seconds = static_cast<double>(db.world().reactor(0).now_ns() - began_ns) / 1e9,
          .bytes = static_cast<double>(db.metrics().page_bytes_written - bytes_before)};
}

TEST(WritePaceOfFlushes, HoldsAndChanges) {
  reactor::SimDisk disk(4);
  SimDatabase db(disk, {.shards = 4, .reactors = 2});
  ASSERT_TRUE(db.open().has_value());
  const Family family = *db.family("data", {.placement = Placement::kHashed});
  const auto change = [&db](std::uint64_t rate) {
    const OptionChanges changes{.flush_bytes_per_second = rate};
    return db.world().run(0, &detail::DatabaseCore::change_options, &db.core(), changes);
  };

  const Flushed unlimited = flush_rows(db, family, 2000);
  ASSERT_TRUE(change(2_MiB).has_value());
  const Flushed slow = flush_rows(db, family, 2000);
  EXPECT_LT(slow.bytes / slow.seconds, 3.0 * 1_MiB) << "a little is let through at the beginning of each pass";
  EXPECT_GT(unlimited.bytes / unlimited.seconds, 2 * slow.bytes / slow.seconds);
  ASSERT_TRUE(change(0).has_value());
  const Flushed again = flush_rows(db, family, 2000);
  EXPECT_GT(again.bytes / again.seconds, 2 * slow.bytes / slow.seconds);
  EXPECT_FALSE(change(5).has_value());
  EXPECT_TRUE(db.close().is_ok());
}

}  // namespace
}  // namespace penstock::simtest
