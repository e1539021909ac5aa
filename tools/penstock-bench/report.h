// Reports of results: for people, in fio's manner, and as JSON of fio's shape (docs/penstock-bench.md).
//
// Invariants:
//   Report-I1 What fio has, has fio's name, unit and place; keys and values take the part of blocks. What is not fio's is in
//             sections of its own.
//   Report-I2 Of bytes written, syncs and space the kernel's counters are given, for every engine; what an engine says of
//   itself
//             stands apart.
#pragma once

#include <string>
#include <vector>

#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/runner.h"

namespace penstock::bench {

/// The block of a job, or of a group that reports as one.
std::string text_report(const JobResult& result);
/// "Run status group 0 (all jobs):" and so on, of all groups, and the disk's counters.
std::string run_status(const std::vector<JobResult>& results);
/// Two lines on what the figures were measured on.
std::string machine_text(const Machine& machine);

enum class JsonBins : std::uint8_t { kWithout, kWith };  ///< json, json+
std::string json_report(const std::vector<JobResult>& results, const Machine& machine, JsonBins bins);

}  // namespace penstock::bench
