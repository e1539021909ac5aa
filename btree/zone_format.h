// Bytes of a page file's first zone: three copies of its zone table, each in 64 KiB; the rest of that zone is not used.
//
// A table has one entry of 16 bytes per zone of 1 MiB. A copy is read and written, and its checksum runs, over whole blocks: as
// many as hold the entries of the zones that the superblock gives the file; entries past them are zeros. Everything
// little-endian. Format: docs/formats/zones.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"
#include "base/integer.h"
#include "btree/pointer.h"

namespace penstock::btree {

inline constexpr std::uint32_t kZoneTableBytes = 64 * 1024;
inline constexpr std::uint32_t kZoneTableCopies = 3;
inline constexpr std::uint32_t kZonesPerFileMax = 4096;
static_assert(kZoneTableCopies * kZoneTableBytes <= kZoneBytes);

/// On disk: never renumber.
enum class ZoneState : std::uint8_t {
  kAbsent = 0,   ///< Past the file's end. All other fields 0.
  kTables = 1,   ///< The file's first zone. All other fields 0.
  kFree = 2,     ///< Holds nothing that any root reaches. All other fields 0.
  kHole = 3,     ///< As kFree, and its space was given back to the file system.
  kInUse = 4,    ///< live > 0, first > 0, emptied = 0.
  kSpan = 5,     ///< As kInUse, part of an extent larger than a zone: not cleaned.
  kEmptied = 6,  ///< live = 0, first <= emptied: to be written again once no kept root lies in [first, emptied).
};

struct ZoneEntry {
  base::le32 counts;   ///< live blocks: bits 0-11; filled blocks: bits 12-23; state: bits 24-31.
  base::le48 first;    ///< Generation that first wrote it since it was last empty.
  base::le48 emptied;  ///< Generation that freed its last live block.
};
static_assert(sizeof(ZoneEntry) == 16);
static_assert(offsetof(ZoneEntry, first) == 4);
static_assert(offsetof(ZoneEntry, emptied) == 10);
static_assert(sizeof(ZoneEntry) * kZonesPerFileMax == kZoneTableBytes);
static_assert(std::is_trivially_copyable_v<ZoneEntry> && std::has_unique_object_representations_v<ZoneEntry>);

/// Bytes of a table copy that are read, written and checked for a file of so many zones.
constexpr std::uint32_t zone_table_bytes(std::uint32_t zones) noexcept {
  return base::align_up<std::uint32_t>(zones * static_cast<std::uint32_t>(sizeof(ZoneEntry)), kPageBlockBytes);
}

}  // namespace penstock::btree
