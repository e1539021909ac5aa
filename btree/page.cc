#include "btree/page.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checksum.h"
#include "base/integer.h"

namespace penstock::btree {

namespace {

/// Only pages that lie about their entries reach it: a count is information, and no reason to stop.
constexpr std::uint64_t kEntriesMax = (1ULL << 48U) - 1;
constexpr std::uint8_t kPointerFlagsKnown = ChildPointer::kHasExtents | ChildPointer::kHasExpiry;

int compare_bytes(Bytes left, Bytes right) noexcept {
  const int order = std::char_traits<char>::compare(left.data(), right.data(), std::min(left.size(), right.size()));
  if (order != 0) return order;
  if (left.size() == right.size()) return 0;
  return left.size() < right.size() ? -1 : 1;
}

/// How many leading bytes are equal, `limit` at most.
std::uint32_t mismatch(const char* left, const char* right, std::uint32_t limit) noexcept {
  std::uint32_t at = 0;
  while (at + 8 <= limit) {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, left + at, 8);
    std::memcpy(&b, right + at, 8);
    if (a != b) return at + (static_cast<std::uint32_t>(__builtin_ctzll(a ^ b)) / 8U);
    at += 8;
  }
  while (at < limit && left[at] == right[at]) ++at;
  return at;
}

}  // namespace

ChildPointerOnDisk encode_child(const ChildPointer& pointer) noexcept {
  PENSTOCK_ASSERT(!pointer.is_null());
  PENSTOCK_ASSERT(pointer.blocks >= 1 && pointer.blocks <= kPageBlocksMax);
  PENSTOCK_ASSERT_LE(pointer.codec, 15U);
  ChildPointerOnDisk stored;
  stored.file = pointer.address.file;
  stored.block = pointer.address.block;
  stored.length_and_codec = static_cast<std::uint8_t>((pointer.blocks - 1U) | (std::uint32_t{pointer.codec} << 4U));
  stored.flags = pointer.flags;
  stored.birth = pointer.birth;
  stored.reserved0 = 0;
  stored.entries = pointer.entries;
  stored.reserved1 = 0;
  stored.checksum = pointer.checksum;
  return stored;
}

Result<ChildPointer> decode_child(const ChildPointerOnDisk& stored) noexcept {
  ChildPointer pointer;
  pointer.address = Address{.file = stored.file.get(), .block = stored.block.get()};
  pointer.blocks = static_cast<std::uint8_t>((stored.length_and_codec & 15U) + 1U);
  pointer.codec = static_cast<std::uint8_t>(stored.length_and_codec >> 4U);
  pointer.flags = stored.flags;
  pointer.birth = stored.birth.get();
  pointer.entries = stored.entries.get();
  pointer.checksum = stored.checksum.get();
  if (pointer.is_null() || pointer.entries == 0) return std::unexpected(Status(Code::kCorruption));
  if (stored.reserved0.get() != 0 || stored.reserved1.get() != 0) return std::unexpected(Status(Code::kCorruption));
  if (pointer.codec != 0 || (pointer.flags & ~kPointerFlagsKnown) != 0) return std::unexpected(Status(Code::kNotSupported));
  return pointer;
}

ExtentPointerOnDisk encode_extent(const ExtentPointer& pointer) noexcept {
  PENSTOCK_ASSERT(!pointer.address.is_null());
  PENSTOCK_ASSERT(pointer.value_bytes >= 1 && pointer.value_bytes <= kValueBytesMax);
  ExtentPointerOnDisk stored;
  stored.file = pointer.address.file;
  stored.block = pointer.address.block;
  stored.reserved0 = 0;
  stored.value_bytes = pointer.value_bytes;
  stored.birth = pointer.birth;
  stored.reserved1 = 0;
  stored.checksum = pointer.checksum;
  return stored;
}

