// Pages in memory: checking a node once, reading it then without checks, and laying out a new one.
//
// Invariants:
//   Page-I1 validate_page() checks the whole structure; NodeView then follows offsets without checks. Bytes that pass are safe
//   to read
//           whatever wrote them.
//   Page-I2 Keys of a node ascend strictly; prefix + suffix <= 1,024 bytes; heads agree with suffixes.
//   Page-I3 build_node() writes only pages that validate_page() accepts.
// Units: bytes. Thread: any. Format: page_format.h, docs/formats/page.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "base/assert.h"
#include "btree/page_format.h"
#include "btree/pointer.h"
#include "penstock/status.h"

namespace penstock::btree {

ChildPointerOnDisk encode_child(const ChildPointer& pointer) noexcept;
/// Errors: corruption (reserved bits, null address, no entries), not_supported (codec, unknown flag). No place.
Result<ChildPointer> decode_child(const ChildPointerOnDisk& stored) noexcept;
ExtentPointerOnDisk encode_extent(const ExtentPointer& pointer) noexcept;
/// Errors: corruption. No place.
Result<ExtentPointer> decode_extent(const ExtentPointerOnDisk& stored) noexcept;

/// Checksum, identity (address, birth, family, length, entries, flags) and structure of a node read through `pointer`.
/// Errors: corruption, not_supported; both with file and block.
Status validate_page(std::span<const std::byte> page, const ChildPointer& pointer, FamilyId family);

/// The low key of any node or extent, from its own bytes alone: a candidate for cleaning, believed only once the tree confirms
/// it. Checks no checksum, but the bounds of what it reads. `page` begins with the header and may be cut after it. Errors:
/// corruption.
Result<std::string> read_first_key(std::span<const std::byte> page);

/// Where a page is, for a status.
inline Status corruption_at(const Address& address) noexcept {
  return Status(Code::kCorruption, FileKind::kPages, address.block).with_file(address.file);
}

/// First four bytes as a big-endian number, padded with zeros.
inline std::uint32_t key_head(Bytes suffix) noexcept {
  std::uint32_t head = 0;
  if (suffix.size() >= 4) [[likely]] {
    std::memcpy(&head, suffix.data(), 4);
  } else if (!suffix.empty()) {
    std::memcpy(&head, suffix.data(), suffix.size());
  }
  return __builtin_bswap32(head);
}

/// Reads a page that validate_page() accepted. A view: the page outlives it.
class NodeView {
 public:
  NodeView() noexcept = default;  ///< Of nothing; to be assigned before use.
  explicit NodeView(std::span<const std::byte> page) noexcept : base_(reinterpret_cast<const char*>(page.data())) {
    const auto header = base::load<NodeHeader>(page);
    count_ = header.slot_count.get();
    level_ = header.page.level;
    prefix_bytes_ = header.prefix_bytes.get();
    prefix_ = base_ + page.size() - prefix_bytes_;
    PENSTOCK_ASSERT_GT(count_, 0U);
  }

  std::uint32_t count() const noexcept { return count_; }
  std::uint8_t level() const noexcept { return level_; }
  bool is_leaf() const noexcept { return level_ == 0; }
  Bytes prefix() const noexcept { return {prefix_, prefix_bytes_}; }
  Bytes suffix(std::uint32_t index) const noexcept {
    const Slot stored = slot(index);
    return {base_ + stored.cell_offset.get() + suffix_offset(), stored.suffix_bytes.get()};
  }
  /// Replaces `key` by the key of a slot.
  void copy_key(std::uint32_t index, std::string& key) const {
    key.assign(prefix_, prefix_bytes_);
    key.append(suffix(index));
  }

  /// A leaf's cell in one look at its slot.
  struct LeafCell {
    Bytes suffix;
    Bytes payload;
    std::uint8_t flags = 0;
  };
  LeafCell leaf_cell_at(std::uint32_t index) const noexcept {
    PENSTOCK_ASSERT_LT(index, count_);
    const Slot stored = slot(index);
    const char* const cell = base_ + stored.cell_offset.get();
    LeafCellHeader header;
    std::memcpy(&header, cell, sizeof(header));
    const char* const suffix_begin = cell + sizeof(header);
    const std::size_t suffix_bytes = stored.suffix_bytes.get();
    return {.suffix = {suffix_begin, suffix_bytes},
            .payload = {suffix_begin + suffix_bytes, header.payload_bytes.get()},
            .flags = header.flags};
  }

  ChildPointer child(std::uint32_t index) const noexcept;
  std::uint8_t cell_flags(std::uint32_t index) const noexcept { return leaf_cell(index).flags; }
  std::uint8_t cell_codec(std::uint32_t index) const noexcept { return leaf_cell(index).codec; }
  /// The value, the extent pointer's bytes, or the child pointer's.
  Bytes payload(std::uint32_t index) const noexcept;
  ExtentPointer extent(std::uint32_t index) const noexcept;

