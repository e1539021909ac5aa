// The merge's packing (merger.h): what waits at each level becomes nodes, and pointers to them wait at the level above.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/assert.h"
#include "btree/merger.h"

namespace penstock::btree {

/// Ends the runs of the packers up to `level`. False: one of them holds too little.
Result<bool> Merger::settle(std::uint8_t level) {
  for (std::uint8_t below = 0; below <= level; ++below) {
    if (packers_[below].is_empty()) continue;
    if (packers_[below].is_underfull()) return false;
    PENSTOCK_TRY_RESULT(finish_level(below, false));
  }
  return true;
}

Status Merger::finish_level(std::uint8_t level, bool at_tree_end) {
  packers_[level].end_run(at_tree_end);
  while (!packers_[level].is_empty()) PENSTOCK_TRY(write_group(level));
  return Status::ok();
}

bool Merger::all_above_empty(std::size_t level) const noexcept {
  return std::all_of(packers_.begin() + static_cast<std::ptrdiff_t>(level) + 1, packers_.end(),
                     [](const NodePacker& packer) { return packer.is_empty(); });
}

/// Everything that waits becomes nodes, up to a level with a single one: the root.
Result<ChildPointer> Merger::finish() {
  for (std::uint8_t level = 0; level <= kTreeDepthMax; ++level) {
    NodePacker& packer = packers_[level];
    if (all_above_empty(level)) {
      if (packer.is_empty()) return ChildPointer{};
      if (level > 0 && packer.cell_count() == 1) {
        const Bytes stored(packer.cells().front().payload, sizeof(ChildPointerOnDisk));
        return decode_child(base::load<ChildPointerOnDisk>(as_span(stored)));
      }
    }
    if (level == kTreeDepthMax) break;
    PENSTOCK_TRY_RESULT(finish_level(level, true));
  }
  return std::unexpected(Status(Code::kTooLarge));
}

/// The first waiting node of a level is laid out and placed; its pointer goes to the level above.
Status Merger::write_group(std::uint8_t level) {
  NodePacker& packer = packers_[level];
  const CellGroup group = packer.first_group();
  const std::span<const Cell> cells = packer.first_cells();
  std::string separator;
  next_separator_.clear();
  if (level > 0) {
    cells.front().append_key(separator, kKeyBytesMax);
  } else {
    if (leaf_is_leftmost_) {
      leaf_separator_.clear();
      cells.front().append_key(leaf_separator_, common_prefix_bytes(cells.front(), cells.back(), kKeyBytesMax) + 1);
      leaf_is_leftmost_ = false;
    }
    separator.swap(leaf_separator_);
    if (packer.cell_count() > cells.size()) {  // The shortest key above this leaf's last and not above the next one's first.
      const Cell& next = packer.cells()[cells.size()];
      next.append_key(next_separator_, common_prefix_bytes(cells.back(), next, kKeyBytesMax) + 1);
    }
  }
  const auto page_bytes = base::align_up(static_cast<std::uint32_t>(group.bytes()), kPageBlockBytes);
  const std::span<std::byte> page = std::span(scratch_).first(page_bytes);
  const BuiltNode built = build_node(page, family_, level, cells, group.prefix_bytes);
  packer.drop_group();  // Unpins what the page came from, so that it may take over a frame.
  if (level == 0) leaf_separator_.swap(next_separator_);

  ChildPointer successor_of;
  if (!replaced_[level].empty()) {
    successor_of = replaced_[level].front();
    replaced_[level].pop_front();
  }
  const Result<ChildPointer> placed = store_.put_page(page, built.entries, built.flags, successor_of);
  if (!placed.has_value()) return placed.error();
  if (!successor_of.is_null()) store_.free_page(successor_of);
  stats_.pages_written += 1;
  unthrottled_bytes_ += page_bytes;
  return add_child(static_cast<std::uint8_t>(level + 1), separator, *placed);
}

Status Merger::add_child(std::uint8_t level, Bytes separator, const ChildPointer& pointer) {
  PENSTOCK_ASSERT_LE(level, kTreeDepthMax);
  const ChildPointerOnDisk stored = encode_child(pointer);
  Cell cell;
  cell.suffix = separator.data();
  cell.suffix_bytes = static_cast<std::uint16_t>(separator.size());
  PENSTOCK_TRY(check_order(level, cell));
  packers_[level].add_copy(separator, as_bytes(base::bytes_of(stored)), 0);
  return packers_[level].has_full_group() ? write_group(level) : Status::ok();
}

/// Pages are checked one by one when read; that their keys follow each other is checked where they meet.
Status Merger::check_order(std::uint8_t level, const Cell& cell) {
  if (level == 0 && !std::exchange(has_new_page_, false)) return Status::ok();
  return packers_[level].may_follow(cell) ? Status::ok() : corruption_at(last_read_);
}

Status Merger::add_cells(const SharedPage& page, std::uint32_t begin, std::uint32_t end) {
  if (begin == end) return Status::ok();
  const NodeView node(page->bytes());
  NodePacker& packer = packers_[node.level()];
  PENSTOCK_TRY(check_order(node.level(), cell_at(node, begin)));
  for (std::uint32_t index = begin; index < end; ++index) {
    packer.add_from_page(cell_at(node, index), page);
    if (packer.has_full_group()) PENSTOCK_TRY(write_group(node.level()));
  }
  return Status::ok();
}

}  // namespace penstock::btree
