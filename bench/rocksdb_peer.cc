// RocksDB doing what penstock-bench does in bench/jobs/manifold-cf.ini and fillrandom.ini: the other side of bench/compare.py.
//
// The same keys and values (tools/penstock-bench/dataset.h), threads, batches and durability; compression off. `fillrandom`
// ends when everything is flushed and compacted. The last line is JSON.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

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

Outcome run_fillrandom(const PeerOptions& peer) {
  constexpr std::uint32_t kBatch = 100;
  const std::uint32_t clients = peer.clients == 0 ? 32 : peer.clients;
  const Dataset dataset(16, 100, peer.seed);
  const Permutation permutation(peer.keys, peer.seed);
  Closer opened;
  open_fresh(peer, 1, opened);
  rocksdb::ColumnFamilyHandle* const family = opened.families.front();
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  const std::uint64_t write_ns = timed(clients, [&](std::uint32_t client) {
    std::uint64_t place = std::uint64_t{peer.keys} * client / clients;
    const std::uint64_t end = std::uint64_t{peer.keys} * (client + 1) / clients;
    std::string key(dataset.key_size(), '\0');
    std::string value(dataset.value_size(), '\0');
    rocksdb::WriteBatch batch;
    while (place < end) {
      batch.Clear();
      for (std::uint32_t at = 0; at < kBatch && place < end; ++at, ++place) {
        const std::uint32_t number = permutation.at(static_cast<std::uint32_t>(place));
        dataset.fill_key(number, key.data());
        dataset.fill_value(0, number, 0, value.data());
        require(batch.Put(family, key, value), "put");
      }
      require(opened.database->Write(write, &batch), "write");
    }
  });
  const std::uint64_t settle_start_ns = now_ns();
  settle(*opened.database, family);
  return {.operations = peer.keys, .elapsed_ns = write_ns + now_ns() - settle_start_ns};
}

void run(const PeerOptions& peer) {
  const Outcome outcome = peer.workload == "manifold" ? run_manifold(peer) : run_fillrandom(peer);
  const double seconds = static_cast<double>(outcome.elapsed_ns) / 1e9;
  fmt::print("{{\"workload\": \"{}\", \"sync\": {}, \"operations\": {}, \"elapsed_ns\": {}, \"ops_per_second\": {:.0f}}}\n",
             peer.workload, peer.sync, outcome.operations, outcome.elapsed_ns,
             static_cast<double>(outcome.operations) / seconds);
}

}  // namespace
}  // namespace penstock::bench

int main(int argument_count, char** arguments) {
  penstock::bench::PeerOptions peer;
  CLI::App app("Runs a workload of penstock-bench on RocksDB.", "rocksdb_peer");
  app.add_option("WORKLOAD", peer.workload, "manifold or fillrandom")
      ->required()
      ->check(CLI::IsMember({"manifold", "fillrandom"}));
  app.add_option("--dir", peer.directory, "Directory of the database; a RocksDB database there is removed")->required();
  app.add_option("--sync", peer.sync, "1: each commit on stable storage (default); 0: handed to the kernel");
  app.add_option("--clients", peer.clients, "Threads (default: 8 for manifold, 32 for fillrandom)");
  app.add_option("--commits", peer.commits, "manifold: commits per thread");
  app.add_option("--keys", peer.keys, "fillrandom: keys");
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
