// Goal: tasks start when awaited, give their value once, and never grow the stack, however many end at once.
#include "penstock/task.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace penstock {
namespace {

/// Starts a task outside a reactor and says when it has ended.
struct Runner {
  struct promise_type {
    Runner get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};

Task<std::uint64_t> give(std::uint64_t value) { co_return value; }

Task<std::uint64_t> sum_to(std::uint64_t count) {
  std::uint64_t sum = 0;
  for (std::uint64_t number = 1; number <= count; ++number) sum += co_await give(number);
  co_return sum;
}

Task<std::uint64_t> descend(std::uint64_t depth) {
  if (depth == 0) co_return 0;
  const std::uint64_t below = co_await descend(depth - 1);
  co_return below + 1;
}

template <typename T>
Runner store(Task<T> (*function)(std::uint64_t), std::uint64_t argument, std::optional<T>* result) {
  result->emplace(co_await function(argument));
}

template <typename T>
T run(Task<T> (*function)(std::uint64_t), std::uint64_t argument) {
  std::optional<T> result;
  resume_until_idle(store(function, argument, &result).handle);
  EXPECT_TRUE(result.has_value());
  return std::move(*result);
}

TEST(Task, LoopOverReadyTasksKeepsTheStackFlat) {
  // A frame per round would need hundreds of megabytes.
  constexpr std::uint64_t kRounds = 2'000'000;
  EXPECT_EQ(run(&sum_to, kRounds), kRounds * (kRounds + 1) / 2);
}

TEST(Task, DeepAwaitingUsesTheHeapAndNotTheStack) { EXPECT_EQ(run(&descend, 100'000), 100'000U); }

Task<std::unique_ptr<std::string>> make_text(std::uint64_t length) {
  co_return std::make_unique<std::string>(static_cast<std::size_t>(length), 'a');
}

TEST(Task, MovesItsValueOut) { EXPECT_EQ(run(&make_text, 3)->size(), 3U); }

bool started = false;

Task<int> note_start() {
  started = true;
  co_return 1;
}

TEST(Task, StartsOnlyWhenAwaited) {
  started = false;
  {
    const Task<int> never_awaited = note_start();
  }
  EXPECT_FALSE(started);
}

}  // namespace
}  // namespace penstock
