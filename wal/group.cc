#include "wal/group.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"
#include "reactor/system.h"

namespace penstock::wal {

namespace {

static_assert(kLogBlockBytes == reactor::kBlockBytes);

constexpr std::size_t kGroupChecksumFrom = offsetof(GroupHeader, version);
constexpr std::size_t kSegmentChecksumFrom = offsetof(SegmentHeader, version);
constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{1} << 40U;

std::uint64_t header_checksum(const GroupHeader& header, std::uint64_t seed) noexcept {
  return base::checksum(base::bytes_of(header).subspan(kGroupChecksumFrom), seed);
}

std::uint64_t header_checksum(const SegmentHeader& header) noexcept {
  return base::checksum(base::bytes_of(header).subspan(kSegmentChecksumFrom));
}

bool is_block_multiple(std::uint64_t value) noexcept { return value % kLogBlockBytes == 0; }

/// What a valid header of this version says must also make sense.
bool is_sound(const GroupFacts& facts, std::uint64_t body_raw_bytes) noexcept {
  return facts.group_bytes == group_bytes_of(facts.body_bytes) && facts.body_bytes == body_raw_bytes &&
         facts.record_count > 0 && is_block_multiple(facts.previous_end) && facts.previous_end <= facts.position &&
         facts.durable_position <= facts.previous_end && facts.released_position <= facts.position;
}

bool is_supported(const RecordHeader& header) noexcept {
  const auto type = static_cast<RecordType>(header.type);
  return (type == RecordType::kBatch || type == RecordType::kMarker) && header.flags == 0;
}

/// The record and part headers at the beginning of `body`, if they and the payload they announce fit into it; else empty.
std::span<const std::byte> record_table(std::span<const std::byte> body) noexcept {
  if (body.size() < sizeof(RecordHeader)) return {};
  const auto header = base::load<RecordHeader>(body);
  const std::size_t table_bytes = sizeof(RecordHeader) + (header.part_count.get() * sizeof(PartHeader));
  if (body.size() < table_bytes || body.size() - table_bytes < header.payload_bytes.get()) return {};
  return body.first(table_bytes);
}

bool parts_add_up(std::span<const std::byte> table) noexcept {
  std::uint64_t payload_bytes = 0;
  for (std::size_t offset = sizeof(RecordHeader); offset < table.size(); offset += sizeof(PartHeader)) {
    payload_bytes += base::load<PartHeader>(table.subspan(offset)).payload_bytes.get();
  }
  return payload_bytes == base::load<RecordHeader>(table).payload_bytes.get();
}

bool parts_are_supported(std::span<const std::byte> table) noexcept {
  for (std::size_t offset = sizeof(RecordHeader); offset < table.size(); offset += sizeof(PartHeader)) {
    const auto part = base::load<PartHeader>(table.subspan(offset));
    if (part.reserved0.get() != 0 || part.reserved1.get() != 0) return false;
  }
  return true;
}

}  // namespace

std::uint64_t group_seed(std::uint64_t salt, std::uint64_t position) noexcept {
  // The finalizer of splitmix64: neighbouring positions get unrelated seeds.
  std::uint64_t mixed = salt ^ (position * 0x9e3779b97f4a7c15ULL);
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31U);
}

// --- Writing ---

void GroupWriter::add(const Record& record) noexcept {
  PENSTOCK_ASSERT(is_open());
  PENSTOCK_ASSERT_LE(record.parts.size(), 0xffffU);
  std::byte* const start = group_ + sizeof(GroupHeader) + records_bytes_;
  std::byte* table = start + sizeof(RecordHeader);
  std::byte* payload = table + (record.parts.size() * sizeof(PartHeader));
  const std::byte* const payload_begin = payload;
  for (const Part& part : record.parts) {
    PartHeader header{};
    header.shard = part.shard;
    header.operations = part.operations;
    header.previous = part.previous;
    header.first = part.first;
    header.payload_bytes = static_cast<std::uint32_t>(part.payload.size());
    std::memcpy(table, &header, sizeof(header));
    table += sizeof(header);
    if (!part.payload.empty()) std::memcpy(payload, part.payload.data(), part.payload.size());
    payload += part.payload.size();
  }
  const auto payload_bytes = static_cast<std::uint64_t>(payload - payload_begin);
  PENSTOCK_ASSERT_LE(payload_bytes, 0xffffffffU);
  PENSTOCK_AUDIT(base::checksum({payload_begin, payload_bytes}) == record.payload_checksum);
  RecordHeader header{};
  header.type = static_cast<std::uint8_t>(record.type);
  header.part_count = static_cast<std::uint16_t>(record.parts.size());
  header.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
  header.payload_checksum = record.payload_checksum;
  std::memcpy(start, &header, sizeof(header));
  body_checksum_ = base::checksum({start, static_cast<std::size_t>(table - start)}, body_checksum_);
  records_bytes_ += static_cast<std::uint64_t>(payload - start);
  ++record_count_;
}

