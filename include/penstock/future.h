// Future<T>: the movable completion of a commit or of a call to another core.
//
// A thread blocks on it with get() or wait_for(), or leaves a callback with on_ready(); a coroutine on a reactor awaits it.
// Dropping a future detaches the call: it goes on, nobody hears of it.
// Invariants:
//   Future-I1 A promise is fulfilled exactly once.
//   Future-I2 At most one of get / wait_for-then-get / await / on_ready takes the value.
//   Future-I3 A coroutine resumes on the reactor that it awaited on, whichever thread fulfilled the promise.
// Threads: promise and future may be on different threads; each alone is used by one thread at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include "penstock/status.h"

namespace penstock {

namespace detail {

/// Where a coroutine that awaits a future is resumed: its reactor. `schedule` may be called from any thread.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void schedule(std::coroutine_handle<> handle) = 0;
};

/// The reactor that runs on this thread, or null on an ordinary thread.
inline thread_local constinit Executor* current_executor = nullptr;

/// Differs between a process and each child forked from it, and stays the same within one.
std::uint32_t process_number() noexcept;

/// Sleeps while `word` holds `expected`, at most `timeout_ns` (negative: for ever); wakes the sleepers of `word`.
void park(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t timeout_ns) noexcept;
void unpark(std::atomic<std::uint32_t>& word) noexcept;

/// Non-template part of the shared state: readiness, and whoever waits for it.
class FutureStateBase {
 public:
  bool is_ready() const noexcept { return word_.load(std::memory_order_acquire) == kReady; }
  /// False after `timeout_ns`, and at once where it would wait for ever: in a child forked after the state was made, whose
  /// threads do not know of it.
  bool wait(std::int64_t timeout_ns) noexcept;
  bool is_inherited() const noexcept { return process_ != process_number(); }
  /// Called once by the promise after the value is in place.
  void make_ready() noexcept;

  /// Returns false, and leaves nothing behind, if the state is ready already.
  bool set_coroutine(std::coroutine_handle<> handle, Executor& executor) noexcept;
  bool set_callback(void (*callback)(void*), void* argument) noexcept;

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  bool drop_reference() noexcept { return references_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

 private:
  static constexpr std::uint32_t kPending = 0;
  static constexpr std::uint32_t kParked = 1;    // A thread sleeps on the word.
  static constexpr std::uint32_t kAttached = 2;  // A coroutine or callback is to be started.
  static constexpr std::uint32_t kReady = 3;

  std::atomic<std::uint32_t> word_{kPending};
  std::atomic<std::uint32_t> references_{1};
  const std::uint32_t process_ = process_number();
  std::coroutine_handle<> coroutine_;
  Executor* executor_ = nullptr;
  void (*callback_)(void*) = nullptr;
  void* callback_argument_ = nullptr;
};

template <typename T>
struct FutureState : FutureStateBase {
  std::optional<T> value;
};

template <typename T>
class StateReference {
 public:
  StateReference() noexcept = default;
  explicit StateReference(FutureState<T>* state) noexcept : state_(state) {}
  StateReference(StateReference&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  StateReference& operator=(StateReference&& other) noexcept {
    if (this != &other) {
      reset();
      state_ = std::exchange(other.state_, nullptr);
    }
    return *this;
  }
  ~StateReference() { reset(); }

  StateReference share() const noexcept {
    state_->add_reference();
    return StateReference(state_);
  }
  void reset() noexcept {
    if (state_ != nullptr && state_->drop_reference()) delete state_;
    state_ = nullptr;
  }
  FutureState<T>* operator->() const noexcept { return state_; }
  FutureState<T>* get() const noexcept { return state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  FutureState<T>* state_ = nullptr;
};

}  // namespace detail

/// `T` is a Status, a Result<...> or another movable value.
template <typename T>
class [[nodiscard]] Future {
 public:
  Future() noexcept = default;
  explicit Future(detail::StateReference<T> state) noexcept : state_(std::move(state)) {}

  bool valid() const noexcept { return static_cast<bool>(state_); }
  bool is_ready() const noexcept { return state_->is_ready(); }

  /// Blocks until the value is there. It never blocks on a thread that runs a reactor (one of the engine's, or a donated one):
  /// `would_block` unless ready; nor in a child forked since the call: `forked`. A T that cannot say so ends the process there.
  T get() {
    if (!state_->is_ready()) {
      if (state_->is_inherited())
        return detail::refusal<T>(Status(Code::kForked), "the call was made before a fork, by the parent");
      if (detail::current_executor != nullptr)
        return detail::refusal<T>(Status(Code::kWouldBlock), "a blocking call on a reactor thread");
      state_->wait(-1);
    }
    return take();
  }

  /// True once the value is there; false after `timeout`. Where get() does not block, this does not wait.
  bool wait_for(std::chrono::nanoseconds timeout) {
    if (detail::current_executor != nullptr) return state_->is_ready();
    return state_->wait(timeout.count());
  }

  /// Calls `callback(T)` once the value is there: at once on this thread if it is, else on the thread that provides it, which
  /// may be a reactor: it must not block. Consumes the future.
  template <typename Callback>
  void on_ready(Callback callback) && {
    struct Box {
      Callback callback;
      detail::StateReference<T> state;
      static void run(void* argument) {
        auto* box = static_cast<Box*>(argument);
        T value = std::move(*box->state->value);
        Callback callback = std::move(box->callback);
        delete box;
        callback(std::move(value));
      }
    };
    auto* box = new Box{std::move(callback), std::move(state_)};
    if (!box->state->set_callback(&Box::run, box)) Box::run(box);
  }

  struct Awaiter {
    Future* future;
    bool await_ready() const noexcept { return future->state_->is_ready(); }
    bool await_suspend(std::coroutine_handle<> handle) const noexcept {
      if (detail::current_executor == nullptr) std::abort();  // Only coroutines on a reactor await.
      return future->state_->set_coroutine(handle, *detail::current_executor);
    }
    T await_resume() const { return future->take(); }
  };
  Awaiter operator co_await() && noexcept { return Awaiter{this}; }

 private:
  T take() {
    T value = std::move(*state_->value);
    state_.reset();
    return value;
  }
  detail::StateReference<T> state_;
};

/// The side that provides the value. Copying is not possible; moving is.
template <typename T>
class Promise {
 public:
  Promise() : state_(new detail::FutureState<T>) {}

  Future<T> future() { return Future<T>(state_.share()); }

  void fulfill(T value) {
    state_->value.emplace(std::move(value));
    state_->make_ready();
    state_.reset();
  }

 private:
  detail::StateReference<T> state_;
};

/// A future that is ready from the start.
template <typename T>
Future<T> ready_future(T value) {
  Promise<T> promise;
  Future<T> future = promise.future();
  promise.fulfill(std::move(value));
  return future;
}

}  // namespace penstock
