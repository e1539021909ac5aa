// One shard: its memtables, trees and page store, the commits on their way through the log, and its flushing.
//
// Life of a commit: submit() -> large values written -> admitted (families, memory, log) or waiting in order -> sequences,
// memtable, log -> in flight
// -> published when its own durability and every commit before it are reached -> finish(). Invariants:
//   Shard-I1 published <= assigned; published moves to ends of batches only, in order, and never back.
//   Shard-I2 Commits are applied in the order of submit(), over all shards of a reactor as soon as one of them waits.
//   Shard-I3 A read at `published` sees active memtable, then frozen ones from new to old, then the tree; each batch whole or
//   not at all. Shard-I4 A generation leaves the read path in the same step in which the tree that contains it enters. Shard-I5
//   After the log failed nothing is applied, published or flushed any more; reads go on.
//   Shard-I8 A commit with large values (large_values.h) and those that come after it to this shard keep their order, whatever
//   the disk answers first.
//   Shard-I9 A commit that decides when its turn comes (atomic_work.h) keeps its place in the shard's order, too, while what it
//   needs is read.
//   Shard-I6 A record of the log names the last sequence of the record before it; between the two lie unlogged commits alone.
//   Shard-I7 Entries of a damaged family (flush.h) are logged and applied anew before the memtable that held them leaves: they
//   stay readable, and the log can be let go. It takes writes until these entries fill the share of memory of a shard that
//   cannot flush.
// Thread: its reactor.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/ring_queue.h"
#include "btree/btree.h"
#include "engine/calls.h"
#include "engine/credits.h"
#include "engine/family_state.h"
#include "engine/flat_rows.h"
#include "flush/flush.h"
#include "memtable/memtable.h"
#include "penstock/metrics.h"
#include "penstock/shard.h"
#include "reactor/reactor.h"

namespace penstock::engine {
class Catalog;
struct Operation;
class ReactorPart;
class ScrubPart;
}  // namespace penstock::engine

namespace penstock::detail {

class RowWalk;

class ShardEngine {
 public:
  ShardEngine(engine::ReactorPart& part, ShardId id);
  ~ShardEngine();

  ShardId id() const noexcept { return id_; }
  engine::ReactorPart& part() const noexcept { return part_; }
  engine::Credits& credits() noexcept { return credits_; }  ///< Any thread.

  // --- opening and recovery (engine/shard_recovery.cc) ---
  Task<Outcome<bool>> open_store();
  bool has_store() const noexcept { return flusher_ != nullptr; }
  /// Shard 0: brings the stored catalog into `catalog`.
  Task<Status> load_catalog(engine::Catalog& catalog);
  const btree::Superblock& superblock() const noexcept { return store_->current(); }
  /// What kept a newer superblock from opening; ok if nothing did.
  Status superblock_passed_over() const noexcept { return store_->passed_over(); }
  /// Position up to which the older kept superblock has applied the log; the current one if it is the only one.
  btree::AppliedPosition needed_from() const noexcept;
  /// A record that ends at `end` names an extent: its blocks are its own from now on. Errors: corruption.
  Status claim(const btree::ExtentPointer& extent, wal::Position end);
  /// When a record is dealt. kReading: the logs are still being read; nothing is written yet, and nobody knows the catalog, so
  /// that dropped families' entries come along until a flush leaves them out, and extents are claimed as they are met.
  /// kDealing: all extents are claimed, and memory that is short is flushed.
  enum class RecoveryPass : std::uint8_t { kReading, kDealing };
  /// One part of a record, in the shard's order.
  Task<Status> deal(const wal::Part& part, wal::Position end, RecoveryPass pass);
  void finish_recovery();
  std::uint64_t replayed_operations() const noexcept { return replayed_operations_; }

  // --- serving ---
  void start(bool catch_up);  ///< Starts the flusher.
  void submit(engine::CommitCall& call);
  void change_options(const DatabaseOptions& options);
  /// Tries the first of those that wait again. False: it goes on waiting.
  bool try_first_waiting();
  void refuse_waiting();  ///< Closing.
  void on_log_progress();
  /// Its tree is freed by the next pass.
  void on_family_dropped(FamilyId family);

  // --- reading (engine/shard_read.cc) ---
  /// The answer if it can be given from memory.
  std::optional<Result<std::string>> try_get(const FamilyState& family, Bytes key);
  /// The same for a thread that has borrowed the reactor (reactor/borrow_gate.h), several at once. The value is good until the
  /// thread gives back.
  std::optional<Result<Bytes>> get_borrowed(const FamilyState& family, Bytes key) const;
  std::optional<Result<PinnedValue>> get_cached(const FamilyState& family, Bytes key);
  /// A hint that get_cached() or get_borrowed() of this key comes soon: what it will read is asked for from memory now.
  void fetch_ahead(const FamilyState& family, Bytes key) const noexcept;
  Task<Result<std::string>> get(const FamilyState& family, Bytes key);
  Task<Result<PinnedValue>> get_pinned(const FamilyState& family, Bytes key);
  Task<Result<bool>> contains(const FamilyState& family, Bytes key);
  /// Answers in the order of the keys, all as of one published position (engine/multi_get.cc). The keys stay until it ends.
  Task<std::vector<Result<std::string>>> multi_get(const FamilyState& family, std::span<const Bytes> keys);
  /// Errors: dropped.
  Result<std::unique_ptr<RowWalk>> walk(const FamilyState& family);
  Task<Result<engine::FlatRows>> scan(const FamilyState& family, const ScanOptions& options);

