// Runner: jobs from empty directory to results: prepares the data, runs the clients, settles, verifies, and counts what it
// cost.
//
// Thread: the main one. An error of a job is in its result (`error`), with what was measured until then.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "penstock/metrics.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/progress.h"
#include "tools/penstock-bench/session.h"
#include "tools/penstock-bench/verify.h"
#include "tools/penstock-bench/workload.h"

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

enum class Failure : std::uint8_t {
  kNone,
  kJob,          ///< It failed, or its verification did.
  kEnvironment,  ///< The machine lacks what it requires.
  kLimit,        ///< It is slower than max_latency= or rate_min= allow.
};

struct JobResult {
  Job job;
  Failure failure = Failure::kNone;  ///< Whose text is `error`.
  std::uint32_t group_id = 0;        ///< Of reporting, from 0.
  std::uint32_t jobs = 1;            ///< That the result is of: more than one with group_reporting.
  std::uint32_t concurrent = 1;      ///< Jobs that ran at the same time: what is not `ops` is of all of them.
  std::string error;                 ///< Empty: the job did what it should.
  std::uint64_t started_unix = 0;
  std::uint64_t loaded_keys = 0;  ///< Written before the measured part, because they were not there.
  std::uint64_t load_ns = 0;
  std::uint64_t open_ns = 0;  ///< What the last opening before the measured part took.
  Series series;
  std::optional<Span<CommitStages>> stages;  ///< Of Penstock.
  std::array<std::uint64_t, kDepthLevels> depths{};
  std::vector<OpStats> ops;      ///< Of each kind of operation that the job has, in the order of OpKind.
  std::uint64_t elapsed_ns = 0;  ///< Of the measured part, settle_ns included.
  std::uint64_t settle_ns = 0;
  std::uint64_t behind_ns = 0;  ///< With a rate: how late the next call would have been when time was up.
  Span<Metrics> metrics;
  Span<ProcessCounters> process;
  Span<DiskCounters> disk;
  std::uint64_t directory_bytes = 0;  ///< The sizes of its files.
  std::uint64_t disk_use_bytes = 0;   ///< What they take of the disk.
  std::uint32_t reactors = 0;
  std::uint32_t shards = 0;
  std::string io_backend;
  std::optional<VerifyOutcome> verify;
  std::optional<RecoveryOutcome> recovery;
  std::optional<PeerOutcome> peer;  ///< Of every engine but Penstock.

  // Over all kinds.
  std::uint64_t operations() const noexcept;
  std::uint64_t commits() const noexcept;
  std::uint64_t user_bytes() const noexcept;     ///< Of keys and values, written or found.
  std::uint64_t written_bytes() const noexcept;  ///< Of keys and values that were written.
};

/// How many jobs, from the first one on, run at the same time.
std::size_t concurrent_jobs(std::span<const Job> jobs);

/// Who wants results of jobs that still run, and how often.
struct StatusReport {
  std::uint64_t interval_ns = 0;  ///< 0: nobody.
  std::function<void(std::vector<JobResult> so_far)> print;
};

/// Runs jobs at the same time: those that concurrent_jobs() counts. One result each.
/// `ledger`: takes the counters of the job, which is one alone then, and nothing is verified.
std::vector<JobResult> run_jobs(Session& session, std::span<const Job> jobs, Eta eta, Ledger* ledger = nullptr,
                                const StatusReport& status = {});

/// Puts the results of a group of reporting into one, where its jobs want that (group_reporting).
/// `first_group`: the number of the first one.
std::vector<JobResult> merge_groups(std::vector<JobResult> results, std::uint32_t first_group);

}  // namespace penstock::bench
