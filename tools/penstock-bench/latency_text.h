// Latencies as fio prints them: the line of least, most and mean, the table of percentiles, the share of each bucket.
//
// Invariants:
//   LatencyText-I1 The unit of a line or table is fio's choice: nsec, unless the least is over 2 us and the most over 99.999 us
//                  (usec), or 2 ms and 99.999 ms (msec). Percentiles are rounded up to it.
//   LatencyText-I2 A table is at most 80 columns wide. Buckets that hold nothing are left out.
// Source: what fio 3.33 prints (HOWTO, "Interpreting the output").
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/histogram.h"

namespace penstock::bench {

/// fio's own: 1, 5, 10, 20, ... 99.99.
const std::vector<double>& default_percentiles();

/// "    clat (usec): min=38, max=103, avg=56.81, stdev=11.79\n"; names shorter than four letters are moved to the right.
std::string latency_line(std::string_view name, const base::Histogram& latency);
/// "    clat percentiles (usec):\n     |  1.00th=[   39],  5.00th=[   45], ...\n"
std::string percentile_table(std::string_view name, const base::Histogram& latency, std::span<const double> percentiles);
/// "  lat (usec)   : 50=31.25%, 100=67.19%, 250=1.56%\n", a line or more for each unit that has some.
std::string bucket_lines(const base::Histogram& latency);

/// Of a unit ("nsec", "usec", "msec"), the share of each bucket in percent, under its upper end: "2", "4", "10", ... Empty ones
/// too, as fio's JSON has them.
struct LatencyBucket {
  std::string end;
  double percent = 0;
};
std::vector<LatencyBucket> latency_buckets(const base::Histogram& latency, std::string_view unit);

}  // namespace penstock::bench
