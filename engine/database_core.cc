// A database in service: accepting calls, families, closing, and what goes over all shards.
#include "engine/database_core.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/histogram.h"
#include "engine/remote.h"

namespace penstock::detail {

// Not in the unnamed namespace: it is part of a coroutine's type.
/// Of one part, or of several merged.
struct StageHistograms {
  base::Histogram apply;
  wal::LogStages log;
};

namespace {

using engine::ReactorPart;

constexpr std::uint64_t kClosePollNs = 200'000;

std::unexpected<Failure> fail(Status status, std::string text) { return std::unexpected(Failure(status, std::move(text))); }

/// A commit that a coroutine on the same reactor waits for.
class LocalCommit final : public engine::CommitCall {
 public:
  Future<Status> future() { return promise_.future(); }
  void finish(Status status) override { promise_.fulfill(status); }

 private:
  Promise<Status> promise_;
};

Task<Status> close_part(ReactorPart* part) { return part->close(); }
Task<Status> begin_closing_on(ReactorPart* part) {
  part->begin_closing();
  co_return Status::ok();
}
Task<Status> flush_shard(ShardEngine* shard) { return shard->flush(); }
Task<Status> flush_unlogged_of(ReactorPart* part) {
  for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
    if (shard->has_unlogged() && part->log().failure().is_ok()) {
      PENSTOCK_CO_TRY(co_await shard->flush());
    }
  }
  co_return Status::ok();
}
Task<Metrics> collect_part(ReactorPart* part, Metrics so_far) {
  part->collect(so_far);
  co_return so_far;
}
Task<Status> add_stages(ReactorPart* part, StageHistograms* sum) {
  sum->apply.merge(part->apply_times());
  const wal::LogStages& log = part->log().stages();
  sum->log.queue.merge(log.queue);
  sum->log.write.merge(log.write);
  sum->log.sync.merge(log.sync);
  sum->log.wake.merge(log.wake);
  co_return Status::ok();
}
StageTimes stage_times(const base::Histogram& histogram) {
  StageTimes times{.count = histogram.count(), .sum_ns = static_cast<std::uint64_t>(histogram.sum_ns()), .buckets = {}};
  histogram.for_each_bucket([&times](std::uint64_t low_ns, std::uint64_t end_ns, std::uint64_t count) {
    times.buckets.push_back({.low_ns = low_ns, .end_ns = end_ns, .count = count});
  });
  return times;
}
Task<Status> change_part(ReactorPart* part, DatabaseOptions options) {
  part->change_options(options);
  co_return Status::ok();
}
Task<Status> change_memory_of(ReactorPart* part, std::uint64_t memory_bytes) {
  part->change_memory(memory_bytes);
  co_return Status::ok();
}
Task<Status> add_family_on(ReactorPart* part, std::shared_ptr<const FamilyState> family) {
  part->add_family(std::move(family));
  co_return Status::ok();
}
Task<Status> drop_family_on(ReactorPart* part, FamilyId family) {
  part->drop_family(family);
  co_return Status::ok();
}

}  // namespace

bool DatabaseCore::accept(ShardId id, std::int64_t bytes, bool may_block, Status& status) {
  if (runtime_->is_forked()) {
    status = Status(Code::kForked);
    return false;
  }
  if (!is_open()) {
    status = Status(Code::kClosed);
    return false;
  }
  engine::Credits& credits = shard(id).credits();
  if (!credits.try_take(bytes)) {
    if (!may_block || current_executor != nullptr) {
      status = Status(Code::kWouldBlock);
      return false;
    }
    credits.take(bytes);
  }
  if (!is_open()) {  // Core-I2: close() looks at the credits after it forbade.
    credits.give(bytes);
    status = Status(Code::kClosed);
    return false;
  }
  return true;
}

Status DatabaseCore::enter_home_call() noexcept {
  if (runtime_->is_forked()) {
    return Status(Code::kForked);
  }
  home_calls_.fetch_add(1, std::memory_order_seq_cst);
  if (is_open()) {
    return Status::ok();
  }
  leave_home_call();
  return Status(Code::kClosed);
}

