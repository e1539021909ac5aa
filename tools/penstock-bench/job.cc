#include "tools/penstock-bench/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "tools/penstock-bench/dataset.h"

namespace penstock::bench {
namespace {

template <typename E>
struct Word {
  const char* word;
  E value;
};

constexpr Word<Op> kOps[] = {{"batch_put", Op::kBatchPut}, {"fillrandom", Op::kFillRandom}, {"overwrite", Op::kOverwrite},
                             {"commit", Op::kCommit},      {"readrandom", Op::kReadRandom}, {"scan", Op::kScan},
                             {"recovery", Op::kRecovery}};
constexpr Word<Durability> kDurabilities[] = {
    {"sync", Durability::kSync}, {"written", Durability::kWritten}, {"buffered", Durability::kBuffered}};
constexpr Word<IoBackend> kIoBackends[] = {
    {"auto", IoBackend::kAuto}, {"ring", IoBackend::kRing}, {"syscall", IoBackend::kSyscall}};
constexpr Word<WalSync> kWalSyncs[] = {
    {"linked", WalSync::kLinked}, {"syscall", WalSync::kSyscall}, {"dsync", WalSync::kDsync}, {"auto", WalSync::kAuto}};
constexpr Word<RateProcess> kRateProcesses[] = {{"linear", RateProcess::kLinear}, {"poisson", RateProcess::kPoisson}};
constexpr Word<Engine> kEngines[] = {{"penstock", Engine::kPenstock},
                                     {"rocksdb", Engine::kRocksdb},
                                     {"lmdb", Engine::kLmdb},
                                     {"leveldb", Engine::kLeveldb},
                                     {"wiredtiger", Engine::kWiredtiger}};
constexpr Word<Placement> kPlacements[] = {{"pinned", Placement::kPinned}, {"hashed", Placement::kHashed}};

template <typename E>
E parse_word(std::span<const Word<E>> words, const std::string& text) {
  std::vector<std::string> known;
  for (const Word<E>& word : words) {
    if (text == word.word) {
      return word.value;
    }
    known.emplace_back(word.word);
  }
  throw std::invalid_argument(
      fmt::format("one of {} was expected; the nearest is '{}'", fmt::join(known, ", "), nearest_word(text, known)));
}

template <typename E>
std::string word_of(std::span<const Word<E>> words, E value) {
  const auto found = std::ranges::find(words, value, &Word<E>::value);
  return found == words.end() ? "?" : found->word;
}

std::uint32_t parse_u32(const std::string& text, std::uint32_t min = 0) {
  const std::uint64_t value = parse_size(text);
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("the number is too large");
  }
  if (value < min) {
    throw std::invalid_argument(fmt::format("at least {} was expected", min));
  }
  return static_cast<std::uint32_t>(value);
}

std::string parse_text(const std::string& text) {
  if (text.empty()) {
    throw std::invalid_argument("a value was expected");
  }
  return text;
}

// random ... of key_distribution.h, and "latest", which is YCSB's: zipf from the last key back.
KeyDist parse_key_dist(const std::string& text) {
  KeyDist dist{.text = text, .shape = {}, .is_latest = text == "latest" || text.starts_with("latest:")};
  const std::string shape = !dist.is_latest ? text : text == "latest" ? "zipf:0.99" : "zipf" + text.substr(text.find(':'));
  auto parsed = KeyDistribution::parse(shape);
  if (!parsed.has_value()) {
    throw std::invalid_argument(parsed.error() + ", latest, latest:THETA");
  }
  dist.shape = std::move(*parsed);
  return dist;
}

enum class Scope : std::uint8_t { kAll, kPenstock };  // Engines that know a key.

struct Key {
  const char* name;
  void (*set)(Job& job, const std::string& value);
  const char* help;
  Scope scope = Scope::kAll;
};

constexpr Key kKeys[] = {
    {"description", [](Job&, const std::string&) {}, "text for the reader of the file"},
    {"engine", [](Job& job, const std::string& value) { job.engine = parse_word<Engine>(kEngines, value); },
     "penstock | rocksdb | lmdb | leveldb | wiredtiger (--enghelp says which are built in)"},
    {"op", [](Job& job, const std::string& value) { job.op = parse_word<Op>(kOps, value); },
     "batch_put | fillrandom | overwrite | commit | readrandom | scan | recovery"},
    {"dir", [](Job& job, const std::string& value) { job.directory = parse_text(value); },
     "directory of the database; a peer's is DIR-ENGINE beside it"},
    {"families", [](Job& job, const std::string& value) { job.families = parse_u32(value, 1); },
     "column families (batch_put, recovery)"},
    {"placement", [](Job& job, const std::string& value) { job.placement = parse_word<Placement>(kPlacements, value); },
     "pinned | hashed: a family on one shard, or over all", Scope::kPenstock},
    {"keys", [](Job& job, const std::string& value) { job.keys = parse_size(value); }, "keys of the data set (not batch_put)"},
    {"key_size", [](Job& job, const std::string& value) { job.key_size = parse_u32(value, kKeySizeMin); }, "bytes of a key"},
    {"value_size", [](Job& job, const std::string& value) { job.value_size = parse_u32(value, kValueSizeMin); },
     "bytes of a value"},
    {"seed", [](Job& job, const std::string& value) { job.seed = parse_size(value); }, "of the data and of the order"},
    {"key_dist", [](Job& job, const std::string& value) { job.key_dist = parse_key_dist(value); },
     "overwrite, commit, readrandom, scan: random | zipf:THETA | pareto:SHARE | normal:DEVIATION | zoned:OPERATIONS/KEYS:... | "
     "latest[:THETA]"},
    {"key_scatter", [](Job& job, const std::string& value) { job.key_scatter = parse_flag(value); },
     "popular keys lie anywhere (default), or 0: side by side, from the first key on"},
    {"fresh", [](Job& job, const std::string& value) { job.fresh = parse_flag(value); },
     "remove a database of the engine's at dir first (default 1 where the job makes its data)"},
    {"reopen", [](Job& job, const std::string& value) { job.reopen = parse_flag(value); },
     "close and open again before the job"},
    {"verify", [](Job& job, const std::string& value) { job.verify = parse_flag(value); },
     "afterwards close, open, check every acknowledged key"},
    {"clients", [](Job& job, const std::string& value) { job.clients = parse_u32(value, 1); }, "threads that issue operations"},
    {"iodepth", [](Job& job, const std::string& value) { job.iodepth = parse_u32(value, 1); }, "calls in flight per client"},
    {"batch", [](Job& job, const std::string& value) { job.batch = parse_u32(value, 1); }, "operations per commit"},
    {"commits", [](Job& job, const std::string& value) { job.commits = parse_size(value); }, "commits per client (batch_put)"},
    {"ops", [](Job& job, const std::string& value) { job.ops = parse_size(value); },
     "stop after so many operations, all clients together"},
    {"runtime", [](Job& job, const std::string& value) { job.runtime_ns = parse_duration_ns(value); }, "stop after this time"},
    {"time_based", [](Job& job, const std::string& value) { job.time_based = parse_flag(value); },
     "batch_put, fillrandom: go on for the whole of runtime, writing the keys again and again"},
    {"rate_ops", [](Job& job, const std::string& value) { job.rate.ops_per_second = parse_size(value); },
     "operations per second wanted, all clients together; latency then counts from when a call was to begin; 0: no rate"},
    {"rate_process",
     [](Job& job, const std::string& value) { job.rate.process = parse_word<RateProcess>(kRateProcesses, value); },
     "linear | poisson: the same time between the calls of a client, or random times with that mean"},
    {"log_bytes", [](Job& job, const std::string& value) { job.log_bytes = parse_size(value); },
     "log to leave behind (recovery)", Scope::kPenstock},
    {"session", [](Job& job, const std::string& value) { job.session = parse_flag(value); },
     "readrandom: clients ask through a session, iodepth gets at a time; peers: a multi-get of so many"},
    {"scan_rows", [](Job& job, const std::string& value) { job.scan_rows = parse_u32(value, 1); }, "rows of a scan"},
    {"on_shard", [](Job& job, const std::string& value) { job.on_shard = parse_flag(value); },
     "readrandom, scan, commit: clients run on the shards, as coroutines, instead of on threads", Scope::kPenstock},
    {"settled", [](Job& job, const std::string& value) { job.settled = parse_flag(value); },
     "the time includes flush(); peers: until everything is in their files and no work is due"},
    {"durability", [](Job& job, const std::string& value) { job.durability = parse_word<Durability>(kDurabilities, value); },
     "sync | written | buffered"},
    {"reactors", [](Job& job, const std::string& value) { job.runtime.reactors = parse_u32(value); },
     "threads of the engine; 0: one per core", Scope::kPenstock},
    {"memory_limit", [](Job& job, const std::string& value) { job.runtime.memory_limit = parse_size(value); },
     "of the engine; 0: a quarter of the machine's"},
    {"pin_threads", [](Job& job, const std::string& value) { job.runtime.pin_threads = parse_flag(value); },
     "bind reactors to cores", Scope::kPenstock},
    {"io_backend",
     [](Job& job, const std::string& value) { job.runtime.io_backend = parse_word<IoBackend>(kIoBackends, value); },
     "auto | ring | syscall", Scope::kPenstock},
    {"ring_entries", [](Job& job, const std::string& value) { job.runtime.ring_entries = parse_u32(value, 1); },
     "of each io_uring", Scope::kPenstock},
    {"shards", [](Job& job, const std::string& value) { job.database.shards = parse_u32(value); },
     "at creation; 0: the engine's default", Scope::kPenstock},
    {"wal_sync", [](Job& job, const std::string& value) { job.database.wal_sync = parse_word<WalSync>(kWalSyncs, value); },
     "auto | linked | syscall | dsync", Scope::kPenstock},
    {"borrowed_reads", [](Job& job, const std::string& value) { job.database.borrowed_reads = parse_flag(value); },
     "gets of threads answer from memory while a reactor sleeps", Scope::kPenstock},
    {"log_budget", [](Job& job, const std::string& value) { job.database.log_budget_bytes = parse_size(value); },
     "log per reactor", Scope::kPenstock},
    {"log_segment", [](Job& job, const std::string& value) { job.database.log_segment_bytes = parse_size(value); },
     "size of a log file", Scope::kPenstock},
    {"flush_bytes_per_second",
     [](Job& job, const std::string& value) { job.database.flush_bytes_per_second = parse_size(value); },
     "what flushes may write; 0: as much as the disk takes", Scope::kPenstock},
    {"gather_from_bytes", [](Job& job, const std::string& value) { job.database.gather_from_bytes = parse_size(value); },
     "of a tree: from there on writes that lie far apart wait in runs", Scope::kPenstock},
    {"memtable_percent", [](Job& job, const std::string& value) { job.database.memtable_percent = parse_u32(value); },
     "of memory_limit"},
    {"cache_percent", [](Job& job, const std::string& value) { job.database.cache_percent = parse_u32(value); },
     "of memory_limit"},
};

const Key& find_key(const Setting& setting) {
  const auto found = std::ranges::find_if(kKeys, [&](const Key& key) { return setting.key == key.name; });
  if (found != std::end(kKeys)) {
    return *found;
  }
  std::vector<std::string> names;
  std::ranges::transform(kKeys, std::back_inserter(names), &Key::name);
  throw UsageError(fmt::format("{}: unknown key '{}'; the nearest is '{}'", setting.place.to_string(), setting.key,
                               nearest_word(setting.key, names)));
}

// What a section gets where it says nothing; depends on its operation alone.
void set_defaults(Job& job) {
  job.fresh = op_fills(job.op);
  switch (job.op) {
    case Op::kBatchPut:
      job.families = job.clients = 8;
      job.batch = 1000;
      job.commits = 50;
      break;
    case Op::kFillRandom:
    case Op::kOverwrite:
      job.placement = Placement::kHashed;
      job.keys = 5'000'000;
      job.key_size = 16;
      job.value_size = 100;
      job.batch = 100;
      break;
    case Op::kReadRandom:
    case Op::kScan:
      job.placement = Placement::kHashed;
      job.keys = 5'000'000;
      job.key_size = 16;
      job.value_size = 100;
      break;
    case Op::kCommit:
      job.placement = Placement::kHashed;
      job.keys = 1'000'000;
      job.key_size = 16;
      job.value_size = 100;
      break;
    case Op::kRecovery:
      job.families = job.clients = 8;
      job.batch = 100;
      job.log_bytes = 256_MiB;
      break;
  }
}

[[noreturn]] void refuse(const Job& job, const std::string& why) {
  throw UsageError(fmt::format("{}: [{}] {}", job.place.to_string(), job.name, why));
}

void check_rate_and_time(const Job& job) {
  if ((job.op == Op::kOverwrite || job.op == Op::kCommit || op_reads(job.op)) && job.ops == 0 && job.runtime_ns == 0) {
    refuse(job, "never ends: set ops= or runtime=");
  }
  if (job.time_based && job.runtime_ns == 0) {
    refuse(job, "time_based= never ends: set runtime=");
  }
  if (job.time_based && job.ops > 0) {
    refuse(job, "time_based= goes on until runtime= is over and ops= until so many: set one");
  }
  if (job.rate.process != RateProcess::kLinear && job.rate.ops_per_second == 0) {
    refuse(job, "rate_process= needs rate_ops=");
  }
  if (job.op == Op::kRecovery && (job.rate.ops_per_second > 0 || job.time_based)) {
    refuse(job, "rate_ops= and time_based= are not for op=recovery: it writes log_bytes=, as fast as it can");
  }
}

void check_combinations(Job& job) {
  if (job.directory.empty()) {
    refuse(job, "has no directory: set dir= or give --dir");
  }
  if (job.op == Op::kBatchPut) {
    if (job.commits == 0) {
      refuse(job, "commits= must be at least 1");
    }
    const std::uint64_t clients_per_family = (job.clients + job.families - 1) / job.families;
    job.keys = clients_per_family * job.commits * job.batch;
  } else if (job.op == Op::kRecovery) {
    if (job.log_bytes == 0) {
      refuse(job, "log_bytes= must be at least 1");
    }
    const std::uint64_t commits = job.log_bytes / (job.value_bytes_per_op() * job.batch * job.clients) + 1;
    job.commits = commits;
    job.keys = (job.clients + job.families - 1) / job.families * commits * job.batch;
  } else if (job.families != 1) {
    refuse(job, "families= is for op=batch_put and op=recovery; the others use one");
  }
  if (job.keys < job.clients) {
    refuse(job, "keys= must be at least clients=");
  }
  if (job.keys > std::numeric_limits<std::uint32_t>::max()) {
    refuse(job, "more than 2^32 - 1 keys per family");
  }
  check_rate_and_time(job);
  if (job.op == Op::kCommit && job.batch != 1) {
    refuse(job, "op=commit has batch=1; use op=overwrite for more");
  }
  if (job.on_shard && ((!op_reads(job.op) && job.op != Op::kCommit) || job.iodepth != 1)) {
    refuse(job, "on_shard= is for op=readrandom, op=scan and op=commit with iodepth=1");
  }
  if (job.op == Op::kScan && job.iodepth != 1) {
    refuse(job, "op=scan has iodepth=1: more clients= instead");
  }
  if (job.on_shard && job.op == Op::kCommit && job.placement != Placement::kPinned) {
    refuse(job, "on_shard= with op=commit needs placement=pinned: a commit is made on the shard of its key");
  }
  if (job.key_dist.text != "random" && (op_fills(job.op) && job.op != Op::kCommit)) {
    refuse(job, "key_dist= is for op=overwrite, op=commit, op=readrandom and op=scan: the others write each key once");
  }
  if (job.session && (job.op != Op::kReadRandom || job.on_shard)) {
    refuse(job, "session= is for op=readrandom on threads");
  }
  if (job.key_size > kKeyBytesMax) {
    refuse(job, fmt::format("key_size= is at most {}", kKeyBytesMax));
  }
  if (!op_reads(job.op) && job.batch * job.value_bytes_per_op() > kBatchBytesMax) {
    refuse(job, "a batch is over the engine's 32 MiB: lower batch= or value_size=");
  }
}

// What an engine cannot do is refused, not left out: two results that look alike would not be.
void check_engine(const Job& job, const std::vector<Setting>& settings) {
  if (job.engine == Engine::kPenstock) {
    return;
  }
  const std::string engine = engine_name(job.engine);
  for (const Setting& setting : settings) {
    if (find_key(setting).scope == Scope::kPenstock) {
      throw UsageError(fmt::format("{}: [{}] engine={} has no {}=: that is Penstock's own", setting.place.to_string(), job.name,
                                   engine, setting.key));
    }
  }
  if (job.op == Op::kRecovery) {
    refuse(job, fmt::format("op=recovery reads Penstock's log: engine={} cannot", engine));
  }
  if (job.iodepth > 1 && !job.session) {
    refuse(job, fmt::format("engine={} answers a call before it takes the next: iodepth=1{}; clients={} has as many in flight",
                            engine, job.op == Op::kReadRandom ? ", or session=1 for multi-gets" : "",
                            std::uint64_t{job.clients} * job.iodepth));
  }
}

void apply(Job& job, const Setting& setting) {
  const Key& key = find_key(setting);
  try {
    key.set(job, setting.value);
  } catch (const std::invalid_argument& error) {
    throw UsageError(fmt::format("{}: {}={}: {}", setting.place.to_string(), setting.key, setting.value, error.what()));
  }
}

Job build_job(const Section& section, const std::vector<Setting>& overrides) {
  Job job;
  job.name = section.name;
  job.place = section.place;
  std::vector<Setting> settings = section.settings;
  settings.insert(settings.end(), overrides.begin(), overrides.end());
  // The operation first: it decides the defaults of the others.
  bool has_op = false;
  for (const Setting& setting : settings) {
    find_key(setting);
    if (setting.key == "op") {
      apply(job, setting);
      has_op = true;
    }
  }
  if (!has_op) {
    refuse(job, "has no op=");
  }
  set_defaults(job);
  for (const Setting& setting : settings) {
    apply(job, setting);
  }
  check_combinations(job);
  check_engine(job, settings);
  return job;
}

}  // namespace

