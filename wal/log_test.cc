// The writing side on the simulated disk: what is acknowledged, in what order, and what happens when the disk says no.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "wal/test_log.h"
#include "wal/wal.h"

namespace penstock::wal {
namespace {

using reactor::SimDisk;
using reactor::SimEvent;
using reactor::SimFault;
using reactor::SimWorld;

/// One boot with one log. Power is on until the test says otherwise.
class LogTest : public ::testing::Test {
 protected:
  void boot(const LogOptions& options = test_options(), std::uint64_t seed = 1) {
    options_ = options;
    ASSERT_TRUE(disk_.exists(kTestDirectory) || !disk_.list_files().empty() || make_directory().is_ok());
    world_ = std::make_unique<SimWorld>(disk_, reactor::SimWorldOptions{.seed = seed});
    user_ = std::make_unique<LogUser>(world_->reactor(0), options);
  }
  Status make_directory() {
    SimWorld world(disk_);
    PENSTOCK_TRY(world.system().make_directory(kTestDirectory));
    return world.system().sync_directory("/");
  }
  void open_and_start() {
    const Status opened = world_->run(0, &Log::open, &user_->log());
    ASSERT_TRUE(opened.is_ok()) << opened.to_string();
    user_->log().start();
  }
  Status append(ShardId shard, std::uint64_t bytes, Durability durability = Durability::kSync) {
    return world_->run(0, &LogUser::append, user_.get(), shard, bytes, durability);
  }
  Status settle() { return world_->run(0, &LogUser::settle, user_.get()); }
  Status close() { return world_->run(0, &Log::close, &user_->log()); }
  void shut_down() {
    user_.reset();
    world_.reset();
  }
  void TearDown() override {
    if (user_ != nullptr) close().ignore("the test is over");
    shut_down();
  }

  SimDisk disk_{1};
  LogOptions options_;
  std::unique_ptr<SimWorld> world_;
  std::unique_ptr<LogUser> user_;
};

TEST_F(LogTest, WhatWasClosedIsReadBackInOrder) {
  boot();
  open_and_start();
  for (std::uint32_t index = 0; index < 200; ++index) {
    ASSERT_TRUE(append(static_cast<ShardId>(index % 4), index * 7 % 900).is_ok());
  }
  ASSERT_TRUE(settle().is_ok());
  ASSERT_TRUE(close().is_ok());
  const std::vector<TestRecord> written = user_->records;
  const Position end = user_->log().end();
  EXPECT_GE(user_->log().counters().segments_prepared, 3U);
  shut_down();
  Collector collector;
  ReadOptions read = test_read_options(options_);
  const Outcome<ReadResult> result = read_from(disk_, read, collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->end, end.offset);
  EXPECT_EQ(result->records, 200U);
  EXPECT_FALSE(result->torn_tail);
  EXPECT_TRUE(collector.records == written);
}

}  // namespace
}  // namespace penstock::wal
