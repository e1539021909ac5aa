// The C API: all of penstock/db.h for programs in C (C99) and for the foreign function interfaces of other languages.
//
//   penstock_runtime* runtime;
//   penstock_database* database;
//   penstock_family* orders;
//   penstock_runtime_start(NULL, &runtime, NULL);
//   penstock_database_open(runtime, "/data/orders", NULL, &database, NULL);
//   penstock_family_open_or_create(database, penstock_text("orders"), NULL, &orders, NULL);
//   penstock_put(database, orders, penstock_text("key"), penstock_text("value"), NULL, NULL);
//
// Rules that hold for every function, unless its own comment says otherwise:
//   Answers    A call that can fail returns a penstock_code. Its last parameter, `failure`, may be NULL; otherwise it gets a
//              penstock_failure to be freed, or NULL on success. Where failing is usual (PENSTOCK_NOT_FOUND) pass NULL: the
//              text costs an allocation. An out parameter for a handle is set to NULL on failure, every other is left alone.
//   Ownership  What a function hands out through a `**` or returns as a non-const pointer to a handle belongs to the caller,
//              who gives it to the _free function of its type. Those take NULL. Pointers inside a handle (text, bytes) live as
//              long as the handle. Arguments are copied before a call returns; the library keeps no pointer into them.
//   Threads    Any function may be called from any thread. Runtimes, databases and families may be used by many threads at
//              once, every other handle by one at a time. Nobody may be inside a call with a handle that is being freed.
//   Reactors   A callback may run on a thread of the engine (a reactor). There, and on a thread that the program has donated
//              (penstock_runtime_attach), a call that would wait is refused with PENSTOCK_WOULD_BLOCK and does nothing;
//              functions that end in _async and penstock_future_* never wait there.
//   Fork       In a child of the process that opened a database every call answers PENSTOCK_FORKED; handles may be freed there,
//              and the child may start a runtime of its own.
//   Durability A write that succeeded is as durable as its penstock_commit_options ask: by default it survives power loss.
//              Of all codes only PENSTOCK_OUTCOME_UNKNOWN leaves open whether a call was applied.
//   Misuse     A NULL handle, a NULL place for a result, an unknown value of an enumeration or a family of another database
//              is PENSTOCK_INVALID_ARGUMENT. A handle that was freed or is of another type is not noticed.
//   Memory     When memory cannot be allocated the process ends. Exceptions never leave the library; a callback must throw
//              none.
//   ABI        Values of enumerations and members of structs never change; new members come at the end of a struct, whose
//              first member says how many bytes of it the program knows. penstock_bytes and penstock_log_range are final.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PENSTOCK_VERSION_MAJOR 0
#define PENSTOCK_VERSION_MINOR 1
#define PENSTOCK_VERSION_PATCH 0

/// The version of the library that is linked, "0.1.0". Static.
const char* penstock_version(void);

// --- Handles ---

typedef struct penstock_runtime penstock_runtime;    ///< The engine's threads.
typedef struct penstock_reactor penstock_reactor;    ///< A reactor on a thread of the program.
typedef struct penstock_database penstock_database;  ///< An open database.
typedef struct penstock_family penstock_family;      ///< A column family; outlives its database, calls then answer closed.
typedef struct penstock_batch penstock_batch;        ///< Operations that are applied together.
typedef struct penstock_value penstock_value;        ///< What a get found.
typedef struct penstock_values penstock_values;      ///< What a multi_get found.
typedef struct penstock_rows penstock_rows;          ///< What a scan found.
typedef struct penstock_family_list penstock_family_list;  ///< Families of a database.
typedef struct penstock_future penstock_future;            ///< The answer of an _async call, now or later.
typedef struct penstock_failure penstock_failure;          ///< Why a call failed.

// --- Bytes ---

/// A view of bytes of any kind, zeros too: keys, values, names. It owns nothing. NULL with size 0 is the empty string.
typedef struct penstock_bytes {
  const void* data;
  size_t size;
} penstock_bytes;

/// The bytes of a text up to and without its final zero; NULL gives none.
penstock_bytes penstock_text(const char* text);

/// Limits, checked at each call.
#define PENSTOCK_KEY_BYTES_MAX 1024u
#define PENSTOCK_VALUE_BYTES_MAX 1073741824u  ///< Of the format; a value must also fit its batch.
#define PENSTOCK_BATCH_BYTES_MAX 33554432u    ///< Per shard, encoded; without values over 64 KiB half a log segment.
#define PENSTOCK_FAMILY_NAME_BYTES_MAX 255u

// --- Codes ---

