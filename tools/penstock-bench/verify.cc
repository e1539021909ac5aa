#include "tools/penstock-bench/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <thread>
#include <utility>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr std::uint32_t kThreadsMax = 16;
constexpr std::size_t kGetsInFlight = 64;

struct Expected {
  Step key;                     // Its version is the oldest that will do.
  std::uint32_t newest = 0;     // The newest that may be there.
  bool may_be_missing = false;  // Nothing was acknowledged.
};

class Checker {
 public:
  Checker(const Load& load, std::atomic<std::uint64_t>& checked)
      : load_(load),
        checked_(checked),
        key_(load.job.key_size, '\0'),
        peer_(load.peer == nullptr ? nullptr : load.peer->client()) {}

  void expect(const Expected& expected) {
    load_.dataset.fill_key(expected.key.number, key_.data());
    if (peer_ != nullptr) {
      judge(expected, peer_->get(expected.key.family, key_));
      return;
    }
    in_flight_.push_back({load_.database->get(load_.families[expected.key.family], key_), expected});
    if (in_flight_.size() >= kGetsInFlight) {
      finish_oldest();
    }
  }
  VerifyOutcome finish() {
    while (!in_flight_.empty()) {
      finish_oldest();
    }
    return std::move(outcome_);
  }

 private:
  struct Call {
    Future<Result<std::string>> future;
    Expected expected;
  };

  void finish_oldest() {
    Call call = std::move(in_flight_.front());
    in_flight_.pop_front();
    const Result<std::string> value = call.future.get();
    if (value.has_value()) {
      judge(call.expected, *value);
    } else if (value.error().is(Code::kNotFound)) {
      judge(call.expected, std::nullopt);
    } else {
      ++outcome_.keys;
      note(call.expected, value.error().to_string(), outcome_.wrong);
    }
  }

  void judge(const Expected& expected, std::optional<std::string_view> value) {
    ++outcome_.keys;
    checked_.fetch_add(1, std::memory_order_relaxed);
    if (!value.has_value()) {
      if (!expected.may_be_missing) {
        note(expected, "it is missing", outcome_.missing);
      }
      return;
    }
    const auto version = load_.dataset.value_version(expected.key.family, expected.key.number, *value);
    if (!version.has_value()) {
      note(expected, "its value is not one that was written", outcome_.wrong);
    } else if (*version < expected.key.version || *version > expected.newest) {
      note(expected, fmt::format("it has version {}", *version), outcome_.wrong);
    }
  }

  void note(const Expected& expected, const std::string& what, std::uint64_t& counter) {
    ++counter;
    if (outcome_.first_problem.empty()) {
      outcome_.first_problem =
          fmt::format("family {} key {}, version {} to {} expected: {}", family_name(load_.job, expected.key.family),
                      expected.key.number, expected.key.version, expected.newest, what);
    }
  }

  const Load& load_;
  std::atomic<std::uint64_t>& checked_;
  std::string key_;
  std::unique_ptr<PeerClient> peer_;
  std::deque<Call> in_flight_;
  VerifyOutcome outcome_;
};

// A plan that writes its keys in order, round after round: what was acknowledged is a prefix of it.
void check_filled(const Load& load, std::uint32_t client, std::uint64_t issued, Checker& checker) {
  Plan plan(load.job, load.permutation, client);
  const std::uint64_t acknowledged = load.counters[client].acknowledged.load();
  const auto version_at = [&](std::uint64_t place, std::uint64_t steps) {
    return static_cast<std::uint32_t>((steps - 1 - place) / plan.place_count());
  };
  for (std::uint64_t place = 0; place < std::min(acknowledged, plan.place_count()); ++place) {
    Step step = plan.next();
    step.version = version_at(place, acknowledged);
    checker.expect({.key = step, .newest = version_at(place, issued)});
  }
}

