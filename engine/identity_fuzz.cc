// IDENTITY on hostile bytes: what is read can be written and is read the same again; with `repair` the checksum is right.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "engine/identity.h"
#include "engine/test_repair.h"
#include "reactor/sim_world.h"
#include "tests/fuzz/fuzz_target.h"

namespace penstock::engine {

void fuzz_identity(fuzz::Input input) {
  const auto mode = input.take<std::uint8_t>();
  std::vector<std::byte> file(reactor::kBlockBytes);
  if ((mode & 2U) != 0) file.resize(input.rest().size() % 8192);
  std::ranges::copy(input.take_bytes(file.size()), file.begin());
  if ((mode & 1U) != 0) repair_identity(file);
  reactor::SimDisk disk(1);
  PENSTOCK_ASSERT(disk.write_all("/IDENTITY", file).is_ok());
  reactor::SimWorld world(disk);
  const Outcome<DatabaseIdentity> read = read_identity(world.system(), "/IDENTITY");
  if (!read.has_value()) {
    PENSTOCK_ASSERT(read.error().status.is(Code::kCorruption) || read.error().status.is(Code::kNotSupported));
    return;
  }
  PENSTOCK_ASSERT(read->shard_count >= 1 && read->shard_count <= kShardCountMax);
  PENSTOCK_ASSERT(write_identity(world.system(), "/again", *read).is_ok());
  const Outcome<DatabaseIdentity> again = read_identity(world.system(), "/again");
  PENSTOCK_ASSERT(again.has_value());
  PENSTOCK_ASSERT_EQ(again->shard_count, read->shard_count);
  PENSTOCK_ASSERT_EQ(again->created_ns, read->created_ns);
  PENSTOCK_ASSERT_EQ(again->identity.uuid_low, read->identity.uuid_low);
}

}  // namespace penstock::engine

PENSTOCK_FUZZ_TARGET(penstock::engine::fuzz_identity)
