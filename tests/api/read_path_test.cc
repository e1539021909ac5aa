// Goal: the quick ways to read (pinned values on a shard, gets that a thread answers itself) see what the slow ones see.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using ReadPath = DatabaseTest;
using namespace std::chrono_literals;

Task<Status> pin_and_overwrite(Shard& shard, Family family, Future<Status>* flushed) {
  Result<PinnedValue> before = co_await shard.get_pinned(family, "key");
  if (!before.has_value()) co_return before.error();
  PENSTOCK_CO_TRY(co_await shard.put(family, "key", "second"));
  PENSTOCK_CO_TRY(co_await std::move(*flushed));
  const Result<PinnedValue> after = co_await shard.get_pinned(family, "key");
  if (!after.has_value()) co_return after.error();
  EXPECT_EQ(before->value(), "first");
  EXPECT_EQ(after->value(), "second");
  const PinnedValue moved = std::move(*before);
  EXPECT_EQ(moved.value(), "first");
  EXPECT_EQ(before->value(), "");
  co_return Status();
}

TEST_F(ReadPath, APinnedValueStaysWhateverIsWrittenAndFlushed) {
  open();
  const Family data = family("data", {.shard = 1});
  ASSERT_TRUE(db_->put(data, "key", "first").get().is_ok());
  for (int round = 0; round < 2; ++round) {  // From a memtable, then from a page.
    Future<Status> flushed = db_->flush();
    const Status status = db_->run_on(1, &pin_and_overwrite, data, &flushed).get();
    EXPECT_TRUE(status.is_ok()) << status.to_string();
    ASSERT_TRUE(db_->put(data, "key", "first").get().is_ok());
    ASSERT_TRUE(db_->flush().get().is_ok());
  }
}

Task<Status> expect_refusals(Shard& shard, Family other_shard, Family here) {
  EXPECT_TRUE(shard.get_cached(other_shard, "key")->error().is(Code::kInvalidArgument));
  EXPECT_TRUE((co_await shard.get_pinned(other_shard, "key")).error().is(Code::kInvalidArgument));
  EXPECT_TRUE(shard.get_cached(here, std::string(2000, 'k'))->error().is(Code::kInvalidArgument));
  EXPECT_FALSE(shard.get_cached(here, "absent").has_value());  // No page is in memory yet.
  EXPECT_TRUE((co_await shard.get_pinned(here, "absent")).error().is(Code::kNotFound));
  EXPECT_TRUE(shard.get_cached(here, "absent")->error().is(Code::kNotFound));
  const Result<PinnedValue> large = co_await shard.get_pinned(here, "large");
  EXPECT_TRUE(large.has_value() && large->value() == std::string(100'000, 'x'));
  co_return Status();
}

TEST_F(ReadPath, PinnedGetsRefuseWhatIsNotTheirsAndReadLargeValues) {
  open();
  const Family here = family("here", {.shard = 1});
  const Family there = family("there", {.shard = 2});
  ASSERT_TRUE(db_->put(here, "large", std::string(100'000, 'x')).get().is_ok());
  ASSERT_TRUE(db_->flush().get().is_ok());
  EXPECT_TRUE(db_->run_on(1, &expect_refusals, there, here).get().is_ok());
}

TEST_F(ReadPath, AThreadReadsForItselfWhileTheReactorSleeps) {
  open();
  const Family data = family("data");
  ASSERT_TRUE(db_->put(data, "key", "value").get().is_ok());
  std::uint64_t borrowed = 0;
  for (int turn = 0; turn < 1000 && borrowed == 0; ++turn) {
    std::this_thread::sleep_for(1ms);
    for (int again = 0; again < 10; ++again) {
      EXPECT_EQ(db_->get(data, "key").get().value(), "value");
      EXPECT_TRUE(db_->get(data, "absent").get().error().is(Code::kNotFound));
    }
    borrowed = db_->metrics().get().value().gets_borrowed;
  }
  EXPECT_GT(borrowed, 0U);

  DatabaseOptions options = small_options();
  options.borrowed_reads = false;
  open(options);
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(db_->get(family("data"), "key").get().value(), "value");
  EXPECT_EQ(db_->metrics().get().value().gets_borrowed, 0U);
}

// Commits, gets and flushes at once: what a thread wrote is what it reads next, and other keys never go back.
TEST_F(ReadPath, ReadsOfManyThreadsAreNeverOld) {
  constexpr int kThreads = 4;
  open();
  const Family data = family("data", {.placement = Placement::kHashed});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string own = "key" + std::to_string(thread);
      const std::string other = "key" + std::to_string((thread + 1) % kThreads);
      std::uint64_t seen = 0;
      for (std::uint64_t version = 1; !stop.load(); ++version) {
        ASSERT_TRUE(db_->put(data, own, std::to_string(version), {.durability = Durability::kBuffered}).get().is_ok());
        for (int again = 0; again < 3; ++again) {
          ASSERT_EQ(db_->get(data, own).get().value(), std::to_string(version));
          const Result<std::string> found = db_->get(data, other).get();
          if (!found.has_value()) continue;
          const std::uint64_t now = std::stoull(*found);
          ASSERT_GE(now, seen);
          seen = now;
        }
        if (version % 64 == 0) std::this_thread::sleep_for(1ms);  // Lets the reactors sleep.
      }
    });
  }
  for (int flush = 0; flush < 20; ++flush) {
    std::this_thread::sleep_for(20ms);
    ASSERT_TRUE(db_->flush().get().is_ok());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace penstock::apitest
