// A key of a memtable and its versions, as they lie in the arena.
//
//   Entry (16) | key | padding to 8 | VersionRecord (20) | value      the first version follows its key: one run of writes
//   VersionRecord (20) | value                                        each later one
//
// Invariants: Memtable-I3, Memtable-I4.
//   Entry-I1  newest is never null; sequences fall strictly along `older`; version_count is the number linked.
// Units: bytes. Thread: as the memtable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "memtable/arena.h"
#include "penstock/bytes.h"
#include "penstock/types.h"

namespace penstock::memtable {

struct VersionRecord {
  VersionRecord* older;
  Sequence sequence;
  std::uint32_t value_bytes;  // With kReferenceBit; kDeleteMark: a delete.

  static constexpr std::uint32_t kDeleteMark = ~std::uint32_t{0};
  static constexpr std::uint32_t kReferenceBit = 1U << 31U;
  // The value begins inside what would be the struct's tail padding: 4 bytes less for each version.
  static constexpr std::size_t kHeaderBytes = 20;

  bool is_delete() const noexcept { return value_bytes == kDeleteMark; }
  bool is_reference() const noexcept { return (value_bytes & kReferenceBit) != 0 && !is_delete(); }
  Bytes value() const noexcept {
    return is_delete() ? Bytes() : Bytes(reinterpret_cast<const char*>(this) + kHeaderBytes, value_bytes & ~kReferenceBit);
  }
};
static_assert(offsetof(VersionRecord, value_bytes) + sizeof(VersionRecord::value_bytes) == VersionRecord::kHeaderBytes);
static_assert(kBatchBytesMax < VersionRecord::kReferenceBit);

struct Entry {
  VersionRecord* newest;
  std::uint32_t version_count;
  std::uint16_t key_bytes;
  std::uint16_t prune_countdown;  // Versions to add until the chain is walked for ones to unlink.

  Bytes key() const noexcept { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
  /// The newest version at or below `visible`, or null.
  const VersionRecord* version_at(Sequence visible) const noexcept {
    const VersionRecord* version = newest;
    while (version != nullptr && version->sequence > visible) {
      version = version->older;
    }
    return version;
  }
};
static_assert(sizeof(Entry) == 16);
static_assert(kKeyBytesMax <= UINT16_MAX);

/// Where readers may be when a version is added.
struct Horizon {
  Sequence published = 0;              // None is below.
  Sequence batch_base = ~Sequence{0};  // None ever stops above it before the open batch ends.
};

/// What a version says: a value, what stands for a value that lies elsewhere, or a delete.
struct Content {
  std::optional<Bytes> value;
  bool is_reference = false;
};

/// A new entry with its first version.
Entry* make_entry(Arena& arena, Bytes key, const Content& content, Sequence sequence);

/// Adds the newest version. Returns how many older ones it unlinked.
std::uint32_t add_version(Arena& arena, Entry& entry, const Content& content, Sequence sequence, const Horizon& horizon);

}  // namespace penstock::memtable
