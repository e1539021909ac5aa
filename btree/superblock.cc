#include "btree/superblock.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"
#include "btree/page.h"
#include "btree/zone_format.h"

namespace penstock::btree {
namespace {

constexpr std::size_t kChecksumFrom = offsetof(SuperHeader, version);

Status bad_slot(std::uint32_t slot, std::size_t offset) noexcept {
  return Status(Code::kCorruption, FileKind::kSuper, (std::uint64_t{slot} * kSuperSlotBytes) + offset);
}

Status unsupported(std::uint32_t slot, std::size_t offset) noexcept {
  return Status(Code::kNotSupported, FileKind::kSuper, (std::uint64_t{slot} * kSuperSlotBytes) + offset);
}

bool all_zero(std::span<const std::byte> bytes) noexcept {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

template <typename T>
bool is_zero(const T& value) noexcept {
  return all_zero(base::bytes_of(value));
}

Status check_identity(const SuperHeader& header, std::uint32_t slot, const StoreIdentity& identity, ShardId shard) noexcept {
  if (header.slot != slot) return bad_slot(slot, offsetof(SuperHeader, slot));
  if (header.checksum_algorithm != base::kChecksumXxh3) return unsupported(slot, offsetof(SuperHeader, checksum_algorithm));
  if (header.shard.get() != shard) return bad_slot(slot, offsetof(SuperHeader, shard));
  if (header.uuid_high.get() != identity.uuid_high || header.uuid_low.get() != identity.uuid_low) {
    return bad_slot(slot, offsetof(SuperHeader, uuid_high));
  }
  if (header.incarnation.get() != identity.incarnation) return bad_slot(slot, offsetof(SuperHeader, incarnation));
  const std::uint64_t generation = header.generation.get();
  if (generation == 0 || super_slot_of(generation) != slot) return bad_slot(slot, offsetof(SuperHeader, generation));
  return Status::ok();
}

Status check_features(const SuperHeader& header, std::uint32_t slot) noexcept {
  if ((header.features_incompat.get() & ~kIncompatKnown) != 0)
    return unsupported(slot, offsetof(SuperHeader, features_incompat));
  if ((header.features_read_only_compat.get() & ~kReadOnlyCompatKnown) != 0) {
    return unsupported(slot, offsetof(SuperHeader, features_read_only_compat));
  }
  const bool cursor_empty = header.cursor_epoch.get() == 0 && header.cursor_family.get() == 0 &&
                            header.cursor_offset.get() == 0 && header.cursor_key_bytes.get() == 0;
  if (!cursor_empty) return unsupported(slot, offsetof(SuperHeader, cursor_epoch));
  return Status::ok();
}

Status check_reserved(const SuperHeader& header, std::uint32_t slot) noexcept {
  if (!is_zero(header.reserved0)) return bad_slot(slot, offsetof(SuperHeader, reserved0));
  if (!is_zero(header.reserved1)) return bad_slot(slot, offsetof(SuperHeader, reserved1));
  if (!is_zero(header.reserved2)) return bad_slot(slot, offsetof(SuperHeader, reserved2));
  if (!is_zero(header.reserved3)) return bad_slot(slot, offsetof(SuperHeader, reserved3));
  return Status::ok();
}

/// The file entries, checked one against the other and against the generation.
Status decode_files(std::span<const std::byte> body, std::uint32_t slot, std::uint64_t generation,
                    std::vector<FileRecord>& files) {
  std::uint16_t previous = 0;
  for (std::size_t offset = 0; offset < body.size(); offset += sizeof(SuperFile)) {
    const auto stored = base::load<SuperFile>(body.subspan(offset));
    FileRecord record;
    record.number = stored.number.get();
    record.table_copy = stored.table_copy;
    record.zones = stored.zones.get();
    record.table_checksum = stored.table_checksum.get();
    record.table_generation = stored.table_generation.get();
    const bool fine = record.number == previous + 1 && record.table_copy < kZoneTableCopies && record.zones >= 1 &&
                      record.zones <= kZonesPerFileMax && record.table_generation >= 1 &&
                      record.table_generation <= generation && stored.reserved0 == 0 && is_zero(stored.reserved1) &&
                      is_zero(stored.reserved2);
    if (!fine) return bad_slot(slot, sizeof(SuperHeader) + offset);
    previous = record.number;
    files.push_back(record);
  }
  return Status::ok();
}

}  // namespace

std::size_t superblock_bytes(const SuperblockContent& content) noexcept {
  const std::size_t bytes = sizeof(SuperHeader) + (content.files.size() * sizeof(SuperFile));
  return base::align_up<std::size_t>(bytes, kPageBlockBytes);
}

void encode_superblock(const SuperblockContent& content, const StoreIdentity& identity, ShardId shard,
                       std::span<std::byte> out) {
  PENSTOCK_ASSERT_EQ(out.size(), superblock_bytes(content));
  PENSTOCK_ASSERT_LE(content.files.size(), std::size_t{kSuperFilesMax});
  PENSTOCK_ASSERT_GT(content.superblock.generation, 0U);
  std::ranges::fill(out, std::byte{0});
  SuperHeader header{};
  header.magic = kSuperMagic;
  header.version = kSuperVersion;
  header.slot = static_cast<std::uint8_t>(super_slot_of(content.superblock.generation));
  header.checksum_algorithm = base::kChecksumXxh3;
  header.shard = shard;
  header.body_bytes = static_cast<std::uint32_t>(content.files.size() * sizeof(SuperFile));
  header.incarnation = identity.incarnation;
  header.uuid_high = identity.uuid_high;
  header.uuid_low = identity.uuid_low;
  header.generation = content.superblock.generation;
  header.features_compat = content.features_compat;
  header.applied_epoch = content.superblock.applied.epoch;
  header.file_count = static_cast<std::uint32_t>(content.files.size());
  header.applied_offset = content.superblock.applied.offset;
  header.applied_sequence = content.superblock.applied.sequence;
  if (!content.superblock.roots.is_null()) header.roots = encode_child(content.superblock.roots);
  std::size_t offset = sizeof(SuperHeader);
  for (const FileRecord& record : content.files) {
    SuperFile stored{};
    stored.number = record.number;
    stored.table_copy = record.table_copy;
    stored.zones = record.zones;
    stored.table_checksum = record.table_checksum;
    stored.table_generation = record.table_generation;
    base::store(out.subspan(offset), stored);
    offset += sizeof(SuperFile);
  }
  base::store(out, header);
  header.checksum = base::checksum(out.subspan(kChecksumFrom, offset - kChecksumFrom));
  base::store(out, header);
}

Result<SuperblockContent> decode_superblock(std::span<const std::byte> bytes, std::uint32_t slot, const StoreIdentity& identity,
                                            ShardId shard) {
  PENSTOCK_ASSERT_EQ(bytes.size(), std::size_t{kSuperSlotBytes});
  const auto header = base::load<SuperHeader>(bytes);
  if (header.magic.get() != kSuperMagic) return std::unexpected(bad_slot(slot, 0));
  const std::uint32_t body_bytes = header.body_bytes.get();
  if (body_bytes > kSuperSlotBytes - sizeof(SuperHeader))
    return std::unexpected(bad_slot(slot, offsetof(SuperHeader, body_bytes)));
  const std::size_t end = sizeof(SuperHeader) + body_bytes;
  if (base::checksum(bytes.subspan(kChecksumFrom, end - kChecksumFrom)) != header.checksum.get()) {
    return std::unexpected(bad_slot(slot, offsetof(SuperHeader, checksum)));
  }
  if (header.version.get() != kSuperVersion) return std::unexpected(unsupported(slot, offsetof(SuperHeader, version)));
  PENSTOCK_TRY_RESULT(check_identity(header, slot, identity, shard));
  PENSTOCK_TRY_RESULT(check_features(header, slot));
  PENSTOCK_TRY_RESULT(check_reserved(header, slot));
  if (header.file_count.get() > kSuperFilesMax || header.file_count.get() * sizeof(SuperFile) != body_bytes) {
    return std::unexpected(bad_slot(slot, offsetof(SuperHeader, file_count)));
  }
  SuperblockContent content;
  content.features_compat = header.features_compat.get();
  content.superblock.generation = header.generation.get();
  content.superblock.applied.epoch = header.applied_epoch.get();
  content.superblock.applied.offset = header.applied_offset.get();
  content.superblock.applied.sequence = header.applied_sequence.get();
  if (!is_zero(header.roots)) {
    const Result<ChildPointer> roots = decode_child(header.roots);
    if (!roots.has_value()) {
      const std::size_t offset = offsetof(SuperHeader, roots);
      return std::unexpected(roots.error().is(Code::kNotSupported) ? unsupported(slot, offset) : bad_slot(slot, offset));
    }
    if (roots->birth > content.superblock.generation) return std::unexpected(bad_slot(slot, offsetof(SuperHeader, roots)));
    content.superblock.roots = *roots;
  }
  const std::span<const std::byte> body = bytes.subspan(sizeof(SuperHeader), body_bytes);
  PENSTOCK_TRY_RESULT(decode_files(body, slot, content.superblock.generation, content.files));
  if (!all_zero(bytes.subspan(end, base::align_up<std::size_t>(end, kPageBlockBytes) - end))) {
    return std::unexpected(bad_slot(slot, end));
  }
  return content;
}

}  // namespace penstock::btree
