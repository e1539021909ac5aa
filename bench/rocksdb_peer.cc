// RocksDB doing what penstock-bench does in bench/jobs/: the other side of bench/compare.py.
//
// The same keys and values (tools/penstock-bench/dataset.h), threads, batches and durability; compression off. `fillrandom` and
// `overwrite` end when everything is flushed and compacted; `readrandom` keeps its database for the next time. The last line is
// JSON.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

struct PeerOptions {
  std::string workload;
  std::string directory;
  bool sync = true;
  std::uint32_t clients = 0;  // 0: the workload's own number.
  std::uint32_t commits = 50;
  std::uint32_t keys = 5 * 1024 * 1024;
  std::uint64_t memory = 0;
  double seconds = 4;
  std::uint64_t operations = 0;
  std::uint64_t seed = 1;
};

void require(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) {
    throw std::runtime_error(fmt::format("{}: {}", what, status.ToString()));
  }
}

struct Closer {
  rocksdb::DB* database = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  ~Closer() {
    for (rocksdb::ColumnFamilyHandle* family : families) {
      database->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }
    delete database;
  }
};

rocksdb::Options engine_options(const PeerOptions& peer) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.IncreaseParallelism(static_cast<int>(std::max(2U, std::thread::hardware_concurrency())));
  if (peer.memory > 0) {
    // As much as memtable_percent of ours: two fifths.
    options.db_write_buffer_size = peer.memory / 5 * 2;
    options.write_buffer_size = std::max<std::size_t>(options.write_buffer_size, peer.memory / 8);
  }
  return options;
}

// A database made anew. RocksDB's own DestroyDB removes what it knows and nothing else.
void open_fresh(const PeerOptions& peer, std::uint32_t family_count, Closer& opened) {
  const rocksdb::Options options = engine_options(peer);
  if (std::filesystem::exists(std::filesystem::path(peer.directory) / "CURRENT")) {
    require(rocksdb::DestroyDB(peer.directory, options), "removing the last run");
  }
  require(rocksdb::DB::Open(options, peer.directory, &opened.database), "opening");
  for (std::uint32_t family = 0; family < family_count; ++family) {
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    require(opened.database->CreateColumnFamily(options, fmt::format("bench-{}", family), &handle), "making a family");
    opened.families.push_back(handle);
  }
}

