// Keys that configure the engine.
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

constexpr Key kEngineKeys[] = {
    {"memory_limit", "SIZE", [](Job& job, const std::string& value) { job.runtime.memory_limit = parse_size(value); },
     "Of memtables and caches. A peer gets memtable_percent and cache_percent of it.", "a quarter of the machine's"},
    {"cache", "SIZE", [](Job& job, const std::string& value) { job.cache_bytes = parse_size(value); },
     "Of cached pages, the same for every engine: memory_limit becomes what has so much for its cache_percent."},
    {"memtable_percent", "PERCENT",
     [](Job& job, const std::string& value) { job.database.memtable_percent = parse_u32(value, 5); }, "Of memory_limit.", "40"},
    {"cache_percent", "PERCENT", [](Job& job, const std::string& value) { job.database.cache_percent = parse_u32(value, 5); },
     "Of memory_limit.", "45"},
    {"reactors", "N", [](Job& job, const std::string& value) { job.runtime.reactors = parse_u32(value); },
     "Threads of the engine; 0: one per core.", "0", Scope::kPenstock},
    {"shards", "N", [](Job& job, const std::string& value) { job.database.shards = parse_u32(value); },
     "At creation; 0: four per core.", "0", Scope::kPenstock},
    {"pin_threads", kFlagValues, [](Job& job, const std::string& value) { job.runtime.pin_threads = parse_flag(value); },
     "Bind reactors to cores.", "0", Scope::kPenstock},
    {"io_backend", "auto|ring|syscall",
     [](Job& job, const std::string& value) { job.runtime.io_backend = parse_word<IoBackend>(kIoBackends, value); },
     "How the engine talks to the kernel.", "auto", Scope::kPenstock},
    {"ring_entries", "N", [](Job& job, const std::string& value) { job.runtime.ring_entries = parse_u32(value, 1); },
     "Of each io_uring.", "256", Scope::kPenstock},
    {"wal_sync", "auto|linked|syscall|dsync",
     [](Job& job, const std::string& value) { job.database.wal_sync = parse_word<WalSync>(kWalSyncs, value); },
     "How the log reaches stable storage.", "auto", Scope::kPenstock},
    {"log_budget", "SIZE", [](Job& job, const std::string& value) { job.database.log_budget_bytes = parse_size(value); },
     "Log per reactor.", "512m", Scope::kPenstock},
    {"log_segment", "SIZE", [](Job& job, const std::string& value) { job.database.log_segment_bytes = parse_size(value); },
     "Size of a log file.", "16m", Scope::kPenstock},
    {"borrowed_reads", kFlagValues, [](Job& job, const std::string& value) { job.database.borrowed_reads = parse_flag(value); },
     "Gets of threads answer from memory while a reactor sleeps.", "1", Scope::kPenstock},
    {"flush_bytes_per_second", "SIZE",
     [](Job& job, const std::string& value) { job.database.flush_bytes_per_second = parse_size(value); },
     "What flushes may write; 0: as much as the disk takes.", "0", Scope::kPenstock},
    {"gather_from_bytes", "SIZE",
     [](Job& job, const std::string& value) { job.database.gather_from_bytes = parse_size(value); },
     "From this size of a tree on writes that lie far apart wait in runs.", "4m", Scope::kPenstock},
};

}  // namespace

std::span<const Key> engine_keys() { return kEngineKeys; }

}  // namespace penstock::bench
