#include "tests/sim/script.h"

#include <utility>

#include "base/assert.h"

namespace penstock::simtest {

namespace {

constexpr std::uint64_t kDiskSeed = 11;

using Existence = ScriptModel::Existence;

}  // namespace

struct Script::Calls {
  static Task<Outcome<bool>> open(detail::DatabaseCore* core) { co_return co_await core->open(); }
  static Task<Status> close(detail::DatabaseCore* core) { co_return co_await core->close(); }
  static Task<Outcome<Family>> create(detail::DatabaseCore* core, std::string name, FamilyOptions options) {
    co_return co_await core->create_family(std::move(name), options, false);
  }
  static Task<Outcome<Family>> family(detail::DatabaseCore* core, std::string name) {
    co_return co_await core->open_family(std::move(name));
  }
  static Task<Outcome<bool>> drop(detail::DatabaseCore* core, std::string name) {
    co_return co_await core->drop_family(std::move(name));
  }
  static Task<Outcome<std::vector<FamilyInfo>>> list(detail::DatabaseCore* core) { co_return co_await core->list_families(); }
  static Task<Outcome<VerifyReport>> verify(detail::DatabaseCore* core) { co_return co_await core->verify(); }
  static Task<Status> commit(detail::ShardEngine* engine, Batch* batch, Durability durability) {
    Shard shard(*engine);
    const CommitOptions options{.durability = durability};
    co_return co_await shard.commit(*batch, options);
  }
  static Task<Status> flush(detail::ShardEngine* engine) { co_return co_await engine->flush(); }
  static Task<Result<std::string>> get(detail::ShardEngine* engine, Family family, std::string key) {
    Shard shard(*engine);
    co_return co_await shard.get(family, key);
  }
  static Task<Result<ScanResult>> scan(detail::ShardEngine* engine, Family family) {
    Shard shard(*engine);
    const ScanOptions options;
    co_return co_await shard.scan(family, options);
  }
};

Script::Script(reactor::SimDisk& disk, ScriptModel& model, std::uint64_t seed, WalSync wal_sync) : disk_(disk), model_(model) {
  world_ = std::make_unique<reactor::SimWorld>(disk,
                                               reactor::SimWorldOptions{.seed = seed, .reactors = kReactors, .io_entries = 16});
  std::vector<reactor::Reactor*> list;
  for (std::uint32_t index = 0; index < kReactors; ++index) {
    list.push_back(&world_->reactor(index));
  }
  runtime_ = std::make_shared<detail::RuntimeCore>(world_->system(), list, 4_MiB);
  DatabaseOptions options;
  options.shards = kShards;
  options.log_segment_bytes = 64_KiB;
  options.log_budget_bytes = 256_KiB;
  options.wal_sync = wal_sync;
  core_ = std::make_unique<detail::DatabaseCore>(runtime_, "/db", options);
}

Script::~Script() {
  if (core_ != nullptr) {  // After close() nothing is left to end.
    close().ignore("the try is over");
  }
}

Status Script::open() {
  const Outcome<bool> opened = world_->run(0, &Calls::open, core_.get());
  if (!opened.has_value()) {
    return opened.error().status;
  }
  for (const auto& [name, existence] : model_.families) {
    Outcome<Family> family = world_->run(0, &Calls::family, core_.get(), name);
    if (family.has_value()) {
      handles_.emplace(name, std::move(*family));
    }
  }
  return Status::ok();
}

Status Script::close() {
  if (core_ == nullptr) {
    return closed_;
  }
  closed_ = world_->run(0, &Calls::close, core_.get());
  core_.reset();
  runtime_.reset();
  world_.reset();
  return closed_;
}

// --- steps ---

Status Script::create(const std::string& family, std::int32_t shard) {
  if (core_ == nullptr || !core_->is_open()) {
    return Status(Code::kClosed);
  }
  model_.families[family] = Existence::kMaybe;
  FamilyOptions options;
  options.shard = shard;
  Outcome<Family> made = world_->run(0, &Calls::create, core_.get(), family, options);
  if (!made.has_value()) {
    return made.error().status;
  }
  model_.families[family] = Existence::kCertain;
  handles_.emplace(family, std::move(*made));
  return Status::ok();
}

Status Script::drop(const std::string& family) {
  if (core_ == nullptr || !core_->is_open() || !handles_.contains(family)) {
    return Status(Code::kClosed);
  }
  model_.families[family] = Existence::kMaybe;
  const Outcome<bool> dropped = world_->run(0, &Calls::drop, core_.get(), family);
  if (!dropped.has_value()) {
    return dropped.error().status;
  }
  model_.families[family] = Existence::kGone;
  handles_.erase(family);
  return Status::ok();
}

Script::Issued Script::issue(ShardId shard, std::uint32_t rows, std::uint64_t value_bytes, bool removes,
                             Durability durability) {
  ShardModel& model = model_.shards[shard];
  Issued issued{.number = model.next_number(), .durability = durability, .batch = {}};
  std::vector<ShardModel::Change> changes;
  for (const auto& [name, family] : handles_) {
    if (family.shard_of({}) != shard) {
      continue;
    }
    for (std::uint32_t row = 0; row < rows; ++row) {
      const std::uint64_t value = ++model_.next_value;
      ShardModel::Change change{.family = family.id(), .key = "row" + std::to_string(value % 17), .value = std::nullopt};
      if (removes) {
        PENSTOCK_ASSERT(issued.batch.remove(family, change.key).is_ok());
      } else {
        change.value = std::to_string(value) + std::string(value_bytes, static_cast<char>('a' + value % 26));
        PENSTOCK_ASSERT(issued.batch.put(family, change.key, *change.value).is_ok());
      }
      changes.push_back(std::move(change));
    }
    if (name.starts_with("home")) {
      const Bytes counter = ShardModel::counter_key(durability);
      changes.push_back({.family = family.id(), .key = std::string(counter), .value = std::to_string(issued.number)});
      PENSTOCK_ASSERT(issued.batch.put(family, counter, std::to_string(issued.number)).is_ok());
    }
  }
  model.issue(std::move(changes), durability);
  return issued;
}

void Script::note_commit(ShardId shard, const Issued& issued, const Status& status) {
  ShardModel& model = model_.shards[shard];
  bool& has_failed = has_failed_[reactor_of(shard)];
  if (status.is_ok()) {
    model.acknowledge(issued.number);
    if (has_failed && complaint_.empty()) {
      complaint_ =
          "shard " + std::to_string(shard) + " acknowledged batch " + std::to_string(issued.number) + " after its log failed";
    }
    return;
  }
  if (!status.is(Code::kOutcomeUnknown)) {
    model.refuse(issued.number);
  }
  has_failed = has_failed || status.is(Code::kOutcomeUnknown) || status.is(Code::kPoisoned);
}

Status Script::commit(ShardId shard, std::uint32_t rows, std::uint64_t value_bytes, Durability durability) {
  if (core_ == nullptr || !core_->is_open() || !handles_.contains("home" + std::to_string(shard))) {
    return Status(Code::kClosed);
  }
  Issued issued = issue(shard, rows, value_bytes, false, durability);
  const Status status = world_->run(reactor_of(shard), &Calls::commit, &core_->shard(shard), &issued.batch, durability);
  note_commit(shard, issued, status);
  return status;
}

Status Script::remove(ShardId shard) {
  if (core_ == nullptr || !core_->is_open() || !handles_.contains("home" + std::to_string(shard))) {
    return Status(Code::kClosed);
  }
  Issued issued = issue(shard, 2, 0, true, Durability::kSync);
  const Status status = world_->run(reactor_of(shard), &Calls::commit, &core_->shard(shard), &issued.batch, Durability::kSync);
  note_commit(shard, issued, status);
  return status;
}

void Script::commit_together(std::uint32_t count) {
  struct Started {
    ShardId shard;
    std::unique_ptr<Issued> issued;
    reactor::SimJob<Status> job;
  };
  std::vector<Started> all;
  for (std::uint32_t index = 0; core_ != nullptr && core_->is_open() && index < count; ++index) {
    for (ShardId shard = 0; shard < kShards; ++shard) {
      if (!handles_.contains("home" + std::to_string(shard))) {
        continue;
      }
      // A weaker one among them: it must not overtake.
      const Durability durability = index % 4 == 2 ? Durability::kWritten : Durability::kSync;
      auto issued = std::make_unique<Issued>(issue(shard, 2, 30, false, durability));
      Batch* const batch = &issued->batch;
      all.push_back({shard, std::move(issued),
                     world_->start(reactor_of(shard), &Calls::commit, &core_->shard(shard), batch, durability)});
    }
  }
  for (Started& each : all) {
    const bool has_ended = world_->run_until([&each] { return each.job.is_done(); });
    PENSTOCK_ASSERT(has_ended);
  }
  // In the order of their submission, so that a failure in the middle is seen before what came behind it.
  for (Started& each : all) {
    note_commit(each.shard, *each.issued, each.job.take());
  }
}

Status Script::flush(ShardId shard) {
  if (core_ == nullptr || !core_->is_open()) {
    return Status(Code::kClosed);
  }
  const std::vector<std::uint64_t> before = model_.shards[shard].acknowledged();
  const Status status = world_->run(reactor_of(shard), &Calls::flush, &core_->shard(shard));
  if (status.is_ok()) {
    model_.shards[shard].flushed(before);
  }
  return status;
}

void Script::pause(std::uint64_t milliseconds) {
  if (disk_.is_powered() && world_ != nullptr) {
    world_->run_for(milliseconds * 1'000'000);
  }
}

// --- checks ---

std::string Script::check_reads(bool may_fail) {
  for (const auto& [name, family] : handles_) {
    const ShardId shard = family.shard_of({});
    const ShardModel& model = model_.shards[shard];
    for (std::uint32_t row = 0; core_ != nullptr && core_->is_open() && row < 17; ++row) {
      const std::string key = "row" + std::to_string(row);
      const Result<std::string> value = world_->run(reactor_of(shard), &Calls::get, &core_->shard(shard), family, key);
      if (!value.has_value() && !value.error().is(Code::kNotFound)) {
        if (!may_fail && disk_.is_powered() && !value.error().is(Code::kDropped)) {
          return "a get of " + name + "/" + key + " ends " + value.error().to_string();
        }
        continue;
      }
      const std::optional<std::string> seen = value.has_value() ? std::optional(*value) : std::nullopt;
      if (!model.may_have(family.id(), key, seen, model.moment())) {
        return "a get of " + name + "/" + key + " found " + seen.value_or("nothing").substr(0, 30);
      }
    }
  }
  return {};
}

std::string Script::check_recovered(End end, bool commits) {
  const Outcome<std::vector<FamilyInfo>> list = world_->run(0, &Calls::list, core_.get());
  if (!list.has_value()) {
    return "families cannot be listed: " + list.error().text;
  }
  for (auto& [name, existence] : model_.families) {
    const bool is_there = handles_.contains(name);
    if (existence == Existence::kCertain && !is_there) {
      return "family " + name + " is missing";
    }
    if (existence == Existence::kGone && is_there) {
      return "family " + name + " is back";
    }
    existence = is_there ? Existence::kCertain : Existence::kGone;
  }
  if (list->size() != handles_.size()) {
    return "there are families that nobody made";
  }
  const auto exists = [this](FamilyId id) {
    for (const auto& [name, family] : handles_) {
      if (family.id() == id) {
        return true;
      }
    }
    return false;
  };
  for (ShardId shard = 0; shard < kShards; ++shard) {
    ShardModel::State found;
    for (const auto& [name, family] : handles_) {
      if (family.shard_of({}) != shard) {
        continue;
      }
      const Result<ScanResult> rows = world_->run(reactor_of(shard), &Calls::scan, &core_->shard(shard), family);
      if (!rows.has_value()) {
        return "family " + name + " cannot be read: " + rows.error().to_string();
      }
      for (const Row& row : rows->rows) {
        found[ShardModel::state_key(family.id(), row.key)] = row.value;
      }
    }
    ShardModel::Recovered recovered = model_.shards[shard].check(found, end, exists);
    if (!recovered.wrong.empty()) {
      return "shard " + std::to_string(shard) + ": " + recovered.wrong;
    }
    model_.shards[shard].adopt(std::move(recovered));
  }
  const Outcome<VerifyReport> report = world_->run(0, &Calls::verify, core_.get());
  if (!report.has_value()) {
    return "verify: " + report.error().text;
  }
  for (ShardId shard = 0; commits && shard < kShards; ++shard) {
    const bool has_home = handles_.contains("home" + std::to_string(shard));
    if (const Status status = has_home ? commit(shard) : Status(); !status.is_ok() && disk_.is_powered()) {
      return "after recovery a commit ends " + status.to_string();
    }
  }
  return {};
}

// --- scenarios ---

namespace {

void make_homes(Script& script) {
  PENSTOCK_ASSERT(script.create("home0", 0).is_ok());
  PENSTOCK_ASSERT(script.create("home1", 1).is_ok());
  PENSTOCK_ASSERT(script.commit(0).is_ok() && script.commit(1).is_ok());
}

void make_trees(Script& script) {
  make_homes(script);
  for (ShardId shard = 0; shard < Script::kShards; ++shard) {
    PENSTOCK_ASSERT(script.commit(shard, 10, 200).is_ok() && script.flush(shard).is_ok());
    PENSTOCK_ASSERT(script.commit(shard, 5, 100).is_ok() && script.flush(shard).is_ok());
    PENSTOCK_ASSERT(script.commit(shard).is_ok());
  }
}

void leave_much_log(Script& script) {
  make_trees(script);
  script.commit_together(6);
  (void)script.commit(0, 4, 100, Durability::kWritten);
  (void)script.commit(1, 4, 70'000);
  (void)script.commit(1, 4, 100, Durability::kBuffered);
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> list{
      {"creating a database", [](Script&) {}, [](Script& script) { (void)script.create("home0", 0); }, true},
      {"a commit", make_homes, [](Script& script) { (void)script.commit(0); }},
      {"a group of commits", make_homes, [](Script& script) { script.commit_together(6); }},
      {"a change of the log's segment", make_homes,
       [](Script& script) {
         for (std::uint32_t index = 0; index < 8; ++index) {
           (void)script.commit(0, 1, 14'000);
         }
       }},
      {"a flush", make_trees,
       [](Script& script) {
         (void)script.commit(0, 8, 150);
         (void)script.flush(0);
       }},
      {"two superblocks in a row", make_trees,
       [](Script& script) {
         (void)script.remove(1);
         (void)script.flush(1);
         (void)script.commit(1);
         (void)script.flush(1);
       }},
      {"log segments that are freed and used again", make_trees,
       [](Script& script) {
         for (std::uint32_t index = 0; index < 12; ++index) {
           (void)script.commit(0, 1, 14'000);
           if (index % 3 == 2) {
             (void)script.flush(0);
           }
         }
         script.pause(120);
       }},
      {"creating a family", make_trees,
       [](Script& script) {
         (void)script.create("new", 1);
         (void)script.commit(1);
       }},
      {"dropping a family",
       [](Script& script) {
         make_trees(script);
         PENSTOCK_ASSERT(script.create("old", 1).is_ok() && script.commit(1).is_ok() && script.flush(1).is_ok());
       },
       [](Script& script) {
         (void)script.drop("old");
         (void)script.commit(1);
         (void)script.flush(1);
       }},
      {"a large value", make_trees,
       [](Script& script) {
         (void)script.commit(0, 1, 90'000);
         (void)script.commit(0);
         (void)script.flush(0);
       }},
      {"unlogged commits and a flush", make_trees,
       [](Script& script) {
         (void)script.commit(0, 3, 40, Durability::kUnlogged);
         (void)script.commit(0);
         (void)script.commit(0, 3, 40, Durability::kUnlogged);
         (void)script.flush(0);
       }},
      {"a clean close", make_trees,
       [](Script& script) {
         (void)script.commit(0, 3, 40, Durability::kBuffered);
         (void)script.close();
       }},
      {"recovery", leave_much_log, [](Script& script) { script.pause(200); }, true},
  };
  return list;
}

Prepared prepare(const Scenario& scenario) {
  Prepared prepared{.disk = std::make_unique<reactor::SimDisk>(kDiskSeed), .model = {}};
  if (scenario.prepare == scenarios().front().prepare) {
    return prepared;  // A disk with nothing on it.
  }
  {
    Script script(*prepared.disk, prepared.model, 1);
    PENSTOCK_ASSERT(script.open().is_ok());
    scenario.prepare(script);
    prepared.disk->power_off();
  }
  // All that was completed is there, and the beginning of what was under way: so the history begins with a certain state.
  prepared.disk->cut_power(
      {.data = reactor::SimCut::Data::kAll, .names = reactor::SimCut::Names::kAll, .in_flight_sectors = 1});
  const std::unique_ptr<reactor::SimDisk> look = prepared.disk->clone();
  ScriptModel model = prepared.model;
  {
    Script script(*look, model, 2);
    PENSTOCK_ASSERT(script.open().is_ok());
    const std::string wrong = script.check_recovered(End::kPowerCut, false);
    PENSTOCK_ASSERT(wrong.empty());
    look->power_off();
  }
  prepared.model = std::move(model);
  return prepared;
}

}  // namespace penstock::simtest
