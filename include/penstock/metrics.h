// Metrics: what the engine did since it was opened, summed over reactors or shards. Plain numbers; taking them costs one
// message per reactor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

struct Metrics {
  // Commits and reads.
  std::uint64_t commits = 0;
  std::uint64_t operations = 0;
  std::uint64_t gets = 0;
  std::uint64_t gets_borrowed = 0;   ///< Gets that a thread answered itself while the reactor slept.
  std::uint64_t gets_from_disk = 0;  ///< Gets that had to wait for a page.
  std::uint64_t multi_gets = 0;      ///< By shard; each of their keys is a get.
  std::uint64_t scans = 0;
  std::uint64_t large_values = 0;  ///< Values over 64 KiB, which were written once, before their record.
  // Log.
  std::uint64_t log_groups = 0;
  std::uint64_t log_appended_bytes = 0;
  std::uint64_t log_written_bytes = 0;
  std::uint64_t log_syncs = 0;
  std::uint64_t log_bytes_in_use = 0;
  std::uint64_t log_segments_late = 0;
  std::uint64_t log_resumed_writes = 0;
  // Flush, tree, space.
  std::uint64_t flushes = 0;
  std::uint64_t flush_ns = 0;
  /// What may be in flight for a shard that is flushed (DatabaseOptions), of the reactors the most, and how often that was
  /// halved because commits took longer than usual.
  std::uint64_t flush_write_bytes = 0;
  std::uint64_t flush_write_cuts = 0;
  std::uint64_t flush_percent = 0;  ///< Of a busy reactor's time: the further flushes are behind the more, 10 to 60.
  std::uint64_t page_bytes_written = 0;
  std::uint64_t pages_written = 0;
  std::uint64_t pages_read = 0;
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  std::uint64_t zones_cleaned = 0;
  std::uint64_t runs_made = 0;    ///< See DatabaseOptions::gather_from_bytes.
  std::uint64_t runs_joined = 0;  ///< Became parts of larger ones.
  std::uint64_t run_entries = 0;  ///< That wait in runs now.
  std::uint64_t run_slices = 0;   ///< Merged from the runs into a family's tree.
  std::uint64_t space_file_bytes = 0;
  std::uint64_t space_live_bytes = 0;
  std::uint64_t space_free_bytes = 0;
  std::uint64_t space_pinned_bytes = 0;
  std::uint64_t space_garbage_bytes = 0;
  // Memory: what it is used for, and back-pressure. memtable_bytes, cache_bytes and run_filter_bytes stay within
  // memory_share_bytes; the buffers of the logs, the queues of the calls and the tables of the families come on top.
  std::uint64_t memory_share_bytes = 0;    ///< Of memory_limit: this database's, of those open on the runtime.
  std::uint64_t memtable_bytes = 0;        ///< Active ones and those that are being flushed.
  std::uint64_t memtable_ready_bytes = 0;  ///< Cleared and held for memtables, for all databases of the runtime.
  std::uint64_t cache_bytes = 0;
  std::uint64_t run_filter_bytes = 0;  ///< Tells which runs a key may be in. Taken from the cache's share.
  std::uint64_t log_buffer_bytes = 0;
  std::uint64_t delayed_commits = 0;  ///< Commits that waited for back-pressure.
  std::uint64_t delayed_ns = 0;       ///< Time they waited.
  std::uint64_t delayed_ns_max = 0;
  // Input and output.
  std::uint64_t syncs = 0;    ///< fdatasync and fsync entries of every kind.
  std::uint64_t enters = 0;   ///< io_uring_enter calls, or their counterpart.
  std::uint64_t entries = 0;  ///< Submission entries.
  std::uint64_t write_bytes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t wakes_sent = 0;
  std::uint64_t wakes_elided = 0;
  std::uint64_t stalls = 0;  ///< Tasks that ran longer than 2 ms.
  std::uint32_t reactors = 0;
  std::uint32_t poisoned_logs = 0;
  std::uint32_t damaged_families =
      0;                   ///< By shard: those with a page that a flush could not read. Their writes stay in memory and log.
  std::string io_backend;  ///< Of reactor 0; why, if it is not io_uring.
};

/// How often a stage took how long. Buckets are at most 1/64 of their beginning wide; empty ones are left out, ascending.
struct StageTimes {
  struct Bucket {
    std::uint64_t low_ns = 0;
    std::uint64_t end_ns = 0;  ///< The first that is not in it.
    std::uint64_t count = 0;
  };
  std::uint64_t count = 0;
  std::uint64_t sum_ns = 0;
  std::vector<Bucket> buckets;
};

/// Where commits spend their time, since the opening, all reactors together. Of each group that a log wrote, the first commit
/// is timed: it waits longest.
struct CommitStages {
  StageTimes apply;  ///< Into the memtable and the log's open group.
  StageTimes queue;  ///< Until the group is sent: the chain before it has to end.
  StageTimes write;  ///< Of the group, where a sync follows it, or where nothing but the write was asked for.
  StageTimes sync;   ///< Of the group, or the write itself where that is durable when it completes.
  StageTimes wake;   ///< Fulfilling the futures of the group, waking their threads included.
};

/// What recovery found and did at open.
struct RecoveryReport {
  bool created = false;
  bool clean = false;  ///< The last close was clean.
  std::uint32_t epoch = 0;
  std::uint32_t logs = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t records = 0;
  std::uint64_t operations = 0;  ///< Replayed.
  std::uint32_t torn_tails = 0;  ///< Logs that ended in an unfinished group.
  std::uint64_t duration_ns = 0;
};

}  // namespace penstock
