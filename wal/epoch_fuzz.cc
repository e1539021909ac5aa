// EPOCH on hostile bytes: what is read can be written and is read the same again. Method: the input is the beginning of both
// slots; with `repair` their checksums are right.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "reactor/sim_world.h"
#include "tests/fuzz/fuzz_target.h"
#include "wal/test_repair.h"
#include "wal/wal.h"

namespace penstock::wal {

void fuzz_epoch(fuzz::Input input) {
  constexpr Identity kIdentity{.uuid_high = 0x1122334455667788, .uuid_low = 0x99aabbccddeeff00, .incarnation = 7};
  const auto mode = input.take<std::uint8_t>();
  std::vector<std::byte> file(std::size_t{kEpochSlots} * kEpochSlotBytes);
  const std::size_t half = (input.rest().size() + 1) / 2;
  for (std::uint32_t slot = 0; slot < kEpochSlots; ++slot) {
    const std::span<const std::byte> bytes = input.take_bytes(std::min<std::size_t>(half, kEpochSlotBytes));
    std::ranges::copy(bytes, file.begin() + std::ptrdiff_t{slot} * kEpochSlotBytes);
  }
  if ((mode & 1U) != 0) repair_epoch(file);
  reactor::SimDisk disk(1);
  PENSTOCK_ASSERT(disk.write_all("/EPOCH", file).is_ok());
  reactor::SimWorld world(disk);
  const Outcome<EpochState> state = read_epoch(world.system(), "/EPOCH", kIdentity);
  if (!state.has_value()) {
    PENSTOCK_ASSERT(!state.error().text.empty());
    return;
  }
  PENSTOCK_ASSERT(write_epoch(world.system(), "/again", kIdentity, *state, true).is_ok());
  const Outcome<EpochState> again = read_epoch(world.system(), "/again", kIdentity);
  PENSTOCK_ASSERT(again.has_value());
  PENSTOCK_ASSERT_EQ(again->generation, state->generation);
  PENSTOCK_ASSERT_EQ(again->epoch, state->epoch);
  PENSTOCK_ASSERT_EQ(again->old_epochs.size(), state->old_epochs.size());
  PENSTOCK_ASSERT(again->clean_ends == state->clean_ends && again->shard_generations == state->shard_generations);
}

}  // namespace penstock::wal

PENSTOCK_FUZZ_TARGET(penstock::wal::fuzz_epoch)
