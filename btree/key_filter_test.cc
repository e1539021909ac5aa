#include "btree/key_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::btree {
namespace {

std::uint64_t hash_of(std::uint64_t number) { return KeyFilter::hash("key" + std::to_string(number)); }

TEST(KeyFilter, HoldsWhatWasAddedAndFewOthers) {
  for (const std::uint64_t keys : {1U, 100U, 20'000U}) {
    KeyFilter filter(keys);
    for (std::uint64_t number = 0; number < keys; ++number) filter.add(hash_of(number));
    for (std::uint64_t number = 0; number < keys; ++number) EXPECT_TRUE(filter.may_hold(hash_of(number)));
    std::uint64_t passed = 0;
    for (std::uint64_t number = keys; number < keys + 20'000; ++number) passed += filter.may_hold(hash_of(number)) ? 1U : 0U;
    EXPECT_LE(passed, 400U) << keys;
    EXPECT_LE(filter.bytes(), 64 + (keys * 2));
  }
}

TEST(KeyFilter, HoldsNothingAtFirst) {
  const KeyFilter filter(1000);
  for (std::uint64_t number = 0; number < 1000; ++number) EXPECT_FALSE(filter.may_hold(hash_of(number)));
}

}  // namespace
}  // namespace penstock::btree