/// What the caller does next. The same as penstock::Code in penstock/status.h.
typedef int32_t penstock_code;
enum {
  PENSTOCK_OK = 0,
  PENSTOCK_NOT_FOUND = 1,         ///< The key, family or database is not there. Not applied.
  PENSTOCK_INVALID_ARGUMENT = 2,  ///< A limit or rule of the API was broken: fix the call. Not applied.
  PENSTOCK_TOO_LARGE = 3,         ///< A batch or value is over its limit: make it smaller. Not applied.
  PENSTOCK_BUSY = 4,              ///< Back-pressure (no_wait), or another process has the database: retry later. Not applied.
  PENSTOCK_WOULD_BLOCK = 5,       ///< A waiting call on a reactor, or no credit for try_commit. Not applied.
  PENSTOCK_NO_SPACE = 6,          ///< The disk is full: free space; deletes and reads still work. Not applied.
  PENSTOCK_ALREADY_EXISTS = 7,    ///< A family or database of that name, or the key, exists. Not applied.
  PENSTOCK_DROPPED = 8,           ///< The family behind this handle was dropped. Not applied.
  PENSTOCK_CLOSED = 9,            ///< The database is closing or closed. Not applied.
  PENSTOCK_CANCELLED = 10,        ///< Cancelled on request. Not applied.
  PENSTOCK_POISONED = 11,         ///< An earlier log write or sync failed: reads go on; close and reopen. Not applied.
  PENSTOCK_OUTCOME_UNKNOWN = 12,  ///< The log failed under this commit: after reopening it is there whole or not at all.
  PENSTOCK_IO_ERROR = 13,         ///< The system refused an operation. Not applied.
  PENSTOCK_CORRUPTION = 14,       ///< Stored bytes are wrong: restore or repair. Not applied.
  PENSTOCK_NOT_SUPPORTED = 15,    ///< A newer format, an unknown feature or one that is not built yet. Not applied.
  PENSTOCK_PERMISSION = 16,       ///< The system denies access to a file or folder. Not applied.
  PENSTOCK_CONFLICT = 17,         ///< What was expected is not so any more: read and decide again. Not applied.
  PENSTOCK_FORKED = 18            ///< Called in a child after fork: the database belongs to the parent. Not applied.
};

/// "not_found"; "unnamed_code" for a number that is none. Static.
const char* penstock_code_name(penstock_code code);

// --- Failures ---

/// The kind of file a failure speaks of; it gives penstock_failure_where its unit.
typedef int32_t penstock_file_kind;
enum {
  PENSTOCK_FILE_NONE = 0,       ///< where = a commit's sequence, or nothing.
  PENSTOCK_FILE_LOG = 1,        ///< where = position in the log.
  PENSTOCK_FILE_PAGES = 2,      ///< where = block number (4 KiB) in page file penstock_failure_file.
  PENSTOCK_FILE_SUPER = 3,      ///< where = byte offset in shard-<s>/super.
  PENSTOCK_FILE_EPOCH = 4,      ///< where = byte offset in EPOCH.
  PENSTOCK_FILE_IDENTITY = 5,   ///< where = byte offset in IDENTITY.
  PENSTOCK_FILE_LOCK = 6,       ///< where = process id of the holder, 0 if unknown.
  PENSTOCK_FILE_DIRECTORY = 7,  ///< where = 0.
  PENSTOCK_FILE_CATALOG = 8     ///< where = family id.
};

/// A damaged part of a log: positions begin to end, without end.
typedef struct penstock_log_range {
  uint32_t epoch;
  uint32_t reactor;
  uint64_t begin;
  uint64_t end;
} penstock_log_range;

/// All of these take NULL, which is no failure: PENSTOCK_OK, "ok", zeros.
penstock_code penstock_failure_code(const penstock_failure* failure);
/// A sentence for people, ended by a zero.
const char* penstock_failure_text(const penstock_failure* failure);
/// The errno of the system call that failed, or 0.
int32_t penstock_failure_error_number(const penstock_failure* failure);
penstock_file_kind penstock_failure_file_kind(const penstock_failure* failure);
uint32_t penstock_failure_shard(const penstock_failure* failure);
uint32_t penstock_failure_file(const penstock_failure* failure);
uint64_t penstock_failure_where(const penstock_failure* failure);
size_t penstock_failure_range_count(const penstock_failure* failure);
/// The range of that index, below the count; zeros beyond.
penstock_log_range penstock_failure_range(const penstock_failure* failure, size_t index);
void penstock_failure_free(penstock_failure* failure);

// --- Options ---
//
// Fill a struct with its defaults first, with `sizeof` of it, then change members. NULL in place of a struct means the
// defaults. Flags are 0 or 1. A member that this library does not know must be 0: otherwise PENSTOCK_NOT_SUPPORTED.

typedef int32_t penstock_io_backend;
enum {
  PENSTOCK_IO_AUTO =
      0,  ///< io_uring, or system calls where it is refused. PENSTOCK_IO=ring|syscall in the environment overrides.
  PENSTOCK_IO_RING = 1,    ///< io_uring, or fail.
  PENSTOCK_IO_SYSCALL = 2  ///< System calls on a few worker threads.
};

/// Whose threads run the reactors.
typedef int32_t penstock_reactor_threads;
enum {
  PENSTOCK_THREADS_OWN = 0,     ///< The engine's: penstock_runtime_start makes them.
  PENSTOCK_THREADS_DONATED = 1  ///< The program's: each calls penstock_runtime_attach, then penstock_reactor_poll.
};

typedef struct penstock_runtime_options {
  uint32_t struct_bytes;
  uint32_t reactors;     ///< Threads; 0: one per usable core, of donated ones 1. At most 256.
  uint32_t pin_threads;  ///< Refused for donated threads.
  penstock_io_backend io_backend;
  uint64_t memory_limit;  ///< Bytes, divided evenly among the open databases; 0: a quarter of the machine's. At least 64 MiB.
  uint32_t ring_entries;  ///< 64 to 4096.
  penstock_reactor_threads threads;
  /// Called on the reactor's thread when one task ran longer than 2 ms, or NULL. Must not block.
  void (*on_stall)(uint32_t reactor, uint64_t duration_ns);
} penstock_runtime_options;

typedef int32_t penstock_wal_sync;
enum {
  PENSTOCK_WAL_SYNC_LINKED = 0,   ///< write -> fdatasync as linked io_uring entries.
  PENSTOCK_WAL_SYNC_SYSCALL = 1,  ///< The same two calls on a worker thread.
  PENSTOCK_WAL_SYNC_DSYNC = 2,    ///< One write that is durable when it completes.
  PENSTOCK_WAL_SYNC_AUTO = 3      ///< Small groups as DSYNC, larger ones as LINKED. The default.
};

