// CallLog: what one client notes of each call for fio's log files: every latency, or their mean over a window, and a histogram
// for each interval. After the run the logs of all clients become the lines of the files.
//
// Invariants:
//   CallLog-I1 Histograms of an interval are merged exactly over the clients: counts are added bucket by bucket.
//   CallLog-I2 A call belongs to the interval in which it was answered. Lines ascend in time.
// Units: nanoseconds since the measured part began. Thread: the client's; the rest afterwards.
// Source: fio's HOWTO, "Log File Formats".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/series.h"

namespace penstock::bench {

class CallLog {
 public:
  explicit CallLog(const LogSettings& settings) : settings_(settings) {}

  void note(OpKind kind, std::uint64_t at_ns, std::uint64_t latency_ns, std::uint64_t bytes);

  struct Line {
    std::uint64_t at_ns = 0;
    std::uint64_t latency_ns = 0;
    std::uint32_t bytes = 0;
    OpKind kind = OpKind::kGet;
  };
  /// The counts of one interval and kind: (bucket, count), ascending.
  struct Interval {
    std::uint64_t number = 0;
    OpKind kind = OpKind::kGet;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> counts;
  };
  /// Ends the windows that are open.
  void finish();
  const std::vector<Line>& lines() const noexcept { return lines_; }
  const std::vector<Interval>& intervals() const noexcept { return intervals_; }

 private:
  struct Window {
    std::uint64_t number = 0;
    std::uint64_t calls = 0;
    std::uint64_t sum_ns = 0;
    std::uint64_t bytes = 0;
  };
  void add_to_average(OpKind kind, std::uint64_t at_ns, std::uint64_t latency_ns, std::uint64_t bytes);
  void end_average(OpKind kind);
  void end_interval(OpKind kind);

  const LogSettings& settings_;
  std::vector<Line> lines_;
  Window averages_[kOpKinds];
  std::vector<Interval> intervals_;
  std::unique_ptr<base::Histogram> histograms_[kOpKinds];
  std::uint64_t interval_of_[kOpKinds] = {};
};

/// PREFIX_kind.JOB.log, with what may not be in a file's name replaced.
std::string log_path(const std::string& prefix, const char* kind, const std::string& job);

/// "time_ms, KiB/s, op, 0, 0\n" for each sample and kind of operation, time being the sample's end; with row_bytes 0 operations
/// a second in place of KiB.
std::string bandwidth_log_text(const Series& series, double row_bytes);

/// "time_ms, value_ns, op, bytes, 0\n" for each line of the clients' logs. Operations are numbered as in OpKind.
std::string latency_log_text(std::span<const CallLog* const> logs);
/// "time_ms, op, 0, count, count, ...\n" for each interval and kind, all buckets; time is the interval's end.
std::string histogram_log_text(std::span<const CallLog* const> logs, const LogSettings& settings);

}  // namespace penstock::bench
