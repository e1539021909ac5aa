// A database behind its handles: opening and closing it, its parts on the reactors, the catalog, and the calls that cross
// shards.
//
// Invariants:
//   Core-I1 Order of an opening (design of the log): ends of all old logs known and first segments of the new epoch durable
//           -> EPOCH durable -> only then appends, flushes and frees.
//   Core-I2 A call is accepted by taking credits of its shard and then finding the database open; close() forbids first and
//   then waits
//           until every credit is back. So no call runs on a shard that is gone.
//   Core-I3 DDL is one commit on shard 0 at a time; every part knows a family before its handle exists.
// Threads: open and close run as coroutines on reactor 0; accept, post and the states are for any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/catalog.h"
#include "engine/identity.h"
#include "engine/old_logs.h"
#include "engine/reactor_part.h"
#include "engine/runtime_core.h"
#include "penstock/db.h"
#include "reactor/reactor.h"

namespace penstock::engine {
class ScrubRun;
}  // namespace penstock::engine

namespace penstock::detail {

class DatabaseCore final : private MemoryUser {
 public:
  DatabaseCore(std::shared_ptr<RuntimeCore> runtime, std::string directory, DatabaseOptions options);
  ~DatabaseCore();

  /// On reactor 0. After a failure everything is closed again.
  Task<Outcome<bool>> open();
  /// On reactor 0, in place of open(): reads and checks the files, and changes none of them.
  Task<Outcome<VerifyReport>> verify_closed(ScrubOptions options);
  /// On reactor 0. A second one waits for the first and has its answer.
  Task<Status> close();

  RuntimeCore& runtime() const noexcept { return *runtime_; }
  reactor::Reactor& home() const noexcept { return *runtime_->reactors().front(); }
  reactor::TaskGroup& home_tasks() noexcept { return home_tasks_; }
  const engine::DatabaseSettings& settings() const noexcept { return settings_; }
  const RecoveryReport& recovery() const noexcept { return recovery_; }

  // --- any thread ---
  engine::ReactorPart& part_of(ShardId shard) const noexcept { return *parts_[shard % parts_.size()]; }
  ShardEngine& shard(ShardId shard) const { return part_of(shard).shard(shard); }
  /// Takes credits for a call on `shard`; false: `status` says why, nothing is taken. Blocks for credits if `may_block` and the
  /// thread runs no reactor, else `would_block`. A call accepted gives its credits back with release().
  bool accept(ShardId shard, std::int64_t bytes, bool may_block, Status& status);
  void release(ShardId shard, std::int64_t bytes) { this->shard(shard).credits().give(bytes); }
  bool is_open() const noexcept { return state_.load(std::memory_order_seq_cst) == State::kOpen; }
  bool is_closed() const noexcept { return state_.load(std::memory_order_seq_cst) == State::kClosed; }
  Status close_status() const noexcept { return close_status_; }  ///< Once it is closed.
  /// For the calls that run on reactor 0 without a shard (DDL, metrics, flush): they hold the database open too. Errors:
  /// closed, forked; nothing is to be left then.
  Status enter_home_call() noexcept;
  void leave_home_call() noexcept { home_calls_.fetch_sub(1, std::memory_order_seq_cst); }

  // --- coroutines on reactor 0 ---
  Task<Outcome<Family>> create_family(std::string name, FamilyOptions options, bool open_existing);
  Task<Outcome<Family>> open_family(std::string name);
  Task<Outcome<bool>> drop_family(std::string name);
  Task<Outcome<bool>> rename_family(std::string from, std::string to);
  Task<Outcome<std::vector<FamilyInfo>>> list_families();
  Task<Status> flush_all();
  Task<Outcome<bool>> change_options(OptionChanges changes);
  Task<Metrics> collect_metrics();
  Task<CommitStages> collect_commit_stages();
  Task<Outcome<VerifyReport>> scrub(ScrubOptions options);
  Task<Outcome<VerifyReport>> verify();  ///< scrub(), whose damages are a failure.

 private:
  enum class State : std::uint8_t { kClosed, kOpen, kClosing };
  struct OldLogs {
    std::vector<engine::LogPlan> plans;  // Ascending by epoch, then reactor.
    std::vector<engine::CatalogOperation> catalog;
    std::vector<engine::NamedExtent> extents;
  };

  // Opening, in order (engine/open.cc).
  Task<Outcome<bool>> open_steps();
  Task<Outcome<bool>> lock_directory();
  Outcome<bool> find_or_create();
  Outcome<bool> check_options(const DatabaseOptions& options) const;
  Task<Outcome<bool>> open_stores();
  Task<Outcome<bool>> remove_spare_logs();
  Task<Outcome<bool>> read_old_logs(OldLogs& old);
  Task<Outcome<bool>> read_needed_logs(OldLogs& old);
  std::shared_ptr<engine::PassProgress> make_progress(OpenProgress::Stage stage) const;
  Outcome<bool> plan_old_logs(OldLogs& old);
  Outcome<bool> check_clean_close(const OldLogs& old) const;
  Task<Outcome<bool>> claim_extents(const OldLogs& old);
  Outcome<bool> write_new_epoch(const OldLogs& old);
  Task<Outcome<bool>> load_catalog(OldLogs& old);
  Task<Outcome<bool>> replay(OldLogs& old);
  Task<Outcome<bool>> hold_lock();
  Task<> serve();
  Task<> remove_old_logs();
  void on_shard_caught_up();
  Task<Status> flush_unlogged();
  Task<Status> close_parts();
  Status write_clean_epoch(const std::vector<std::uint64_t>& ends, const std::vector<std::uint64_t>& generations);

  // Verifying instead (engine/closed_verify.cc).
  Task<Outcome<VerifyReport>> verify_closed_steps(ScrubOptions options);
  Task<> verify_closed_logs(std::shared_ptr<engine::ScrubRun> run, VerifyReport* total);

  void on_memory_share(std::uint64_t bytes) override;
  static Task<Status> follow_memory_share(DatabaseCore* self);
  Task<> lock_ddl();
  void unlock_ddl();
  Task<Status> commit_catalog(std::vector<char> encoded, std::uint32_t operations);
  Task<> tell_parts_added(std::shared_ptr<const FamilyState> family);
  Task<> tell_parts_dropped(FamilyId family);
  std::string epoch_path() const { return settings_.directory + "/EPOCH"; }

  std::shared_ptr<RuntimeCore> runtime_;
  engine::DatabaseSettings settings_;
  reactor::TaskGroup home_tasks_;
  reactor::File lock_;
  std::vector<std::unique_ptr<engine::ReactorPart>> parts_;
  std::unique_ptr<engine::Catalog> catalog_;
  wal::EpochState epoch_;
  RecoveryReport recovery_;
  std::vector<wal::LogName> old_logs_;

  std::atomic<State> state_{State::kClosed};
  Status close_status_;  // Written before kClosed.
  std::atomic<std::int64_t> home_calls_{0};
  std::atomic<std::int32_t> shards_behind_{0};
  std::uint64_t memory_share_ = 0;  // Its parts may not know it yet.
  bool ddl_busy_ = false;
  reactor::Event ddl_free_;
  std::atomic<bool> old_logs_removable_{false};
};

}  // namespace penstock::detail
