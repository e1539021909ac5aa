// What every handle of a family shares, and how a key finds its shard.
//
// Immutable but for `dropped`. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/checksum.h"
#include "penstock/bytes.h"
#include "penstock/options.h"
#include "penstock/types.h"

namespace penstock::detail {

struct FamilyState {
  FamilyId id = 0;
  std::string name;
  FamilyOptions options;
  std::uint16_t shard_count = 1;
  std::uint64_t hash_seed = 0;
  std::atomic<bool> dropped{false};

  /// The part of `key` that the partition rule looks at.
  Bytes partition_of(Bytes key) const noexcept {
    switch (options.partition.kind) {
      case PartitionRule::Kind::kWholeKey:
        return key;
      case PartitionRule::Kind::kPrefix:
        return key.substr(0, options.partition.prefix_bytes);
      case PartitionRule::Kind::kDelimiter:
        return key.substr(0, key.find(options.partition.delimiter));
    }
    return key;
  }

  ShardId shard_of(Bytes key) const noexcept {
    if (options.placement == Placement::kPinned) {
      return static_cast<ShardId>(options.shard);
    }
    return static_cast<ShardId>(base::checksum(as_span(partition_of(key)), hash_seed) % shard_count);
  }
};

}  // namespace penstock::detail
