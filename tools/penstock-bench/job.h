// Job: one section of a job file with its keys (job_keys.h) understood and checked.
//
// Invariants:
//   Job-I1 A Job that build_jobs() returns is complete: every count is positive and every combination makes sense, so running
//   it
//          needs no further checks.
//   Job-I2 Jobs between two stonewalls run at the same time, and so share a store: engine, directory and the engine's options
//          are the same, and so are the data of those that want data to be there.
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
#include "tools/penstock-bench/output_settings.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/schedule.h"
#include "tools/penstock-bench/value_sizes.h"

namespace penstock::bench {

/// What one call of a client does; statistics are kept for each apart.
enum class OpKind : std::uint8_t {
  kPut,       ///< `batch` keys of the data get new values, in one commit.
  kInsert,    ///< The same with keys behind those of the data.
  kDelete,    ///< `batch` keys go, in one commit.
  kBatch,     ///< Puts and deletes by opmix in one commit of `batch` operations.
  kGet,       ///< One key.
  kMultiget,  ///< `batch` keys in one question.
  kScan,      ///< A walk over `scan_len` rows.
  kRmw,       ///< A get, and a put of the same key when its answer is there.
};
inline constexpr std::size_t kOpKinds = 8;
std::string kind_name(OpKind kind);
/// Ends in a commit: its calls count as commits.
constexpr bool kind_writes(OpKind kind) noexcept { return kind < OpKind::kGet || kind == OpKind::kRmw; }

enum class Op : std::uint8_t {
  kPut,
  kInsert,
  kDelete,
  kBatch,
  kGet,
  kMultiget,
  kScan,
  kRmw,
  kMixed,     ///< Calls of several kinds by opmix.
  kRecovery,  ///< Fills the log in a child process, kills it, times the opening.
};
std::string op_name(Op op);
std::string durability_name(Durability durability);
std::string rate_process_name(RateProcess process);
std::string io_backend_name(IoBackend backend);
std::string wal_sync_name(WalSync wal_sync);

enum class KeyOrder : std::uint8_t {
  kSequential,  ///< Each key once in order, and so again.
  kShuffled,    ///< Each key once in random order, and so again.
  kRandom,      ///< Drawn by key_dist.
};
std::string key_order_name(KeyOrder order);

/// key_dist=
struct KeyDist {
  std::string text = "random";
  KeyDistribution::Shape shape;
  bool is_sequential = false;  ///< Another way to say key_order=sequential.
  bool is_latest = false;      ///< Ranks count back from the last key.
};

/// opmix=; shares add up to 1.
struct OpShare {
  OpKind kind = OpKind::kGet;
  double share = 1;
};

enum class Affinity : std::uint8_t {
  kOwn,     ///< Client c uses family c mod cfs, and no other.
  kRandom,  ///< Each operation draws its family.
};
enum class ClientPlace : std::uint8_t { kThreads, kOnShard };

struct Job {
  std::string name;
  Place place;
  Engine engine = Engine::kPenstock;
  Op op = Op::kPut;
  std::vector<OpShare> mix;  ///< Of op=mixed and op=batch; of the others themselves alone.

  // Together with others.
  bool stonewall = false;           ///< Begins when all jobs before it have ended.
  bool new_group = false;           ///< Begins a group of reporting.
  bool group_reporting = false;     ///< One result for all jobs of a group.
  std::uint32_t numjobs = 1;        ///< Copies that build_jobs() has made of the section.
  std::uint64_t startdelay_ns = 0;  ///< After the others it starts with.

  // Data.
  std::string directory;
  std::uint32_t cfs = 1;
  Placement cf_placement = Placement::kHashed;
  Affinity cf_affinity = Affinity::kOwn;
  std::uint64_t keys = 0;  ///< Of each family.
  std::uint32_t key_size = 16;
  ValueSizes value_size;
  std::uint64_t seed = 1;
  std::uint32_t stream = 0;  ///< Tells the choices of copies (numjobs=) apart.
  KeyOrder key_order = KeyOrder::kRandom;
  KeyDist key_dist;
  bool key_scatter = true;  ///< Popular keys lie anywhere, not at the beginning.
  bool fresh = false;       ///< Remove an existing database of ours first.
  bool preload = false;     ///< All keys are there before the clock runs: loaded if they are not.
  bool reopen = false;      ///< Close and open between the jobs of one directory.
  bool verify = false;
  VerifySettings check;  ///< How, if verify.

  // Load.
  std::uint32_t clients = 1;
  std::uint32_t clients_together = 1;  ///< Of all jobs that run at the same time.
  std::uint32_t iodepth = 1;
  std::uint32_t batch = 1;
  std::uint64_t ops = 0;  ///< Limit over all clients, for one of `loops`; 0: none but `runtime`, or what the keys ask for.
  std::uint32_t loops = 1;
  std::uint64_t runtime_ns = 0;
  std::uint64_t ramp_ns = 0;  ///< Before that, and not counted.
  bool time_based = false;    ///< Go through the keys again and again until runtime_ns is over.
  Rate rate;
  std::uint64_t log_bytes = 0;       ///< recovery: bytes to leave in the log.
  bool session = false;              ///< get: clients ask through a Session, iodepth at a time.
  std::uint32_t scan_len = 100;      ///< Rows of a scan, at most.
  std::uint32_t scan_len_min = 100;  ///< Evenly from here to there.
  bool scan_reverse = false;
  ClientPlace placement = ClientPlace::kThreads;
  bool settle = false;  ///< The time includes flush().

  // Results.
  LogSettings logs;
  std::vector<double> percentiles;   ///< Empty: fio's.
  std::uint64_t max_latency_ns = 0;  ///< A call that takes longer is a failure (exit code 4); 0: none is.
  std::uint64_t rate_min = 0;        ///< Fewer operations per second are, too.

  // Engine.
  Durability durability = Durability::kSync;
  std::uint64_t cache_bytes = 0;  ///< 0: cache_percent of memory_limit.
  RuntimeOptions runtime;
  DatabaseOptions database;

  /// Of a key and its value.
  double mean_row_bytes() const noexcept { return key_size + value_size.mean(); }
  bool on_shard() const noexcept { return placement == ClientPlace::kOnShard; }
  bool has_kind(OpKind kind) const noexcept;
  bool writes() const noexcept;   ///< Some of its calls commit.
  bool reads() const noexcept;    ///< Some of its calls read.
  bool deletes() const noexcept;  ///< Some keys of the data may go.
  /// Fills an empty store with every key of the data once: afterwards the data are there.
  bool makes_data() const noexcept;
  /// Operations that a call of this kind has at most.
  std::uint32_t ops_per_call(OpKind kind) const noexcept;
};

/// Jobs in the order in which they run. `files`: the sections of each file, or of the command line; each file begins behind a
/// stonewall. `overrides` come after the settings of every section: the command line's --set.
std::vector<Job> build_jobs(const std::vector<Section>& sections, const std::vector<Setting>& overrides);

/// Throws a UsageError if this program was built without the engine of one of the jobs; says how to get it.
void require_engines(const std::vector<Job>& jobs);
std::string missing_engine_text(Engine engine);

}  // namespace penstock::bench