typedef int32_t penstock_open_stage;
enum { PENSTOCK_OPEN_READING_LOGS = 0, PENSTOCK_OPEN_REPLAYING = 1, PENSTOCK_OPEN_DONE = 2 };

typedef struct penstock_database_options {
  uint32_t struct_bytes;
  uint32_t create_if_missing;
  uint32_t error_if_exists;
  uint32_t shards;  ///< At creation only; 0: 4 x usable cores. At most 1,024.
  penstock_wal_sync wal_sync;
  uint32_t memtable_percent;   ///< Of memory_limit, 5 to 80.
  uint32_t cache_percent;      ///< Of memory_limit, 5 to 90; both together at most 95.
  uint32_t space_use_percent;  ///< Live data fills this much of the space used. 50 to 90.
  uint32_t borrowed_reads;     ///< penstock_get answers itself what is in memory while the shard's reactor sleeps.
  uint32_t reserved;
  uint64_t log_budget_bytes;   ///< Per reactor: beyond it shards flush so that the log can be trimmed. At least 4 segments.
  uint64_t log_segment_bytes;  ///< 64 KiB to 64 MiB. A batch may have half of it, large values apart.
  uint64_t flush_write_bytes;  ///< In flight per shard while it flushes; 0: as many as the commits beside it bear.
  uint64_t flush_bytes_per_second;  ///< What flushes may write, all reactors together; 0: as much as the disk takes.
  /// A family with a tree of at least so many bytes on a shard gathers writes that lie far apart before they change its leaves.
  uint64_t gather_from_bytes;
  /// Called while penstock_database_open runs, on its thread or on a reactor, or NULL. Must not block.
  void (*on_progress)(void* context, penstock_open_stage stage, uint64_t bytes_done, uint64_t bytes_total);
  void* progress_context;
} penstock_database_options;

typedef int32_t penstock_placement;
enum {
  PENSTOCK_PLACEMENT_PINNED = 0,  ///< All of the family on one shard.
  PENSTOCK_PLACEMENT_HASHED = 1   ///< Spread over all shards by a hash of the partition part of the key.
};

/// Keys of a hashed family that share this part share a shard, and a batch over them is atomic.
typedef int32_t penstock_partition;
enum {
  PENSTOCK_PARTITION_WHOLE_KEY = 0,
  PENSTOCK_PARTITION_PREFIX = 1,    ///< The first prefix_bytes bytes (a shorter key counts whole).
  PENSTOCK_PARTITION_DELIMITER = 2  ///< Up to and without the first byte `delimiter` (none: the whole key).
};

typedef struct penstock_family_options {
  uint32_t struct_bytes;
  penstock_placement placement;
  int32_t shard;  ///< Pinned: this one; -1: chosen by the family's id.
  penstock_partition partition;
  uint32_t prefix_bytes;  ///< 0 to 65,535.
  uint32_t delimiter;     ///< One byte.
} penstock_family_options;

/// What has happened to a commit when its call returns or its future is ready. The first three lose at most a tail of a shard's
/// commits in a crash: never a hole, never half a batch.
typedef int32_t penstock_durability;
enum {
  PENSTOCK_DURABILITY_SYNC = 0,      ///< On stable storage: survives power loss. The default.
  PENSTOCK_DURABILITY_WRITTEN = 1,   ///< Handed to the kernel: survives a killed process, not power loss.
  PENSTOCK_DURABILITY_BUFFERED = 2,  ///< In memory, handed to the kernel within 50 ms.
  PENSTOCK_DURABILITY_UNLOGGED = 3   ///< Refused with PENSTOCK_NOT_SUPPORTED for now.
};

typedef struct penstock_commit_options {
  uint32_t struct_bytes;
  penstock_durability durability;
  uint32_t no_wait;  ///< PENSTOCK_BUSY instead of waiting under back-pressure.
} penstock_commit_options;

/// A half-open range of keys in order, and how much of it to bring.
typedef struct penstock_scan_options {
  uint32_t struct_bytes;
  uint32_t rows_max;    ///< At least 1; default 1,000.
  uint64_t bytes_max;   ///< Of keys and values; default 4 MiB. At least one row comes all the same.
  penstock_bytes from;  ///< First key wanted.
  penstock_bytes to;    ///< First key no longer wanted; data NULL: to the family's end.
} penstock_scan_options;

/// Fill in the defaults. `struct_bytes` is sizeof *options; a struct longer than the library's gets zeros behind.
void penstock_runtime_options_init(penstock_runtime_options* options, uint32_t struct_bytes);
void penstock_database_options_init(penstock_database_options* options, uint32_t struct_bytes);
void penstock_family_options_init(penstock_family_options* options, uint32_t struct_bytes);
void penstock_commit_options_init(penstock_commit_options* options, uint32_t struct_bytes);
void penstock_scan_options_init(penstock_scan_options* options, uint32_t struct_bytes);

/// Sets what lines "name = value" say (sizes may end in k, m, g; # begins a comment) and leaves the rest of an initialised
/// struct as it is. An unknown name or a bad value is PENSTOCK_INVALID_ARGUMENT with the line's number, and nothing is set.
penstock_code penstock_runtime_options_parse(penstock_runtime_options* options, const char* text, penstock_failure** failure);
penstock_code penstock_database_options_parse(penstock_database_options* options, const char* text, penstock_failure** failure);

// --- Runtime ---

