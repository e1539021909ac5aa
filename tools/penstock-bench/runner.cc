#include "tools/penstock-bench/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <exception>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "tools/penstock-bench/crash_check.h"
#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/log_files.h"
#include "tools/penstock-bench/recovery.h"

namespace penstock::bench {
namespace {

constexpr const char* kGone = "; keys were deleted";

// What was filled in: a job that reads or overwrites uses it if it is what the job would make.
std::string data_description(const Job& job) {
  return fmt::format("keys={} key_size={} value_size={} seed={}{}", job.keys, job.key_size, job.value_size.to_string(),
                     job.seed, job.cfs > 1 ? fmt::format(" cfs={}", job.cfs) : "");
}

// Data that lost keys are made anew.
bool has_data(Session& session, const Job& job) {
  std::string found = session.noted_data();
  const bool lost_keys = found.ends_with(kGone);
  if (lost_keys) {
    found.resize(found.size() - std::string_view(kGone).size());
  }
  if (!found.empty() && found != data_description(job)) {
    throw JobError(fmt::format("{} holds other data ({}): give another dir, or fresh=1", session.path(job), found));
  }
  return !found.empty() && !lost_keys;
}

std::vector<Family> families_of(Session& session, const Job& job) {
  return session.peer() != nullptr ? std::vector<Family>() : open_families(session.database(), job);
}

// What a load refers to, in one place.
struct Prepared {
  Prepared(Session& session, const Job& with)
      : job(with),
        families(families_of(session, with)),
        dataset(with.key_size, with.value_size, with.seed),
        counters(std::make_unique<ClientCounters[]>(with.clients)) {}

  Load load(Session& session, bool may_miss) {
    Database* database = session.peer() != nullptr ? nullptr : &session.database();
    return {job, database, families, dataset, counters.get(), session.peer(), may_miss};
  }

  const Job& job;
  std::vector<Family> families;
  Dataset dataset;
  std::unique_ptr<ClientCounters[]> counters;
};

// How a job's data are made if they are not there: fast. Peers get them in the order of the keys, which suits all of them best,
// from one client, as some write for one at a time.
Job loading_job(const Job& job) {
  constexpr std::uint64_t kBatch = 1000;
  constexpr std::uint64_t kBatchBytes = std::uint64_t{1} << 20U;
  const std::uint64_t batch_bytes = std::min(kBatchBytes, job.database.log_segment_bytes / 4);
  Job fill;
  fill.name = job.name + ": loading";
  fill.engine = job.engine;
  fill.op = Op::kPut;
  fill.mix = {{.kind = OpKind::kPut, .share = 1}};
  fill.directory = job.directory;
  fill.cfs = job.cfs;
  fill.cf_placement = job.cf_placement;
  fill.cf_affinity = Affinity::kRandom;
  fill.keys = job.keys;
  fill.key_size = job.key_size;
  fill.value_size = job.value_size;
  fill.seed = job.seed;
  fill.batch =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(batch_bytes / (job.key_size + job.value_size.max()), 1, kBatch));
  fill.durability = Durability::kWritten;
  fill.cache_bytes = job.cache_bytes;
  fill.runtime = job.runtime;
  fill.database = job.database;
  const bool is_peer = job.engine != Engine::kPenstock;
  fill.key_order = is_peer ? KeyOrder::kSequential : KeyOrder::kShuffled;
  fill.clients = is_peer || job.keys < 2 ? 1 : 2;
  fill.iodepth = is_peer ? 1 : 8;
  return fill;
}

// Fills a store for a job that needs data: fast, and flushed at the end.
void load_data(Session& session, const Job& job, Eta eta, JobResult& result) {
  Job fill = loading_job(job);
  fill.fresh = session.made_here();  // No rows of another job between its own.
  const std::uint64_t start_ns = now_ns();
  session.open(fill);  // A peer's durability belongs to its options: it is opened anew.
  Prepared prepared(session, fill);
  const Load load = prepared.load(session, false);
  const std::vector<LoadResult> loaded = run_loads({&load, 1}, eta, 'L', [] {});
  if (!loaded.front().error.empty() || g_interrupted) {
    throw JobError("loading the data: " + (loaded.front().error.empty() ? "interrupted" : loaded.front().error));
  }
  session.settle();
  session.note_data(data_description(fill));
  result.loaded_keys = fill.keys * fill.cfs;
  result.load_ns = now_ns() - start_ns;
}

// What is counted for all jobs of a run together.
class Measurement {
 public:
  Measurement(Session& session, const Job& job) : session_(session), job_(job) {}

