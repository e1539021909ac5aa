// A superblock as the store knows it, to and from the bytes of a slot.
//
// Invariants:
//   Super-I1 encode_superblock() makes only what decode_superblock() accepts, byte for byte the same after a round trip.
//   Super-I2 Nothing of a slot but its body's length is used before its checksum was verified; the length is bounded first.
// Thread: any. Format: super_format.h, docs/formats/superblock.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "btree/page_store.h"
#include "btree/super_format.h"
#include "penstock/status.h"

namespace penstock::btree {

struct FileRecord {
  std::uint16_t number = 0;
  std::uint8_t table_copy = 0;
  std::uint32_t zones = 0;
  std::uint64_t table_checksum = 0;
  std::uint64_t table_generation = 0;
  friend bool operator==(const FileRecord&, const FileRecord&) = default;
};

struct SuperblockContent {
  Superblock superblock;
  std::uint64_t features_compat = 0;
  std::vector<FileRecord> files;  ///< Ascending by number.
};

constexpr std::uint32_t super_slot_of(std::uint64_t generation) noexcept {
  return static_cast<std::uint32_t>(generation % kSuperSlots);
}

/// Whole blocks, zeros to the end of the last one; at most kSuperSlotBytes.
std::size_t superblock_bytes(const SuperblockContent& content) noexcept;
/// Fills `out`, which is superblock_bytes() long.
void encode_superblock(const SuperblockContent& content, const StoreIdentity& identity, ShardId shard,
                       std::span<std::byte> out);

/// Reads a slot of kSuperSlotBytes. Errors, with their byte in the file: `corruption` (not written, torn, rotten, another
/// store's), `not_supported` (valid, but of a later version or with features this one lacks).
Result<SuperblockContent> decode_superblock(std::span<const std::byte> bytes, std::uint32_t slot, const StoreIdentity& identity,
                                            ShardId shard);

}  // namespace penstock::btree