  struct Position {
    std::uint32_t index = 0;  ///< Of the first slot whose key is >= the key sought; count() if there is none.
    bool equal = false;
  };
  Position lower_bound(Bytes key) const noexcept;
  /// The child whose range holds `key`; the first one for a key below all.
  std::uint32_t child_index(Bytes key) const noexcept {
    const Position position = lower_bound(key);
    if (position.equal) return position.index;
    return position.index == 0 ? 0 : position.index - 1;
  }
  /// Whether `key` is below the key of a slot.
  bool is_below(Bytes key, std::uint32_t index) const noexcept;

 private:
  Slot slot(std::uint32_t index) const noexcept {
    Slot stored;
    std::memcpy(&stored, base_ + sizeof(NodeHeader) + (index * sizeof(Slot)), sizeof(Slot));
    return stored;
  }
  std::uint32_t head(std::uint32_t index) const noexcept {
    std::uint32_t stored = 0;
    std::memcpy(&stored, base_ + sizeof(NodeHeader) + (index * sizeof(Slot)), sizeof(stored));
    return stored;
  }
  LeafCellHeader leaf_cell(std::uint32_t index) const noexcept {
    LeafCellHeader cell;
    std::memcpy(&cell, base_ + slot(index).cell_offset.get(), sizeof(cell));
    return cell;
  }
  std::size_t suffix_offset() const noexcept { return is_leaf() ? sizeof(LeafCellHeader) : sizeof(ChildPointerOnDisk); }
  std::uint32_t first_head_not_below(std::uint32_t head, std::uint32_t begin) const noexcept;
  int compare_suffix(Bytes suffix, std::uint32_t index) const noexcept;

  const char* base_ = nullptr;
  const char* prefix_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint16_t prefix_bytes_ = 0;
  std::uint8_t level_ = 0;
};

/// A child's level is its parent's less one: so a descent ends, whatever the pages say.
class LevelCheck {
 public:
  bool accepts(const NodeView& node) noexcept {
    const bool is_expected = expected_ == kTreeDepthMax || node.level() == expected_;
    expected_ = static_cast<std::uint8_t>(node.level() - 1);
    return is_expected;
  }

 private:
  std::uint8_t expected_ = kTreeDepthMax;  // The root's may be any.
};

/// A pair, or a child, of a node to be built. Borrows its bytes: the key is prefix + suffix (the split of the page it comes
/// from, so that untouched cells are copied once), the payload a value, an ExtentPointerOnDisk or a ChildPointerOnDisk.
struct Cell {
  const char* prefix = nullptr;
  const char* suffix = nullptr;
  const char* payload = nullptr;
  std::uint16_t prefix_bytes = 0;
  std::uint16_t suffix_bytes = 0;
  std::uint16_t payload_bytes = 0;
  std::uint8_t flags = 0;  ///< Of a leaf cell; 0 in inner nodes.
  std::uint8_t codec = 0;

  std::uint32_t key_bytes() const noexcept { return std::uint32_t{prefix_bytes} + suffix_bytes; }
  void append_key(std::string& key, std::uint32_t bytes_max) const;
};
Cell cell_at(const NodeView& node, std::uint32_t index) noexcept;

/// How many leading bytes two keys share, `limit` at most.
std::uint32_t common_prefix_bytes(const Cell& left, const Cell& right, std::uint32_t limit) noexcept;

bool is_key_less(const Cell& left, const Cell& right) noexcept;

/// What a cell takes in a node, slot included, with nothing of its key in the prefix.
constexpr std::uint32_t cell_bytes(const Cell& cell, std::uint8_t level) noexcept {
  return static_cast<std::uint32_t>(sizeof(Slot)) + (level == 0 ? static_cast<std::uint32_t>(sizeof(LeafCellHeader)) : 0U) +
         cell.prefix_bytes + cell.suffix_bytes + cell.payload_bytes;
}
/// Bytes of a node whose cells, as cell_bytes() counts, sum up to `cells_bytes`.
constexpr std::uint64_t node_bytes(std::uint64_t cells_bytes, std::uint64_t cell_count, std::uint64_t prefix_bytes) noexcept {
  return sizeof(NodeHeader) + cells_bytes + prefix_bytes - (cell_count * prefix_bytes);
}

struct BuiltNode {
  std::uint64_t entries = 0;
  std::uint8_t flags = 0;  ///< ChildPointer::kHas...
};
/// Lays out a node over the whole of `page` (1-16 blocks). `prefix_bytes` are shared by all keys. Address and birth are
/// put_page's.
BuiltNode build_node(std::span<std::byte> page, FamilyId family, std::uint8_t level, std::span<const Cell> cells,
                     std::uint32_t prefix_bytes);

}  // namespace penstock::btree