/// Starts the reactors; several databases may share them. Errors: PENSTOCK_INVALID_ARGUMENT (an option, by name),
/// PENSTOCK_NOT_SUPPORTED (io_uring demanded and refused), PENSTOCK_IO_ERROR, PENSTOCK_WOULD_BLOCK.
penstock_code penstock_runtime_start(const penstock_runtime_options* options, penstock_runtime** runtime,
                                     penstock_failure** failure);
/// Stops and joins the threads and frees the handle: when it returns PENSTOCK_OK every callback has ended. With a database that
/// is not freed yet PENSTOCK_INVALID_ARGUMENT, on a reactor PENSTOCK_WOULD_BLOCK, and nothing happens. NULL is PENSTOCK_OK.
penstock_code penstock_runtime_stop(penstock_runtime* runtime, penstock_failure** failure);
uint32_t penstock_runtime_reactors(const penstock_runtime* runtime);
/// "io_uring (single_issuer, defer_taskrun)", or what is used instead and why; "" for NULL, and until donated reactor 0 is
/// attached. Lives as long as the runtime.
const char* penstock_runtime_io_backend(const penstock_runtime* runtime);

// --- Donated threads: reactors inside an event loop of the program ---
//
// Attach as many threads as there are reactors, then open with penstock_database_open_async. Whenever the descriptor of a
// reactor is readable, its thread calls penstock_reactor_poll; nothing happens between two polls. docs/c-api.md has an example.
// All of these belong to the thread that attached.

/// Makes the lowest reactor that has no thread the calling one's. PENSTOCK_INVALID_ARGUMENT (threads of the engine's own; every
/// reactor has its thread; this thread has a reactor), PENSTOCK_NOT_SUPPORTED (io_uring demanded and refused),
/// PENSTOCK_IO_ERROR, PENSTOCK_FORKED.
penstock_code penstock_runtime_attach(penstock_runtime* runtime, penstock_reactor** reactor, penstock_failure** failure);
/// 0 to reactors - 1; 0 for NULL.
uint32_t penstock_reactor_index(const penstock_reactor* reactor);
/// To be waited for (poll, epoll, select), level-triggered, not to be read; -1 for NULL.
int penstock_reactor_fd(const penstock_reactor* reactor);
/// Runs the reactor until there is nothing left to do, at most for about 0.2 ms. If there is nothing at all it first sleeps
/// until there is, at most `wait_ns` (0: not at all; negative: without limit). `more`, which may be NULL: something is left,
/// and the descriptor is readable. Callbacks are called from here. PENSTOCK_INVALID_ARGUMENT (NULL, another thread, inside a
/// poll), PENSTOCK_FORKED; nothing is done then.
penstock_code penstock_reactor_poll(penstock_reactor* reactor, int64_t wait_ns, bool* more);
/// Polls until `future` is ready: for the start and the end of a program. It stays the caller's; nobody else touches it
/// meanwhile. Other reactors have to be polled by their threads. Errors as penstock_reactor_poll.
penstock_code penstock_reactor_wait(penstock_reactor* reactor, penstock_future* future);
/// Gives the reactor up and frees the handle. PENSTOCK_BUSY (a database of the runtime is open, opening or closing) and the
/// errors of penstock_reactor_poll: nothing happens then. In a forked child the handle is freed. NULL is PENSTOCK_OK.
penstock_code penstock_reactor_detach(penstock_reactor* reactor);

// --- Database ---

/// Opens the database in `directory`, or makes it. Returns after recovery. Errors, each naming path and place:
/// PENSTOCK_NOT_FOUND, PENSTOCK_ALREADY_EXISTS, PENSTOCK_INVALID_ARGUMENT (options; a folder that is not a database),
/// PENSTOCK_BUSY (another process has it), PENSTOCK_CORRUPTION, PENSTOCK_NOT_SUPPORTED (a newer format), PENSTOCK_PERMISSION,
/// PENSTOCK_NO_SPACE, PENSTOCK_IO_ERROR, PENSTOCK_WOULD_BLOCK.
penstock_code penstock_database_open(penstock_runtime* runtime, const char* directory, const penstock_database_options* options,
                                     penstock_database** database, penstock_failure** failure);
/// The same on any thread, also one that runs a reactor. Taken with penstock_future_take_database. Freed without that, the
/// database is closed again once it is open. penstock_runtime_stop counts it as a database until then.
penstock_future* penstock_database_open_async(penstock_runtime* runtime, const char* directory,
                                              const penstock_database_options* options);
penstock_code penstock_future_take_database(penstock_future* future, penstock_database** database, penstock_failure** failure);
/// Waits for accepted calls, writes and syncs the logs, marks the database clean: then everything committed is durable,
/// whatever its commit asked for. Later calls answer PENSTOCK_CLOSED, a second close PENSTOCK_OK. Callbacks of accepted calls
/// may still be running for a moment; penstock_runtime_stop waits for them. One thread's.
penstock_code penstock_database_close(penstock_database* database, penstock_failure** failure);
/// The same on any thread; taken with penstock_future_take_done. The handle stays until it is freed.
penstock_future* penstock_database_close_async(penstock_database* database);
/// Closes it if it is open and frees the handle, whether or not closing went well. Futures, families and batches may stay.
/// With a session that is not freed yet PENSTOCK_INVALID_ARGUMENT, on a reactor that would have to wait PENSTOCK_WOULD_BLOCK
/// (close it with _close_async first), and nothing happens. NULL is PENSTOCK_OK.
penstock_code penstock_database_free(penstock_database* database, penstock_failure** failure);
uint32_t penstock_database_shard_count(const penstock_database* database);
/// "" for NULL. Lives as long as the database.
const char* penstock_database_directory(const penstock_database* database);

