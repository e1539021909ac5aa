#include "base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace penstock::base {

std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  return seed == 0 ? XXH3_64bits(bytes.data(), bytes.size()) : XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace penstock::base
