// LMDB reading what penstock-bench reads in bench/jobs/readrandom.ini and scan.ini: the other side of a comparison of cached
// reads.
//
// The same keys and values (tools/penstock-bench/dataset.h), the same check of every value and the same clock per read. Each
// thread has a read transaction of its own, renewed for every get. The last line is JSON.
#include <fmt/format.h>
#include <lmdb.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "base/random.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

struct PeerOptions {
  std::string directory;
  std::uint32_t keys = 5 * 1024 * 1024;
  std::uint32_t key_size = 16;
  std::uint32_t value_size = 100;
  std::uint32_t clients = 2;
  double seconds = 5;
  std::uint32_t scan_rows = 0;
};

void require(int result, const char* what) {
  if (result != MDB_SUCCESS) {
    throw std::runtime_error(fmt::format("{}: {}", what, mdb_strerror(result)));
  }
}

class Environment {
 public:
  explicit Environment(const std::string& directory) {
    std::filesystem::create_directories(directory);
    require(mdb_env_create(&environment_), "mdb_env_create");
    require(mdb_env_set_mapsize(environment_, std::size_t{8} << 30U), "mdb_env_set_mapsize");
    require(mdb_env_open(environment_, directory.c_str(), MDB_NOSYNC | MDB_NOTLS, 0644), "mdb_env_open");
  }
  ~Environment() { mdb_env_close(environment_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  MDB_env* get() const noexcept { return environment_; }

 private:
  MDB_env* environment_ = nullptr;
};

MDB_val value_of(std::string& bytes) { return {.mv_size = bytes.size(), .mv_data = bytes.data()}; }

MDB_dbi load(const Environment& environment, const Dataset& dataset, const PeerOptions& peer) {
  MDB_txn* transaction = nullptr;
  MDB_dbi table = 0;
  require(mdb_txn_begin(environment.get(), nullptr, 0, &transaction), "mdb_txn_begin");
  require(mdb_dbi_open(transaction, nullptr, MDB_CREATE, &table), "mdb_dbi_open");
  MDB_stat state{};
  require(mdb_stat(transaction, table, &state), "mdb_stat");
  std::string key(peer.key_size, '\0');
  std::string value(peer.value_size, '\0');
  for (std::uint32_t number = 0; state.ms_entries != peer.keys && number < peer.keys; ++number) {
    dataset.fill_key(number, key.data());
    dataset.fill_value(0, number, 0, value.data());
    MDB_val key_bytes = value_of(key);
    MDB_val value_bytes = value_of(value);
    require(mdb_put(transaction, table, &key_bytes, &value_bytes, 0), "mdb_put");
  }
  require(mdb_txn_commit(transaction), "mdb_txn_commit");
  return table;
}

struct ReaderResult {
  std::uint64_t reads = 0;
  base::Histogram latency;
};

void check_row(const Dataset& dataset, std::uint32_t number, const MDB_val& value) {
  if (!dataset.value_version(0, number, {static_cast<const char*>(value.mv_data), value.mv_size}).has_value()) {
    throw std::runtime_error("a value is not the one written");
  }
}

void read(const Environment& environment, MDB_dbi table, const Dataset& dataset, const PeerOptions& peer, std::uint32_t client,
          const std::atomic<bool>& stop, ReaderResult& result) {
  MDB_txn* transaction = nullptr;
  require(mdb_txn_begin(environment.get(), nullptr, MDB_RDONLY, &transaction), "mdb_txn_begin");
  base::Random random(client + 0x5ead);
  std::string key(peer.key_size, '\0');
  std::uint64_t at_ns = now_ns();
  while (!stop.load(std::memory_order_relaxed)) {
    const auto number = static_cast<std::uint32_t>(random.below(peer.keys));
    dataset.fill_key(number, key.data());
    mdb_txn_reset(transaction);
    require(mdb_txn_renew(transaction), "mdb_txn_renew");
    MDB_val key_bytes = value_of(key);
    MDB_val value{};
    require(mdb_get(transaction, table, &key_bytes, &value), "mdb_get");
    check_row(dataset, number, value);
    const std::uint64_t now = now_ns();
    result.latency.record(now - at_ns);
    at_ns = now;
    ++result.reads;
  }
  mdb_txn_abort(transaction);
}

void scan(const Environment& environment, MDB_dbi table, const Dataset& dataset, const PeerOptions& peer, std::uint32_t client,
          const std::atomic<bool>& stop, ReaderResult& result) {
  MDB_txn* transaction = nullptr;
  MDB_cursor* cursor = nullptr;
  require(mdb_txn_begin(environment.get(), nullptr, MDB_RDONLY, &transaction), "mdb_txn_begin");
  require(mdb_cursor_open(transaction, table, &cursor), "mdb_cursor_open");
  base::Random random(client + 0x5ca7);
  std::string key(peer.key_size, '\0');
  std::uint64_t at_ns = now_ns();
  while (!stop.load(std::memory_order_relaxed)) {
    dataset.fill_key(static_cast<std::uint32_t>(random.below(peer.keys)), key.data());
    mdb_txn_reset(transaction);
    require(mdb_txn_renew(transaction), "mdb_txn_renew");
    require(mdb_cursor_renew(transaction, cursor), "mdb_cursor_renew");
    MDB_val key_bytes = value_of(key);
    MDB_val value{};
    int found = mdb_cursor_get(cursor, &key_bytes, &value, MDB_SET_RANGE);
    for (std::uint32_t row = 0; found == MDB_SUCCESS && row < peer.scan_rows; ++row) {
      check_row(dataset, dataset.number_of({static_cast<const char*>(key_bytes.mv_data), key_bytes.mv_size}), value);
      if (row + 1 < peer.scan_rows) {
        found = mdb_cursor_get(cursor, &key_bytes, &value, MDB_NEXT);
      }
    }
    if (found != MDB_NOTFOUND) {
      require(found, "mdb_cursor_get");
    }
    const std::uint64_t now = now_ns();
    result.latency.record(now - at_ns);
    at_ns = now;
    ++result.reads;
  }
  mdb_cursor_close(cursor);
  mdb_txn_abort(transaction);
}

void run(const PeerOptions& peer) {
  const Environment environment(peer.directory);
  const Dataset dataset(peer.key_size, peer.value_size, 1);
  const MDB_dbi table = load(environment, dataset, peer);
  std::atomic<bool> stop{false};
  std::vector<ReaderResult> results(peer.clients);
  std::vector<std::thread> threads;
  const std::uint64_t start_ns = now_ns();
  for (std::uint32_t client = 0; client < peer.clients; ++client) {
    threads.emplace_back(peer.scan_rows == 0 ? read : scan, std::cref(environment), table, std::cref(dataset), std::cref(peer),
                         client, std::cref(stop), std::ref(results[client]));
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(peer.seconds));
  stop = true;
  std::uint64_t reads = 0;
  for (std::uint32_t client = 0; client < peer.clients; ++client) {
    threads[client].join();
    reads += results[client].reads;
  }
  const double seconds = static_cast<double>(now_ns() - start_ns) / 1e9;
  fmt::print("{{\"ops_per_second\": {:.0f}, \"reads\": {}, \"seconds\": {:.3f}}}\n", static_cast<double>(reads) / seconds,
             reads, seconds);
}

}  // namespace
}  // namespace penstock::bench

int main(int count, char** arguments) {
  penstock::bench::PeerOptions peer;
  CLI::App app("LMDB with the data and the reads of penstock-bench's readrandom");
  app.add_option("--dir", peer.directory, "folder of the database")->required();
  app.add_option("--keys", peer.keys, "keys of the data set");
  app.add_option("--clients", peer.clients, "threads that read");
  app.add_option("--seconds", peer.seconds, "how long");
  app.add_option("--scan-rows", peer.scan_rows, "walk over so many rows from each key on; 0: gets");
  CLI11_PARSE(app, count, arguments);
  try {
    penstock::bench::run(peer);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lmdb_peer: %s\n", error.what());
    return 1;
  }
  return 0;
}
