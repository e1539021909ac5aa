// Makes the checksums of damaged superblocks and page files right again: for fuzz targets.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/checksum.h"
#include "base/endian.h"
#include "btree/super_format.h"

namespace penstock::btree {

/// `slot`: up to kSuperSlotBytes.
inline void repair_super_slot(std::span<std::byte> slot) {
  if (slot.size() < sizeof(SuperHeader)) return;
  auto header = base::load<SuperHeader>(slot);
  const std::size_t covered = sizeof(SuperHeader) + header.body_bytes.get();
  if (covered > slot.size()) return;
  constexpr std::size_t kFrom = offsetof(SuperHeader, version);
  header.checksum = base::checksum(slot.subspan(kFrom, covered - kFrom));
  base::store(slot, header);
}

}  // namespace penstock::btree