// --- Futures ---
//
// Each function that ends in _async does what the one without does and returns a future at once. It never returns NULL: even a
// misuse is a future that is ready. When the inbox of its shard is full it first waits for room, except on a reactor, where
// the answer is PENSTOCK_WOULD_BLOCK. Commits of one thread to one shard are applied in the order of their calls.

/// Called exactly once, when `future` is ready: at once on the thread that asks for it if it is, else on the thread that
/// provides the answer, which may be a reactor: it must not block. `future` is the callback's: it takes the answer and frees
/// the future, there or later and elsewhere.
typedef void (*penstock_callback)(void* context, penstock_future* future);

bool penstock_future_is_ready(const penstock_future* future);
/// Waits until the answer is there: true. False after `timeout_ns`, or at once on a reactor. A negative time is for ever.
bool penstock_future_wait(penstock_future* future, int64_t timeout_ns);
/// Hands the future over to `callback`; the caller does not touch it again. PENSTOCK_INVALID_ARGUMENT, and the future is still
/// the caller's, if future or callback is NULL.
penstock_code penstock_future_on_ready(penstock_future* future, penstock_callback callback, void* context);
/// Frees it, also before it is ready: the call goes on and nobody hears of it.
void penstock_future_free(penstock_future* future);

/// Take the answer as the synchronous function would give it, once; the future is still to be freed. Wait if it is not there
/// yet (on a reactor: PENSTOCK_WOULD_BLOCK, take it later). One that belongs to another call, or an answer that was taken
/// already, is PENSTOCK_INVALID_ARGUMENT.
/// Of put, remove, compare_and_set, put_if_absent, flush, drop, rename: success or failure alone.
penstock_code penstock_future_take_done(penstock_future* future, penstock_failure** failure);
penstock_code penstock_future_take_value(penstock_future* future, penstock_value** value, penstock_failure** failure);
penstock_code penstock_future_take_values(penstock_future* future, penstock_values** values, penstock_failure** failure);
/// Of contains.
penstock_code penstock_future_take_flag(penstock_future* future, bool* found, penstock_failure** failure);
penstock_code penstock_future_take_rows(penstock_future* future, penstock_rows** rows, penstock_failure** failure);
/// Of commit, try_commit, write_each. `last_sequence` may be NULL.
penstock_code penstock_future_take_commit(penstock_future* future, uint64_t* last_sequence, penstock_failure** failure);
penstock_code penstock_future_take_family(penstock_future* future, penstock_family** family, penstock_failure** failure);
penstock_code penstock_future_take_family_list(penstock_future* future, penstock_family_list** list,
                                               penstock_failure** failure);

// --- Column families ---

typedef uint32_t penstock_family_id;

/// Each change is one synced commit: durable when it succeeded. Names have 1 to 255 bytes of any kind.
/// PENSTOCK_ALREADY_EXISTS; PENSTOCK_INVALID_ARGUMENT (name, an option); the errors of a commit.
penstock_code penstock_family_create(penstock_database* database, penstock_bytes name, const penstock_family_options* options,
                                     penstock_family** family, penstock_failure** failure);
penstock_future* penstock_family_create_async(penstock_database* database, penstock_bytes name,
                                              const penstock_family_options* options);
/// PENSTOCK_NOT_FOUND.
penstock_code penstock_family_open(penstock_database* database, penstock_bytes name, penstock_family** family,
                                   penstock_failure** failure);
penstock_future* penstock_family_open_async(penstock_database* database, penstock_bytes name);
/// The options count only if it is made.
penstock_code penstock_family_open_or_create(penstock_database* database, penstock_bytes name,
                                             const penstock_family_options* options, penstock_family** family,
                                             penstock_failure** failure);
penstock_future* penstock_family_open_or_create_async(penstock_database* database, penstock_bytes name,
                                                      const penstock_family_options* options);
/// Data is hidden at once and its space freed later; handles answer PENSTOCK_DROPPED and are still to be freed.
/// PENSTOCK_NOT_FOUND.
penstock_code penstock_family_drop(penstock_database* database, penstock_bytes name, penstock_failure** failure);
penstock_future* penstock_family_drop_async(penstock_database* database, penstock_bytes name);
/// PENSTOCK_NOT_FOUND, PENSTOCK_ALREADY_EXISTS. Handles stay good and keep the name that they were opened under.
penstock_code penstock_family_rename(penstock_database* database, penstock_bytes from, penstock_bytes to,
                                     penstock_failure** failure);
penstock_future* penstock_family_rename_async(penstock_database* database, penstock_bytes from, penstock_bytes to);

/// Questions to a handle; zeros for NULL.
penstock_family_id penstock_family_id_of(const penstock_family* family);
penstock_bytes penstock_family_name(const penstock_family* family);
penstock_placement penstock_family_placement(const penstock_family* family);
/// The shard that holds `key`: keys of one shard can be committed together.
uint32_t penstock_family_shard_of(const penstock_family* family, penstock_bytes key);
bool penstock_family_is_dropped(const penstock_family* family);
void penstock_family_free(penstock_family* family);

/// All families in the order of their names, as of one moment.
penstock_code penstock_family_list_read(penstock_database* database, penstock_family_list** list, penstock_failure** failure);
penstock_future* penstock_family_list_read_async(penstock_database* database);
size_t penstock_family_list_count(const penstock_family_list* list);
/// Of the family at that index, below the count; zeros beyond.
penstock_bytes penstock_family_list_name(const penstock_family_list* list, size_t index);
penstock_family_id penstock_family_list_id(const penstock_family_list* list, size_t index);
/// Into an initialised struct.
penstock_code penstock_family_list_options(const penstock_family_list* list, size_t index, penstock_family_options* options);
void penstock_family_list_free(penstock_family_list* list);

