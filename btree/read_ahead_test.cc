// Goal: a merge that walks from leaf to leaf reads them in large requests; one whose keys are far apart reads nothing else; and
// both do the same to the tree as ever.
#include <gtest/gtest.h>

#include "base/random.h"
#include "btree/test_forest.h"

namespace penstock::btree {
namespace {

constexpr std::uint64_t kRows = 20'000;

std::string key_of(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(8 - digits.size(), '0') + digits;
}

Operation put(std::uint64_t number, std::uint64_t version) {
  return {.key = key_of(number), .value = std::string(100, static_cast<char>('a' + version))};
}

class ReadAhead : public testing::Test {
 protected:
  ReadAhead() {
    std::vector<Operation> rows;
    for (std::uint64_t number = 0; number < kRows; ++number) rows.push_back(put(number, 0));
    forest_.apply(std::move(rows));
    forest_.close();  // Nothing is in memory.
    forest_.open();
  }
  std::uint64_t requests() { return forest_.world.reactor(0).io().counters().reads; }

  Forest forest_{7};
};

TEST_F(ReadAhead, AWalkOverAllLeavesTakesFewRequests) {
  std::vector<Operation> rows;
  for (std::uint64_t number = 0; number < kRows; number += 3) rows.push_back(put(number, 1));
  const std::uint64_t before = requests();
  forest_.apply(std::move(rows));
  EXPECT_GT(forest_.stats.leaves_read, 500U);
  EXPECT_LT(requests() - before, forest_.stats.leaves_read / 8);
  EXPECT_EQ(forest_.store->counters().cache_misses, 0U) << "merges are not readers";
  forest_.verify();
}

TEST_F(ReadAhead, KeysFarApartReadOnlyTheirPages) {
  std::vector<Operation> rows;
  for (std::uint64_t number = 50; number < kRows; number += 700) rows.push_back(put(number, 1));
  const std::uint64_t pages_before = forest_.store->counters().pages_read;
  const std::size_t count = rows.size();
  forest_.apply(std::move(rows));
  EXPECT_LE(forest_.store->counters().pages_read - pages_before, 2 * count + 20);
  forest_.verify();
}

TEST_F(ReadAhead, RandomDensitiesEqualTheMap) {
  base::Random random(11);
  for (std::uint64_t round = 1; round <= 8; ++round) {
    std::vector<Operation> rows;
    for (std::uint64_t number = random.below(50); number < kRows; number += 1 + random.below(random.one_in(30) ? 900 : 12)) {
      rows.push_back(random.one_in(5) ? deletion(key_of(number)) : put(number, round));
    }
    forest_.apply(std::move(rows));
    forest_.verify();
  }
}

TEST_F(ReadAhead, ADamagedPageIsReportedAndNotUsed) {
  const std::string file = "/shard-0/pages-1";
  ASSERT_TRUE(forest_.disk.exists(file));
  const auto zones = forest_.store->live_blocks_by_zone();
  std::uint64_t damaged = 0;
  for (const auto& [zone, live] : zones) {
    if (live == 0) continue;
    ASSERT_TRUE(forest_.disk.flip_byte(file, (zone.block + 100ULL) * kPageBlockBytes + 77, 0x10).is_ok());
    ++damaged;
  }
  ASSERT_GT(damaged, 0U);
  std::vector<Operation> rows;
  for (std::uint64_t number = 0; number < kRows; number += 3) rows.push_back(put(number, 1));
  LentSource source(std::move(rows));
  const Status status = forest_.world.run(0, merge_and_publish, &forest_, &source, std::vector<Address>());
  EXPECT_TRUE(status.is(Code::kCorruption)) << status.to_string();
}

}  // namespace
}  // namespace penstock::btree
