// Workload: what the clients of one job do. Each client is a thread that keeps `iodepth` calls in flight and takes their
// answers in order.
//
// Plan says which keys a client writes, as a pure function of job, client and place: the same plan fills, and later says what
// must be there. Invariants:
//   Workload-I1 A key is written by one client alone, so the order of its versions is the order of that client's calls.
//   Workload-I2 `acknowledged` counts operations whose commit answered ok and all before them of the same client.
// Units: latencies are nanoseconds from the call of commit or get to its answer in the client's hands (taken in order); with a
// rate from the moment at which the call was to begin (schedule.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/random.h"
#include "penstock/db.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/key_choice.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/progress.h"

namespace penstock::bench {

/// One operation: which key, and which version of its value.
struct Step {
  std::uint32_t family = 0;
  std::uint32_t number = 0;
  std::uint32_t version = 0;
};

/// The steps of one client, in order.
class Plan {
 public:
  Plan(const Job& job, const Permutation& permutation, std::uint32_t client);

  /// How many steps there are; 2^64 - 1 if only time ends them.
  std::uint64_t step_count() const noexcept { return step_count_; }
  /// Plans that fill: keys that it writes before it begins with them again, in the same order, as their next version.
  std::uint64_t place_count() const noexcept { return place_count_; }
  Step next() noexcept;

 private:
  const Permutation* permutation_;
  Op op_;
  std::uint32_t client_;
  std::uint32_t clients_;
  std::uint32_t family_;
  std::uint64_t first_ = 0;        // Plans that fill: first place,
  std::uint64_t place_count_ = 0;  // how many,
  std::uint64_t place_ = 0;        // and the next one.
  std::uint64_t key_count_ = 0;    // Random plans: keys of this client, chosen among by choice_.
  std::uint64_t step_count_ = 0;
  std::uint32_t version_ = 0;
  std::optional<KeyChoice> choice_;
};

/// Counters of one client. Written by it alone; read by the progress line and, after a kill, by another process.
struct alignas(64) ClientCounters {
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> acknowledged{0};
};

struct ClientResult {
  base::Histogram latency;
  std::uint64_t issued = 0;     ///< Steps handed to the engine, acknowledged or not.
  std::uint64_t behind_ns = 0;  ///< With a rate: how late the next call would have been when time was up.
  std::string error;
};

/// What a job is run with; all of it outlives the run.
struct Load {
  const Job& job;
  Database* database;  ///< Of engine=penstock, with its families.
  const std::vector<Family>& families;
  const Dataset& dataset;
  const Permutation& permutation;
  ClientCounters* counters;  ///< job.clients of them.
  Peer* peer = nullptr;      ///< Of the other engines.
};

struct LoadResult {
  std::vector<std::unique_ptr<ClientResult>> clients;
  std::uint64_t elapsed_ns = 0;
  std::uint64_t behind_ns = 0;  ///< Of the client that was behind most.
  std::string error;            ///< Of the first client that has one.
};

/// Set by SIGINT: clients finish what is in flight and stop.
extern std::atomic<bool> g_interrupted;

std::vector<Family> open_families(Database& database, const Job& job);
LoadResult run_load(const Load& load, Eta eta, char letter);
std::string family_name(const Job& job, std::uint32_t family);

}  // namespace penstock::bench
