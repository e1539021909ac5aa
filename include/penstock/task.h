// Task<T>: a lazy coroutine that is awaited in the expression that made it.
//
// Invariants:
//   Task-I1 A task starts when it is awaited and is awaited exactly once, as a prvalue: `co_await f(x)`. So references and
//   views
//           passed to f outlive it. A named task cannot be awaited.
//   Task-I2 A task is destroyed only when it was never started or has ended: the kernel may own its buffers in between.
//   Task-I3 Every resumption goes through resume_until_idle(): a coroutine that awaits a child, or ends, leaves the next handle
//   in
//           a per-thread slot instead of jumping there. GCC 12 turns symmetric transfer into recursion at -O0, -O1 and under
//           the sanitizers; the slot costs nothing measurable and never grows the stack.
// Shard: a task runs on the reactor that resumes it and never moves to another.
// Errors are values: an exception that leaves a task ends the process.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

namespace detail {

/// The coroutine to run next on this thread once the current one has suspended.
inline thread_local constinit std::coroutine_handle<> next_to_resume = nullptr;

/// Memory of frames: that of ended tasks is kept by the thread on which they ended, up to 1 MiB, for the next ones.
void* allocate_frame(std::size_t bytes);
void free_frame(void* memory, std::size_t bytes) noexcept;

struct TaskPromiseBase {
  std::coroutine_handle<> continuation;

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept { free_frame(memory, bytes); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      next_to_resume = ended.promise().continuation;
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <typename T>
struct TaskPromise;

}  // namespace detail

/// Runs `handle`, then whatever it and its successors leave to run, until nothing is left. The only place that resumes.
inline void resume_until_idle(std::coroutine_handle<> handle) {
  const std::coroutine_handle<> outer = std::exchange(detail::next_to_resume, nullptr);
  while (handle) {
    handle.resume();
    handle = std::exchange(detail::next_to_resume, nullptr);
  }
  detail::next_to_resume = outer;
}

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Handle handle) noexcept : handle_(handle) {}  // NOLINT(google-explicit-constructor): from get_return_object.
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) {
      if (started_ && !handle_.done()) std::abort();  // Task-I2.
      handle_.destroy();
    }
  }

  struct Awaiter {
    Handle handle;
    bool* started;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      *started = true;
      handle.promise().continuation = awaiting;
      detail::next_to_resume = handle;
    }
    T await_resume() const { return handle.promise().take(); }
  };

  Awaiter operator co_await() && noexcept { return Awaiter{handle_, &started_}; }

  /// For TaskGroup and the test runner alone: gives up the frame to one that starts and destroys it.
  Handle release() && noexcept { return std::exchange(handle_, nullptr); }

 private:
  Handle handle_;
  bool started_ = false;
};

namespace detail {

template <typename T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;

  std::coroutine_handle<TaskPromise> get_return_object() noexcept {
    return std::coroutine_handle<TaskPromise>::from_promise(*this);
  }
  template <typename U>
    requires std::is_convertible_v<U&&, T>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (!value.has_value()) std::abort();
    T result = std::move(*value);
    value.reset();
    return result;
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  std::coroutine_handle<TaskPromise> get_return_object() noexcept {
    return std::coroutine_handle<TaskPromise>::from_promise(*this);
  }
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail
}  // namespace penstock
