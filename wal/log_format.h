// Bytes of a log segment: a header block, then groups of records; every group starts on a block and is padded with zeros to
// one.
//
// segment := SegmentHeader, zeros to 4096, group*            (what follows the last group is zeros or an earlier life of the
// file) group   := GroupHeader, record{record_count}, zeros to a block record  := RecordHeader, PartHeader{part_count}, payload
// of each part in order Checksums are XXH3-64. That of a group header runs over the bytes after it, that of a group's body over
// the record and part headers alone, record by record (each one seeds the next); both start from group_seed(salt, position), so
// that nothing of a file's earlier life, or of another place, passes for a group. A payload's checksum is unseeded: whoever
// encoded it computed it. Everything little-endian; reserved fields are 0 and checked. No length is used before the checksum
// that covers it is verified. Format: docs/formats/log.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"

namespace penstock::wal {

inline constexpr std::uint32_t kLogBlockBytes = 4096;
inline constexpr std::uint64_t kSegmentMagic = 0x746d6765736f6c50;  // "Plosegmt"
inline constexpr std::uint64_t kGroupMagic = 0x70756f72676f6c50;    // "Plogroup"
inline constexpr std::uint16_t kLogVersion = 1;
inline constexpr std::uint8_t kCodecNone = 0;  // On disk: never renumber.

struct SegmentHeader {
  base::le64 magic;
  base::le64 checksum;  // Of the bytes after it in this struct, unseeded.
  base::le16 version;
  base::le16 reactor;
  base::le32 epoch;
  base::le64 uuid_high;
  base::le64 uuid_low;
  base::le32 incarnation;
  base::le32 block_bytes;
  base::le64 index;          // The n of log/<epoch>-<reactor>-<n>.
  base::le64 base_offset;    // Position of the first group's first byte; that of segment n + 1 is segment_bytes - 4096 more.
  base::le64 segment_bytes;  // Of the whole file.
  base::le64 salt;           // Random, fresh for each use of the file.
  std::uint8_t reserved[48];
};
static_assert(sizeof(SegmentHeader) == 128);
static_assert(offsetof(SegmentHeader, version) == 16);
static_assert(offsetof(SegmentHeader, epoch) == 20);
static_assert(offsetof(SegmentHeader, uuid_high) == 24);
static_assert(offsetof(SegmentHeader, incarnation) == 40);
static_assert(offsetof(SegmentHeader, index) == 48);
static_assert(offsetof(SegmentHeader, base_offset) == 56);
static_assert(offsetof(SegmentHeader, segment_bytes) == 64);
static_assert(offsetof(SegmentHeader, salt) == 72);
static_assert(offsetof(SegmentHeader, reserved) == 80);
static_assert(std::is_trivially_copyable_v<SegmentHeader> && std::has_unique_object_representations_v<SegmentHeader>);

struct GroupHeader {
  base::le64 magic;
  base::le64 header_checksum;  // Of the bytes after it in this struct, seeded.
  base::le16 version;
  std::uint8_t codec;  // kCodecNone; others are refused.
  std::uint8_t reserved0;
  base::le32 block_bytes;
  base::le64 uuid_high;
  base::le64 uuid_low;
  base::le32 incarnation;
  base::le32 epoch;
  base::le16 reactor;
  base::le16 reserved1;
  base::le32 key_id;             // 0: not encrypted; others are refused.
  base::le64 position;           // Of this header's first byte in the log of this epoch.
  base::le64 previous_end;       // End of the group before; less than `position` only where a segment's tail stayed unused.
  base::le64 durable_position;   // Everything before it was on stable storage when this group was sent.
  base::le64 released_position;  // No shard needed anything before it when this group was sent: segments below may be gone.
  base::le64 wall_clock_ns;
  base::le32 record_count;
  base::le32 group_bytes;     // This header, body and padding.
  base::le32 body_bytes;      // Records, as stored.
  base::le32 body_raw_bytes;  // Records before compression.
  base::le64 body_checksum;   // Of record and part headers, seeded.
  base::le64 reserved2;
};
static_assert(sizeof(GroupHeader) == 128);
static_assert(offsetof(GroupHeader, version) == 16);
static_assert(offsetof(GroupHeader, block_bytes) == 20);
static_assert(offsetof(GroupHeader, uuid_high) == 24);
static_assert(offsetof(GroupHeader, incarnation) == 40);
static_assert(offsetof(GroupHeader, epoch) == 44);
static_assert(offsetof(GroupHeader, reactor) == 48);
static_assert(offsetof(GroupHeader, key_id) == 52);
static_assert(offsetof(GroupHeader, position) == 56);
static_assert(offsetof(GroupHeader, previous_end) == 64);
static_assert(offsetof(GroupHeader, durable_position) == 72);
static_assert(offsetof(GroupHeader, released_position) == 80);
static_assert(offsetof(GroupHeader, wall_clock_ns) == 88);
static_assert(offsetof(GroupHeader, record_count) == 96);
static_assert(offsetof(GroupHeader, group_bytes) == 100);
static_assert(offsetof(GroupHeader, body_bytes) == 104);
static_assert(offsetof(GroupHeader, body_checksum) == 112);
static_assert(std::is_trivially_copyable_v<GroupHeader> && std::has_unique_object_representations_v<GroupHeader>);

struct RecordHeader {
  std::uint8_t type;   // RecordType.
  std::uint8_t flags;  // 0; others are refused.
  base::le16 part_count;
  base::le32 payload_bytes;     // Of all parts.
  base::le64 payload_checksum;  // Of the payload, unseeded.
};
static_assert(sizeof(RecordHeader) == 16);
static_assert(offsetof(RecordHeader, part_count) == 2);
static_assert(offsetof(RecordHeader, payload_bytes) == 4);
static_assert(offsetof(RecordHeader, payload_checksum) == 8);
static_assert(std::is_trivially_copyable_v<RecordHeader> && std::has_unique_object_representations_v<RecordHeader>);

struct PartHeader {
  base::le16 shard;
  base::le16 reserved0;
  base::le32 operations;
  base::le64 previous;  // Last logged sequence of the shard before this part.
  base::le64 first;     // Sequence of the first of `operations`.
  base::le32 payload_bytes;
  base::le32 reserved1;
};
static_assert(sizeof(PartHeader) == 32);
static_assert(offsetof(PartHeader, operations) == 4);
static_assert(offsetof(PartHeader, previous) == 8);
static_assert(offsetof(PartHeader, first) == 16);
static_assert(offsetof(PartHeader, payload_bytes) == 24);
static_assert(std::is_trivially_copyable_v<PartHeader> && std::has_unique_object_representations_v<PartHeader>);

}  // namespace penstock::wal