std::string op_name(Op op) { return word_of<Op>(kOps, op); }
std::string missing_engine_text(Engine engine) {
  return fmt::format("engine={} is not built in: install {} and build again (./dev deps installs it)", engine_name(engine),
                     engine_package(engine));
}

void require_engines(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    if (!has_engine(job.engine)) {
      refuse(job, missing_engine_text(job.engine));
    }
  }
}

std::string durability_name(Durability durability) { return word_of<Durability>(kDurabilities, durability); }
std::string rate_process_name(RateProcess process) { return word_of<RateProcess>(kRateProcesses, process); }
std::string io_backend_name(IoBackend backend) { return word_of<IoBackend>(kIoBackends, backend); }
std::string wal_sync_name(WalSync wal_sync) { return word_of<WalSync>(kWalSyncs, wal_sync); }

bool op_fills(Op op) { return op != Op::kOverwrite && !op_reads(op); }
bool op_reads(Op op) { return op == Op::kReadRandom || op == Op::kScan; }

std::vector<Job> build_jobs(const std::vector<Section>& sections, const std::vector<Setting>& overrides) {
  std::vector<Job> jobs;
  std::set<std::string> names;
  for (const Section& section : sections) {
    jobs.push_back(build_job(section, overrides));
    if (!names.insert(section.name).second) {
      refuse(jobs.back(), "comes twice: results could not be told apart");
    }
  }
  return jobs;
}

std::string key_help() {
  std::string text;
  for (const Key& key : kKeys) {
    text += fmt::format("{:<18}{}\n", key.name, key.help);
  }
  return text;
}

}  // namespace penstock::bench
