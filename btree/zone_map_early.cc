// Blocks that are written before a tree names them: values too large for the log, whose records name them (zone_map.h).
//
// Zones are taken from the free ones and left out of them as long as somebody holds blocks there. The tables on disk do not
// know: after a crash the log names the blocks again (claim_early), and what no record names is garbage in a free zone.

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/integer.h"
#include "btree/zone_map.h"

namespace penstock::btree {
namespace {

/// What a pass may place between two looks at the free zones (PageStore::throttle), and one for each of its streams.
constexpr std::size_t kLeftToPassesZones = 8;

Address zone_of(Address address) noexcept { return zone_address(address.file, address.zone()); }

}  // namespace

/// Calls apply(zone, first block, blocks) for each zone of a range.
template <class Apply>
void ZoneMap::each_zone(Address address, std::uint64_t blocks, Apply apply) {
  const std::uint64_t end = address.block + blocks;
  for (std::uint64_t block = address.block; block < end;) {
    const std::uint64_t zone_end = ((block / kZoneBlocks) + 1) * kZoneBlocks;
    const auto here = static_cast<std::uint16_t>(std::min(end, zone_end) - block);
    apply(zone_of(Address{address.file, static_cast<std::uint32_t>(block)}), static_cast<std::uint32_t>(block % kZoneBlocks),
          here);
    block += here;
  }
}

std::size_t ZoneMap::early_zones_wanted(std::uint64_t blocks) const noexcept {
  return base::div_ceil<std::uint64_t>(blocks, kZoneBlocks) + reserve_zones() + kLeftToPassesZones;
}

std::optional<Address> ZoneMap::take_early(std::uint64_t blocks) {
  PENSTOCK_ASSERT_GT(blocks, 0U);
  if (blocks <= early_open_.room) {
    EarlyZone& zone = early_.at(early_open_.zone.key());
    const Address address{early_open_.zone.file, early_open_.zone.block + zone.filled};
    zone.filled = static_cast<std::uint16_t>(zone.filled + blocks);
    early_open_.room -= static_cast<std::uint32_t>(blocks);
    ++zone.holds;
    return address;
  }
  if (free_.size() < early_zones_wanted(blocks)) return std::nullopt;
  const std::size_t zones = base::div_ceil<std::uint64_t>(blocks, kZoneBlocks);
  const std::optional<Address> begin = find_free_run(zones);
  if (!begin.has_value()) return std::nullopt;
  each_zone(*begin, blocks, [&](Address zone, std::uint32_t, std::uint16_t count) {
    make_early(zone, zones == 1 ? count : std::uint16_t{kZoneBlocks});
    ++early_.at(zone.key()).holds;
  });
  const auto rest = static_cast<std::uint32_t>(kZoneBlocks - blocks % kZoneBlocks);
  if (zones == 1 && rest < kZoneBlocks && rest > early_open_.room) {
    const Address before = std::exchange(early_open_, OpenZone{*begin, rest}).zone;
    if (!before.is_null()) retire_early(before);
  }
  return begin;
}

void ZoneMap::make_early(Address zone, std::uint16_t filled) {
  free_.erase(zone.key());
  std::erase(emptied_, zone.key());
  early_[zone.key()].filled = filled;
}

void ZoneMap::claim_early(Address address, std::uint64_t blocks) {
  PENSTOCK_ASSERT(!in_pass());
  PENSTOCK_ASSERT(contains(address, blocks));
  each_zone(address, blocks, [&](Address zone, std::uint32_t, std::uint16_t) {
    if (at(zone).state == ZoneState::kHole) fill_hole(zone);  // Its space was taken again before it was used.
    make_early(zone, kZoneBlocks);
    ++early_.at(zone.key()).holds;
    if (at(zone).is_in_use()) {  // What lies above is not known here: nothing goes there until it is emptied.
      drop_open(zone);
      at(zone).filled = kZoneBlocks;
    }
  });
}

void ZoneMap::hold_early(Address address, std::uint64_t blocks) noexcept {
  each_zone(address, blocks, [&](Address zone, std::uint32_t, std::uint16_t) { ++early_.at(zone.key()).holds; });
}

void ZoneMap::release_early(Address address, std::uint64_t blocks) noexcept {
  each_zone(address, blocks, [&](Address zone, std::uint32_t, std::uint16_t) {
    EarlyZone& early = early_.at(zone.key());
    PENSTOCK_ASSERT_GT(early.holds, 0U);
    --early.holds;
    retire_early(zone);
  });
}

/// Gives the zone back if nobody holds blocks of it and none are to come.
void ZoneMap::retire_early(Address zone) {
  if (zone == early_open_.zone || early_.at(zone.key()).holds > 0) return;
  early_.erase(zone.key());
  const Zone& entry = at(zone);
  if (entry.state == ZoneState::kEmptied) emptied_.push_back(zone.key());
  if (entry.state == ZoneState::kFree) free_.insert(zone.key());
}

void ZoneMap::adopt_early(Address address, std::uint64_t blocks) {
  PENSTOCK_ASSERT(in_pass());
  const bool is_span = blocks > kZoneBlocks;
  each_zone(address, blocks, [&](Address place, std::uint32_t first, std::uint16_t count) {
    PENSTOCK_ASSERT(is_early(place));
    Zone& zone = touch(place);
    if (!zone.is_in_use()) {
      zone.state = is_span ? ZoneState::kSpan : ZoneState::kInUse;
      zone.first = zone.first == 0 ? pass_ : zone.first;  // A kept generation may still reach what was freed there.
      zone.emptied = 0;
      ++in_use_;
      ++taken_;
    }
    const std::uint32_t end = is_span ? kZoneBlocks : first + count;
    zone.filled = static_cast<std::uint16_t>(std::max<std::uint32_t>(zone.filled, end));
    zone.live = static_cast<std::uint16_t>(zone.live + count);
    PENSTOCK_ASSERT_LE(zone.live, zone.filled);
  });
}

}  // namespace penstock::btree