// A plan that writes keys again and again.
void check_overwritten(const Load& load, std::uint32_t client, std::uint64_t issued, Checker& checker) {
  struct Versions {
    std::uint32_t acknowledged = 0;
    std::uint32_t newest = 0;
  };
  std::vector<Versions> versions((load.job.keys - client + load.job.clients - 1) / load.job.clients);
  Plan plan(load.job, load.permutation, client);
  const std::uint64_t acknowledged = load.counters[client].acknowledged.load();
  for (std::uint64_t at = 0; at < issued; ++at) {
    const Step step = plan.next();
    Versions& of_key = versions[step.number / load.job.clients];
    of_key.newest = step.version;
    if (at < acknowledged) {
      of_key.acknowledged = step.version;
    }
  }
  for (std::size_t at = 0; at < versions.size(); ++at) {
    const Versions& of_key = versions[at];
    if (of_key.newest == 0) {
      continue;  // Not touched by this job.
    }
    const auto number = static_cast<std::uint32_t>(client + at * load.job.clients);
    // A key of unacknowledged commits alone may still have what was there before the job, whose version is not known.
    const bool is_certain = of_key.acknowledged > 0;
    checker.expect({.key = {.family = 0, .number = number, .version = of_key.acknowledged},
                    .newest = is_certain ? of_key.newest : ~0U,
                    .may_be_missing = !is_certain});
  }
}

VerifyOutcome check_clients(const Load& load, const std::vector<std::uint64_t>& issued, std::uint32_t thread,
                            std::uint32_t threads, std::atomic<std::uint64_t>& checked) {
  const bool writes_once = load.job.op == Op::kBatchPut || load.job.op == Op::kFillRandom || load.job.op == Op::kRecovery;
  try {
    Checker checker(load, checked);
    for (std::uint32_t client = thread; client < load.job.clients && !g_interrupted; client += threads) {
      if (writes_once) {
        check_filled(load, client, issued[client], checker);
      } else {
        check_overwritten(load, client, issued[client], checker);
      }
    }
    return checker.finish();
  } catch (const std::exception& error) {
    return {.wrong = 1, .first_problem = error.what()};
  }
}

void check_pages(Database& database, VerifyOutcome& outcome) {
  const Outcome<VerifyReport> report = database.verify().get();
  if (report.has_value()) {
    outcome.pages = report->pages;
  } else if (outcome.first_problem.empty()) {
    outcome.first_problem = "the engine's check of its pages: " + report.error().text;
  }
}

}  // namespace

VerifyOutcome verify_load(const Load& load, const std::vector<std::uint64_t>& issued, Eta eta) {
  const std::uint64_t start_ns = now_ns();
  const std::uint32_t thread_count = std::min(load.job.clients, kThreadsMax);
  std::uint64_t total = 0;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    total += load.counters[client].acknowledged.load();
  }
  std::atomic<std::uint64_t> checked = 0;
  std::vector<VerifyOutcome> outcomes(thread_count);
  {
    const Progress progress(load.job.name, 'V', eta, [&] {
      const double part = total == 0 ? 1.0 : static_cast<double>(checked) / static_cast<double>(total);
      return ProgressSample{.operations = checked, .commits = 0, .part_done = part};
    });
    std::vector<std::thread> threads;
    for (std::uint32_t thread = 0; thread < thread_count; ++thread) {
      threads.emplace_back([&, thread] { outcomes[thread] = check_clients(load, issued, thread, thread_count, checked); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
  VerifyOutcome sum;
  for (const VerifyOutcome& outcome : outcomes) {
    sum.keys += outcome.keys;
    sum.wrong += outcome.wrong;
    sum.missing += outcome.missing;
    if (sum.first_problem.empty()) {
      sum.first_problem = outcome.first_problem;
    }
  }
  if (load.database != nullptr) {
    check_pages(*load.database, sum);
  }
  if (sum.is_ok() && g_interrupted) {
    sum.first_problem = "interrupted before every key was checked";
  }
  sum.elapsed_ns = now_ns() - start_ns;
  return sum;
}

}  // namespace penstock::bench
