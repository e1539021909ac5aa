// Makes the checksum of a damaged IDENTITY right again: for fuzz targets.
#pragma once

#include <cstddef>
#include <span>

#include "base/checksum.h"
#include "base/endian.h"
#include "engine/identity_format.h"
#include "reactor/system.h"

namespace penstock::engine {

/// `block`: the whole file.
inline void repair_identity(std::span<std::byte> block) {
  if (block.size() != reactor::kBlockBytes) return;
  auto header = base::load<IdentityBlock>(block);
  header.checksum = 0;
  base::store(block, header);
  header.checksum = base::checksum(block);
  base::store(block, header);
}

}  // namespace penstock::engine
