// Packs a stream of ascending cells into nodes of one level: decides where one node ends and the next begins.
//
// Up to three nodes' worth of cells wait here. Cells are cut greedily at the target fill; the last two nodes of a run are
// joined or split evenly once the run's end is known, so that an overflowing node becomes two halves and not a full one and a
// scrap. Invariants:
//   Packer-I1 Every group fits a node: at the target fill, or whole when a run ends, or it is a single cell.
//   Packer-I2 Bytes of a cell stay where they are until its group was taken: pages it came from are held, other bytes are
//   copied.
//   Packer-I3 Keys ascend; so what the first and last key of a group share, all of it share.
// Units: bytes. Thread: the shard's reactor.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "btree/page.h"
#include "btree/page_store.h"

namespace penstock::btree {

inline constexpr std::uint32_t kInnerBlocksMax = 4;  ///< 300 children of short keys; one more level costs more than 12 KiB.
inline constexpr std::uint32_t kLargeLeafBlocksMax = 8;
inline constexpr std::uint32_t kRepackFillPercent = 90;
inline constexpr std::uint32_t kBulkFillPercent = 100;

/// What a node may take. A leaf is one block, unless a cell is over a quarter of it: then so many that rounding up to blocks
/// wastes little (four such cells, at most 8 blocks, but always enough for one cell).
std::uint32_t node_capacity_bytes(std::uint8_t level, std::uint32_t largest_cell_bytes) noexcept;

/// Consecutive cells that make a node.
struct CellGroup {
  std::uint32_t count = 0;
  std::uint32_t prefix_bytes = 0;  ///< Shared by all keys.
  std::uint32_t largest_cell_bytes = 0;
  std::uint64_t cells_bytes = 0;
  std::uint64_t bytes() const noexcept { return node_bytes(cells_bytes, count, prefix_bytes); }
};
CellGroup measure_group(std::span<const Cell> cells, std::uint8_t level) noexcept;
bool group_fits(const CellGroup& group, std::uint8_t level, std::uint32_t fill_percent) noexcept;
/// Where to cut cells that do not fit one node into two halves of about equal bytes; 0 if no even cut makes two nodes that fit.
std::uint32_t plan_even_split(std::span<const Cell> cells, std::uint8_t level) noexcept;

using SharedPage = std::shared_ptr<const PageRef>;

class NodePacker {
 public:
  void start(std::uint8_t level, std::uint32_t fill_percent) noexcept {
    level_ = level;
    fill_percent_ = fill_percent;
  }

  bool is_empty() const noexcept { return cells_.empty(); }
  std::size_t cell_count() const noexcept { return cells_.size(); }
  std::span<const Cell> cells() const noexcept { return cells_; }

  /// Whether a cell may follow: cells ascend by key (Packer-I3). To be asked where one comes from another page than the last.
  bool may_follow(const Cell& cell) const noexcept;
  /// A cell whose bytes lie in `page`, which is kept as long as they are needed.
  void add_from_page(const Cell& cell, const SharedPage& page);
  /// Copies key and payload.
  void add_copy(Bytes key, Bytes payload, std::uint8_t flags);

  /// Whether a node is certain to end: take_group() its cells now.
  bool has_full_group() const noexcept { return groups_[2].count != 0; }
  /// The first node's cells; they stay valid until drop_group().
  const CellGroup& first_group() const noexcept { return groups_[0]; }
  std::span<const Cell> first_cells() const noexcept { return std::span(cells_).first(groups_[0].count); }
  void drop_group();

  /// All that waits is one node of less than a quarter.
  bool is_underfull() const noexcept;
  /// The run ends here: joins or evens out the last two nodes. `at_tree_end`: leaves the last one small, for what is appended
  /// later.
  void end_run(bool at_tree_end) noexcept;

 private:
  struct HeldPage {
    SharedPage page;
    std::uint64_t end = 0;  // Number of the first cell after its last.
  };
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    std::uint64_t end = 0;
  };
  void append(const Cell& cell);
  char* copy(Bytes bytes);

  std::uint8_t level_ = 0;
  std::uint32_t fill_percent_ = kRepackFillPercent;
  std::vector<Cell> cells_;
  CellGroup groups_[3];
  std::uint64_t first_cell_ = 0;  // Number of cells_[0] in the stream.
  std::deque<HeldPage> pages_;
  std::deque<Chunk> chunks_;
  std::uint32_t chunk_used_ = 0;  // Of the last chunk.
};

}  // namespace penstock::btree
