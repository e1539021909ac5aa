// Goal: an opening deals records while it reads them, as far as memory allows, and loses or repeats nothing whatever decides
// where that ends: memory, the number of reactors, families that are gone. Method: rows, large values among them, a kill, an
// opening, and all rows compared.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

constexpr std::uint16_t kShards = 4;

class Recovery : public ::testing::Test {
 protected:
  Recovery() : disk_(3) {}

  void boot(std::uint32_t reactors, std::uint64_t memory_limit) {
    read_bytes_ = 0;
    replayed_bytes_ = 0;
    const auto on_progress = [this](const OpenProgress& progress) {
      EXPECT_LE(progress.bytes_done, progress.bytes_total);
      if (progress.stage == OpenProgress::Stage::kReadingLogs) read_bytes_ = progress.bytes_done;
      if (progress.stage == OpenProgress::Stage::kReplaying) replayed_bytes_ = progress.bytes_done;
    };
    db_.emplace(disk_, SimDatabaseOptions{
                           .shards = kShards, .reactors = reactors, .memory_limit = memory_limit, .on_progress = on_progress});
    const Outcome<bool> opened = db_->open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
  }
  void kill() {
    db_->kill(11);
    db_.reset();
  }
  Family family(const std::string& name, std::int32_t shard) {
    const Outcome<Family> made = db_->family(name, {.shard = shard});
    EXPECT_TRUE(made.has_value()) << made.error().text;
    return *made;
  }
  /// Over all shards, one value in twenty a large one.
  void write(std::uint32_t rows) {
    for (std::uint32_t row = 0; row < rows; ++row) {
      const std::int32_t shard = static_cast<std::int32_t>(row % kShards);
      const std::string value = std::to_string(row) + std::string(row % 20 == 3 ? 70'000 : 3'000, 'v');
      const std::string key = "key" + std::to_string(row % 100);
      ASSERT_TRUE(db_->put(family("rows" + std::to_string(shard), shard), key, value).is_ok());
      written_[std::to_string(shard) + key] = value;
    }
  }
  void expect_all_is_there() {
    for (const auto& [name, value] : written_) {
      const std::int32_t shard = name.front() - '0';
      const Result<std::string> found = db_->get(family("rows" + std::to_string(shard), shard), name.substr(1));
      ASSERT_TRUE(found.has_value()) << name;
      EXPECT_EQ(*found, value);
    }
    const Outcome<VerifyReport> verified = db_->verify();
    EXPECT_TRUE(verified.has_value()) << verified.error().text;
  }

  reactor::SimDisk disk_;
  std::optional<SimDatabase> db_;
  Rows written_;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t replayed_bytes_ = 0;
};

TEST_F(Recovery, WithMemoryEnoughRecordsAreDealtWhileTheyAreRead) {
  boot(2, 64_MiB);
  write(1200);
  kill();
  boot(2, 64_MiB);
  const RecoveryReport& report = db_->core().recovery();
  EXPECT_GT(report.log_bytes, 3_MiB);
  EXPECT_EQ(report.records, 1200U + kShards) << "and one for each family";
  EXPECT_EQ(read_bytes_, report.log_bytes);
  EXPECT_EQ(replayed_bytes_, 0U);
  expect_all_is_there();
}

TEST_F(Recovery, WhenMemoryIsShortTheRestIsDealtAfterFlushes) {
  boot(2, 64_MiB);
  write(1200);
  kill();
  boot(2, 8_MiB);
  EXPECT_GT(replayed_bytes_, 0U);
  EXPECT_LT(replayed_bytes_, db_->core().recovery().log_bytes) << "some of it was dealt at once";
  EXPECT_GT(db_->metrics().flushes, 0U);
  EXPECT_EQ(db_->core().recovery().records, 1200U + kShards);
  expect_all_is_there();
}

TEST_F(Recovery, ALogOfAnotherNumberOfReactorsIsDealtToAllThatHaveItsShards) {
  for (const std::uint32_t reactors : {1U, 3U, 2U, 4U, 1U}) {
    boot(reactors, 64_MiB);
    write(200);
    kill();
  }
  boot(2, 64_MiB);
  expect_all_is_there();
}

TEST_F(Recovery, WhatADroppedFamilyHadInTheLogDoesNotComeBack) {
  boot(1, 64_MiB);
  const Family gone = family("gone", 0);
  ASSERT_TRUE(db_->put(gone, "small", "x").is_ok());
  ASSERT_TRUE(db_->put(gone, "large", std::string(100'000, 'x')).is_ok());
  ASSERT_TRUE(db_->drop_family("gone").has_value());
  write(50);
  kill();
  boot(1, 64_MiB);
  EXPECT_TRUE(db_->scan(family("gone", 0), 0).rows.empty());
  for (ShardId shard = 0; shard < kShards; ++shard) ASSERT_TRUE(db_->flush(shard).is_ok());
  EXPECT_TRUE(db_->scan(family("gone", 0), 0).rows.empty());
  expect_all_is_there();
}

}  // namespace
}  // namespace penstock::simtest
