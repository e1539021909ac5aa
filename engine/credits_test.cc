#include "engine/credits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace penstock::engine {
namespace {

TEST(Credits, AreTakenUntilTheyRunOutAndComeBack) {
  Credits credits(100);
  EXPECT_TRUE(credits.is_idle());
  EXPECT_TRUE(credits.try_take(60));
  EXPECT_FALSE(credits.is_idle());
  EXPECT_FALSE(credits.try_take(41));
  EXPECT_TRUE(credits.try_take(40));
  credits.give(60);
  EXPECT_TRUE(credits.try_take(60));
  credits.give(40);
  credits.give(60);
  EXPECT_TRUE(credits.is_idle());
}

TEST(Credits, ACallOverTheCapacityIsLetInAlone) {
  Credits credits(100);
  ASSERT_TRUE(credits.try_take(1));
  EXPECT_FALSE(credits.try_take(1000));
  credits.give(1);
  EXPECT_TRUE(credits.try_take(1000));
  EXPECT_FALSE(credits.try_take(1));
  credits.give(1000);
  EXPECT_TRUE(credits.is_idle());
}

TEST(Credits, ATakerBlocksUntilCreditsComeBack) {
  Credits credits(100);
  ASSERT_TRUE(credits.try_take(100));
  std::atomic<bool> is_given = false;
  std::thread taker([&credits, &is_given] {
    credits.take(50);
    EXPECT_TRUE(is_given.load());
    credits.give(50);
  });
  is_given.store(true);
  credits.give(100);
  taker.join();
  EXPECT_TRUE(credits.is_idle());
}

TEST(Credits, OneReturnWakesAllWhoFit) {
  Credits credits(100);
  ASSERT_TRUE(credits.try_take(100));
  std::vector<std::thread> takers;
  for (std::uint32_t index = 0; index < 4; ++index) {
    takers.emplace_back([&credits] { credits.take(25); });  // Kept: a second return never comes.
  }
  credits.give(100);
  for (std::thread& taker : takers) {
    taker.join();
  }
  EXPECT_FALSE(credits.try_take(1));
  credits.give(100);
}

/// Threads take and give; nobody sleeps for ever and nothing is lost. What is out never exceeds the capacity, but for one large
/// call.
TEST(Credits, NobodyIsForgottenUnderContention) {
  constexpr std::int64_t kCapacity = 10;
  Credits credits(kCapacity);
  std::atomic<std::int64_t> out = 0;
  std::atomic<std::uint32_t> excess = 0;
  std::vector<std::thread> threads;
  for (std::int64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&credits, &out, &excess, thread] {
      for (std::int64_t round = 0; round < 5'000; ++round) {
        const std::int64_t bytes = 1 + ((thread * 7 + round * 3) % kCapacity);
        credits.take(bytes);
        excess.fetch_add(out.fetch_add(bytes) + bytes > kCapacity ? 1U : 0U);
        out.fetch_sub(bytes);
        credits.give(bytes);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(excess.load(), 0U);
  EXPECT_TRUE(credits.is_idle());
}

}  // namespace
}  // namespace penstock::engine
