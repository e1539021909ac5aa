// A queue in one block of memory that grows by doubling and is never given back before the queue goes: steady use allocates
// nothing, where std::deque takes and gives back a block every few dozen elements.
//
// Invariant: elements are trivially copyable and lie at `head_`, `head_ + 1`, ... modulo the capacity, a power of two.
// Thread: its owner's.
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "base/assert.h"

namespace penstock::base {

template <typename T>
class RingQueue {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  const T& operator[](std::size_t index) const noexcept {
    PENSTOCK_ASSERT_LT(index, size_);
    return slots_[place(index)];
  }
  const T& front() const noexcept { return (*this)[0]; }

  void push_back(const T& value) {
    if (size_ == slots_.size()) grow();
    slots_[place(size_)] = value;
    ++size_;
  }
  void push_front(const T& value) {
    if (size_ == slots_.size()) grow();
    head_ = place(slots_.size() - 1);
    slots_[head_] = value;
    ++size_;
  }
  void pop_front(std::size_t count = 1) noexcept {
    PENSTOCK_ASSERT_LE(count, size_);
    head_ = place(count);
    size_ -= count;
  }
  /// Takes out all that equal `value`; the others keep their order.
  void erase(const T& value) noexcept {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < size_; ++index) {
      const T each = slots_[place(index)];
      if (each != value) slots_[place(kept++)] = each;
    }
    size_ = kept;
  }

 private:
  static constexpr std::size_t kSlotsMin = 64;

  std::size_t place(std::size_t index) const noexcept { return (head_ + index) & (slots_.size() - 1); }
  void grow() {
    std::vector<T> larger(slots_.empty() ? kSlotsMin : slots_.size() * 2);
    for (std::size_t index = 0; index < size_; ++index) larger[index] = slots_[place(index)];
    slots_.swap(larger);
    head_ = 0;
  }

  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace penstock::base
