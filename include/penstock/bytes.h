// The byte strings of the API: keys and values.
//
// Any bytes are allowed, zero bytes too. Order is that of unsigned bytes, shorter first (memcmp order).
// A `Bytes` is a view: it owns nothing and lives as long as what it points to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

using Bytes = std::string_view;

/// The same bytes as raw storage, for checksums and I/O.
inline std::span<const std::byte> as_span(Bytes bytes) noexcept {
  return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
}

inline Bytes as_bytes(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline namespace literals {
consteval std::uint64_t operator""_KiB(unsigned long long count) { return count << 10U; }
consteval std::uint64_t operator""_MiB(unsigned long long count) { return count << 20U; }
consteval std::uint64_t operator""_GiB(unsigned long long count) { return count << 30U; }
}  // namespace literals

}  // namespace penstock
