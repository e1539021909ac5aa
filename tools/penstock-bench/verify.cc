#include "tools/penstock-bench/verify.h"

#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <exception>
#include <optional>
#include <utility>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kGetsInFlight = 64;
constexpr std::uint32_t kRowsAtATime = 1000;
// The smallest key but the empty one: where scans of peers begin.
constexpr std::string_view kSmallestKey("\0", 1);

class StoreCheck {
 public:
  StoreCheck(const Load& load, const VerifyInput& input)
      : load_(load), expectations_(load.job, load.dataset, shard_of(load), input.was_empty), key_(load.job.key_size, '\0') {
    if (load.peer != nullptr) {
      peer_ = load.peer->client();
    }
    for (std::uint32_t client = 0; client < load.job.clients; ++client) {
      expectations_.replay(client, key_set_of(load.job, client), input.clients[client]);
    }
  }

  void run() {
    for (std::uint32_t family = 0; family < load_.job.cfs && !g_interrupted; ++family) {
      expectations_.begin_family(family);
      if (peer_ != nullptr) {
        scan_peer(family);
      } else {
        scan_penstock(family);
      }
    }
    expectations_.judge();
    expectations_.for_each_written([this](std::uint32_t family, std::uint32_t number, std::optional<std::uint32_t> version) {
      if (!g_interrupted) {
        look_up({.family = family, .number = number, .version = version});
      }
    });
    while (!in_flight_.empty()) {
      finish_oldest();
    }
  }

  std::uint64_t done() const noexcept { return done_.load(std::memory_order_relaxed); }

  void put_into(VerifyOutcome& outcome) const {
    const Problems& problems = expectations_.problems();
    outcome.keys = expectations_.demanded_keys();
    outcome.rows = expectations_.rows();
    outcome.gets = gets_;
    outcome.missing = problems.missing;
    outcome.invented = problems.invented;
    outcome.halves = problems.halves;
    outcome.order = problems.order;
    outcome.first_problem = problems.first;
  }

 private:
  struct Wanted {
    std::uint32_t family = 0;
    std::uint32_t number = 0;
    std::optional<std::uint32_t> version;  // That a scan has shown.
  };

  static Expectations::ShardOf shard_of(const Load& load) {
    if (load.peer != nullptr) {
      return [](std::uint32_t, std::string_view) { return 0U; };  // Any batch of a peer is atomic.
    }
    return [&families = load.families](std::uint32_t family, std::string_view key) {
      return std::uint32_t{families[family].shard_of(key)};
    };
  }

  void see(std::string_view key, std::string_view value) {
    expectations_.see_row(key, value);
    done_.fetch_add(1, std::memory_order_relaxed);
  }

  void scan_penstock(std::uint32_t family) {
    std::optional<std::string> from = std::string();
    while (from.has_value() && !g_interrupted) {
      const Result<ScanResult> rows =
          load_.database->scan(load_.families[family], {.from = *from, .to = {}, .rows_max = kRowsAtATime}).get();
      if (!rows.has_value()) {
        throw JobError(fmt::format("scanning family {}: {}", family, rows.error().to_string()));
      }
      for (const Row& row : rows->rows) {
        see(row.key, row.value);
      }
      from = rows->next;
    }
  }

  void scan_peer(std::uint32_t family) {
    std::string from(kSmallestKey);
    for (std::uint32_t seen = kRowsAtATime; seen == kRowsAtATime && !g_interrupted;) {
      seen = 0;
      std::string last;
      const PeerScan scan{.family = family, .from = from, .rows = kRowsAtATime};
      peer_->scan(scan, [&](std::string_view key, std::string_view value) {
        see(key, value);
        last.assign(key);
        ++seen;
        return true;
      });
      from = last + '\0';
    }
  }

  void look_up(const Wanted& wanted) {
    load_.dataset.fill_key(wanted.number, key_.data());
    ++gets_;
    if (peer_ != nullptr) {
      compare(wanted, peer_->get(wanted.family, key_));
      return;
    }
    in_flight_.emplace_back(load_.database->get(load_.families[wanted.family], key_), wanted);
    if (in_flight_.size() >= kGetsInFlight) {
      finish_oldest();
    }
  }

  void finish_oldest() {
    auto [future, wanted] = std::move(in_flight_.front());
    in_flight_.pop_front();
    const Result<std::string> value = future.get();
    if (!value.has_value() && !value.error().is(Code::kNotFound)) {
      expectations_.note_get(wanted.family, wanted.number, "get: " + value.error().to_string());
      return;
    }
    compare(wanted, value.has_value() ? std::optional<std::string_view>(*value) : std::nullopt);
  }

  void compare(const Wanted& wanted, std::optional<std::string_view> value) {
    done_.fetch_add(1, std::memory_order_relaxed);
    const auto version =
        value.has_value() ? load_.dataset.value_version(wanted.family, wanted.number, *value) : std::optional<std::uint32_t>();
    const bool is_same = version == wanted.version && value.has_value() == wanted.version.has_value();
    if (!is_same) {
      expectations_.note_get(wanted.family, wanted.number, "a get does not find what a scan shows");
    }
  }

  const Load& load_;
  Expectations expectations_;
  std::unique_ptr<PeerClient> peer_;
  std::string key_;
  std::deque<std::pair<Future<Result<std::string>>, Wanted>> in_flight_;
  std::uint64_t gets_ = 0;
  std::atomic<std::uint64_t> done_{0};
};

void check_pages(Database& database, VerifyOutcome& outcome) {
  const Outcome<VerifyReport> report = database.verify().get();
  if (report.has_value()) {
    outcome.pages = report->pages;
  } else if (outcome.first_problem.empty()) {
    outcome.first_problem = "the engine's check of its pages: " + report.error().text;
  }
}

}  // namespace

std::string VerifyOutcome::summary() const {
  return fmt::format(
      "{}{} operations acknowledged, {} demanded, {} issued; {} keys, {} rows scanned, {} gets, {} pages walked; "
      "{} missing, {} invented, {} half batches, {} out of order; {:.2f} s",
      killed.empty() ? "" : killed + ": ", acknowledged, demanded, issued, keys, rows, gets, pages, missing, invented, halves,
      order, static_cast<double>(elapsed_ns) / 1e9);
}

VerifyOutcome verify_store(const Load& load, const VerifyInput& input, Eta eta) {
  const std::uint64_t start_ns = now_ns();
  VerifyOutcome outcome;
  for (const ClientHistory& client : input.clients) {
    outcome.demanded += client.demanded;
    outcome.issued += client.issued;
  }
  try {
    StoreCheck check(load, input);
    {
      const Progress progress(load.job.name, 'V', eta, [&] { return ProgressSample{.operations = check.done()}; });
      check.run();
    }
    check.put_into(outcome);
    if (load.database != nullptr) {
      check_pages(*load.database, outcome);
    }
  } catch (const std::exception& error) {
    outcome.first_problem = error.what();
  }
  if (outcome.is_ok() && g_interrupted) {
    outcome.first_problem = "interrupted before every key was checked";
  }
  outcome.elapsed_ns = now_ns() - start_ns;
  return outcome;
}

}  // namespace penstock::bench