// --- Data ---

/// Errors of writes: PENSTOCK_INVALID_ARGUMENT, PENSTOCK_TOO_LARGE, PENSTOCK_BUSY (with no_wait), PENSTOCK_NO_SPACE,
/// PENSTOCK_DROPPED, PENSTOCK_CLOSED, PENSTOCK_POISONED, PENSTOCK_OUTCOME_UNKNOWN, PENSTOCK_NOT_SUPPORTED.
/// Removing what is not there succeeds.
penstock_code penstock_put(penstock_database* database, const penstock_family* family, penstock_bytes key, penstock_bytes value,
                           const penstock_commit_options* options, penstock_failure** failure);
penstock_future* penstock_put_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                    penstock_bytes value, const penstock_commit_options* options);
penstock_code penstock_remove(penstock_database* database, const penstock_family* family, penstock_bytes key,
                              const penstock_commit_options* options, penstock_failure** failure);
penstock_future* penstock_remove_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                       const penstock_commit_options* options);

/// In one step, in the order of writes: gives the key `desired` (NULL: removes it) if it has `expected` (NULL: is not there),
/// else PENSTOCK_CONFLICT. They compare with what was written before, durable or not; every answer comes once that is
/// published.
penstock_code penstock_compare_and_set(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                       const penstock_bytes* expected, const penstock_bytes* desired,
                                       const penstock_commit_options* options, penstock_failure** failure);
penstock_future* penstock_compare_and_set_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                                const penstock_bytes* expected, const penstock_bytes* desired,
                                                const penstock_commit_options* options);
/// If the key is there: PENSTOCK_ALREADY_EXISTS.
penstock_code penstock_put_if_absent(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                     penstock_bytes value, const penstock_commit_options* options, penstock_failure** failure);
penstock_future* penstock_put_if_absent_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                              penstock_bytes value, const penstock_commit_options* options);

/// Reads see commits that reached the durability they asked for, in order.
/// Errors of reads: PENSTOCK_NOT_FOUND (of get), PENSTOCK_INVALID_ARGUMENT, PENSTOCK_DROPPED, PENSTOCK_CLOSED,
/// PENSTOCK_CORRUPTION, PENSTOCK_IO_ERROR.
penstock_code penstock_get(penstock_database* database, const penstock_family* family, penstock_bytes key,
                           penstock_value** value, penstock_failure** failure);
penstock_future* penstock_get_async(penstock_database* database, const penstock_family* family, penstock_bytes key);
/// Many look-ups as one: an answer for each key, those of one shard as of one moment. Keys that are not there are no failure.
penstock_code penstock_multi_get(penstock_database* database, const penstock_family* family, const penstock_bytes* keys,
                                 size_t key_count, penstock_values** values, penstock_failure** failure);
penstock_future* penstock_multi_get_async(penstock_database* database, const penstock_family* family,
                                          const penstock_bytes* keys, size_t key_count);
/// What is not there is PENSTOCK_OK and false.
penstock_code penstock_contains(penstock_database* database, const penstock_family* family, penstock_bytes key, bool* found,
                                penstock_failure** failure);
penstock_future* penstock_contains_async(penstock_database* database, const penstock_family* family, penstock_bytes key);
/// In key order over all shards of the family; each shard as of one moment. `options` NULL: from the beginning, the defaults.
penstock_code penstock_scan(penstock_database* database, const penstock_family* family, const penstock_scan_options* options,
                            penstock_rows** rows, penstock_failure** failure);
penstock_future* penstock_scan_async(penstock_database* database, const penstock_family* family,
                                     const penstock_scan_options* options);

/// The bytes live as long as the value; none for NULL.
penstock_bytes penstock_value_bytes(const penstock_value* value);
void penstock_value_free(penstock_value* value);

size_t penstock_values_count(const penstock_values* values);
/// Of the key at that index: PENSTOCK_OK and its value, which lives as long as the values, or PENSTOCK_NOT_FOUND, or another
/// error of reads.
penstock_code penstock_values_at(const penstock_values* values, size_t index, penstock_bytes* value);
void penstock_values_free(penstock_values* values);

size_t penstock_rows_count(const penstock_rows* rows);
/// Of the row at that index, below the count; none beyond. The bytes live as long as the rows.
penstock_bytes penstock_rows_key(const penstock_rows* rows, size_t index);
penstock_bytes penstock_rows_value(const penstock_rows* rows, size_t index);
/// Whether the range goes on behind these rows; then `from`, if not NULL, gets the key to continue with.
bool penstock_rows_next(const penstock_rows* rows, penstock_bytes* from);
void penstock_rows_free(penstock_rows* rows);

// --- Sessions: many gets of one thread in few messages ---
//
// For a thread that has more than one question at a time. Gets gather and travel together; answers come in any order, each as
// of the moment when it was found on its shard. Every call may wait, so none is for a callback on a reactor; on a donated
// thread, between two polls, none waits, and polling brings the answers. A session is freed before its database is.

typedef struct penstock_session penstock_session;

/// The answer to the get of that token: PENSTOCK_OK and a value, or an error of penstock_get. The bytes are good for the call,
/// which does not use the session.
typedef void (*penstock_session_handler)(void* context, uint64_t token, penstock_code code, penstock_bytes value);