Task<Status> DatabaseCore::close() {
  State open = State::kOpen;
  if (!state_.compare_exchange_strong(open, State::kClosing)) {
    while (!is_closed()) {
      co_await home().sleep(kClosePollNs);
    }
    co_return close_status_;
  }
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    (co_await engine::run_on(part->reactor(), part->tasks(), &begin_closing_on, part.get())).ignore("it cannot fail");
  }
  // Core-I2. Calls end by themselves: those that waited were answered, the others wait for the disk alone.
  const auto is_idle = [this] {
    for (const std::unique_ptr<ReactorPart>& part : parts_) {
      for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
        if (!shard->credits().is_idle()) {
          return false;
        }
      }
    }
    return home_calls_.load(std::memory_order_seq_cst) == 0;
  };
  while (!is_idle()) {
    co_await home().sleep(kClosePollNs);
  }
  const Status flushed = co_await flush_unlogged();
  Status status = co_await close_parts();
  status = status.is_ok() ? flushed : status;
  if (status.is_ok()) {
    std::vector<std::uint64_t> ends;
    std::vector<std::uint64_t> generations(settings_.shard_count);
    for (const std::unique_ptr<ReactorPart>& part : parts_) {
      ends.push_back(part->log().end().offset);
      for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
        generations[shard->id()] = shard->superblock().generation;
      }
    }
    status = write_clean_epoch(ends, generations);
  }
  while (home_calls_.load(std::memory_order_seq_cst) != 0) {  // The removal of old logs may have been asked for meanwhile.
    co_await home().sleep(kClosePollNs);
  }
  co_await home_tasks_.join();
  lock_.reset();
  close_status_ = status;
  state_.store(State::kClosed, std::memory_order_seq_cst);
  runtime_->remove_memory_user(*this);
  runtime_->on_database_closed();
  co_return status;
}

/// What is in no log must be in the trees before EPOCH may say clean.
Task<Status> DatabaseCore::flush_unlogged() {
  std::vector<Future<Status>> answers;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    answers.push_back(engine::run_on(part->reactor(), part->tasks(), &flush_unlogged_of, part.get()));
  }
  Status first;
  for (Future<Status>& answer : answers) {
    const Status status = co_await std::move(answer);
    first = first.is_ok() ? status : first;
  }
  co_return first;
}

Task<Status> DatabaseCore::close_parts() {
  std::vector<Future<Status>> answers;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    // Not in the part's own group: closing joins it.
    answers.push_back(engine::run_on(part->reactor(), runtime_->tasks(part->index()), &close_part, part.get()));
  }
  Status first;
  for (Future<Status>& answer : answers) {
    const Status status = co_await std::move(answer);
    first = first.is_ok() ? status : first;
  }
  co_return first;
}

Status DatabaseCore::write_clean_epoch(const std::vector<std::uint64_t>& ends, const std::vector<std::uint64_t>& generations) {
  wal::EpochState clean = epoch_;
  ++clean.generation;
  clean.clean = true;
  clean.clean_ends = ends;
  clean.shard_generations = generations;
  return wal::write_epoch(runtime_->system(), epoch_path(), settings_.identity, clean, false);
}

// --- Families ---

Task<> DatabaseCore::lock_ddl() {
  while (ddl_busy_) {
    co_await ddl_free_.wait();
  }
  ddl_busy_ = true;
}

void DatabaseCore::unlock_ddl() {
  ddl_busy_ = false;
  ddl_free_.notify_all();
}

Task<Status> DatabaseCore::commit_catalog(std::vector<char> encoded, std::uint32_t operations) {
  const std::vector<FamilyId> families = {btree::kCatalogFamily};
  LocalCommit call;
  call.shard = &shard(0);
  call.payload = Bytes(encoded.data(), encoded.size());
  call.operation_count = operations;
  call.families = &families;
  call.payload_checksum = base::checksum(as_span(call.payload));
  Future<Status> published = call.future();
  call.run();
  co_return co_await std::move(published);
}

Task<> DatabaseCore::tell_parts_added(std::shared_ptr<const FamilyState> family) {
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    (co_await engine::run_on(part->reactor(), part->tasks(), &add_family_on, part.get(), family)).ignore("it cannot fail");
  }
}