  // --- atomic work (engine/shard_atomic.cc): for AtomicView ---
  Result<Bytes> read_applied(const Family& family, Bytes key, bool is_value_wanted, engine::AtomicWork& work);
  Status change_applied(const Family& family, Bytes key, std::optional<Bytes> value, engine::AtomicWork& work);

  // --- flushing (engine/shard_flush.cc) ---
  /// Closes the active memtable, so that the flusher takes it. Nothing if it is empty.
  void freeze();
  /// Makes the log before now releasable: flushes what there is and confirms, so that both superblocks contain it.
  void request_release();
  Task<Status> flush();
  /// Stops the flusher after its present pass. Then nothing of this shard runs but reads.
  Task<> stop();
  Task<> close_store();
  // --- verification (engine/shard_scrub.cc) ---
  /// Superblocks, trees, values; beside passes, but for a moment at the beginning. Until it ends the space of what the trees
  /// reach now is not reused.
  Task<> scrub(engine::ScrubPart* part);
  /// About what it will read.
  std::uint64_t scrub_bytes() const;

  /// Whether commits that are in no log wait for a flush: a clean close needs it.
  bool has_unlogged() const noexcept { return unlogged_ > superblock().applied.sequence; }
  /// Of the active memtable, what freezing it can give back.
  std::uint64_t active_bytes() const noexcept { return active_->memtable.memory_bytes() - active_->carried_bytes; }
  /// Of all its memtables.
  std::uint64_t held_bytes() const noexcept;
  /// Its flush met what no other try will mend (a damaged page): its memtables stay until the next opening.
  bool is_stuck() const noexcept;
  void collect(Metrics& metrics) const;

 private:
  friend class RowWalk;
  struct Generation {
    explicit Generation(reactor::ChunkPool* chunks) noexcept : memtable(chunks) {}

    memtable::Memtable memtable;
    btree::AppliedPosition applied;
    engine::EarlyExtents early;       // That its references name.
    std::uint64_t carried_bytes = 0;  // Of its memory, for damaged families' entries that an earlier one has carried here.
  };
  using GenerationList = std::vector<std::shared_ptr<const Generation>>;
  std::shared_ptr<Generation> make_generation() const;

  void prepare(engine::CommitCall& call);
  Task<> write_large_values(engine::CommitCall* call);
  Task<Status> write_extents(engine::CommitCall* call);
  void submit_settled();
  void submit_prepared(engine::CommitCall& call);
  enum class Admission : std::uint8_t { kApplied, kWait, kRefused };
  struct Verdict {
    Admission admission;
    Status status;
  };
  Verdict try_apply(engine::CommitCall& call);
  Verdict admit(const engine::CommitCall& call);
  void apply(engine::CommitCall& call);
  void wait_or_refuse(engine::CommitCall& call);
  void publish_finished();
  void fail_unfinished();
  Status check_families(const engine::CommitCall& call) const;
  Sequence prune_below() const noexcept;

  struct AppliedVersion {
    const std::shared_ptr<Generation>* generation = nullptr;
    std::optional<memtable::Memtable::Version> version;
  };
  AppliedVersion find_applied(FamilyId family, Bytes key) const noexcept;
  void decide(engine::CommitCall& call);
  bool settle(engine::CommitCall& call, bool is_next);
  Task<> work_for(engine::CommitCall* call);
  Task<Status> load_missing(engine::AtomicWork* work);
  Task<> load_beside(engine::AtomicWork* work, const engine::AtomicWork::Missing* missing, Status* failure);
  Task<Status> load(engine::AtomicWork* work, const engine::AtomicWork::Missing& missing);
  std::optional<Verdict> admit_work(engine::CommitCall& call);
  static void end_waiting(engine::CommitCall& call, Status status);

