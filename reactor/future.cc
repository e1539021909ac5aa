#include "penstock/future.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

namespace penstock::detail {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * kNsPerSecond + now.tv_nsec;
}

}  // namespace

void park(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t timeout_ns) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t), "the kernel sees the word itself");
  timespec timeout{};
  if (timeout_ns >= 0) {
    timeout.tv_sec = timeout_ns / kNsPerSecond;
    timeout.tv_nsec = timeout_ns % kNsPerSecond;
  }
  // Every result means "look again": woken, changed already (EAGAIN), a signal, the time.
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, timeout_ns >= 0 ? &timeout : nullptr, nullptr, 0);
}

void unpark(std::atomic<std::uint32_t>& word) noexcept {
  // The kernel takes the word as an address and does not read it: harmless if a waiter has freed it by now.
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

bool FutureStateBase::wait(std::int64_t timeout_ns) noexcept {
  if (is_ready()) return true;
  if (is_inherited()) return false;
  const bool is_timed = timeout_ns >= 0;
  const std::int64_t start_ns = is_timed ? monotonic_ns() : 0;
  std::uint32_t seen = kPending;
  if (!word_.compare_exchange_strong(seen, kParked, std::memory_order_acquire) && seen == kReady) return true;
  PENSTOCK_ASSERT_NE(seen, kAttached);  // Future-I2.
  while (true) {
    std::int64_t left_ns = -1;
    if (is_timed) {
      const std::int64_t passed_ns = monotonic_ns() - start_ns;
      left_ns = passed_ns < timeout_ns ? timeout_ns - passed_ns : 0;
    }
    if (!is_timed || left_ns > 0) park(word_, kParked, left_ns);
    if (is_ready()) return true;
    if (is_timed && left_ns == 0) {
      // Nobody sleeps any more; a promise that came in between has made it ready.
      seen = kParked;
      return !word_.compare_exchange_strong(seen, kPending, std::memory_order_acquire);
    }
  }
}

void FutureStateBase::make_ready() noexcept {
  std::atomic<std::uint32_t>& word = word_;
  const std::uint32_t before = word.exchange(kReady, std::memory_order_acq_rel);
  PENSTOCK_ASSERT_NE(before, kReady);  // Future-I1.
  if (before == kParked) {
    // From the exchange on the waiter may have taken the value and gone: only the address is used.
    unpark(word);
  } else if (before == kAttached) {
    // Nobody frees the state before what is attached has been started. Afterwards it may be gone.
    const std::coroutine_handle<> coroutine = coroutine_;
    Executor* const executor = executor_;
    void (*const callback)(void*) = callback_;
    void* const argument = callback_argument_;
    if (callback != nullptr) {
      callback(argument);
    } else {
      executor->schedule(coroutine);
    }
  }
}

bool FutureStateBase::set_coroutine(std::coroutine_handle<> handle, Executor& executor) noexcept {
  coroutine_ = handle;
  executor_ = &executor;
  std::uint32_t seen = kPending;
  if (word_.compare_exchange_strong(seen, kAttached, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
  PENSTOCK_ASSERT_EQ(seen, kReady);  // Future-I2.
  coroutine_ = nullptr;
  executor_ = nullptr;
  return false;
}

bool FutureStateBase::set_callback(void (*callback)(void*), void* argument) noexcept {
  callback_ = callback;
  callback_argument_ = argument;
  std::uint32_t seen = kPending;
  if (word_.compare_exchange_strong(seen, kAttached, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
  PENSTOCK_ASSERT_EQ(seen, kReady);  // Future-I2.
  callback_ = nullptr;
  callback_argument_ = nullptr;
  return false;
}

}  // namespace penstock::detail
