// Groups and segment headers as bytes: writing one record by record, stamping it when it is sent, checking and walking one that
// was read.
//
// Invariants:
//   Group-I1 GroupWriter computes the body checksum as records come, over their headers alone: no payload is hashed here.
//   Group-I2 Nothing of a group that was read is given out before its header's, its body's and all its payloads' checksums
//   match.
//            On the way there, lengths of records are used only to find the bytes that the body's checksum covers, within the
//            bounds of the verified header.
// Units: positions are bytes from the log's beginning in its epoch. Thread: any. Format: log_format.h, docs/formats/log.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wal/log_format.h"
#include "wal/wal.h"

namespace penstock::wal {

/// What the checksums of the group at `position` start from.
std::uint64_t group_seed(std::uint64_t salt, std::uint64_t position) noexcept;

/// Bytes of a group before it is padded: `records_bytes` is the sum of record_bytes().
constexpr std::uint64_t group_bytes_of(std::uint64_t records_bytes) noexcept {
  const std::uint64_t bytes = sizeof(GroupHeader) + records_bytes;
  return (bytes + kLogBlockBytes - 1) & ~std::uint64_t{kLogBlockBytes - 1};
}
constexpr std::uint64_t record_bytes(std::uint64_t payload_bytes, std::uint64_t parts) noexcept {
  return sizeof(RecordHeader) + (parts * sizeof(PartHeader)) + payload_bytes;
}

/// Which log, in which file's life.
struct GroupContext {
  Identity identity;
  LogName log;
  std::uint64_t salt = 0;
};

/// Writes one group at the beginning of memory that the caller sized: group_bytes_of() what is added.
class GroupWriter {
 public:
  GroupWriter() noexcept = default;
  GroupWriter(std::byte* group, std::uint64_t seed) noexcept : group_(group), body_checksum_(seed) {}

  bool is_open() const noexcept { return group_ != nullptr; }
  std::uint32_t record_count() const noexcept { return record_count_; }
  std::uint64_t records_bytes() const noexcept { return records_bytes_; }
  /// The group's memory has moved.
  void relocate(std::byte* group) noexcept { group_ = group; }
  void add(const Record& record) noexcept;
  /// Pads, and writes the header but for what stamp_group() adds. Returns the group's bytes. The writer is closed then.
  std::uint64_t finish(const GroupContext& context, std::uint64_t position, std::uint64_t previous_end) noexcept;

 private:
  std::byte* group_ = nullptr;
  std::uint64_t body_checksum_ = 0;
  std::uint64_t records_bytes_ = 0;
  std::uint32_t record_count_ = 0;
};

struct GroupStamp {
  std::uint64_t durable_position = 0;
  std::uint64_t released_position = 0;
  std::uint64_t wall_clock_ns = 0;
};
/// Completes the header of a finished group. Returns the group's bytes.
std::uint64_t stamp_group(std::byte* group, std::uint64_t salt, const GroupStamp& stamp) noexcept;

// --- Reading ---

enum class Check : std::uint8_t {
  kGood,
  kBad,      ///< Not one of ours, not whole, or not from here.
  kUnknown,  ///< Ours by its checksum, but with something that this version does not know.
};

struct GroupFacts {
  std::uint64_t position = 0;
  std::uint64_t previous_end = 0;
  std::uint64_t durable_position = 0;
  std::uint64_t released_position = 0;
  std::uint64_t group_bytes = 0;
  std::uint64_t body_bytes = 0;
  std::uint64_t body_checksum = 0;
  std::uint64_t seed = 0;
  std::uint32_t record_count = 0;

  std::uint64_t end() const noexcept { return position + group_bytes; }
};

/// `bytes`: at least a GroupHeader. Only kGood fills `facts`.
Check check_group_header(std::span<const std::byte> bytes, const GroupContext& context, std::uint64_t position,
                         GroupFacts& facts) noexcept;
/// True if the bytes could be an unfinished write of a group for this place: a guess, checksums aside.
bool looks_like_group(std::span<const std::byte> bytes, std::uint64_t position) noexcept;
/// `group`: all bytes of the group. kUnknown: a record's type, flags or reserved fields are not known.
Check check_group_body(std::span<const std::byte> group, const GroupFacts& facts) noexcept;

/// Walks the records of a group that was checked.
class RecordWalker {
 public:
  RecordWalker(std::span<const std::byte> group, const GroupFacts& facts) noexcept
      : body_(group.subspan(sizeof(GroupHeader), facts.body_bytes)), records_left_(facts.record_count) {}

  /// The next record; false after the last.
  bool next_record() noexcept;
  RecordType type() const noexcept { return type_; }
  /// The next part of the record; false after the last.
  bool next_part(Part& part) noexcept;

 private:
  std::span<const std::byte> body_;
  std::uint32_t records_left_;
  RecordType type_ = RecordType::kMarker;
  std::uint32_t parts_left_ = 0;
  std::size_t part_offset_ = 0;
  std::size_t payload_offset_ = 0;
  std::size_t next_record_offset_ = 0;
};

struct SegmentFacts {
  std::uint64_t index = 0;
  std::uint64_t base_offset = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t salt = 0;

  std::uint64_t capacity_bytes() const noexcept { return segment_bytes - kLogBlockBytes; }
  std::uint64_t limit() const noexcept { return base_offset + capacity_bytes(); }
};

/// `block`: the segment's first kLogBlockBytes, to be written.
void encode_segment_header(const SegmentFacts& facts, const Identity& identity, LogName log,
                           std::span<std::byte> block) noexcept;
/// `block`: at least a SegmentHeader. Checks identity and log too, but not the index.
Check check_segment_header(std::span<const std::byte> block, const Identity& identity, LogName log,
                           SegmentFacts& facts) noexcept;

}  // namespace penstock::wal
