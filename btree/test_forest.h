// A tree in a store on a simulated disk, beside the map that it must equal: what the tests of trees share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "btree/btree.h"
#include "btree/page.h"
#include "btree/test_inspector.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::btree {

inline constexpr FamilyId kForestFamily = 77;

struct Operation {
  MergeOperation::Kind kind = MergeOperation::Kind::kPut;
  std::string key;
  std::string value = {};
  std::optional<std::string> end = {};  // Of a take.
};
inline Operation deletion(std::string key) { return {.kind = MergeOperation::Kind::kDelete, .key = std::move(key)}; }

/// Lends each operation from memory that is gone after next(): whoever keeps it is caught by the address sanitizer.
class LentSource final : public MergeSource {
 public:
  explicit LentSource(std::vector<Operation> operations) : operations_(std::move(operations)) { lend(); }
  bool valid() const override { return place_ < operations_.size(); }
  const MergeOperation& current() const override { return current_; }
  bool next() override {
    ++place_;
    lend();
    return true;
  }

 private:
  void lend() {
    if (key_ != nullptr) std::memset(key_.get(), 0xdd, key_bytes_);
    if (!valid()) return;
    const Operation& operation = operations_[place_];
    key_bytes_ = operation.key.size();
    key_ = std::make_unique<char[]>(key_bytes_ + 1);
    value_ = std::make_unique<char[]>(operation.value.size() + 1);
    std::copy(operation.key.begin(), operation.key.end(), key_.get());
    std::copy(operation.value.begin(), operation.value.end(), value_.get());
    current_ = MergeOperation{.kind = operation.kind,
                              .key = Bytes(key_.get(), key_bytes_),
                              .value = Bytes(value_.get(), operation.value.size()),
                              .extent = {},
                              .end = operation.end.has_value() ? &*operation.end : nullptr};
  }
  std::vector<Operation> operations_;
  std::size_t place_ = 0;
  std::unique_ptr<char[]> key_;
  std::unique_ptr<char[]> value_;
  std::size_t key_bytes_ = 0;
  MergeOperation current_;
};

using Model = std::map<std::string, std::string>;

/// A store with one tree, which its superblocks name, and the map that it must equal.
struct Forest {
  explicit Forest(std::uint64_t seed, std::uint64_t cache_bytes = 4_MiB) : disk(seed), world(disk, {.seed = seed}) {
    EXPECT_TRUE(PageStore::create(world.system(), "/shard-0", StoreIdentity{.uuid_high = 1, .uuid_low = 2}, 0).is_ok());
    options.directory = "/shard-0";
    options.identity = StoreIdentity{.uuid_high = 1, .uuid_low = 2};
    options.budgets.cache_bytes = cache_bytes;
    open();
  }
  ~Forest() { close(); }
  void open();
  void close();
  void apply(std::vector<Operation> operations, std::vector<Address> evacuated = {});
  void verify();

  reactor::SimDisk disk;
  reactor::SimWorld world;
  PageStoreOptions options;
  std::unique_ptr<PageStore> store;
  ChildPointer root;
  Model model;
  MergeStats stats;  // Of the last merge.
};

inline Task<Status> open_store(Forest* forest) {
  Outcome<std::unique_ptr<PageStore>> opened = co_await PageStore::open(forest->world.reactor(0), forest->options);
  if (!opened.has_value()) co_return opened.error().status;
  forest->store = std::move(*opened);
  forest->root = forest->store->current().roots;
  co_return Status::ok();
}
inline Task<> close_store(Forest* forest) { co_await forest->store->close(); }

inline void Forest::open() {
  const Status status = world.run(0, open_store, this);
  ASSERT_TRUE(status.is_ok()) << status.to_string();
}
inline void Forest::close() {
  if (store == nullptr) return;
  world.run(0, close_store, this);
  store.reset();
}

inline Task<Status> merge_and_publish(Forest* forest, LentSource* source, std::vector<Address> evacuated) {
  PageStore& store = *forest->store;
  store.begin_pass();
  if (!evacuated.empty()) store.set_evacuated(std::move(evacuated));
  PENSTOCK_CO_TRY(co_await store.reserve(4096, false));
  forest->stats = MergeStats{};
  const Result<ChildPointer> root = co_await merge(store, forest->root, kForestFamily, *source, forest->stats);
  if (!root.has_value()) co_return root.error();
  AppliedPosition applied = store.current().applied;
  applied.epoch = 1;
  applied.sequence += 1;
  PENSTOCK_CO_TRY(co_await store.publish(applied, *root));
  forest->root = *root;
  co_return Status::ok();
}

