#include "tools/penstock-bench/runner.h"

#include <fmt/format.h>

#include <ctime>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/recovery.h"

namespace penstock::bench {
namespace {

constexpr const char* kInfoFamily = "bench-info";
constexpr const char* kInfoKey = "data";

// What was filled in: a job that reads or overwrites uses it if it is what the job would make.
std::string data_description(const Job& job) {
  return fmt::format("keys={} key_size={} value_size={} seed={}", job.keys, job.key_size, job.value_size, job.seed);
}

void note_data(Database& database, const Job& job) {
  const Family family = require(database.open_or_create_family(kInfoFamily).get(), "opening family bench-info");
  require(database.put(family, kInfoKey, data_description(job)).get(), "noting what was filled in");
}

bool has_data(Database& database, const Job& job) {
  const Family family = require(database.open_or_create_family(kInfoFamily).get(), "opening family bench-info");
  const Result<std::string> found = database.get(family, kInfoKey).get();
  if (!found.has_value()) {
    require(found.error().is(Code::kNotFound) ? Status() : found.error(), "looking for data");
    return false;
  }
  if (*found != data_description(job)) {
    throw JobError(fmt::format("{} holds other data ({}): give another dir, or fresh=1", job.directory, *found));
  }
  return true;
}

// Fills a database for a job that needs data: fast, and flushed at the end.
void load_data(Database& database, const Job& job, Eta eta, JobResult& result) {
  if (has_data(database, job)) {
    return;
  }
  Job fill = job;
  fill.name += ": loading";
  fill.op = Op::kFillRandom;
  fill.clients = 2;
  fill.iodepth = 8;
  fill.batch = 1000;
  fill.on_shard = fill.session = false;
  fill.ops = fill.runtime_ns = 0;
  fill.time_based = false;
  fill.rate = {};
  fill.durability = Durability::kWritten;
  const std::uint64_t start_ns = now_ns();
  const std::vector<Family> families = open_families(database, fill);
  const Dataset dataset(fill.key_size, fill.value_size, fill.seed);
  const Permutation permutation(static_cast<std::uint32_t>(fill.keys), fill.seed);
  const auto counters = std::make_unique<ClientCounters[]>(fill.clients);
  const LoadResult load = run_load({fill, database, families, dataset, permutation, counters.get()}, eta, 'L');
  if (!load.error.empty() || g_interrupted) {
    throw JobError("loading the data: " + (load.error.empty() ? "interrupted" : load.error));
  }
  require(database.flush().get(), "flushing the data");
  note_data(database, fill);
  result.loaded_keys = fill.keys;
  result.load_ns = now_ns() - start_ns;
}

class Measurement {
 public:
  Measurement(Session& session, const Job& job, JobResult& result) : session_(session), job_(job), result_(result) {
    result_.metrics.before = session_.database().metrics().get().value();
    result_.disk.before = read_disk_counters(job.directory);
    result_.process.before = read_process_counters();
  }
  void finish() {
    result_.process.after = read_process_counters();
    result_.disk.after = read_disk_counters(job_.directory);
    result_.metrics.after = session_.database().metrics().get().value();
    result_.directory_bytes = directory_bytes(job_.directory);
    result_.reactors = session_.runtime().reactors();
    result_.shards = session_.database().shard_count();
    result_.io_backend = session_.runtime().io_backend();
  }

 private:
  Session& session_;
  const Job& job_;
  JobResult& result_;
};

void settle(Database& database, const Job& job, Eta eta, JobResult& result) {
  const std::uint64_t start_ns = now_ns();
  const Progress progress(job.name, 'F', eta,
                          [&] { return ProgressSample{.operations = result.operations, .commits = result.commits}; });
  require(database.flush().get(), "flush");
  result.settle_ns = now_ns() - start_ns;
  result.elapsed_ns += result.settle_ns;
}

void add_up(const Load& load, const LoadResult& loaded, JobResult& result) {
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    result.operations += load.counters[client].operations.load();
    result.commits += load.counters[client].commits.load();
    result.latency.merge(loaded.clients[client]->latency);
  }
  result.elapsed_ns = loaded.elapsed_ns;
  result.behind_ns = loaded.behind_ns;
  result.error = loaded.error;
}

void run_measured(Session& session, const Job& job, Eta eta, JobResult& result) {
  Database& database = session.open(job);
  if (!op_fills(job.op)) {
    load_data(database, job, eta, result);
    if (job.reopen && result.loaded_keys > 0) {
      session.reopen_ns(job);  // Loading has warmed the cache.
    }
  }
  std::vector<Family> families = open_families(session.database(), job);
  const Dataset dataset(job.key_size, job.value_size, job.seed);
  const Permutation permutation(static_cast<std::uint32_t>(job.keys), job.seed);
  const auto counters = std::make_unique<ClientCounters[]>(job.clients);
  const Load load{job, session.database(), families, dataset, permutation, counters.get()};
  Measurement measurement(session, job, result);
  const LoadResult loaded = run_load(load, eta, op_reads(job.op) ? 'R' : 'W');
  add_up(load, loaded, result);
  if (job.settled && result.error.empty()) {
    settle(session.database(), job, eta, result);
  }
  measurement.finish();
  if (job.op == Op::kFillRandom && !job.time_based && result.error.empty() && result.operations == job.keys) {
    note_data(session.database(), job);
  }
  if (job.verify && !op_reads(job.op)) {
    session.reopen_ns(job);
    std::vector<std::uint64_t> issued;
    for (const auto& client : loaded.clients) {
      issued.push_back(client->issued);
    }
    families = open_families(session.database(), job);
    result.verify = verify_load(load, issued, eta);
  }
}

}  // namespace

JobResult run_job(Session& session, const Job& job, Eta eta) {
  JobResult result;
  result.job = job;
  result.started_unix = static_cast<std::uint64_t>(std::time(nullptr));
  try {
    if (job.op == Op::kRecovery) {
      run_recovery(session, job, eta, result);
    } else {
      run_measured(session, job, eta, result);
    }
  } catch (const std::exception& error) {
    if (result.error.empty()) {
      result.error = error.what();
    }
  }
  if (result.error.empty() && result.verify.has_value() && !result.verify->is_ok()) {
    result.error = "verify: " + result.verify->first_problem;
  }
  return result;
}

}  // namespace penstock::bench
