#include "tools/penstock-bench/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {

std::atomic<bool> g_interrupted{false};

namespace {

using Client = void (*)(Run& run, std::uint32_t client, ClientResult& result);

Client client_of(const Job& job) {
  if (job.engine != Engine::kPenstock) {
    return job.op == Op::kScan ? scan_from_peer : op_reads(job.op) ? read_from_peer : write_to_peer;
  }
  if (job.op == Op::kScan) {
    return job.on_shard ? scan_on_shard : scan_from_thread;
  }
  if (op_reads(job.op)) {
    return job.on_shard ? read_on_shard : job.session ? read_through_session : read_from_thread;
  }
  return job.on_shard ? write_on_shard : write_from_thread;
}

void run_client(Run& run, std::uint32_t client, ClientResult& result) {
  if (run.load.job.rate.ops_per_second > 0) {
    sleep_precisely();
  }
  try {
    client_of(run.load.job)(run, client, result);
  } catch (const std::exception& error) {
    result.error = error.what();
    run.failed = true;
  }
}

ProgressSample sample(const Load& load, std::uint64_t total, std::uint64_t start_ns) {
  ProgressSample sum;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    sum.operations += load.counters[client].operations.load(std::memory_order_relaxed);
    sum.commits += load.counters[client].commits.load(std::memory_order_relaxed);
  }
  if (total != kUnlimited && total > 0) {
    sum.part_done = static_cast<double>(sum.operations) / static_cast<double>(total);
  }
  if (load.job.runtime_ns > 0 && start_ns > 0) {
    sum.part_done =
        std::max(sum.part_done, static_cast<double>(now_ns() - start_ns) / static_cast<double>(load.job.runtime_ns));
  }
  return sum;
}

// Operations that end the job; kUnlimited if only time does.
std::uint64_t total_steps(const Load& load) {
  if (op_reads(load.job.op)) {
    return load.job.ops == 0 ? kUnlimited : load.job.ops;
  }
  std::uint64_t total = 0;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    const std::uint64_t steps = Plan(load.job, load.permutation, client).step_count();
    if (steps == kUnlimited) {
      return kUnlimited;
    }
    total += steps;
  }
  return total;
}

}  // namespace

Plan::Plan(const Job& job, const Permutation& permutation, std::uint32_t client)
    : permutation_(&permutation), op_(job.op), client_(client), clients_(job.clients), family_(client % job.families) {
  if (op_ == Op::kBatchPut || op_ == Op::kRecovery) {
    place_count_ = job.commits * job.batch;
    first_ = client / job.families * place_count_;
  } else if (op_ == Op::kFillRandom) {
    first_ = share_begin(job.keys, client, clients_);
    place_count_ = share_begin(job.keys, client + 1, clients_) - first_;
  } else {
    key_count_ = (job.keys - client + clients_ - 1) / clients_;  // Numbers client, client + clients, ... below keys.
    choice_.emplace(job, key_count_, job.seed * 0x9e3779b97f4a7c15ULL + client);
  }
  step_count_ = key_count_ > 0 || job.time_based ? kUnlimited : place_count_;
  if (job.ops > 0) {
    step_count_ = std::min(step_count_, share_begin(job.ops, client + 1, clients_) - share_begin(job.ops, client, clients_));
  }
}

Step Plan::next() noexcept {
  if (key_count_ > 0) {
    const auto number = static_cast<std::uint32_t>(client_ + choice_->next() * clients_);
    return {.family = 0, .number = number, .version = ++version_};
  }
  if (place_ == place_count_) {
    place_ = 0;
    ++version_;
  }
  const auto place = static_cast<std::uint32_t>(first_ + place_++);
  return op_ == Op::kFillRandom ? Step{.family = 0, .number = permutation_->at(place), .version = version_}
                                : Step{.family = family_, .number = place, .version = version_};
}

std::string family_name(const Job& job, std::uint32_t family) {
  return job.families == 1 ? std::string("bench") : fmt::format("bench-{}", family);
}

std::vector<Family> open_families(Database& database, const Job& job) {
  std::vector<Family> families;
  for (std::uint32_t family = 0; family < job.families; ++family) {
    const std::string name = family_name(job, family);
    FamilyOptions options;
    options.placement = job.placement;
    families.push_back(require(database.open_or_create_family(name, options).get(), "opening family " + name));
  }
  return families;
}

LoadResult run_load(const Load& load, Eta eta, char letter) {
  LoadResult result;
  Run run(load);
  std::vector<std::thread> threads;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    result.clients.push_back(std::make_unique<ClientResult>());
    threads.emplace_back(run_client, std::ref(run), client, std::ref(*result.clients.back()));
  }
  {
    const Progress progress(fmt::format("{} (c={})", load.job.name, load.job.clients), letter, eta,
                            [&, total = total_steps(load)] { return sample(load, total, run.start_ns); });
    for (std::thread& thread : threads) {
      thread.join();
    }
    result.elapsed_ns = now_ns() - run.start_ns;
  }
  for (const auto& client : result.clients) {
    result.behind_ns = std::max(result.behind_ns, client->behind_ns);
    if (result.error.empty()) {
      result.error = client->error;
    }
  }
  return result;
}

}  // namespace penstock::bench
