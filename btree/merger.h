// The merge of btree::merge(): one walk along the operations, left to right (merge.cc), and the packing of what it yields into
// new nodes (merge_pack.cc).
//
// path_ holds the inner nodes from the root to the current leaf. Children that no operation changes are not touched: a frame
// remembers from which child on its entries have not been handed on (`deferred_begin`). The first change below a frame makes it
// dirty: the entries before go to the packer of its level, and so on at the end. A packer per level cuts what it gets into new
// nodes and hands pointers to them to the packer above. Before entries of clean children may follow in a packer, the packers
// below end their run (settle); one that holds less than a quarter of a node takes the next child's contents along instead
// (open_child).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "btree/btree.h"
#include "btree/node_packer.h"
#include "btree/page.h"

namespace penstock::btree {

class Merger {
 public:
  Merger(PageStore& store, ChildPointer root, FamilyId family, MergeSource& source, MergeStats& stats)
      : store_(store), root_(root), family_(family), source_(source), stats_(stats) {
    const std::uint32_t fill_percent = root.is_null() ? kBulkFillPercent : kRepackFillPercent;
    for (std::size_t level = 0; level < packers_.size(); ++level) {
      packers_[level].start(static_cast<std::uint8_t>(level), fill_percent);
    }
  }

  Task<Result<ChildPointer>> run();

 private:
  struct PathFrame {
    ChildPointer pointer;
    SharedPage page;
    NodeView node;
    std::uint32_t current = 0;         // The child that the walk is in.
    std::uint32_t deferred_begin = 0;  // Children from here on have not been handed to the packer.
    std::uint32_t asked_end = 0;       // Children before this one were read ahead, or passed.
    bool dirty = false;
  };

  /// The leaf that the walk is in.
  struct LeafFrame {
    ChildPointer pointer;
    SharedPage page;
    NodeView node;
    std::uint32_t copied = 0;  // Cells before this one were handed to the packer, or are gone.
    bool dirty = false;
  };

  Task<Status> build();
  Task<Status> walk();
  Task<Status> descend();
  Task<Status> leave();
  Task<Status> merge_leaf();
  Task<Status> apply_take();
  Task<Status> take_leaves();
  Task<Status> apply_move();
  Task<Status> move_extent(std::uint32_t index);
  Task<Status> start_dirty_leaf();
  Task<Status> make_path_dirty(std::size_t depth);
  Task<Status> append_children(SharedPage page, std::uint32_t begin, std::uint32_t end);
  Task<Status> open_child(ChildPointer pointer, std::uint8_t level);
  void read_ahead(PathFrame& frame);
  Task<Status> read_node(ChildPointer pointer, std::uint8_t level, SharedPage& page);
  Task<Status> write_extent(Bytes key, Bytes value);
  Task<Status> pace();

  Result<bool> settle(std::uint8_t level);
  Result<ChildPointer> finish();
  Status finish_level(std::uint8_t level, bool at_tree_end);
  Status write_group(std::uint8_t level);
  Status add_child(std::uint8_t level, Bytes separator, const ChildPointer& pointer);
  Status add_cells(const SharedPage& page, std::uint32_t begin, std::uint32_t end);
  Status check_order(std::uint8_t level, const Cell& cell);
  Status copy_leaf_until(std::uint32_t index);
  Status apply(const MergeOperation& operation, const NodeView::Position& position);
  Status add_pair(const MergeOperation& operation);
  bool find_leaf_end(std::string& key) const;
  Bytes sought() const noexcept { return takes_ ? Bytes(take_from_) : source_.current().key; }
  void set_separator_of_leaf();
  bool is_in_child(std::size_t depth, Bytes key) const noexcept;
  bool must_pace() noexcept;
  bool all_above_empty(std::size_t level) const noexcept;

  PageStore& store_;
  ChildPointer root_;
  FamilyId family_;
  MergeSource& source_;
  MergeStats& stats_;

  std::vector<PathFrame> path_;  // The root first; empty if the root is a leaf.
  LeafFrame leaf_;
  bool changed_ = false;

  std::deque<PageRef> ahead_;        // Pages asked for and perhaps not used yet, the oldest first.
  std::uint32_t leaves_in_row_ = 0;  // Walked to without leaving one out.
  std::vector<ChildPointer> asked_;

  std::array<NodePacker, kTreeDepthMax + 1> packers_;             // The last one only ever holds the new root.
  std::array<std::deque<ChildPointer>, kTreeDepthMax> replaced_;  // Not yet freed, by level.
  std::string leaf_separator_;                                    // Of the first leaf that the leaf packer will make.
  bool leaf_is_leftmost_ = false;  // It is the tree's first: its separator is made of its own first key.
  std::string next_separator_;
  std::string moved_key_;
  std::string take_from_;  // Where a take that spans leaves goes on.
  bool takes_ = false;
  ExtentPointerOnDisk written_extent_;

  Address last_read_;          // Named when pages contradict each other.
  bool has_new_page_ = false;  // The next pair does not come from the page of the last one.

  std::uint64_t unthrottled_bytes_ = 0;
  std::uint32_t operations_since_pace_ = 0;
  alignas(64) std::array<std::byte, std::size_t{kPageBlocksMax} * kPageBlockBytes> scratch_;
};

}  // namespace penstock::btree
