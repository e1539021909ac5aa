// The commit path of a shard: admission, sequences, memtable, log, publication.
#include "engine/shard_engine.h"

#include <algorithm>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/sometimes.h"
#include "engine/ahead_reader.h"
#include "engine/reactor_part.h"

namespace penstock::engine {

void CommitCall::run() { shard->submit(*this); }

}  // namespace penstock::engine

namespace penstock::detail {

namespace {

/// What may be on its way to one shard at once: several of the largest batches, and thousands of small ones.
constexpr std::int64_t kCreditBytes = 64LL << 20;

}  // namespace

ShardEngine::ShardEngine(engine::ReactorPart& part, ShardId id)
    : part_(part),
      id_(id),
      reactor_(part.reactor()),
      credits_(kCreditBytes),
      active_(make_generation()),
      rest_timer_(part.reactor(), *this),
      work_(part.reactor()),
      progress_(part.reactor()) {}

ShardEngine::~ShardEngine() {
  PENSTOCK_ASSERT(waiting_.empty());
  PENSTOCK_ASSERT(in_flight_.empty());
}

std::shared_ptr<ShardEngine::Generation> ShardEngine::make_generation() const {
  return std::make_shared<Generation>(part_.settings().chunks);
}

void ShardEngine::start(bool catch_up) {
  PENSTOCK_ASSERT(!flusher_runs_);
  flusher_runs_ = true;
  watch_rest(false);
  part_.tasks().spawn(&ShardEngine::run_flusher, this);
  if (catch_up) {
    request_release();  // Both superblocks shall leave the logs of earlier epochs behind.
  }
}

void ShardEngine::submit(engine::CommitCall& call) {
  // What a flush carries is no new commit: closing flushes too.
  if (part_.is_closing() && !call.is_carried) {
    call.finish(Status(Code::kClosed));
    return;
  }
  if (call.is_carried) {
    apply(call);
    publish_finished();
  } else {
    const bool is_next = preparing_.empty() && waiting_.empty();
    const bool must_prepare = call.work == nullptr ? call.has_large_values : !settle(call, is_next);
    if (must_prepare || !preparing_.empty()) {
      prepare(call);
    } else {
      submit_prepared(call);
    }
  }
}

/// Shard-I8, Shard-I9.
void ShardEngine::prepare(engine::CommitCall& call) {
  preparing_.push_back(&call);
  if (call.work == nullptr && call.has_large_values) {
    call.is_prepared = false;
    part_.tasks().spawn(&ShardEngine::write_large_values, this, &call);
  }
}

Task<> ShardEngine::write_large_values(engine::CommitCall* call) {
  call->prepared = co_await write_extents(call);
  call->is_prepared = true;
  submit_settled();
}

Task<Status> ShardEngine::write_extents(engine::CommitCall* call) {
  if (!part_.log().failure().is_ok()) {
    co_return Status(Code::kPoisoned).with_shard(id_);
  }
  PENSTOCK_CO_TRY(check_families(*call));
  std::vector<btree::ExtentPointer> extents;
  const Status written = co_await store_->put_early(engine::large_values_of(call->payload), &extents);
  if (!store_->failure().is_ok() && part_.log().failure().is_ok()) {
    part_.log().poison(written);
  }
  if (written.is(Code::kNoSpace)) {
    PENSTOCK_SOMETIMES("commit: no space for a large value", true);
    request_release();  // What was overwritten in memory gives its space back.
  }
  PENSTOCK_CO_TRY(written);
  call->large = std::make_unique<engine::LargeBatch>();
  call->large->payload = engine::with_extents(call->payload, extents);
  for (const btree::ExtentPointer& extent : extents) {
    call->large->extents.take_over(store_, extent);
  }
  call->payload = Bytes(call->large->payload.data(), call->large->payload.size());
  call->payload_checksum = base::checksum(as_span(call->payload));
  large_values_ += extents.size();
  co_return Status::ok();
}

/// Those at the head of `preparing_` that need nothing any more.
void ShardEngine::submit_settled() {
  while (!preparing_.empty() && preparing_.front()->is_prepared && settle(*preparing_.front(), waiting_.empty())) {
    engine::CommitCall& first = *preparing_.front();
    preparing_.pop_front();
    if (first.prepared.is_ok()) {
      submit_prepared(first);
    } else {
      first.finish(first.prepared);
    }
  }
}

void ShardEngine::submit_prepared(engine::CommitCall& call) {
  if (part_.is_closing()) {
    call.finish(Status(Code::kClosed));
    return;
  }
  const bool may_wait = part_.log().failure().is_ok();
  if (may_wait && part_.has_waiting()) {  // Shard-I2.
    wait_or_refuse(call);
    return;
  }
  const Verdict verdict = try_apply(call);
  if (verdict.admission == Admission::kRefused) {
    call.finish(verdict.status);
  } else if (verdict.admission == Admission::kWait) {
    wait_or_refuse(call);
  } else {
    publish_finished();
  }
}

void ShardEngine::wait_or_refuse(engine::CommitCall& call) {
  if (call.options.no_wait) {
    PENSTOCK_ASSERT(call.work == nullptr || !call.work->is_busy);
    call.finish(Status(Code::kBusy));
    return;
  }
  PENSTOCK_SOMETIMES("commit: it waits in line", true);
  call.waiting_since_ns = reactor_.now_ns();
  waiting_.push_back(&call);
  part_.line_up(*this);
}

void ShardEngine::change_options(const DatabaseOptions& options) {
  budgets_ = budgets_of(options);
  flusher_->set_gather_from_bytes(options.gather_from_bytes);
  share_cache();
}

btree::StoreBudgets ShardEngine::budgets_of(const DatabaseOptions& options) const {
  return {.cache_bytes = part_.shard_cache_bytes(), .space_use_target_percent = options.space_use_percent};
}

/// The filters of runs live on the cache's share of the memory, three quarters of it at most.
void ShardEngine::share_cache() {
  btree::StoreBudgets budgets = budgets_;
  const std::uint64_t filters = flusher_->run_holdings().filter_bytes;
  budgets.cache_bytes -= std::min(filters, budgets_.cache_bytes / 4 * 3);
  store_->change_budgets(budgets);
}

void ShardEngine::refuse_waiting() {
  part_.leave_line(*this);
  while (!waiting_.empty()) {
    engine::CommitCall& call = *waiting_.front();
    waiting_.pop_front();
    end_waiting(call, Status(Code::kClosed));
  }
}

bool ShardEngine::try_first_waiting() {
  engine::CommitCall& call = *waiting_.front();
  const Verdict verdict = try_apply(call);
  if (verdict.admission == Admission::kWait) {
    return false;
  }
  waiting_.pop_front();
  part_.note_delay(reactor_.now_ns() - call.waiting_since_ns);
  if (verdict.admission == Admission::kRefused) {
    call.finish(verdict.status);
  } else {
    publish_finished();
  }
  return true;
}

ShardEngine::Verdict ShardEngine::try_apply(engine::CommitCall& call) {
  if (call.work != nullptr) {
    if (const std::optional<Verdict> verdict = admit_work(call)) {
      return *verdict;
    }
  }
  const Verdict verdict = admit(call);
  if (verdict.admission != Admission::kApplied) {
    return verdict;
  }
  const bool is_timed = part_.log().begins_batch() && call.options.durability != Durability::kUnlogged;
  const std::uint64_t start_ns = is_timed ? reactor_.now_ns() : 0;
  apply(call);
  if (is_timed) {
    part_.note_apply(reactor_.now_ns() - start_ns);
  }
  return verdict;
}

ShardEngine::Verdict ShardEngine::admit(const engine::CommitCall& call) {
  const auto refuse = [this](Code code) { return Verdict{Admission::kRefused, Status(code).with_shard(id_)}; };
  if (!part_.log().failure().is_ok()) {
    return refuse(Code::kPoisoned);
  }
  if (call.payload.size() > part_.log().record_payload_bytes_max()) {
    return refuse(Code::kTooLarge);
  }
  if (const Status families = check_families(call); !families.is_ok()) {
    return {Admission::kRefused, families};
  }
  if (call.options.durability != Durability::kUnlogged) {
    switch (part_.log().admit(call.payload.size(), 1)) {
      case wal::Log::Admission::kNow:
        break;
      case wal::Log::Admission::kWait:
        return {Admission::kWait, {}};
      case wal::Log::Admission::kNoSpace:
        request_release();
        return refuse(Code::kNoSpace);
      case wal::Log::Admission::kPoisoned:
        return refuse(Code::kPoisoned);
      case wal::Log::Admission::kClosed:
        return refuse(Code::kClosed);
    }
  }
  // What a shard that cannot flush holds is never freed: it must leave the others theirs.
  if (is_stuck() && held_bytes() >= part_.stuck_share_bytes()) {
    return {Admission::kRefused, flush_failure_.with_shard(id_)};
  }
  switch (part_.admit_memory(call.payload.size())) {
    case engine::MemoryGate::Verdict::kNow:
      return {Admission::kApplied, {}};
    case engine::MemoryGate::Verdict::kLater:
      break;
    case engine::MemoryGate::Verdict::kFull:
      // Waiting helps only while flushing works.
      if (!flush_failure_.is_ok()) {
        return {Admission::kRefused, flush_failure_.with_shard(id_)};
      }
      break;
  }
  return {Admission::kWait, {}};
}

Status ShardEngine::check_families(const engine::CommitCall& call) const {
  for (const FamilyId family : *call.families) {
    if (part_.is_dropped(family)) {
      return Status(Code::kDropped).with_place(FileKind::kCatalog, family).with_shard(id_);
    }
    const auto damage = flusher_->damaged().find(family);
    if (damage != flusher_->damaged().end() && carried_bytes_ >= part_.stuck_share_bytes()) {
      return damage->second.with_shard(id_);
    }
  }
  return Status::ok();
}

Sequence ShardEngine::prune_below() const noexcept {
  return readers_.empty() ? published_ : std::min(published_, *readers_.begin());
}

void ShardEngine::apply(engine::CommitCall& call) {
  const Sequence previous = assigned_;
  const Sequence prune = prune_below();
  memtable::Memtable& memtable = active_->memtable;
  const std::uint64_t bytes_before = memtable.memory_bytes();
  memtable.begin_batch();
  engine::AheadReader reader(call.payload, call.operation_count, memtable);
  while (reader.next()) {
    const engine::Operation& operation = reader.operation();
    if (operation.kind == engine::OperationKind::kPutExtent) {
      active_->early.hold(store_, *btree::extent_from_bytes(operation.value));  // Large-I1.
      memtable.apply_reference(operation.family, operation.key, operation.value, ++assigned_, prune);
      continue;
    }
    const bool is_put = operation.kind == engine::OperationKind::kPut;
    memtable.apply(operation.family, operation.key, is_put ? std::optional<Bytes>(operation.value) : std::nullopt, ++assigned_,
                   prune);
  }
  PENSTOCK_ASSERT(reader.status().is_ok());  // Our own encoder made it.
  PENSTOCK_ASSERT_EQ(assigned_ - previous, call.operation_count);

  if (call.options.durability == Durability::kUnlogged) {
    unlogged_ = assigned_;
  } else {
    const wal::Part part{.shard = id_,
                         .previous = std::exchange(logged_, assigned_),
                         .first = previous + 1,
                         .operations = call.operation_count,
                         .payload = call.payload};
    call.group =
        part_.log().append({.type = wal::RecordType::kBatch, .payload_checksum = call.payload_checksum, .parts = {&part, 1}},
                           call.options.durability);
  }
  call.last_sequence = assigned_;
  if (timed_sequence_ == 0) {
    timed_sequence_ = assigned_;
    timed_since_ns_ = reactor_.now_ns();
  }
  in_flight_.push_back(&call);
  ++commits_;
  operations_ += call.operation_count;
  const bool is_full_of_extents = active_->early.bytes() >= engine::kEarlyBytesMax;
  if (call.is_carried) {  // Frozen for what it brings it would only be carried again, for ever.
    active_->carried_bytes += memtable.memory_bytes() - bytes_before;
    part_.on_carried_growth(memtable.memory_bytes() - bytes_before);
    return;
  }
  part_.on_memtable_growth(bytes_before, memtable.memory_bytes());  // May freeze this memtable: last.
  if (is_full_of_extents) {
    freeze();
  }
}

void ShardEngine::on_log_progress() {
  publish_finished();
  if (!part_.log().failure().is_ok()) {
    fail_unfinished();
  }
}

void ShardEngine::publish_finished() {
  const wal::GroupNumber written = part_.log().written_group();
  const wal::GroupNumber durable = part_.log().durable_group();
  bool moved = false;
  while (!in_flight_.empty()) {
    engine::CommitCall& call = *in_flight_.front();
    const Durability durability = call.options.durability;
    const bool is_in_memory =
        call.operation_count == 0 || durability == Durability::kBuffered || durability == Durability::kUnlogged;
    const bool reached = is_in_memory || call.group <= (durability == Durability::kWritten ? written : durable);
    if (!reached) {
      break;
    }
    PENSTOCK_ASSERT_GE(call.last_sequence, published_ + (call.operation_count == 0 ? 0U : 1U));
    published_ = call.last_sequence;
    moved = true;
    in_flight_.pop_front();
    call.finish(call.answer());
  }
  if (moved) {
    progress_.notify_all();
    if (timed_sequence_ != 0 && published_ >= timed_sequence_) {
      part_.note_commit(timed_since_ns_);
      timed_sequence_ = 0;
    }
  }
}

void ShardEngine::fail_unfinished() {
  const Status cause = part_.log().failure();
  PENSTOCK_SOMETIMES("commit: its outcome is unknown", !in_flight_.empty());
  PENSTOCK_SOMETIMES("commit: it waited, and the log failed", !waiting_.empty());
  while (!in_flight_.empty()) {  // Applied and perhaps on disk: only reopening tells.
    engine::CommitCall& call = *in_flight_.front();
    in_flight_.pop_front();
    const Code code = call.operation_count == 0 ? Code::kPoisoned : Code::kOutcomeUnknown;  // Without changes: only read.
    call.finish(Status(code).with_place(FileKind::kLog, cause.where()).with_shard(id_));
  }
  part_.leave_line(*this);
  while (!waiting_.empty()) {
    engine::CommitCall& call = *waiting_.front();
    waiting_.pop_front();
    end_waiting(call, Status(Code::kPoisoned).with_shard(id_));
  }
  progress_.notify_all();
  work_.notify_all();
}

void ShardEngine::collect(Metrics& metrics) const {
  metrics.commits += commits_;
  metrics.operations += operations_;
  const std::uint64_t borrowed = gets_borrowed_.load(std::memory_order_relaxed);
  metrics.gets += gets_ + borrowed;
  metrics.gets_borrowed += borrowed;
  metrics.gets_from_disk += gets_from_disk_;
  metrics.scans += scans_;
  metrics.multi_gets += multi_gets_;
  metrics.large_values += large_values_;
  if (store_ == nullptr) {
    return;
  }
  metrics.flushes += flusher_->counters().passes;
  metrics.flush_ns += flusher_->counters().duration_ns;
  const btree::StoreCounters& counters = store_->counters();
  metrics.page_bytes_written += counters.page_bytes_written;
  metrics.pages_written += counters.pages_written;
  metrics.pages_read += counters.pages_read;
  metrics.cache_hits += counters.cache_hits;
  metrics.cache_misses += counters.cache_misses;
  metrics.cache_bytes += counters.cache_bytes;
  metrics.zones_cleaned += counters.zones_cleaned;
  metrics.damaged_families += static_cast<std::uint32_t>(flusher_->damaged().size());
  metrics.runs_made += flusher_->counters().runs.made;
  metrics.runs_joined += flusher_->counters().runs.joined;
  metrics.run_slices += flusher_->counters().runs.slices;
  const flush::RunHoldings runs = flusher_->run_holdings();
  metrics.run_entries += runs.entries;
  metrics.run_filter_bytes += runs.filter_bytes;
  const btree::SpaceStats space = store_->space();
  metrics.space_file_bytes += space.file_bytes;
  metrics.space_live_bytes += space.live_bytes;
  metrics.space_free_bytes += space.free_bytes;
  metrics.space_pinned_bytes += space.pinned_bytes;
  metrics.space_garbage_bytes += space.garbage_bytes;
}

}  // namespace penstock::detail
