// The results: text in the manner of fio for people, JSON for programs.
//
// Units in JSON: nanoseconds and bytes, as the names say; counters are differences over the measured part. Latency percentiles
// are keyed as in fio's JSON ("99.000000").
#pragma once

#include <string>
#include <vector>

#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/runner.h"

namespace penstock::bench {

std::string text_report(const JobResult& result);
std::string machine_line(const Machine& machine);

/// One document for all jobs of a run.
std::string json_report(const std::vector<JobResult>& results, const Machine& machine);

}  // namespace penstock::bench