/// `gets_per_message`: gets are sent when so many have gathered for a reactor, and by submit and wait. 1 to 4,096; 64 is a
/// good number.
penstock_code penstock_session_create(penstock_database* database, uint32_t gets_per_message, penstock_session** session,
                                      penstock_failure** failure);
/// Asks. PENSTOCK_INVALID_ARGUMENT (a handle, bytes at NULL): not asked, there will be no answer.
penstock_code penstock_session_get(penstock_session* session, const penstock_family* family, penstock_bytes key,
                                   uint64_t token);
/// Sends what has gathered.
penstock_code penstock_session_submit(penstock_session* session);
/// Asked and not yet handed out.
uint64_t penstock_session_pending(const penstock_session* session);
/// Hands out the answers that are there; `count`, if not NULL, gets their number. Waits for none.
penstock_code penstock_session_poll(penstock_session* session, penstock_session_handler handler, void* context,
                                    uint64_t* count);
/// The same, but sends what has gathered first and waits until at least one is there. 0 if nothing is pending.
penstock_code penstock_session_wait(penstock_session* session, penstock_session_handler handler, void* context,
                                    uint64_t* count);
/// Waits for what is on its way; nobody hears of it. NULL is PENSTOCK_OK.
penstock_code penstock_session_free(penstock_session* session);

// --- Batches ---
//
// Operations are encoded as they are added. A batch is filled with families of one database, by one thread at a time.

penstock_batch* penstock_batch_create(void);
/// Later operations win over earlier ones of the same key. PENSTOCK_INVALID_ARGUMENT, PENSTOCK_TOO_LARGE: as it was before.
penstock_code penstock_batch_put(penstock_batch* batch, const penstock_family* family, penstock_bytes key, penstock_bytes value,
                                 penstock_failure** failure);
penstock_code penstock_batch_remove(penstock_batch* batch, const penstock_family* family, penstock_bytes key,
                                    penstock_failure** failure);
/// Forgets the operations and keeps the memory.
void penstock_batch_clear(penstock_batch* batch);
/// Zeros for NULL.
uint32_t penstock_batch_operation_count(const penstock_batch* batch);
uint64_t penstock_batch_encoded_bytes(const penstock_batch* batch);
uint32_t penstock_batch_shard_count(const penstock_batch* batch);
void penstock_batch_free(penstock_batch* batch);

/// Applies a batch of one shard atomically. Over several shards: PENSTOCK_INVALID_ARGUMENT (not built yet).
/// After PENSTOCK_INVALID_ARGUMENT and PENSTOCK_WOULD_BLOCK the batch is as it was, after every other answer it is empty; an
/// _async call empties it at once, unless its future is ready at once with one of these two. So a batch may be filled again
/// while its operations are on their way. `last_sequence`, if not NULL, gets the number of the commit's last operation in its
/// shard's history. Errors: those of writes.
penstock_code penstock_commit(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options,
                              uint64_t* last_sequence, penstock_failure** failure);
penstock_future* penstock_commit_async(penstock_database* database, penstock_batch* batch,
                                       const penstock_commit_options* options);
/// PENSTOCK_WOULD_BLOCK instead of waiting for room in a full inbox of the shard; it still waits for the commit itself.
penstock_code penstock_try_commit(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options,
                                  uint64_t* last_sequence, penstock_failure** failure);
penstock_future* penstock_try_commit_async(penstock_database* database, penstock_batch* batch,
                                           const penstock_commit_options* options);
/// Applies each shard's part atomically, and no more than that: after an error or a crash some parts may be there and others
/// not. The first error is returned. There is no last sequence. The batch is empty afterwards, unless
/// PENSTOCK_INVALID_ARGUMENT.
penstock_code penstock_write_each(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options,
                                  penstock_failure** failure);
penstock_future* penstock_write_each_async(penstock_database* database, penstock_batch* batch,
                                           const penstock_commit_options* options);

/// Carries everything committed so far into the trees; when it succeeded, that is durable.
penstock_code penstock_flush(penstock_database* database, penstock_failure** failure);
penstock_future* penstock_flush_async(penstock_database* database);

/// Changes options of the open database from lines "name = value" until it is closed: log_budget_bytes, cache_percent,
/// space_use_percent, flush_write_bytes, flush_bytes_per_second, gather_from_bytes. Another name or a bad value is
/// PENSTOCK_INVALID_ARGUMENT, and nothing is changed.
penstock_code penstock_change_options(penstock_database* database, const char* text, penstock_failure** failure);
penstock_future* penstock_change_options_async(penstock_database* database, const char* text);

// --- Looking at it ---
//
// Set struct_bytes to sizeof of the struct before the call. Members behind those that the library knows get zeros, and
// struct_bytes the number of bytes that it filled in.

/// What recovery found and did when the database was opened.
typedef struct penstock_recovery_report {
  uint32_t struct_bytes;
  uint32_t created;
  uint32_t clean;  ///< The last close was clean.
  uint32_t epoch;
  uint32_t logs;
  uint32_t torn_tails;  ///< Logs that ended in an unfinished group.
  uint64_t log_bytes;
  uint64_t records;
  uint64_t operations;  ///< Replayed.
  uint64_t duration_ns;
} penstock_recovery_report;

penstock_code penstock_recovery(const penstock_database* database, penstock_recovery_report* report,
                                penstock_failure** failure);

/// What a verification walked.
typedef struct penstock_verify_report {
  uint32_t struct_bytes;
  uint32_t is_complete;  ///< 0: it was stopped, by on_progress or because the database closes.
  uint64_t families;
  uint64_t pages;
  uint64_t entries;
  uint64_t live_bytes;
  uint64_t log_groups;
  uint64_t log_bytes;
  uint64_t read_bytes;
  uint64_t damages;
} penstock_verify_report;

