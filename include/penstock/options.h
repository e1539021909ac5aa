// Options of a runtime, a database and its families. Few, each with a default that was measured or that follows from
// memory_limit.
//
// Fill them in with designated initialisers, or from text ("name = value" lines) with parse_options(), which refuses unknown
// names. Sizes are bytes. Everything is checked by start(), open() and create_family(): `invalid_argument` names the option.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock {

enum class IoBackend : std::uint8_t {
  kAuto,  ///< io_uring, or system calls where it is refused. The environment's PENSTOCK_IO=ring|syscall overrides this choice.
  kRing,  ///< io_uring, or fail.
  kSyscall,  ///< System calls on a few worker threads.
};

/// Whose threads run the reactors.
enum class ReactorThreads : std::uint8_t {
  kOwn,      ///< The engine's: Runtime::start() makes them.
  kDonated,  ///< The host's: each calls Runtime::attach(), then polls (attached_reactor.h). The engine makes no thread, but for
             ///< the workers of IoBackend::kSyscall, and does without the one that clears memory ahead.
};

struct RuntimeOptions {
  std::uint32_t reactors = 0;  ///< Threads, one ring each; 0: one per usable core, of donated ones 1. At most 256.
  std::uint64_t memory_limit =
      0;  ///< For memtables and caches of all databases, divided evenly among those that are open (16 MiB each at least, or a
          ///< further one is refused); 0: a quarter of the memory. Min. 64 MiB.
  bool pin_threads = false;  ///< Bind reactor i to the i-th usable core. Refused for donated threads.
  IoBackend io_backend = IoBackend::kAuto;
  std::uint32_t ring_entries = 256;
  ReactorThreads threads = ReactorThreads::kOwn;  ///< Part of how a program is made, so not to be had from text.
  /// Called on the reactor's thread when one task ran longer than 2 ms. Must not block.
  void (*on_stall)(std::uint32_t reactor, std::uint64_t duration_ns) = nullptr;
};

enum class WalSync : std::uint8_t {
  kLinked,   ///< write -> fdatasync as linked io_uring entries.
  kSyscall,  ///< The same two calls on a worker thread.
  kDsync,    ///< One write that is durable when it completes (RWF_DSYNC); linked where the file system refuses that.
  kAuto,     ///< Groups of commits up to 64 KiB as kDsync, larger ones linked: a linked sync is a hop to a worker of the
             ///< kernel's, which a few waiting clients feel and many do not (docs/decisions/0006-small-groups.md).
};

/// What open() did so far; counts only grow.
struct OpenProgress {
  enum class Stage : std::uint8_t { kReadingLogs, kReplaying, kDone } stage = Stage::kReadingLogs;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};

struct DatabaseOptions {
  bool create_if_missing = true;
  bool error_if_exists = false;
  std::uint32_t shards = 0;  ///< At creation only; 0: 4 x usable cores. At most 1,024.
  WalSync wal_sync = WalSync::kAuto;
  std::uint64_t log_budget_bytes =
      512_MiB;  ///< Per reactor: beyond it shards flush so that the log can be trimmed. Min. 64 MiB.
  std::uint64_t log_segment_bytes = 16_MiB;  ///< 64 KiB to 64 MiB. A batch may have half of it, large values apart.
  std::uint32_t memtable_percent = 40;       ///< Of the database's share of memory_limit, 5 to 80.
  std::uint32_t cache_percent = 45;          ///< The same, 5 to 90; both together at most 95.
  std::uint32_t space_use_percent = 75;  ///< Zones are cleaned so that live data fills this much of the space used. 50 to 90.
  /// Database::get() on an ordinary thread answers by itself what is in memory while the shard's reactor sleeps.
  bool borrowed_reads = true;
  /// In flight per shard while it flushes. 0: as many as the commits beside it bear, 128 KiB to 2 MiB; else 64 KiB to 64 MiB.
  std::uint64_t flush_write_bytes = 0;
  /// What flushes and the cleaning of zones may write, all reactors together; commits wait for memory if that is too little.
  /// 0: as much as the disk takes. At least 1 MiB.
  std::uint64_t flush_bytes_per_second = 0;
  /// A family with a tree of at least so many bytes on a shard gathers writes that lie far apart in runs before they change its
  /// leaves: that writes several times less where data are much larger than memory, and has reads look into a few small trees
  /// more. ~0: never.
  std::uint64_t gather_from_bytes = 4_MiB;
  /// Called during open() on the opening thread or a reactor; must not block.
  std::function<void(const OpenProgress&)> on_progress = {};
};

/// What may be changed while a database is open (Database::change_options): names, units and limits are those of
/// DatabaseOptions. What is not given stays as it is.
struct OptionChanges {
  std::optional<std::uint64_t> log_budget_bytes = std::nullopt;
  std::optional<std::uint32_t> cache_percent = std::nullopt;
  std::optional<std::uint32_t> space_use_percent = std::nullopt;
  std::optional<std::uint64_t> flush_write_bytes = std::nullopt;
  std::optional<std::uint64_t> flush_bytes_per_second = std::nullopt;
  std::optional<std::uint64_t> gather_from_bytes = std::nullopt;
};

/// Lines "name = value" (sizes may end in k, m, g; # begins a comment) over `defaults`. An unknown name or a bad value is
/// `invalid_argument` with the line's number.
Outcome<DatabaseOptions> parse_database_options(std::string_view text, DatabaseOptions defaults = {});
Outcome<RuntimeOptions> parse_runtime_options(std::string_view text, RuntimeOptions defaults = {});
/// The same for changes; the name of an option that cannot be changed is `invalid_argument` too.
Outcome<OptionChanges> parse_option_changes(std::string_view text);

enum class Placement : std::uint8_t {
  kPinned = 0,  ///< All of the family on one shard.
  kHashed = 1,  ///< Spread over all shards by a hash of the partition part of the key.
};

/// Which part of a key decides its shard in a hashed family: keys that share it share a shard, and a batch over them is atomic.
struct PartitionRule {
  enum class Kind : std::uint8_t { kWholeKey = 0, kPrefix = 1, kDelimiter = 2 } kind = Kind::kWholeKey;
  std::uint16_t prefix_bytes = 0;  ///< kPrefix: the first so many bytes (a shorter key counts whole).
  char delimiter = 0;              ///< kDelimiter: up to and without its first occurrence (none: the whole key).
};

struct FamilyOptions {
  Placement placement = Placement::kPinned;
  std::int32_t shard = -1;       ///< kPinned: this shard; -1: chosen by the family's id.
  PartitionRule partition = {};  ///< kHashed.
};

struct CommitOptions {
  Durability durability = Durability::kSync;
  bool no_wait = false;  ///< `busy` instead of waiting under back-pressure.
};

}  // namespace penstock
