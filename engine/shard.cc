// Shard: the API for coroutines on a shard's own reactor.
#include "penstock/shard.h"

#include <algorithm>
#include <coroutine>
#include <utility>

#include "base/checksum.h"
#include "engine/calls.h"
#include "engine/reactor_part.h"
#include "engine/row_walk.h"
#include "engine/shard_engine.h"

namespace penstock {

namespace {

/// Lives in the frame of the coroutine that awaits it: `co_await call` submits it.
class CommitOnShard final : public engine::CommitCall {
 public:
  void finish(Status status) override {
    status_ = status;
    is_finished_ = true;
    if (is_awaited_) {
      shard->part().reactor().make_ready(handle_);
    }
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    run();
    is_awaited_ = !is_finished_;  // A refusal comes at once.
    return is_awaited_;
  }
  Status await_resume() const noexcept { return status_; }

 private:
  std::coroutine_handle<> handle_;
  Status status_;
  bool is_finished_ = false;
  bool is_awaited_ = false;
};

}  // namespace

ShardId Shard::id() const noexcept { return engine_->id(); }

Task<Result<std::string>> Shard::get(const Family& family, Bytes key) {
  if (!is_mine(family, key)) {
    co_return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  co_return co_await engine_->get(family.state(), key);
}

PinnedValue::~PinnedValue() {
  if (page_ != nullptr) {
    btree::PageRef::adopt(page_);
  }
}

Task<Result<PinnedValue>> Shard::get_pinned(const Family& family, Bytes key) {
  if (!is_mine(family, key)) {
    co_return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  co_return co_await engine_->get_pinned(family.state(), key);
}

std::optional<Result<PinnedValue>> Shard::get_cached(const Family& family, Bytes key) {
  if (!is_mine(family, key)) {
    return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  return engine_->get_cached(family.state(), key);
}

bool Shard::is_mine(const Family& family, Bytes key) const noexcept {
  return family.valid() && key.size() <= kKeyBytesMax && family.shard_of(key) == id();
}

Task<Result<bool>> Shard::contains(const Family& family, Bytes key) {
  if (!is_mine(family, key)) {
    co_return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  co_return co_await engine_->contains(family.state(), key);
}

bool Shard::may_walk(const Family& family) const noexcept {
  return family.valid() && (family.placement() != Placement::kPinned || family.shard_of({}) == id());
}

RowCursor::RowCursor(std::unique_ptr<detail::RowWalk> walk) noexcept : walk_(std::move(walk)) {}
RowCursor::RowCursor(RowCursor&&) noexcept = default;
RowCursor& RowCursor::operator=(RowCursor&&) noexcept = default;
RowCursor::~RowCursor() = default;
Task<Status> RowCursor::seek(Bytes key) { return walk_->seek(key); }
Task<Status> RowCursor::next() { return walk_->next(); }
bool RowCursor::try_seek(Bytes key) { return walk_->try_seek(key); }
bool RowCursor::try_next() { return walk_->try_next(); }
bool RowCursor::valid() const noexcept { return walk_->valid(); }
Bytes RowCursor::key() const noexcept { return walk_->key(); }
Bytes RowCursor::value() const noexcept { return walk_->value(); }

Result<RowCursor> Shard::rows(const Family& family) {
  if (!may_walk(family)) {
    return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  Result<std::unique_ptr<detail::RowWalk>> walk = engine_->walk(family.state());
  if (!walk.has_value()) {
    return std::unexpected(walk.error().with_shard(id()));
  }
  return RowCursor(std::move(*walk));
}

Task<Result<ScanResult>> Shard::scan(const Family& family, const ScanOptions& options) {
  if (!may_walk(family) || options.rows_max == 0) {
    co_return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  Result<engine::FlatRows> rows = co_await engine_->scan(family.state(), options);
  if (!rows.has_value()) {
    co_return std::unexpected(rows.error());
  }
  co_return engine::to_result(std::move(*rows));
}

Task<Status> Shard::commit(Batch& batch, const CommitOptions& options) {
  const auto part = std::ranges::find_if(batch.parts(), [](const Batch::ShardPart& each) { return each.operation_count > 0; });
  if (batch.shard_count() != 1 || part->shard != id()) {
    co_return Status(Code::kInvalidArgument).with_shard(id());
  }
  CommitOnShard call;
  call.shard = engine_;
  call.payload = Bytes(part->encoded.data(), part->encoded.size());
  call.operation_count = part->operation_count;
  call.families = &part->families;
  call.payload_checksum = base::checksum(as_span(call.payload));
  call.options = options;
  const Status status = co_await call;
  batch.clear();
  co_return status;
}

Task<Status> Shard::put(const Family& family, Bytes key, Bytes value, const CommitOptions& options) {
  Batch batch;
  PENSTOCK_CO_TRY(batch.put(family, key, value));
  co_return co_await commit(batch, options);
}

Task<Status> Shard::remove(const Family& family, Bytes key, const CommitOptions& options) {
  Batch batch;
  PENSTOCK_CO_TRY(batch.remove(family, key));
  co_return co_await commit(batch, options);
}

Task<> Shard::yield() { co_await engine_->part().reactor().yield(); }

}  // namespace penstock
