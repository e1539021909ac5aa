// What does a memtable operation cost: inserts (in key order, random, under a shared prefix), overwrites, look-ups, walks?
//
// Keys are 8 bytes (24 with the shared prefix), values 150. Each insert run fills a new memtable, so memory from the system
// (page faults) is counted in, as it is in service. Time is per operation ("items"). Figures: docs/decisions/0002-memtable.md.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "memtable/memtable.h"

namespace penstock::memtable {
namespace {

constexpr FamilyId kFamily = 16;
constexpr std::size_t kValueBytes = 150;

enum Order : std::int64_t { kSequential, kRandom, kSharedPrefix };

std::vector<std::string> make_keys(std::int64_t order, std::int64_t key_count) {
  base::Random random(1);
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(key_count); ++i) {
    const std::uint64_t number = __builtin_bswap64(order == kSequential ? i : random.next());
    std::string key(order == kSharedPrefix ? "tenant/table/rows" : "");
    key.append(reinterpret_cast<const char*>(&number), sizeof(number));
    keys.push_back(std::move(key));
  }
  return keys;
}

void fill(Memtable& memtable, const std::vector<std::string>& keys, Bytes value) {
  Sequence sequence = memtable.last_sequence();
  for (const std::string& key : keys) {
    ++sequence;
    memtable.apply(kFamily, key, value, sequence, sequence - 1);
  }
}

void set_label(benchmark::State& state) {
  constexpr std::array<const char*, 3> kNames = {"sequential", "random", "shared prefix"};
  state.SetLabel(kNames[static_cast<std::size_t>(state.range(0))]);
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void insert(benchmark::State& state) {
  const auto keys = make_keys(state.range(0), state.range(1));
  const std::string value(kValueBytes, 'v');
  double held_bytes = 0;
  for (auto _ : state) {
    auto memtable = std::make_unique<Memtable>();
    fill(*memtable, keys, value);
    held_bytes = static_cast<double>(memtable->used_bytes());
    state.PauseTiming();
    memtable.reset();
    state.ResumeTiming();
  }
  state.counters["bytes_per_entry"] = held_bytes / static_cast<double>(state.range(1));
  set_label(state);
}

void overwrite(benchmark::State& state) {
  auto keys = make_keys(state.range(0), state.range(1));
  const std::string value(kValueBytes, 'v');
  for (auto _ : state) {
    state.PauseTiming();
    auto memtable = std::make_unique<Memtable>();
    fill(*memtable, keys, value);
    state.ResumeTiming();
    fill(*memtable, keys, value);
    state.PauseTiming();
    memtable.reset();
    state.ResumeTiming();
  }
  set_label(state);
}

void find(benchmark::State& state) {
  auto keys = make_keys(state.range(0), state.range(1));
  const std::string value(kValueBytes, 'v');
  Memtable memtable;
  fill(memtable, keys, value);
  if (state.range(0) != kSequential) {
    base::Random random(2);
    for (std::size_t i = keys.size() - 1; i > 0; --i) {
      std::swap(keys[i], keys[random.below(i + 1)]);
    }
  }
  for (auto _ : state) {
    for (const std::string& key : keys) {
      const auto version = memtable.find(kFamily, key, memtable.last_sequence());
      benchmark::DoNotOptimize(version->value.data());
    }
  }
  set_label(state);
}

void walk(benchmark::State& state) {
  const auto keys = make_keys(state.range(0), state.range(1));
  const std::string value(kValueBytes, 'v');
  Memtable memtable;
  fill(memtable, keys, value);
  for (auto _ : state) {
    Memtable::Cursor cursor = memtable.cursor(kFamily);
    for (cursor.seek_first(); cursor.valid(); cursor.next()) {
      const auto version = cursor.version(memtable.last_sequence());
      benchmark::DoNotOptimize(version->value.data());
    }
  }
  set_label(state);
}

const std::vector<std::vector<std::int64_t>> kShapes = {{kSequential, kRandom, kSharedPrefix}, {50'000, 400'000}};
BENCHMARK(insert)->ArgsProduct(kShapes)->Unit(benchmark::kMillisecond);
BENCHMARK(overwrite)->ArgsProduct({{kSequential, kRandom}, {50'000, 400'000}})->Unit(benchmark::kMillisecond);
BENCHMARK(find)->ArgsProduct(kShapes)->Unit(benchmark::kMillisecond);
BENCHMARK(walk)->ArgsProduct(kShapes)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::memtable

BENCHMARK_MAIN();
