// Makes the checksums of damaged log and EPOCH bytes right again, so that what stands behind them is reached: for fuzz targets.
//
// Only bytes that still look like ours are touched: a magic number must be in its place. Lengths are bounded by the bytes there
// are; whether they make sense is the reader's question.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/checksum.h"
#include "base/endian.h"
#include "wal/epoch_format.h"
#include "wal/group.h"
#include "wal/log_format.h"

namespace penstock::wal {

/// Payload and body checksums, as far as the records fit into the body, then the header's.
inline void repair_group(std::span<std::byte> bytes, std::uint64_t salt) {
  auto header = base::load<GroupHeader>(bytes);
  const std::uint64_t seed = group_seed(salt, header.position.get());
  const std::size_t body_bytes = std::min<std::size_t>(header.body_bytes.get(), bytes.size() - sizeof(GroupHeader));
  const std::span<std::byte> body = bytes.subspan(sizeof(GroupHeader), body_bytes);
  std::uint64_t checksum = seed;
  std::size_t offset = 0;
  for (std::uint32_t index = 0; index < header.record_count.get(); ++index) {
    if (body.size() - offset < sizeof(RecordHeader)) break;
    auto record = base::load<RecordHeader>(body.subspan(offset));
    const std::size_t table_bytes = sizeof(RecordHeader) + (record.part_count.get() * sizeof(PartHeader));
    const std::size_t payload_bytes = record.payload_bytes.get();
    if (table_bytes + payload_bytes > body.size() - offset) break;
    record.payload_checksum = base::checksum(body.subspan(offset + table_bytes, payload_bytes));
    base::store(body.subspan(offset), record);
    checksum = base::checksum(body.subspan(offset, table_bytes), checksum);
    offset += table_bytes + payload_bytes;
  }
  header.body_checksum = checksum;
  header.header_checksum = base::checksum(base::bytes_of(header).subspan(offsetof(GroupHeader, version)), seed);
  base::store(bytes, header);
}

/// The header of a segment and all groups that begin on a block of it.
inline void repair_segment(std::span<std::byte> file) {
  if (file.size() < kLogBlockBytes) return;
  auto header = base::load<SegmentHeader>(file);
  header.checksum = base::checksum(base::bytes_of(header).subspan(offsetof(SegmentHeader, version)));
  base::store(file, header);
  for (std::size_t offset = kLogBlockBytes; offset + sizeof(GroupHeader) <= file.size(); offset += kLogBlockBytes) {
    if (base::load<GroupHeader>(file.subspan(offset)).magic.get() == kGroupMagic) {
      repair_group(file.subspan(offset), header.salt.get());
    }
  }
}

/// `file`: EPOCH, or the beginning of it.
inline void repair_epoch(std::span<std::byte> file) {
  for (std::size_t offset = 0; offset + sizeof(EpochHeader) <= file.size(); offset += kEpochSlotBytes) {
    const std::span<std::byte> slot = file.subspan(offset, std::min<std::size_t>(kEpochSlotBytes, file.size() - offset));
    auto header = base::load<EpochHeader>(slot);
    const std::size_t covered = sizeof(EpochHeader) + header.body_bytes.get();
    if (covered > slot.size()) continue;
    constexpr std::size_t kFrom = offsetof(EpochHeader, version);
    header.checksum = base::checksum(slot.subspan(kFrom, covered - kFrom));
    base::store(slot, header);
  }
}

}  // namespace penstock::wal
