// Integer arithmetic that states its rounding.
#pragma once

#include <concepts>
#include <cstdint>

#include "base/assert.h"

namespace penstock::base {

template <std::unsigned_integral T>
constexpr T div_ceil(T value, T divisor) noexcept {
  return static_cast<T>((value / divisor) + (value % divisor == 0 ? 0 : 1));
}
/// `alignment` is a power of two.
template <std::unsigned_integral T>
constexpr T align_up(T value, T alignment) noexcept {
  return static_cast<T>((value + alignment - 1) & ~(alignment - 1));
}
template <std::unsigned_integral T>
constexpr T align_down(T value, T alignment) noexcept {
  return static_cast<T>(value & ~(alignment - 1));
}

}  // namespace penstock::base
