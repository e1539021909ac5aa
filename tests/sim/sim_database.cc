#include "tests/sim/sim_database.h"

#include <utility>

namespace penstock::simtest {

namespace {

using detail::DatabaseCore;
using detail::ShardEngine;

Task<Outcome<bool>> open_on(DatabaseCore* core) { co_return co_await core->open(); }
Task<Status> close_on(DatabaseCore* core) { co_return co_await core->close(); }

Task<Outcome<Family>> family_on(DatabaseCore* core, std::string name, FamilyOptions options) {
  co_return co_await core->create_family(std::move(name), options, true);
}

Task<Outcome<Family>> open_family_on(DatabaseCore* core, std::string name) {
  co_return co_await core->open_family(std::move(name));
}

Task<Outcome<bool>> drop_on(DatabaseCore* core, std::string name) { co_return co_await core->drop_family(std::move(name)); }

Task<Outcome<std::vector<FamilyInfo>>> list_on(DatabaseCore* core) { co_return co_await core->list_families(); }

Task<Status> commit_on(detail::ShardEngine* engine, Batch* batch, Durability durability) {
  Shard shard(*engine);
  const CommitOptions options{.durability = durability};
  co_return co_await shard.commit(*batch, options);
}

Task<Status> put_on(ShardEngine* engine, Family family, std::string key, std::string value, Durability durability) {
  Shard shard(*engine);
  const CommitOptions options{.durability = durability};
  co_return co_await shard.put(family, key, value, options);
}

Task<Status> remove_on(ShardEngine* engine, Family family, std::string key) {
  Shard shard(*engine);
  const CommitOptions options;
  co_return co_await shard.remove(family, key, options);
}

Task<Result<std::string>> get_on(ShardEngine* engine, Family family, std::string key) {
  Shard shard(*engine);
  co_return co_await shard.get(family, key);
}

Task<ShardRows> scan_on(ShardEngine* engine, Family family) {
  constexpr std::uint32_t kRowsPerCall = 5;
  Shard shard(*engine);
  ShardRows found;
  ScanOptions options;
  options.rows_max = kRowsPerCall;
  while (true) {
    Result<ScanResult> part = co_await shard.scan(family, options);
    if (!part.has_value()) {
      found.status = part.error();
      co_return found;
    }
    for (Row& row : part->rows) {
      found.rows[row.key] = std::move(row.value);
    }
    if (!part->next.has_value()) {
      co_return found;
    }
    options.from = *part->next;
  }
}

Task<Status> flush_on(ShardEngine* engine) { co_return co_await engine->flush(); }
Task<Outcome<VerifyReport>> verify_on(DatabaseCore* core) { co_return co_await core->verify(); }
Task<Outcome<VerifyReport>> scrub_on(DatabaseCore* core, ScrubOptions options) {
  // As a call of a user's: it holds the database open.
  if (const Status refused = core->enter_home_call(); !refused.is_ok()) co_return std::unexpected(Failure(refused, "closed"));
  Outcome<VerifyReport> report = co_await core->scrub(std::move(options));
  core->leave_home_call();
  co_return report;
}
Task<Outcome<VerifyReport>> verify_closed_on(DatabaseCore* core) { co_return co_await core->verify_closed({}); }
Task<Metrics> metrics_on(DatabaseCore* core) { co_return co_await core->collect_metrics(); }

}  // namespace

SimDatabase::SimDatabase(reactor::SimDisk& disk, const SimDatabaseOptions& options) : disk_(disk) {
  world_ =
      std::make_unique<reactor::SimWorld>(disk, reactor::SimWorldOptions{.seed = options.seed, .reactors = options.reactors});
  std::vector<reactor::Reactor*> list;
  for (std::uint32_t index = 0; index < options.reactors; ++index) {
    list.push_back(&world_->reactor(index));
  }
  runtime_ = std::make_shared<detail::RuntimeCore>(world_->system(), list, options.memory_limit);
  DatabaseOptions database;
  database.shards = options.shards;
  database.log_segment_bytes = options.log_segment_bytes;
  database.log_budget_bytes = 4 * options.log_segment_bytes;
  database.wal_sync = options.wal_sync;
  database.gather_from_bytes = options.gather_from_bytes;
  database.on_progress = options.on_progress;
  core_ = std::make_unique<detail::DatabaseCore>(runtime_, kDirectory, database);
}

SimDatabase::~SimDatabase() {
  if (core_ != nullptr) {
    close().ignore("the test is over");
  }
}

Outcome<bool> SimDatabase::open() { return world_->run(0, &open_on, core_.get()); }

Status SimDatabase::close() { return world_->run(0, &close_on, core_.get()); }

void SimDatabase::die() {
  disk_.power_off();
  close().ignore("a dead process closes nothing: here it only frees its memory");
  core_.reset();
  runtime_.reset();
}

void SimDatabase::kill(std::uint64_t seed) {
  die();
  disk_.kill_process(seed);
  world_.reset();
}

void SimDatabase::cut_power(std::uint64_t seed) {
  die();
  disk_.cut_power(seed);
  world_.reset();
}

Outcome<Family> SimDatabase::family(const std::string& name, const FamilyOptions& options) {
  return world_->run(0, &family_on, core_.get(), name, options);
}

Outcome<Family> SimDatabase::open_family(const std::string& name) { return world_->run(0, &open_family_on, core_.get(), name); }

Outcome<bool> SimDatabase::drop_family(const std::string& name) { return world_->run(0, &drop_on, core_.get(), name); }

std::vector<std::string> SimDatabase::family_names() {
  std::vector<std::string> names;
  const Outcome<std::vector<FamilyInfo>> list = world_->run(0, &list_on, core_.get());
  if (list.has_value()) {
    for (const FamilyInfo& info : *list) {
      names.push_back(info.name);
    }
  }
  return names;
}

Status SimDatabase::put(const Family& family, const std::string& key, const std::string& value, Durability durability) {
  const ShardId shard = family.shard_of(key);
  return world_->run(reactor_of(shard), &put_on, &core_->shard(shard), family, key, value, durability);
}

Status SimDatabase::commit(ShardId shard, Batch& batch, Durability durability) {
  return world_->run(reactor_of(shard), &commit_on, &core_->shard(shard), &batch, durability);
}

Status SimDatabase::remove(const Family& family, const std::string& key) {
  const ShardId shard = family.shard_of(key);
  return world_->run(reactor_of(shard), &remove_on, &core_->shard(shard), family, key);
}

Result<std::string> SimDatabase::get(const Family& family, const std::string& key) {
  const ShardId shard = family.shard_of(key);
  return world_->run(reactor_of(shard), &get_on, &core_->shard(shard), family, key);
}

ShardRows SimDatabase::scan(const Family& family, ShardId shard) {
  return world_->run(reactor_of(shard), &scan_on, &core_->shard(shard), family);
}

Status SimDatabase::flush(ShardId shard) { return world_->run(reactor_of(shard), &flush_on, &core_->shard(shard)); }

Outcome<VerifyReport> SimDatabase::verify() { return world_->run(0, &verify_on, core_.get()); }

Outcome<VerifyReport> SimDatabase::scrub(const ScrubOptions& options) {
  return world_->run(0, &scrub_on, core_.get(), options);
}

Outcome<VerifyReport> SimDatabase::verify_closed() { return world_->run(0, &verify_closed_on, core_.get()); }

reactor::SimJob<Outcome<VerifyReport>> SimDatabase::start_scrub(const ScrubOptions& options) {
  return world_->start(0, &scrub_on, core_.get(), options);
}

Metrics SimDatabase::metrics() { return world_->run(0, &metrics_on, core_.get()); }

}  // namespace penstock::simtest
