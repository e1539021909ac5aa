// Goal: options that are changed while a database is open take effect (the cache and the gathering of writes are looked at),
// and what is out of range is refused by name.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using ChangeOptionsTest = DatabaseTest;

constexpr std::uint64_t kRows = 8000;

/// Rows in the trees that fill the cache as they are read.
void fill_and_read(Database& db, const Family& family) {
  const std::string value(2000, 'v');
  std::vector<Future<Status>> answers;
  for (std::uint64_t row = 0; row < kRows; ++row) {
    answers.push_back(db.put(family, std::to_string(row), value, {.durability = Durability::kBuffered}));
  }
  for (Future<Status>& answer : answers) {
    ASSERT_TRUE(answer.get().is_ok());
  }
  ASSERT_TRUE(db.flush().get().is_ok());
  for (std::uint64_t row = 0; row < kRows; ++row) {
    ASSERT_EQ(db.get(family, std::to_string(row)).get().value(), value);
  }
}

TEST_F(ChangeOptionsTest, TheCacheGivesUpWhatItHasTooMuchOf) {
  open();
  const Family family = this->family("data", {.placement = Placement::kHashed});
  fill_and_read(*db_, family);
  const std::uint64_t before = db_->metrics().get()->cache_bytes;
  const Outcome<bool> changed = db_->change_options({.cache_percent = 5}).get();
  ASSERT_TRUE(changed.has_value()) << changed.error().text;
  const std::uint64_t after = db_->metrics().get()->cache_bytes;
  EXPECT_LT(after, before / 2) << before << " before";
  EXPECT_EQ(db_->get(family, "7").get().value(), std::string(2000, 'v'));
  ASSERT_TRUE(db_->change_options({.cache_percent = 45}).get().has_value());
  for (std::uint64_t row = 0; row < kRows; ++row) {
    ASSERT_TRUE(db_->get(family, std::to_string(row)).get().has_value());
  }
  EXPECT_GT(db_->metrics().get()->cache_bytes, after);
}

TEST_F(ChangeOptionsTest, WritesThatLieFarApartAreGatheredFromThenOn) {
  DatabaseOptions options = small_options();
  options.gather_from_bytes = ~std::uint64_t{0};
  open(options);
  const Family family = this->family("data", {.shard = 0});
  const auto write_each = [&](std::uint64_t step, const std::string& value) {
    std::vector<Future<Status>> answers;
    for (std::uint64_t row = 0; row < 20'000; row += step) {
      answers.push_back(db_->put(family, std::to_string(100'000 + row), value, {.durability = Durability::kBuffered}));
    }
    for (Future<Status>& answer : answers) {
      ASSERT_TRUE(answer.get().is_ok());
    }
    ASSERT_TRUE(db_->flush().get().is_ok());
  };
  write_each(1, std::string(150, 'v'));
  write_each(500, "far apart");
  EXPECT_EQ(db_->metrics().get()->runs_made, 0U);
  ASSERT_TRUE(db_->change_options({.gather_from_bytes = 0}).get().has_value());
  write_each(500, "far apart again");
  EXPECT_GT(db_->metrics().get()->runs_made, 0U);
  EXPECT_EQ(db_->get(family, "100500").get().value(), "far apart again");
}

TEST_F(ChangeOptionsTest, WhatIsOutOfRangeIsRefusedByName) {
  open();
  const Outcome<bool> cache = db_->change_options({.cache_percent = 99}).get();
  ASSERT_FALSE(cache.has_value());
  EXPECT_TRUE(cache.error().status.is(Code::kInvalidArgument));
  EXPECT_NE(cache.error().text.find("cache_percent"), std::string::npos) << cache.error().text;
  EXPECT_FALSE(db_->change_options({.flush_write_bytes = 1}).get().has_value());
  EXPECT_FALSE(db_->change_options({.space_use_percent = 10}).get().has_value());
  EXPECT_FALSE(db_->change_options({.log_budget_bytes = 1}).get().has_value());
  EXPECT_FALSE(db_->change_options({.flush_bytes_per_second = 1}).get().has_value());
  EXPECT_TRUE(db_->change_options({}).get().has_value());
  EXPECT_TRUE(db_->change_options({.log_budget_bytes = 128_MiB,
                                   .space_use_percent = 80,
                                   .flush_write_bytes = 1_MiB,
                                   .flush_bytes_per_second = 8_MiB,
                                   .gather_from_bytes = 0})
                  .get()
                  .has_value());
}

TEST_F(ChangeOptionsTest, ChangesAreParsedFromText) {
  const Outcome<OptionChanges> changes = parse_option_changes("cache_percent = 20\nflush_write_bytes = 2m  # more\n");
  ASSERT_TRUE(changes.has_value()) << changes.error().text;
  EXPECT_EQ(changes->cache_percent, 20U);
  EXPECT_EQ(changes->flush_write_bytes, 2_MiB);
  EXPECT_FALSE(changes->gather_from_bytes.has_value());
  EXPECT_FALSE(parse_option_changes("shards = 7").has_value());
  EXPECT_FALSE(parse_option_changes("cache_percent = many").has_value());
}

}  // namespace
}  // namespace penstock::apitest
