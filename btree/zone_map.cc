#include "btree/zone_map.h"

#include <algorithm>

#include "base/assert.h"
#include "base/integer.h"

namespace penstock::btree {
namespace {

constexpr std::size_t kReserveZonesMin = 2;
constexpr std::size_t kZonesPerReserveZone = 64;
constexpr std::size_t kExtentZonesMax = 4;
/// Cleaning is not worth its reads below this much garbage.
constexpr std::uint64_t kGarbageZonesMin = 4;
/// A page of up to 16 blocks may leave 15 behind at the end of a zone.
constexpr std::uint64_t kBlocksPerZoneSure = kZoneBlocks - (kPageBlocksMax - 1);

Address zone_of(Address address) noexcept { return zone_address(address.file, address.zone()); }

}  // namespace

void ZoneMap::add_file(std::vector<Zone> zones) {
  PENSTOCK_ASSERT(!zones.empty());
  PENSTOCK_ASSERT(zones.front().state == ZoneState::kTables);
  files_.push_back({std::move(zones), false});
}

void ZoneMap::grow_file(std::uint16_t file, std::uint32_t zone_count) {
  File& grown = files_[file - 1U];
  PENSTOCK_ASSERT_LE(zone_count, kZonesPerFileMax);
  PENSTOCK_ASSERT_GT(std::size_t{zone_count}, grown.zones.size());
  for (auto zone = static_cast<std::uint32_t>(grown.zones.size()); zone < zone_count; ++zone) {
    grown.zones.emplace_back();
    free_.insert(zone_address(file, zone).key());
  }
  grown.changed = true;
}

void ZoneMap::start(std::uint64_t newer, std::uint64_t older) {
  keep_slots(newer, older);
  for (std::uint16_t file = 1; file <= file_count(); ++file) {
    for (std::uint32_t zone = 1; zone < zone_count(file); ++zone) {
      const Address address = zone_address(file, zone);
      const Zone& entry = at(address);
      if (entry.state == ZoneState::kFree) free_.insert(address.key());
      if (entry.state == ZoneState::kEmptied) emptied_.push_back(address.key());
      if (entry.is_in_use()) ++in_use_;
      if (entry.state != ZoneState::kInUse || entry.filled == kZoneBlocks) continue;
      const OpenZone open{address, std::uint32_t{kZoneBlocks} - entry.filled};
      if (open.room > page_zone_.room) {
        if (page_zone_.room > 0) keep_extent_zone(page_zone_);
        page_zone_ = open;
      } else {
        keep_extent_zone(open);
      }
    }
  }
  refresh_free();
}

bool ZoneMap::contains(Address address, std::uint64_t blocks) const noexcept {
  if (address.file == 0 || address.file > files_.size() || address.block < kZoneBlocks || blocks == 0) return false;
  return address.block + blocks <= std::uint64_t{zone_count(address.file)} * kZoneBlocks;
}

void ZoneMap::pin(std::uint64_t generation) { ++pins_[generation]; }

void ZoneMap::unpin(std::uint64_t generation) {
  const auto place = pins_.find(generation);
  PENSTOCK_ASSERT(place != pins_.end());
  if (--place->second == 0) pins_.erase(place);
}

bool ZoneMap::is_kept(std::uint64_t first, std::uint64_t emptied) const noexcept {
  const auto within = [&](std::uint64_t generation) { return first <= generation && generation < emptied; };
  if (within(slots_.first) || within(slots_.second)) return true;
  const auto pinned = pins_.lower_bound(first);
  return pinned != pins_.end() && pinned->first < emptied;
}

void ZoneMap::refresh_free() {
  std::erase_if(emptied_, [&](std::uint64_t key) {
    const Zone& zone = at(address_of(key));
    PENSTOCK_ASSERT(zone.state == ZoneState::kEmptied);
    if (zone.avoided || is_kept(zone.first, zone.emptied)) return false;
    free_.insert(key);
    return true;
  });
}

void ZoneMap::begin_pass(std::uint64_t generation) {
  PENSTOCK_ASSERT(!in_pass());
  PENSTOCK_ASSERT_GT(generation, slots_.first);
  pass_ = generation;
  may_use_reserve_ = false;
  taken_lately_ = std::max(taken_, taken_lately_ / 2);
  taken_ = 0;
  refresh_free();
}

Zone& ZoneMap::touch(Address address) {
  PENSTOCK_ASSERT(in_pass());
  Zone& zone = at(address);
  if (!zone.touched) {
    saved_.push_back({zone_of(address), zone});
    zone.touched = true;
    files_[address.file - 1U].changed = true;
  }
  return zone;
}

bool ZoneMap::may_take(std::size_t zone_count) const noexcept {
  return free_.size() >= zone_count + (may_use_reserve_ ? 0 : reserve_zones());
}

void ZoneMap::open_new_zone(Address address, ZoneState state) {
  PENSTOCK_ASSERT_EQ(free_.erase(address.key()), 1U);
  Zone& zone = touch(address);
  PENSTOCK_ASSERT(zone.state == ZoneState::kFree || (zone.state == ZoneState::kEmptied && !is_kept(zone.first, zone.emptied)));
  PENSTOCK_ASSERT_EQ(zone.live, 0U);
  zone.state = state;
  zone.first = pass_;
  zone.emptied = 0;
  zone.filled = 0;
  ++in_use_;
  ++taken_;
}

std::optional<Address> ZoneMap::take_from(OpenZone& open, std::uint32_t blocks) {
  if (open.room < blocks) return std::nullopt;
  Zone& zone = touch(open.zone);
  PENSTOCK_ASSERT(zone.state == ZoneState::kInUse);
  PENSTOCK_ASSERT_EQ(open.room + zone.filled, kZoneBlocks);
  const Address address{open.zone.file, open.zone.block + zone.filled};
  zone.filled = static_cast<std::uint16_t>(zone.filled + blocks);
  zone.live = static_cast<std::uint16_t>(zone.live + blocks);
  open.room -= blocks;
  PENSTOCK_ASSERT_LE(zone.live, zone.filled);
  return address;
}

std::optional<Address> ZoneMap::take_from_extent_zones(std::uint32_t blocks) {
  OpenZone* best = nullptr;
  for (OpenZone& open : extent_zones_) {
    if (open.room >= blocks && (best == nullptr || open.room < best->room)) best = &open;
  }
  if (best == nullptr) return std::nullopt;
  const std::optional<Address> address = take_from(*best, blocks);
  if (best->room == 0) drop_open(best->zone);
  return address;
}

std::optional<Address> ZoneMap::take_new_zone(Stream stream, std::uint32_t blocks) {
  if (free_.empty() || !may_take(1)) return std::nullopt;
  OpenZone open{address_of(*free_.begin()), kZoneBlocks};
  open_new_zone(open.zone, ZoneState::kInUse);
  const std::optional<Address> address = take_from(open, blocks);
  if (stream == Stream::kPages) {
    page_zone_ = open;
  } else if (open.room > 0) {
    keep_extent_zone(open);
  }
  return address;
}

std::optional<Address> ZoneMap::take_blocks(Stream stream, std::uint32_t blocks) {
  PENSTOCK_ASSERT(in_pass());
  PENSTOCK_ASSERT(blocks >= 1 && blocks <= kZoneBlocks);
  const bool is_page = stream == Stream::kPages;
  std::optional<Address> address = is_page ? take_from(page_zone_, blocks) : take_from_extent_zones(blocks);
  if (!address.has_value()) address = take_new_zone(stream, blocks);
  // The disk is full: what the other stream left will do.
  if (!address.has_value()) address = is_page ? take_from_extent_zones(blocks) : take_from(page_zone_, blocks);
  return address;
}

std::optional<Address> ZoneMap::take_zones(std::uint64_t blocks) {
  PENSTOCK_ASSERT(in_pass());
  PENSTOCK_ASSERT_GT(blocks, kZoneBlocks);
  const std::size_t wanted = base::div_ceil<std::uint64_t>(blocks, kZoneBlocks);
  if (!may_take(wanted)) return std::nullopt;
  const std::optional<Address> begin = find_free_run(wanted);
  if (!begin.has_value()) return std::nullopt;
  for (std::size_t index = 0; index < wanted; ++index) {
    const Address zone = address_of(begin->key() + (index * kZoneBlocks));
    open_new_zone(zone, ZoneState::kSpan);
    const std::uint64_t rest = blocks - (index * kZoneBlocks);
    at(zone).filled = kZoneBlocks;
    at(zone).live = static_cast<std::uint16_t>(std::min<std::uint64_t>(rest, kZoneBlocks));
  }
  return begin;
}

/// The first of so many consecutive free zones.
std::optional<Address> ZoneMap::find_free_run(std::size_t zones) const noexcept {
  std::size_t run = 0;
  std::uint64_t begin = 0;
  for (const std::uint64_t key : free_) {
    if (run == 0 || key != begin + (run * kZoneBlocks)) {
      begin = key;
      run = 0;
    }
    if (++run == zones) return address_of(begin);
  }
  return std::nullopt;
}

bool ZoneMap::release(Address address, std::uint64_t blocks) {
  if (!contains(address, blocks)) return false;
  const std::uint64_t end = address.block + blocks;
  const auto each_zone = [&](auto&& apply) {
    for (std::uint64_t block = address.block; block < end;) {
      const std::uint64_t zone_end = ((block / kZoneBlocks) + 1) * kZoneBlocks;
      const std::uint64_t part = std::min(end, zone_end) - block;
      if (!apply(Address{address.file, static_cast<std::uint32_t>(block)}, static_cast<std::uint16_t>(part))) return false;
      block += part;
    }
    return true;
  };
  const bool fits = each_zone([&](Address part, std::uint16_t count) {
    const Zone& zone = at(part);
    return zone.is_in_use() && zone.live >= count && (part.block % kZoneBlocks) + count <= zone.filled;
  });
  if (!fits) return false;
  return each_zone([&](Address part, std::uint16_t count) {
    Zone& zone = touch(part);
    zone.live = static_cast<std::uint16_t>(zone.live - count);
    return true;
  });
}

void ZoneMap::avoid(Address address, bool was_full_disk) {
  const Address place = zone_of(address);
  Zone& zone = touch(place);
  zone.avoided = true;
  drop_open(place);
  if (!was_full_disk) return;
  // Nothing was ever wrong with the zone: once its space is back it is as good as any other.
  for (Saved& saved : saved_) {
    if (saved.zone != place || saved.before.is_in_use()) continue;
    saved.before = Zone{.state = ZoneState::kHole};
    zone.avoided = false;
  }
}

void ZoneMap::drop_open(Address zone) noexcept {
  if (page_zone_.zone == zone) page_zone_ = {};
  std::erase_if(extent_zones_, [&](const OpenZone& open) { return open.zone == zone; });
}

void ZoneMap::keep_extent_zone(const OpenZone& open) {
  extent_zones_.push_back(open);
  if (extent_zones_.size() <= kExtentZonesMax) return;
  extent_zones_.erase(std::ranges::min_element(extent_zones_, {}, &OpenZone::room));
}

void ZoneMap::drop_closed_zones() noexcept {
  const auto is_closed = [&](const OpenZone& open) { return open.zone.is_null() || at(open.zone).state != ZoneState::kInUse; };
  if (is_closed(page_zone_)) page_zone_ = {};
  std::erase_if(extent_zones_, is_closed);
}

void ZoneMap::seal_pass() {
  PENSTOCK_ASSERT(in_pass());
  for (const Saved& saved : saved_) {
    Zone& zone = at(saved.zone);
    if (!zone.is_in_use() || zone.live > 0) continue;
    zone.state = ZoneState::kEmptied;
    zone.emptied = pass_;
    --in_use_;
  }
}

/// Takes back what an unpublished pass did to a zone.
void ZoneMap::restore(const Saved& saved) {
  Zone& zone = at(saved.zone);
  const bool was_in_use = saved.before.is_in_use();
  if (zone.is_in_use() && !was_in_use) --in_use_;
  if (!zone.is_in_use() && was_in_use) ++in_use_;
  const std::uint16_t filled = zone.filled;
  const bool avoided = zone.avoided;
  const bool evacuated = zone.evacuated;
  zone = saved.before;
  if (was_in_use) zone.filled = std::max(zone.filled, filled);
  zone.touched = false;
  zone.avoided = avoided;
  zone.evacuated = evacuated;
  if (is_early(saved.zone)) return;
  const bool is_free = !avoided && (zone.state == ZoneState::kFree || zone.state == ZoneState::kEmptied);
  if (is_free) free_.insert(saved.zone.key());
  if (avoided && zone.state == ZoneState::kEmptied) emptied_.push_back(saved.zone.key());
}

void ZoneMap::end_pass(bool published) {
  PENSTOCK_ASSERT(in_pass());
  for (const Saved& saved : saved_) {
    if (!published) {
      restore(saved);
      continue;
    }
    Zone& zone = at(saved.zone);
    zone.touched = false;
    if (zone.state == ZoneState::kEmptied && !is_early(saved.zone)) emptied_.push_back(saved.zone.key());
  }
  saved_.clear();
  for (const Address zone : evacuated_) at(zone).evacuated = false;
  evacuated_.clear();
  drop_closed_zones();
  pass_ = 0;
  may_use_reserve_ = false;
}

std::size_t ZoneMap::reserve_zones() const noexcept { return std::max(kReserveZonesMin, in_use_ / kZonesPerReserveZone); }

std::size_t ZoneMap::zones_for(std::uint64_t blocks) const noexcept {
  const std::uint64_t room = page_zone_.room < kPageBlocksMax ? 0 : page_zone_.room - (kPageBlocksMax - 1);
  return blocks <= room ? 0 : base::div_ceil<std::uint64_t>(blocks - room, kBlocksPerZoneSure);
}

std::uint64_t ZoneMap::total_zones() const noexcept {
  std::uint64_t zones = 0;
  for (const File& file : files_) zones += file.zones.size();
  return zones;
}

SpaceStats ZoneMap::stats() const noexcept {
  SpaceStats stats;
  for (const File& file : files_) {
    for (const Zone& zone : file.zones) {
      if (zone.state != ZoneState::kHole) stats.file_bytes += kZoneBytes;
      stats.live_bytes += std::uint64_t{zone.live} * kPageBlockBytes;
      if (zone.is_in_use()) stats.garbage_bytes += std::uint64_t{kZoneBlocks - zone.live} * kPageBlockBytes;
      // Room that an open zone still has is counted with the garbage here and taken out below.
    }
  }
  stats.free_bytes = free_.size() * std::uint64_t{kZoneBytes};
  stats.pinned_bytes = emptied_.size() * std::uint64_t{kZoneBytes};
  for (const auto& [key, early] : early_) stats.pinned_bytes += at(address_of(key)).is_in_use() ? 0 : kZoneBytes;
  // A zone that the pass has emptied is no longer in use, and stays open until the pass ends.
  const auto room_of = [this](const OpenZone& open) {
    return open.room > 0 && at(open.zone).is_in_use() ? std::uint64_t{open.room} * kPageBlockBytes : 0;
  };
  std::uint64_t room = room_of(page_zone_);
  for (const OpenZone& open : extent_zones_) room += room_of(open);
  PENSTOCK_ASSERT_GE(stats.garbage_bytes, room);
  stats.garbage_bytes -= room;
  stats.free_bytes += room;
  return stats;
}

std::vector<std::pair<Address, std::uint32_t>> ZoneMap::live_blocks() const {
  std::vector<std::pair<Address, std::uint32_t>> live;
  for (std::uint16_t file = 1; file <= file_count(); ++file) {
    for (std::uint32_t zone = 1; zone < zone_count(file); ++zone) {
      const Address address = zone_address(file, zone);
      if (at(address).live > 0) live.emplace_back(address, at(address).live);
    }
  }
  return live;
}

/// Zones whose pages can be moved with a gain, emptiest first.
std::vector<Address> ZoneMap::clean_candidates() const {
  // A zone that a generation below both slots pins would stay unusable after cleaning, for as long as the pin lives.
  const bool has_old_pin = !pins_.empty() && pins_.begin()->first < slots_.second;
  std::vector<Address> candidates;
  for (std::uint16_t file = 1; file <= file_count(); ++file) {
    for (std::uint32_t index = 1; index < zone_count(file); ++index) {
      const Address address = zone_address(file, index);
      const Zone& zone = at(address);
      const bool is_open = (address == page_zone_.zone && page_zone_.room > 0) ||
                           std::ranges::any_of(extent_zones_, [&](const OpenZone& open) { return open.zone == address; });
      if (zone.state != ZoneState::kInUse || zone.live == kZoneBlocks || zone.avoided || is_open || is_early(address)) continue;
      if (has_old_pin) {
        const auto pinned = pins_.lower_bound(zone.first);
        if (pinned != pins_.end() && pinned->first < slots_.second) continue;
      }
      candidates.push_back(address);
    }
  }
  std::ranges::sort(candidates, {}, [&](Address address) { return std::pair(at(address).live, address); });
  return candidates;
}

std::vector<Address> ZoneMap::choose_to_clean(std::uint32_t target_percent, bool urgent) const {
  std::uint64_t live = 0;
  std::uint64_t written = 0;
  for (const File& file : files_) {
    for (const Zone& zone : file.zones) {
      if (!zone.is_in_use()) continue;
      live += zone.live;
      written += kZoneBlocks;
    }
  }
  const auto is_target_met = [&](std::uint64_t blocks) { return live * 100 >= blocks * target_percent; };
  const bool has_need = !is_target_met(written) && written - live >= kGarbageZonesMin * kZoneBlocks;
  if (!urgent && !has_need) return {};
  std::vector<Address> chosen;
  std::uint64_t moved = 0;
  for (const Address address : clean_candidates()) {
    const std::uint64_t zones_after = base::div_ceil<std::uint64_t>(moved, kBlocksPerZoneSure);
    const bool gained = chosen.size() > zones_after;
    if (urgent ? gained : is_target_met(written - (chosen.size() * kZoneBlocks) + moved)) break;
    // At the target itself a move gives nothing back.
    if (!urgent && at(address).live * 100U > kZoneBlocks * ((100U + target_percent) / 2)) break;
    moved += at(address).live;
    chosen.push_back(address);
  }
  return chosen;
}

void ZoneMap::set_evacuated(std::span<const Address> zones) {
  PENSTOCK_ASSERT(in_pass());
  for (const Address zone : zones) {
    if (!contains(zone, 1)) continue;
    at(zone).evacuated = true;
    evacuated_.push_back(zone_of(zone));
    drop_open(zone_of(zone));
  }
}

bool ZoneMap::is_evacuated(Address address) const noexcept {
  return !evacuated_.empty() && contains(address, 1) && at(address).evacuated;
}

std::vector<Address> ZoneMap::returnable(std::size_t keep) const {
  std::vector<Address> zones;
  for (auto place = free_.rbegin(); place != free_.rend() && zones.size() + keep < free_.size(); ++place) {
    zones.push_back(address_of(*place));
  }
  return zones;
}

std::uint32_t ZoneMap::zones_needed(std::uint16_t file, std::size_t keep) const noexcept {
  const std::uint64_t last_kept =
      keep == 0 || free_.empty() ? 0 : *std::next(free_.begin(), static_cast<std::ptrdiff_t>(std::min(keep, free_.size()) - 1));
  const auto is_needed = [&](Address zone) {
    const Zone& entry = at(zone);
    if (entry.avoided) return true;
    if (entry.state == ZoneState::kFree) return !is_free(zone) || zone.key() <= last_kept;
    return entry.state != ZoneState::kHole;
  };
  std::uint32_t count = zone_count(file);
  while (count > 1 && !is_needed(zone_address(file, count - 1))) --count;
  return count;
}

void ZoneMap::shorten_file(std::uint16_t file, std::uint32_t zone_count) {
  PENSTOCK_ASSERT(!in_pass());
  PENSTOCK_ASSERT_GE(zone_count, 1U);
  File& shortened = files_[file - 1U];
  for (; shortened.zones.size() > zone_count; shortened.zones.pop_back()) {
    const Address zone = zone_address(file, static_cast<std::uint32_t>(shortened.zones.size() - 1));
    PENSTOCK_ASSERT(at(zone).state == ZoneState::kFree || at(zone).state == ZoneState::kHole);
    PENSTOCK_ASSERT(!is_early(zone));
    free_.erase(zone.key());
  }
  shortened.changed = true;
}

void ZoneMap::make_hole(Address address) {
  PENSTOCK_ASSERT(!in_pass());
  PENSTOCK_ASSERT_EQ(free_.erase(address.key()), 1U);
  at(address) = Zone{.state = ZoneState::kHole};
  files_[address.file - 1U].changed = true;
}

std::optional<Address> ZoneMap::find_hole() const noexcept {
  for (std::uint16_t file = 1; file <= file_count(); ++file) {
    for (std::uint32_t zone = 1; zone < zone_count(file); ++zone) {
      const Zone& entry = at(zone_address(file, zone));
      if (entry.state == ZoneState::kHole && !entry.avoided) return zone_address(file, zone);
    }
  }
  return std::nullopt;
}

void ZoneMap::fill_hole(Address address) {
  Zone& zone = at(address);
  PENSTOCK_ASSERT(zone.state == ZoneState::kHole);
  zone = Zone{};
  free_.insert(address.key());
  files_[address.file - 1U].changed = true;
}

}  // namespace penstock::btree
