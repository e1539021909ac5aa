// How the catalog stands in family 0 of shard 0. docs/formats/catalog.md.
//
// Keys: "i" -> the next family id (le32). "n" + name -> fields of a family, each {tag, length, bytes}. A reader skips unknown
// tags, but refuses the family's database if an unknown tag has the critical bit.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/endian.h"

namespace penstock::engine {

inline constexpr std::uint16_t kCriticalTag = 0x8000;

/// On disk: never renumber.
enum class CatalogTag : std::uint16_t {
  kId = kCriticalTag | 1,          ///< le32
  kPlacement = kCriticalTag | 2,   ///< u8, le16 shard (0 if hashed)
  kPartition = kCriticalTag | 3,   ///< u8 kind, u8 delimiter, le16 prefix bytes
  kHashSeed = kCriticalTag | 4,    ///< le64
  kComparator = kCriticalTag | 5,  ///< its name; "bytes" alone is known
};

struct CatalogField {
  base::le16 tag;
  base::le16 bytes;
};
static_assert(sizeof(CatalogField) == 4);
static_assert(std::has_unique_object_representations_v<CatalogField>);

inline constexpr char kNextIdKey = 'i';
inline constexpr char kNameKey = 'n';

}  // namespace penstock::engine
