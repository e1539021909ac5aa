// A zone table on hostile bytes. Zone-I2: what decodes encodes to the same bytes; and a map made of it counts and hands out
// space without harm.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "btree/zone_map.h"
#include "btree/zone_table.h"
#include "tests/fuzz/fuzz_target.h"

namespace penstock::btree {
namespace {

void use(std::vector<Zone> zones, std::uint64_t generation, fuzz::Input input) {
  ZoneMap map;
  map.add_file(std::move(zones));
  map.start(generation, generation > 1 ? generation - 1 : generation);
  map.begin_pass(generation + 1);
  for (int step = 0; step < 32; ++step) {
    const std::uint32_t blocks = 1 + (input.take<std::uint8_t>() % kZoneBlocks);
    const auto stream = blocks % 2 == 0 ? ZoneMap::Stream::kPages : ZoneMap::Stream::kExtents;
    const std::optional<Address> place = map.take_blocks(stream, blocks);
    if (!place.has_value()) break;
    PENSTOCK_ASSERT(map.contains(*place, blocks));
  }
  (void)map.release({.file = 1, .block = input.take<std::uint32_t>()}, 1 + input.take<std::uint8_t>());
  map.seal_pass();
  map.end_pass(true);
  map.keep_slots(generation + 1, generation);
  map.refresh_free();
  PENSTOCK_ASSERT_LE(map.stats().live_bytes, map.stats().file_bytes);
  (void)map.choose_to_clean(75, true);
  (void)map.returnable(1);
}

}  // namespace

void fuzz_zone_table(fuzz::Input input) {
  const std::uint32_t count = 1 + (input.take<std::uint16_t>() % 600);
  const std::uint64_t generation = 1 + input.take<std::uint16_t>();
  std::vector<std::byte> table(zone_table_bytes(count));
  std::ranges::copy(input.take_bytes(table.size()), table.begin());
  // The first zone is the tables' own; without it nothing else is looked at.
  if (table[3] == std::byte{0xff}) table[3] = static_cast<std::byte>(ZoneState::kTables);
  Result<std::vector<Zone>> zones = decode_zone_table(table, count, generation);
  if (!zones.has_value()) {
    PENSTOCK_ASSERT(zones.error().is(Code::kCorruption));
    return;
  }
  std::vector<std::byte> encoded(table.size());
  encode_zone_table(*zones, encoded);
  PENSTOCK_ASSERT(std::ranges::equal(encoded, table));
  use(std::move(*zones), generation, input);
}

}  // namespace penstock::btree

PENSTOCK_FUZZ_TARGET(penstock::btree::fuzz_zone_table)
