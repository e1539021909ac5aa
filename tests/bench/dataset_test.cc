// The benchmark's data: keys in order, values that give themselves away, orders that miss nothing.
#include "tools/penstock-bench/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

#include "base/random.h"

namespace penstock::bench {
namespace {

TEST(Dataset, KeysSortAsTheirNumbers) {
  for (const std::uint32_t size : {4U, 8U, 16U}) {
    const Dataset dataset(size, ValueSizes(20), 1);
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
  const Dataset dataset(8, ValueSizes(40), 7);
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
  const Dataset dataset(8, ValueSizes(12), 7);
  std::string value(12, '\0');
  dataset.fill_value(2, 5, 9, value.data());
  EXPECT_EQ(dataset.value_version(2, 6, value), std::nullopt);
  EXPECT_EQ(dataset.value_version(3, 5, value), std::nullopt);
  EXPECT_EQ(Dataset(8, ValueSizes(12), 8).value_version(2, 5, value), std::nullopt);
}

TEST(Dataset, ValuesHaveSizesOfTheirOwnWhichAreCheckedToo) {
  const Dataset dataset(8, ValueSizes::parse("20-300"), 7);
  std::string value(dataset.value_size_max(), '\0');
  std::set<std::uint32_t> sizes;
  for (std::uint32_t number = 0; number < 1000; ++number) {
    const std::uint32_t size = dataset.fill_value(0, number, 1, value.data());
    sizes.insert(size);
    EXPECT_EQ(dataset.value_version(0, number, std::string_view(value).substr(0, size)), 1U);
    EXPECT_EQ(dataset.value_version(0, number, std::string_view(value).substr(0, size - 1)), std::nullopt);
  }
  EXPECT_GT(sizes.size(), 200U);
  EXPECT_GE(*sizes.begin(), 20U);
  EXPECT_LE(*sizes.rbegin(), 300U);
}

TEST(ValueSizes, SplitSizesComeInTheirShares) {
  const ValueSizes sizes = ValueSizes::parse("100/50:1k/30:4k/20");
  base::Random random(1);
  std::map<std::uint32_t, int> counts;
  constexpr int kDraws = 100'000;
  double sum = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const std::uint32_t size = sizes.of(random.next());
    ++counts[size];
    sum += size;
  }
  ASSERT_EQ(counts.size(), 3U);
  EXPECT_NEAR(counts[100], kDraws * 0.5, kDraws * 0.01);
  EXPECT_NEAR(counts[1024], kDraws * 0.3, kDraws * 0.01);
  EXPECT_NEAR(counts[4096], kDraws * 0.2, kDraws * 0.01);
  EXPECT_NEAR(sum / kDraws, sizes.mean(), sizes.mean() * 0.02);
  EXPECT_EQ(sizes.to_string(), "100/50:1024/30:4096/20");
}

TEST(ValueSizes, ARangeIsEven) {
  const ValueSizes sizes = ValueSizes::parse("20-29");
  base::Random random(2);
  std::map<std::uint32_t, int> counts;
  for (int draw = 0; draw < 100'000; ++draw) {
    ++counts[sizes.of(random.next())];
  }
  ASSERT_EQ(counts.size(), 10U);
  for (const auto& [size, count] : counts) {
    EXPECT_NEAR(count, 10'000, 500) << size;
  }
  EXPECT_EQ(sizes.mean(), 24.5);
}

TEST(ValueSizes, WhatIsNoSizeSaysWhatWasExpected) {
  for (const char* text :
       {"", "11", "100-20", "x", "20-", "-20", "20/50", "20/0:30/100", "20/60:30/50", "20/x", "5/50:20/50"}) {
    EXPECT_THROW(ValueSizes::parse(text), std::invalid_argument) << text;
  }
}

TEST(Dataset, AValueWithRoomForItSaysWhoseItIs) {
  const Dataset dataset(8, ValueSizes(24), 1);
  std::string value(24, '\0');
  dataset.fill_value(3, 17, 5, value.data());
  const auto origin = dataset.origin_of(value);
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->family, 3U);
  EXPECT_EQ(origin->number, 17U);
  EXPECT_EQ(origin->version, 5U);
  for (char& byte : value) {
    byte ^= 1;
    EXPECT_FALSE(dataset.origin_of(value).has_value());
    byte ^= 1;
  }
  const Dataset small(8, ValueSizes(23), 1);
  std::string short_value(23, '\0');
  small.fill_value(3, 17, 5, short_value.data());
  EXPECT_FALSE(small.origin_of(short_value).has_value());
  EXPECT_EQ(small.value_version(3, 17, short_value), 5U);
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
