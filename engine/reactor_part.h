// What a database has on one reactor: the log, the shards that live there, the families they know, the memory they share.
//
// Invariants:
//   Part-I1 memtable_bytes() is what the active and frozen memtables of its shards hold.
//   Part-I2 Commits that have to wait for memory (memory_gate.h) are let in in the order in which they came, over all shards.
// Thread: its reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/histogram.h"
#include "base/ring_queue.h"
#include "engine/family_state.h"
#include "engine/memory_gate.h"
#include "engine/pass_turns.h"
#include "engine/shard_engine.h"
#include "flush/flush.h"
#include "penstock/metrics.h"
#include "penstock/options.h"
#include "reactor/reactor.h"
#include "wal/log_image.h"
#include "wal/wal.h"

namespace penstock::engine {

struct LogPlan;
class PassProgress;

/// What the parts of a database have in common; set before they are made.
struct DatabaseSettings {
  std::string directory;
  wal::Identity identity;
  std::uint16_t shard_count = 1;
  std::uint16_t reactor_count = 1;
  DatabaseOptions options;
  std::uint64_t memory_bytes = 0;        ///< The database's share of the runtime's memory_limit when it is opened.
  reactor::ChunkPool* chunks = nullptr;  ///< Of the runtime.
  std::uint32_t epoch = 0;               ///< Of this opening.
};

std::string log_directory(const DatabaseSettings& settings);
std::string shard_directory(const DatabaseSettings& settings, ShardId shard);

class ReactorPart final : public wal::LogListener, public flush::FamilyFilter {
 public:
  /// `on_caught_up` is called once per shard, when its superblocks need no log of an earlier epoch any more.
  ReactorPart(reactor::Reactor& reactor, std::uint16_t index, const DatabaseSettings& settings,
              std::function<void()> on_caught_up);
  ~ReactorPart();

  reactor::Reactor& reactor() const noexcept { return reactor_; }
  std::uint16_t index() const noexcept { return index_; }
  const DatabaseSettings& settings() const noexcept { return settings_; }
  wal::Log& log() const noexcept { return *log_; }
  bool has_log() const noexcept { return log_ != nullptr; }
  reactor::TaskGroup& tasks() noexcept { return tasks_; }
  const std::vector<std::unique_ptr<detail::ShardEngine>>& shards() const noexcept { return shards_; }
  /// The engine of a shard that lives here.
  detail::ShardEngine& shard(ShardId id) const;
  bool has_shard(ShardId id) const noexcept { return id < settings_.shard_count && id % settings_.reactor_count == index_; }

  // --- opening ---
  Task<Outcome<bool>> open_stores();
  Task<Outcome<bool>> open_log();
  /// Pass 2 (old_logs.h): deals the records of `plans` that pass 1 left to the shards here.
  Task<Outcome<bool>> replay(const std::vector<LogPlan>& plans, PassProgress& progress);
  /// Keeps the database's LOCK taken until this reactor's last I/O has ended, even if the process is killed.
  Status hold_lock(reactor::Fd lock);
  /// Takes over what may change while the database is open.
  void change_options(const DatabaseOptions& options);
  /// The database may use so much from now on. Memtables over it are flushed, pages over it evicted.
  void change_memory(std::uint64_t memory_bytes);
  /// A shard's part of the memory for pages.
  std::uint64_t shard_cache_bytes() const noexcept {
    return memory_bytes_ * options_.cache_percent / 100 / settings_.shard_count;
  }
  btree::WritePace& write_pace() noexcept { return write_pace_; }
  btree::WriteBudget& write_budget() noexcept { return write_budget_; }
  /// Serves. `catch_up`: logs of earlier epochs are to be left behind, every shard publishes.
  void start(bool catch_up);

  // --- families ---
  void add_family(std::shared_ptr<const detail::FamilyState> family);
  void drop_family(FamilyId family);
  bool is_dropped(FamilyId family) const override { return family >= kFamilyIdUserMin && !families_.contains(family); }

