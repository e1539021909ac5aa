// RocksDB doing what penstock-bench does in bench/jobs/: the other side of bench/compare.py.
//
// The same keys and values (tools/penstock-bench/dataset.h), threads, batches and durability; compression off. `fillrandom` and
// `overwrite` end when everything is flushed and compacted; `readrandom` keeps its database for the next time. A rate means
// what it means there (tools/penstock-bench/schedule.h). The last line is JSON, latencies in nanoseconds.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
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
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/random.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/schedule.h"

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
  double seconds = 0;  // 0: the workload's own end.
  Rate rate;
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

struct Outcome {
  std::uint64_t operations = 0;
  std::uint64_t elapsed_ns = 0;
  std::uint64_t written_bytes = 0;  // By this process, to storage.
  std::uint64_t behind_ns = 0;      // With a rate: how late the next call would have been at the end.
  base::Histogram latency;
};

// How the clients of a run go: as fast as they can if `rate` says nothing, without an end if `seconds` is 0.
struct Course {
  std::uint32_t clients = 1;
  std::uint32_t batch = 1;  // Operations of a call.
  double seconds = 0;
  Rate rate;
  std::uint64_t seed = 1;
};

Course course_of(const PeerOptions& peer, std::uint32_t own_clients, std::uint32_t batch) {
  return {.clients = peer.clients == 0 ? own_clients : peer.clients,
          .batch = batch,
          .seconds = peer.seconds,
          .rate = peer.rate,
          .seed = peer.seed};
}

// One client: its calls, begun when they are due and timed.
class Client {
 public:
  Client(const Course& course, std::uint32_t number)
      : number_(number),
        runtime_ns_(static_cast<std::uint64_t>(course.seconds * 1e9)),
        pacer_(course.rate, {.client = number, .clients = course.clients, .batch = course.batch, .seed = course.seed}) {}

  std::uint32_t number() const { return number_; }
  void begin(std::uint64_t start_ns) {
    pacer_.begin(start_ns);
    end_ns_ = runtime_ns_ == 0 ? ~std::uint64_t{0} : start_ns + runtime_ns_;
    if (pacer_.is_paced()) {
      sleep_precisely();
    }
  }

  // Makes one call of so many operations; false: the time is over, and it was not made.
  template <typename Call>
  bool call(std::uint32_t operations, Call call) {
    std::uint64_t at_ns = now_ns();
    for (; at_ns < end_ns_ && !pacer_.is_due(at_ns); at_ns = now_ns()) {
      sleep_ns(std::min(pacer_.wake_ns(), end_ns_) - at_ns);
    }
    if (at_ns >= end_ns_) {
      outcome_.behind_ns = pacer_.behind_ns(at_ns);
      return false;
    }
    const std::uint64_t start_ns = pacer_.take(at_ns, operations);
    call();
    outcome_.latency.record(now_ns() - start_ns);
    outcome_.operations += operations;
    return true;
  }
  const Outcome& outcome() const { return outcome_; }

 private:
  std::uint32_t number_;
  std::uint64_t runtime_ns_;
  Pacer pacer_;
  std::uint64_t end_ns_ = 0;
  Outcome outcome_;
};

using Work = std::function<void(Client& client)>;

Outcome sum_of(const std::vector<std::unique_ptr<Client>>& clients, std::uint64_t elapsed_ns) {
  Outcome sum;
  sum.elapsed_ns = elapsed_ns;
  for (const auto& client : clients) {
    sum.operations += client->outcome().operations;
    sum.behind_ns = std::max(sum.behind_ns, client->outcome().behind_ns);
    sum.latency.merge(client->outcome().latency);
  }
  return sum;
}

