// Commits that decide when their turn comes (atomic_work.h): deciding on the applied state, and bringing what that needs.
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "engine/atomic_work.h"
#include "engine/operation.h"
#include "engine/reactor_part.h"
#include "engine/shard_engine.h"

namespace penstock {

Result<Bytes> AtomicView::get(const Family& family, Bytes key) { return shard_.read_applied(family, key, true, work_); }

Result<bool> AtomicView::contains(const Family& family, Bytes key) {
  const Result<Bytes> found = shard_.read_applied(family, key, false, work_);
  if (!found.has_value() && !found.error().is(Code::kNotFound)) {
    return std::unexpected(found.error());
  }
  return found.has_value();
}

Status AtomicView::put(const Family& family, Bytes key, Bytes value) {
  return shard_.change_applied(family, key, value, work_);
}

Status AtomicView::remove(const Family& family, Bytes key) { return shard_.change_applied(family, key, std::nullopt, work_); }

}  // namespace penstock

namespace penstock::detail {

namespace {

/// Calls of a shard for which something is brought before it is their turn.
constexpr std::uint32_t kWorkAheadMax = 64;

bool is_key_of(const Family& family, Bytes key, ShardId shard) noexcept {
  return family.valid() && key.size() <= kKeyBytesMax && family.shard_of(key) == shard;
}

}  // namespace

ShardEngine::AppliedVersion ShardEngine::find_applied(FamilyId family, Bytes key) const noexcept {
  if (const auto version = active_->memtable.find(family, key, assigned_)) {
    return {.generation = &active_, .version = version};
  }
  for (auto generation = frozen_.rbegin(); generation != frozen_.rend(); ++generation) {
    if (const auto version = (*generation)->memtable.find(family, key, assigned_)) {
      return {.generation = &*generation, .version = version};
    }
  }
  return {};
}

Result<Bytes> ShardEngine::read_applied(const Family& family, Bytes key, bool is_value_wanted, engine::AtomicWork& work) {
  if (!is_key_of(family, key, id_)) {
    return std::unexpected(work.fail(Status(Code::kInvalidArgument).with_shard(id_)));
  }
  if (family.is_dropped()) {
    return std::unexpected(work.fail(Status(Code::kDropped).with_place(FileKind::kCatalog, family.id())));
  }
  if (const std::uint32_t* const offset = work.find_change(family.id(), key)) {
    const std::vector<char>& encoded = work.changes()->encoded;
    engine::OperationReader reader(Bytes(encoded.data(), encoded.size()).substr(*offset));
    const bool is_read = reader.next();
    PENSTOCK_ASSERT(is_read);
    if (reader.operation().kind == engine::OperationKind::kRemove) {
      return std::unexpected(Status(Code::kNotFound));
    }
    return reader.operation().value;
  }
  ++gets_;
  const engine::AtomicWork::Loaded* const loaded = work.find_loaded(family.id(), key);
  const auto miss = [&] {
    work.note_missing(family, key);
    return std::unexpected(Status(Code::kWouldBlock));
  };
  if (const auto version = find_applied(family.id(), key).version) {
    if (version->is_delete) {
      return std::unexpected(Status(Code::kNotFound));
    }
    if (!version->is_reference || !is_value_wanted) {
      return version->value;
    }
    return loaded != nullptr && Bytes(loaded->reference) == version->value ? Result<Bytes>(*loaded->value) : miss();
  }
  const btree::FamilyTrees& trees = flusher_->trees_of(family.id());
  if (loaded != nullptr && loaded->reference.empty() && loaded->trees == trees) {
    return loaded->value.has_value() ? Result<Bytes>(*loaded->value) : std::unexpected(Status(Code::kNotFound));
  }
  btree::CachedFind cached = btree::find_cached(*store_, trees, key);
  if (!cached.complete || (cached.found.has_value() && cached.found->extent.has_value() && is_value_wanted)) {
    return miss();
  }
  if (!cached.found.has_value()) {
    return std::unexpected(Status(Code::kNotFound));
  }
  work.pages.push_back(std::move(cached.found->page));
  return cached.found->value;
}

Status ShardEngine::change_applied(const Family& family, Bytes key, std::optional<Bytes> value, engine::AtomicWork& work) {
  if (!is_key_of(family, key, id_)) {
    return work.fail(Status(Code::kInvalidArgument).with_shard(id_));
  }
  const Status status = work.change(family, key, value);
  return status.is_ok() ? status : work.fail(status.with_shard(id_));
}

void ShardEngine::decide(engine::CommitCall& call) {
  engine::AtomicWork& work = *call.work;
  work.begin_run();
  call.large.reset();
  call.payload = {};
  call.operation_count = 0;
  call.has_large_values = false;
  AtomicView view(*this, work);
  const Status answer = work.function(view);
  work.pages.clear();
  if (!work.missing.empty()) {
    return;
  }
  work.answer = work.run_failure.is_ok() ? answer : work.run_failure;
  work.decided_at = assigned_;
  const Batch::ShardPart* const changes = work.changes();
  if (!work.answer.is_ok() || changes == nullptr) {
    return;
  }
  call.payload = Bytes(changes->encoded.data(), changes->encoded.size());
  call.operation_count = changes->operation_count;
  call.families = &changes->families;
  call.has_large_values = changes->large_bytes > 0;
  call.payload_checksum = call.has_large_values ? 0 : base::checksum(as_span(call.payload));
}

/// Makes the decision of a call current. False: a task brings what that needs, and then tries the call again.
bool ShardEngine::settle(engine::CommitCall& call, bool is_next) {
  engine::AtomicWork* const work = call.work;
  if (work == nullptr) {
    return true;
  }
  if (work->is_busy) {
    return false;
  }
  if (!part_.log().failure().is_ok() || part_.is_closing() || !work->failure.is_ok()) {
    return true;  // It will be refused.
  }
  if (work->decided_at != assigned_) {  // Atomic-I1.
    decide(call);
  }
  const bool must_load = !work->missing.empty() && (is_next || working_ < kWorkAheadMax);
  // Only of the next one: what others decide may change, and with it the values.
  const bool must_write = call.has_large_values && call.large == nullptr && is_next;
  if (!must_load && !must_write) {
    return true;
  }
  work->is_busy = true;
  ++working_;
  part_.tasks().spawn(&ShardEngine::work_for, this, &call);
  return false;
}

Task<> ShardEngine::work_for(engine::CommitCall* call) {
  engine::AtomicWork& work = *call->work;
  if (work.missing.empty()) {
    work.failure = co_await write_extents(call);
  } else {
    work.failure = co_await load_missing(&work);
  }
  work.is_busy = false;
  --working_;
  if (work.ended.has_value()) {
    call->finish(*work.ended);
  } else {
    (void)settle(*call, false);  // On to what the function reads next, also before it is the call's turn.
  }
  submit_settled();
  part_.drain_waiting();
}

Task<Status> ShardEngine::load_missing(engine::AtomicWork* work) {
  const std::vector<engine::AtomicWork::Missing> missing = std::exchange(work->missing, {});
  if (missing.size() == 1) {
    co_return co_await load(work, missing.front());
  }
  reactor::TaskGroup readers(reactor_);
  Status failure;
  for (const engine::AtomicWork::Missing& each : missing) {
    readers.spawn(&ShardEngine::load_beside, this, work, &each, &failure);
  }
  co_await readers.join();
  co_return failure;
}

Task<> ShardEngine::load_beside(engine::AtomicWork* work, const engine::AtomicWork::Missing* missing, Status* failure) {
  const Status status = co_await load(work, *missing);
  if (failure->is_ok()) {
    *failure = status;
  }
}

/// Atomic-I2: says with the value what it was read from.
Task<Status> ShardEngine::load(engine::AtomicWork* work, const engine::AtomicWork::Missing& missing) {
  const FamilyId family = missing.family.id();
  engine::AtomicWork::Loaded loaded{.family = family, .key = missing.key, .trees = {}, .reference = {}, .value = {}};
  std::optional<btree::ExtentPointer> extent;
  std::shared_ptr<Generation> generation;  // Holds the extent.
  const btree::PageStore::ReadPin pin = store_->pin_current();
  if (const AppliedVersion applied = find_applied(family, missing.key); applied.version.has_value()) {
    if (!applied.version->is_reference) {
      co_return Status::ok();  // Written meanwhile.
    }
    generation = *applied.generation;
    loaded.reference = applied.version->value;
    extent = *btree::extent_from_bytes(applied.version->value);
  } else {
    ++gets_from_disk_;
    loaded.trees = flusher_->trees_of(family);
    const Result<std::optional<btree::Found>> found = co_await btree::find(*store_, loaded.trees, family, missing.key);
    if (!found.has_value()) {
      co_return found.error().with_shard(id_);
    }
    if (found->has_value()) {
      extent = (*found)->extent;
      loaded.value = std::string((*found)->value);
    }
  }
  if (extent.has_value()) {
    Result<std::string> value = co_await store_->read_extent(*extent, family);
    if (!value.has_value()) {
      co_return value.error().with_shard(id_);
    }
    loaded.value = std::move(*value);
  }
  work->keep(std::move(loaded));
  co_return Status::ok();
}

/// For the next call in the shard's order. None: it is admitted as any commit.
std::optional<ShardEngine::Verdict> ShardEngine::admit_work(engine::CommitCall& call) {
  engine::AtomicWork& work = *call.work;
  if (!part_.log().failure().is_ok()) {
    return Verdict{Admission::kRefused, Status(Code::kPoisoned).with_shard(id_)};
  }
  if (!settle(call, true)) {
    return Verdict{Admission::kWait, {}};
  }
  if (!work.failure.is_ok()) {
    return Verdict{Admission::kRefused, work.failure};
  }
  PENSTOCK_ASSERT(work.decided_at == assigned_);  // Atomic-I1.
  if (call.operation_count > 0) {
    return std::nullopt;
  }
  call.last_sequence = assigned_;  // Answered once all of that is published.
  in_flight_.push_back(&call);
  return Verdict{Admission::kApplied, {}};
}

/// Ends a call that waits.
void ShardEngine::end_waiting(engine::CommitCall& call, Status status) {
  if (call.work != nullptr && call.work->is_busy) {
    call.work->ended = status;  // Atomic-I3.
  } else {
    call.finish(status);
  }
}

}  // namespace penstock::detail
