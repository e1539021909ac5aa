// A superblock slot on hostile bytes. Super-I1: what decodes encodes to the same bytes. With `repair` the checksum is right.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "btree/superblock.h"
#include "btree/test_repair.h"
#include "tests/fuzz/fuzz_target.h"

namespace penstock::btree {

void fuzz_superblock(fuzz::Input input) {
  const auto mode = input.take<std::uint8_t>();
  std::vector<std::byte> slot(kSuperSlotBytes);
  const std::span<const std::byte> bytes = input.take_bytes(slot.size());
  std::ranges::copy(bytes, slot.begin());
  if ((mode & 1U) != 0) repair_super_slot(slot);
  // What the slot says it is: those are checked before anything else is used.
  const auto header = base::load<SuperHeader>(slot);
  const StoreIdentity identity{
      .uuid_high = header.uuid_high.get(), .uuid_low = header.uuid_low.get(), .incarnation = header.incarnation.get()};
  const std::uint32_t index = (mode & 2U) != 0 ? 1 : 0;
  const Result<SuperblockContent> content = decode_superblock(slot, index, identity, header.shard.get());
  if (!content.has_value()) {
    const Status status = content.error();
    PENSTOCK_ASSERT(status.is(Code::kCorruption) || status.is(Code::kNotSupported));
    PENSTOCK_ASSERT(status.file_kind() == FileKind::kSuper);
    PENSTOCK_ASSERT_EQ(status.where() / kSuperSlotBytes, index);
    return;
  }
  std::vector<std::byte> encoded(superblock_bytes(*content));
  encode_superblock(*content, identity, header.shard.get(), encoded);
  PENSTOCK_ASSERT(std::ranges::equal(encoded, std::span(slot).first(encoded.size())));
}

}  // namespace penstock::btree

PENSTOCK_FUZZ_TARGET(penstock::btree::fuzz_superblock)