  /// What memory knows of a key as of the published position.
  struct Located {
    enum class Answer : std::uint8_t { kUnknown, kAbsent, kDropped, kInMemtable, kReference, kInPage };
    Answer answer = Answer::kUnknown;  ///< kUnknown: a page or an extent has to be read. kReference: the extent `value` names.
    Bytes value;
    const std::shared_ptr<Generation>* generation = nullptr;  ///< kInMemtable, kReference: the one that holds `value`.
    btree::PageRef page;                                      ///< kInPage
  };
  Located locate(const FamilyState& family, Bytes key) const noexcept;
  std::optional<Located> locate_in_memtables(const FamilyState& family, Bytes key) const noexcept;
  Status absence(const FamilyState& family, Located::Answer answer) const noexcept;
  Task<Result<PinnedValue>> get_from_disk(const FamilyState& family, Bytes key);
  Task<Result<PinnedValue>> read_value(FamilyId family, btree::ExtentPointer extent);
  struct ColdReads;
  Task<> read_cold(ColdReads* cold);
  GenerationList generations_with(FamilyId family) const;  // From new to old.

  /// Asks for slices of the runs once nothing has been written for a while.
  class RestTimer final : public reactor::Timer {
   public:
    RestTimer(reactor::Reactor& reactor, ShardEngine& shard) noexcept : Timer(reactor), shard_(shard) {}

   private:
    void on_timer() override { shard_.on_rest(); }
    ShardEngine& shard_;
  };
  void on_rest();
  void watch_rest(bool is_draining);

  bool continues(const wal::Part& part, std::uint32_t epoch) const noexcept;
  Task<Status> flush_dealt();
  Status deal_extent(const engine::Operation& operation, wal::Position end, RecoveryPass pass, Sequence published);

  Task<> scrub_early(engine::ScrubPart* part);
  Task<> run_flusher();
  Task<Status> flush_once();
  Task<Status> carry_damaged(const Generation& generation);
  Task<Status> wait_for_log(std::uint64_t payload_bytes);
  bool is_in_newer(const Generation& generation, FamilyId family, Bytes key) const noexcept;
  Task<> make_room();
  wal::Log* log_of(const btree::AppliedPosition& applied) const noexcept;
  Task<Status> wait_published(Sequence sequence);
  btree::AppliedPosition applied_now();
  void on_published_pass();
  btree::StoreBudgets budgets_of(const DatabaseOptions& options) const;
  void share_cache();

  engine::ReactorPart& part_;
  const ShardId id_;
  reactor::Reactor& reactor_;
  engine::Credits credits_;

  std::shared_ptr<btree::PageStore> store_;
  btree::StoreBudgets budgets_;  // Of the store and the filters of runs together.
  std::unique_ptr<flush::Flusher> flusher_;

  std::shared_ptr<Generation> active_;
  std::deque<std::shared_ptr<Generation>> frozen_;  // Oldest first.
  Sequence assigned_ = 0;                           // Last sequence given to an operation.
  Sequence logged_ = 0;    // Last sequence in a record of the log, or of the end of recovery: what the next record continues.
  Sequence unlogged_ = 0;  // Last sequence that is in no record.
  Sequence published_ = 0;
  std::uint64_t carried_bytes_ = 0;  // Of damaged families' entries, by the last pass.
  std::multiset<Sequence> readers_;  // Positions that walks in progress read at.

  std::deque<engine::CommitCall*> preparing_;       // Behind one whose large values are being written, or that needs a page.
  std::uint32_t working_ = 0;                       // Tasks of calls with work.
  base::RingQueue<engine::CommitCall*> waiting_;    // Not applied yet. Each has a place in the part's line.
  base::RingQueue<engine::CommitCall*> in_flight_;  // Applied, not published.

  // Recovery.
  engine::EarlyExtents claimed_;  // What the logs name, until the memtables hold it.
  wal::Position dealt_end_;
  std::uint64_t replayed_operations_ = 0;

  // Flushing.
  Status flush_failure_;  // Why the last pass failed; ok after one that did not.
  std::uint32_t publications_wanted_ = 0;
  bool stopping_ = false;
  bool flusher_runs_ = false;
  bool pass_runs_ = false;  // A pass or a verification has the store.
  bool caught_up_ = false;  // Both superblocks are past the logs of earlier epochs.
  bool disk_full_ = false;
  bool drain_wanted_ = false;  // At rest: what waits in runs goes into the trees.
  Sequence rested_at_ = 0;     // assigned_ when the rest timer last looked.
  RestTimer rest_timer_;
  bool room_was_made_ = false;  // make_room() gained nothing, and no pass went well since: once more would gain as little.
  reactor::Event work_;         // For the flusher: something to do.
  reactor::Event progress_;     // published_, flush_failure_, frozen_ or stopping_ changed.

  Sequence timed_sequence_ = 0;  // Of the commit in flight whose time is taken; 0: none.
  std::uint64_t timed_since_ns_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t large_values_ = 0;
  mutable std::uint64_t gets_ = 0;
  mutable std::uint64_t gets_from_disk_ = 0;
  std::uint64_t scans_ = 0;
  std::uint64_t multi_gets_ = 0;
  alignas(64) mutable std::atomic<std::uint64_t> gets_borrowed_{0};  // By borrowers, each from its own thread.
};

}  // namespace penstock::detail