std::uint64_t GroupWriter::finish(const GroupContext& context, std::uint64_t position, std::uint64_t previous_end) noexcept {
  PENSTOCK_ASSERT(is_open());
  PENSTOCK_ASSERT_GT(record_count_, 0U);
  PENSTOCK_ASSERT_LE(previous_end, position);
  PENSTOCK_ASSERT_LE(records_bytes_, 0xffff0000U);
  const std::uint64_t group_bytes = group_bytes_of(records_bytes_);
  const std::uint64_t used_bytes = sizeof(GroupHeader) + records_bytes_;
  std::memset(group_ + used_bytes, 0, group_bytes - used_bytes);  // The memory has held other groups.
  GroupHeader header{};
  header.magic = kGroupMagic;
  header.version = kLogVersion;
  header.codec = kCodecNone;
  header.block_bytes = kLogBlockBytes;
  header.uuid_high = context.identity.uuid_high;
  header.uuid_low = context.identity.uuid_low;
  header.incarnation = context.identity.incarnation;
  header.epoch = context.log.epoch;
  header.reactor = context.log.reactor;
  header.position = position;
  header.previous_end = previous_end;
  header.record_count = record_count_;
  header.group_bytes = static_cast<std::uint32_t>(group_bytes);
  header.body_bytes = static_cast<std::uint32_t>(records_bytes_);
  header.body_raw_bytes = static_cast<std::uint32_t>(records_bytes_);
  header.body_checksum = body_checksum_;
  std::memcpy(group_, &header, sizeof(header));
  *this = GroupWriter();
  return group_bytes;
}

std::uint64_t stamp_group(std::byte* group, std::uint64_t salt, const GroupStamp& stamp) noexcept {
  auto header = base::load<GroupHeader>({group, sizeof(GroupHeader)});
  PENSTOCK_ASSERT_EQ(header.magic.get(), kGroupMagic);
  PENSTOCK_ASSERT_LE(stamp.durable_position, header.previous_end.get());
  PENSTOCK_ASSERT_LE(stamp.released_position, header.position.get());
  header.durable_position = stamp.durable_position;
  header.released_position = stamp.released_position;
  header.wall_clock_ns = stamp.wall_clock_ns;
  header.header_checksum = header_checksum(header, group_seed(salt, header.position.get()));
  std::memcpy(group, &header, sizeof(header));
  return header.group_bytes.get();
}

// --- Reading ---

Check check_group_header(std::span<const std::byte> bytes, const GroupContext& context, std::uint64_t position,
                         GroupFacts& facts) noexcept {
  const auto header = base::load<GroupHeader>(bytes);
  if (header.magic.get() != kGroupMagic) return Check::kBad;
  const std::uint64_t seed = group_seed(context.salt, position);
  if (header.header_checksum.get() != header_checksum(header, seed)) return Check::kBad;
  if (header.version.get() != kLogVersion) return Check::kUnknown;
  const bool is_ours = header.uuid_high.get() == context.identity.uuid_high &&
                       header.uuid_low.get() == context.identity.uuid_low &&
                       header.incarnation.get() == context.identity.incarnation && header.epoch.get() == context.log.epoch &&
                       header.reactor.get() == context.log.reactor && header.position.get() == position;
  if (!is_ours) return Check::kBad;
  const bool is_known = header.codec == kCodecNone && header.key_id.get() == 0 && header.block_bytes.get() == kLogBlockBytes &&
                        header.reserved0 == 0 && header.reserved1.get() == 0 && header.reserved2.get() == 0;
  if (!is_known) return Check::kUnknown;
  const GroupFacts found{.position = position,
                         .previous_end = header.previous_end.get(),
                         .durable_position = header.durable_position.get(),
                         .released_position = header.released_position.get(),
                         .group_bytes = header.group_bytes.get(),
                         .body_bytes = header.body_bytes.get(),
                         .body_checksum = header.body_checksum.get(),
                         .seed = seed,
                         .record_count = header.record_count.get()};
  if (!is_sound(found, header.body_raw_bytes.get())) return Check::kBad;
  facts = found;
  return Check::kGood;
}

bool looks_like_group(std::span<const std::byte> bytes, std::uint64_t position) noexcept {
  const auto header = base::load<GroupHeader>(bytes);
  return header.magic.get() == kGroupMagic && header.position.get() == position;
}