// Runs `client(number)` on every thread at once; the time from the last one's readiness to the last one's end.
std::uint64_t timed(std::uint32_t clients, const std::function<void(std::uint32_t)>& client) {
  std::uint64_t start_ns = 0;
  const auto take_time = [&start_ns]() noexcept { start_ns = now_ns(); };
  std::barrier start(clients, take_time);
  std::vector<std::string> errors(clients);
  std::vector<std::thread> threads;
  for (std::uint32_t number = 0; number < clients; ++number) {
    threads.emplace_back([&, number] {
      start.arrive_and_wait();
      try {
        client(number);
      } catch (const std::exception& error) {
        errors[number] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const std::uint64_t elapsed_ns = now_ns() - start_ns;
  for (const std::string& error : errors) {
    if (!error.empty()) {
      throw std::runtime_error(error);
    }
  }
  return elapsed_ns;
}

struct Outcome {
  std::uint64_t operations = 0;
  std::uint64_t elapsed_ns = 0;
  std::uint64_t written_bytes = 0;  // By this process, to storage.
};

Outcome run_manifold(const PeerOptions& peer) {
  constexpr std::uint32_t kFamilies = 8;
  constexpr std::uint32_t kBatch = 1000;
  const std::uint32_t clients = peer.clients == 0 ? 8 : peer.clients;
  const Dataset dataset(8, 150, peer.seed);
  Closer opened;
  open_fresh(peer, kFamilies, opened);
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  const std::uint64_t elapsed_ns = timed(clients, [&](std::uint32_t client) {
    const std::uint32_t family = client % kFamilies;
    std::uint32_t number = client / kFamilies * peer.commits * kBatch;
    std::string key(dataset.key_size(), '\0');
    std::string value(dataset.value_size(), '\0');
    rocksdb::WriteBatch batch;
    for (std::uint32_t commit = 0; commit < peer.commits; ++commit) {
      batch.Clear();
      for (std::uint32_t at = 0; at < kBatch; ++at, ++number) {
        dataset.fill_key(number, key.data());
        dataset.fill_value(family, number, 0, value.data());
        require(batch.Put(opened.families[family], key, value), "put");
      }
      require(opened.database->Write(write, &batch), "write");
    }
  });
  return {.operations = std::uint64_t{clients} * peer.commits * kBatch, .elapsed_ns = elapsed_ns};
}

void settle(rocksdb::DB& database, rocksdb::ColumnFamilyHandle* family) {
  require(database.Flush(rocksdb::FlushOptions(), family), "flush");
  constexpr std::uint64_t kPollNs = 1'000'000;
  std::uint64_t pending = 1;
  std::uint64_t running = 0;
  while (pending + running > 0) {
    if (!database.GetIntProperty(family, rocksdb::DB::Properties::kCompactionPending, &pending) ||
        !database.GetIntProperty(family, rocksdb::DB::Properties::kNumRunningCompactions, &running)) {
      throw std::runtime_error("RocksDB does not say whether it compacts");
    }
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPollNs));
  }
}

// Numbers that a client writes, in batches of 100, each commit on its own.
constexpr std::uint32_t kBatch = 100;
using NumberAt = std::function<std::uint32_t(std::uint64_t place)>;

struct Table {
  rocksdb::DB& database;
  rocksdb::ColumnFamilyHandle* family;
  const Dataset& dataset;
};

// Writes places [0, count), shared among the clients. Returns the time.
std::uint64_t write_all(const PeerOptions& peer, const Table& table, std::uint64_t count, std::uint32_t version,
                        const NumberAt& number_at) {
  const std::uint32_t clients = peer.clients == 0 ? 32 : peer.clients;
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  return timed(clients, [&](std::uint32_t client) {
    std::uint64_t place = count * client / clients;
    const std::uint64_t end = count * (client + 1) / clients;
    std::string key(table.dataset.key_size(), '\0');
    std::string value(table.dataset.value_size(), '\0');
    rocksdb::WriteBatch batch;
    while (place < end) {
      batch.Clear();
      for (std::uint32_t at = 0; at < kBatch && place < end; ++at, ++place) {
        const std::uint32_t number = number_at(place);
        table.dataset.fill_key(number, key.data());
        table.dataset.fill_value(0, number, version, value.data());
        require(batch.Put(table.family, key, value), "put");
      }
      require(table.database.Write(write, &batch), "write");
    }
  });
}

std::uint64_t timed_settle(const Table& table) {
  const std::uint64_t start_ns = now_ns();
  settle(table.database, table.family);
  return now_ns() - start_ns;
}

Outcome run_fillrandom(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  const Permutation permutation(peer.keys, peer.seed);
  Closer opened;
  open_fresh(peer, 1, opened);
  const Table table{*opened.database, opened.families.front(), dataset};
  const std::uint64_t written_before = read_process_counters().written_bytes;
  const std::uint64_t write_ns = write_all(
      peer, table, peer.keys, 0, [&](std::uint64_t place) { return permutation.at(static_cast<std::uint32_t>(place)); });
  const std::uint64_t settle_ns = timed_settle(table);
  return {.operations = peer.keys,
          .elapsed_ns = write_ns + settle_ns,
          .written_bytes = read_process_counters().written_bytes - written_before};
}

// Fills first, without the clock; then as many random overwrites as `operations`.
Outcome run_overwrite(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  const Permutation permutation(peer.keys, peer.seed);
  Closer opened;
  open_fresh(peer, 1, opened);
  const Table table{*opened.database, opened.families.front(), dataset};
  write_all(peer, table, peer.keys, 0, [&](std::uint64_t place) { return permutation.at(static_cast<std::uint32_t>(place)); });
  timed_settle(table);
  const std::uint64_t written_before = read_process_counters().written_bytes;
  const std::uint64_t write_ns = write_all(peer, table, peer.operations, 1, [&](std::uint64_t place) {
    return static_cast<std::uint32_t>(mix_bits(place ^ (peer.seed << 40U)) % peer.keys);
  });
  const std::uint64_t settle_ns = timed_settle(table);
  return {.operations = peer.operations,
          .elapsed_ns = write_ns + settle_ns,
          .written_bytes = read_process_counters().written_bytes - written_before};
}

// Runs `step(client, random)` on every thread for so many seconds.
Outcome repeat(const PeerOptions& peer, std::uint32_t clients, const std::function<void(std::uint32_t, base::Random&)>& step) {
  std::atomic<std::uint64_t> operations{0};
  const std::uint64_t end_ns = now_ns() + static_cast<std::uint64_t>(peer.seconds * 1e9);
  const std::uint64_t elapsed_ns = timed(clients, [&](std::uint32_t client) {
    base::Random random(mix_bits(peer.seed + client));
    std::uint64_t done = 0;
    for (; now_ns() < end_ns; ++done) {
      step(client, random);
    }
    operations += done;
  });
  return {.operations = operations, .elapsed_ns = elapsed_ns};
}

Outcome run_commit(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  const std::uint32_t clients = peer.clients == 0 ? 1 : peer.clients;
  Closer opened;
  open_fresh(peer, 1, opened);
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  return repeat(peer, clients, [&](std::uint32_t, base::Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(peer.keys));
    std::string key(dataset.key_size(), '\0');
    std::string value(dataset.value_size(), '\0');
    dataset.fill_key(number, key.data());
    dataset.fill_value(0, number, 0, value.data());
    require(opened.database->Put(write, opened.families.front(), key, value), "put");
  });
}

// Everything in the block cache, with the filters that point reads live from.
rocksdb::Options reading_options(const PeerOptions& peer) {
  rocksdb::Options options = engine_options(peer);
  rocksdb::BlockBasedTableOptions tables;
  tables.block_cache = rocksdb::NewLRUCache(std::max<std::size_t>(peer.memory, std::size_t{2} << 30U));
  tables.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(tables));
  options.create_missing_column_families = true;
  return options;
}

