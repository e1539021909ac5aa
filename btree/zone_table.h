// The zones of one page file: how full each is, since when, and how they stand in the file's zone table.
//
// Invariants:
//   Zone-I1 live <= filled <= 256. A zone in use has live > 0 outside a pass; within one it may have come down to 0.
//   Zone-I2 decode_zone_table() accepts only what encode_zone_table() makes: the entries of a valid table hold Zone-I1.
// Thread: any. Format: zone_format.h, docs/formats/zones.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "btree/zone_format.h"
#include "penstock/status.h"

namespace penstock::btree {

struct Zone {
  std::uint64_t first = 0;    ///< Generation that first wrote it since it was last empty.
  std::uint64_t emptied = 0;  ///< Generation that freed the last live block.
  std::uint16_t live = 0;
  std::uint16_t filled = 0;
  ZoneState state = ZoneState::kFree;
  // In memory alone.
  bool touched : 1 = false;    ///< By the pass: its state before is kept for abandon().
  bool avoided : 1 = false;    ///< A write to it failed: left alone for this opening.
  bool evacuated : 1 = false;  ///< Its pages are being moved by this pass.

  bool is_in_use() const noexcept { return state == ZoneState::kInUse || state == ZoneState::kSpan; }
};

/// Fills `out`, which is zone_table_bytes(zones.size()) long.
void encode_zone_table(std::span<const Zone> zones, std::span<std::byte> out) noexcept;
/// Reads a table whose checksum was verified. `generation` is that of the superblock. Error: corruption, with the block in the
/// table in where().
Result<std::vector<Zone>> decode_zone_table(std::span<const std::byte> bytes, std::uint32_t zones, std::uint64_t generation);

}  // namespace penstock::btree
