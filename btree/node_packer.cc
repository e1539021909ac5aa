#include "btree/node_packer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/integer.h"

namespace penstock::btree {

namespace {

constexpr std::uint32_t kChunkBytes = 64 * 1024;
constexpr std::uint32_t kLeafCellBytesMax = sizeof(Slot) + sizeof(LeafCellHeader) + kKeyBytesMax + kInlineValueBytesMax;
static_assert(kLeafCellBytesMax <= kChunkBytes);
static_assert(sizeof(NodeHeader) + kLeafCellBytesMax <= kPageBlocksMax * kPageBlockBytes);
// Two children at least in every inner node, however long their separators.
static_assert(sizeof(NodeHeader) + (2 * (sizeof(Slot) + sizeof(ChildPointerOnDisk) + kKeyBytesMax)) <=
              kInnerBlocksMax * kPageBlockBytes);

}  // namespace

std::uint32_t node_capacity_bytes(std::uint8_t level, std::uint32_t largest_cell_bytes) noexcept {
  if (level > 0) return kInnerBlocksMax * kPageBlockBytes;
  const std::uint32_t wanted = base::div_ceil(4 * largest_cell_bytes, kPageBlockBytes);
  const std::uint32_t needed =
      base::div_ceil(static_cast<std::uint32_t>(sizeof(NodeHeader)) + largest_cell_bytes, kPageBlockBytes);
  return std::max(std::clamp(wanted, 1U, kLargeLeafBlocksMax), needed) * kPageBlockBytes;
}

CellGroup measure_group(std::span<const Cell> cells, std::uint8_t level) noexcept {
  CellGroup group;
  if (cells.empty()) return group;
  group.count = static_cast<std::uint32_t>(cells.size());
  group.prefix_bytes = common_prefix_bytes(cells.front(), cells.back(), kKeyBytesMax);  // Sorted: all between share it.
  for (const Cell& cell : cells) {
    const std::uint32_t bytes = cell_bytes(cell, level);
    group.cells_bytes += bytes;
    group.largest_cell_bytes = std::max(group.largest_cell_bytes, bytes);
  }
  return group;
}

bool group_fits(const CellGroup& group, std::uint8_t level, std::uint32_t fill_percent) noexcept {
  const std::uint64_t capacity = node_capacity_bytes(level, group.largest_cell_bytes);
  if (group.count == 1) return group.bytes() <= capacity;
  return group.bytes() * 100 <= capacity * fill_percent;
}

std::uint32_t plan_even_split(std::span<const Cell> cells, std::uint8_t level) noexcept {
  PENSTOCK_ASSERT_GE(cells.size(), 2U);
  std::uint64_t total = 0;
  for (const Cell& cell : cells) total += cell_bytes(cell, level);
  std::uint64_t left = 0;
  std::uint32_t count = 0;
  while (count + 1 < cells.size()) {
    const std::uint64_t with_next = left + cell_bytes(cells[count], level);
    // Closest to the middle: one more only while that brings the halves nearer to each other.
    if (count > 0 && with_next * 2 > total && with_next + left > total) break;
    left = with_next;
    ++count;
  }
  const bool both_fit = group_fits(measure_group(cells.first(count), level), level, 100) &&
                        group_fits(measure_group(cells.subspan(count), level), level, 100);
  return both_fit ? count : 0;
}

bool NodePacker::may_follow(const Cell& cell) const noexcept { return cells_.empty() || is_key_less(cells_.back(), cell); }

void NodePacker::add_from_page(const Cell& cell, const SharedPage& page) {
  if (pages_.empty() || pages_.back().page != page) pages_.push_back(HeldPage{.page = page});
  append(cell);
  pages_.back().end = first_cell_ + cells_.size();
}

void NodePacker::add_copy(Bytes key, Bytes payload, std::uint8_t flags) {
  PENSTOCK_ASSERT_LE(key.size(), kKeyBytesMax);
  PENSTOCK_ASSERT_LE(payload.size(), kInlineValueBytesMax);
  const auto bytes = static_cast<std::uint32_t>(key.size() + payload.size());
  if (chunks_.empty() || chunk_used_ + bytes > kChunkBytes) {
    chunks_.push_back(Chunk{.bytes = std::make_unique_for_overwrite<char[]>(kChunkBytes)});
    chunk_used_ = 0;
  }
  Cell cell;
  cell.suffix = copy(key);
  cell.payload = copy(payload);
  cell.suffix_bytes = static_cast<std::uint16_t>(key.size());
  cell.payload_bytes = static_cast<std::uint16_t>(payload.size());
  cell.flags = flags;
  append(cell);
  chunks_.back().end = first_cell_ + cells_.size();
}

char* NodePacker::copy(Bytes bytes) {
  char* const to = chunks_.back().bytes.get() + chunk_used_;
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  chunk_used_ += static_cast<std::uint32_t>(bytes.size());
  return to;
}

void NodePacker::append(const Cell& cell) {
  PENSTOCK_ASSERT(!has_full_group());
  const std::uint32_t last = groups_[1].count == 0 ? 0 : 1;
  CellGroup& group = groups_[last];
  const std::uint32_t bytes = cell_bytes(cell, level_);
  const CellGroup alone{.count = 1, .prefix_bytes = cell.key_bytes(), .largest_cell_bytes = bytes, .cells_bytes = bytes};
  PENSTOCK_ASSERT(group_fits(alone, level_, 100));  // Packer-I1.
  if (group.count == 0) {
    group = alone;
  } else {
    CellGroup grown = group;
    grown.count += 1;
    grown.cells_bytes += bytes;
    grown.largest_cell_bytes = std::max(group.largest_cell_bytes, bytes);
    const Cell& first = cells_[last == 0 ? 0 : groups_[0].count];
    grown.prefix_bytes = common_prefix_bytes(first, cell, group.prefix_bytes);
    if (group_fits(grown, level_, fill_percent_)) {
      group = grown;
    } else {
      groups_[last + 1] = alone;
    }
  }
  cells_.push_back(cell);
}

void NodePacker::drop_group() {
  const std::uint32_t count = groups_[0].count;
  PENSTOCK_ASSERT_GT(count, 0U);
  cells_.erase(cells_.begin(), cells_.begin() + count);
  first_cell_ += count;
  groups_[0] = groups_[1];
  groups_[1] = groups_[2];
  groups_[2] = CellGroup{};
  while (!pages_.empty() && pages_.front().end <= first_cell_) pages_.pop_front();
  while (chunks_.size() > 1 && chunks_.front().end <= first_cell_) chunks_.pop_front();
  if (chunks_.size() == 1 && chunks_.front().end <= first_cell_) chunk_used_ = 0;
}

bool NodePacker::is_underfull() const noexcept {
  if (groups_[0].count == 0 || groups_[1].count != 0) return false;
  return groups_[0].bytes() * 4 < node_capacity_bytes(level_, groups_[0].largest_cell_bytes);
}

void NodePacker::end_run(bool at_tree_end) noexcept {
  PENSTOCK_ASSERT(!has_full_group());
  if (groups_[1].count == 0) return;
  const CellGroup whole = measure_group(cells_, level_);
  if (group_fits(whole, level_, 100)) {
    groups_[0] = whole;
    groups_[1] = CellGroup{};
    return;
  }
  if (at_tree_end) return;
  const std::uint32_t left_count = plan_even_split(cells_, level_);
  if (left_count == 0) return;
  groups_[0] = measure_group(std::span(cells_).first(left_count), level_);
  groups_[1] = measure_group(std::span(cells_).subspan(left_count), level_);
}

}  // namespace penstock::btree
