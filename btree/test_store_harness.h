// For tests: a page store on the simulated disk with a scripted content that can be told from what a superblock reaches.
//
// The content is a set of slots, each a page of 1-4 blocks or an extent, named by one root page. Each pass rewrites some of
// them; which, and with what, follows from its sequence alone. History holds what each sequence must look like. Thread: the
// simulation's.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "btree/page.h"
#include "btree/page_format.h"
#include "btree/page_store.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::btree {

inline constexpr FamilyId kTestFamily = 20;
inline constexpr StoreIdentity kTestIdentity{0x1111, 0x2222, 3};
inline constexpr ShardId kTestShard = 5;

/// Bytes that follow from a number.
inline std::string filler(std::uint64_t number, std::size_t bytes) {
  std::string text(bytes, '\0');
  base::Random random(number);
  for (std::size_t at = 0; at < bytes; at += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(text.data() + at, &word, std::min<std::size_t>(8, bytes - at));
  }
  return text;
}

/// A leaf over `blocks` with one pair (blocks <= 4) that holds `value`.
inline std::vector<std::byte> make_leaf(FamilyId family, const std::string& key, const std::string& value, std::size_t blocks) {
  std::vector<std::byte> page(blocks * kPageBlockBytes);
  Cell cell;
  cell.suffix = key.data();
  cell.suffix_bytes = static_cast<std::uint16_t>(key.size());
  cell.payload = value.data();
  cell.payload_bytes = static_cast<std::uint16_t>(value.size());
  cell.flags = kCellInline;
  build_node(page, family, 0, std::span<const Cell>(&cell, 1), 0);
  return page;
}

struct SlotValue {
  std::uint64_t version = 0;
  bool is_extent = false;
  ChildPointer page;
  ExtentPointer extent;
};

struct ScriptOptions {
  std::uint32_t slots = 24;
  std::uint32_t rewrites = 6;       ///< Per pass.
  std::uint32_t extent_one_in = 8;  ///< 0 = no extents.
  std::size_t extent_bytes_max = 300'000;
  bool for_reserve = false;
  bool has_strays = false;  ///< Other blocks may be live, too.
};

class StoreHarness {
 public:
  explicit StoreHarness(std::uint64_t seed, std::uint64_t capacity_bytes = ~0ULL)
      : seed_(seed),
        disk_(std::make_unique<reactor::SimDisk>(seed, reactor::SimDiskOptions{.capacity_bytes = capacity_bytes})) {
    options_.directory = "/shard-5";
    options_.identity = kTestIdentity;
    options_.shard = kTestShard;
    options_.budgets.cache_bytes = 1_MiB;
    options_.file_bytes_max = 64_MiB;
    options_.growth_bytes_min = 4_MiB;
    boot();
  }
  ~StoreHarness() { close(); }
  StoreHarness(const StoreHarness&) = delete;
  StoreHarness& operator=(const StoreHarness&) = delete;

  PageStoreOptions& options() { return options_; }
  ScriptOptions& script() { return script_; }
  reactor::SimDisk& disk() const { return *disk_; }
  reactor::SimWorld& world() { return *world_; }
  PageStore& store() { return *store_; }
  bool has_store() const { return store_ != nullptr; }

