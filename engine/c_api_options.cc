// The C API: structs of options, from the caller's version of them to the engine's.
#include <cstdint>

#include "engine/c_api.h"

namespace penstock::capi {

namespace {

// A struct that grows gets its new members at the end and keeps its first size in kStructBytesMin.
static_assert(sizeof(penstock_runtime_options) == 40);
static_assert(sizeof(penstock_database_options) == 96);
static_assert(sizeof(penstock_family_options) == 24);
static_assert(sizeof(penstock_commit_options) == 12);
static_assert(sizeof(penstock_scan_options) == 48);
static_assert(sizeof(penstock_scrub_options) == 32);

#define PENSTOCK_SAME(c_name, name) static_assert((c_name) == static_cast<std::int32_t>(name))
PENSTOCK_SAME(PENSTOCK_IO_AUTO, IoBackend::kAuto);
PENSTOCK_SAME(PENSTOCK_IO_RING, IoBackend::kRing);
PENSTOCK_SAME(PENSTOCK_IO_SYSCALL, IoBackend::kSyscall);
PENSTOCK_SAME(PENSTOCK_THREADS_OWN, ReactorThreads::kOwn);
PENSTOCK_SAME(PENSTOCK_THREADS_DONATED, ReactorThreads::kDonated);
PENSTOCK_SAME(PENSTOCK_WAL_SYNC_LINKED, WalSync::kLinked);
PENSTOCK_SAME(PENSTOCK_WAL_SYNC_SYSCALL, WalSync::kSyscall);
PENSTOCK_SAME(PENSTOCK_WAL_SYNC_DSYNC, WalSync::kDsync);
PENSTOCK_SAME(PENSTOCK_WAL_SYNC_AUTO, WalSync::kAuto);
PENSTOCK_SAME(PENSTOCK_OPEN_READING_LOGS, OpenProgress::Stage::kReadingLogs);
PENSTOCK_SAME(PENSTOCK_OPEN_REPLAYING, OpenProgress::Stage::kReplaying);
PENSTOCK_SAME(PENSTOCK_OPEN_DONE, OpenProgress::Stage::kDone);
PENSTOCK_SAME(PENSTOCK_PLACEMENT_PINNED, Placement::kPinned);
PENSTOCK_SAME(PENSTOCK_PLACEMENT_HASHED, Placement::kHashed);
PENSTOCK_SAME(PENSTOCK_PARTITION_WHOLE_KEY, PartitionRule::Kind::kWholeKey);
PENSTOCK_SAME(PENSTOCK_PARTITION_PREFIX, PartitionRule::Kind::kPrefix);
PENSTOCK_SAME(PENSTOCK_PARTITION_DELIMITER, PartitionRule::Kind::kDelimiter);
PENSTOCK_SAME(PENSTOCK_DURABILITY_SYNC, Durability::kSync);
PENSTOCK_SAME(PENSTOCK_DURABILITY_WRITTEN, Durability::kWritten);
PENSTOCK_SAME(PENSTOCK_DURABILITY_BUFFERED, Durability::kBuffered);
PENSTOCK_SAME(PENSTOCK_DURABILITY_UNLOGGED, Durability::kUnlogged);

// --- Both ways: the engine's defaults as a struct of C, and back ---

penstock_runtime_options to_c(const RuntimeOptions& options) {
  return {.struct_bytes = 0,
          .reactors = options.reactors,
          .pin_threads = options.pin_threads ? 1U : 0U,
          .io_backend = static_cast<penstock_io_backend>(options.io_backend),
          .memory_limit = options.memory_limit,
          .ring_entries = options.ring_entries,
          .threads = static_cast<penstock_reactor_threads>(options.threads),
          .on_stall = options.on_stall};
}

/// All but on_progress, which is a pair in C.
penstock_database_options to_c(const DatabaseOptions& options) {
  return {.struct_bytes = 0,
          .create_if_missing = options.create_if_missing ? 1U : 0U,
          .error_if_exists = options.error_if_exists ? 1U : 0U,
          .shards = options.shards,
          .wal_sync = static_cast<penstock_wal_sync>(options.wal_sync),
          .memtable_percent = options.memtable_percent,
          .cache_percent = options.cache_percent,
          .space_use_percent = options.space_use_percent,
          .borrowed_reads = options.borrowed_reads ? 1U : 0U,
          .reserved = 0,
          .log_budget_bytes = options.log_budget_bytes,
          .log_segment_bytes = options.log_segment_bytes,
          .flush_write_bytes = options.flush_write_bytes,
          .flush_bytes_per_second = options.flush_bytes_per_second,
          .gather_from_bytes = options.gather_from_bytes,
          .on_progress = nullptr,
          .progress_context = nullptr};
}

penstock_family_options to_c(const FamilyOptions& options) {
  return {.struct_bytes = 0,
          .placement = static_cast<penstock_placement>(options.placement),
          .shard = options.shard,
          .partition = static_cast<penstock_partition>(options.partition.kind),
          .prefix_bytes = options.partition.prefix_bytes,
          .delimiter = static_cast<unsigned char>(options.partition.delimiter)};
}

penstock_commit_options to_c(const CommitOptions& options) {
  return {.struct_bytes = 0,
          .durability = static_cast<penstock_durability>(options.durability),
          .no_wait = options.no_wait ? 1U : 0U};
}

penstock_scan_options to_c(const ScanOptions& options) {
  return {.struct_bytes = 0, .rows_max = options.rows_max, .bytes_max = options.bytes_max, .from = {}, .to = {}};
}

/// All but on_progress, which is a pair in C.
penstock_scrub_options to_c(const ScrubOptions& options) {
  return {.struct_bytes = 0,
          .damages_max = options.damages_max,
          .bytes_per_second = options.bytes_per_second,
          .on_progress = nullptr,
          .context = nullptr};
}

/// A flag or a value of an enumeration, which in C is any number.
struct Member {
  const char* name;
  std::int64_t value;
  std::int64_t max;
};

Outcome<bool> check_members(std::initializer_list<Member> members) {
  for (const Member& each : members) {
    if (each.value < 0 || each.value > each.max) {
      return refuse(std::string("member ") + each.name + ": " + std::to_string(each.value) + " is not between 0 and " +
                    std::to_string(each.max));
    }
  }
  return true;
}

/// The caller's struct as this library knows it: what an older program does not know keeps its default.
template <typename Struct>
Outcome<Struct> read_struct(const Struct* given, Struct defaults) {
  if (given->struct_bytes < kStructBytesMin<Struct>) {
    return refuse("struct_bytes is " + std::to_string(given->struct_bytes) + ": fill the struct in with its _init function");
  }
  const std::size_t known_bytes = std::min<std::size_t>(given->struct_bytes, sizeof(Struct));
  std::memcpy(static_cast<void*>(&defaults), given, known_bytes);
  const Bytes unknown(reinterpret_cast<const char*>(given) + known_bytes, given->struct_bytes - known_bytes);
  if (unknown.find_first_not_of('\0') != Bytes::npos) {
    return std::unexpected(
        Failure(Status(Code::kNotSupported), "a member that this version of the library does not know is set"));
  }
  return defaults;
}

template <typename Struct, typename Options>
void init(const Options& defaults, Struct* options, std::uint32_t struct_bytes) {
  if (options != nullptr) {
    Struct filled = to_c(defaults);
    filled.struct_bytes = struct_bytes;
    write_struct(filled, options, struct_bytes);
  }
}

}  // namespace

penstock_family_options describe(const FamilyOptions& options) { return to_c(options); }

// --- From C ---

Outcome<RuntimeOptions> read_options(const penstock_runtime_options* options) {
  if (options == nullptr) {
    return RuntimeOptions{};
  }
  const Outcome<penstock_runtime_options> given = read_struct(options, to_c(RuntimeOptions{}));
  if (!given.has_value()) {
    return std::unexpected(given.error());
  }
  const Outcome<bool> checked = check_members({{"pin_threads", given->pin_threads, 1},
                                               {"io_backend", given->io_backend, PENSTOCK_IO_SYSCALL},
                                               {"threads", given->threads, PENSTOCK_THREADS_DONATED}});
  if (!checked.has_value()) {
    return std::unexpected(checked.error());
  }
  return RuntimeOptions{.reactors = given->reactors,
                        .memory_limit = given->memory_limit,
                        .pin_threads = given->pin_threads != 0,
                        .io_backend = static_cast<IoBackend>(given->io_backend),
                        .ring_entries = given->ring_entries,
                        .threads = static_cast<ReactorThreads>(given->threads),
                        .on_stall = given->on_stall};
}

Outcome<DatabaseOptions> read_options(const penstock_database_options* options) {
  if (options == nullptr) {
    return DatabaseOptions{};
  }
  const Outcome<penstock_database_options> given = read_struct(options, to_c(DatabaseOptions{}));
  if (!given.has_value()) {
    return std::unexpected(given.error());
  }
  const Outcome<bool> checked = check_members({{"create_if_missing", given->create_if_missing, 1},
                                               {"error_if_exists", given->error_if_exists, 1},
                                               {"wal_sync", given->wal_sync, PENSTOCK_WAL_SYNC_AUTO},
                                               {"borrowed_reads", given->borrowed_reads, 1},
                                               {"reserved", given->reserved, 0}});
  if (!checked.has_value()) {
    return std::unexpected(checked.error());
  }
  DatabaseOptions wanted{.create_if_missing = given->create_if_missing != 0,
                         .error_if_exists = given->error_if_exists != 0,
                         .shards = given->shards,
                         .wal_sync = static_cast<WalSync>(given->wal_sync),
                         .log_budget_bytes = given->log_budget_bytes,
                         .log_segment_bytes = given->log_segment_bytes,
                         .memtable_percent = given->memtable_percent,
                         .cache_percent = given->cache_percent,
                         .space_use_percent = given->space_use_percent,
                         .borrowed_reads = given->borrowed_reads != 0,
                         .flush_write_bytes = given->flush_write_bytes,
                         .flush_bytes_per_second = given->flush_bytes_per_second,
                         .gather_from_bytes = given->gather_from_bytes};
  if (given->on_progress != nullptr) {
    wanted.on_progress = [call = given->on_progress, context = given->progress_context](const OpenProgress& progress) {
      call(context, static_cast<penstock_open_stage>(progress.stage), progress.bytes_done, progress.bytes_total);
    };
  }
  return wanted;
}

Outcome<FamilyOptions> read_options(const penstock_family_options* options) {
  if (options == nullptr) {
    return FamilyOptions{};
  }
  const Outcome<penstock_family_options> given = read_struct(options, to_c(FamilyOptions{}));
  if (!given.has_value()) {
    return std::unexpected(given.error());
  }
  const Outcome<bool> checked = check_members({{"placement", given->placement, PENSTOCK_PLACEMENT_HASHED},
                                               {"partition", given->partition, PENSTOCK_PARTITION_DELIMITER},
                                               {"prefix_bytes", given->prefix_bytes, 0xffff},
                                               {"delimiter", given->delimiter, 0xff}});
  if (!checked.has_value()) {
    return std::unexpected(checked.error());
  }
  return FamilyOptions{.placement = static_cast<Placement>(given->placement),
                       .shard = given->shard,
                       .partition = {.kind = static_cast<PartitionRule::Kind>(given->partition),
                                     .prefix_bytes = static_cast<std::uint16_t>(given->prefix_bytes),
                                     .delimiter = static_cast<char>(given->delimiter)}};
}

Outcome<CommitOptions> read_options(const penstock_commit_options* options) {
  if (options == nullptr) {
    return CommitOptions{};
  }
  const Outcome<penstock_commit_options> given = read_struct(options, to_c(CommitOptions{}));
  if (!given.has_value()) {
    return std::unexpected(given.error());
  }
  const Outcome<bool> checked =
      check_members({{"durability", given->durability, PENSTOCK_DURABILITY_UNLOGGED}, {"no_wait", given->no_wait, 1}});
  if (!checked.has_value()) {
    return std::unexpected(checked.error());
  }
  return CommitOptions{.durability = static_cast<Durability>(given->durability), .no_wait = given->no_wait != 0};
}

Outcome<ScanOptions> read_options(const penstock_scan_options* options) {
  if (options == nullptr) {
    return ScanOptions{};
  }
  const Outcome<penstock_scan_options> given = read_struct(options, to_c(ScanOptions{}));
  if (!given.has_value()) {
    return std::unexpected(given.error());
  }
  if (given->rows_max == 0) {
    return refuse("member rows_max: a scan brings at least one row");
  }
  for (const penstock_bytes& each : {given->from, given->to}) {
    if (each.data == nullptr && each.size != 0) {
      return refuse("a bound at NULL with a size that is not 0");
    }
  }
  ScanOptions wanted{
      .from = std::string(view(given->from)), .to = std::nullopt, .rows_max = given->rows_max, .bytes_max = given->bytes_max};
  if (given->to.data != nullptr) {
    wanted.to = std::string(view(given->to));
  }
  return wanted;
}

Outcome<ScrubOptions> read_options(const penstock_scrub_options* options) {
  if (options == nullptr) {
    return ScrubOptions{};
  }
  const Outcome<penstock_scrub_options> given = read_struct(options, to_c(ScrubOptions{}));
  if (!given.has_value()) {
    return std::unexpected(given.error());
  }
  ScrubOptions wanted{.bytes_per_second = given->bytes_per_second, .damages_max = given->damages_max, .on_progress = nullptr};
  if (given->on_progress != nullptr) {
    wanted.on_progress = [call = given->on_progress, context = given->context](const ScrubProgress& progress) {
      return call(context, progress.bytes_done, progress.bytes_total, progress.damages);
    };
  }
  return wanted;
}

}  // namespace penstock::capi

