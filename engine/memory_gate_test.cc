#include "engine/memory_gate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "penstock/bytes.h"

namespace penstock::engine {
namespace {

using Verdict = MemoryGate::Verdict;

constexpr std::uint64_t kSecond = 1'000'000'000;

/// Bytes let in during `duration_ns` by a writer that always has more, with `held` as it is.
std::uint64_t admitted(MemoryGate& gate, std::uint64_t held, std::uint64_t from_ns, std::uint64_t duration_ns) {
  std::uint64_t bytes = 0;
  std::uint64_t now = from_ns;
  while (now < from_ns + duration_ns) {
    if (gate.admit(10'000, held, now) == Verdict::kNow) {
      bytes += 10'000;
    }
    now = std::max(now + 1000, gate.next_ns());
  }
  return bytes;
}

TEST(MemoryGate, IsOpenWhileThereIsRoomAndShutAtTheLimit) {
  MemoryGate gate(100_MiB);
  for (int call = 0; call < 100; ++call) {
    EXPECT_EQ(gate.admit(1_MiB, 50_MiB, kSecond), Verdict::kNow);
  }
  EXPECT_EQ(gate.admit(1, 100_MiB, kSecond), Verdict::kFull);
}

TEST(MemoryGate, LetsInLessTheLessRoomThereIs) {
  std::uint64_t before = ~std::uint64_t{0};
  for (const std::uint64_t held : {60_MiB, 75_MiB, 90_MiB, 99_MiB}) {
    MemoryGate gate(100_MiB);
    const std::uint64_t bytes = admitted(gate, held, kSecond, kSecond);
    EXPECT_LT(bytes, before) << held;
    EXPECT_GT(bytes, 0U) << held;
    before = bytes;
  }
}

TEST(MemoryGate, SaysWhenToAskAgain) {
  MemoryGate gate(100_MiB);
  EXPECT_EQ(gate.admit(1_MiB, 90_MiB, kSecond), Verdict::kNow);
  EXPECT_EQ(gate.admit(1, 90_MiB, kSecond), Verdict::kLater);
  EXPECT_GT(gate.next_ns(), kSecond);
  EXPECT_EQ(gate.admit(1, 90_MiB, gate.next_ns()), Verdict::kNow);
}

// The smallest of what made commits wait for a second: a pass that takes one, memory three quarters full.
TEST(MemoryGate, LetsInEvenlyWhileAPassGoesOn) {
  MemoryGate gate(100_MiB);
  std::uint64_t now = kSecond;
  for (int pass = 0; pass < 30; ++pass, now += kSecond) {
    gate.on_pass_begun(1, 20_MiB, now);
    gate.on_pass_ended(1, true, now + kSecond);
  }
  gate.on_pass_begun(1, 20_MiB, now);
  std::uint64_t held = 66_MiB;
  std::uint64_t least = ~std::uint64_t{0};
  std::uint64_t most = 0;
  for (std::uint64_t tenth = 0; tenth < 9; ++tenth) {
    const std::uint64_t bytes = admitted(gate, held, now + (tenth * kSecond / 10), kSecond / 10);
    held += bytes;
    least = std::min(least, bytes);
    most = std::max(most, bytes);
  }
  EXPECT_GT(least * 2, most);
  EXPECT_LT(held, 100_MiB + 10'000);
}

TEST(MemoryGate, IsNeverSlowerThanAQuarterOfThePasses) {
  MemoryGate gate(100_MiB);
  std::uint64_t now = kSecond;
  for (int pass = 0; pass < 30; ++pass, now += kSecond) {
    gate.on_pass_begun(1, 20_MiB, now);
    gate.on_pass_ended(1, true, now + kSecond);
  }
  EXPECT_GE(admitted(gate, 99_MiB, now, kSecond), 5_MiB - 20'000);
}

// The smallest of what stopped commits for as long as a pass took: what passes hold to their ends was counted as given back.
TEST(MemoryGate, SlowsDownEarlierTheMorePassesHold) {
  MemoryGate idle(100_MiB);
  MemoryGate busy(100_MiB);
  busy.on_pass_begun(1, 25_MiB, kSecond);
  busy.on_pass_begun(2, 25_MiB, kSecond);
  EXPECT_EQ(idle.debt(55_MiB, kSecond), 0.0);
  EXPECT_GT(busy.debt(55_MiB, kSecond), 0.5);
  busy.on_pass_ended(1, true, 2 * kSecond);
  busy.on_pass_ended(2, true, 2 * kSecond);
  EXPECT_GT(busy.debt(55_MiB, 2 * kSecond), 0.0);  // More of them will come.
}

TEST(MemoryGate, LearnsNothingFromAPassThatFreedNothing) {
  MemoryGate learned(100_MiB);
  MemoryGate taught(100_MiB);
  learned.on_pass_begun(3, 40_MiB, kSecond);
  learned.on_pass_ended(3, false, kSecond);
  taught.on_pass_begun(3, 40_MiB, kSecond);
  taught.on_pass_ended(3, false, 100 * kSecond);
  EXPECT_EQ(admitted(learned, 90_MiB, 200 * kSecond, kSecond), admitted(taught, 90_MiB, 200 * kSecond, kSecond));
}

}  // namespace
}  // namespace penstock::engine