inline void Forest::apply(std::vector<Operation> operations, std::vector<Address> evacuated) {
  for (const Operation& operation : operations) {
    if (operation.kind == MergeOperation::Kind::kPut) model[operation.key] = operation.value;
    if (operation.kind == MergeOperation::Kind::kDelete) model.erase(operation.key);
    if (operation.kind == MergeOperation::Kind::kTake) {
      const auto end = operation.end.has_value() ? model.lower_bound(*operation.end) : model.end();
      model.erase(model.lower_bound(operation.key), end);
    }
  }
  LentSource source(std::move(operations));
  const Status status = world.run(0, merge_and_publish, this, &source, std::move(evacuated));
  ASSERT_TRUE(status.is_ok()) << status.to_string();
}

struct Walk {
  std::map<Address, std::uint32_t> live_by_zone;
  std::set<Address> seen;
  std::uint64_t blocks = 0;
};

inline void count_blocks(void* context, Address address, std::uint64_t blocks) {
  Walk& walk = *static_cast<Walk*>(context);
  EXPECT_TRUE(walk.seen.insert(address).second);
  walk.blocks += blocks;
  for (std::uint64_t index = 0; index < blocks; ++index) {
    const auto block = static_cast<std::uint32_t>(address.block + index);
    walk.live_by_zone[Address{.file = address.file, .block = block / kZoneBlocks * kZoneBlocks}] += 1;
  }
}

inline Task<Status> check_tree(Forest* forest, Walk* walk) {
  const PageStore::ReadPin pin = forest->store->pin_current();
  co_return co_await check_all(forest->store.get(), FamilyTrees{.runs = {}, .base = forest->root}, kForestFamily, count_blocks,
                               walk);
}

/// The pair at a cursor, extents read.
inline Task<Result<std::string>> value_at(Forest* forest, const Cursor* cursor) {
  const std::optional<ExtentPointer> extent = cursor->extent();
  if (!extent.has_value()) co_return std::string(cursor->value());
  co_return co_await forest->store->read_extent(*extent, kForestFamily);
}

inline Task<Status> compare_order(Forest* forest) {
  const PageStore::ReadPin pin = forest->store->pin_current();
  Cursor cursor(*forest->store, forest->root, kForestFamily);
  PENSTOCK_CO_TRY(co_await cursor.seek(""));
  for (const auto& [key, value] : forest->model) {
    EXPECT_TRUE(cursor.valid());
    if (!cursor.valid()) co_return Status(Code::kNotFound);
    EXPECT_EQ(cursor.key(), key);
    const Result<std::string> found = co_await value_at(forest, &cursor);
    if (!found.has_value()) co_return found.error();
    EXPECT_EQ(*found, value);
    PENSTOCK_CO_TRY(co_await cursor.next());
  }
  EXPECT_FALSE(cursor.valid());
  co_return Status::ok();
}

inline Task<Status> compare_lookup(Forest* forest, std::string key) {
  const PageStore::ReadPin pin = forest->store->pin_current();
  const Result<std::optional<Found>> found = co_await find(*forest->store, forest->root, kForestFamily, key);
  if (!found.has_value()) co_return found.error();
  const auto expected = forest->model.find(key);
  EXPECT_EQ(found->has_value(), expected != forest->model.end());
  if (found->has_value() && expected != forest->model.end() && !(*found)->extent.has_value()) {
    EXPECT_EQ((*found)->value, expected->second);
  }
  const CachedFind cached = find_cached(*forest->store, forest->root, key);
  if (cached.complete) {
    EXPECT_EQ(cached.found.has_value(), found->has_value());
  }
  Cursor cursor(*forest->store, forest->root, kForestFamily);
  PENSTOCK_CO_TRY(co_await cursor.seek(key));
  const auto lower = forest->model.lower_bound(key);
  EXPECT_EQ(cursor.valid(), lower != forest->model.end());
  if (cursor.valid() && lower != forest->model.end()) {
    EXPECT_EQ(cursor.key(), lower->first);
  }
  co_return Status::ok();
}

inline void Forest::verify() {
  Walk walk;
  const Status checked = world.run(0, check_tree, this, &walk);
  ASSERT_TRUE(checked.is_ok()) << checked.to_string();
  const Status ordered = world.run(0, compare_order, this);
  ASSERT_TRUE(ordered.is_ok()) << ordered.to_string();
  EXPECT_EQ(root.entries, model.size());
  std::map<Address, std::uint32_t> counted;
  for (const auto& [zone, live] : store->live_blocks_by_zone()) {
    if (live != 0) counted[zone] = live;
  }
  EXPECT_EQ(counted, walk.live_by_zone);
}

}  // namespace penstock::btree
