// The merge's walk (merger.h).
#include <algorithm>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "btree/merger.h"

namespace penstock::btree {

namespace {

/// Bytes written between two looks at the store's budget.
constexpr std::uint64_t kThrottleBytes = 64 * 1024;
/// Operations between two looks at the clock.
constexpr std::uint32_t kPaceOperations = 64;
/// Leaves that are read ahead of a walk that leaves none out, and pages kept for that.
constexpr std::uint32_t kReadAheadMax = 64;
constexpr std::size_t kReadAheadPagesMax = 96;
/// From so many leaves in a row on, an inner node's neighbour is read ahead too.
constexpr std::uint32_t kReadAheadInnerFrom = 16;

bool needs_extent(const MergeOperation& operation) noexcept {
  return operation.kind == MergeOperation::Kind::kPut && operation.value.size() > kInlineValueBytesMax;
}

/// Whether the tree holds a cell for it afterwards.
bool makes_cell(const MergeOperation& operation) noexcept {
  return operation.kind == MergeOperation::Kind::kPut || operation.kind == MergeOperation::Kind::kMark;
}

}  // namespace

Task<Result<ChildPointer>> Merger::run() {
  if (root_.is_null()) {
    PENSTOCK_CO_TRY_RESULT(co_await build());
  } else {
    PENSTOCK_CO_TRY_RESULT(co_await walk());
  }
  if (!changed_) co_return root_;
  Result<ChildPointer> root = finish();
  if (!root.has_value()) co_return std::unexpected(root.error());
  for (std::deque<ChildPointer>& level : replaced_) {
    for (const ChildPointer& pointer : level) store_.free_page(pointer);
    level.clear();
  }
  PENSTOCK_CO_TRY_RESULT(co_await store_.throttle());
  co_return root;
}

/// Into an empty tree: full leaves from the left.
Task<Status> Merger::build() {
  leaf_is_leftmost_ = true;
  while (source_.valid()) {
    const MergeOperation& operation = source_.current();
    if (makes_cell(operation)) {
      changed_ = true;
      if (operation.is_early) store_.adopt_early(*operation.extent);
      if (needs_extent(operation)) PENSTOCK_CO_TRY(co_await write_extent(operation.key, operation.value));
      PENSTOCK_CO_TRY(add_pair(operation));
      stats_.puts += 1;
    }
    if (!source_.next()) PENSTOCK_CO_TRY(co_await source_.load());
    if (must_pace()) PENSTOCK_CO_TRY(co_await pace());
  }
  co_return Status::ok();
}

Task<Status> Merger::walk() {
  while (source_.valid()) {
    while (!path_.empty() && !is_in_child(path_.size() - 1, sought())) PENSTOCK_CO_TRY(co_await leave());
    PENSTOCK_CO_TRY(co_await descend());
    PENSTOCK_CO_TRY(co_await merge_leaf());
    if (must_pace()) PENSTOCK_CO_TRY(co_await pace());
  }
  while (!path_.empty()) PENSTOCK_CO_TRY(co_await leave());
  co_return Status::ok();
}

/// Whether `key`, which is not below the node at `depth` of the path, is in its range. `depth` = path_.size(): the leaf.
bool Merger::is_in_child(std::size_t depth, Bytes key) const noexcept {
  for (; depth > 0; --depth) {
    const PathFrame& parent = path_[depth - 1];
    if (parent.current + 1 < parent.node.count()) return parent.node.is_below(key, parent.current + 1);
  }
  return true;
}

Task<Status> Merger::descend() {
  ChildPointer pointer = root_;
  std::uint8_t level = kTreeDepthMax;  // Of the root: any.
  if (!path_.empty()) {
    PathFrame& frame = path_.back();
    const std::uint32_t last = std::exchange(frame.current, frame.node.child_index(sought()));
    leaves_in_row_ = frame.current <= last + 1 ? leaves_in_row_ + 1 : 0;
    read_ahead(frame);
    PENSTOCK_ASSERT_GE(frame.current + (frame.dirty ? 1U : 0U), frame.deferred_begin);
    pointer = frame.node.child(frame.current);
    level = static_cast<std::uint8_t>(frame.node.level() - 1);
  }
  while (true) {
    SharedPage page;
    PENSTOCK_CO_TRY(co_await read_node(pointer, level, page));
    const NodeView node(page->bytes());
    if (node.is_leaf()) {
      leaf_ = LeafFrame{.pointer = pointer, .page = std::move(page), .node = node};
      stats_.leaves_read += 1;
      co_return Status::ok();
    }
    path_.push_back(PathFrame{.pointer = pointer, .page = std::move(page), .node = node});
    PathFrame& frame = path_.back();
    frame.current = node.child_index(sought());
    if (frame.current != 0) leaves_in_row_ = 0;
    read_ahead(frame);
    pointer = node.child(frame.current);
    level = static_cast<std::uint8_t>(node.level() - 1);
  }
}

/// A walk that has gone from leaf to leaf will go on so: the next ones are read in large requests while these are merged. Where
/// operations are far apart nothing is read that is not needed.
void Merger::read_ahead(PathFrame& frame) {
  const bool is_above_leaves = frame.node.level() == 1;
  std::uint32_t window = leaves_in_row_ >= kReadAheadInnerFrom ? 2 : 0;
  if (is_above_leaves) window = std::min(4 * leaves_in_row_, kReadAheadMax);
  const std::uint32_t begin = std::max(frame.current, frame.asked_end);
  const std::uint32_t end = std::min(frame.node.count(), frame.current + window);
  const bool is_worth_it = begin < end && (begin == frame.current || end - begin >= window / 2 || end == frame.node.count());
  if (!is_worth_it) return;
  asked_.clear();
  for (std::uint32_t child = begin; child < end; ++child) asked_.push_back(frame.node.child(child));
  frame.asked_end = end;
  store_.prefetch(asked_, family_, ahead_);
  while (ahead_.size() > kReadAheadPagesMax) ahead_.pop_front();
}

Task<Status> Merger::leave() {
  PathFrame& frame = path_.back();
  if (frame.dirty) PENSTOCK_CO_TRY(co_await append_children(frame.page, frame.deferred_begin, frame.node.count()));
  path_.pop_back();
  co_return Status::ok();
}

Task<Status> Merger::merge_leaf() {
  while (source_.valid() && is_in_child(path_.size(), sought())) {
    const MergeOperation& operation = source_.current();
    if (operation.kind == MergeOperation::Kind::kMove) {
      PENSTOCK_CO_TRY(co_await apply_move());
    } else if (operation.kind == MergeOperation::Kind::kTake) {
      PENSTOCK_CO_TRY(co_await apply_take());
    } else {
      const NodeView::Position position = leaf_.node.lower_bound(operation.key);
      if (makes_cell(operation) || position.equal) {
        if (!leaf_.dirty) PENSTOCK_CO_TRY(co_await start_dirty_leaf());
        if (operation.is_early) store_.adopt_early(*operation.extent);
        if (needs_extent(operation)) PENSTOCK_CO_TRY(co_await write_extent(operation.key, operation.value));
        PENSTOCK_CO_TRY(apply(operation, position));
      }
      if (!source_.next()) PENSTOCK_CO_TRY(co_await source_.load());
    }
    if (must_pace()) PENSTOCK_CO_TRY(co_await pace());
  }
  if (leaf_.dirty) PENSTOCK_CO_TRY(copy_leaf_until(leaf_.node.count()));
  leaf_ = LeafFrame{};
  co_return Status::ok();
}

/// What of a take's range is in this leaf.
Task<Status> Merger::apply_take() {
  const MergeOperation& operation = source_.current();
  const std::uint32_t begin = leaf_.node.lower_bound(sought()).index;
  const std::uint32_t end = operation.end == nullptr ? leaf_.node.count() : leaf_.node.lower_bound(*operation.end).index;
  if (begin < end) {
    if (!leaf_.dirty) PENSTOCK_CO_TRY(co_await start_dirty_leaf());
    PENSTOCK_CO_TRY(copy_leaf_until(begin));
    leaf_.copied = end;
    stats_.taken += end - begin;
  }
  takes_ = find_leaf_end(take_from_) && (operation.end == nullptr || take_from_ < *operation.end);
  if (takes_) PENSTOCK_CO_TRY(co_await take_leaves());
  if (!takes_ && !source_.next()) PENSTOCK_CO_TRY(co_await source_.load());
  co_return Status::ok();
}

/// Leaves after this one that the range covers whole and that name no extents go unread.
Task<Status> Merger::take_leaves() {
  const std::string* end = source_.current().end;
  PathFrame* parent = &path_.back();
  const auto is_covered = [&](std::uint32_t child) {
    const bool ends_here = child + 1 < parent->node.count() && (end == nullptr || !parent->node.is_below(*end, child + 1));
    return ends_here && (parent->node.child(child).flags & ChildPointer::kHasExtents) == 0;
  };
  if (!is_covered(parent->current + 1)) co_return Status::ok();
  if (!leaf_.dirty) PENSTOCK_CO_TRY(co_await start_dirty_leaf());  // Its parent will be another one.
  while (is_covered(parent->current + 1)) {
    parent->current += 1;
    parent->deferred_begin = parent->current + 1;
    const ChildPointer taken = parent->node.child(parent->current);
    replaced_[0].push_back(taken);
    stats_.taken += taken.entries;
    parent->node.copy_key(parent->current + 1, take_from_);
  }
  takes_ = end == nullptr || take_from_ < *end;
  co_return Status::ok();
}

/// The first key that belongs to the next leaf. False: this is the last one.
bool Merger::find_leaf_end(std::string& key) const {
  for (auto frame = path_.rbegin(); frame != path_.rend(); ++frame) {
    if (frame->current + 1 == frame->node.count()) continue;
    frame->node.copy_key(frame->current + 1, key);
    return true;
  }
  return false;
}

/// A put, or a delete of a key that is there.
Status Merger::apply(const MergeOperation& operation, const NodeView::Position& position) {
  PENSTOCK_ASSERT_GE(position.index, leaf_.copied);
  PENSTOCK_TRY(copy_leaf_until(position.index));
  if (position.equal) {
    if ((leaf_.node.cell_flags(position.index) & kCellExtent) != 0) store_.free_extent(leaf_.node.extent(position.index));
    leaf_.copied = position.index + 1;
  }
  if (operation.kind == MergeOperation::Kind::kDelete) {
    stats_.deletes += 1;
    return Status::ok();
  }
  stats_.puts += 1;
  return add_pair(operation);
}

Task<Status> Merger::apply_move() {
  moved_key_.assign(source_.current().key);
  for (std::size_t depth = 0; depth < path_.size(); ++depth) {
    PathFrame& frame = path_[depth];
    if (frame.dirty || !store_.is_evacuated(frame.pointer.address)) continue;
    stats_.bytes_moved += std::uint64_t{frame.pointer.blocks} * kPageBlockBytes;
    PENSTOCK_CO_TRY(co_await make_path_dirty(depth));
    frame.dirty = true;
    replaced_[frame.node.level()].push_back(frame.pointer);
  }
  if (!leaf_.dirty && store_.is_evacuated(leaf_.pointer.address)) {
    stats_.bytes_moved += std::uint64_t{leaf_.pointer.blocks} * kPageBlockBytes;
    PENSTOCK_CO_TRY(co_await start_dirty_leaf());
  }
  if (!source_.next()) PENSTOCK_CO_TRY(co_await source_.load());
  // Another operation on this key decides about its extent.
  if (source_.valid() && source_.current().key == moved_key_) co_return Status::ok();
  const NodeView::Position position = leaf_.node.lower_bound(moved_key_);
  if (!position.equal || (leaf_.node.cell_flags(position.index) & kCellExtent) == 0) co_return Status::ok();
  if (!store_.is_evacuated(leaf_.node.extent(position.index).address)) co_return Status::ok();
  PENSTOCK_CO_TRY(co_await move_extent(position.index));
  co_return Status::ok();
}

Task<Status> Merger::move_extent(std::uint32_t index) {
  const ExtentPointer old_extent = leaf_.node.extent(index);
  Result<std::string> value = co_await store_.read_extent(old_extent, family_);
  if (!value.has_value()) co_return value.error();
  if (!leaf_.dirty) PENSTOCK_CO_TRY(co_await start_dirty_leaf());
  PENSTOCK_CO_TRY(copy_leaf_until(index));
  stats_.bytes_moved += extent_blocks(old_extent.value_bytes) * kPageBlockBytes;
  PENSTOCK_CO_TRY(co_await write_extent(moved_key_, *value));
  PENSTOCK_CO_TRY(add_pair({.kind = MergeOperation::Kind::kPut, .key = moved_key_, .value = *value}));
  store_.free_extent(old_extent);
  leaf_.copied = index + 1;
  co_return Status::ok();
}

/// Leaves the pointer in written_extent_ for add_pair().
Task<Status> Merger::write_extent(Bytes key, Bytes value) {
  PENSTOCK_ASSERT_LE(value.size(), kValueBytesMax);
  Result<ExtentPointer> extent = co_await store_.put_extent(family_, key, value);
  if (!extent.has_value()) co_return extent.error();
  written_extent_ = encode_extent(*extent);
  stats_.extents_written += 1;
  unthrottled_bytes_ += value.size();
  co_return Status::ok();
}

/// Hands a new pair to the leaf packer. A long value is in written_extent_ by now.
Status Merger::add_pair(const MergeOperation& operation) {
  PENSTOCK_ASSERT_LE(operation.key.size(), kKeyBytesMax);
  Cell cell;
  cell.suffix = operation.key.data();
  cell.suffix_bytes = static_cast<std::uint16_t>(operation.key.size());
  PENSTOCK_TRY(check_order(0, cell));
  if (operation.kind == MergeOperation::Kind::kMark) {
    packers_[0].add_copy(operation.key, {}, kCellDeleted);
  } else if (operation.extent.has_value()) {
    const ExtentPointerOnDisk extent = encode_extent(*operation.extent);
    packers_[0].add_copy(operation.key, as_bytes(base::bytes_of(extent)), kCellExtent);
  } else if (needs_extent(operation)) {
    packers_[0].add_copy(operation.key, as_bytes(base::bytes_of(written_extent_)), kCellExtent);
  } else {
    packers_[0].add_copy(operation.key, operation.value, kCellInline);
  }
  return packers_[0].has_full_group() ? write_group(0) : Status::ok();
}

Status Merger::copy_leaf_until(std::uint32_t index) {
  PENSTOCK_ASSERT(leaf_.dirty);
  PENSTOCK_ASSERT_LE(leaf_.copied, index);
  PENSTOCK_TRY(add_cells(leaf_.page, leaf_.copied, index));
  leaf_.copied = index;
  return Status::ok();
}

Task<Status> Merger::start_dirty_leaf() {
  PENSTOCK_ASSERT(!leaf_.dirty);
  PENSTOCK_CO_TRY(co_await make_path_dirty(path_.size()));
  if (packers_[0].is_empty()) set_separator_of_leaf();
  leaf_.dirty = true;
  changed_ = true;
  replaced_[0].push_back(leaf_.pointer);
  co_return Status::ok();
}

/// A run of new leaves starts with the current one and inherits its separator, which is above all keys to the left.
void Merger::set_separator_of_leaf() {
  leaf_is_leftmost_ = std::all_of(path_.begin(), path_.end(), [](const PathFrame& frame) { return frame.current == 0; });
  if (!leaf_is_leftmost_) path_.back().node.copy_key(path_.back().current, leaf_separator_);
}

/// What lies left of the path goes to the packers, for the frames above `depth`; their current child will come anew.
Task<Status> Merger::make_path_dirty(std::size_t depth) {
  changed_ = true;
  for (std::size_t above = 0; above < depth; ++above) {
    PathFrame& frame = path_[above];
    if (!frame.dirty) {
      frame.dirty = true;
      replaced_[frame.node.level()].push_back(frame.pointer);
    }
    if (frame.deferred_begin > frame.current) continue;
    PENSTOCK_CO_TRY(co_await append_children(frame.page, frame.deferred_begin, frame.current));
    frame.deferred_begin = frame.current + 1;
  }
  co_return Status::ok();
}

/// Entries [begin, end) of an inner node follow in the packer of its level. By value: `page` outlives the frame that it came
/// from.
Task<Status> Merger::append_children(SharedPage page, std::uint32_t begin, std::uint32_t end) {
  const NodeView node(page->bytes());
  const auto child_level = static_cast<std::uint8_t>(node.level() - 1);
  while (begin < end) {
    const Result<bool> settled = settle(child_level);
    if (!settled.has_value()) co_return settled.error();
    if (*settled) co_return add_cells(page, begin, end);
    PENSTOCK_CO_TRY(co_await open_child(node.child(begin), child_level));
    ++begin;
  }
  co_return Status::ok();
}

/// A clean node's contents join the packers, since what waits there is too little for nodes of its own.
Task<Status> Merger::open_child(ChildPointer pointer, std::uint8_t level) {
  SharedPage page;
  PENSTOCK_CO_TRY(co_await read_node(pointer, level, page));
  replaced_[level].push_back(pointer);
  const NodeView node(page->bytes());
  if (level > 0) {
    PENSTOCK_CO_TRY(co_await append_children(page, 0, node.count()));
  } else {
    stats_.leaves_read += 1;
    PENSTOCK_ASSERT(!packers_[0].is_empty());  // So the separator is set.
    PENSTOCK_CO_TRY(add_cells(page, 0, node.count()));
  }
  if (must_pace()) PENSTOCK_CO_TRY(co_await pace());
  co_return Status::ok();
}

/// `level` kTreeDepthMax: a root, of any level.
Task<Status> Merger::read_node(ChildPointer pointer, std::uint8_t level, SharedPage& page) {
  PageRef found = store_.peek_cached(pointer);
  if (!found) {
    Result<PageRef> read = co_await store_.read_page(pointer, family_, false);
    if (!read.has_value()) co_return read.error();
    found = std::move(*read);
  }
  page = std::make_shared<const PageRef>(std::move(found));
  last_read_ = pointer.address;
  has_new_page_ = true;
  if (level != kTreeDepthMax && NodeView(page->bytes()).level() != level) co_return corruption_at(pointer.address);
  co_return Status::ok();
}

bool Merger::must_pace() noexcept {
  if (unthrottled_bytes_ >= kThrottleBytes || ++operations_since_pace_ >= kPaceOperations) return true;
  return false;
}

Task<Status> Merger::pace() {
  operations_since_pace_ = 0;
  if (unthrottled_bytes_ >= kThrottleBytes) {
    unthrottled_bytes_ = 0;
    PENSTOCK_CO_TRY(co_await store_.throttle());
  }
  if (store_.reactor().background_slice_over()) co_await store_.reactor().background_slice();
  co_return Status::ok();
}

Task<Result<ChildPointer>> merge(PageStore& store, ChildPointer root, FamilyId family, MergeSource& source, MergeStats& stats) {
  const auto merger = std::make_unique<Merger>(store, root, family, source, stats);  // Too large for a frame.
  co_return co_await merger->run();
}

}  // namespace penstock::btree
