// Little-endian integers of alignment 1 for on-disk structs: legal at any offset, no packing attribute, no host order assumed.
//
// le16, le32, le48 and le64 convert with get() and assignment. Structs made of them have no padding and their layout is
// asserted beside them (see the *_format.h files).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/assert.h"

namespace penstock::base {

static_assert(std::endian::native == std::endian::little, "big-endian hosts need the byte swaps that this file leaves out");

template <typename Integer, std::size_t kBytes>
class LittleEndian {
 public:
  constexpr LittleEndian() noexcept = default;
  LittleEndian(Integer value) noexcept { set(value); }  // NOLINT(google-explicit-constructor): a field takes its value.

  Integer get() const noexcept {
    Integer value = 0;
    std::memcpy(&value, bytes_.data(), kBytes);
    return value;
  }
  void set(Integer value) noexcept {
    if constexpr (kBytes < sizeof(Integer)) PENSTOCK_ASSERT_EQ(value >> (8 * kBytes), 0U);
    std::memcpy(bytes_.data(), &value, kBytes);
  }

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

using le16 = LittleEndian<std::uint16_t, 2>;
using le32 = LittleEndian<std::uint32_t, 4>;
using le48 = LittleEndian<std::uint64_t, 6>;
using le64 = LittleEndian<std::uint64_t, 8>;
static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le48) == 6 && sizeof(le64) == 8);
static_assert(alignof(le64) == 1);

/// The bytes of an on-disk struct.
template <typename T>
  requires std::is_trivially_copyable_v<T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

/// Copies an on-disk struct out of `bytes`, which must be long enough.
template <typename T>
  requires std::is_trivially_copyable_v<T>
T load(std::span<const std::byte> bytes) noexcept {
  PENSTOCK_ASSERT_GE(bytes.size(), sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <typename T>
  requires std::is_trivially_copyable_v<T>
void store(std::span<std::byte> bytes, const T& value) noexcept {
  PENSTOCK_ASSERT_GE(bytes.size(), sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
}

/// A key's leading eight bytes as a big-endian integer, zero-padded: integers order as the keys' prefixes do.
inline std::uint64_t load_big_endian_prefix(const char* bytes, std::size_t bytes_count) noexcept {
  std::uint64_t value = 0;
  if (bytes_count >= 8) {
    std::memcpy(&value, bytes, 8);
  } else {
    std::memcpy(&value, bytes, bytes_count);
  }
  return __builtin_bswap64(value);
}

}  // namespace penstock::base