Result<ExtentPointer> decode_extent(const ExtentPointerOnDisk& stored) noexcept {
  ExtentPointer pointer;
  pointer.address = Address{.file = stored.file.get(), .block = stored.block.get()};
  pointer.value_bytes = stored.value_bytes.get();
  pointer.birth = stored.birth.get();
  pointer.checksum = stored.checksum.get();
  if (pointer.address.is_null() || pointer.value_bytes == 0 || pointer.value_bytes > kValueBytesMax) {
    return std::unexpected(Status(Code::kCorruption));
  }
  if (stored.reserved0.get() != 0 || stored.reserved1.get() != 0) return std::unexpected(Status(Code::kCorruption));
  return pointer;
}

// --- reading ---

ChildPointer NodeView::child(std::uint32_t index) const noexcept {
  PENSTOCK_ASSERT(!is_leaf());
  PENSTOCK_ASSERT_LT(index, count_);
  ChildPointerOnDisk stored;
  std::memcpy(&stored, base_ + slot(index).cell_offset.get(), sizeof(stored));
  ChildPointer pointer;
  pointer.address = Address{.file = stored.file.get(), .block = stored.block.get()};
  pointer.blocks = static_cast<std::uint8_t>((stored.length_and_codec & 15U) + 1U);
  pointer.codec = static_cast<std::uint8_t>(stored.length_and_codec >> 4U);
  pointer.flags = stored.flags;
  pointer.birth = stored.birth.get();
  pointer.entries = stored.entries.get();
  pointer.checksum = stored.checksum.get();
  return pointer;
}

Bytes NodeView::payload(std::uint32_t index) const noexcept {
  PENSTOCK_ASSERT_LT(index, count_);
  const Slot stored = slot(index);
  const char* cell = base_ + stored.cell_offset.get();
  if (!is_leaf()) return {cell, sizeof(ChildPointerOnDisk)};
  LeafCellHeader header;
  std::memcpy(&header, cell, sizeof(header));
  return {cell + sizeof(LeafCellHeader) + stored.suffix_bytes.get(), header.payload_bytes.get()};
}

ExtentPointer NodeView::extent(std::uint32_t index) const noexcept {
  PENSTOCK_ASSERT((cell_flags(index) & kCellExtent) != 0);
  const auto pointer = decode_extent(base::load<ExtentPointerOnDisk>(as_span(payload(index))));
  PENSTOCK_ASSERT(pointer.has_value());  // Page-I1.
  return *pointer;
}

// Branch-free: the loop's trip count depends on the range alone, and the heads lie eight bytes apart.
std::uint32_t NodeView::first_head_not_below(std::uint32_t sought, std::uint32_t begin) const noexcept {
  std::uint32_t length = count_ - begin;
  while (length > 1) {
    const std::uint32_t half = length / 2;
    begin += head(begin + half - 1) < sought ? half : 0;
    length -= half;
  }
  if (length == 1 && head(begin) < sought) ++begin;
  return begin;
}

int NodeView::compare_suffix(Bytes sought, std::uint32_t index) const noexcept { return compare_bytes(sought, suffix(index)); }

