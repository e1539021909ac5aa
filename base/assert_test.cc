// Goal: an assertion that fails ends the process and says where, what, and with which values.
#include "base/assert.h"

#include <gtest/gtest.h>

namespace penstock::base {
namespace {

TEST(AssertDeathTest, SaysTheConditionAndBothSides) {
  const int left = 41;
  EXPECT_DEATH(PENSTOCK_ASSERT(left == 42), "assert_test.cc.*left == 42");
  EXPECT_DEATH(PENSTOCK_ASSERT_EQ(left, 42), "assert_test.cc.*left == 42.*41.*42");
}

TEST(Assert, EvaluatesEachSideOnce) {
  int calls = 0;
  PENSTOCK_ASSERT_LT(++calls, 2);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace penstock::base
