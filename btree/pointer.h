// Where a page is and what it must be: addresses and child pointers, in memory.
//
// A child pointer carries the checksum of the page it names, so a lost, misdirected or rotten page is found at its first read.
// The 32 bytes on disk are in page_format.h.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "penstock/bytes.h"
#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock::btree {

/// Pages, zones and extents are counted in blocks.
inline constexpr std::uint32_t kPageBlockBytes = 4096;
inline constexpr std::uint32_t kPageBlocksMax = 16;
inline constexpr std::uint32_t kZoneBytes = 1U << 20U;
inline constexpr std::uint32_t kZoneBlocks = kZoneBytes / kPageBlockBytes;
inline constexpr std::uint32_t kTreeDepthMax = 16;
/// Values up to this stay in the leaf; longer ones go to an extent.
inline constexpr std::uint32_t kInlineValueBytesMax = 16 * 1024;

/// Families of the engine's own pages.
inline constexpr FamilyId kCatalogFamily = 0;
inline constexpr FamilyId kPreparesFamily = 1;
inline constexpr FamilyId kRootsFamily = 2;  ///< The tree family id -> root pointer, one a shard.

/// A block in a shard's page files. File numbers start at 1; file 0 means "none".
struct Address {
  std::uint16_t file = 0;
  std::uint32_t block = 0;
  bool is_null() const noexcept { return file == 0; }
  std::uint64_t key() const noexcept { return (std::uint64_t{file} << 32U) | block; }
  std::uint32_t zone() const noexcept { return block / kZoneBlocks; }
  friend auto operator<=>(const Address&, const Address&) = default;
};

struct ChildPointer {
  static constexpr std::uint8_t kHasExtents = 1;  ///< Some cell below names an extent.
  static constexpr std::uint8_t kHasExpiry = 2;   ///< Some cell below has an expiry.

  Address address;
  std::uint8_t blocks = 0;  ///< 1 .. 16
  std::uint8_t codec = 0;   ///< 0 = plain
  std::uint8_t flags = 0;
  std::uint64_t birth = 0;     ///< Generation whose pass wrote the page.
  std::uint64_t entries = 0;   ///< Key-value pairs in the subtree.
  std::uint64_t checksum = 0;  ///< XXH3-64 of the page.
  bool is_null() const noexcept { return address.is_null(); }
  friend bool operator==(const ChildPointer&, const ChildPointer&) = default;
};

/// A value that lives outside its leaf. `checksum` is that of the extent's head block, which holds one per 64 KiB of data.
struct ExtentPointer {
  Address address;
  std::uint64_t value_bytes = 0;
  std::uint64_t birth = 0;
  std::uint64_t checksum = 0;
  friend bool operator==(const ExtentPointer&, const ExtentPointer&) = default;
};

/// An extent pointer as records and memtables keep it: as leaves do (page_format.h).
inline constexpr std::size_t kExtentPointerBytes = 32;
std::string extent_to_bytes(const ExtentPointer& pointer);
/// Errors: corruption.
Result<ExtentPointer> extent_from_bytes(Bytes bytes) noexcept;

}  // namespace penstock::btree
