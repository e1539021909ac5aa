// A filter over the keys of a run: says of most keys that are not there that they are not, from one cache line of memory.
//
// Invariant: may_hold() is true for every key that was added. About one in a hundred others passes while no more keys were
// added than it was made for. Kept in memory only: after an opening runs have none, and every look-up goes to them. Thread: the
// shard's reactor writes; borrowers may read while it sleeps. Source: F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", WEA 2007.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/checksum.h"
#include "penstock/bytes.h"

namespace penstock::btree {

class KeyFilter {
 public:
  explicit KeyFilter(std::uint64_t keys) : blocks_(1 + (keys * kBitsPerKey / kBlockBits)) {}

  static std::uint64_t hash(Bytes key) noexcept { return base::checksum(as_span(key)); }

  void add(std::uint64_t hash) noexcept {
    Block& block = blocks_[block_of(hash)];
    for (std::size_t word = 0; word < kWords; ++word) block.words[word] |= bit_of(hash, word);
  }
  bool may_hold(std::uint64_t hash) const noexcept {
    const Block& block = blocks_[block_of(hash)];
    std::uint64_t missing = 0;
    for (std::size_t word = 0; word < kWords; ++word) missing |= bit_of(hash, word) & ~block.words[word];
    return missing == 0;
  }
  std::uint64_t bytes() const noexcept { return blocks_.size() * sizeof(Block); }

 private:
  static constexpr std::size_t kWords = 8;
  static constexpr std::uint64_t kBlockBits = 512;
  static constexpr std::uint64_t kBitsPerKey = 11;
  struct alignas(64) Block {
    std::array<std::uint64_t, kWords> words{};
  };
  /// One bit in each word of the block, chosen by as many odd multipliers.
  static std::uint64_t bit_of(std::uint64_t hash, std::size_t word) noexcept {
    constexpr std::array<std::uint32_t, kWords> kMultipliers = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                                                0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};
    return std::uint64_t{1} << ((static_cast<std::uint32_t>(hash) * kMultipliers[word]) >> 26U);
  }
  std::size_t block_of(std::uint64_t hash) const noexcept { return ((hash >> 32U) * blocks_.size()) >> 32U; }

  std::vector<Block> blocks_;
};

}  // namespace penstock::btree
