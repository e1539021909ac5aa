// Bytes of shard-<s>/super: two slots of 64 KiB, each a header and a body under one checksum.
//
// Generation g lives in slot g mod 2. The body is one SuperFile per page file, numbered 1, 2, 3 and so on, then the cursor's
// key; what follows up to the next block is zeros, and beyond that the slot's bytes mean nothing. Everything little-endian;
// reserved = 0 and checked. Format: docs/formats/superblock.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"
#include "btree/page_format.h"

namespace penstock::btree {

inline constexpr std::uint32_t kSuperSlotBytes = 64 * 1024;
inline constexpr std::uint32_t kSuperSlots = 2;
inline constexpr std::uint64_t kSuperMagic = 0x5245'5055'534b'5350;  // "PSKSUPER" in the file.
inline constexpr std::uint16_t kSuperVersion = 1;

/// Feature bits this version knows: none yet. A bit is durable before its first use.
inline constexpr std::uint64_t kReadOnlyCompatKnown = 0;
inline constexpr std::uint64_t kIncompatKnown = 0;

struct SuperHeader {
  base::le64 magic;
  base::le64 checksum;  ///< XXH3-64 of the slot from `version` to the end of the body.
  base::le16 version;
  std::uint8_t slot;                ///< The slot it belongs in.
  std::uint8_t checksum_algorithm;  ///< base::kChecksumXxh3
  base::le16 shard;
  base::le16 reserved0;
  base::le32 body_bytes;
  base::le32 incarnation;
  base::le64 uuid_high;
  base::le64 uuid_low;
  base::le48 generation;
  base::le16 reserved1;
  base::le64 features_compat;            ///< Unknown bits are kept and ignored.
  base::le64 features_read_only_compat;  ///< Unknown bits forbid writing.
  base::le64 features_incompat;          ///< Unknown bits forbid opening.
  base::le32 applied_epoch;
  base::le32 file_count;
  base::le64 applied_offset;
  base::le64 applied_sequence;
  ChildPointerOnDisk roots;  ///< The tree of family roots; all zeros if there is none.
  // Publishing in steps: how much of the next generation this one contains. Empty (zeros) in version 1, others are
  // not_supported.
  base::le32 cursor_epoch;
  base::le32 cursor_family;
  base::le64 cursor_offset;
  base::le16 cursor_key_bytes;
  base::le48 reserved2;
  base::le64 reserved3[12];
};
static_assert(sizeof(SuperHeader) == 256);
static_assert(offsetof(SuperHeader, checksum) == 8);
static_assert(offsetof(SuperHeader, version) == 16);
static_assert(offsetof(SuperHeader, slot) == 18);
static_assert(offsetof(SuperHeader, shard) == 20);
static_assert(offsetof(SuperHeader, body_bytes) == 24);
static_assert(offsetof(SuperHeader, uuid_high) == 32);
static_assert(offsetof(SuperHeader, generation) == 48);
static_assert(offsetof(SuperHeader, features_compat) == 56);
static_assert(offsetof(SuperHeader, applied_epoch) == 80);
static_assert(offsetof(SuperHeader, file_count) == 84);
static_assert(offsetof(SuperHeader, applied_offset) == 88);
static_assert(offsetof(SuperHeader, roots) == 104);
static_assert(offsetof(SuperHeader, cursor_epoch) == 136);
static_assert(offsetof(SuperHeader, cursor_key_bytes) == 152);
static_assert(offsetof(SuperHeader, reserved3) == 160);
static_assert(std::is_trivially_copyable_v<SuperHeader> && std::has_unique_object_representations_v<SuperHeader>);

/// A page file, shard-<s>/pages-<number>.
struct SuperFile {
  base::le16 number;
  std::uint8_t table_copy;  ///< 0 .. 2: which copy of the zone table this superblock means.
  std::uint8_t reserved0;
  base::le32 zones;             ///< The file's length in zones of 1 MiB, the first one (tables) included.
  base::le64 table_checksum;    ///< XXH3-64 of the copy's blocks that hold these zones.
  base::le48 table_generation;  ///< Whose publication wrote the copy.
  base::le16 reserved1;
  base::le64 reserved2;
};
static_assert(sizeof(SuperFile) == 32);
static_assert(offsetof(SuperFile, table_copy) == 2);
static_assert(offsetof(SuperFile, zones) == 4);
static_assert(offsetof(SuperFile, table_checksum) == 8);
static_assert(offsetof(SuperFile, table_generation) == 16);
static_assert(offsetof(SuperFile, reserved2) == 24);
static_assert(std::is_trivially_copyable_v<SuperFile> && std::has_unique_object_representations_v<SuperFile>);

/// Page files that a superblock has room for (with the longest cursor key): 16 TiB less a little.
inline constexpr std::uint32_t kSuperFilesMax =
    (kSuperSlotBytes - sizeof(SuperHeader) - kKeyBytesMax) / static_cast<std::uint32_t>(sizeof(SuperFile));
static_assert(kSuperFilesMax >= 1024);

}  // namespace penstock::btree
