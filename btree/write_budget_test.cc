#include "btree/write_budget.h"

#include <gtest/gtest.h>

namespace penstock::btree {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

class WriteBudgetTest : public testing::Test {
 protected:
  void note(std::uint64_t commits, std::uint64_t duration_ns, bool is_memory_short = false) {
    for (; commits > 0; --commits) budget_.note_commit(duration_ns, is_memory_short, now_ns_ += kMillisecond);
  }

  WriteBudget budget_;
  std::uint64_t now_ns_ = 0;
};

TEST_F(WriteBudgetTest, GrowsStepByStepWhileCommitsTakeTheirUsualTime) {
  note(20, kMillisecond);
  const std::uint64_t before = budget_.bytes();
  note(20, kMillisecond);
  EXPECT_EQ(budget_.bytes(), before + (2 * WriteBudget::kStepBytes));
  note(10'000, kMillisecond);
  EXPECT_EQ(budget_.bytes(), WriteBudget::kBytesMax);
  EXPECT_EQ(budget_.cuts(), 0U);
}

TEST_F(WriteBudgetTest, IsHalvedOnceInAWindowWithSlowCommits) {
  note(10'000, kMillisecond);
  note(10, 20 * kMillisecond);
  EXPECT_EQ(budget_.bytes(), WriteBudget::kBytesMax / 2);
  EXPECT_EQ(budget_.cuts(), 1U);
  for (int window = 0; window < 20; ++window) {
    note(9, kMillisecond);
    note(1, 20 * kMillisecond);
  }
  EXPECT_EQ(budget_.bytes(), WriteBudget::kBytesMin);
}

TEST_F(WriteBudgetTest, IsNotHalvedWhileCommitsWaitForMemory) {
  note(20, kMillisecond);
  const std::uint64_t before = budget_.bytes();
  note(20, 20 * kMillisecond, true);
  EXPECT_GT(budget_.bytes(), before);
}

TEST_F(WriteBudgetTest, ComesBackWhereThereWereNoCommits) {
  note(1000, kMillisecond);
  for (int window = 0; window < 20; ++window) note(10, 50 * kMillisecond);
  now_ns_ += 10'000 * kMillisecond;
  note(1, kMillisecond);
  EXPECT_EQ(budget_.bytes(), WriteBudget::kBytesMax);
}

TEST_F(WriteBudgetTest, FastCommitsAreNeverSlow) {
  note(1000, kMillisecond / 100);
  note(100, kMillisecond / 2);
  EXPECT_EQ(budget_.cuts(), 0U);
}

TEST_F(WriteBudgetTest, AFixedValueStays) {
  budget_.set_fixed(512_KiB);
  note(1000, kMillisecond);
  EXPECT_EQ(budget_.bytes(), 512_KiB);
}

}  // namespace
}  // namespace penstock::btree
