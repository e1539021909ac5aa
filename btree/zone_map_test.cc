#include "btree/zone_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/random.h"

namespace penstock::btree {
namespace {

constexpr auto kPages = ZoneMap::Stream::kPages;
constexpr auto kExtents = ZoneMap::Stream::kExtents;

ZoneMap make_map(std::uint32_t zones) {
  ZoneMap map;
  map.add_file({Zone{.state = ZoneState::kTables}});
  map.grow_file(1, zones);
  map.start(1, 1);
  return map;
}

/// A published pass that fills one zone with a single allocation.
Address fill_zone(ZoneMap& map, std::uint64_t generation) {
  map.begin_pass(generation);
  const std::optional<Address> address = map.take_blocks(kExtents, kZoneBlocks);
  EXPECT_TRUE(address.has_value());
  map.seal_pass();
  map.keep_slots(generation, generation - 1);
  map.end_pass(true);
  return *address;
}

void empty_pass(ZoneMap& map, std::uint64_t generation) {
  map.begin_pass(generation);
  map.seal_pass();
  map.keep_slots(generation, generation - 1);
  map.end_pass(true);
  map.refresh_free();
}

TEST(ZoneMap, AnEmptiedZoneIsFreeOnceNoSlotReachesIt) {
  ZoneMap map = make_map(8);
  const Address zone = fill_zone(map, 2);
  map.begin_pass(3);
  EXPECT_TRUE(map.release(zone, kZoneBlocks));
  map.seal_pass();
  map.keep_slots(3, 2);
  map.end_pass(true);
  map.refresh_free();
  EXPECT_FALSE(map.is_free(zone));  // Slot 2 reaches it.
  EXPECT_EQ(map.stats().pinned_bytes, kZoneBytes);
  empty_pass(map, 4);
  EXPECT_TRUE(map.is_free(zone));
}

TEST(ZoneMap, StatsBeforeAPassEndsKnowThatItEmptiedAnOpenZone) {
  ZoneMap map = make_map(8);
  map.begin_pass(2);
  const std::optional<Address> address = map.take_blocks(kPages, 1);
  ASSERT_TRUE(address.has_value());
  map.seal_pass();
  map.keep_slots(2, 1);
  map.end_pass(true);
  const std::uint64_t free_bytes = map.stats().free_bytes;
  map.begin_pass(3);
  EXPECT_TRUE(map.release(*address, 1));
  map.seal_pass();
  EXPECT_EQ(map.stats().garbage_bytes, 0U);
  EXPECT_EQ(map.stats().free_bytes, free_bytes - (kZoneBytes - kPageBlockBytes));
  map.end_pass(false);
}

TEST(ZoneMap, APinBetweenFirstAndEmptiedKeepsAZoneAndOthersDoNot) {
  ZoneMap map = make_map(8);
  empty_pass(map, 2);
  map.pin(2);
  const Address zone = fill_zone(map, 3);
  map.pin(3);
  map.begin_pass(4);
  EXPECT_TRUE(map.release(zone, kZoneBlocks));
  map.seal_pass();
  map.keep_slots(4, 3);
  map.end_pass(true);
  map.pin(4);
  empty_pass(map, 5);
  empty_pass(map, 6);
  EXPECT_FALSE(map.is_free(zone));
  map.unpin(3);
  map.refresh_free();
  EXPECT_TRUE(map.is_free(zone));  // 2 is before its first, 4 is not before its end.
}

TEST(ZoneMap, WhatAPassFreesIsNotWrittenByIt) {
  ZoneMap map = make_map(8);
  const Address zone = fill_zone(map, 2);
  map.begin_pass(3);
  map.use_reserve();
  EXPECT_TRUE(map.release(zone, kZoneBlocks));
  map.refresh_free();
  while (const std::optional<Address> address = map.take_blocks(kExtents, kZoneBlocks)) EXPECT_NE(*address, zone);
  map.end_pass(false);
  EXPECT_EQ(map.live_blocks(), (std::vector<std::pair<Address, std::uint32_t>>{{zone, kZoneBlocks}}));
}

TEST(ZoneMap, OrdinaryPassesLeaveAReserve) {
  ZoneMap map = make_map(8);
  map.begin_pass(2);
  std::size_t taken = 0;
  while (map.take_blocks(kPages, 16).has_value()) ++taken;
  EXPECT_EQ(map.free_zones(), map.reserve_zones());
  EXPECT_EQ(taken, 5U * 16U);
  map.use_reserve();
  EXPECT_TRUE(map.take_blocks(kPages, 16).has_value());
  map.end_pass(false);
  EXPECT_EQ(map.free_zones(), 7U);
}

TEST(ZoneMap, SpansTakeConsecutiveZonesOfOneFile) {
  ZoneMap map = make_map(8);
  map.begin_pass(2);
  const std::optional<Address> middle = map.take_blocks(kPages, 1);
  ASSERT_TRUE(middle.has_value());
  const std::optional<Address> span = map.take_zones((3 * kZoneBlocks) + 1);
  ASSERT_TRUE(span.has_value());
  EXPECT_EQ(*span, zone_address(1, 2));
  map.seal_pass();
  map.keep_slots(2, 1);
  map.end_pass(true);
  EXPECT_EQ(map.live_blocks().size(), 5U);
  EXPECT_EQ(map.live_blocks().back(), (std::pair<Address, std::uint32_t>{zone_address(1, 5), 1U}));
  map.begin_pass(3);
  EXPECT_FALSE(map.take_zones(6 * kZoneBlocks).has_value());
  EXPECT_TRUE(map.release(*span, (3 * kZoneBlocks) + 1));
  map.seal_pass();
  map.keep_slots(3, 2);
  map.end_pass(true);
  EXPECT_EQ(map.live_blocks().size(), 1U);
}

TEST(ZoneMap, ReleasingWhatIsNotLiveIsRefused) {
  ZoneMap map = make_map(8);
  const Address zone = fill_zone(map, 2);
  map.begin_pass(3);
  EXPECT_FALSE(map.release(zone_address(1, 5), 1));  // Free.
  EXPECT_FALSE(map.release(Address{1, 3}, 1));       // The tables.
  EXPECT_FALSE(map.release(Address{2, 300}, 1));     // No such file.
  EXPECT_FALSE(map.release(zone, 8 * kZoneBlocks));  // Past the end.
  EXPECT_FALSE(map.release(zone, 2 * kZoneBlocks));  // Into a zone that is free.
  EXPECT_TRUE(map.release(zone, kZoneBlocks));
  EXPECT_FALSE(map.release(zone, 1));  // Twice.
  map.end_pass(false);
}

TEST(ZoneMap, TablesSurviveARoundTripAndImpossibleEntriesAreRefused) {
  ZoneMap map = make_map(300);
  fill_zone(map, 2);
  map.begin_pass(3);
  EXPECT_TRUE(map.take_blocks(kPages, 7).has_value());
  map.seal_pass();
  map.keep_slots(3, 2);
  map.end_pass(true);
  std::vector<std::byte> table(zone_table_bytes(300));
  EXPECT_EQ(table.size(), 2 * kPageBlockBytes);
  encode_zone_table(map.zones(1), table);
  const Result<std::vector<Zone>> decoded = decode_zone_table(table, 300, 3);
  ASSERT_TRUE(decoded.has_value());
  std::vector<std::byte> again(table.size());
  encode_zone_table(*decoded, again);
  EXPECT_EQ(table, again);
  EXPECT_FALSE(decode_zone_table(table, 300, 2).has_value());  // A generation of the future.
  EXPECT_FALSE(decode_zone_table(table, 290, 3).has_value());  // Entries past the end.
  base::Random random(5);
  for (std::uint32_t round = 0; round < 2000; ++round) {
    std::vector<std::byte> damaged = table;
    damaged[random.below(damaged.size())] ^= std::byte{static_cast<std::uint8_t>(1U << random.below(8))};
    const Result<std::vector<Zone>> read = decode_zone_table(damaged, 300, 3);
    if (!read.has_value()) continue;
    encode_zone_table(*read, again);
    EXPECT_EQ(damaged, again);  // What is accepted is what would be written.
  }
}

TEST(ZoneMap, CleaningTakesTheEmptiestZonesUntilTheTargetIsMet) {
  ZoneMap map = make_map(64);
  map.begin_pass(2);
  std::vector<Address> pages;
  for (std::uint32_t count = 0; count < 40 * 16; ++count) pages.push_back(*map.take_blocks(kPages, 16));
  map.seal_pass();
  map.keep_slots(2, 1);
  map.end_pass(true);
  EXPECT_TRUE(map.choose_to_clean(75, false).empty());
  map.begin_pass(3);
  for (const Address page : pages) {  // Zone z keeps its first (z mod 17) pages.
    if ((page.block % kZoneBlocks) / 16 >= page.zone() % 17) {
      EXPECT_TRUE(map.release(page, 16));
    }
  }
  map.seal_pass();
  map.keep_slots(3, 2);
  map.end_pass(true);
  const std::vector<Address> chosen = map.choose_to_clean(75, false);
  ASSERT_FALSE(chosen.empty());
  std::uint64_t live = 0;
  std::uint64_t zones = 0;
  std::uint64_t moved = 0;
  for (const auto& [zone, blocks] : map.live_blocks()) {
    live += blocks;
    ++zones;
    const bool is_chosen = std::ranges::find(chosen, zone) != chosen.end();
    if (is_chosen) moved += blocks;
    if (!is_chosen) {
      EXPECT_GE(blocks, map.zones(1)[chosen.back().zone()].live);
    }
  }
  EXPECT_LT(live * 100, zones * kZoneBlocks * 75);
  EXPECT_GE(live * 100, ((zones - chosen.size()) * kZoneBlocks + moved) * 75);
  map.pin(2);  // Older than both slots once two more are published: cleaning would free nothing.
  empty_pass(map, 4);
  empty_pass(map, 5);
  EXPECT_TRUE(map.choose_to_clean(75, true).empty());
  map.unpin(2);
  EXPECT_FALSE(map.choose_to_clean(75, true).empty());
}

TEST(ZoneMap, EvacuatedZonesAreNotWrittenInThatPass) {
  ZoneMap map = make_map(8);
  map.begin_pass(2);
  const Address page = *map.take_blocks(kPages, 1);
  map.seal_pass();
  map.keep_slots(2, 1);
  map.end_pass(true);
  map.begin_pass(3);
  const std::vector<Address> zones{zone_address(1, page.zone())};
  map.set_evacuated(zones);
  EXPECT_TRUE(map.is_evacuated(page));
  EXPECT_NE(map.take_blocks(kPages, 1)->zone(), page.zone());
  map.end_pass(false);
  EXPECT_FALSE(map.is_evacuated(page));
}

}  // namespace
}  // namespace penstock::btree
