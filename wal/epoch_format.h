// Bytes of EPOCH: two slots of 64 KiB; generation g is in slot g mod 2. A slot is a header and a body under one checksum.
//
// slot := EpochHeader, old_epoch{old_epoch_count}, (if clean) le64 ends{reactor_count}, le64 shard_generations{shard_count},
// zeros old_epoch := EpochOld, le64 ends{reactor_count} Everything little-endian; reserved fields are 0 and checked.
// `body_bytes` is bounded by the slot before the checksum runs over it. Format: docs/formats/epoch.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"

namespace penstock::wal {

inline constexpr std::uint32_t kEpochSlotBytes = 64 * 1024;
inline constexpr std::uint32_t kEpochSlots = 2;
inline constexpr std::uint64_t kEpochMagic = 0x48434f5045736e50;  // "PnsEPOCH"
inline constexpr std::uint16_t kEpochVersion = 1;
inline constexpr std::uint16_t kEpochClean = 1;  // Flag. On disk: never renumber.

struct EpochHeader {
  base::le64 magic;
  base::le64 checksum;  // Of the bytes after it to the body's end, unseeded.
  base::le16 version;
  base::le16 flags;
  base::le32 body_bytes;
  base::le64 uuid_high;
  base::le64 uuid_low;
  base::le32 incarnation;
  base::le32 epoch;
  base::le64 generation;
  base::le16 reactor_count;
  base::le16 old_epoch_count;
  base::le16 shard_count;  // 0 unless clean.
  base::le16 reserved0;
  std::uint8_t reserved1[64];
};
static_assert(sizeof(EpochHeader) == 128);
static_assert(offsetof(EpochHeader, version) == 16);
static_assert(offsetof(EpochHeader, body_bytes) == 20);
static_assert(offsetof(EpochHeader, uuid_high) == 24);
static_assert(offsetof(EpochHeader, incarnation) == 40);
static_assert(offsetof(EpochHeader, epoch) == 44);
static_assert(offsetof(EpochHeader, generation) == 48);
static_assert(offsetof(EpochHeader, reactor_count) == 56);
static_assert(offsetof(EpochHeader, reserved1) == 64);
static_assert(std::is_trivially_copyable_v<EpochHeader> && std::has_unique_object_representations_v<EpochHeader>);

struct EpochOld {
  base::le32 epoch;
  base::le16 reactor_count;
  base::le16 reserved0;
};
static_assert(sizeof(EpochOld) == 8);
static_assert(offsetof(EpochOld, reactor_count) == 4);
static_assert(std::is_trivially_copyable_v<EpochOld> && std::has_unique_object_representations_v<EpochOld>);

}  // namespace penstock::wal
