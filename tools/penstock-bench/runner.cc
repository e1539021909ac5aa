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

// What was filled in: a job that reads or overwrites uses it if it is what the job would make.
std::string data_description(const Job& job) {
  return fmt::format("keys={} key_size={} value_size={} seed={}", job.keys, job.key_size, job.value_size, job.seed);
}

bool has_data(Session& session, const Job& job) {
  const std::string found = session.noted_data();
  if (!found.empty() && found != data_description(job)) {
    throw JobError(fmt::format("{} holds other data ({}): give another dir, or fresh=1", session.path(job), found));
  }
  return !found.empty();
}

std::vector<Family> families_of(Session& session, const Job& job) {
  return session.peer() != nullptr ? std::vector<Family>() : open_families(session.database(), job);
}

Load load_of(Session& session, const Job& job, const std::vector<Family>& families, const Dataset& dataset,
             const Permutation& permutation, ClientCounters* counters) {
  Database* database = session.peer() != nullptr ? nullptr : &session.database();
  return {job, database, families, dataset, permutation, counters, session.peer()};
}

// How a job's data is made if it is not there: fast. Peers get it in the order of the keys, which suits all of them best, from
// one client, as some write for one at a time.
Job loading_job(const Job& job) {
  constexpr std::uint32_t kBatch = 1000;
  Job fill = job;
  fill.name += ": loading";
  fill.clients = 2;
  fill.iodepth = 8;
  fill.op = Op::kFillRandom;
  fill.batch = kBatch;
  fill.on_shard = fill.session = fill.fresh = fill.reopen = false;
  fill.ops = fill.runtime_ns = 0;
  fill.time_based = false;
  fill.rate = {};
  fill.durability = Durability::kWritten;
  if (job.engine != Engine::kPenstock) {
    fill.op = Op::kBatchPut;
    fill.clients = fill.iodepth = 1;
    fill.commits = (job.keys + kBatch - 1) / kBatch;
    fill.ops = job.keys;
  }
  return fill;
}

// Fills a store for a job that needs data: fast, and flushed at the end.
void load_data(Session& session, const Job& job, Eta eta, JobResult& result) {
  if (has_data(session, job)) {
    return;
  }
  Job fill = loading_job(job);
  fill.fresh = session.made_here();  // No rows of another job between its own.
  const std::uint64_t start_ns = now_ns();
  session.open(fill);  // A peer's durability belongs to its options: it is opened anew.
  const std::vector<Family> families = families_of(session, fill);
  const Dataset dataset(fill.key_size, fill.value_size, fill.seed);
  const Permutation permutation(static_cast<std::uint32_t>(fill.keys), fill.seed);
  const auto counters = std::make_unique<ClientCounters[]>(fill.clients);
  const LoadResult load = run_load(load_of(session, fill, families, dataset, permutation, counters.get()), eta, 'L');
  if (!load.error.empty() || g_interrupted) {
    throw JobError("loading the data: " + (load.error.empty() ? "interrupted" : load.error));
  }
  session.settle();
  session.note_data(data_description(fill));
  result.loaded_keys = fill.keys;
  result.load_ns = now_ns() - start_ns;
}

class Measurement {
 public:
  Measurement(Session& session, const Job& job, JobResult& result) : session_(session), job_(job), result_(result) {
    if (session_.peer() != nullptr) {
      counters_before_ = session_.peer()->counters();
    } else {
      result_.metrics.before = session_.database().metrics().get().value();
    }
    result_.disk.before = read_disk_counters(job.directory);
    result_.process.before = read_process_counters();
  }
  void finish() {
    result_.process.after = read_process_counters();
    result_.disk.after = read_disk_counters(job_.directory);
    result_.directory_bytes = directory_bytes(session_.path(job_));
    if (session_.peer() != nullptr) {
      finish_peer(*session_.peer());
      return;
    }
    result_.metrics.after = session_.database().metrics().get().value();
    result_.reactors = session_.runtime().reactors();
    result_.shards = session_.database().shard_count();
    result_.io_backend = session_.runtime().io_backend();
  }

 private:
  void finish_peer(const Peer& peer) {
    std::vector<PeerCounter> counters = peer.counters();
    for (std::size_t at = 0; at < counters.size(); ++at) {
      counters[at].value -= counters_before_[at].value;
    }
    result_.peer = PeerOutcome{.about = peer.about(), .counters = std::move(counters)};
  }

  Session& session_;
  const Job& job_;
  JobResult& result_;
  std::vector<PeerCounter> counters_before_;
};

void settle(Session& session, const Job& job, Eta eta, JobResult& result) {
  const std::uint64_t start_ns = now_ns();
  const Progress progress(job.name, 'F', eta,
                          [&] { return ProgressSample{.operations = result.operations, .commits = result.commits}; });
  session.settle();
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
  session.open(job);
  if (!op_fills(job.op)) {
    load_data(session, job, eta, result);
    if (result.loaded_keys > 0 && (job.reopen || session.peer() != nullptr)) {
      session.reopen_ns(job);  // Loading has warmed the cache, and was done with options of its own.
    }
  }
  const std::vector<Family> families = families_of(session, job);
  const Dataset dataset(job.key_size, job.value_size, job.seed);
  const Permutation permutation(static_cast<std::uint32_t>(job.keys), job.seed);
  const auto counters = std::make_unique<ClientCounters[]>(job.clients);
  const Load load = load_of(session, job, families, dataset, permutation, counters.get());
  Measurement measurement(session, job, result);
  const LoadResult loaded = run_load(load, eta, op_reads(job.op) ? 'R' : 'W');
  add_up(load, loaded, result);
  if (job.settled && result.error.empty()) {
    settle(session, job, eta, result);
  }
  measurement.finish();
  if (job.op == Op::kFillRandom && !job.time_based && result.error.empty() && result.operations == job.keys) {
    session.note_data(data_description(job));
  }
  if (job.verify && !op_reads(job.op)) {
    session.reopen_ns(job);
    std::vector<std::uint64_t> issued;
    for (const auto& client : loaded.clients) {
      issued.push_back(client->issued);
    }
    const std::vector<Family> reopened = families_of(session, job);
    result.verify = verify_load(load_of(session, job, reopened, dataset, permutation, counters.get()), issued, eta);
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