  void create() {
    const Status status = PageStore::create(world_->system(), options_.directory, kTestIdentity, kTestShard);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  Failure try_open() {
    Outcome<std::unique_ptr<PageStore>> opened = world_->run(0, &PageStore::open, std::ref(world_->reactor(0)), options_);
    if (!opened.has_value()) return opened.error();
    store_ = std::move(*opened);
    return {};
  }
  void open() {
    const Failure failure = try_open();
    ASSERT_TRUE(failure.status.is_ok()) << failure.text;
  }
  void close() {
    if (store_ == nullptr) return;
    world_->run(0, &PageStore::close, store_.get());
    store_.reset();
  }
  void reopen() {
    close();
    open();
  }
  /// The machine starts again: what the cut leaves of the disk is seen.
  void cut(const reactor::SimCut& how) {
    if (store_ != nullptr) close();
    world_.reset();
    disk_->cut_power(how);
    boot();
  }
  void set_disk(std::unique_ptr<reactor::SimDisk> disk) {
    close();
    world_.reset();
    disk_ = std::move(disk);
    boot();
  }

  /// One pass; its sequence must not have been used. The history holds it from now on, published or not.
  Status script_pass(std::uint64_t sequence) { return world_->run(0, &StoreHarness::run_pass, this, sequence); }
  Status try_pass(std::uint64_t sequence) { return script_pass(sequence); }
  /// What the store holds against the history of its applied sequence, and the tables against both. Empty if all is right.
  std::string verify() { return world_->run(0, &StoreHarness::check_all, this); }
  std::map<std::uint32_t, SlotValue> load_slots() { return world_->run(0, &StoreHarness::load, this); }

  static AppliedPosition position(std::uint64_t sequence) { return AppliedPosition{1, sequence * 4096, sequence}; }

  using Versions = std::map<std::uint32_t, std::uint64_t>;
  const std::map<std::uint64_t, Versions>& history() const { return history_; }
  void set_history(std::map<std::uint64_t, Versions> history) { history_ = std::move(history); }

  /// Writes a whole pass, waits for it, and gives it up.
  Task<Status> write_and_abandon(std::uint64_t sequence) {
    const Status written = co_await write_pass(sequence);
    co_await store_->abandon();
    co_return written;
  }

  /// An extent put, published, read, freed and published. Empty if all is right.
  Task<std::string> extent_round_trip(std::size_t bytes) {
    const std::string value = filler(bytes, bytes);
    const AppliedPosition applied = store_->current().applied;
    store_->begin_pass();
    Status status = co_await store_->reserve(1, false);
    if (!status.is_ok()) co_return status.to_string();
    const Result<ExtentPointer> put = co_await store_->put_extent(kTestFamily, "key", value);
    if (!put.has_value()) co_return put.error().to_string();
    for (std::uint32_t round = 0; round < 2; ++round) {  // Before and after the publication.
      const Result<std::string> read = co_await store_->read_extent(*put, kTestFamily);
      if (!read.has_value()) co_return read.error().to_string();
      if (*read != value) co_return "another value";
      if (round == 0) status = co_await store_->publish(applied, store_->current().roots);
      if (!status.is_ok()) co_return status.to_string();
    }
    store_->begin_pass();
    store_->free_extent(*put);
    status = co_await store_->publish(applied, store_->current().roots);
    co_return status.is_ok() ? "" : status.to_string();
  }

 private:
  void boot() { world_ = std::make_unique<reactor::SimWorld>(*disk_, reactor::SimWorldOptions{.seed = seed_ + ++boots_}); }

  bool is_extent(std::uint32_t slot) const { return script_.extent_one_in != 0 && slot % script_.extent_one_in == 0; }
  std::string extent_value(std::uint32_t slot, std::uint64_t version) const {
    base::Random random((version * 1000) + slot);
    return filler((version * 1000) + slot, 1 + random.below(script_.extent_bytes_max));
  }
  static std::size_t page_blocks(std::uint32_t slot, std::uint64_t version) { return 1 + ((slot + version) % 4); }
  static std::string page_value(std::uint32_t slot, std::uint64_t version) { return filler((version * 1000) + slot, 900); }
  static std::string slot_key(std::uint32_t slot) { return "slot-" + std::to_string(10'000 + slot); }

  Task<Status> write_slot(std::uint32_t slot, std::uint64_t version, SlotValue* value) {
    if (value->version != 0) {
      if (value->is_extent) {
        store_->free_extent(value->extent);
      } else {
        store_->free_page(value->page);
      }
    }
    value->is_extent = is_extent(slot);
    const std::string key = slot_key(slot);
    if (value->is_extent) {
      const std::string bytes = extent_value(slot, version);
      const Result<ExtentPointer> put = co_await store_->put_extent(kTestFamily, key, bytes);
      if (!put.has_value()) co_return put.error();
      value->extent = *put;
    } else {
      std::vector<std::byte> page = make_leaf(kTestFamily, key, page_value(slot, version), page_blocks(slot, version));
      const ChildPointer before = value->version == 0 ? ChildPointer() : value->page;
      const Result<ChildPointer> put = store_->put_page(page, 1, 0, before);
      if (!put.has_value()) co_return put.error();
      value->page = *put;
    }
    value->version = version;
    co_return co_await store_->throttle();
  }

  Result<ChildPointer> write_root(const std::map<std::uint32_t, SlotValue>& slots) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& [slot, value] : slots) {
      std::string bytes(1, value.is_extent ? 'e' : 'p');
      if (value.is_extent) {
        const ExtentPointerOnDisk stored = encode_extent(value.extent);
        bytes.append(as_bytes(base::bytes_of(stored)));
      } else {
        const ChildPointerOnDisk stored = encode_child(value.page);
        bytes.append(as_bytes(base::bytes_of(stored)));
      }
      pairs.emplace_back(slot_key(slot), bytes);
    }
    std::vector<Cell> cells(pairs.size());
    for (std::size_t at = 0; at < pairs.size(); ++at) {
      cells[at].suffix = pairs[at].first.data();
      cells[at].suffix_bytes = static_cast<std::uint16_t>(pairs[at].first.size());
      cells[at].payload = pairs[at].second.data();
      cells[at].payload_bytes = static_cast<std::uint16_t>(pairs[at].second.size());
      cells[at].flags = kCellInline;
    }
    std::vector<std::byte> page(std::size_t{kPageBlocksMax} * kPageBlockBytes);
    build_node(page, kRootsFamily, 0, cells, 0);
    const ChildPointer before = store_->current().roots;
    const Result<ChildPointer> put = store_->put_page(page, cells.size(), 0, before);
    if (put.has_value() && !before.is_null()) store_->free_page(before);
    return put;
  }

  Task<Status> write_pass(std::uint64_t sequence) {
    std::map<std::uint32_t, SlotValue> slots;
    if (!store_->current().roots.is_null()) slots = co_await load();
    Versions versions;
    if (const auto known = history_.find(store_->current().applied.sequence); known != history_.end()) versions = known->second;
    base::Random random(sequence + 77);
    std::map<std::uint32_t, std::uint64_t> rewritten;
    for (std::uint32_t count = 0; count < script_.rewrites; ++count) {
      rewritten[static_cast<std::uint32_t>(random.below(script_.slots))] = sequence;
    }
    for (const auto& [slot, version] : rewritten) versions[slot] = version;
    history_[sequence] = versions;
    store_->begin_pass();
    PENSTOCK_CO_TRY(co_await store_->reserve((rewritten.size() * 4) + kPageBlocksMax, script_.for_reserve));
    for (const auto& [slot, version] : rewritten) PENSTOCK_CO_TRY(co_await write_slot(slot, version, &slots[slot]));
    const Result<ChildPointer> root = write_root(slots);
    if (!root.has_value()) co_return root.error();
    root_ = *root;
    co_return Status::ok();
  }

  Task<Status> run_pass(std::uint64_t sequence) {
    const Status written = co_await write_pass(sequence + 1);
    if (!written.is_ok()) {
      co_await store_->abandon();
      co_return written;
    }
    co_return co_await store_->publish(position(sequence + 1), root_);
  }

  Task<std::map<std::uint32_t, SlotValue>> load() {
    std::map<std::uint32_t, SlotValue> slots;
    const ChildPointer roots = store_->current().roots;
    if (roots.is_null()) co_return slots;
    const Result<PageRef> root = co_await store_->read_page(roots, kRootsFamily);
    if (!root.has_value()) {
      ADD_FAILURE() << "root: " << root.error().to_string();
      co_return slots;
    }
    const NodeView node(root->bytes());
    for (std::uint32_t at = 0; at < node.count(); ++at) {
      std::string key;
      node.copy_key(at, key);
      const auto slot = static_cast<std::uint32_t>(std::stoul(key.substr(5)) - 10'000);
      const Bytes bytes = node.payload(at);
      SlotValue value;
      value.version = 1;
      value.is_extent = bytes[0] == 'e';
      if (value.is_extent) {
        value.extent = *decode_extent(base::load<ExtentPointerOnDisk>(as_span(bytes.substr(1))));
      } else {
        value.page = *decode_child(base::load<ChildPointerOnDisk>(as_span(bytes.substr(1))));
      }
      slots[slot] = value;
    }
    co_return slots;
  }

  Task<std::string> check_all() {
    const std::uint64_t sequence = store_->current().applied.sequence;
    if (store_->current().roots.is_null()) {
      co_return sequence == 0 ? "" : "no root at sequence " + std::to_string(sequence);
    }
    const auto expected = history_.find(sequence);
    if (expected == history_.end()) co_return "unknown sequence " + std::to_string(sequence);
    const std::map<std::uint32_t, SlotValue> slots = co_await load();
    if (slots.size() != expected->second.size()) co_return "slots: " + std::to_string(slots.size());
    std::map<Address, std::uint32_t> live;
    add_live(live, store_->current().roots.address, store_->current().roots.blocks);
    for (const auto& [slot, version] : expected->second) {
      const auto found = slots.find(slot);
      if (found == slots.end()) co_return "missing slot " + std::to_string(slot);
      const std::string wrong = co_await check_slot(slot, version, found->second);
      if (!wrong.empty()) co_return wrong;
      if (found->second.is_extent) {
        add_live(live, found->second.extent.address, extent_blocks(found->second.extent.value_bytes));
      } else {
        add_live(live, found->second.page.address, found->second.page.blocks);
      }
    }
    std::map<Address, std::uint32_t> stored;
    for (const auto& [zone, blocks] : store_->live_blocks_by_zone()) stored[zone] = blocks;
    if (stored != live && !script_.has_strays) co_return "the zone tables' live counts are wrong";
    co_return "";
  }

  Task<std::string> check_slot(std::uint32_t slot, std::uint64_t version, SlotValue value) {
    const std::string name = "slot " + std::to_string(slot) + " version " + std::to_string(version) + ": ";
    if (value.is_extent) {
      const Result<std::string> read = co_await store_->read_extent(value.extent, kTestFamily);
      if (!read.has_value()) co_return name + read.error().to_string();
      if (*read != extent_value(slot, version)) co_return name + "another extent";
      co_return "";
    }
    const Result<PageRef> read = co_await store_->read_page(value.page, kTestFamily);
    if (!read.has_value()) co_return name + read.error().to_string();
    const NodeView node(read->bytes());
    if (node.payload(0) != page_value(slot, version)) co_return name + "another page";
    co_return "";
  }

  static void add_live(std::map<Address, std::uint32_t>& live, Address address, std::uint64_t blocks) {
    for (; blocks > 0; --blocks, ++address.block) ++live[Address{address.file, address.zone() * kZoneBlocks}];
  }

  std::uint64_t seed_;
  std::uint64_t boots_ = 0;
  PageStoreOptions options_;
  ScriptOptions script_;
  std::unique_ptr<reactor::SimDisk> disk_;
  std::unique_ptr<reactor::SimWorld> world_;
  std::unique_ptr<PageStore> store_;
  std::map<std::uint64_t, Versions> history_;
  ChildPointer root_;
};

}  // namespace penstock::btree
