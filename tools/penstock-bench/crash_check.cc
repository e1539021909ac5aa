#include "tools/penstock-bench/crash_check.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>

#include "tools/penstock-bench/child_process.h"
#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr const char* kKill = "kill";
constexpr std::uint64_t kPollNs = 200'000;

std::uint64_t issued_of(const Ledger& ledger, std::uint32_t clients) {
  std::uint64_t issued = 0;
  for (std::uint32_t client = 0; client < clients; ++client) {
    issued += ledger.counters()[client].issued.load();
  }
  return issued;
}

// A random moment is none of those that a seed repeats: the kill shall meet another one each time.
std::uint64_t trigger_ns_of(const Job& job) {
  constexpr std::uint64_t kEarliestNs = 5'000'000;
  constexpr std::uint64_t kLatestNs = 2'000'000'000;
  if (job.check.trigger_ns > 0) {
    return job.check.trigger_ns;
  }
  std::random_device device;
  const std::uint64_t latest_ns = job.runtime_ns > 0 ? std::max(job.runtime_ns, kEarliestNs + 1) : kLatestNs;
  return std::uniform_int_distribution<std::uint64_t>(kEarliestNs, latest_ns)(device);
}

void run_command(const std::string& command) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe,cert-env33-c): the user's own command, and no other thread is running.
  if (const int status = std::system(command.c_str()); status != 0) {
    throw JobError(fmt::format("trigger={}: it ended with {}", command, status));
  }
}

// Returns what happened.
std::string run_until_killed(const Job& job, Eta eta, Ledger& ledger) {
  ChildProcess child([&] {
    Session session;
    const std::vector<JobResult> results = run_jobs(session, {&job, 1}, eta, &ledger);
    return results.front().error;
  });
  while (issued_of(ledger, job.clients) == 0 && !child.is_done()) {
    sleep_ns(kPollNs);
  }
  const std::uint64_t start_ns = now_ns();
  const std::uint64_t after_ns = trigger_ns_of(job);
  while (now_ns() - start_ns < after_ns && !child.is_done()) {
    sleep_ns(kPollNs);
  }
  if (job.check.trigger != kKill) {
    run_command(job.check.trigger);
  }
  child.kill_and_wait();
  return fmt::format("killed after {:.3f} s", static_cast<double>(now_ns() - start_ns) / 1e9);
}

void check(Session& session, const Job& job, const Ledger& ledger, Eta eta, JobResult& result) {
  const std::vector<Family> families =
      session.peer() != nullptr ? std::vector<Family>() : open_families(session.database(), job);
  const Dataset dataset(job.key_size, job.value_size, job.seed);
  const Load load{.job = job,
                  .database = session.peer() != nullptr ? nullptr : &session.database(),
                  .families = families,
                  .dataset = dataset,
                  .counters = ledger.counters(),
                  .peer = session.peer(),
                  .may_miss = true};
  VerifyOutcome outcome = verify_store(load, verify_input(job, ledger, true), eta);
  outcome.killed = result.verify->killed;
  outcome.open_ns = result.verify->open_ns;
  result.verify = std::move(outcome);
  for (std::uint32_t client = 0; client < job.clients; ++client) {
    result.verify->acknowledged += ledger.counters()[client].acknowledged.load();
  }
}

}  // namespace

std::string ledger_path(const Job& job) {
  if (!job.check.ledger_path.empty()) {
    return job.check.ledger_path;
  }
  return (job.engine == Engine::kPenstock ? job.directory : peer_path(job.directory, engine_name(job.engine))) + ".ledger";
}

std::string plan_text(const Job& job) {
  std::string mix;
  for (const OpShare& share : job.mix) {
    mix += fmt::format("{}{}:{}", mix.empty() ? "" : ",", kind_name(share.kind), share.share);
  }
  return fmt::format(
      "engine={} op={} mix={} cfs={} cf_affinity={} keys={} key_size={} value_size={} seed={} stream={} key_order={} "
      "key_dist={} "
      "key_scatter={} clients={} iodepth={} batch={} ops={} loops={} time_based={} scan_len={} durability={} preload={} "
      "fresh={}",
      engine_name(job.engine), op_name(job.op), mix, job.cfs, static_cast<int>(job.cf_affinity), job.keys, job.key_size,
      job.value_size.to_string(), job.seed, job.stream, key_order_name(job.key_order), job.key_dist.text, job.key_scatter,
      job.clients, job.iodepth, job.batch, job.ops, job.loops, job.time_based, job.scan_len, durability_name(job.durability),
      job.preload, job.fresh);
}

VerifyInput verify_input(const Job& job, const Ledger& ledger, bool is_crash) {
  VerifyInput input{.clients = {}, .was_empty = job.fresh && !job.preload};
  const bool is_durable = job.durability == Durability::kSync;
  const bool is_demanded = !is_crash || is_durable || job.check.policy == VerifyPolicy::kAcked;
  for (std::uint32_t client = 0; client < job.clients; ++client) {
    const std::uint64_t acknowledged = ledger.counters()[client].acknowledged.load();
    input.clients.push_back({.demanded = is_demanded ? acknowledged : 0, .issued = ledger.issued_at_most(client)});
  }
  return input;
}

void run_crash_check(Session& session, const Job& job, Eta eta, JobResult& result) {
  session.close();
  result.verify.emplace();
  const bool is_only = job.check.mode == VerifyMode::kOnly;
  std::filesystem::create_directories(std::filesystem::absolute(ledger_path(job)).parent_path());
  Ledger ledger = is_only ? Ledger::open(ledger_path(job), plan_text(job), job.clients)
                          : Ledger::create(ledger_path(job), plan_text(job), job.clients);
  if (!is_only) {
    if (job.check.trigger != kKill) {
      ledger.keep_durable();
    }
    result.verify->killed = run_until_killed(job, eta, ledger);
  }
  Job reopened = job;
  reopened.fresh = reopened.preload = false;
  if (job.engine == Engine::kPenstock) {
    wait_until_unlocked(job.directory);
  }
  const std::uint64_t start_ns = now_ns();
  session.open(reopened);
  result.verify->open_ns = now_ns() - start_ns;
  result.verify->killed += fmt::format("{}opened in {:.3f} s", result.verify->killed.empty() ? "" : ", ",
                                       static_cast<double>(result.verify->open_ns) / 1e9);
  if (session.peer() == nullptr) {
    result.reactors = session.runtime().reactors();
    result.shards = session.database().shard_count();
    result.io_backend = session.runtime().io_backend();
  }
  check(session, job, ledger, eta, result);
}

}  // namespace penstock::bench
