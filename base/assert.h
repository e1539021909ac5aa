// Assertions that are on in every build. A failed one means a bug in Penstock and ends the process: carrying on could lose
// data.
//
// Use them for relations between our own values. Bytes from a disk and arguments from a caller are never asserted: they get a
// Status. PENSTOCK_AUDIT is for walks that cost O(n): on in debug, sanitizer and fuzz builds.
#pragma once

#include <cstdint>
#include <type_traits>

namespace penstock::base {

[[noreturn]] void assert_failed(const char* file, int line, const char* condition) noexcept;
[[noreturn]] void assert_compare_failed(const char* file, int line, const char* condition, std::uint64_t left,
                                        std::uint64_t right) noexcept;

template <typename T>
constexpr std::uint64_t assert_operand(const T& value) noexcept {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<std::uint64_t>(value);
  } else {
    return 0;
  }
}

}  // namespace penstock::base

#define PENSTOCK_ASSERT(condition)                                     \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::penstock::base::assert_failed(__FILE__, __LINE__, #condition); \
  } while (false)

#define PENSTOCK_ASSERT_COMPARE(left, op, right)                                               \
  do {                                                                                         \
    const auto& assert_left = (left);                                                          \
    const auto& assert_right = (right);                                                        \
    if (!(assert_left op assert_right)) [[unlikely]]                                           \
      ::penstock::base::assert_compare_failed(__FILE__, __LINE__, #left " " #op " " #right,    \
                                              ::penstock::base::assert_operand(assert_left),   \
                                              ::penstock::base::assert_operand(assert_right)); \
  } while (false)
#define PENSTOCK_ASSERT_EQ(left, right) PENSTOCK_ASSERT_COMPARE(left, ==, right)
#define PENSTOCK_ASSERT_NE(left, right) PENSTOCK_ASSERT_COMPARE(left, !=, right)
#define PENSTOCK_ASSERT_LE(left, right) PENSTOCK_ASSERT_COMPARE(left, <=, right)
#define PENSTOCK_ASSERT_LT(left, right) PENSTOCK_ASSERT_COMPARE(left, <, right)
#define PENSTOCK_ASSERT_GE(left, right) PENSTOCK_ASSERT_COMPARE(left, >=, right)
#define PENSTOCK_ASSERT_GT(left, right) PENSTOCK_ASSERT_COMPARE(left, >, right)

#ifdef PENSTOCK_ENABLE_AUDIT
#define PENSTOCK_AUDIT(condition) PENSTOCK_ASSERT(condition)
#else
#define PENSTOCK_AUDIT(condition) \
  do {                            \
  } while (false)
#endif
