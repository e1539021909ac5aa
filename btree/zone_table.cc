#include "btree/zone_table.h"

#include <algorithm>

#include "base/assert.h"

namespace penstock::btree {
namespace {

constexpr std::uint32_t kCountMask = 0xfff;
constexpr std::uint32_t kFilledShift = 12;
constexpr std::uint32_t kStateShift = 24;
static_assert(kZoneBlocks <= kCountMask);

bool is_possible(const Zone& zone, bool is_first, std::uint64_t generation) noexcept {
  const bool blank = zone.first == 0 && zone.emptied == 0 && zone.live == 0 && zone.filled == 0;
  switch (zone.state) {
    case ZoneState::kTables:
      return is_first && blank;
    case ZoneState::kFree:
    case ZoneState::kHole:
      return !is_first && blank;
    case ZoneState::kInUse:
    case ZoneState::kSpan:
      return !is_first && zone.live > 0 && zone.live <= zone.filled && zone.filled <= kZoneBlocks && zone.first > 0 &&
             zone.first <= generation && zone.emptied == 0;
    case ZoneState::kEmptied:
      return !is_first && zone.live == 0 && zone.filled > 0 && zone.filled <= kZoneBlocks && zone.first > 0 &&
             zone.first <= zone.emptied && zone.emptied <= generation;
    case ZoneState::kAbsent:
      break;
  }
  return false;
}

}  // namespace

void encode_zone_table(std::span<const Zone> zones, std::span<std::byte> out) noexcept {
  PENSTOCK_ASSERT_LE(zones.size(), std::size_t{kZonesPerFileMax});
  PENSTOCK_ASSERT_EQ(out.size(), std::size_t{zone_table_bytes(static_cast<std::uint32_t>(zones.size()))});
  std::ranges::fill(out, std::byte{0});
  for (std::size_t index = 0; index < zones.size(); ++index) {
    const Zone& zone = zones[index];
    PENSTOCK_ASSERT_LE(zone.live, zone.filled);
    ZoneEntry entry{};
    entry.counts =
        zone.live | (std::uint32_t{zone.filled} << kFilledShift) | (static_cast<std::uint32_t>(zone.state) << kStateShift);
    entry.first = zone.first;
    entry.emptied = zone.emptied;
    base::store(out.subspan(index * sizeof(ZoneEntry)), entry);
  }
}

Result<std::vector<Zone>> decode_zone_table(std::span<const std::byte> bytes, std::uint32_t zones, std::uint64_t generation) {
  PENSTOCK_ASSERT_EQ(bytes.size(), std::size_t{zone_table_bytes(zones)});
  std::vector<Zone> decoded(zones);
  for (std::uint32_t index = 0; index < zones; ++index) {
    const std::size_t offset = index * sizeof(ZoneEntry);
    const auto entry = base::load<ZoneEntry>(bytes.subspan(offset));
    const std::uint32_t counts = entry.counts.get();
    Zone& zone = decoded[index];
    zone.live = static_cast<std::uint16_t>(counts & kCountMask);
    zone.filled = static_cast<std::uint16_t>((counts >> kFilledShift) & kCountMask);
    zone.state = static_cast<ZoneState>(counts >> kStateShift);
    zone.first = entry.first.get();
    zone.emptied = entry.emptied.get();
    if (!is_possible(zone, index == 0, generation)) {
      return std::unexpected(Status(Code::kCorruption, FileKind::kPages, offset / kPageBlockBytes));
    }
  }
  const std::span<const std::byte> rest = bytes.subspan(zones * sizeof(ZoneEntry));
  if (!std::ranges::all_of(rest, [](std::byte byte) { return byte == std::byte{0}; })) {
    return std::unexpected(Status(Code::kCorruption, FileKind::kPages, (bytes.size() - 1) / kPageBlockBytes));
  }
  return decoded;
}

}  // namespace penstock::btree
