// Workload: the clients of the jobs that run at the same time, from their common start to the end of the last one.
//
// Each client is a thread that keeps `iodepth` calls in flight and takes the answers of each kind in order, or a coroutine on a
// shard. Invariants:
//   Workload-I1 `acknowledged` counts operations of commits that answered ok and all before them of the same client, in the
//               order of the commits' calls.
//   Workload-I2 Statistics hold the calls that were answered after ramp_time, and no others; counters hold all.
// Units: latencies are nanoseconds from the call to its answer in the client's hands (taken in order); with a rate from the
// moment at which the call was to begin (schedule.h).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "penstock/db.h"
#include "tools/penstock-bench/call_log.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/progress.h"
#include "tools/penstock-bench/series.h"

namespace penstock::bench {

class Ledger;

/// ClientCounters::reserved where nothing has to be.
inline constexpr std::uint64_t kNotReserved = ~std::uint64_t{0};

/// Counters of one client. Written by it alone; read by the progress line and, after a kill, by another process.
struct alignas(64) ClientCounters {
  std::array<std::atomic<std::uint64_t>, kOpKinds> operations{};
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> issued{0};               ///< Operations that are or were on their way.
  std::atomic<std::uint64_t> reserved{kNotReserved};  ///< So many may be issued without asking the ledger.
  std::atomic<std::uint64_t> inserted{0};             ///< Keys of kInsert, in their order.

  std::uint64_t all_operations() const noexcept;
};

/// What is known of one kind of operation.
struct OpStats {
  OpKind kind = OpKind::kGet;
  std::uint64_t operations = 0;  ///< Keys put, deleted or asked for; scans.
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;       ///< Of keys and values, written or found.
  std::uint64_t rows = 0;        ///< Of scans.
  std::uint64_t misses = 0;      ///< Keys asked for that were not there, where that is no mistake.
  base::Histogram latency = {};  ///< Of calls; each key of a multiget has its call's.
  // Where calls are handed over and answered later, of some of them the parts of their latency: fio's slat and clat.
  base::Histogram submission = {};
  base::Histogram completion = {};

  void merge(const OpStats& other) noexcept;
};

/// How many calls are in flight: 1, 2, up to 4, 8, 16, 32, and more.
inline constexpr std::size_t kDepthLevels = 7;

using StatsByKind = std::array<std::unique_ptr<OpStats>, kOpKinds>;  ///< Of the kinds in the job's mix.

/// A client's statistics as they were a moment ago, for another thread to look at.
struct PublishedStats {
  std::mutex mutex;
  StatsByKind stats;
};

struct ClientResult {
  StatsByKind stats;
  PublishedStats published;
  std::array<std::uint64_t, kDepthLevels> depths{};  ///< When a call was issued, it included. All 0: one at a time.
  std::unique_ptr<CallLog> log;                      ///< If log files are wanted.
  std::uint64_t issued = 0;                          ///< Operations handed to the engine, acknowledged or not.
  std::uint64_t behind_ns = 0;                       ///< With a rate: how late the next call would have been when time was up.
  std::string error;
};

/// What a job is run with; all of it outlives the run.
struct Load {
  const Job& job;
  Database* database;  ///< Of engine=penstock, with its families.
  const std::vector<Family>& families;
  const Dataset& dataset;
  ClientCounters* counters;  ///< job.clients of them.
  Peer* peer = nullptr;      ///< Of the other engines.
  bool may_miss = false;     ///< Keys of the data may be gone, or have never been there.
  Ledger* ledger = nullptr;  ///< That has the counters, if one is kept durable.
};

struct LoadResult {
  std::vector<std::unique_ptr<ClientResult>> clients;
  std::uint64_t elapsed_ns = 0;  ///< From the end of ramp_time to that of its last client.
  std::uint64_t behind_ns = 0;   ///< Of the client that was behind most.
  Series series;                 ///< Of all jobs of the run.
  std::string error;             ///< Of the first client that has one.
};

/// Who wants to know how far a run is, and how often; `at_status` is called on the thread that waits for the run.
struct StatusWatch {
  std::uint64_t interval_ns = 0;  ///< 0: nobody.
  std::function<void(const std::vector<LoadResult>& so_far)> at_status;
};

/// Set by SIGINT: clients finish what is in flight and stop.
extern std::atomic<bool> g_interrupted;
/// Set by SIGUSR1: say on stderr how far the jobs are.
extern std::atomic<bool> g_status_wanted;

std::vector<Family> open_families(Database& database, const Job& job);
std::string family_name(const Job& job, std::uint32_t family);

/// Runs all of them at the same time. `at_measure` is called on this thread when the first of them begins to be measured:
/// before anything starts, if there is no ramp_time.
std::vector<LoadResult> run_loads(std::span<const Load> loads, Eta eta, char letter, const std::function<void()>& at_measure,
                                  const StatusWatch& watch = {});

}  // namespace penstock::bench
