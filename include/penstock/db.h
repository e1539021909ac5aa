// Runtime and Database: the front door of the engine for ordinary threads.
//
//   auto runtime = penstock::Runtime::start({.reactors = 2});
//   auto db = penstock::Database::open(*runtime, "/data/orders", {});
//   auto orders = db->open_or_create_family("orders").get();
//   db->put(*orders, "key", "value").get();
//
// Every call that works on data returns a future at once; many may be in flight; get() blocks a thread, never a reactor.
// Commits of one thread to one shard are applied in the order of their calls. A program with an event loop may run the reactors
// on its own threads: attached_reactor.h.
//
// Threads: all calls may be made from any thread at any time, but for close() and destruction, which are one thread's.
//
// Fork: a database belongs to the process that opened it. In a child every call answers `forked`, before anything else is
// looked at but the limits of its arguments; databases, runtimes, handles and futures may be destroyed there, and the child may
// start a runtime of its own. It inherits the descriptors: LOCK stays taken until the child, too, has ended or called exec.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "penstock/atomic.h"
#include "penstock/attached_reactor.h"
#include "penstock/batch.h"
#include "penstock/family.h"
#include "penstock/future.h"
#include "penstock/metrics.h"
#include "penstock/options.h"
#include "penstock/shard.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "penstock/types.h"
#include "penstock/verify.h"

namespace penstock {

namespace detail {
class RuntimeCore;
class DatabaseCore;
}  // namespace detail

/// The reactors: threads, rings, memory. Several databases may share one. Close them before it goes.
class Runtime {
 public:
  /// Errors: invalid_argument (an option, by name), not_supported (io_uring demanded and refused: the text says by what),
  /// io_error.
  static Outcome<Runtime> start(const RuntimeOptions& options = {});
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;
  /// Stops and joins the threads once no database uses them; waits for what open_async and close_async have begun. Donated
  /// threads are let go by their AttachedReactor.
  ~Runtime();

  /// Donated threads: makes the lowest reactor that has no thread the calling one's. All have to be attached before a database
  /// is opened. Errors: invalid_argument (threads of the engine's own; every reactor has its thread; this thread has a
  /// reactor), not_supported (io_uring demanded and refused), io_error, forked.
  Outcome<AttachedReactor> attach();

  std::uint32_t reactors() const noexcept;
  /// "io_uring (single_issuer, defer_taskrun)", or what is used instead and why. Empty until donated reactor 0 is attached.
  std::string io_backend() const;
  const std::shared_ptr<detail::RuntimeCore>& core() const noexcept { return core_; }

 private:
  explicit Runtime(std::shared_ptr<detail::RuntimeCore> core) noexcept;
  void let_go() noexcept;
  std::shared_ptr<detail::RuntimeCore> core_;
};

struct CommitResult {
  Status status;
  Sequence last_sequence = 0;  ///< Of the commit on its shard, if ok.
  Batch batch;                 ///< The batch, cleared, with its memory, for reuse.
  explicit CommitResult(Status result = {}) noexcept : status(result) {}
};

struct FamilyInfo {
  std::string name;
  FamilyId id = 0;
  FamilyOptions options;
};

class Database {
 public:
  /// Opens the database in `directory`, or makes it. Returns after recovery. Blocks. Errors, each naming path and place:
  /// not_found, already_exists, invalid_argument (options; a folder that is not a database; a donated reactor has no thread),
  /// busy (another process has it), corruption, not_supported (a newer format), permission, no_space, io_error, forked,
  /// would_block (on a reactor's thread).
  static Outcome<Database> open(Runtime& runtime, const std::string& directory, const DatabaseOptions& options = {});
  /// The same as a future, on any thread. Dropped, the database is closed again once it is open.
  static Future<Outcome<Database>> open_async(Runtime& runtime, const std::string& directory,
                                              const DatabaseOptions& options = {});
  /// Verifies a database that nobody has open, from what an opening would read: all damages, also those that keep it from
  /// opening. Changes nothing in it. Blocks. Incomplete if something is damaged without which the rest means nothing. Errors:
  /// as open(), but for corruption.
  static Outcome<VerifyReport> verify_closed(Runtime& runtime, const std::string& directory, const ScrubOptions& options = {});
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  /// close(); on a reactor's thread close_async(), of which nobody hears.
  ~Database();

  /// Waits for accepted calls, writes and syncs the logs, marks the database clean. Calls not yet accepted answer `closed`.
  /// Once closed, the same answer again. On a reactor's thread: would_block. Errors: those of writing and syncing, forked.
  Status close();
  /// The same as a future, on any thread. The Database may be destroyed meanwhile; the runtime waits.
  Future<Status> close_async();

  // --- column families; one synced commit each ---
  Future<Outcome<Family>> create_family(std::string name, FamilyOptions options = {});  ///< already_exists
  Future<Outcome<Family>> open_family(std::string name);                                ///< not_found
  Future<Outcome<Family>> open_or_create_family(std::string name, FamilyOptions options = {});
  /// Data is hidden at once and its space freed later; handles answer `dropped`.
  Future<Outcome<bool>> drop_family(std::string name);
  Future<Outcome<bool>> rename_family(std::string from, std::string to);
  Future<Outcome<std::vector<FamilyInfo>>> list_families();

