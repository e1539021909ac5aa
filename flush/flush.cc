#include "flush/flush.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "flush/merge_sources.h"

namespace penstock::flush {

namespace {

/// A pass moves the live pages of at most this many zones, and with a memtable of few more than it makes emptier: moves must
/// not make one pass much longer than another.
constexpr std::size_t kZonesMovedMax = 64;
constexpr std::size_t kZonesMovedMin = 8;
constexpr std::size_t kZonesMovedPerMemtableZone = 8;
/// Room for the roots tree and the path to it.
constexpr std::uint64_t kPassBlocksMin = 64;
constexpr std::uint64_t kSliceEntriesMin = 64;

}  // namespace

/// What one pass collects on its way to the superblock.
struct Flusher::Pass {
  PassInput input;
  Roots roots;                         // As they will be published.
  std::set<FamilyId> changed;          // Families whose root differs, to be written to the roots tree.
  std::map<FamilyId, MoveKeys> moves;  // Sorted keys to move, by family.
  SliceBegins slice_begins;
  RunCounters runs;
  btree::ChildPointer roots_root;
  btree::MergeStats stats;
};

Task<Status> Flusher::load_roots() {
  roots_.clear();
  btree::PageStore::ReadPin pin = store_.pin_current();
  btree::Cursor cursor(store_, store_.current().roots, btree::kRootsFamily);
  PENSTOCK_CO_TRY(co_await cursor.seek(Bytes{}));
  while (cursor.valid()) {
    const Result<btree::FamilyRoot> decoded = btree::decode_family_root(cursor.key(), cursor.value());
    if (!decoded.has_value()) {
      co_return decoded.error();
    }
    roots_[decoded->family] = decoded->trees;
    PENSTOCK_CO_TRY(co_await cursor.next());
  }
  co_return Status::ok();
}

const btree::FamilyTrees& Flusher::trees_of(FamilyId family) const noexcept {
  static const btree::FamilyTrees none;
  const auto found = roots_.find(family);
  return found == roots_.end() ? none : found->second;
}

bool Flusher::has_runs() const noexcept {
  return std::ranges::any_of(roots_, [](const auto& root) { return !root.second.runs.empty(); });
}

RunHoldings Flusher::run_holdings() const noexcept {
  RunHoldings holdings;
  for (const auto& [family, trees] : roots_) {
    for (const btree::Run& run : trees.runs) {
      holdings.entries += run.root.entries;
      holdings.filter_bytes += run.filter == nullptr ? 0 : run.filter->bytes();
    }
  }
  return holdings;
}

std::vector<FamilyId> Flusher::families() const {
  std::vector<FamilyId> result;
  result.reserve(roots_.size());
  for (const auto& [family, root] : roots_) {
    result.push_back(family);
  }
  return result;
}

Task<Status> Flusher::run(PassInput input, wal::Log* log) {
  const std::uint64_t began_ns = reactor_.now_ns();
  const Status status = co_await run_pass(input, log);
  if (status.is_ok()) {
    ++counters_.passes;
    counters_.duration_ns += reactor_.now_ns() - began_ns;
    if (input.memtable != nullptr) {
      counters_.entries += input.memtable->entry_count();
    }
  }
  if (!input.confirm_only) {
    adapt_slices(status);
  }
  co_return status;
}

void Flusher::adapt_slices(Status status) noexcept {
  const std::uint64_t held = run_holdings().entries;
  if (status.is(Code::kNoSpace)) {
    slice_entries_max_ = std::min(slice_entries_max_, held) / 4;
  } else if (status.is_ok() && slice_entries_max_ <= held) {
    slice_entries_max_ = std::max(slice_entries_max_ * 2, kSliceEntriesMin);
  }
}

Task<Status> Flusher::run_pass(PassInput input, wal::Log* log) {
  PENSTOCK_CO_TRY(store_.failure());
  PENSTOCK_ASSERT(!input.confirm_only || input.memtable == nullptr);
  Pass pass;
  pass.input = input;
  pass.roots = roots_;
  pass.slice_begins = slice_begins_;
  pass.roots_root = store_.current().roots;
  store_.begin_pass();
  // What is certain to be written is reserved at once, so that a full disk is met before anything is written; the rest as the
  // pass goes.
  const std::uint64_t bytes = input.memtable == nullptr ? 0 : input.memtable->used_bytes();
  Status status;
  if (!input.confirm_only) {
    status = co_await store_.reserve((bytes / btree::kPageBlockBytes) + kPassBlocksMin, input.urgent);
    if (status.is_ok()) {
      status = co_await change_trees(pass);
    }
  }
  if (status.is_ok() && log != nullptr) {
    // Flush-I1.
    status = co_await log->make_durable({.epoch = input.applied.epoch, .offset = input.applied.offset});
  }
  if (!status.is_ok()) {
    PENSTOCK_SOMETIMES("flush: a pass is abandoned", true);
    co_await store_.abandon();
    co_return status;
  }
  PENSTOCK_CO_TRY(co_await store_.publish(input.applied, pass.roots_root));
  roots_ = std::move(pass.roots);  // Flush-I2: nothing suspends between the publication and this.
  slice_begins_ = std::move(pass.slice_begins);
  counters_.moved_bytes += pass.stats.bytes_moved;
  counters_.runs += pass.runs;
  co_return Status::ok();
}

Task<Status> Flusher::change_trees(Pass& pass) {
  // On a full disk a pass either brings in a memtable or cleans: together they may need more room than there is.
  const bool may_move = !pass.input.urgent || pass.input.memtable == nullptr;
  if (may_move) {
    PENSTOCK_CO_TRY(co_await plan_moves(pass));
  }
  PENSTOCK_CO_TRY(co_await merge_families(pass));
  PENSTOCK_CO_TRY(co_await free_dropped(pass));
  co_return co_await merge_roots(pass);
}

Task<Status> Flusher::plan_moves(Pass& pass) {
  std::vector<btree::Address> zones = store_.choose_zones_to_clean(pass.input.urgent);
  std::size_t zones_max = kZonesMovedMax;
  if (pass.input.memtable != nullptr) {
    const std::uint64_t wanted = kZonesMovedPerMemtableZone * pass.input.memtable->used_bytes() / btree::kZoneBytes;
    zones_max = std::clamp<std::size_t>(wanted, kZonesMovedMin, kZonesMovedMax);
  }
  if (zones.size() > zones_max) {
    zones.resize(zones_max);
  }
  for (const btree::Address zone : zones) {
    const Result<std::vector<btree::PageStore::Candidate>> candidates = co_await store_.list_zone(zone);
    if (!candidates.has_value()) {
      co_return candidates.error();
    }
    for (const btree::PageStore::Candidate& candidate : *candidates) {
      pass.moves[candidate.family].push_back(candidate.first_key);
    }
    if (reactor_.background_slice_over()) {
      co_await reactor_.background_slice();
    }
  }
  for (auto& [family, keys] : pass.moves) {
    std::ranges::sort(keys);
    keys.erase(std::ranges::unique(keys).begin(), keys.end());
  }
  PENSTOCK_SOMETIMES("flush: sparse zones are cleaned", !zones.empty());
  store_.set_evacuated(std::move(zones));
  co_return Status::ok();
}

Task<Status> Flusher::merge_families(Pass& pass) {
  std::map<FamilyId, bool> families;  // Whether the memtable has entries of it.
  if (pass.input.memtable != nullptr) {
    for (const FamilyId family : pass.input.memtable->families()) {
      families[family] = true;
    }
  }
  for (const auto& [family, trees] : pass.roots) {
    if (pass.moves.contains(family) || (pass.input.drain_runs && !trees.runs.empty())) {
      families.try_emplace(family, false);
    }
  }
  for (const auto& [family, is_written] : families) {
    if (filter_.is_dropped(family) || damaged_.contains(family)) {  // Flush-I4, Flush-I6.
      continue;
    }
    const Status status = co_await merge_family(pass, family, is_written);
    if (status.is(Code::kCorruption) && family >= kFamilyIdUserMin) {
      damaged_.emplace(family, status);
    }
    PENSTOCK_CO_TRY(status);
  }
  co_return Status::ok();
}

Task<Status> Flusher::merge_family(Pass& pass, FamilyId family, bool is_written) {
  const btree::FamilyTrees before = pass.roots.contains(family) ? pass.roots[family] : btree::FamilyTrees{};
  const auto moves = pass.moves.find(family);
  FamilyMerge merge(store_, family, before,
                    {.memtable = is_written ? pass.input.memtable : nullptr,
                     .moves = moves == pass.moves.end() ? nullptr : &moves->second,
                     .slice_begin = pass.slice_begins[family],
                     .gather_from_bytes = family < kFamilyIdUserMin ? ~std::uint64_t{0} : gather_from_bytes_,
                     .drain = pass.input.drain_runs,
                     .slice_entries_max = slice_entries_max_},
                    pass.stats);
  PENSTOCK_CO_TRY(co_await merge.run());
  pass.runs += merge.counters();
  if (merge.trees().runs.empty()) {
    pass.slice_begins.erase(family);
  } else {
    pass.slice_begins[family] = merge.slice_begin();
  }
  if (merge.trees() == before) {
    co_return Status::ok();
  }
  pass.changed.insert(family);
  if (merge.trees().is_empty()) {
    pass.roots.erase(family);
  } else {
    pass.roots[family] = merge.trees();
  }
  co_return Status::ok();
}

Task<Status> Flusher::free_dropped(Pass& pass) {
  std::vector<std::pair<FamilyId, btree::FamilyTrees>> dropped;
  for (const auto& [family, trees] : pass.roots) {
    if (filter_.is_dropped(family) && !damaged_.contains(family)) {
      dropped.emplace_back(family, trees);
    }
  }
  for (const auto& [family, trees] : dropped) {
    Status status = co_await btree::free_tree(store_, trees.base, family);
    for (const btree::Run& run : trees.runs) {
      if (status.is_ok()) {
        status = co_await btree::free_tree(store_, run.root, family);
      }
    }
    if (status.is(Code::kCorruption)) {
      damaged_.emplace(family, status);  // Its space is lost until the shard is repaired.
    }
    PENSTOCK_CO_TRY(status);
    pass.roots.erase(family);
    pass.slice_begins.erase(family);
    pass.changed.insert(family);
    PENSTOCK_SOMETIMES("flush: trees of a dropped family are freed", true);
    ++counters_.trees_freed;
  }
  co_return Status::ok();
}

Task<Status> Flusher::merge_roots(Pass& pass) {
  const auto moves = pass.moves.find(btree::kRootsFamily);
  if (pass.changed.empty() && moves == pass.moves.end()) {
    co_return Status::ok();
  }
  std::vector<ListSource::Item> items;
  for (const FamilyId family : pass.changed) {  // Ascending ids are ascending keys: big-endian.
    const auto root = pass.roots.find(family);
    const bool gone = root == pass.roots.end();
    items.push_back({.key = btree::encode_family_key(family),
                     .value = gone ? std::string() : btree::encode_family_root({.family = family, .trees = root->second}),
                     .is_delete = gone});
  }
  ListSource list(std::move(items));
  WithMoves source(list, moves == pass.moves.end() ? nullptr : &moves->second);
  const Result<btree::ChildPointer> root =
      co_await btree::merge(store_, pass.roots_root, btree::kRootsFamily, source, pass.stats);
  if (!root.has_value()) {
    co_return root.error();
  }
  pass.roots_root = *root;
  co_return Status::ok();
}

}  // namespace penstock::flush
