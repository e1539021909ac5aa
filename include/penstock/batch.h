// Batch: operations that are applied together.
//
// A batch is encoded as it is filled, per shard, in the log's own form. Database::commit applies a batch of one shard
// atomically, over any of its families; Database::write_each applies the parts of several shards, each atomically. Thread: one
// at a time; a batch may be filled on any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/bytes.h"
#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock {

class Family;

class Batch {
 public:
  Batch() = default;

  /// Adds an operation; later ones win over earlier ones of the same key. Errors, and the batch is as before: invalid_argument
  /// (key over 1,024 bytes, closed handle), too_large (value over 1 GiB, batch over 32 MiB).
  Status put(const Family& family, Bytes key, Bytes value);
  Status remove(const Family& family, Bytes key);

  /// Forgets the operations and keeps the memory.
  void clear() noexcept;
  bool empty() const noexcept { return operation_count_ == 0; }
  std::uint32_t operation_count() const noexcept { return operation_count_; }
  /// Encoded size over all shards.
  std::uint64_t bytes() const noexcept;
  /// Shards that it touches.
  std::uint32_t shard_count() const noexcept;

  /// The operations of one shard, encoded (docs/formats/operations.md).
  struct ShardPart {
    ShardId shard = 0;
    std::uint32_t operation_count = 0;
    std::vector<char> encoded;
    std::vector<FamilyId> families;  ///< That occur in it, each once.
    std::uint64_t large_bytes = 0;   ///< Of its values over kLoggedValueBytesMax.
  };
  const std::vector<ShardPart>& parts() const noexcept { return parts_; }

 private:
  Status add(const Family& family, std::uint8_t kind, Bytes key, Bytes value);
  ShardPart& part_of(ShardId shard);

  std::vector<ShardPart> parts_;  // Emptied parts stay for reuse.
  std::uint32_t operation_count_ = 0;
  std::uint32_t last_part_ = 0;
};

}  // namespace penstock
