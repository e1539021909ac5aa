// Bytes of pages on disk: the header that every page starts with, nodes (leaf, inner), extents, and the pointers to them.
//
// Layout of a node of `blocks` x 4 KiB: NodeHeader, slots (ascending by key), zeros, heap of cells (heap_begin up to the
// prefix), the prefix that all keys of the node share (its last prefix_bytes). A slot's key is prefix + suffix; the suffix is
// in the cell.
//   Leaf cell:  LeafCellHeader, suffix, payload (the value, or one ExtentPointerOnDisk).
//   Inner cell: ChildPointerOnDisk, suffix. The first slot's key is the node's low key, as it stands in its parent.
// An extent is head_blocks of ExtentHeader, key, one checksum for each 64 KiB of data, zeros; then the data, padded with zeros
// to a block. Everything little-endian; reserved = 0 and checked. Checksums stand in the pointer, never in the page. Format:
// docs/formats/page.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"
#include "base/integer.h"
#include "btree/pointer.h"
#include "penstock/types.h"

namespace penstock::btree {

inline constexpr std::uint32_t kPageMagic = 0x47505350;  // "PSPG" in the file.
inline constexpr std::uint16_t kPageVersion = 1;

/// On disk: never renumber.
enum class PageType : std::uint8_t {
  kLeaf = 1,
  kInner = 2,
  kExtent = 3,
  kDeltaLeaf = 4,  ///< Refused with not_supported by version 1.
};

/// Starts every page and every extent. put_page() and put_extent() set address and birth.
struct PageHeader {
  base::le32 magic;
  std::uint8_t type;    ///< PageType
  std::uint8_t level;   ///< 0 = leaf or extent, at most 15.
  std::uint8_t codec;   ///< 0 = plain; others are not_supported.
  std::uint8_t blocks;  ///< 1 .. 16; 0 for an extent, whose length follows from value_bytes.
  base::le16 version;
  base::le16 key_id;  ///< 0 = not encrypted; others are not_supported.
  base::le32 family;
  base::le16 file;  ///< Own address: right bytes in the wrong place are found.
  base::le32 block;
  base::le48 birth;  ///< Generation whose pass wrote it.
  base::le32 reserved;
};
static_assert(sizeof(PageHeader) == 32);
static_assert(offsetof(PageHeader, type) == 4);
static_assert(offsetof(PageHeader, blocks) == 7);
static_assert(offsetof(PageHeader, version) == 8);
static_assert(offsetof(PageHeader, key_id) == 10);
static_assert(offsetof(PageHeader, family) == 12);
static_assert(offsetof(PageHeader, file) == 16);
static_assert(offsetof(PageHeader, block) == 18);
static_assert(offsetof(PageHeader, birth) == 22);
static_assert(offsetof(PageHeader, reserved) == 28);
static_assert(std::is_trivially_copyable_v<PageHeader> && std::has_unique_object_representations_v<PageHeader>);

struct NodeHeader {
  PageHeader page;
  base::le16 slot_count;
  base::le16 prefix_bytes;
  base::le32 heap_begin;  ///< Offset of the first cell byte; equals the page's bytes - prefix_bytes - bytes of all cells.
  base::le48 entries;     ///< Pairs in the subtree, as in the pointer to this page. In a leaf: slot_count.
  base::le16 reserved;
};
static_assert(sizeof(NodeHeader) == 48);
static_assert(offsetof(NodeHeader, slot_count) == 32);
static_assert(offsetof(NodeHeader, prefix_bytes) == 34);
static_assert(offsetof(NodeHeader, heap_begin) == 36);
static_assert(offsetof(NodeHeader, entries) == 40);
static_assert(offsetof(NodeHeader, reserved) == 46);
static_assert(std::is_trivially_copyable_v<NodeHeader> && std::has_unique_object_representations_v<NodeHeader>);

struct Slot {
  base::le32 head;         ///< First four suffix bytes as a big-endian number, padded with zeros: orders as the suffixes do.
  base::le16 cell_offset;  ///< From the page's start.
  base::le16 suffix_bytes;
};
static_assert(sizeof(Slot) == 8);
static_assert(offsetof(Slot, cell_offset) == 4);
static_assert(offsetof(Slot, suffix_bytes) == 6);
static_assert(kPageBlocksMax * kPageBlockBytes - 1 <= 0xffff);  // Every cell offset fits its 16 bits.

/// Bits of LeafCellHeader::flags. Exactly one of kCellInline, kCellExtent and kCellDeleted; a bit not named here is
/// not_supported.
inline constexpr std::uint8_t kCellInline = 1;
inline constexpr std::uint8_t kCellExtent = 2;
inline constexpr std::uint8_t kCellExpiry = 4;    ///< Refused with not_supported by version 1.
inline constexpr std::uint8_t kCellVersion = 8;   ///< Refused with not_supported by version 1.
inline constexpr std::uint8_t kCellDeleted = 16;  ///< In runs: the key is gone, whatever older trees say. No payload.

struct LeafCellHeader {
  std::uint8_t flags;
  std::uint8_t codec;        ///< Of the value. 0 = plain; others are not_supported.
  base::le16 payload_bytes;  ///< The value's, at most 16 KiB; 32 for an extent; 0 for a delete.
};
static_assert(sizeof(LeafCellHeader) == 4);
static_assert(offsetof(LeafCellHeader, payload_bytes) == 2);
static_assert(kInlineValueBytesMax <= 0xffff);

struct ChildPointerOnDisk {
  base::le16 file;
  base::le32 block;
  std::uint8_t length_and_codec;  ///< blocks - 1 in the low four bits, codec in the high ones.
  std::uint8_t flags;             ///< ChildPointer::kHas...
  base::le48 birth;
  base::le16 reserved0;
  base::le48 entries;
  base::le16 reserved1;
  base::le64 checksum;
};
static_assert(sizeof(ChildPointerOnDisk) == 32);
static_assert(offsetof(ChildPointerOnDisk, block) == 2);
static_assert(offsetof(ChildPointerOnDisk, length_and_codec) == 6);
static_assert(offsetof(ChildPointerOnDisk, flags) == 7);
static_assert(offsetof(ChildPointerOnDisk, birth) == 8);
static_assert(offsetof(ChildPointerOnDisk, entries) == 16);
static_assert(offsetof(ChildPointerOnDisk, checksum) == 24);
static_assert(std::is_trivially_copyable_v<ChildPointerOnDisk> && std::has_unique_object_representations_v<ChildPointerOnDisk>);

struct ExtentPointerOnDisk {
  base::le16 file;
  base::le32 block;
  base::le16 reserved0;
  base::le64 value_bytes;
  base::le48 birth;
  base::le16 reserved1;
  base::le64 checksum;  ///< Of the extent's head blocks.
};
static_assert(sizeof(ExtentPointerOnDisk) == 32);
static_assert(offsetof(ExtentPointerOnDisk, value_bytes) == 8);
static_assert(offsetof(ExtentPointerOnDisk, birth) == 16);
static_assert(offsetof(ExtentPointerOnDisk, checksum) == 24);
static_assert(std::is_trivially_copyable_v<ExtentPointerOnDisk> &&
              std::has_unique_object_representations_v<ExtentPointerOnDisk>);

/// A value of the tree of roots; its key is the family id, big-endian, 4 bytes. A ChildPointerOnDisk for each run follows, the
/// newest first.
struct FamilyRootOnDisk {
  ChildPointerOnDisk base;  ///< All zeros: an empty tree.
  base::le32 flags;         ///< kFamilyDropped; unknown bits are not_supported.
  base::le32 runs;          ///< At most kRunsMax.
};
static_assert(sizeof(FamilyRootOnDisk) == 40);
static_assert(offsetof(FamilyRootOnDisk, flags) == 32);
static_assert(offsetof(FamilyRootOnDisk, runs) == 36);
static_assert(std::is_trivially_copyable_v<FamilyRootOnDisk> && std::has_unique_object_representations_v<FamilyRootOnDisk>);
inline constexpr std::uint32_t kFamilyDropped = 1;

/// Starts an extent's head. The key follows, then from kExtentChecksumsOffset on the checksums (le64 each), then zeros.
struct ExtentHeader {
  PageHeader page;
  base::le64 value_bytes;
  base::le16 key_bytes;
  base::le48 reserved;
};
static_assert(sizeof(ExtentHeader) == 48);
static_assert(offsetof(ExtentHeader, value_bytes) == 32);
static_assert(offsetof(ExtentHeader, key_bytes) == 40);
static_assert(offsetof(ExtentHeader, reserved) == 42);
static_assert(std::is_trivially_copyable_v<ExtentHeader> && std::has_unique_object_representations_v<ExtentHeader>);

inline constexpr std::uint32_t kExtentChecksumBytes = 64 * 1024;  ///< Data under one checksum; the last piece may be shorter.
/// Fixed, with room for the longest key, so that an extent's length follows from its value's alone.
inline constexpr std::uint32_t kExtentChecksumsOffset = sizeof(ExtentHeader) + kKeyBytesMax;

constexpr std::uint64_t extent_checksum_count(std::uint64_t value_bytes) noexcept {
  return base::div_ceil<std::uint64_t>(value_bytes, kExtentChecksumBytes);
}
constexpr std::uint64_t extent_head_blocks(std::uint64_t value_bytes) noexcept {
  return base::div_ceil<std::uint64_t>(kExtentChecksumsOffset + (8 * extent_checksum_count(value_bytes)), kPageBlockBytes);
}
constexpr std::uint64_t extent_data_blocks(std::uint64_t value_bytes) noexcept {
  return base::div_ceil<std::uint64_t>(value_bytes, kPageBlockBytes);
}
constexpr std::uint64_t extent_blocks(std::uint64_t value_bytes) noexcept {
  return extent_head_blocks(value_bytes) + extent_data_blocks(value_bytes);
}

}  // namespace penstock::btree