NodeView::Position NodeView::lower_bound(Bytes key) const noexcept {
  const std::size_t shared = std::min<std::size_t>(key.size(), prefix_bytes_);
  const int order = std::char_traits<char>::compare(key.data(), prefix_, shared);
  if (order != 0 || key.size() < prefix_bytes_) return {.index = order > 0 ? count_ : 0, .equal = false};
  const Bytes sought = key.substr(prefix_bytes_);
  const std::uint32_t sought_head = key_head(sought);
  std::uint32_t begin = first_head_not_below(sought_head, 0);
  if (begin == count_ || head(begin) != sought_head) return {.index = begin, .equal = false};
  // Slots with this head: most often one.
  std::uint32_t end = begin + 1;
  if (end < count_ && head(end) == sought_head) {
    end = sought_head == ~std::uint32_t{0} ? count_ : first_head_not_below(sought_head + 1, end);
  }
  while (begin < end) {
    const std::uint32_t middle = begin + ((end - begin) / 2);
    const int middle_order = compare_suffix(sought, middle);
    if (middle_order == 0) return {.index = middle, .equal = true};
    if (middle_order < 0) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  return {.index = begin, .equal = false};
}

bool NodeView::is_below(Bytes key, std::uint32_t index) const noexcept {
  const std::size_t shared = std::min<std::size_t>(key.size(), prefix_bytes_);
  const int order = std::char_traits<char>::compare(key.data(), prefix_, shared);
  if (order != 0) return order < 0;
  if (key.size() < prefix_bytes_) return true;
  return compare_suffix(key.substr(prefix_bytes_), index) < 0;
}

Result<std::string> read_first_key(std::span<const std::byte> page) {
  const Status bad(Code::kCorruption);
  if (page.size() < sizeof(NodeHeader)) return std::unexpected(bad);
  const auto header = base::load<NodeHeader>(page);
  const char* bytes = reinterpret_cast<const char*>(page.data());
  if (header.page.magic.get() != kPageMagic) return std::unexpected(bad);
  if (header.page.type == static_cast<std::uint8_t>(PageType::kExtent)) {
    const std::size_t key_bytes = base::load<ExtentHeader>(page).key_bytes.get();
    if (key_bytes > kKeyBytesMax || sizeof(ExtentHeader) + key_bytes > page.size()) return std::unexpected(bad);
    return std::string(bytes + sizeof(ExtentHeader), key_bytes);
  }
  const bool is_leaf = header.page.type == static_cast<std::uint8_t>(PageType::kLeaf);
  if (!is_leaf && header.page.type != static_cast<std::uint8_t>(PageType::kInner)) return std::unexpected(bad);
  const std::size_t page_bytes = std::size_t{header.page.blocks} * kPageBlockBytes;
  if (page.size() != page_bytes || header.slot_count.get() == 0) return std::unexpected(bad);
  const auto slot = base::load<Slot>(page.subspan(sizeof(NodeHeader)));
  const std::size_t prefix_bytes = header.prefix_bytes.get();
  const std::size_t suffix_bytes = slot.suffix_bytes.get();
  const std::size_t suffix_at = slot.cell_offset.get() + (is_leaf ? sizeof(LeafCellHeader) : sizeof(ChildPointerOnDisk));
  if (prefix_bytes + suffix_bytes > kKeyBytesMax || suffix_at + suffix_bytes > page_bytes) return std::unexpected(bad);
  std::string key(bytes + page_bytes - prefix_bytes, prefix_bytes);
  key.append(bytes + suffix_at, suffix_bytes);
  return key;
}

// --- building ---

void Cell::append_key(std::string& key, std::uint32_t bytes_max) const {
  const std::uint32_t from_prefix = std::min<std::uint32_t>(prefix_bytes, bytes_max);
  key.append(prefix, from_prefix);
  key.append(suffix, std::min<std::uint32_t>(suffix_bytes, bytes_max - from_prefix));
}

Cell cell_at(const NodeView& node, std::uint32_t index) noexcept {
  const Bytes prefix = node.prefix();
  const Bytes suffix = node.suffix(index);
  const Bytes payload = node.payload(index);
  Cell cell;
  cell.prefix = prefix.data();
  cell.suffix = suffix.data();
  cell.payload = payload.data();
  cell.prefix_bytes = static_cast<std::uint16_t>(prefix.size());
  cell.suffix_bytes = static_cast<std::uint16_t>(suffix.size());
  cell.payload_bytes = static_cast<std::uint16_t>(payload.size());
  if (node.is_leaf()) {
    cell.flags = node.cell_flags(index);
    cell.codec = node.cell_codec(index);
  }
  return cell;
}

std::uint32_t common_prefix_bytes(const Cell& left, const Cell& right, std::uint32_t limit) noexcept {
  limit = std::min({limit, left.key_bytes(), right.key_bytes()});
  std::uint32_t at = 0;
  while (at < limit) {  // At most three pieces: each key has two parts.
    const bool in_left_prefix = at < left.prefix_bytes;
    const bool in_right_prefix = at < right.prefix_bytes;
    const char* left_bytes = in_left_prefix ? left.prefix + at : left.suffix + (at - left.prefix_bytes);
    const char* right_bytes = in_right_prefix ? right.prefix + at : right.suffix + (at - right.prefix_bytes);
    std::uint32_t piece = limit - at;
    if (in_left_prefix) piece = std::min<std::uint32_t>(piece, left.prefix_bytes - at);
    if (in_right_prefix) piece = std::min<std::uint32_t>(piece, right.prefix_bytes - at);
    const std::uint32_t equal = left_bytes == right_bytes ? piece : mismatch(left_bytes, right_bytes, piece);
    at += equal;
    if (equal < piece) break;
  }
  return at;
}

bool is_key_less(const Cell& left, const Cell& right) noexcept {
  const std::uint32_t equal = common_prefix_bytes(left, right, kKeyBytesMax);
  if (equal == right.key_bytes()) return false;
  if (equal == left.key_bytes()) return true;
  const auto byte_at = [equal](const Cell& cell) {
    return static_cast<unsigned char>(equal < cell.prefix_bytes ? cell.prefix[equal] : cell.suffix[equal - cell.prefix_bytes]);
  };
  return byte_at(left) < byte_at(right);
}

namespace {

/// The part of a cell's key after the node's prefix, in up to two pieces.
struct SplitSuffix {
  const char* first = nullptr;
  const char* second = nullptr;
  std::uint32_t first_bytes = 0;
  std::uint32_t second_bytes = 0;
};

SplitSuffix suffix_after(const Cell& cell, std::uint32_t prefix_bytes) noexcept {
  PENSTOCK_ASSERT_LE(prefix_bytes, cell.key_bytes());
  SplitSuffix split;
  if (prefix_bytes < cell.prefix_bytes) {
    split.first = cell.prefix + prefix_bytes;
    split.first_bytes = cell.prefix_bytes - prefix_bytes;
    split.second = cell.suffix;
    split.second_bytes = cell.suffix_bytes;
  } else {
    const std::uint32_t skipped = prefix_bytes - cell.prefix_bytes;
    split.second = cell.suffix + skipped;
    split.second_bytes = cell.suffix_bytes - skipped;
  }
  return split;
}

char* copy_suffix(char* to, const SplitSuffix& split) noexcept {
  if (split.first_bytes != 0) std::memcpy(to, split.first, split.first_bytes);
  if (split.second_bytes != 0) std::memcpy(to + split.first_bytes, split.second, split.second_bytes);
  return to + split.first_bytes + split.second_bytes;
}

void copy_prefix(char* to, const Cell& cell, std::uint32_t prefix_bytes) noexcept {
  const std::uint32_t first_bytes = std::min<std::uint32_t>(prefix_bytes, cell.prefix_bytes);
  if (first_bytes != 0) std::memcpy(to, cell.prefix, first_bytes);
  if (first_bytes != prefix_bytes) std::memcpy(to + first_bytes, cell.suffix, prefix_bytes - first_bytes);
}

void write_node_header(std::span<std::byte> page, FamilyId family, std::uint8_t level, std::size_t slot_count,
                       std::uint32_t prefix_bytes, std::size_t heap_begin, std::uint64_t entries) {
  NodeHeader header;
  header.page.magic = kPageMagic;
  header.page.type = static_cast<std::uint8_t>(level == 0 ? PageType::kLeaf : PageType::kInner);
  header.page.level = level;
  header.page.codec = 0;
  header.page.blocks = static_cast<std::uint8_t>(page.size() / kPageBlockBytes);
  header.page.version = kPageVersion;
  header.page.family = family;
  header.slot_count = static_cast<std::uint16_t>(slot_count);
  header.prefix_bytes = static_cast<std::uint16_t>(prefix_bytes);
  header.heap_begin = static_cast<std::uint32_t>(heap_begin);
  header.entries = entries;
  base::store(page, header);
}

void note_cell(BuiltNode& built, const Cell& cell, std::uint8_t level) noexcept {
  if (level == 0) {
    built.entries += 1;
    if ((cell.flags & kCellExtent) != 0) built.flags |= ChildPointer::kHasExtents;
    if ((cell.flags & kCellExpiry) != 0) built.flags |= ChildPointer::kHasExpiry;
    return;
  }
  PENSTOCK_ASSERT_EQ(cell.payload_bytes, sizeof(ChildPointerOnDisk));
  ChildPointerOnDisk child;
  std::memcpy(&child, cell.payload, sizeof(child));
  built.entries += child.entries.get();
  built.flags |= child.flags;
}

}  // namespace

BuiltNode build_node(std::span<std::byte> page, FamilyId family, std::uint8_t level, std::span<const Cell> cells,
                     std::uint32_t prefix_bytes) {
  PENSTOCK_ASSERT(!cells.empty());
  PENSTOCK_ASSERT_LT(level, kTreeDepthMax);
  PENSTOCK_ASSERT(page.size() % kPageBlockBytes == 0 && page.size() / kPageBlockBytes <= kPageBlocksMax);
  char* const bytes = reinterpret_cast<char*>(page.data());
  const std::size_t prefix_at = page.size() - prefix_bytes;
  std::size_t heap_begin = prefix_at;
  for (const Cell& cell : cells) heap_begin -= cell_bytes(cell, level) - sizeof(Slot) - prefix_bytes;
  const std::size_t slots_end = sizeof(NodeHeader) + (cells.size() * sizeof(Slot));
  PENSTOCK_ASSERT_LE(slots_end, heap_begin);
  PENSTOCK_ASSERT_LE(heap_begin, prefix_at);

  BuiltNode built;
  char* slot_at = bytes + sizeof(NodeHeader);
  char* cell_at = bytes + heap_begin;
  for (const Cell& cell : cells) {
    const SplitSuffix split = suffix_after(cell, prefix_bytes);
    Slot slot;
    slot.cell_offset = static_cast<std::uint16_t>(cell_at - bytes);
    slot.suffix_bytes = static_cast<std::uint16_t>(split.first_bytes + split.second_bytes);
    const char* suffix_at = nullptr;
    if (level == 0) {
      const LeafCellHeader header{.flags = cell.flags, .codec = cell.codec, .payload_bytes = cell.payload_bytes};
      std::memcpy(cell_at, &header, sizeof(header));
      suffix_at = cell_at + sizeof(header);
      cell_at = copy_suffix(cell_at + sizeof(header), split);
      if (cell.payload_bytes != 0) std::memcpy(cell_at, cell.payload, cell.payload_bytes);
      cell_at += cell.payload_bytes;
    } else {
      std::memcpy(cell_at, cell.payload, sizeof(ChildPointerOnDisk));
      suffix_at = cell_at + sizeof(ChildPointerOnDisk);
      cell_at = copy_suffix(cell_at + sizeof(ChildPointerOnDisk), split);
    }
    slot.head = key_head(Bytes(suffix_at, slot.suffix_bytes.get()));
    std::memcpy(slot_at, &slot, sizeof(slot));
    slot_at += sizeof(slot);
    note_cell(built, cell, level);
  }
  PENSTOCK_ASSERT_EQ(static_cast<std::size_t>(cell_at - bytes), prefix_at);
  built.entries = std::min(built.entries, kEntriesMax);
  std::memset(bytes + slots_end, 0, heap_begin - slots_end);
  copy_prefix(bytes + prefix_at, cells.front(), prefix_bytes);
  write_node_header(page, family, level, cells.size(), prefix_bytes, heap_begin, built.entries);
  return built;
}

// --- checking ---

namespace {

/// One node under examination. Every step checks what the next relies on.
class NodeCheck {
 public:
  NodeCheck(std::span<const std::byte> page, const ChildPointer& pointer) noexcept
      : page_(page), pointer_(pointer), header_(base::load<NodeHeader>(page)) {}

  Status run(FamilyId family);

 private:
  Status corrupt() const noexcept { return corruption_at(pointer_.address); }
  Status unsupported() const noexcept {
    return Status(Code::kNotSupported, FileKind::kPages, pointer_.address.block).with_file(pointer_.address.file);
  }
  Status placed(const Status& status) const noexcept { return status.is(Code::kNotSupported) ? unsupported() : corrupt(); }
  Status check_identity(FamilyId family) const;
  Status check_frame() const;
  Status check_cells();
  Status check_leaf_cell(const Slot& slot);
  Status check_inner_cell(const Slot& slot);
  std::size_t heap_end() const noexcept { return page_.size() - header_.prefix_bytes.get(); }

  std::span<const std::byte> page_;
  const ChildPointer& pointer_;
  NodeHeader header_;
  std::size_t heap_bytes_ = 0;  // Of the cells seen.
  std::uint64_t entries_ = 0;   // Below the cells seen.
  std::uint8_t flags_ = 0;      // Of the cells seen.
  std::size_t cell_bytes_ = 0;  // Of the last cell.
  std::size_t suffix_at_ = 0;   // Of the last cell.
};

Status NodeCheck::run(FamilyId family) {
  PENSTOCK_TRY(check_identity(family));
  PENSTOCK_TRY(check_frame());
  PENSTOCK_TRY(check_cells());
  if (heap_bytes_ != heap_end() - header_.heap_begin.get()) return corrupt();
  if (entries_ != header_.entries.get() || entries_ != pointer_.entries) return corrupt();
  if (flags_ != pointer_.flags) return corrupt();
  return Status::ok();
}

Status NodeCheck::check_identity(FamilyId family) const {
  const PageHeader& header = header_.page;
  if (header.magic.get() != kPageMagic) return corrupt();
  if (header.version.get() != kPageVersion || header.codec != 0 || header.key_id.get() != 0) return unsupported();
  if (header.file.get() != pointer_.address.file || header.block.get() != pointer_.address.block) return corrupt();
  if (header.birth.get() != pointer_.birth || header.family.get() != family) return corrupt();
  if (header.blocks != pointer_.blocks || header.reserved.get() != 0 || header_.reserved.get() != 0) return corrupt();
  switch (header.type) {
    case static_cast<std::uint8_t>(PageType::kLeaf):
      return header.level == 0 ? Status::ok() : corrupt();
    case static_cast<std::uint8_t>(PageType::kInner):
      return header.level >= 1 && header.level < kTreeDepthMax ? Status::ok() : corrupt();
    case 0:
    case static_cast<std::uint8_t>(PageType::kExtent):
      return corrupt();
    default:  // Delta leaves and what later versions number.
      return unsupported();
  }
}

Status NodeCheck::check_frame() const {
  const std::size_t slots_end = sizeof(NodeHeader) + (std::size_t{header_.slot_count.get()} * sizeof(Slot));
  if (header_.slot_count.get() == 0 || header_.prefix_bytes.get() > kKeyBytesMax) return corrupt();
  if (slots_end > header_.heap_begin.get() || header_.heap_begin.get() > heap_end()) return corrupt();
  const auto gap = page_.subspan(slots_end, header_.heap_begin.get() - slots_end);
  const bool is_zero = std::all_of(gap.begin(), gap.end(), [](std::byte byte) { return byte == std::byte{0}; });
  return is_zero ? Status::ok() : corrupt();
}

Status NodeCheck::check_cells() {
  const char* const bytes = reinterpret_cast<const char*>(page_.data());
  const std::uint32_t count = header_.slot_count.get();
  Bytes previous;
  for (std::uint32_t index = 0; index < count; ++index) {
    const auto slot = base::load<Slot>(page_.subspan(sizeof(NodeHeader) + (index * sizeof(Slot))));
    if (slot.cell_offset.get() < header_.heap_begin.get()) return corrupt();
    if (std::size_t{header_.prefix_bytes.get()} + slot.suffix_bytes.get() > kKeyBytesMax) return corrupt();
    PENSTOCK_TRY(header_.page.level == 0 ? check_leaf_cell(slot) : check_inner_cell(slot));
    heap_bytes_ += cell_bytes_;
    const Bytes suffix(bytes + suffix_at_, slot.suffix_bytes.get());
    if (slot.head.get() != key_head(suffix)) return corrupt();
    if (index > 0 && compare_bytes(previous, suffix) >= 0) return corrupt();
    previous = suffix;
  }
  return Status::ok();
}

Status NodeCheck::check_leaf_cell(const Slot& slot) {
  const std::size_t offset = slot.cell_offset.get();
  if (offset + sizeof(LeafCellHeader) + slot.suffix_bytes.get() > heap_end()) return corrupt();
  const auto cell = base::load<LeafCellHeader>(page_.subspan(offset));
  suffix_at_ = offset + sizeof(LeafCellHeader);
  const std::size_t payload_at = suffix_at_ + slot.suffix_bytes.get();
  const std::size_t payload_bytes = cell.payload_bytes.get();
  if (payload_at + payload_bytes > heap_end()) return corrupt();
  cell_bytes_ = payload_at + payload_bytes - offset;
  entries_ += 1;
  if (cell.codec != 0) return unsupported();
  if (cell.flags == kCellInline) return payload_bytes <= kInlineValueBytesMax ? Status::ok() : corrupt();
  if (cell.flags == kCellDeleted) return payload_bytes == 0 ? Status::ok() : corrupt();
  if (cell.flags != kCellExtent) {
    const int kinds = std::popcount(static_cast<unsigned>(cell.flags & (kCellInline | kCellExtent | kCellDeleted)));
    return kinds == 1 ? unsupported() : corrupt();
  }
  flags_ |= ChildPointer::kHasExtents;
  if (payload_bytes != sizeof(ExtentPointerOnDisk)) return corrupt();
  const auto extent = decode_extent(base::load<ExtentPointerOnDisk>(page_.subspan(payload_at)));
  if (!extent.has_value()) return placed(extent.error());
  return extent->birth <= header_.page.birth.get() ? Status::ok() : corrupt();
}

Status NodeCheck::check_inner_cell(const Slot& slot) {
  const std::size_t offset = slot.cell_offset.get();
  cell_bytes_ = sizeof(ChildPointerOnDisk) + slot.suffix_bytes.get();
  if (offset + cell_bytes_ > heap_end()) return corrupt();
  suffix_at_ = offset + sizeof(ChildPointerOnDisk);
  const auto child = decode_child(base::load<ChildPointerOnDisk>(page_.subspan(offset)));
  if (!child.has_value()) return placed(child.error());
  if (child->birth > header_.page.birth.get()) return corrupt();
  entries_ += child->entries;  // 48 bits each, at most 8,192 of them: no overflow.
  flags_ |= child->flags;
  return Status::ok();
}

}  // namespace

Status validate_page(std::span<const std::byte> page, const ChildPointer& pointer, FamilyId family) {
  PENSTOCK_ASSERT(pointer.blocks >= 1 && pointer.blocks <= kPageBlocksMax);
  if (page.size() != std::size_t{pointer.blocks} * kPageBlockBytes) return corruption_at(pointer.address);
  if (base::checksum(page) != pointer.checksum) return corruption_at(pointer.address);
  return NodeCheck(page, pointer).run(family);
}

}  // namespace penstock::btree
