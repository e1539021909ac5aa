#include "btree/write_pace.h"

#include <gtest/gtest.h>

namespace penstock::btree {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(WritePace, HoldsNothingBackWithoutARate) {
  WritePace pace;
  EXPECT_LE(pace.note(1'000'000'000, kSecond), kSecond);
}

TEST(WritePace, SpreadsWhatIsWrittenOverTime) {
  WritePace pace;
  pace.set_rate(1'000'000);
  std::uint64_t now = kSecond;
  for (int write = 0; write < 50; ++write) now = pace.note(100'000, now);
  EXPECT_EQ(now, 6 * kSecond);
}

TEST(WritePace, KeepsNoCreditForTimesOfRest) {
  WritePace pace;
  pace.set_rate(1'000'000);
  EXPECT_EQ(pace.note(500'000, kSecond), kSecond + (kSecond / 2));
  EXPECT_EQ(pace.note(500'000, 100 * kSecond), (100 * kSecond) + (kSecond / 2));
}

}  // namespace
}  // namespace penstock::btree
