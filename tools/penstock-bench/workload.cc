#include "tools/penstock-bench/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/ledger.h"

namespace penstock::bench {

std::atomic<bool> g_interrupted{false};
std::atomic<bool> g_status_wanted{false};

namespace {

Client client_of(const Job& job) {
  if (job.engine != Engine::kPenstock) {
    return call_peer;
  }
  if (job.on_shard()) {
    return call_on_shard;
  }
  return job.session ? get_through_session : call_from_thread;
}

void run_client(Run& run, StartLine& line, std::uint32_t client, ClientResult& result) {
  if (run.load.job.rate.ops_per_second > 0) {
    sleep_precisely();
  }
  try {
    client_of(run.load.job)(run, line, client, result);
  } catch (const std::exception& error) {
    result.error = error.what();
    run.failed = true;
  }
  std::uint64_t seen = run.end_ns;
  for (const std::uint64_t ended = now_ns(); seen < ended && !run.end_ns.compare_exchange_weak(seen, ended);) {
  }
  ++run.ended;
}

// Operations that end the job; kUnlimited if only time does.
std::uint64_t total_steps(const Job& job) {
  std::uint64_t total = 0;
  for (std::uint32_t client = 0; client < job.clients; ++client) {
    const std::uint64_t steps = Plan(job, client).step_count();
    if (steps == kUnlimited) {
      return kUnlimited;
    }
    total += steps;
  }
  return total;
}

double part_done(const Run& run, std::uint64_t operations, std::uint64_t total) {
  const Job& job = run.load.job;
  const std::uint64_t start_ns = run.start_ns;
  double part = total != kUnlimited && total > 0 ? static_cast<double>(operations) / static_cast<double>(total) : -1;
  if (job.runtime_ns > 0 && start_ns > 0) {
    const std::uint64_t at_ns = std::max(now_ns(), start_ns);
    part = std::max(part, static_cast<double>(at_ns - start_ns) / static_cast<double>(job.ramp_ns + job.runtime_ns));
  }
  return part;
}

std::string status_text(const std::string& title, const SeriesCounts& counts) {
  std::string text = fmt::format("status: {}: {} operations", title, counts.operations());
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    if (counts.by_kind[kind] > 0) {
      text += fmt::format(", {} {}", kind_name(static_cast<OpKind>(kind)), counts.by_kind[kind]);
    }
  }
  return text + fmt::format(", {} commits, {} flushes, {} bytes written", counts.commits, counts.flushes, counts.written_bytes);
}

// All jobs of a run: their threads, and what the main one sees of them.
class Crowd {
 public:
  Crowd(std::span<const Load> loads, const StatusWatch& watch) : watch_(watch) {
    for (const Load& load : loads) {
      runs_.emplace_back(load, watch.interval_ns);
      totals_.push_back(total_steps(load.job));
      results_.emplace_back();
      clients_ += load.job.clients;
    }
    for (Run& run : runs_) {
      pointers_.push_back(&run);
    }
  }

  std::vector<LoadResult> run(Eta eta, char letter, const std::function<void()>& at_measure) {
    StartLine line(static_cast<std::ptrdiff_t>(clients_), pointers_);
    if (earliest_measure_ns() == 0) {
      at_measure();
    }
    std::exception_ptr problem;
    std::optional<SeriesSampler> sampler;
    std::vector<std::thread> threads;
    for (std::size_t at = 0; at < runs_.size(); ++at) {
      for (std::uint32_t client = 0; client < runs_[at].load.job.clients; ++client) {
        results_[at].clients.push_back(std::make_unique<ClientResult>());
        threads.emplace_back(run_client, std::ref(runs_[at]), std::ref(line), client, std::ref(*results_[at].clients.back()));
      }
    }
    {
      const Progress progress(title(), letter, eta, [this] { return sample(); });
      try {
        if (earliest_measure_ns() > 0) {
          wait_for_measure();
          at_measure();
        }
        series_base_ = totals();
        sampler.emplace([this] { return series_totals(); });
        watch();
      } catch (...) {
        problem = std::current_exception();
        std::ranges::for_each(runs_, [](Run& run) { run.failed = true; });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
    }
    if (problem != nullptr) {
      std::rethrow_exception(problem);
    }
    const Series series = sampler->finish();
    for (std::size_t at = 0; at < runs_.size(); ++at) {
      finish(runs_[at], results_[at]);
      results_[at].series = series;
    }
    return std::move(results_);
  }

 private:
  std::string title() const {
    const Job& job = runs_.front().load.job;
    return runs_.size() == 1 ? fmt::format("{} (c={})", job.name, job.clients)
                             : fmt::format("{} and {} more (c={})", job.name, runs_.size() - 1, clients_);
  }

  std::uint64_t earliest_measure_ns() const {
    std::uint64_t earliest = kUnlimited;
    for (const Run& run : runs_) {
      earliest = std::min(earliest, run.load.job.startdelay_ns + run.load.job.ramp_ns);
    }
    return earliest;
  }

  // Or for the end, if that comes first.
  void wait_for_measure() const {
    constexpr std::uint64_t kNapNs = 5'000'000;
    const std::uint64_t earliest_ns = earliest_measure_ns();
    while (!g_interrupted) {
      const bool is_time = std::ranges::any_of(runs_, [&](const Run& run) {
        const std::uint64_t began_ns = run.start_ns;
        return began_ns > 0 && now_ns() >= began_ns - run.load.job.startdelay_ns + earliest_ns;
      });
      const bool is_over = std::ranges::any_of(runs_, [](const Run& run) { return run.failed || run.end_ns > 0; });
      if (is_time || is_over) {
        return;
      }
      sleep_ns(kNapNs);
    }
  }

  // Of all jobs, since they were opened; of the store, since it was.
  SeriesCounts totals() const {
    SeriesCounts sum;
    for (const Run& run : runs_) {
      for (std::uint32_t client = 0; client < run.load.job.clients; ++client) {
        const ClientCounters& counters = run.load.counters[client];
        for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
          sum.by_kind[kind] += counters.operations[kind].load(std::memory_order_relaxed);
        }
        sum.commits += counters.commits.load(std::memory_order_relaxed);
      }
    }
    if (Database* database = runs_.front().load.database; database != nullptr) {
      if (const Result<Metrics> metrics = database->metrics().get(); metrics.has_value()) {
        sum.flushes = metrics->flushes;
        sum.delayed_ns = metrics->delayed_ns;
        sum.stalls = metrics->stalls;
      }
    }
    sum.written_bytes = read_process_counters().written_bytes;
    return sum;
  }

