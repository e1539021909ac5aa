// Goal: databases open on one runtime share memory_limit evenly: one that comes makes the others give up cache and memtables,
// one that goes leaves its share to them, and one too many is refused with the reason. Method: shares and uses as the metrics
// tell them, with data larger than a share.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

constexpr std::uint64_t kRows = 20'000;

class MemoryShareTest : public DatabaseTest {
 protected:
  Outcome<Database> open_one(const std::string& name) { return Database::open(*runtime_, root_ + "/" + name, small_options()); }
  static std::uint64_t share_of(Database& db) { return db.metrics().get()->memory_share_bytes; }
  /// Others are told by messages.
  static bool comes_true(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 2000; ++tries) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  static void write(Database& db, const Family& family) {
    const std::string value(2000, 'v');
    std::vector<Future<Status>> answers;
    for (std::uint64_t row = 0; row < kRows; ++row) {
      answers.push_back(db.put(family, std::to_string(row), value, {.durability = Durability::kBuffered}));
    }
    for (Future<Status>& answer : answers) {
      ASSERT_TRUE(answer.get().is_ok());
    }
  }
};

TEST_F(MemoryShareTest, OneThatComesHalvesTheShareAndOneThatGoesGivesItBack) {
  Outcome<Database> first = open_one("first");
  ASSERT_TRUE(first.has_value()) << first.error().text;
  EXPECT_EQ(share_of(*first), 64_MiB);
  const Outcome<Family> family = first->create_family("data", {.placement = Placement::kHashed}).get();
  ASSERT_TRUE(family.has_value());
  write(*first, *family);
  ASSERT_TRUE(first->flush().get().is_ok());
  for (std::uint64_t row = 0; row < kRows; ++row) {
    ASSERT_TRUE(first->get(*family, std::to_string(row)).get().has_value());
  }
  const std::uint64_t alone = first->metrics().get()->cache_bytes;
  EXPECT_GT(alone, 32_MiB * 45 / 100) << "the test's data do not fill the cache";

  Outcome<Database> second = open_one("second");
  ASSERT_TRUE(second.has_value()) << second.error().text;
  EXPECT_EQ(share_of(*second), 32_MiB);
  EXPECT_TRUE(comes_true([&] { return share_of(*first) == 32_MiB; }));
  const Result<Metrics> shared = first->metrics().get();
  EXPECT_LT(shared->cache_bytes, alone * 2 / 3);
  // Both serve, and neither holds more in memtables than its share allows.
  const Outcome<Family> other = second->create_family("data", {.placement = Placement::kHashed}).get();
  ASSERT_TRUE(other.has_value());
  write(*second, *other);
  write(*first, *family);
  EXPECT_LE(first->metrics().get()->memtable_bytes, 32_MiB / 2);
  EXPECT_LE(second->metrics().get()->memtable_bytes, 32_MiB / 2);
  EXPECT_TRUE(first->get(*family, "7").get().has_value());

  ASSERT_TRUE(second->close().is_ok());
  EXPECT_TRUE(comes_true([&] { return share_of(*first) == 64_MiB; }));
  ASSERT_TRUE(first->close().is_ok());
}

TEST_F(MemoryShareTest, WhatAnIdleDatabaseHoldsInMemtablesGoesToDiskWhenAnotherComes) {
  Outcome<Database> first = open_one("first");
  ASSERT_TRUE(first.has_value()) << first.error().text;
  const Outcome<Family> family = first->create_family("data", {.placement = Placement::kHashed}).get();
  ASSERT_TRUE(family.has_value());
  const std::string value(10'000, 'v');
  for (std::uint64_t row = 0; row < 600; ++row) {  // 6 MB of the 25.6 MiB of memtables: nothing is flushed.
    ASSERT_TRUE(first->put(*family, std::to_string(row), value, {.durability = Durability::kBuffered}).get().is_ok());
  }
  const std::uint64_t before = first->metrics().get()->memtable_bytes;
  EXPECT_GT(before, 5'500'000U);
  std::vector<Database> others;
  for (const char* name : {"second", "third", "fourth"}) {
    Outcome<Database> other = open_one(name);
    ASSERT_TRUE(other.has_value()) << other.error().text;
    others.push_back(std::move(*other));
  }
  EXPECT_TRUE(comes_true([&] { return first->metrics().get()->memtable_bytes <= 16_MiB * 40 / 100 / 2; }));

  const Outcome<Database> fifth = open_one("fifth");
  ASSERT_FALSE(fifth.has_value());
  EXPECT_TRUE(fifth.error().status.is(Code::kInvalidArgument));
  EXPECT_NE(fifth.error().text.find("memory_limit"), std::string::npos) << fifth.error().text;
  EXPECT_EQ(share_of(*first), 16_MiB);
}

}  // namespace
}  // namespace penstock::apitest
