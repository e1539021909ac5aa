#include "tools/penstock-bench/job_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

constexpr Key kJobKeys[] = {
    {"description", "TEXT", [](Job&, const std::string&) {}, "text for the reader of the file"},
    {"engine", "penstock|rocksdb|lmdb|leveldb|wiredtiger",
     [](Job& job, const std::string& value) { job.engine = parse_word<Engine>(kEngines, value); },
     "penstock | rocksdb | lmdb | leveldb | wiredtiger (--enghelp says which are built in)"},
    {"op", "batch_put|fillrandom|overwrite|commit|readrandom|scan|recovery",
     [](Job& job, const std::string& value) { job.op = parse_word<Op>(kOps, value); },
     "batch_put | fillrandom | overwrite | commit | readrandom | scan | recovery"},
    {"dir", "PATH", [](Job& job, const std::string& value) { job.directory = parse_text(value); },
     "directory of the database; a peer's is DIR-ENGINE beside it"},
};

constexpr Key kDataKeys[] = {
    {"families", "N", [](Job& job, const std::string& value) { job.families = parse_u32(value, 1); },
     "column families (batch_put, recovery)"},
    {"placement", "pinned|hashed",
     [](Job& job, const std::string& value) { job.placement = parse_word<Placement>(kPlacements, value); },
     "a family on one shard, or over all", Scope::kPenstock},
    {"keys", "N", [](Job& job, const std::string& value) { job.keys = parse_size(value); },
     "keys of the data set (not batch_put)"},
    {"key_size", "SIZE", [](Job& job, const std::string& value) { job.key_size = parse_u32(value, kKeySizeMin); },
     "bytes of a key"},
    {"value_size", "SIZE", [](Job& job, const std::string& value) { job.value_size = parse_u32(value, kValueSizeMin); },
     "bytes of a value"},
    {"seed", "N", [](Job& job, const std::string& value) { job.seed = parse_size(value); }, "of the data and of the order"},
    {"key_dist", "random|zipf:THETA|pareto:SHARE|normal:DEVIATION|zoned:OPERATIONS/KEYS:...|latest[:THETA]",
     [](Job& job, const std::string& value) { job.key_dist = parse_key_dist(value); },
     "overwrite, commit, readrandom, scan: random | zipf:THETA | pareto:SHARE | normal:DEVIATION | zoned:OPERATIONS/KEYS:... | "
     "latest[:THETA]"},
    {"key_scatter", kFlagValues, [](Job& job, const std::string& value) { job.key_scatter = parse_flag(value); },
     "popular keys lie anywhere (default), or 0: side by side, from the first key on"},
    {"fresh", kFlagValues, [](Job& job, const std::string& value) { job.fresh = parse_flag(value); },
     "remove a database of the engine's at dir first (default 1 where the job makes its data)"},
    {"reopen", kFlagValues, [](Job& job, const std::string& value) { job.reopen = parse_flag(value); },
     "close and open again before the job"},
};

constexpr Key kLoadKeys[] = {
    {"clients", "N", [](Job& job, const std::string& value) { job.clients = parse_u32(value, 1); },
     "threads that issue operations"},
    {"iodepth", "N", [](Job& job, const std::string& value) { job.iodepth = parse_u32(value, 1); },
     "calls in flight per client"},
    {"batch", "N", [](Job& job, const std::string& value) { job.batch = parse_u32(value, 1); }, "operations per commit"},
    {"commits", "N", [](Job& job, const std::string& value) { job.commits = parse_size(value); },
     "commits per client (batch_put)"},
    {"ops", "N", [](Job& job, const std::string& value) { job.ops = parse_size(value); },
     "stop after so many operations, all clients together"},
    {"runtime", "TIME", [](Job& job, const std::string& value) { job.runtime_ns = parse_duration_ns(value); },
     "stop after this time"},
    {"time_based", kFlagValues, [](Job& job, const std::string& value) { job.time_based = parse_flag(value); },
     "batch_put, fillrandom: go on for the whole of runtime, writing the keys again and again"},
    {"rate_ops", "N", [](Job& job, const std::string& value) { job.rate.ops_per_second = parse_size(value); },
     "operations per second wanted, all clients together; latency then counts from when a call was to begin; 0: no rate"},
    {"rate_process", "linear|poisson",
     [](Job& job, const std::string& value) { job.rate.process = parse_word<RateProcess>(kRateProcesses, value); },
     "the same time between the calls of a client, or random times with that mean"},
    {"log_bytes", "SIZE", [](Job& job, const std::string& value) { job.log_bytes = parse_size(value); },
     "log to leave behind (recovery)", Scope::kPenstock},
    {"session", kFlagValues, [](Job& job, const std::string& value) { job.session = parse_flag(value); },
     "readrandom: clients ask through a session, iodepth gets at a time; peers: a multi-get of so many"},
    {"scan_rows", "N", [](Job& job, const std::string& value) { job.scan_rows = parse_u32(value, 1); }, "rows of a scan"},
    {"on_shard", kFlagValues, [](Job& job, const std::string& value) { job.on_shard = parse_flag(value); },
     "readrandom, scan, commit: clients run on the shards, as coroutines, instead of on threads", Scope::kPenstock},
    {"settled", kFlagValues, [](Job& job, const std::string& value) { job.settled = parse_flag(value); },
     "the time includes flush(); peers: until everything is in their files and no work is due"},
    {"durability", "sync|written|buffered",
     [](Job& job, const std::string& value) { job.durability = parse_word<Durability>(kDurabilities, value); },
     "sync | written | buffered"},
};