Outcome run_readrandom(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  const std::string filled_mark = fmt::format("filled with {} keys of seed {}", peer.keys, peer.seed);
  Closer opened;
  const rocksdb::Options options = reading_options(peer);
  require(rocksdb::DB::Open(options, peer.directory, {{rocksdb::kDefaultColumnFamilyName, options}, {"bench-0", options}},
                            &opened.families, &opened.database),
          "opening");
  const Table table{*opened.database, opened.families.back(), dataset};
  std::string value;
  if (!opened.database->Get({}, filled_mark, &value).ok()) {
    write_all(peer, table, peer.keys, 0, [](std::uint64_t place) { return static_cast<std::uint32_t>(place); });
    timed_settle(table);
    require(opened.database->Put({}, filled_mark, "1"), "marking the database as filled");
  }
  const std::unique_ptr<rocksdb::Iterator> warm(opened.database->NewIterator({}, table.family));
  for (warm->SeekToFirst(); warm->Valid(); warm->Next()) {
  }
  require(warm->status(), "warming the cache");
  const std::uint32_t clients = peer.clients == 0 ? 2 : peer.clients;
  return repeat(peer, clients, [&](std::uint32_t, base::Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(peer.keys));
    char key[16];
    dataset.fill_key(number, key);
    rocksdb::PinnableSlice found;
    require(opened.database->Get({}, table.family, {key, sizeof(key)}, &found), "get");
    if (!dataset.value_version(0, number, found.ToStringView()).has_value()) {
      throw std::runtime_error("a value is not the one written");
    }
  });
}

using Workload = Outcome (*)(const PeerOptions&);
constexpr std::pair<const char*, Workload> kWorkloads[] = {{"manifold", run_manifold},
                                                           {"fillrandom", run_fillrandom},
                                                           {"overwrite", run_overwrite},
                                                           {"commit", run_commit},
                                                           {"readrandom", run_readrandom}};

void run(const PeerOptions& peer) {
  const auto* const workload = std::ranges::find(kWorkloads, peer.workload, &std::pair<const char*, Workload>::first);
  const Outcome outcome = workload->second(peer);
  const double seconds = static_cast<double>(outcome.elapsed_ns) / 1e9;
  fmt::print(
      "{{\"workload\": \"{}\", \"sync\": {}, \"operations\": {}, \"elapsed_ns\": {}, \"written_bytes\": {}, "
      "\"ops_per_second\": {:.0f}}}\n",
      peer.workload, peer.sync, outcome.operations, outcome.elapsed_ns, outcome.written_bytes,
      static_cast<double>(outcome.operations) / seconds);
}

}  // namespace
}  // namespace penstock::bench

int main(int argument_count, char** arguments) {
  penstock::bench::PeerOptions peer;
  CLI::App app("Runs a workload of penstock-bench on RocksDB.", "rocksdb_peer");
  app.add_option("WORKLOAD", peer.workload, "manifold, fillrandom, overwrite, commit or readrandom")
      ->required()
      ->check(CLI::IsMember({"manifold", "fillrandom", "overwrite", "commit", "readrandom"}));
  app.add_option("--dir", peer.directory, "Directory of the database; a RocksDB database there is removed")->required();
  app.add_option("--sync", peer.sync, "1: each commit on stable storage (default); 0: handed to the kernel");
  app.add_option("--clients", peer.clients,
                 "Threads (default: manifold 8, fillrandom and overwrite 32, commit 1, readrandom 2)");
  app.add_option("--commits", peer.commits, "manifold: commits per thread");
  app.add_option("--keys", peer.keys, "Keys of the data set, but for manifold");
  app.add_option("--operations", peer.operations, "overwrite: how many");
  app.add_option("--seconds", peer.seconds, "commit, readrandom: how long");
  app.add_option("--memory", peer.memory,
                 "Bytes of memory_limit on the other side; memtables get two fifths (0: RocksDB's default)");
  app.add_option("--seed", peer.seed, "Of the data");
  CLI11_PARSE(app, argument_count, arguments);
  try {
    penstock::bench::run(peer);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rocksdb_peer: {}\n", error.what());
    return 1;
  }
}
