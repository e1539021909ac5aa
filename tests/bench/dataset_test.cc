// The benchmark's data: keys in order, values that give themselves away, orders that miss nothing.
#include "tools/penstock-bench/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace penstock::bench {
namespace {

TEST(Dataset, KeysSortAsTheirNumbers) {
  for (const std::uint32_t size : {4U, 8U, 16U}) {
    const Dataset dataset(size, 20, 1);
    std::string previous(size, '\0');
    std::string next(size, '\0');
    for (const std::uint32_t number : {1U, 255U, 256U, 65'536U, 0xffffffffU}) {
      dataset.fill_key(number, next.data());
      EXPECT_LT(previous, next);
      previous = next;
    }
  }
}

TEST(Dataset, AnyChangedByteOfAValueIsNoticed) {
  const Dataset dataset(8, 40, 7);
  std::string value(40, '\0');
  dataset.fill_value(2, 5, 9, value.data());
  EXPECT_EQ(dataset.value_version(2, 5, value), 9U);
  for (char& byte : value) {
    byte = static_cast<char>(byte ^ 1);
    EXPECT_EQ(dataset.value_version(2, 5, value), std::nullopt);
    byte = static_cast<char>(byte ^ 1);
  }
  EXPECT_EQ(dataset.value_version(2, 5, std::string_view(value).substr(1)), std::nullopt);
}

TEST(Dataset, AValueBelongsToItsKeyFamilyAndSeed) {
  const Dataset dataset(8, 12, 7);
  std::string value(12, '\0');
  dataset.fill_value(2, 5, 9, value.data());
  EXPECT_EQ(dataset.value_version(2, 6, value), std::nullopt);
  EXPECT_EQ(dataset.value_version(3, 5, value), std::nullopt);
  EXPECT_EQ(Dataset(8, 12, 8).value_version(2, 5, value), std::nullopt);
}

TEST(Permutation, VisitsEachNumberOnce) {
  for (const std::uint32_t count : {1U, 2U, 3U, 100U, 4096U, 10'007U}) {
    const Permutation permutation(count, 3);
    std::vector<bool> seen(count, false);
    for (std::uint32_t place = 0; place < count; ++place) {
      const std::uint32_t number = permutation.at(place);
      ASSERT_LT(number, count);
      EXPECT_FALSE(seen[number]) << count;
      seen[number] = true;
    }
  }
}

TEST(Permutation, SeedsGiveDifferentOrders) {
  const Permutation one(1000, 1);
  const Permutation other(1000, 2);
  std::uint32_t same = 0;
  for (std::uint32_t place = 0; place < 1000; ++place) {
    same += one.at(place) == other.at(place) ? 1U : 0U;
  }
  EXPECT_LT(same, 20U);
}

}  // namespace
}  // namespace penstock::bench
