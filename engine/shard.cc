// Shard: the API for coroutines on a shard's own reactor.
#include "penstock/shard.h"

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "engine/commit_on_shard.h"
#include "engine/reactor_part.h"
#include "engine/row_walk.h"
#include "engine/shard_engine.h"

namespace penstock {

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

RowCursor::RowCursor(std::unique_ptr<detail::RowWalk> walk) noexcept : walk_(std::move(walk)), row_(&walk_->row()) {}
RowCursor::RowCursor(RowCursor&&) noexcept = default;
RowCursor& RowCursor::operator=(RowCursor&&) noexcept = default;
RowCursor::~RowCursor() = default;
Task<Status> RowCursor::seek(Bytes key) { return walk_->seek(key); }
Task<Status> RowCursor::next() { return walk_->next(); }
bool RowCursor::try_seek(Bytes key) { return walk_->try_seek(key); }
bool RowCursor::try_next() { return walk_->try_next(); }

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
  engine::CommitOnShard call;
  call.shard = engine_;
  call.payload = Bytes(part->encoded.data(), part->encoded.size());
  call.operation_count = part->operation_count;
  call.families = &part->families;
  call.has_large_values = part->large_bytes > 0;
  call.payload_checksum = call.has_large_values ? 0 : base::checksum(as_span(call.payload));
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
