// Numbers that the report for people and the JSON share: what follows from a result, and how amounts are written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "tools/penstock-bench/runner.h"

namespace penstock::bench {

double seconds_of(std::uint64_t duration_ns);
double per_second(std::uint64_t count, std::uint64_t duration_ns);
double ratio(std::uint64_t count, std::uint64_t per);

/// 1536 -> "1536B", 1.5 MiB -> "1.5MiB"
std::string bytes_text(double bytes);
/// As fio has it, both ways: "1213KiB/s (1242kB/s)".
std::string bandwidth_text(double bytes_per_second);

/// Of the samples of a series: what fio prints for bw and iops.
struct RateSpread {
  double least = 0;
  double most = 0;
  double mean = 0;
  double stddev = 0;
  std::size_t samples = 0;
};
/// Operations per second of a kind.
RateSpread rate_spread(const Series& series, OpKind kind);
double mean_bytes(const OpStats& stats);

/// What the process wrote, by the kernel's count, for each byte of keys and values; 0: nothing was written, or it is not known.
double write_amplification(const JobResult& result);
/// What the store takes on disk, by its files' blocks, for each byte of the data; 0: it is not known how much data there is.
double space_amplification(const JobResult& result);

/// Of a stage, what came in the measured part. Values are the middles of their buckets.
base::Histogram stage_between(const StageTimes& before, const StageTimes& after);

/// Those that the job asks for, or fio's.
const std::vector<double>& percentiles_of(const Job& job);

/// What the latency of a kind is of: the call, or with a rate from the moment when it was due.
const base::Histogram& completion_of(const OpStats& stats);

}  // namespace penstock::bench