// Runs `work` on every client's thread at once; timed from the last one's readiness to the last one's end.
Outcome run_clients(const Course& course, const Work& work) {
  std::uint64_t start_ns = 0;
  const auto take_time = [&start_ns]() noexcept { start_ns = now_ns(); };
  std::barrier start(course.clients, take_time);
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint32_t number = 0; number < course.clients; ++number) {
    clients.push_back(std::make_unique<Client>(course, number));
  }
  std::vector<std::string> errors(course.clients);
  std::vector<std::thread> threads;
  for (const auto& client : clients) {
    threads.emplace_back([&, own = client.get()] {
      start.arrive_and_wait();
      try {
        own->begin(start_ns);
        work(*own);
      } catch (const std::exception& error) {
        errors[own->number()] = error.what();
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
  return sum_of(clients, elapsed_ns);
}

// With an end in time each client writes its keys again and again until then, as time_based=1 does on the other side.
Outcome run_manifold(const PeerOptions& peer) {
  constexpr std::uint32_t kFamilies = 8;
  constexpr std::uint32_t kBatch = 1000;
  const Course course = course_of(peer, 8, kBatch);
  const Dataset dataset(8, 150, peer.seed);
  Closer opened;
  open_fresh(peer, kFamilies, opened);
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  return run_clients(course, [&](Client& client) {
    const std::uint32_t family = client.number() % kFamilies;
    const std::uint32_t first = client.number() / kFamilies * peer.commits * kBatch;
    std::string key(dataset.key_size(), '\0');
    std::string value(dataset.value_size(), '\0');
    rocksdb::WriteBatch batch;
    const auto commit = [&] { require(opened.database->Write(write, &batch), "write"); };
    bool goes_on = true;
    for (std::uint32_t round = 0; goes_on && (round == 0 || course.seconds > 0); ++round) {
      for (std::uint32_t number = first; goes_on && number < first + peer.commits * kBatch;) {
        batch.Clear();
        for (std::uint32_t at = 0; at < kBatch; ++at, ++number) {
          dataset.fill_key(number, key.data());
          dataset.fill_value(family, number, round, value.data());
          require(batch.Put(opened.families[family], key, value), "put");
        }
        goes_on = client.call(kBatch, commit);
      }
    }
  });
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

// Writes places [0, count), shared among the clients.
Outcome write_all(const PeerOptions& peer, const Table& table, std::uint64_t count, std::uint32_t version,
                  const NumberAt& number_at) {
  const Course course = course_of(peer, 32, kBatch);
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  return run_clients(course, [&](Client& client) {
    std::uint64_t place = count * client.number() / course.clients;
    const std::uint64_t end = count * (client.number() + 1) / course.clients;
    std::string key(table.dataset.key_size(), '\0');
    std::string value(table.dataset.value_size(), '\0');
    rocksdb::WriteBatch batch;
    const auto commit = [&] { require(table.database.Write(write, &batch), "write"); };
    bool goes_on = true;
    while (goes_on && place < end) {
      batch.Clear();
      std::uint32_t operations = 0;
      for (; operations < kBatch && place < end; ++operations, ++place) {
        const std::uint32_t number = number_at(place);
        table.dataset.fill_key(number, key.data());
        table.dataset.fill_value(0, number, version, value.data());
        require(batch.Put(table.family, key, value), "put");
      }
      goes_on = client.call(operations, commit);
    }
  });
}

// For the data that a workload needs before it begins.
PeerOptions unhurried(PeerOptions peer) {
  peer.rate = {};
  peer.seconds = 0;
  return peer;
}

// The time includes everything that is still to be flushed and compacted.
Outcome settled(const Table& table, Outcome outcome, std::uint64_t written_before) {
  const std::uint64_t start_ns = now_ns();
  settle(table.database, table.family);
  outcome.elapsed_ns += now_ns() - start_ns;
  outcome.written_bytes = read_process_counters().written_bytes - written_before;
  return outcome;
}

Outcome run_fillrandom(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  const Permutation permutation(peer.keys, peer.seed);
  Closer opened;
  open_fresh(peer, 1, opened);
  const Table table{*opened.database, opened.families.front(), dataset};
  const std::uint64_t written_before = read_process_counters().written_bytes;
  const Outcome written = write_all(peer, table, peer.keys, 0,
                                    [&](std::uint64_t place) { return permutation.at(static_cast<std::uint32_t>(place)); });
  return settled(table, written, written_before);
}

// Fills first, without the clock; then as many random overwrites as `operations`.
Outcome run_overwrite(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  const Permutation permutation(peer.keys, peer.seed);
  Closer opened;
  open_fresh(peer, 1, opened);
  const Table table{*opened.database, opened.families.front(), dataset};
  write_all(unhurried(peer), table, peer.keys, 0,
            [&](std::uint64_t place) { return permutation.at(static_cast<std::uint32_t>(place)); });
  settle(*opened.database, table.family);
  const std::uint64_t written_before = read_process_counters().written_bytes;
  const Outcome written = write_all(peer, table, peer.operations, 1, [&](std::uint64_t place) {
    return static_cast<std::uint32_t>(mix_bits(place ^ (peer.seed << 40U)) % peer.keys);
  });
  return settled(table, written, written_before);
}

// Runs `step(random)` on every thread until the time is over: 4 s if nothing is said.
Outcome repeat(const PeerOptions& peer, std::uint32_t own_clients, const std::function<void(base::Random&)>& step) {
  constexpr double kOwnSeconds = 4;
  Course course = course_of(peer, own_clients, 1);
  course.seconds = peer.seconds == 0 ? kOwnSeconds : peer.seconds;
  return run_clients(course, [&](Client& client) {
    base::Random random(mix_bits(peer.seed + client.number()));
    while (client.call(1, [&] { step(random); })) {
    }
  });
}

Outcome run_commit(const PeerOptions& peer) {
  const Dataset dataset(16, 100, peer.seed);
  Closer opened;
  open_fresh(peer, 1, opened);
  rocksdb::WriteOptions write;
  write.sync = peer.sync;
  return repeat(peer, 1, [&](base::Random& random) {
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
    write_all(unhurried(peer), table, peer.keys, 0, [](std::uint64_t place) { return static_cast<std::uint32_t>(place); });
    settle(*opened.database, table.family);
    require(opened.database->Put({}, filled_mark, "1"), "marking the database as filled");
  }
  const std::unique_ptr<rocksdb::Iterator> warm(opened.database->NewIterator({}, table.family));
  for (warm->SeekToFirst(); warm->Valid(); warm->Next()) {
  }
  require(warm->status(), "warming the cache");
  return repeat(peer, 2, [&](base::Random& random) {
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

// As penstock-bench writes them.
std::string latency_json(const base::Histogram& latency) {
  std::string percentiles;
  for (const double percent : {50.0, 90.0, 99.0, 99.9, 99.99}) {
    percentiles += fmt::format("{}\"{:.6f}\": {}", percentiles.empty() ? "" : ", ", percent, latency.percentile_ns(percent));
  }
  return fmt::format("{{\"min\": {}, \"max\": {}, \"mean\": {:.0f}, \"N\": {}, \"percentile\": {{{}}}}}", latency.min_ns(),
                     latency.max_ns(), latency.mean_ns(), latency.count(), percentiles);
}

void run(const PeerOptions& peer) {
  const auto* const workload = std::ranges::find(kWorkloads, peer.workload, &std::pair<const char*, Workload>::first);
  const Outcome outcome = workload->second(peer);
  const double seconds = static_cast<double>(outcome.elapsed_ns) / 1e9;
  fmt::print(
      "{{\"workload\": \"{}\", \"sync\": {}, \"operations\": {}, \"elapsed_ns\": {}, \"written_bytes\": {}, "
      "\"ops_per_second\": {:.0f}, \"rate_ops\": {}, \"behind_ns\": {}, \"lat_ns\": {}}}\n",
      peer.workload, peer.sync, outcome.operations, outcome.elapsed_ns, outcome.written_bytes,
      static_cast<double>(outcome.operations) / seconds, peer.rate.ops_per_second, outcome.behind_ns,
      latency_json(outcome.latency));
}

}  // namespace
}  // namespace penstock::bench

int main(int argument_count, char** arguments) {
  using penstock::bench::RateProcess;
  penstock::bench::PeerOptions peer;
  const std::vector<std::pair<std::string, RateProcess>> processes = {{"linear", RateProcess::kLinear},
                                                                      {"poisson", RateProcess::kPoisson}};
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
  app.add_option(
      "--seconds", peer.seconds,
      "How long; manifold writes its keys again and again until then (default: commit, readrandom 4; else no limit)");
  app.add_option("--rate-ops", peer.rate.ops_per_second,
                 "Operations per second wanted, all threads together; latency then counts from when a call was to begin");
  app.add_option("--rate-process", peer.rate.process, "linear or poisson")->transform(CLI::CheckedTransformer(processes));
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
