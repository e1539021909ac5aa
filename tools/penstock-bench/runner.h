// Runner: one job from empty directory to result: prepares the data, runs the clients, settles, verifies, and counts what it
// cost.
//
// Thread: the main one. An error of the job is in the result (`error`), with what was measured until then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "penstock/metrics.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/progress.h"
#include "tools/penstock-bench/session.h"
#include "tools/penstock-bench/verify.h"

namespace penstock::bench {

/// Before and after the measured part.
template <typename T>
struct Span {
  T before;
  T after;
};

struct RecoveryOutcome {
  RecoveryReport report;
  std::uint64_t open_ns = 0;  ///< The whole of Database::open, lock and recovery.
};

/// What a peer says of itself, and its counters over the measured part.
struct PeerOutcome {
  PeerAbout about;
  std::vector<PeerCounter> counters;
};

struct JobResult {
  Job job;
  std::string error;  ///< Empty: the job did what it should.
  std::uint64_t started_unix = 0;
  std::uint64_t loaded_keys = 0;  ///< Written before the measured part, because they were not there.
  std::uint64_t load_ns = 0;
  std::uint64_t operations = 0;
  std::uint64_t commits = 0;
  std::uint64_t elapsed_ns = 0;  ///< Of the measured part, settle_ns included.
  std::uint64_t settle_ns = 0;
  std::uint64_t behind_ns = 0;  ///< With a rate: how late the next call would have been when time was up.
  base::Histogram latency;
  Span<Metrics> metrics;
  Span<ProcessCounters> process;
  Span<DiskCounters> disk;
  std::uint64_t directory_bytes = 0;
  std::uint32_t reactors = 0;
  std::uint32_t shards = 0;
  std::string io_backend;
  std::optional<VerifyOutcome> verify;
  std::optional<RecoveryOutcome> recovery;
  std::optional<PeerOutcome> peer;  ///< Of every engine but Penstock.

  std::uint64_t user_bytes() const noexcept { return operations * job.value_bytes_per_op(); }
};

JobResult run_job(Session& session, const Job& job, Eta eta);

}  // namespace penstock::bench
