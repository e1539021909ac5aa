// A histogram of latencies as a .hgrm file: HdrHistogram's table of percentiles, which its plotter and others' tools read.
//
// Invariants:
//   Hgrm-I1 Lines ascend in value, percentile and count; the last one has percentile 1, the greatest value and all counts.
// Units: values are milliseconds, as the plotter expects, to the nanosecond; percentiles are 0 to 1.
// Source: HdrHistogram's outputPercentileDistribution with five lines for each halving of the distance to 1,
// https://github.com/HdrHistogram/HdrHistogram
#pragma once

#include <string>

#include "base/histogram.h"

namespace penstock::bench {

std::string hgrm_text(const base::Histogram& latency);

/// PREFIX and the job's name, with what may not be in a file's name replaced.
std::string hgrm_path(const std::string& prefix, const std::string& job);

}  // namespace penstock::bench
