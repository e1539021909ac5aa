#include "tools/penstock-bench/store_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

namespace penstock::bench {
namespace {

// As Penstock's own default: a quarter of what there is.
std::uint64_t memory_of(const Job& job) {
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  return job.runtime.memory_limit > 0 ? job.runtime.memory_limit : pages * page_bytes / 4;
}

}  // namespace

PeerSettings peer_settings(const Job& job) {
  constexpr std::uint64_t kHundred = 100;
  constexpr std::uint32_t kClientsMin = 256;  // So that jobs with few clients and many share a store.
  return {.directory = {},
          .families = job.cfs,
          .clients = std::bit_ceil(std::max(job.clients_together, kClientsMin)),
          .memtable_bytes = memory_of(job) * job.database.memtable_percent / kHundred,
          .cache_bytes = job.cache_bytes > 0 ? job.cache_bytes : memory_of(job) * job.database.cache_percent / kHundred,
          .durability = job.durability};
}

std::string store_options(const Job& job) {
  if (job.engine != Engine::kPenstock) {
    const PeerSettings settings = peer_settings(job);
    return fmt::format("{} {} {} {} {} {} {}", engine_name(job.engine), job.directory, settings.families, settings.clients,
                       settings.memtable_bytes, settings.cache_bytes, durability_name(settings.durability));
  }
  const RuntimeOptions& runtime = job.runtime;
  const DatabaseOptions& database = job.database;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", job.directory, runtime.reactors, runtime.memory_limit,
                     runtime.pin_threads, io_backend_name(runtime.io_backend), runtime.ring_entries, database.shards,
                     wal_sync_name(database.wal_sync), database.log_budget_bytes, database.log_segment_bytes,
                     database.memtable_percent, database.cache_percent, database.borrowed_reads,
                     database.flush_bytes_per_second, database.gather_from_bytes);
}

}  // namespace penstock::bench
