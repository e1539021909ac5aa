#include "tools/penstock-bench/call_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

namespace penstock::bench {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;

std::size_t index_of(OpKind kind) { return static_cast<std::size_t>(kind); }

}  // namespace

void CallLog::note(OpKind kind, std::uint64_t at_ns, std::uint64_t latency_ns, std::uint64_t bytes) {
  if (!settings_.latency_prefix.empty()) {
    if (settings_.average_ns > 0) {
      add_to_average(kind, at_ns, latency_ns, bytes);
    } else {
      lines_.push_back({.at_ns = at_ns, .latency_ns = latency_ns, .bytes = static_cast<std::uint32_t>(bytes), .kind = kind});
    }
  }
  if (!settings_.histogram_prefix.empty()) {
    std::unique_ptr<base::Histogram>& histogram = histograms_[index_of(kind)];
    const std::uint64_t number = at_ns / settings_.histogram_ns;
    if (histogram == nullptr) {
      histogram = std::make_unique<base::Histogram>();
    } else if (number != interval_of_[index_of(kind)]) {
      end_interval(kind);
    }
    interval_of_[index_of(kind)] = number;
    histogram->record(latency_ns);
  }
}

void CallLog::add_to_average(OpKind kind, std::uint64_t at_ns, std::uint64_t latency_ns, std::uint64_t bytes) {
  Window& window = averages_[index_of(kind)];
  const std::uint64_t number = at_ns / settings_.average_ns;
  if (number != window.number) {
    end_average(kind);
    window.number = number;
  }
  ++window.calls;
  window.sum_ns += latency_ns;
  window.bytes += bytes;
}

void CallLog::end_average(OpKind kind) {
  Window& window = averages_[index_of(kind)];
  if (window.calls > 0) {
    lines_.push_back({.at_ns = (window.number + 1) * settings_.average_ns,
                      .latency_ns = window.sum_ns / window.calls,
                      .bytes = static_cast<std::uint32_t>(window.bytes / window.calls),
                      .kind = kind});
  }
  window = {};
}

void CallLog::end_interval(OpKind kind) {
  base::Histogram& histogram = *histograms_[index_of(kind)];
  Interval interval{.number = interval_of_[index_of(kind)], .kind = kind, .counts = {}};
  histogram.for_each_bucket([&](std::uint64_t low_ns, std::uint64_t, std::uint64_t count) {
    interval.counts.emplace_back(base::Histogram::bucket_of(low_ns), count);
  });
  if (!interval.counts.empty()) {
    intervals_.push_back(std::move(interval));
  }
  histogram.clear();
}

void CallLog::finish() {
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    end_average(static_cast<OpKind>(kind));
    if (histograms_[kind] != nullptr) {
      end_interval(static_cast<OpKind>(kind));
    }
  }
}

std::string log_path(const std::string& prefix, const char* kind, const std::string& job) {
  std::string name = job;
  std::ranges::replace(name, '/', '_');
  return fmt::format("{}_{}.{}.log", prefix, kind, name);
}

std::string bandwidth_log_text(const Series& series, double row_bytes) {
  std::string text;
  for (std::size_t at = 0; at < series.samples.size(); ++at) {
    for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
      const double rate = static_cast<double>(series.samples[at].by_kind[kind]) * 1e9 / static_cast<double>(series.interval_ns);
      if (rate > 0) {
        text += fmt::format("{}, {:.0f}, {}, 0, 0\n", (at + 1) * series.interval_ns / kNsPerMs,
                            row_bytes > 0 ? rate * row_bytes / 1024 : rate, kind);
      }
    }
  }
  return text;
}

std::string latency_log_text(std::span<const CallLog* const> logs) {
  std::vector<CallLog::Line> lines;
  for (const CallLog* log : logs) {
    lines.insert(lines.end(), log->lines().begin(), log->lines().end());
  }
  std::ranges::sort(lines, {},
                    [](const CallLog::Line& line) { return std::tuple(line.at_ns, line.latency_ns, line.kind, line.bytes); });
  fmt::memory_buffer text;
  for (const CallLog::Line& line : lines) {
    fmt::format_to(std::back_inserter(text), "{}, {}, {}, {}, 0\n", line.at_ns / kNsPerMs, line.latency_ns, index_of(line.kind),
                   line.bytes);
  }
  return fmt::to_string(text);
}

std::string histogram_log_text(std::span<const CallLog* const> logs, const LogSettings& settings) {
  std::map<std::pair<std::uint64_t, OpKind>, std::vector<std::uint64_t>> sums;
  for (const CallLog* log : logs) {
    for (const CallLog::Interval& interval : log->intervals()) {
      std::vector<std::uint64_t>& sum = sums[{interval.number, interval.kind}];
      sum.resize((base::Histogram::kBucketCount + (1U << settings.histogram_coarseness) - 1) >> settings.histogram_coarseness);
      for (const auto& [bucket, count] : interval.counts) {
        sum[bucket >> settings.histogram_coarseness] += count;
      }
    }
  }
  fmt::memory_buffer text;
  for (const auto& [key, counts] : sums) {
    fmt::format_to(std::back_inserter(text), "{}, {}, 0, {}\n", (key.first + 1) * settings.histogram_ns / kNsPerMs,
                   index_of(key.second), fmt::join(counts, ", "));
  }
  return fmt::to_string(text);
}

}  // namespace penstock::bench