Check check_group_body(std::span<const std::byte> group, const GroupFacts& facts) noexcept {
  PENSTOCK_ASSERT_EQ(group.size(), facts.group_bytes);
  const std::span<const std::byte> body = group.subspan(sizeof(GroupHeader), facts.body_bytes);
  std::uint64_t checksum = facts.seed;
  std::size_t offset = 0;
  for (std::uint32_t index = 0; index < facts.record_count; ++index) {
    const std::span<const std::byte> table = record_table(body.subspan(offset));
    if (table.empty()) return Check::kBad;
    checksum = base::checksum(table, checksum);
    offset += table.size() + base::load<RecordHeader>(table).payload_bytes.get();
  }
  if (offset != body.size() || checksum != facts.body_checksum) return Check::kBad;
  bool is_known = true;
  offset = 0;
  for (std::uint32_t index = 0; index < facts.record_count; ++index) {
    const std::span<const std::byte> table = record_table(body.subspan(offset));
    const auto header = base::load<RecordHeader>(table);
    if (!parts_add_up(table)) return Check::kBad;
    const std::span<const std::byte> payload = body.subspan(offset + table.size(), header.payload_bytes.get());
    if (base::checksum(payload) != header.payload_checksum.get()) return Check::kBad;
    is_known = is_known && is_supported(header) && parts_are_supported(table);
    offset += table.size() + payload.size();
  }
  return is_known ? Check::kGood : Check::kUnknown;
}

bool RecordWalker::next_record() noexcept {
  if (records_left_ == 0) return false;
  --records_left_;
  const std::span<const std::byte> rest = body_.subspan(next_record_offset_);
  const std::span<const std::byte> table = record_table(rest);
  PENSTOCK_ASSERT(!table.empty());  // check_group_body() said so.
  const auto header = base::load<RecordHeader>(table);
  type_ = static_cast<RecordType>(header.type);
  parts_left_ = header.part_count.get();
  part_offset_ = next_record_offset_ + sizeof(RecordHeader);
  payload_offset_ = next_record_offset_ + table.size();
  next_record_offset_ = payload_offset_ + header.payload_bytes.get();
  return true;
}

bool RecordWalker::next_part(Part& part) noexcept {
  if (parts_left_ == 0) return false;
  --parts_left_;
  const auto header = base::load<PartHeader>(body_.subspan(part_offset_));
  part_offset_ += sizeof(PartHeader);
  part.shard = header.shard.get();
  part.previous = header.previous.get();
  part.first = header.first.get();
  part.operations = header.operations.get();
  part.payload = as_bytes(body_.subspan(payload_offset_, header.payload_bytes.get()));
  payload_offset_ += part.payload.size();
  PENSTOCK_ASSERT_LE(payload_offset_, next_record_offset_);
  return true;
}

// --- Segment headers ---

void encode_segment_header(const SegmentFacts& facts, const Identity& identity, LogName log,
                           std::span<std::byte> block) noexcept {
  PENSTOCK_ASSERT_EQ(block.size(), std::size_t{kLogBlockBytes});
  PENSTOCK_ASSERT(is_block_multiple(facts.segment_bytes) && is_block_multiple(facts.base_offset));
  std::ranges::fill(block, std::byte{0});
  SegmentHeader header{};
  header.magic = kSegmentMagic;
  header.version = kLogVersion;
  header.reactor = log.reactor;
  header.epoch = log.epoch;
  header.uuid_high = identity.uuid_high;
  header.uuid_low = identity.uuid_low;
  header.incarnation = identity.incarnation;
  header.block_bytes = kLogBlockBytes;
  header.index = facts.index;
  header.base_offset = facts.base_offset;
  header.segment_bytes = facts.segment_bytes;
  header.salt = facts.salt;
  header.checksum = header_checksum(header);
  base::store(block, header);
}

Check check_segment_header(std::span<const std::byte> block, const Identity& identity, LogName log,
                           SegmentFacts& facts) noexcept {
  const auto header = base::load<SegmentHeader>(block);
  if (header.magic.get() != kSegmentMagic || header.checksum.get() != header_checksum(header)) return Check::kBad;
  if (header.version.get() != kLogVersion) return Check::kUnknown;
  const bool is_ours = header.uuid_high.get() == identity.uuid_high && header.uuid_low.get() == identity.uuid_low &&
                       header.incarnation.get() == identity.incarnation && header.epoch.get() == log.epoch &&
                       header.reactor.get() == log.reactor;
  if (!is_ours) return Check::kBad;
  const bool reserved_is_zero = std::ranges::all_of(header.reserved, [](std::uint8_t byte) { return byte == 0; });
  if (!reserved_is_zero || header.block_bytes.get() != kLogBlockBytes) return Check::kUnknown;
  const SegmentFacts found{.index = header.index.get(),
                           .base_offset = header.base_offset.get(),
                           .segment_bytes = header.segment_bytes.get(),
                           .salt = header.salt.get()};
  const bool is_sound = is_block_multiple(found.segment_bytes) && found.segment_bytes >= 2 * kLogBlockBytes &&
                        found.segment_bytes <= kSegmentBytesMax && is_block_multiple(found.base_offset) &&
                        found.base_offset <= ~std::uint64_t{0} - kSegmentBytesMax;
  if (!is_sound) return Check::kBad;
  facts = found;
  return Check::kGood;
}

}  // namespace penstock::wal
