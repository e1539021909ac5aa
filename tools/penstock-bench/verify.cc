#include "tools/penstock-bench/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <thread>
#include <unordered_map>
#include <utility>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/plan.h"

namespace penstock::bench {
namespace {

constexpr std::uint32_t kThreadsMax = 16;
constexpr std::size_t kGetsInFlight = 64;

// What a client's plan says of one key.
struct Expected {
  std::uint32_t family = 0;
  std::uint32_t number = 0;
  std::uint32_t acknowledged = 0;     // The last version whose commit was acknowledged; 0: none.
  bool is_deleted = false;            // By that version.
  std::uint32_t newest = 0;           // The newest that was handed to the engine.
  bool may_be_deleted_since = false;  // By one that was not acknowledged.
};

class Checker {
 public:
  Checker(const Load& load, std::atomic<std::uint64_t>& checked)
      : load_(load),
        checked_(checked),
        key_(load.job.key_size, '\0'),
        peer_(load.peer == nullptr ? nullptr : load.peer->client()) {}

  void expect(const Expected& expected) {
    load_.dataset.fill_key(expected.number, key_.data());
    if (peer_ != nullptr) {
      judge(expected, peer_->get(expected.family, key_));
      return;
    }
    in_flight_.push_back({load_.database->get(load_.families[expected.family], key_), expected});
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
    // A key of unacknowledged commits alone may still have what was there before the job, whose version is not known.
    const bool is_certain = expected.acknowledged > 0;
    if (!value.has_value()) {
      if (is_certain && !expected.is_deleted && !expected.may_be_deleted_since) {
        note(expected, "it is missing", outcome_.missing);
      }
      return;
    }
    const auto version = load_.dataset.value_version(expected.family, expected.number, *value);
    const std::uint32_t oldest = expected.acknowledged + (expected.is_deleted ? 1 : 0);
    if (!version.has_value()) {
      note(expected, "its value is not one that was written", outcome_.wrong);
    } else if (is_certain && (*version < oldest || *version > expected.newest)) {
      note(expected, fmt::format("it has version {}", *version), outcome_.wrong);
    }
  }

  void note(const Expected& expected, const std::string& what, std::uint64_t& counter) {
    ++counter;
    if (outcome_.first_problem.empty()) {
      outcome_.first_problem =
          fmt::format("family {} key {}, {}version {} to {} expected: {}", family_name(load_.job, expected.family),
                      expected.number, expected.is_deleted ? "deleted by " : "", expected.acknowledged, expected.newest, what);
    }
  }

  const Load& load_;
  std::atomic<std::uint64_t>& checked_;
  std::string key_;
  std::unique_ptr<PeerClient> peer_;
  std::deque<Call> in_flight_;
  VerifyOutcome outcome_;
};

// Goes through the client's plan once more, up to where it came.
void check_client(const Load& load, std::uint32_t client, std::uint64_t issued, Checker& checker) {
  std::unordered_map<std::uint64_t, Expected> keys;
  Plan plan(load.job, client);
  const std::uint64_t acknowledged = load.counters[client].acknowledged.load();
  std::uint64_t written = 0;
  for (std::uint64_t done = 0; done < issued;) {
    const Call call = plan.next_call(issued - done);
    for (std::uint32_t at = 0; at < call.operations; ++at, ++done) {
      const Step step = plan.next(call.kind);
      if (!kind_writes(step.kind)) {
        continue;
      }
      Expected& expected = keys[std::uint64_t{step.family} << 32U | step.number];
      expected.family = step.family;
      expected.number = step.number;
      expected.newest = step.version;
      const bool is_deleted = step.kind == OpKind::kDelete;
      if (written++ < acknowledged) {
        expected.acknowledged = step.version;
        expected.is_deleted = is_deleted;
      } else {
        expected.may_be_deleted_since = expected.may_be_deleted_since || is_deleted;
      }
    }
  }
  for (const auto& [key, expected] : keys) {
    checker.expect(expected);
  }
}

VerifyOutcome check_clients(const Load& load, const std::vector<std::uint64_t>& issued, std::uint32_t thread,
                            std::uint32_t threads, std::atomic<std::uint64_t>& checked) {
  try {
    Checker checker(load, checked);
    for (std::uint32_t client = thread; client < load.job.clients && !g_interrupted; client += threads) {
      check_client(load, client, issued[client], checker);
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