constexpr Key kEngineKeys[] = {
    {"reactors", "N", [](Job& job, const std::string& value) { job.runtime.reactors = parse_u32(value); },
     "threads of the engine; 0: one per core", Scope::kPenstock},
    {"memory_limit", "SIZE", [](Job& job, const std::string& value) { job.runtime.memory_limit = parse_size(value); },
     "of the engine; 0: a quarter of the machine's"},
    {"pin_threads", kFlagValues, [](Job& job, const std::string& value) { job.runtime.pin_threads = parse_flag(value); },
     "bind reactors to cores", Scope::kPenstock},
    {"io_backend", "auto|ring|syscall",
     [](Job& job, const std::string& value) { job.runtime.io_backend = parse_word<IoBackend>(kIoBackends, value); },
     "auto | ring | syscall", Scope::kPenstock},
    {"ring_entries", "N", [](Job& job, const std::string& value) { job.runtime.ring_entries = parse_u32(value, 1); },
     "of each io_uring", Scope::kPenstock},
    {"shards", "N", [](Job& job, const std::string& value) { job.database.shards = parse_u32(value); },
     "at creation; 0: the engine's default", Scope::kPenstock},
    {"wal_sync", "auto|linked|syscall|dsync",
     [](Job& job, const std::string& value) { job.database.wal_sync = parse_word<WalSync>(kWalSyncs, value); },
     "auto | linked | syscall | dsync", Scope::kPenstock},
    {"borrowed_reads", kFlagValues, [](Job& job, const std::string& value) { job.database.borrowed_reads = parse_flag(value); },
     "gets of threads answer from memory while a reactor sleeps", Scope::kPenstock},
    {"log_budget", "SIZE", [](Job& job, const std::string& value) { job.database.log_budget_bytes = parse_size(value); },
     "log per reactor", Scope::kPenstock},
    {"log_segment", "SIZE", [](Job& job, const std::string& value) { job.database.log_segment_bytes = parse_size(value); },
     "size of a log file", Scope::kPenstock},
    {"flush_bytes_per_second", "SIZE",
     [](Job& job, const std::string& value) { job.database.flush_bytes_per_second = parse_size(value); },
     "what flushes may write; 0: as much as the disk takes", Scope::kPenstock},
    {"gather_from_bytes", "SIZE",
     [](Job& job, const std::string& value) { job.database.gather_from_bytes = parse_size(value); },
     "of a tree: from there on writes that lie far apart wait in runs", Scope::kPenstock},
    {"memtable_percent", "PERCENT",
     [](Job& job, const std::string& value) { job.database.memtable_percent = parse_u32(value); }, "of memory_limit"},
    {"cache_percent", "PERCENT", [](Job& job, const std::string& value) { job.database.cache_percent = parse_u32(value); },
     "of memory_limit"},
};

}  // namespace

std::span<const KeyBlock> key_blocks() {
  static const KeyBlock kBlocks[] = {{.title = "Job", .keys = kJobKeys},
                                     {.title = "Data", .keys = kDataKeys},
                                     {.title = "Load", .keys = kLoadKeys},
                                     {.title = "Verification and output", .keys = output_keys()},
                                     {.title = "Engine", .keys = kEngineKeys}};
  return kBlocks;
}

const Key* find_key(const std::string& name) {
  for (const KeyBlock& block : key_blocks()) {
    const auto found = std::ranges::find_if(block.keys, [&](const Key& key) { return name == key.name; });
    if (found != block.keys.end()) {
      return &*found;
    }
  }
  return nullptr;
}

std::string nearest_key(const std::string& name) {
  std::vector<std::string> names;
  for (const KeyBlock& block : key_blocks()) {
    std::ranges::transform(block.keys, std::back_inserter(names), &Key::name);
  }
  return nearest_word(name, names);
}

std::string key_help() {
  std::string text;
  for (const KeyBlock& block : key_blocks()) {
    text += fmt::format("{}{}:\n", text.empty() ? "" : "\n", block.title);
    for (const Key& key : block.keys) {
      text += fmt::format("  {:<22}={}\n      {}\n", key.name, key.values, key.help);
    }
  }
  return text;
}

}  // namespace penstock::bench