using penstock::Outcome;
namespace capi = penstock::capi;

void penstock_runtime_options_init(penstock_runtime_options* options, uint32_t struct_bytes) {
  capi::init(penstock::RuntimeOptions{}, options, struct_bytes);
}
void penstock_database_options_init(penstock_database_options* options, uint32_t struct_bytes) {
  capi::init(penstock::DatabaseOptions{}, options, struct_bytes);
}
void penstock_family_options_init(penstock_family_options* options, uint32_t struct_bytes) {
  capi::init(penstock::FamilyOptions{}, options, struct_bytes);
}
void penstock_commit_options_init(penstock_commit_options* options, uint32_t struct_bytes) {
  capi::init(penstock::CommitOptions{}, options, struct_bytes);
}
void penstock_scan_options_init(penstock_scan_options* options, uint32_t struct_bytes) {
  capi::init(penstock::ScanOptions{}, options, struct_bytes);
}

void penstock_scrub_options_init(penstock_scrub_options* options, uint32_t struct_bytes) {
  capi::init(penstock::ScrubOptions{}, options, struct_bytes);
}

// --- From text ---

penstock_code penstock_runtime_options_parse(penstock_runtime_options* options, const char* text, penstock_failure** failure) {
  if (options == nullptr || text == nullptr) {
    return capi::report_misuse("the options or their text are NULL", failure);
  }
  const Outcome<penstock::RuntimeOptions> given = capi::read_options(options);
  if (!given.has_value()) {
    return capi::report(given.error(), failure);
  }
  return capi::deliver(penstock::parse_runtime_options(text, *given), failure, [&](const penstock::RuntimeOptions& parsed) {
    penstock_runtime_options filled = capi::to_c(parsed);
    filled.struct_bytes = options->struct_bytes;
    capi::write_struct(filled, options, options->struct_bytes);
  });
}

penstock_code penstock_database_options_parse(penstock_database_options* options, const char* text,
                                              penstock_failure** failure) {
  if (options == nullptr || text == nullptr) {
    return capi::report_misuse("the options or their text are NULL", failure);
  }
  const Outcome<penstock::DatabaseOptions> given = capi::read_options(options);
  if (!given.has_value()) {
    return capi::report(given.error(), failure);
  }
  return capi::deliver(penstock::parse_database_options(text, *given), failure, [&](const penstock::DatabaseOptions& parsed) {
    penstock_database_options filled = capi::to_c(parsed);
    filled.struct_bytes = options->struct_bytes;
    filled.on_progress = options->on_progress;
    filled.progress_context = options->progress_context;
    capi::write_struct(filled, options, options->struct_bytes);
  });
}
