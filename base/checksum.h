// XXH3-64, the one checksum of every file. Algorithm id 1 in IDENTITY.
//
// Source: xxHash, https://xxhash.com (specification of XXH3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::base {

inline constexpr std::uint8_t kChecksumXxh3 = 1;  // On disk: never renumber.

std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

}  // namespace penstock::base