  void begin() {
    if (session_.peer() != nullptr) {
      counters_before_ = session_.peer()->counters();
    } else {
      common_.metrics.before = session_.database().metrics().get().value();
      common_.stages.emplace().before = session_.database().commit_stages().get().value();
    }
    common_.disk.before = read_disk_counters(job_.directory);
    common_.process.before = read_process_counters();
  }
  void finish() {
    common_.process.after = read_process_counters();
    common_.disk.after = read_disk_counters(job_.directory);
    common_.directory_bytes = directory_bytes(session_.path(job_));
    common_.disk_use_bytes = disk_use_bytes(session_.path(job_));
    if (session_.peer() != nullptr) {
      finish_peer(*session_.peer());
      return;
    }
    common_.metrics.after = session_.database().metrics().get().value();
    common_.stages->after = session_.database().commit_stages().get().value();
    common_.reactors = session_.runtime().reactors();
    common_.shards = session_.database().shard_count();
    common_.io_backend = session_.runtime().io_backend();
  }
  void put_into(JobResult& result) const {
    result.metrics = common_.metrics;
    result.stages = common_.stages;
    result.disk_use_bytes = common_.disk_use_bytes;
    result.disk = common_.disk;
    result.process = common_.process;
    result.directory_bytes = common_.directory_bytes;
    result.reactors = common_.reactors;
    result.shards = common_.shards;
    result.io_backend = common_.io_backend;
    result.peer = common_.peer;
  }

 private:
  void finish_peer(const Peer& peer) {
    std::vector<PeerCounter> counters = peer.counters();
    for (std::size_t at = 0; at < counters.size(); ++at) {
      counters[at].value -= counters_before_[at].value;
    }
    common_.peer = PeerOutcome{.about = peer.about(), .counters = std::move(counters)};
  }

  Session& session_;
  const Job& job_;
  JobResult common_;
  std::vector<PeerCounter> counters_before_;
};

// A client that notes none has one call in flight at a time.
void add_depths(const LoadResult& loaded, JobResult& result) {
  std::uint64_t noted = 0;
  for (const auto& client : loaded.clients) {
    for (std::size_t level = 0; level < kDepthLevels; ++level) {
      result.depths[level] += client->depths[level];
      noted += client->depths[level];
    }
  }
  if (noted == 0) {
    for (const OpStats& stats : result.ops) {
      result.depths[0] += stats.calls;
    }
  }
}

void add_up(const Load& load, const LoadResult& loaded, JobResult& result) {
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    OpStats sum{.kind = static_cast<OpKind>(kind)};
    bool is_there = false;
    for (const auto& client : loaded.clients) {
      if (client->stats[kind] != nullptr) {
        sum.merge(*client->stats[kind]);
        is_there = true;
      }
    }
    if (is_there) {
      result.ops.push_back(sum);
    }
  }
  add_depths(loaded, result);
  result.series = loaded.series;
  result.elapsed_ns = loaded.elapsed_ns;
  result.behind_ns = loaded.behind_ns;
  result.error = loaded.error;
  PENSTOCK_ASSERT_EQ(loaded.clients.size(), load.job.clients);
}

// The jobs of a run, which share a store: one step after the other, each for all jobs.
class ConcurrentJobs {
 public:
  ConcurrentJobs(Session& session, std::span<const Job> jobs, Eta eta, std::vector<JobResult>& results, Ledger* ledger,
                 const StatusReport& status)
      : session_(session),
        jobs_(jobs),
        eta_(eta),
        results_(results),
        status_(status),
        measurement_(session, jobs.front()),
        ledger_(ledger) {}

  void run() {
    open();
    load();
    run_clients();
    settle();
    measurement_.finish();
    for (JobResult& result : results_) {
      measurement_.put_into(result);
    }
    note_data();
    for (std::size_t at = 0; at < jobs_.size(); ++at) {
      write_log_files(jobs_[at], loaded_[at]);
    }
    if (own_ledger_.has_value()) {
      verify();
    }
  }

 private:
  void open() {
    Job first = jobs_.front();
    first.fresh = std::ranges::any_of(jobs_, &Job::fresh);
    first.reopen = std::ranges::any_of(jobs_, &Job::reopen);
    session_.open(first);
  }

  void load() {
    const auto wants = std::ranges::find_if(jobs_, &Job::preload);
    if (wants == jobs_.end() || has_data(session_, *wants)) {
      return;
    }
    load_data(session_, *wants, eta_, results_[static_cast<std::size_t>(wants - jobs_.begin())]);
    if (std::ranges::any_of(jobs_, &Job::reopen) || session_.peer() != nullptr) {
      session_.reopen(jobs_.front());  // Loading has warmed the cache, and was done with options of its own.
    }
  }

