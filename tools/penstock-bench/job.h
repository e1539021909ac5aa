// Job: one section of a job file with its keys (job_keys.h) understood and checked.
//
// Invariants:
//   Job-I1 A Job that build_jobs() returns is complete: every count is positive and every combination makes sense, so running
//   it needs
//          no further checks.
// Units: bytes, nanoseconds.
// Errors: UsageError naming file, line, key and, for an unknown key, the nearest known one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/options.h"
#include "penstock/types.h"
#include "tools/penstock-bench/job_file.h"
#include "tools/penstock-bench/key_distribution.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/schedule.h"

namespace penstock::bench {

enum class Op : std::uint8_t {
  kBatchPut,    ///< Each client fills its own key range of its own family, in order: Manifold's benchmark.
  kFillRandom,  ///< All keys of one family once, in random order.
  kOverwrite,   ///< Random existing keys get new values.
  kCommit,      ///< One operation per commit on random keys.
  kReadRandom,  ///< Gets of random existing keys; every value is checked.
  kScan,        ///< Walks of `scan_rows` rows from random existing keys on; every value is checked.
  kRecovery,    ///< Fills the log in a child process, kills it, times the opening.
};
std::string op_name(Op op);
std::string durability_name(Durability durability);
std::string rate_process_name(RateProcess process);
std::string io_backend_name(IoBackend backend);
std::string wal_sync_name(WalSync wal_sync);
/// Whether the operation makes its data itself, and so begins with an empty database unless told otherwise.
bool op_fills(Op op);
bool op_reads(Op op);

/// key_dist=
struct KeyDist {
  std::string text = "random";
  KeyDistribution::Shape shape;
  bool is_latest = false;  ///< Ranks count back from the last key.
};

struct Job {
  std::string name;
  Place place;
  Engine engine = Engine::kPenstock;
  Op op = Op::kBatchPut;

  // Data.
  std::string directory;
  std::uint32_t families = 1;
  Placement placement = Placement::kPinned;
  std::uint64_t keys = 0;  ///< Per database; batch_put: per family.
  std::uint32_t key_size = 8;
  std::uint32_t value_size = 150;
  std::uint64_t seed = 1;
  KeyDist key_dist;         ///< Which keys are read, overwritten, committed.
  bool key_scatter = true;  ///< Popular keys lie anywhere, not at the beginning.
  bool fresh = false;       ///< Remove an existing database of ours first.
  bool reopen = false;      ///< Close and open between the jobs of one directory.
  bool verify = false;

  // Load.
  std::uint32_t clients = 1;
  std::uint32_t iodepth = 1;
  std::uint32_t batch = 1;
  std::uint64_t commits = 0;  ///< batch_put: per client.
  std::uint64_t ops = 0;      ///< Limit over all clients; 0: none but `runtime`, or what the data asks for.
  std::uint64_t runtime_ns = 0;
  bool time_based = false;  ///< batch_put, fillrandom: write the keys again and again until runtime_ns is over.
  Rate rate;
  std::uint64_t log_bytes = 0;  ///< recovery: bytes to leave in the log.
  bool session = false;         ///< readrandom: clients ask through a Session, iodepth at a time.
  std::uint32_t scan_rows = 100;
  bool on_shard = false;  ///< readrandom, scan, commit: clients are coroutines on the shards, not threads.
  bool settled = false;   ///< The time includes flush().

  // Engine.
  Durability durability = Durability::kSync;
  RuntimeOptions runtime;
  DatabaseOptions database;

  std::uint64_t value_bytes_per_op() const noexcept {
    return (std::uint64_t{key_size} + value_size) * (op == Op::kScan ? scan_rows : 1);
  }
};

/// `overrides` come after the settings of every section: the command line's --dir, --set and --verify.
std::vector<Job> build_jobs(const std::vector<Section>& sections, const std::vector<Setting>& overrides);

/// Throws a UsageError if this program was built without the engine of one of the jobs; says how to get it.
void require_engines(const std::vector<Job>& jobs);
std::string missing_engine_text(Engine engine);

}  // namespace penstock::bench
