// IDENTITY: what a database is, written once at creation. docs/formats/identity.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"

namespace penstock::engine {

inline constexpr std::array<char, 8> kIdentityMagic = {'P', 'E', 'N', 'S', 'T', 'O', 'C', 'K'};
inline constexpr std::uint32_t kFormatVersion = 1;

/// The file is one block of 4 KiB: this, then zeros.
struct IdentityBlock {
  std::array<char, 8> magic = {};
  base::le64 checksum;  ///< XXH3-64 of the whole block with this field zero.
  base::le32 version;
  base::le16 shard_count;
  std::uint8_t checksum_algorithm = 0;  ///< 1 = XXH3-64.
  std::uint8_t block_shift = 0;         ///< 12: blocks of 4 KiB.
  base::le64 uuid_high;
  base::le64 uuid_low;
  base::le32 incarnation;
  base::le32 reserved;
  base::le64 created_ns;             ///< Wall clock.
  base::le64 incompatible_features;  ///< A bit this program does not know: refuse.
  base::le64 read_only_features;     ///< Likewise for writing.
  base::le64 compatible_features;    ///< May be ignored.
};
static_assert(sizeof(IdentityBlock) == 80);
static_assert(offsetof(IdentityBlock, checksum) == 8);
static_assert(offsetof(IdentityBlock, version) == 16);
static_assert(offsetof(IdentityBlock, uuid_high) == 24);
static_assert(offsetof(IdentityBlock, incarnation) == 40);
static_assert(offsetof(IdentityBlock, created_ns) == 48);
static_assert(offsetof(IdentityBlock, incompatible_features) == 56);
static_assert(std::is_trivially_copyable_v<IdentityBlock>);
static_assert(std::has_unique_object_representations_v<IdentityBlock>);

}  // namespace penstock::engine
