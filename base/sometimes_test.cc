#include "base/sometimes.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace penstock::base {
namespace {

std::optional<std::uint64_t> hits_of(const std::string& name) {
  for (const SometimesMark* mark = SometimesMark::first(); mark != nullptr; mark = mark->next()) {
    if (name == mark->name()) return mark->hits();
  }
  return std::nullopt;
}

void pass_one_mark(bool is_unusual) { PENSTOCK_SOMETIMES("test: unusual", is_unusual); }
void pass_the_same_mark_elsewhere() { PENSTOCK_SOMETIMES("test: unusual", true); }
[[maybe_unused]] void never_called() { PENSTOCK_SOMETIMES("test: never reached", true); }

TEST(Sometimes, AMarkCountsHowOftenItsConditionHeld) {
  ASSERT_EQ(hits_of("test: unusual"), 0U);
  pass_one_mark(false);
  EXPECT_EQ(hits_of("test: unusual"), 0U);
  pass_one_mark(true);
  pass_one_mark(true);
  EXPECT_EQ(hits_of("test: unusual"), 2U);
  pass_the_same_mark_elsewhere();
  EXPECT_EQ(hits_of("test: unusual"), 3U);
}

TEST(Sometimes, AMarkThatWasNeverReachedIsOnTheList) {
  EXPECT_EQ(hits_of("test: never reached"), 0U);
  EXPECT_FALSE(hits_of("test: not there").has_value());
}

}  // namespace
}  // namespace penstock::base
