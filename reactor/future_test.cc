// Goal: a future is heard exactly once whichever side comes first and on whichever thread; nothing is touched after its waiter
// has gone. The races are run many times; the thread sanitizer sees the rest.
#include "penstock/future.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace penstock {
namespace {

using namespace std::chrono_literals;

constexpr int kRaces = 300;

TEST(Future, GivesTheValueToABlockedThreadWhicheverSideComesFirst) {
  for (int race = 0; race < kRaces; ++race) {
    Promise<int> promise;
    Future<int> future = promise.future();
    std::thread provider([&promise, race] { promise.fulfill(race); });
    EXPECT_EQ(future.get(), race);
    provider.join();
  }
}

TEST(Future, WaitForEndsAtItsTimeAndCanBeRepeated) {
  Promise<int> promise;
  Future<int> future = promise.future();
  EXPECT_FALSE(future.wait_for(0ns));
  EXPECT_FALSE(future.wait_for(100us));
  EXPECT_FALSE(future.wait_for(100us));
  promise.fulfill(7);
  EXPECT_TRUE(future.wait_for(0ns));
  EXPECT_EQ(future.get(), 7);
}

TEST(Future, WaitForThatRunsOutBesideTheProviderLosesNothing) {
  for (int race = 0; race < kRaces; ++race) {
    Promise<int> promise;
    Future<int> future = promise.future();
    std::thread provider([&promise] { promise.fulfill(1); });
    while (!future.wait_for(std::chrono::nanoseconds(race % 64))) {
    }
    EXPECT_EQ(future.get(), 1);
    provider.join();
  }
}

TEST(Future, CallsBackOnceWhicheverSideComesFirst) {
  std::atomic<int> sum{0};
  for (int race = 0; race < kRaces; ++race) {
    Promise<int> promise;
    Future<int> future = promise.future();
    std::thread provider([&promise] { promise.fulfill(1); });
    std::move(future).on_ready([&sum](int value) { sum.fetch_add(value); });
    provider.join();
    EXPECT_EQ(sum.load(), race + 1);
  }
}

TEST(Future, MayBeDroppedBeforeAndAfterItsValue) {
  Promise<std::unique_ptr<int>> promise;
  {
    const Future<std::unique_ptr<int>> dropped = promise.future();
  }
  promise.fulfill(std::make_unique<int>(1));
  {
    const Future<std::unique_ptr<int>> dropped = ready_future(std::make_unique<int>(2));
  }
}

/// Keeps what it is asked to schedule.
class ListExecutor final : public detail::Executor {
 public:
  void schedule(std::coroutine_handle<> handle) override { scheduled = handle; }
  std::coroutine_handle<> scheduled;
};

TEST(Future, AnswersWouldBlockOnAReactorThreadUnlessReady) {
  ListExecutor executor;
  detail::current_executor = &executor;
  Promise<Status> promise;
  Future<Status> pending = promise.future();
  EXPECT_TRUE(pending.get().is(Code::kWouldBlock));
  EXPECT_FALSE(pending.wait_for(1h));
  EXPECT_TRUE(ready_future(Status()).get().is_ok());
  EXPECT_EQ(Promise<Result<int>>().future().get().error().code(), Code::kWouldBlock);
  EXPECT_EQ(Promise<Outcome<int>>().future().get().error().status.code(), Code::kWouldBlock);
  detail::current_executor = nullptr;
  promise.fulfill(Status());
}

TEST(FutureState, StartsNothingWhenItIsReadyAlready) {
  ListExecutor executor;
  detail::FutureState<int> state;
  state.value = 1;
  state.make_ready();
  EXPECT_FALSE(state.set_coroutine(std::noop_coroutine(), executor));
  EXPECT_FALSE(state.set_callback([](void*) { FAIL(); }, nullptr));
  EXPECT_FALSE(executor.scheduled);
}

TEST(FutureState, SchedulesTheCoroutineThatWaitsForIt) {
  ListExecutor executor;
  detail::FutureState<int> state;
  const std::coroutine_handle<> handle = std::noop_coroutine();
  EXPECT_TRUE(state.set_coroutine(handle, executor));
  EXPECT_FALSE(executor.scheduled);
  state.make_ready();
  EXPECT_EQ(executor.scheduled, handle);
}

TEST(FutureDeathTest, DiesOfAPromiseFulfilledTwice) {
  detail::FutureState<int> state;
  state.make_ready();
  EXPECT_DEATH(state.make_ready(), "before");
}

}  // namespace
}  // namespace penstock
