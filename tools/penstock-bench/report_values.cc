#include "tools/penstock-bench/report_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tools/penstock-bench/latency_text.h"

namespace penstock::bench {

double seconds_of(std::uint64_t duration_ns) { return static_cast<double>(duration_ns) / 1e9; }

double per_second(std::uint64_t count, std::uint64_t duration_ns) {
  return duration_ns == 0 ? 0 : static_cast<double>(count) / seconds_of(duration_ns);
}

double ratio(std::uint64_t count, std::uint64_t per) {
  return per == 0 ? 0 : static_cast<double>(count) / static_cast<double>(per);
}

namespace {

// Like fio: four digits, and a fraction of one where there are fewer.
std::string amount_text(double value, double step, std::initializer_list<const char*> units) {
  const auto* unit = units.begin();
  while (value >= 9999.5 && unit + 1 != units.end()) {
    value /= step;
    ++unit;
  }
  return fmt::format("{:.{}f}{}", value, value < 99.95 ? 1 : 0, *unit);
}

}  // namespace

std::string bytes_text(double bytes) {
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (bytes < 1024) {
      break;
    }
    bytes /= 1024;
    unit = next;
  }
  return fmt::format("{:.{}f}{}", bytes, *unit == 'B' || bytes >= 99.95 ? 0 : 1, unit);
}

std::string bandwidth_text(double bytes_per_second) {
  return fmt::format("{}/s ({}/s)", bytes_text(bytes_per_second),
                     amount_text(bytes_per_second / 1000, 1000, {"kB", "MB", "GB", "TB"}));
}

RateSpread rate_spread(const Series& series, OpKind kind) {
  RateSpread spread;
  double sum_of_squares = 0;
  for (const SeriesCounts& sample : series.samples) {
    const double rate = per_second(sample.by_kind[static_cast<std::size_t>(kind)], series.interval_ns);
    spread.least = spread.samples == 0 ? rate : std::min(spread.least, rate);
    spread.most = std::max(spread.most, rate);
    spread.mean += rate;
    sum_of_squares += rate * rate;
    ++spread.samples;
  }
  if (spread.samples > 0) {
    const auto count = static_cast<double>(spread.samples);
    spread.mean /= count;
    spread.stddev = std::sqrt(std::max(0.0, sum_of_squares / count - spread.mean * spread.mean));
  }
  return spread;
}

double mean_bytes(const OpStats& stats) { return ratio(stats.bytes, stats.operations); }

double write_amplification(const JobResult& result) {
  return ratio(result.process.after.written_bytes - result.process.before.written_bytes, result.written_bytes());
}

double space_amplification(const JobResult& result) {
  const Job& job = result.job;
  const bool is_whole = job.preload || job.makes_data();
  if (!is_whole || job.deletes() || result.concurrent > 1) {
    return 0;
  }
  const double row_bytes = job.key_size + job.value_size.mean();
  return static_cast<double>(result.disk_use_bytes) / (row_bytes * static_cast<double>(job.keys) * job.cfs);
}

base::Histogram stage_between(const StageTimes& before, const StageTimes& after) {
  std::map<std::uint64_t, std::uint64_t> earlier;
  for (const StageTimes::Bucket& bucket : before.buckets) {
    earlier[bucket.low_ns] = bucket.count;
  }
  base::Histogram between;
  for (const StageTimes::Bucket& bucket : after.buckets) {
    const auto found = earlier.find(bucket.low_ns);
    const std::uint64_t count = bucket.count - (found == earlier.end() ? 0 : found->second);
    between.record_many(bucket.low_ns + (bucket.end_ns - bucket.low_ns) / 2, count);
  }
  return between;
}

const std::vector<double>& percentiles_of(const Job& job) {
  return job.percentiles.empty() ? default_percentiles() : job.percentiles;
}

const base::Histogram& completion_of(const OpStats& stats) {
  return stats.completion.count() > 0 ? stats.completion : stats.latency;
}

}  // namespace penstock::bench