  void run_clients() {
    for (JobResult& result : results_) {
      result.open_ns = session_.open_ns();
    }
    const bool deletes = std::ranges::any_of(jobs_, &Job::deletes);
    if (deletes && !session_.noted_data().empty()) {
      session_.note_data(data_description(jobs_.front()) + kGone);
    }
    for (const Job& job : jobs_) {
      prepared_.emplace_back(session_, job);
      loads_.push_back(prepared_.back().load(session_, deletes || !job.preload));
      if (job.writes()) {
        use_ledger(job, loads_.back());
      }
    }
    const bool writes = std::ranges::any_of(jobs_, &Job::writes);
    const StatusWatch watch{.interval_ns = status_.interval_ns,
                            .at_status = [this](const std::vector<LoadResult>& so_far) { print_status(so_far); }};
    loaded_ = run_loads(loads_, eta_, writes ? 'W' : 'R', [this] { measurement_.begin(); }, watch);
    for (std::size_t at = 0; at < jobs_.size(); ++at) {
      add_up(loads_[at], loaded_[at], results_[at]);
    }
  }

  void print_status(const std::vector<LoadResult>& so_far) {
    measurement_.finish();
    std::vector<JobResult> results = results_;
    for (std::size_t at = 0; at < jobs_.size(); ++at) {
      add_up(loads_[at], so_far[at], results[at]);
      measurement_.put_into(results[at]);
    }
    status_.print(std::move(results));
  }

  void settle() {
    const bool has_failed = std::ranges::any_of(results_, [](const JobResult& result) { return !result.error.empty(); });
    if (has_failed || std::ranges::none_of(jobs_, &Job::settle)) {
      return;
    }
    const std::uint64_t start_ns = now_ns();
    {
      const Progress progress(jobs_.front().name, 'F', eta_, [this] {
        return ProgressSample{.operations = results_.front().operations(), .commits = results_.front().commits()};
      });
      session_.settle();
    }
    for (JobResult& result : results_) {
      if (result.job.settle) {
        result.settle_ns = now_ns() - start_ns;
        result.elapsed_ns += result.settle_ns;
      }
    }
  }

  void note_data() {
    const JobResult& result = results_.front();
    const bool is_whole = jobs_.size() == 1 && result.job.makes_data() && !result.job.time_based && result.error.empty() &&
                          result.operations() == result.job.keys * result.job.cfs * result.job.loops;
    if (is_whole) {
      session_.note_data(data_description(result.job));
    }
  }

  // With verify= the counters are in a file, so that they outlive this process. At most one job of a run writes then.
  void use_ledger(const Job& job, Load& load) {
    if (ledger_ == nullptr && job.verify) {
      own_ledger_.emplace(Ledger::create(ledger_path(job), plan_text(job), job.clients));
      if (!job.check.ledger_path.empty()) {
        own_ledger_->keep_durable();
      }
      ledger_ = &*own_ledger_;
    }
    if (ledger_ != nullptr) {
      load.counters = ledger_->counters();
      load.ledger = ledger_->is_kept_durable() ? ledger_ : nullptr;
    }
  }

  void verify() {
    for (std::size_t at = 0; at < jobs_.size(); ++at) {
      if (jobs_[at].verify && jobs_[at].writes() && results_[at].error.empty()) {
        session_.reopen(jobs_.front());
        prepared_[at].families = families_of(session_, jobs_[at]);
        Load load = prepared_[at].load(session_, loads_[at].may_miss);
        load.counters = ledger_->counters();
        VerifyInput input = verify_input(jobs_[at], *ledger_, false);
        input.was_empty = input.was_empty && jobs_.size() == 1;
        results_[at].verify = verify_store(load, input, eta_);
      }
    }
  }

  Session& session_;
  const std::span<const Job> jobs_;
  const Eta eta_;
  std::vector<JobResult>& results_;
  const StatusReport& status_;
  Measurement measurement_;
  std::deque<Prepared> prepared_;
  std::vector<Load> loads_;
  std::vector<LoadResult> loaded_;
  Ledger* ledger_;
  std::optional<Ledger> own_ledger_;
};

void check_limits(JobResult& result) {
  const Job& job = result.job;
  for (const OpStats& stats : result.ops) {
    if (job.max_latency_ns > 0 && stats.latency.max_ns() > job.max_latency_ns) {
      result.error = fmt::format("max_latency: a {} took {} ns; {} are allowed", kind_name(stats.kind), stats.latency.max_ns(),
                                 job.max_latency_ns);
    }
  }
  const std::uint64_t ran_ns = result.elapsed_ns - result.settle_ns;
  const double rate = ran_ns == 0 ? 0 : static_cast<double>(result.operations()) * 1e9 / static_cast<double>(ran_ns);
  if (job.rate_min > 0 && !result.ops.empty() && rate < static_cast<double>(job.rate_min)) {
    result.error = fmt::format("rate_min: {:.0f} operations per second; {} were wanted at least", rate, job.rate_min);
  }
  result.failure = result.error.empty() ? Failure::kNone : Failure::kLimit;
}

