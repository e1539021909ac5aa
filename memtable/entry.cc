#include "memtable/entry.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace penstock::memtable {
namespace {

std::size_t version_bytes(const std::optional<Bytes>& value) noexcept {
  return std::max(sizeof(VersionRecord), VersionRecord::kHeaderBytes + (value ? value->size() : 0));
}

VersionRecord* write_version(std::byte* at, const Content& content, Sequence sequence, VersionRecord* older) noexcept {
  const std::optional<Bytes>& value = content.value;
  std::uint32_t value_bytes = value ? static_cast<std::uint32_t>(value->size()) : VersionRecord::kDeleteMark;
  if (content.is_reference) {
    value_bytes |= VersionRecord::kReferenceBit;
  }
  auto* const version = new (at) VersionRecord{.older = older, .sequence = sequence, .value_bytes = value_bytes};
  if (value && !value->empty()) {
    std::memcpy(at + VersionRecord::kHeaderBytes, value->data(), value->size());
  }
  return version;
}

// Unlinks what lies behind the newest version at or below `published`. The walk is as long as what stays, and the next one is
// due when half as much has been added: constant per write, however many commits are in flight on the key.
std::uint32_t prune(Entry& entry, Sequence published) noexcept {
  VersionRecord* version = entry.newest;
  std::uint32_t kept = 1;
  while (version->sequence > published && version->older != nullptr) {
    PENSTOCK_ASSERT_GT(version->sequence, version->older->sequence);  // Entry-I1
    version = version->older;
    ++kept;
  }
  version->older = nullptr;
  PENSTOCK_ASSERT_GE(entry.version_count, kept);
  const std::uint32_t unlinked = entry.version_count - kept;
  entry.version_count = kept;
  entry.prune_countdown = static_cast<std::uint16_t>(std::clamp<std::uint32_t>(kept / 2, 1, UINT16_MAX));
  return unlinked;
}

}  // namespace

Entry* make_entry(Arena& arena, Bytes key, const Content& content, Sequence sequence) {
  const std::optional<Bytes>& value = content.value;
  PENSTOCK_ASSERT_LE(key.size(), kKeyBytesMax);
  PENSTOCK_ASSERT_LE(value ? value->size() : 0, kBatchBytesMax);
  const std::size_t version_offset_bytes = base::align_up(sizeof(Entry) + key.size(), alignof(VersionRecord));
  std::byte* const memory = arena.allocate(version_offset_bytes + version_bytes(value), alignof(Entry));
  if (!key.empty()) {
    std::memcpy(memory + sizeof(Entry), key.data(), key.size());
  }
  return new (memory) Entry{.newest = write_version(memory + version_offset_bytes, content, sequence, nullptr),
                            .version_count = 1,
                            .key_bytes = static_cast<std::uint16_t>(key.size()),
                            .prune_countdown = 1};
}

std::uint32_t add_version(Arena& arena, Entry& entry, const Content& content, Sequence sequence, const Horizon& horizon) {
  const std::optional<Bytes>& value = content.value;
  PENSTOCK_ASSERT_LE(value ? value->size() : 0, kBatchBytesMax);
  PENSTOCK_ASSERT_GT(sequence, entry.newest->sequence);
  const bool replaces = entry.newest->sequence > horizon.batch_base;
  VersionRecord* const older = replaces ? entry.newest->older : entry.newest;
  entry.newest = write_version(arena.allocate(version_bytes(value), alignof(VersionRecord)), content, sequence, older);
  entry.version_count += replaces ? 0 : 1;
  --entry.prune_countdown;
  std::uint32_t unlinked = replaces ? 1 : 0;
  if (entry.prune_countdown == 0) {
    unlinked += prune(entry, horizon.published);
  }
  return unlinked;
}

}  // namespace penstock::memtable