/// Reads all that the database is made of from disk and checks it. Damage is PENSTOCK_CORRUPTION with the place of the first
/// one, and a line for each in the text. `report` may be NULL.
penstock_code penstock_verify(penstock_database* database, penstock_verify_report* report, penstock_failure** failure);
penstock_future* penstock_verify_async(penstock_database* database);
penstock_code penstock_future_take_verify(penstock_future* future, penstock_verify_report* report, penstock_failure** failure);

/// How to verify: fill it in with penstock_scrub_options_init.
typedef struct penstock_scrub_options {
  uint32_t struct_bytes;
  uint32_t damages_max;       ///< Kept with their places, for each reactor; others are counted.
  uint64_t bytes_per_second;  ///< Of all reactors together; 0: as fast as it goes beside the other work.
  /// About once a mebibyte, on reactors' threads, one at a time. False: stop. May be NULL.
  bool (*on_progress)(void* context, uint64_t bytes_done, uint64_t bytes_total, uint64_t damages);
  void* context;
} penstock_scrub_options;
void penstock_scrub_options_init(penstock_scrub_options* options, uint32_t struct_bytes);

typedef int32_t penstock_damage_kind;
enum {
  PENSTOCK_DAMAGE_MISSING = 0,
  PENSTOCK_DAMAGE_UNREADABLE = 1,
  PENSTOCK_DAMAGE_CHECKSUM = 2,
  PENSTOCK_DAMAGE_STRUCTURE = 3,
  PENSTOCK_DAMAGE_UNSUPPORTED = 4,
  PENSTOCK_DAMAGE_CONTRADICTION = 5,
  PENSTOCK_DAMAGE_SPACE = 6,
};

/// One thing that is wrong; penstock/verify.h says more. Strings live as long as the report.
typedef struct penstock_damage {
  penstock_damage_kind kind;
  penstock_code code;
  uint32_t shard;
  uint32_t family;
  uint64_t offset;   ///< In the file.
  uint64_t bytes;    ///< So much of it cannot be used.
  const char* file;  ///< In the database's directory.
  const char* text;  ///< One line for people.
} penstock_damage;

typedef struct penstock_scrub_report penstock_scrub_report;

/// The same as penstock_verify, but damage is no failure: it stands in the report. `options` may be NULL.
penstock_code penstock_scrub(penstock_database* database, const penstock_scrub_options* options, penstock_scrub_report** report,
                             penstock_failure** failure);
penstock_future* penstock_scrub_async(penstock_database* database, const penstock_scrub_options* options);
penstock_code penstock_future_take_scrub(penstock_future* future, penstock_scrub_report** report, penstock_failure** failure);
/// Fills in as much as `totals` has room for.
penstock_code penstock_scrub_report_totals(const penstock_scrub_report* report, penstock_verify_report* totals);
size_t penstock_scrub_report_damage_count(const penstock_scrub_report* report);
/// Zeros and NULLs if there is none of that index.
penstock_damage penstock_scrub_report_damage(const penstock_scrub_report* report, size_t index);
void penstock_scrub_report_free(penstock_scrub_report* report);

/// What the engine did since it was opened, summed over reactors or shards; penstock/metrics.h says more of each.
typedef struct penstock_metrics {
  uint32_t struct_bytes;
  uint32_t reactors;
  uint32_t poisoned_logs;
  uint32_t damaged_families;
  uint64_t commits;
  uint64_t operations;
  uint64_t gets;
  uint64_t gets_borrowed;
  uint64_t gets_from_disk;
  uint64_t scans;
  uint64_t large_values;
  uint64_t log_groups;
  uint64_t log_appended_bytes;
  uint64_t log_written_bytes;
  uint64_t log_syncs;
  uint64_t log_bytes_in_use;
  uint64_t log_segments_late;
  uint64_t log_resumed_writes;
  uint64_t flushes;
  uint64_t flush_ns;
  uint64_t flush_write_bytes;
  uint64_t flush_write_cuts;
  uint64_t flush_percent;
  uint64_t page_bytes_written;
  uint64_t pages_written;
  uint64_t pages_read;
  uint64_t cache_hits;
  uint64_t cache_misses;
  uint64_t zones_cleaned;
  uint64_t runs_made;
  uint64_t runs_joined;
  uint64_t run_entries;
  uint64_t run_slices;
  uint64_t space_file_bytes;
  uint64_t space_live_bytes;
  uint64_t space_free_bytes;
  uint64_t space_pinned_bytes;
  uint64_t space_garbage_bytes;
  uint64_t memory_share_bytes;
  uint64_t memtable_bytes;
  uint64_t memtable_ready_bytes;
  uint64_t cache_bytes;
  uint64_t run_filter_bytes;
  uint64_t log_buffer_bytes;
  uint64_t delayed_commits;
  uint64_t delayed_ns;
  uint64_t delayed_ns_max;
  uint64_t syncs;
  uint64_t enters;
  uint64_t entries;
  uint64_t write_bytes;
  uint64_t read_bytes;
  uint64_t wakes_sent;
  uint64_t wakes_elided;
  uint64_t stalls;
  uint64_t multi_gets;
} penstock_metrics;

/// Costs one message per reactor.
penstock_code penstock_metrics_read(penstock_database* database, penstock_metrics* metrics, penstock_failure** failure);
penstock_future* penstock_metrics_read_async(penstock_database* database);
penstock_code penstock_future_take_metrics(penstock_future* future, penstock_metrics* metrics, penstock_failure** failure);

#ifdef __cplusplus
}  // extern "C"
#endif
