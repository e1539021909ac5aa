// Byte credits of a shard's inbox: how much may be on its way to the shard at once. Taking blocks an ordinary thread until
// others' calls are done; so a queue in memory is bounded without a lock.
//
// Invariant: Credits-I1 available + the credits of calls accepted and not yet answered = capacity. A call larger than the
// capacity is let in alone. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/assert.h"
#include "penstock/future.h"

namespace penstock::engine {

class Credits {
 public:
  explicit Credits(std::int64_t capacity_bytes) noexcept : capacity_(capacity_bytes), available_(capacity_bytes) {}

  bool try_take(std::int64_t bytes) noexcept {
    std::int64_t available = available_.load(std::memory_order_seq_cst);
    while (available >= bytes || available == capacity_) {
      if (available_.compare_exchange_weak(available, available - bytes, std::memory_order_seq_cst)) {
        return true;
      }
    }
    return false;
  }

  /// Blocks. Ordinary threads only.
  void take(std::int64_t bytes) noexcept {
    while (!try_take(bytes)) {
      const std::uint32_t seen = returns_.load(std::memory_order_seq_cst);
      waiters_.fetch_add(1, std::memory_order_seq_cst);
      if (try_take(bytes)) {  // Between the first try and the announcement nobody would have woken us.
        waiters_.fetch_sub(1, std::memory_order_relaxed);
        return;
      }
      detail::park(returns_, seen, -1);
      waiters_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  void give(std::int64_t bytes) noexcept {
    const std::int64_t before = available_.fetch_add(bytes, std::memory_order_seq_cst);
    PENSTOCK_ASSERT_LE(before + bytes, capacity_);
    if (waiters_.load(std::memory_order_seq_cst) != 0) {
      returns_.fetch_add(1, std::memory_order_seq_cst);
      detail::unpark(returns_);
    }
  }

  /// No call is on its way.
  bool is_idle() const noexcept { return available_.load(std::memory_order_seq_cst) == capacity_; }

 private:
  const std::int64_t capacity_;
  std::atomic<std::int64_t> available_;
  std::atomic<std::uint32_t> waiters_{0};
  std::atomic<std::uint32_t> returns_{0};
};

}  // namespace penstock::engine