  // On the sampler's thread.
  SeriesCounts series_totals() const {
    SeriesCounts since = totals();
    since.subtract(series_base_);
    for (const Run& run : runs_) {
      if (run.load.ledger != nullptr) {
        run.load.ledger->sync();
      }
    }
    if (g_status_wanted.exchange(false)) {
      fmt::print(stderr, "{}\n", status_text(title(), since));
    }
    return since;
  }

  // Until all clients have ended, if somebody wants to know how far they are.
  void watch() const {
    constexpr std::uint64_t kNapNs = 5'000'000;
    const auto has_ended = [](const Run& run) { return run.ended == run.load.job.clients; };
    std::uint64_t next_ns = now_ns() + watch_.interval_ns;
    while (watch_.interval_ns > 0 && !std::ranges::all_of(runs_, has_ended)) {
      sleep_ns(kNapNs);
      if (now_ns() >= next_ns) {
        next_ns += watch_.interval_ns;
        watch_.at_status(so_far());
      }
    }
  }

  std::vector<LoadResult> so_far() const {
    std::vector<LoadResult> results;
    for (std::size_t at = 0; at < runs_.size(); ++at) {
      const Run& run = runs_[at];
      LoadResult& result = results.emplace_back();
      const std::uint64_t until_ns = run.ended == run.load.job.clients ? run.end_ns.load() : now_ns();
      result.elapsed_ns = run.measure_ns > 0 && until_ns > run.measure_ns ? until_ns - run.measure_ns : 0;
      for (const auto& client : results_[at].clients) {
        auto copy = std::make_unique<ClientResult>();
        const std::lock_guard lock(client->published.mutex);
        for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
          if (client->published.stats[kind] != nullptr) {
            copy->stats[kind] = std::make_unique<OpStats>(*client->published.stats[kind]);
          }
        }
        result.clients.push_back(std::move(copy));
      }
    }
    return results;
  }

  ProgressSample sample() const {
    ProgressSample sum;
    double least = 1;
    for (std::size_t at = 0; at < runs_.size(); ++at) {
      const Load& load = runs_[at].load;
      std::uint64_t operations = 0;
      for (std::uint32_t client = 0; client < load.job.clients; ++client) {
        const ClientCounters& counters = load.counters[client];
        operations += counters.all_operations();
        sum.commits += counters.commits.load(std::memory_order_relaxed);
        sum.bytes += counters.bytes.load(std::memory_order_relaxed);
        for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
          sum.by_kind[kind] += counters.operations[kind].load(std::memory_order_relaxed);
        }
      }
      sum.operations += operations;
      least = std::min(least, part_done(runs_[at], operations, totals_[at]));
    }
    sum.part_done = least;
    return sum;
  }

  static void finish(const Run& run, LoadResult& result) {
    const std::uint64_t from_ns = run.measure_ns;
    result.elapsed_ns = run.end_ns > from_ns ? run.end_ns - from_ns : 0;
    for (const auto& client : result.clients) {
      result.behind_ns = std::max(result.behind_ns, client->behind_ns);
      if (result.error.empty()) {
        result.error = client->error;
      }
    }
    if (result.error.empty() && result.elapsed_ns == 0 && run.load.job.ramp_ns > 0 && !g_interrupted) {
      result.error = "ended before ramp_time= was over: nothing was measured";
    }
  }

  const StatusWatch& watch_;
  std::deque<Run> runs_;
  std::vector<Run*> pointers_;
  std::vector<std::uint64_t> totals_;
  std::vector<LoadResult> results_;
  SeriesCounts series_base_;
  std::uint64_t clients_ = 0;
};

}  // namespace

std::uint64_t ClientCounters::all_operations() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& of_kind : operations) {
    sum += of_kind.load(std::memory_order_relaxed);
  }
  return sum;
}

void OpStats::merge(const OpStats& other) noexcept {
  operations += other.operations;
  calls += other.calls;
  bytes += other.bytes;
  rows += other.rows;
  misses += other.misses;
  latency.merge(other.latency);
  submission.merge(other.submission);
  completion.merge(other.completion);
}

std::string family_name(const Job& job, std::uint32_t family) {
  return job.cfs == 1 ? std::string("bench") : fmt::format("bench-{}", family);
}

std::vector<Family> open_families(Database& database, const Job& job) {
  std::vector<Family> families;
  for (std::uint32_t family = 0; family < job.cfs; ++family) {
    const std::string name = family_name(job, family);
    FamilyOptions options;
    options.placement = job.cf_placement;
    families.push_back(require(database.open_or_create_family(name, options).get(), "opening family " + name));
  }
  return families;
}

std::vector<LoadResult> run_loads(std::span<const Load> loads, Eta eta, char letter, const std::function<void()>& at_measure,
                                  const StatusWatch& watch) {
  return Crowd(loads, watch).run(eta, letter, at_measure);
}

}  // namespace penstock::bench