Task<> DatabaseCore::tell_parts_dropped(FamilyId family) {
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    (co_await engine::run_on(part->reactor(), part->tasks(), &drop_family_on, part.get(), family)).ignore("it cannot fail");
  }
}

Task<Outcome<Family>> DatabaseCore::create_family(std::string name, FamilyOptions options, bool open_existing) {
  co_await lock_ddl();
  if (const std::shared_ptr<FamilyState> existing = catalog_->find(name)) {
    unlock_ddl();
    if (open_existing) {
      co_return Family(existing);
    }
    co_return fail(Status(Code::kAlreadyExists, FileKind::kCatalog, existing->id),
                   "there is a family \"" + name + "\" already");
  }
  Outcome<std::shared_ptr<FamilyState>> made = catalog_->make(name, options, runtime_->system().random_u64());
  if (!made.has_value()) {
    unlock_ddl();
    co_return std::unexpected(std::move(made.error()));
  }
  const std::shared_ptr<FamilyState> family = *made;
  std::vector<char> encoded;
  catalog_->encode_create(*family, encoded);
  // First known, then committed: a flush between must not take it for a dropped one. Nobody has a handle yet.
  co_await tell_parts_added(family);
  const Status status = co_await commit_catalog(std::move(encoded), 2);
  if (!status.is_ok()) {
    co_await tell_parts_dropped(family->id);
    unlock_ddl();
    co_return fail(status, "cannot create family \"" + name + "\": " + status.to_string());
  }
  catalog_->apply_create(family);
  unlock_ddl();
  co_return Family(family);
}

Task<Outcome<Family>> DatabaseCore::open_family(std::string name) {
  co_await lock_ddl();
  const std::shared_ptr<FamilyState> family = catalog_->find(name);
  unlock_ddl();
  if (family == nullptr) {
    co_return fail(Status(Code::kNotFound, FileKind::kCatalog, 0), "there is no family \"" + name + "\"");
  }
  co_return Family(family);
}

Task<Outcome<bool>> DatabaseCore::drop_family(std::string name) {
  co_await lock_ddl();
  const std::shared_ptr<FamilyState> family = catalog_->find(name);
  if (family == nullptr) {
    unlock_ddl();
    co_return fail(Status(Code::kNotFound, FileKind::kCatalog, 0), "there is no family \"" + name + "\"");
  }
  std::vector<char> encoded;
  catalog_->encode_drop(name, encoded);
  const Status status = co_await commit_catalog(std::move(encoded), 1);
  if (!status.is_ok()) {
    unlock_ddl();
    co_return fail(status, "cannot drop family \"" + name + "\": " + status.to_string());
  }
  catalog_->apply_drop(name);
  family->dropped.store(true);
  co_await tell_parts_dropped(family->id);
  unlock_ddl();
  co_return true;
}

Task<Outcome<bool>> DatabaseCore::rename_family(std::string from, std::string to) {
  co_await lock_ddl();
  const std::shared_ptr<FamilyState> family = catalog_->find(from);
  if (family == nullptr) {
    unlock_ddl();
    co_return fail(Status(Code::kNotFound, FileKind::kCatalog, 0), "there is no family \"" + from + "\"");
  }
  if (const std::shared_ptr<FamilyState> other = catalog_->find(to)) {
    unlock_ddl();
    co_return fail(Status(Code::kAlreadyExists, FileKind::kCatalog, other->id), "there is a family \"" + to + "\" already");
  }
  if (to.empty() || to.size() > kFamilyNameBytesMax) {
    unlock_ddl();
    co_return fail(Status(Code::kInvalidArgument, FileKind::kCatalog, family->id), "a family's name has 1 to 255 bytes");
  }
  std::vector<char> encoded;
  catalog_->encode_rename(*family, from, to, encoded);
  const Status status = co_await commit_catalog(std::move(encoded), 2);
  if (!status.is_ok()) {
    unlock_ddl();
    co_return fail(status, "cannot rename family \"" + from + "\": " + status.to_string());
  }
  catalog_->apply_rename(from, to);
  unlock_ddl();
  co_return true;
}

