// Who may look at what belongs to a reactor: its own thread, or, while that one sleeps with nothing in flight, threads that
// only read and leave again.
//
// A get from an ordinary thread costs two hops between cores when the reactor has to be woken for it. A reactor that sleeps
// touches nothing: its memtables and cached pages can be read where they lie.
//
// Invariants:
//   Borrow-I1 The owner is in (kOwned), or borrowers are, or nobody is: never both.
//   Borrow-I2 A borrower changes nothing but marks that are atomic, and waits for nothing while it is in.
//   Borrow-I3 What the owner did before lend() is seen by every borrower; what borrowers did is seen by the owner after
//   reclaim().
// Threads: lend and reclaim are the owner's; the others are for any thread, the owner's too while it has lent.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/assert.h"
#include "penstock/future.h"

namespace penstock::reactor {

class BorrowGate {
 public:
  /// False: the owner is in, or wants to be.
  bool try_borrow() noexcept {
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    while ((state & (kOwned | kWanted)) == 0) {
      if (state_.compare_exchange_weak(state, state + kBorrower, std::memory_order_acquire, std::memory_order_relaxed))
        return true;
    }
    return false;
  }
  void give_back() noexcept {
    const std::uint32_t before = state_.fetch_sub(kBorrower, std::memory_order_release);
    PENSTOCK_ASSERT_GE(before, kBorrower);
    if (before == (kWanted | kBorrower)) detail::unpark(state_);
  }

  void lend() noexcept {
    PENSTOCK_ASSERT_EQ(state_.load(std::memory_order_relaxed), kOwned);
    state_.store(0, std::memory_order_release);
  }
  /// Waits for those who are in: a look-up each.
  void reclaim() noexcept {
    std::uint32_t state = state_.fetch_or(kWanted, std::memory_order_acquire);
    for (std::uint32_t spins = 0; state >= kBorrower && spins < kSpinsMax; ++spins) {
      state = state_.load(std::memory_order_acquire);
    }
    while (state >= kBorrower) {  // One of them was preempted, or there are many.
      detail::park(state_, state, -1);
      state = state_.load(std::memory_order_acquire);
    }
    state_.store(kOwned, std::memory_order_relaxed);  // Nobody gets in while it is wanted.
  }

 private:
  static constexpr std::uint32_t kOwned = 1;
  static constexpr std::uint32_t kWanted = 2;
  static constexpr std::uint32_t kBorrower = 4;
  static constexpr std::uint32_t kSpinsMax = 200;

  alignas(64) std::atomic<std::uint32_t> state_{kOwned};
};

}  // namespace penstock::reactor
