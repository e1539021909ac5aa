// Opening a shard's store and replaying what its superblock has not applied.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "engine/ahead_reader.h"
#include "engine/catalog.h"
#include "engine/reactor_part.h"
#include "engine/shard_engine.h"

namespace penstock::detail {

Task<Outcome<bool>> ShardEngine::open_store() {
  const engine::DatabaseSettings& settings = part_.settings();
  btree::PageStoreOptions options;
  options.directory = engine::shard_directory(settings, id_);
  options.identity = {.uuid_high = settings.identity.uuid_high,
                      .uuid_low = settings.identity.uuid_low,
                      .incarnation = settings.identity.incarnation};
  options.shard = id_;
  budgets_ = budgets_of(settings.options);
  options.budgets = budgets_;
  options.pace = &part_.write_pace();
  options.budget = &part_.write_budget();
  Outcome<std::unique_ptr<btree::PageStore>> store = co_await btree::PageStore::open(reactor_, std::move(options));
  if (!store.has_value()) {
    co_return std::unexpected(std::move(store.error()));
  }
  store_ = std::move(*store);
  flusher_ = std::make_unique<flush::Flusher>(reactor_, *store_, part_, settings.options.gather_from_bytes);
  if (const Status status = co_await flusher_->load_roots(); !status.is_ok()) {
    co_return std::unexpected(Failure(status.with_shard(id_), "the roots tree in " + engine::shard_directory(settings, id_) +
                                                                  " cannot be read: " + status.to_string()));
  }
  assigned_ = superblock().applied.sequence;
  co_return true;
}

Task<Status> ShardEngine::load_catalog(engine::Catalog& catalog) {
  const btree::PageStore::ReadPin pin = store_->pin_current();
  btree::FamilyCursor cursor(*store_, flusher_->trees_of(btree::kCatalogFamily), btree::kCatalogFamily);
  PENSTOCK_CO_TRY(co_await cursor.seek(Bytes{}));
  while (cursor.valid()) {
    PENSTOCK_CO_TRY(catalog.load(cursor.key(), cursor.value()));
    PENSTOCK_CO_TRY(co_await cursor.next());
  }
  co_return Status::ok();
}

btree::AppliedPosition ShardEngine::needed_from() const noexcept {
  const btree::AppliedPosition older = store_->older_applied();
  return older == btree::AppliedPosition{} ? superblock().applied : older;
}

Status ShardEngine::claim(const btree::ExtentPointer& extent, wal::Position end) {
  const btree::AppliedPosition applied = superblock().applied;
  if (end <= wal::Position{.epoch = applied.epoch, .offset = applied.offset}) {
    PENSTOCK_SOMETIMES("recovery: an extent that the trees have", true);
    return Status::ok();  // The trees reach it, or nothing does.
  }
  if (!store_->claim_early(extent)) {
    return Status(Code::kCorruption)
        .with_place(FileKind::kPages, extent.address.block)
        .with_file(extent.address.file)
        .with_shard(id_);
  }
  claimed_.take_over(store_, extent);
  return Status::ok();
}

Task<Status> ShardEngine::deal(const wal::Part& part, wal::Position end, RecoveryPass pass) {
  PENSTOCK_ASSERT_EQ(part.shard, id_);
  const btree::AppliedPosition applied = superblock().applied;
  const bool is_applied = end <= wal::Position{.epoch = applied.epoch, .offset = applied.offset};
  PENSTOCK_SOMETIMES("recovery: a record that is in the trees already", is_applied);
  if (is_applied) {
    co_return Status::ok();
  }
  const Status corruption = Status(Code::kCorruption).with_place(FileKind::kLog, end.offset).with_shard(id_);
  if (!continues(part, end.epoch) || part.operations == 0) {
    co_return corruption;  // A record is missing, or stands twice.
  }
  const bool may_flush = pass == RecoveryPass::kDealing && dealt_end_ != end && !active_->memtable.is_empty();
  if (may_flush && part_.is_memory_short()) {
    PENSTOCK_SOMETIMES("recovery: a flush in the middle of replay", true);
    PENSTOCK_CO_TRY(co_await flush_dealt());
  }
  memtable::Memtable& memtable = active_->memtable;
  const std::uint64_t bytes_before = memtable.memory_bytes();
  memtable.begin_batch();
  PENSTOCK_SOMETIMES("recovery: unlogged commits are gone", part.first - 1 > assigned_);
  assigned_ = part.first - 1;  // Past unlogged commits that are gone.
  const Sequence published = assigned_;
  engine::AheadReader reader(part.payload, part.operations, memtable);
  while (reader.next()) {
    const engine::Operation& operation = reader.operation();
    ++assigned_;
    if (pass == RecoveryPass::kDealing && part_.is_dropped(operation.family)) {
      PENSTOCK_SOMETIMES("recovery: an operation of a dropped family", true);
      continue;
    }
    if (operation.kind == engine::OperationKind::kPutExtent) {
      PENSTOCK_SOMETIMES("recovery: a value in an extent that only the log names", true);
      PENSTOCK_CO_TRY(deal_extent(operation, end, pass, published));
      continue;
    }
    const bool is_put = operation.kind == engine::OperationKind::kPut;
    memtable.apply(operation.family, operation.key, is_put ? std::optional<Bytes>(operation.value) : std::nullopt, assigned_,
                   published);
  }
  part_.memtable_bytes_ += memtable.memory_bytes() - bytes_before;
  part_.active_bytes_ += memtable.memory_bytes() - bytes_before;
  if (!reader.status().is_ok()) {
    co_return reader.status().with_place(FileKind::kLog, end.offset).with_shard(id_);
  }
  if (assigned_ - published != part.operations) {
    co_return corruption;
  }
  replayed_operations_ += part.operations;
  logged_ = assigned_;
  dealt_end_ = end;
  co_return Status::ok();
}

/// A generation ends with a group: everything of this shard up to dealt_end_ is in it.
Task<Status> ShardEngine::flush_dealt() {
  part_.active_bytes_ -= active_->memtable.memory_bytes();
  active_->applied = {.epoch = dealt_end_.epoch, .offset = dealt_end_.offset, .sequence = assigned_};
  const std::shared_ptr<Generation> full = std::exchange(active_, make_generation());
  PENSTOCK_CO_TRY(co_await flusher_->run({.memtable = &full->memtable, .applied = full->applied}, nullptr));
  part_.memtable_bytes_ -= full->memtable.memory_bytes();
  co_return Status::ok();
}

Status ShardEngine::deal_extent(const engine::Operation& operation, wal::Position end, RecoveryPass pass, Sequence published) {
  const Result<btree::ExtentPointer> extent = btree::extent_from_bytes(operation.value);
  if (!extent.has_value()) {
    return Status(Code::kCorruption).with_place(FileKind::kLog, end.offset).with_shard(id_);
  }
  if (pass == RecoveryPass::kReading) {
    PENSTOCK_TRY(claim(*extent, end));
  }
  active_->early.hold(store_, *extent);
  active_->memtable.apply_reference(operation.family, operation.key, operation.value, assigned_, published);
  return Status::ok();
}

/// Shard-I6. Unlogged commits leave no trace in the log: the first record may continue a point before the applied one, and that
/// of a later epoch one past the records before it, as far as a flush had come.
bool ShardEngine::continues(const wal::Part& part, std::uint32_t epoch) const noexcept {
  if (part.first <= part.previous || part.first <= assigned_) {
    return false;
  }
  if (dealt_end_ == wal::Position{}) {
    return part.previous <= assigned_;
  }
  return epoch == dealt_end_.epoch ? part.previous == logged_ : part.previous >= logged_;
}

void ShardEngine::finish_recovery() {
  published_ = assigned_;
  logged_ = assigned_;
  claimed_.release();
}

}  // namespace penstock::detail