Task<Outcome<std::vector<FamilyInfo>>> DatabaseCore::list_families() {
  co_await lock_ddl();
  std::vector<FamilyInfo> list;
  catalog_->for_each([&list](const std::string& name, const FamilyState& family) {
    list.push_back({.name = name, .id = family.id, .options = family.options});
  });
  unlock_ddl();
  co_return list;
}

// --- Over all shards ---

Task<Status> DatabaseCore::flush_all() {
  std::vector<Future<Status>> answers;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
      answers.push_back(engine::run_on(part->reactor(), part->tasks(), &flush_shard, shard.get()));
    }
  }
  Status first;
  for (Future<Status>& answer : answers) {
    const Status status = co_await std::move(answer);
    first = first.is_ok() ? status : first;
  }
  co_return first;
}

Task<Outcome<bool>> DatabaseCore::change_options(OptionChanges changes) {
  co_await lock_ddl();
  // The rest of the settings is read by other threads too: only what nobody else reads once the database is open is changed.
  DatabaseOptions& options = settings_.options;
  DatabaseOptions wanted = options;
  wanted.log_budget_bytes = changes.log_budget_bytes.value_or(options.log_budget_bytes);
  wanted.cache_percent = changes.cache_percent.value_or(options.cache_percent);
  wanted.space_use_percent = changes.space_use_percent.value_or(options.space_use_percent);
  wanted.flush_write_bytes = changes.flush_write_bytes.value_or(options.flush_write_bytes);
  wanted.flush_bytes_per_second = changes.flush_bytes_per_second.value_or(options.flush_bytes_per_second);
  wanted.gather_from_bytes = changes.gather_from_bytes.value_or(options.gather_from_bytes);
  Outcome<bool> checked = check_options(wanted);
  if (!checked.has_value()) {
    unlock_ddl();
    co_return checked;
  }
  options.log_budget_bytes = wanted.log_budget_bytes;
  options.cache_percent = wanted.cache_percent;
  options.space_use_percent = wanted.space_use_percent;
  options.flush_write_bytes = wanted.flush_write_bytes;
  options.flush_bytes_per_second = wanted.flush_bytes_per_second;
  options.gather_from_bytes = wanted.gather_from_bytes;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    const Status changed = co_await engine::run_on(part->reactor(), part->tasks(), &change_part, part.get(), wanted);
    PENSTOCK_ASSERT(changed.is_ok());
  }
  unlock_ddl();
  co_return true;
}

void DatabaseCore::on_memory_share(std::uint64_t bytes) {
  memory_share_ = bytes;
  if (enter_home_call().is_ok()) {  // Before it is open its opening looks; once it closes it needs no more.
    (void)engine::run_on(home(), home_tasks_, &DatabaseCore::follow_memory_share, this);
  }
}

Task<Status> DatabaseCore::follow_memory_share(DatabaseCore* self) {
  co_await self->lock_ddl();  // One after the other, and not while options change.
  const std::uint64_t share = self->memory_share_;
  for (const std::unique_ptr<ReactorPart>& part : self->parts_) {
    const Status changed = co_await engine::run_on(part->reactor(), part->tasks(), &change_memory_of, part.get(), share);
    PENSTOCK_ASSERT(changed.is_ok());
  }
  self->unlock_ddl();
  self->leave_home_call();
  co_return Status::ok();
}

Task<Metrics> DatabaseCore::collect_metrics() {
  Metrics metrics;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    metrics = co_await engine::run_on(part->reactor(), part->tasks(), &collect_part, part.get(), metrics);
  }
  co_return metrics;
}

Task<CommitStages> DatabaseCore::collect_commit_stages() {
  const auto sum = std::make_unique<StageHistograms>();
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    const Status added = co_await engine::run_on(part->reactor(), part->tasks(), &add_stages, part.get(), sum.get());
    PENSTOCK_ASSERT(added.is_ok());
  }
  co_return CommitStages{.apply = stage_times(sum->apply),
                         .queue = stage_times(sum->log.queue),
                         .write = stage_times(sum->log.write),
                         .sync = stage_times(sum->log.sync),
                         .wake = stage_times(sum->log.wake)};
}

}  // namespace penstock::detail
