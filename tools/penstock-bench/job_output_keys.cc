// Keys of verification and of what a job writes besides its report.
#include <algorithm>

#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::uint32_t kCoarsenessMax = 6;

constexpr Word<VerifyPolicy> kPolicies[] = {{"acked", VerifyPolicy::kAcked}, {"durable", VerifyPolicy::kDurable}};

// Words, or a flag, which means "after".
void set_verify(Job& job, const std::string& value) {
  constexpr Word<VerifyMode> kModes[] = {
      {"after", VerifyMode::kAfter}, {"inline", VerifyMode::kInline}, {"only", VerifyMode::kOnly}};
  try {
    job.check.mode = parse_flag(value) ? VerifyMode::kAfter : VerifyMode::kNone;
  } catch (const std::invalid_argument&) {
    job.check.mode = parse_word<VerifyMode>(kModes, value);
  }
  job.verify = job.check.mode != VerifyMode::kNone;
}

void set_trigger(Job& job, const std::string& value) {
  job.check.trigger = parse_text(value);
  if (!job.verify) {
    set_verify(job, "after");
  }
}

void set_percentiles(Job& job, const std::string& value) {
  constexpr std::size_t kMost = 20;
  job.percentiles.clear();
  for (std::size_t begin = 0; begin <= value.size();) {
    const std::size_t end = std::min(value.find(':', begin), value.size());
    const std::string part = value.substr(begin, end - begin);
    std::size_t used = 0;
    double percent = -1;
    try {
      percent = std::stod(part, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || used != part.size() || percent < 0 || percent > 100) {
      throw std::invalid_argument("numbers from 0 to 100 were expected, such as 50:99:99.9");
    }
    job.percentiles.push_back(percent);
    begin = end + 1;
  }
  if (job.percentiles.size() > kMost) {
    throw std::invalid_argument(fmt::format("at most {} were expected", kMost));
  }
  std::ranges::sort(job.percentiles);
}

std::uint32_t parse_ms(const std::string& value) { return parse_u32(value, 1); }

constexpr Key kOutputKeys[] = {
    {"verify", "0|1|after|inline|only", set_verify,
     "after (or 1): close, open, then check by a scan and a get of each key that every acknowledged operation is there and "
     "nothing "
     "else. inline: clients read a key of each commit back when it is acknowledged, too. only: write nothing; check what an "
     "earlier run with the same keys has left, by its ledger.",
     "0"},
    {"verify_policy", "acked|durable",
     [](Job& job, const std::string& value) { job.check.policy = parse_word<VerifyPolicy>(kPolicies, value); },
     "What has to be there after a kill or a power cut: all that was acknowledged, or what was acknowledged with "
     "durability=sync.",
     "acked"},
    {"ledger", "PATH", [](Job& job, const std::string& value) { job.check.ledger_path = parse_text(value); },
     "Where verify= notes what was acknowledged. A ledger that is named is synced ten times a second, and so outlives a power "
     "cut: put it on another disk.",
     "DIR.ledger"},
    {"trigger", "kill|COMMAND", set_trigger,
     "Run the clients in a process of its own, kill it in the middle, open the store and verify it; a command is run by the "
     "shell "
     "before the kill."},
    {"trigger_timeout", "TIME", [](Job& job, const std::string& value) { job.check.trigger_ns = parse_duration_ns(value); },
     "When trigger= is due, from the clients' start on; 0: at a random moment of runtime=, or of 2 seconds.", "0"},
    {"percentile_list", "P:P:...", set_percentiles, "Percentiles to report, up to 20.", "1:5:10:20:...:99.99"},
    {"write_lat_log", "PREFIX", [](Job& job, const std::string& value) { job.logs.latency_prefix = parse_text(value); },
     "Write each call's latency to PREFIX_lat.JOB.log: time_ms, ns, op, bytes, 0. Operations are numbered put, insert, delete, "
     "batch, get, multiget, scan, rmw from 0 on."},
    {"write_hist_log", "PREFIX", [](Job& job, const std::string& value) { job.logs.histogram_prefix = parse_text(value); },
     "Write histograms of the latency of each interval to PREFIX_clat_hist.JOB.log: time_ms, op, 0, counts of 1,856 buckets."},
    {"write_bw_log", "PREFIX", [](Job& job, const std::string& value) { job.logs.bandwidth_prefix = parse_text(value); },
     "Write KiB/s over time to PREFIX_bw.JOB.log, at the mean size of a row: time_ms, KiB/s, op, 0, 0."},
    {"write_iops_log", "PREFIX", [](Job& job, const std::string& value) { job.logs.operations_prefix = parse_text(value); },
     "Write operations per second over time to PREFIX_iops.JOB.log."},
    {"log_avg_msec", "N", [](Job& job, const std::string& value) { job.logs.average_ns = parse_ms(value) * kNsPerMs; },
     "One line of write_lat_log for each N milliseconds of a client, with their mean.", "a line a call"},
    {"log_hist_msec", "N", [](Job& job, const std::string& value) { job.logs.histogram_ns = parse_ms(value) * kNsPerMs; },
     "Interval of write_hist_log.", "1000"},
    {"log_hist_coarseness", "0..6",
     [](Job& job, const std::string& value) {
       job.logs.histogram_coarseness = parse_u32(value);
       if (job.logs.histogram_coarseness > kCoarsenessMax) {
         throw std::invalid_argument("0 to 6 was expected");
       }
     },
     "Add 2^N buckets of write_hist_log up: 6 leaves 29.", "0"},
    {"max_latency", "TIME", [](Job& job, const std::string& value) { job.max_latency_ns = parse_duration_ns(value); },
     "A call that takes longer fails the job: exit code 4."},
    {"rate_min", "N", [](Job& job, const std::string& value) { job.rate_min = parse_size(value); },
     "Fewer operations per second fail the job: exit code 4."},
};

}  // namespace

std::span<const Key> output_keys() { return kOutputKeys; }

}  // namespace penstock::bench