  // --- memory and admission ---
  MemoryGate::Verdict admit_memory(std::uint64_t bytes);
  void on_memtable_growth(std::uint64_t before, std::uint64_t after);
  /// Of entries that a flush has carried from one memtable to the next: no reason to freeze that one.
  void on_carried_growth(std::uint64_t bytes);
  PassTurns& pass_turns() noexcept { return pass_turns_; }
  /// A shard's pass is to free so much; it has ended, and did or did not.
  void on_pass_begun(ShardId shard, std::uint64_t bytes);
  void on_pass_ended(ShardId shard, std::uint64_t freed_bytes);
  bool is_memory_short() const noexcept { return memtable_bytes_ >= gate_.limit_bytes() / 2; }
  std::uint64_t memtable_bytes() const noexcept { return memtable_bytes_; }
  /// What a shard that cannot flush may hold: with all of them stuck but one, that one still has half of the memory.
  std::uint64_t stuck_share_bytes() const noexcept { return gate_.limit_bytes() / 2 / shards_.size(); }
  /// A commit of this shard waits now, behind all that wait already.
  void line_up(detail::ShardEngine& shard) { line_.push_back(&shard); }
  /// None of this shard waits any more.
  void leave_line(detail::ShardEngine& shard) { line_.erase(&shard); }
  bool has_waiting() const noexcept { return !line_.empty(); }
  /// Tries those that wait again, in the order in which they came: a shard that is written more does not keep the others
  /// waiting.
  void drain_waiting();
  void note_delay(std::uint64_t duration_ns) noexcept;
  /// Of the first commit of a batch of the log.
  void note_apply(std::uint64_t duration_ns) noexcept { apply_times_.record(duration_ns); }
  /// A commit came back from the log that it was given to then.
  void note_commit(std::uint64_t since_ns) noexcept;
  void on_shard_caught_up() { on_caught_up_(); }
  /// From now on commits end `closed`, those that wait too.
  void begin_closing();
  bool is_closing() const noexcept { return closing_; }

  /// Stops flushers, joins tasks(), closes the log (unless poisoned it is durable then) and the stores. Not from a task in
  /// tasks().
  Task<Status> close();

  void collect(Metrics& metrics) const;
  const base::Histogram& apply_times() const noexcept { return apply_times_; }

  // wal::LogListener
  void on_log_progress() override;
  void on_log_room() override;
  void on_log_pressure(std::span<const ShardId> shards) override;

 private:
  class AdmissionTimer final : public reactor::Timer {
   public:
    AdmissionTimer(reactor::Reactor& reactor, ReactorPart& part) noexcept : Timer(reactor), part_(part) {}

   private:
    void on_timer() override { part_.drain_waiting(); }
    ReactorPart& part_;
  };
  std::uint64_t memtable_limit() const noexcept {
    return memory_bytes_ * options_.memtable_percent / 100 / settings_.reactor_count;
  }
  bool has_much_active() const noexcept;
  void freeze_largest();
  void share_time();

  reactor::Reactor& reactor_;
  const std::uint16_t index_;
  const DatabaseSettings& settings_;
  DatabaseOptions options_;     // As they were changed since.
  std::uint64_t memory_bytes_;  // As it was changed since.
  std::function<void()> on_caught_up_;
  reactor::TaskGroup tasks_;
  std::unique_ptr<wal::Log> log_;
  std::vector<std::unique_ptr<detail::ShardEngine>> shards_;
  std::unordered_map<FamilyId, std::shared_ptr<const detail::FamilyState>> families_;
  bool closing_ = false;
  reactor::Fd held_lock_ = reactor::Fd::kNone;

  MemoryGate gate_;
  PassTurns pass_turns_;
  btree::WritePace write_pace_;
  btree::WriteBudget write_budget_;
  std::uint64_t share_set_ns_ = 0;
  std::uint64_t memtable_bytes_ = 0;
  std::uint64_t active_bytes_ = 0;  // Of memtable_bytes_, what is not frozen and not carried.
  AdmissionTimer admission_timer_;
  base::RingQueue<detail::ShardEngine*> line_;  // For each commit that waits its shard.
  bool draining_ = false;
  std::uint64_t delayed_commits_ = 0;
  std::uint64_t delayed_ns_ = 0;
  std::uint64_t delayed_ns_max_ = 0;
  base::Histogram apply_times_;

  friend class detail::ShardEngine;
};

}  // namespace penstock::engine