std::uint64_t sum_of(const std::vector<OpStats>& ops, std::uint64_t (*part)(const OpStats&)) {
  return std::accumulate(ops.begin(), ops.end(), std::uint64_t{0},
                         [part](std::uint64_t sum, const OpStats& stats) { return sum + part(stats); });
}

void merge_into(JobResult& sum, JobResult&& other) {
  ++sum.jobs;
  sum.job.clients += other.job.clients;
  for (const OpStats& stats : other.ops) {
    const auto same = std::ranges::find(sum.ops, stats.kind, &OpStats::kind);
    if (same != sum.ops.end()) {
      same->merge(stats);
    } else {
      sum.ops.push_back(stats);
    }
  }
  std::ranges::sort(sum.ops, {}, &OpStats::kind);
  for (std::size_t level = 0; level < kDepthLevels; ++level) {
    sum.depths[level] += other.depths[level];
  }
  sum.elapsed_ns = std::max(sum.elapsed_ns, other.elapsed_ns);
  sum.settle_ns = std::max(sum.settle_ns, other.settle_ns);
  sum.behind_ns = std::max(sum.behind_ns, other.behind_ns);
  sum.loaded_keys += other.loaded_keys;
  sum.load_ns += other.load_ns;
  if (sum.error.empty()) {
    sum.error = std::move(other.error);
    sum.failure = other.failure;
  }
  if (!sum.verify.has_value()) {
    sum.verify = std::move(other.verify);
  }
}

}  // namespace

std::uint64_t JobResult::operations() const noexcept {
  return sum_of(ops, [](const OpStats& stats) { return stats.operations; });
}
std::uint64_t JobResult::commits() const noexcept {
  return sum_of(ops, [](const OpStats& stats) { return kind_writes(stats.kind) ? stats.calls : 0; });
}
std::uint64_t JobResult::user_bytes() const noexcept {
  return sum_of(ops, [](const OpStats& stats) { return stats.bytes; });
}
std::uint64_t JobResult::written_bytes() const noexcept {
  return sum_of(ops, [](const OpStats& stats) { return kind_writes(stats.kind) ? stats.bytes : 0; });
}

std::size_t concurrent_jobs(std::span<const Job> jobs) {
  std::size_t count = 1;
  while (count < jobs.size() && !jobs[count].stonewall) {
    ++count;
  }
  return count;
}

std::vector<JobResult> run_jobs(Session& session, std::span<const Job> jobs, Eta eta, Ledger* ledger,
                                const StatusReport& status) {
  std::vector<JobResult> results(jobs.size());
  for (std::size_t at = 0; at < jobs.size(); ++at) {
    results[at].job = jobs[at];
    results[at].concurrent = static_cast<std::uint32_t>(jobs.size());
    results[at].started_unix = static_cast<std::uint64_t>(std::time(nullptr));
  }
  try {
    if (jobs.front().op == Op::kRecovery) {
      run_recovery(session, jobs.front(), eta, results.front());
    } else if (ledger == nullptr && is_crash_check(jobs.front())) {
      run_crash_check(session, jobs.front(), eta, results.front());
    } else {
      ConcurrentJobs(session, jobs, eta, results, ledger, status).run();
    }
  } catch (const std::exception& error) {
    const bool is_environment = dynamic_cast<const EnvironmentError*>(&error) != nullptr;
    for (JobResult& result : results) {
      if (result.error.empty()) {
        result.error = error.what();
        result.failure = is_environment ? Failure::kEnvironment : Failure::kJob;
      }
    }
  }
  for (JobResult& result : results) {
    if (result.error.empty() && result.verify.has_value() && !result.verify->is_ok()) {
      result.error = "verify: " + result.verify->first_problem;
    }
    if (result.error.empty()) {
      check_limits(result);
    } else if (result.failure == Failure::kNone) {
      result.failure = Failure::kJob;
    }
  }
  return results;
}

std::vector<JobResult> merge_groups(std::vector<JobResult> results, std::uint32_t first_group) {
  std::vector<JobResult> merged;
  std::uint32_t group_id = first_group;
  for (JobResult& result : results) {
    const bool begins = &result == &results.front() || result.job.stonewall || result.job.new_group;
    if (begins && &result != &results.front()) {
      ++group_id;
    }
    if (!begins && result.job.group_reporting && merged.back().job.group_reporting) {
      merge_into(merged.back(), std::move(result));
      continue;
    }
    merged.push_back(std::move(result));
    merged.back().group_id = group_id;
  }
  return merged;
}

}  // namespace penstock::bench