  // --- data ---
  Future<Status> put(const Family& family, Bytes key, Bytes value, const CommitOptions& options = {});
  Future<Status> remove(const Family& family, Bytes key, const CommitOptions& options = {});
  Future<Result<std::string>> get(const Family& family, Bytes key);
  Future<Result<bool>> contains(const Family& family, Bytes key);
  /// Many look-ups as one call, with one message for each shard: an answer for each key, in their order; those of one shard as
  /// of one published position. What is not in memory is read side by side. Errors of an answer as get()'s; of the whole:
  /// invalid_argument (a key or the handle), closed, forked, would_block.
  Future<Result<std::vector<Result<std::string>>>> multi_get(const Family& family, std::span<const Bytes> keys);
  /// In key order over all shards of the family; consistent per shard.
  Future<Result<ScanResult>> scan(const Family& family, ScanOptions options);

  /// Applies a batch of one shard atomically. Over several shards: `invalid_argument` (not built yet), whichever reactors they
  /// are on.
  Future<CommitResult> commit(Batch batch, const CommitOptions& options = {});
  /// `would_block` instead of waiting for credit of a shard whose inbox is full; the batch comes back unchanged then.
  Future<CommitResult> try_commit(Batch batch, const CommitOptions& options = {});
  /// Applies each shard's part atomically, and no more than that: after an error or a crash some parts may be there and others
  /// not. The first error is returned.
  Future<CommitResult> write_each(Batch batch, const CommitOptions& options = {});

  // --- atomic work on one shard (atomic.h), in the order of commits; errors: those of commit() and get() ---
  /// Gives the key the value that `function` makes of its present one. The answer is the value that it has then.
  Future<Result<std::optional<std::string>>> update(const Family& family, Bytes key, UpdateFunction function,
                                                    const CommitOptions& options = {});
  /// Gives the key `desired` (none: removes it) if it has `expected` (none: is not there). Else: conflict.
  Future<Status> compare_and_set(const Family& family, Bytes key, std::optional<Bytes> expected, std::optional<Bytes> desired,
                                 const CommitOptions& options = {});
  /// Else: already_exists.
  Future<Status> put_if_absent(const Family& family, Bytes key, Bytes value, const CommitOptions& options = {});
  /// Runs `function` on a shard's state and applies what it changed. Errors also: what it returns.
  Future<Status> atomically(ShardId shard, AtomicFunction function, const CommitOptions& options = {});

  /// Carries everything committed so far into the trees; resolves when that is durable.
  Future<Status> flush();

  /// Runs `function(Shard&, arguments...)`, a coroutine that returns Task<T>, on the shard's reactor. Arguments are copied.
  template <typename T, typename... Parameters, typename... Arguments>
  Future<T> run_on(ShardId shard, Task<T> (*function)(Shard&, Parameters...), Arguments... arguments);

  /// On all shards of this open database; forgotten when it is closed. Errors: invalid_argument (the text names the option;
  /// nothing was changed), closed, forked.
  Future<Outcome<bool>> change_options(const OptionChanges& changes);

  // --- looking at it ---
  std::uint32_t shard_count() const noexcept;
  const std::string& directory() const noexcept;
  const RecoveryReport& recovery() const noexcept;
  const std::shared_ptr<detail::DatabaseCore>& core() const noexcept { return core_; }
  Future<Result<Metrics>> metrics();
  Future<Result<CommitStages>> commit_stages();
  /// Reads all that the database is made of from disk and checks it (verify.h), beside commits and reads, and reports every
  /// damage. Stopped by on_progress, or because the database closes, the report is not complete. Errors: closed, forked.
  Future<Outcome<VerifyReport>> scrub(ScrubOptions options = {});
  /// The same, and damage is an error: the status of the first one, and a line for each in the text.
  Future<Outcome<VerifyReport>> verify();

 private:
  explicit Database(std::shared_ptr<detail::DatabaseCore> core) noexcept;
  /// A call on its way to a shard; run() is on the shard's reactor.
  class ShardCall {
   public:
    virtual ~ShardCall() = default;
    virtual Task<> run(Shard& shard) = 0;
    virtual void refuse(Status status) = 0;  ///< Instead of run(): closed, forked.
  };
  void post_call(ShardId shard, std::unique_ptr<ShardCall> call);
  static Task<Outcome<Database>> finish_opening(std::shared_ptr<detail::DatabaseCore> core);
  void let_go() noexcept;
  friend class detail::DatabaseCore;

  std::shared_ptr<detail::DatabaseCore> core_;
};

template <typename T, typename... Parameters, typename... Arguments>
Future<T> Database::run_on(ShardId shard, Task<T> (*function)(Shard&, Parameters...), Arguments... arguments) {
  static_assert(std::is_constructible_v<T, Status> || std::is_constructible_v<T, std::unexpected<Status>> ||
                    std::is_constructible_v<T, std::unexpected<Failure>>,
                "a call on a shard answers with a status of some kind");
  struct Call final : ShardCall {
    Task<T> (*function)(Shard&, Parameters...);
    std::tuple<Arguments...> arguments;
    Promise<T> promise;
    Call(Task<T> (*called)(Shard&, Parameters...), Arguments... copied) : function(called), arguments(std::move(copied)...) {}
    Task<> run(Shard& on) override {
      T value = co_await std::apply([&](auto&... each) { return function(on, each...); }, arguments);
      promise.fulfill(std::move(value));
    }
    void refuse(Status status) override {
      promise.fulfill(detail::refusal<T>(status, "the database is closed, or another process's"));
    }
  };
  auto call = std::make_unique<Call>(function, std::move(arguments)...);
  Future<T> future = call->promise.future();
  post_call(shard, std::move(call));
  return future;
}

}  // namespace penstock
