// Verification of one shard: its superblocks, its trees and the values that only its memtables name, beside passes and commits.
#include <algorithm>
#include <map>
#include <utility>

#include "base/assert.h"
#include "engine/catalog.h"
#include "engine/reactor_part.h"
#include "engine/scrub.h"
#include "engine/shard_engine.h"

namespace penstock::detail {

namespace {

using engine::ScrubPart;

class ShardInspector final : public btree::TreeInspector {
 public:
  ShardInspector(ScrubPart& part, ShardId shard, std::uint16_t shard_count) noexcept
      : part_(part), shard_(shard), catalog_(shard_count) {}

  void on_blocks(btree::Address address, std::uint64_t blocks) override {
    ++part_.report().pages;
    part_.report().live_bytes += blocks * btree::kPageBlockBytes;
    std::uint64_t block = address.block;
    while (blocks > 0) {  // An extent may take several zones.
      const std::uint64_t zone_begin = block / btree::kZoneBlocks * btree::kZoneBlocks;
      const std::uint64_t here = std::min(blocks, zone_begin + btree::kZoneBlocks - block);
      reached_[(std::uint64_t{address.file} << 32U) | zone_begin] += here;
      block += here;
      blocks -= here;
    }
  }
  void on_damage(const btree::TreeDamage& damage) override {
    is_whole_ = false;
    part_.add(engine::damage_of(damage, shard_));
  }
  void on_pair(btree::Address page, FamilyId family, Bytes key, Bytes value) override {
    Status status;
    if (family == btree::kCatalogFamily && shard_ == 0) status = catalog_.load(key, value);
    if (family == btree::kRootsFamily) {
      const Result<btree::FamilyRoot> root = btree::decode_family_root(key, value);
      if (!root.has_value()) status = root.error();
    }
    if (status.is_ok()) return;
    part_.add(engine::damage_of({.kind = btree::TreeDamage::Kind::kStructure,
                                 .status = status.with_place(FileKind::kPages, page.block).with_file(page.file),
                                 .address = page,
                                 .blocks = 1,
                                 .family = family},
                                shard_));
  }
  Task<bool> go_on(std::uint64_t bytes) override { return part_.go_on(bytes); }

  /// `tables`: live blocks by zone, of the same moment as the trees that were walked, whole.
  void compare(const std::vector<std::pair<btree::Address, std::uint32_t>>& tables) {
    for (const auto& [zone, live] : tables) {
      const auto place = reached_.find(zone.key());
      const std::uint64_t reached = place == reached_.end() ? 0 : place->second;
      // Below a page that cannot be read there may be anything.
      if (is_whole_ ? reached != live : reached > live) report_space(zone);
      if (place != reached_.end()) reached_.erase(place);
    }
    for (const auto& [key, blocks] : reached_) {
      report_space({.file = static_cast<std::uint16_t>(key >> 32U), .block = static_cast<std::uint32_t>(key)});
    }
  }

 private:
  void report_space(btree::Address zone) {
    part_.add({.kind = Damage::Kind::kSpace,
               .status = Status(Code::kCorruption, FileKind::kPages, zone.block).with_file(zone.file).with_shard(shard_),
               .file = engine::page_file_name(shard_, zone.file),
               .offset = std::uint64_t{zone.block} * btree::kPageBlockBytes,
               .bytes = btree::kZoneBytes});
  }

  ScrubPart& part_;
  ShardId shard_;
  engine::Catalog catalog_;
  std::map<std::uint64_t, std::uint64_t> reached_;  // Blocks by zone (file << 32 | first block).
  bool is_whole_ = true;
};

}  // namespace

std::uint64_t ShardEngine::scrub_bytes() const { return store_->space().live_bytes; }

Task<> ShardEngine::scrub(engine::ScrubPart* part) {
  while (pass_runs_ && !part->is_stopped()) {
    co_await progress_.wait();
  }
  if (part->is_stopped()) {
    part->report().is_complete = false;
    co_return;
  }
  pass_runs_ = true;  // Slots and tables are as they are, for a moment.
  for (const btree::PageStore::SuperDamage& damage : co_await store_->check_superblocks()) {
    part->add(engine::damage_of(damage, id_));
  }
  // What the trees reach now stays readable while it is pinned: passes may go on.
  const std::shared_ptr<btree::PageStore> store = store_;
  const btree::PageStore::ReadPin pin = store->pin_current();
  const std::uint64_t generation = superblock().generation;
  const std::vector<std::pair<btree::Address, std::uint32_t>> tables = store->live_blocks_by_zone();
  std::vector<std::pair<FamilyId, btree::FamilyTrees>> trees;
  trees.emplace_back(btree::kRootsFamily, btree::FamilyTrees{.runs = {}, .base = superblock().roots});
  for (const FamilyId family : flusher_->families()) {
    trees.emplace_back(family, flusher_->trees_of(family));
  }
  pass_runs_ = false;
  work_.notify_all();
  progress_.notify_all();

  ShardInspector inspector(*part, id_, part_.settings().shard_count);
  for (const auto& [family, of_family] : trees) {
    const bool goes_on = co_await btree::check(*store, of_family, family, generation, inspector);
    if (!goes_on) {
      co_return;
    }
    if (family == btree::kRootsFamily) {
      continue;
    }
    ++part->report().families;
    part->report().entries += of_family.base.entries;
    for (const btree::Run& run : of_family.runs) {
      part->report().entries += run.root.entries;
    }
  }
  inspector.compare(tables);
  co_await scrub_early(part);
}

/// Values that memtables name: no tree reaches them yet, and the log has no more than their place.
Task<> ShardEngine::scrub_early(engine::ScrubPart* part) {
  struct Named {
    FamilyId family;
    btree::ExtentPointer extent;
  };
  std::vector<Named> named;
  engine::EarlyExtents held;
  const auto collect = [&](const Generation& generation) {
    if (generation.early.bytes() == 0) {
      return;
    }
    for (const FamilyId family : generation.memtable.families()) {
      memtable::Memtable::Cursor cursor = generation.memtable.cursor(family);
      for (cursor.seek_first(); cursor.valid(); cursor.next()) {
        const std::optional<memtable::Memtable::Version> version = cursor.version(published_);
        if (!version.has_value() || !version->is_reference) {
          continue;
        }
        const Result<btree::ExtentPointer> extent = btree::extent_from_bytes(version->value);
        PENSTOCK_ASSERT(extent.has_value());
        held.hold(store_, *extent);
        named.push_back({family, *extent});
      }
    }
  };
  for (const std::shared_ptr<Generation>& generation : frozen_) {
    collect(*generation);
  }
  collect(*active_);
  ShardInspector inspector(*part, id_, part_.settings().shard_count);
  for (const Named& each : named) {
    const bool goes_on = co_await store_->check_extent(each.extent, each.family, inspector);
    if (!goes_on) {
      co_return;
    }
  }
}

}  // namespace penstock::detail
