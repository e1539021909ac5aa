// How one operation of a batch stands in a log record's payload: a header, the key, the value. docs/formats/operations.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"

namespace penstock::engine {

/// On disk: never renumber.
enum class OperationKind : std::uint8_t {
  kPut = 1,
  kRemove = 2,
  kPutExtent = 3,  ///< The value is an extent pointer (btree/page_format.h): the put's own was written there before.
};

struct OperationHeader {
  std::uint8_t kind = 0;
  std::uint8_t flags = 0;  ///< Zero; checked on read.
  base::le16 key_bytes;
  base::le32 family;
  base::le32 value_bytes;  ///< Zero for a removal, 32 for an extent.
};
static_assert(sizeof(OperationHeader) == 12);
static_assert(offsetof(OperationHeader, key_bytes) == 2);
static_assert(offsetof(OperationHeader, family) == 4);
static_assert(offsetof(OperationHeader, value_bytes) == 8);
static_assert(std::is_trivially_copyable_v<OperationHeader>);
static_assert(std::has_unique_object_representations_v<OperationHeader>);

}  // namespace penstock::engine
