// What do look-ups in cached pages, scans and merges cost on one core? The disk is simulated, so all figures are the
// processor's.
//
// btree_bench --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "btree/btree.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::btree {
namespace {

constexpr FamilyId kFamily = 20;
constexpr std::uint64_t kPairs = 1'000'000;

/// 16 bytes in number order.
std::string key_of(std::uint64_t number) {
  std::string key(16, '0');
  for (std::size_t digit = 16; digit > 0; --digit) {
    key[digit - 1] = static_cast<char>('0' + (number % 10));
    number /= 10;
  }
  return key;
}

/// Puts of `count` keys, `step` apart, with values of 100 bytes.
class Rows final : public MergeSource {
 public:
  Rows(std::uint64_t count, std::uint64_t step) : count_(count), step_(step) { make(); }
  bool valid() const override { return place_ < count_; }
  const MergeOperation& current() const override { return operation_; }
  bool next() override {
    ++place_;
    make();
    return true;
  }

 private:
  void make() {
    key_ = key_of(place_ * step_);
    operation_ = MergeOperation{.kind = MergeOperation::Kind::kPut, .key = key_, .value = value_, .extent = {}};
  }
  std::uint64_t count_;
  std::uint64_t step_;
  std::uint64_t place_ = 0;
  std::string key_;
  std::string value_ = std::string(100, 'v');
  MergeOperation operation_;
};

struct Tree {
  Tree() : disk(1), world(disk, {.seed = 1}) {
    PageStoreOptions options;
    options.directory = "/shard-0";
    options.budgets.cache_bytes = 1_GiB;
    PageStore::create(world.system(), options.directory, options.identity, 0).ignore("open tells");
    store = world.run(0, &Tree::open, this, options);
  }
  ~Tree() { world.run(0, &Tree::close, this); }
  Task<std::unique_ptr<PageStore>> open(PageStoreOptions options) {
    Outcome<std::unique_ptr<PageStore>> opened = co_await PageStore::open(world.reactor(0), options);
    PENSTOCK_ASSERT(opened.has_value());
    co_return std::move(*opened);
  }
  Task<> close() { co_await store->close(); }
  Task<Status> apply(Rows* rows) {
    store->begin_pass();
    PENSTOCK_CO_TRY(co_await store->reserve(60'000, false));
    MergeStats stats;
    const Result<ChildPointer> merged = co_await merge(*store, root, kFamily, *rows, stats);
    if (!merged.has_value()) co_return merged.error();
    AppliedPosition applied = store->current().applied;
    applied.epoch = 1;
    applied.sequence += 1;
    PENSTOCK_CO_TRY(co_await store->publish(applied, *merged));
    root = *merged;
    pages_written = stats.pages_written;
    co_return Status::ok();
  }
  void merge_rows(std::uint64_t count, std::uint64_t step) {
    Rows rows(count, step);
    const Status status = world.run(0, &Tree::apply, this, &rows);
    PENSTOCK_ASSERT(status.is_ok());
  }
  Task<Status> scan(std::uint64_t* rows) {
    Cursor cursor(*store, root, kFamily);
    PENSTOCK_CO_TRY(co_await cursor.seek(""));
    std::uint64_t bytes = 0;
    while (cursor.valid()) {
      bytes += cursor.key().size() + cursor.value().size();
      ++*rows;
      if (!cursor.try_next()) PENSTOCK_CO_TRY(co_await cursor.next());
    }
    benchmark::DoNotOptimize(bytes);
    co_return Status::ok();
  }

  reactor::SimDisk disk;
  reactor::SimWorld world;
  std::unique_ptr<PageStore> store;
  ChildPointer root;
  std::uint64_t pages_written = 0;
};

void bm_find_cached(benchmark::State& state) {
  Tree tree;
  const auto pairs = static_cast<std::uint64_t>(state.range(0));
  tree.merge_rows(pairs, 1);
  std::uint64_t rows = 0;
  PENSTOCK_ASSERT(tree.world.run(0, &Tree::scan, &tree, &rows).is_ok());  // Into the cache.
  base::Random random(7);
  std::uint64_t incomplete = 0;
  for (auto _ : state) {
    const CachedFind found = find_cached(*tree.store, tree.root, key_of(random.below(pairs)));
    incomplete += found.complete ? 0 : 1;
    benchmark::DoNotOptimize(found.found->value.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["incomplete"] = static_cast<double>(incomplete);
}
BENCHMARK(bm_find_cached)->Arg(10'000)->Arg(kPairs);

void bm_scan(benchmark::State& state) {
  Tree tree;
  tree.merge_rows(kPairs, 1);
  std::uint64_t rows = 0;
  for (auto _ : state) PENSTOCK_ASSERT(tree.world.run(0, &Tree::scan, &tree, &rows).is_ok());
  state.SetItemsProcessed(static_cast<std::int64_t>(rows));
}
BENCHMARK(bm_scan)->Unit(benchmark::kMillisecond);

void bm_bulk_merge(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto tree = std::make_unique<Tree>();
    state.ResumeTiming();
    tree->merge_rows(kPairs, 1);
    state.PauseTiming();
    tree.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPairs));
}
BENCHMARK(bm_bulk_merge)->Unit(benchmark::kMillisecond)->Iterations(3);

/// Overwrites of every `step`-th pair: 30 pairs share a leaf.
void bm_overwrite_merge(benchmark::State& state) {
  Tree tree;
  tree.merge_rows(kPairs, 1);
  const auto step = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t pages = 0;
  for (auto _ : state) {
    tree.merge_rows(kPairs / step, step);
    pages += tree.pages_written;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPairs / step));
  state.counters["pages"] = benchmark::Counter(static_cast<double>(pages), benchmark::Counter::kIsRate);
}
BENCHMARK(bm_overwrite_merge)->Arg(1)->Arg(5)->Arg(30)->Arg(300)->Unit(benchmark::kMillisecond)->Iterations(4);

}  // namespace
}  // namespace penstock::btree

BENCHMARK_MAIN();
