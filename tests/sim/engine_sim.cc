#include "tests/sim/engine_sim.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/assert.h"

namespace penstock::simtest {

namespace {

constexpr Bytes kCountKey = "!count";
constexpr Bytes kUnloggedKey = "!unlogged";
const std::string kDirectory = "/db";

std::string state_key(FamilyId family, Bytes key) { return std::to_string(family) + "/" + std::string(key); }

std::string shorten(const std::string& text) {
  return text.size() <= 40 ? text : text.substr(0, 40) + "... (" + std::to_string(text.size()) + " bytes)";
}

std::string first_difference(const std::map<std::string, std::string>& found,
                             const std::map<std::string, std::string>& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto place = found.find(key);
    if (place == found.end()) {
      return "\"" + key + "\" is missing";
    }
    if (place->second != value) {
      return "\"" + key + "\" is \"" + shorten(place->second) + "\", not \"" + shorten(value) + "\"";
    }
  }
  for (const auto& [key, value] : found) {
    if (!wanted.contains(key)) {
      return "\"" + key + "\" = \"" + shorten(value) + "\" should not be there";
    }
  }
  return {};
}

}  // namespace

Knobs Knobs::draw(base::Random& random) {
  Knobs knobs;
  knobs.shards = static_cast<std::uint16_t>(1 + random.below(4));
  knobs.reactors = static_cast<std::uint32_t>(1 + random.below(3));
  knobs.memory_limit = 1_MiB << random.below(4);
  knobs.clients_per_shard = static_cast<std::uint32_t>(1 + random.below(3));
  knobs.keys = static_cast<std::uint32_t>(10 + random.below(300));
  knobs.batch_operations_max = static_cast<std::uint32_t>(1 + random.below(60));
  knobs.value_bytes_max = static_cast<std::uint32_t>(1 + random.below(2000));
  knobs.big_value_one_in = random.one_in(2) ? 40 : 1'000'000;
  knobs.flush_one_in = static_cast<std::uint32_t>(5 + random.below(100));
  knobs.ddl_one_in = static_cast<std::uint32_t>(20 + random.below(200));
  knobs.change_one_in = static_cast<std::uint32_t>(50 + random.below(500));
  knobs.unlogged_one_in = random.one_in(2) ? static_cast<std::uint32_t>(2 + random.below(20)) : 1'000'000;
  if (random.one_in(2)) {
    knobs.rates = {.short_one_in = random.one_in(2) ? 50U : 0U, .interrupted_one_in = 200, .again_one_in = 200};
  }
  return knobs;
}

EngineSim::EngineSim(std::uint64_t seed, SimCounts& counts)
    : random_(seed), counts_(counts), knobs_(Knobs::draw(random_)), disk_(random_.next()) {}

EngineSim::~EngineSim() {
  if (is_open_) {
    end_boot(End::kCleanClose);
  }
}

std::string EngineSim::run(std::uint32_t cycles) {
  for (std::uint32_t cycle = 0; cycle < cycles; ++cycle) {
    const std::string place = "cycle " + std::to_string(cycle) + ": ";
    // Now and then power goes off while the database opens, perhaps several times in a row.
    while (random_.one_in(4)) {
      disk_.cut_at(disk_.faults().events() + 1 + random_.below(120));
      const std::string wrong = boot(false);
      if (!wrong.empty()) {
        return place + "boot with a cut: " + wrong;
      }
      ++counts_.cuts_in_recovery;
      end_boot(End::kPowerCut);
    }
    if (const std::string wrong = boot(true); !wrong.empty()) {
      return place + wrong;
    }
    const std::uint64_t draw = random_.below(10);
    const End end = draw < 7 ? End::kPowerCut : draw < 9 ? End::kKill : End::kCleanClose;
    run_clients(end);
    end_boot(end);
  }
  return boot(true);
}

Task<bool> EngineSim::open_core(detail::DatabaseCore* core, std::string* failure) {
  const Outcome<bool> opened = co_await core->open();
  if (!opened.has_value()) {
    *failure = opened.error().text;
  }
  co_return opened.has_value();
}

std::string EngineSim::boot(bool with_checks) {
  ++counts_.boots;
  const auto reactors = random_.one_in(3) ? static_cast<std::uint32_t>(1 + random_.below(3)) : knobs_.reactors;
  counts_.reactor_changes += last_reactors_ != 0 && last_reactors_ != reactors ? 1U : 0U;
  last_reactors_ = reactors;
  world_ = std::make_unique<reactor::SimWorld>(
      disk_, reactor::SimWorldOptions{.seed = random_.next(), .reactors = reactors, .io_entries = 16});
  std::vector<reactor::Reactor*> list;
  for (std::uint32_t index = 0; index < reactors; ++index) {
    list.push_back(&world_->reactor(index));
  }
  runtime_ = std::make_shared<detail::RuntimeCore>(world_->system(), list, knobs_.memory_limit);
  DatabaseOptions options;
  options.shards = knobs_.shards;
  options.log_segment_bytes = 1_MiB;
  options.log_budget_bytes = 4_MiB;
  options.wal_sync = std::array{WalSync::kLinked, WalSync::kDsync, WalSync::kSyscall, WalSync::kAuto}[random_.below(4)];
  options.gather_from_bytes = random_.one_in(3) ? 4_MiB : 0;
  core_ = std::make_unique<detail::DatabaseCore>(runtime_, kDirectory, options);
  std::string failure;
  const bool opened = world_->run(0, &EngineSim::open_core, core_.get(), &failure);
  is_open_ = true;
  if (!opened) {
    return disk_.is_powered() ? "open fails: " + failure : std::string();
  }
  if (!with_checks) {
    return {};  // Opened before the cut came.
  }
  counts_.torn_tails += core_->recovery().torn_tails;
  return check_all();
}

std::string EngineSim::check_all() {
  if (std::string wrong = check_families(); !wrong.empty()) {
    return wrong;
  }
  for (ShardId shard = 0; shard < core_->settings().shard_count; ++shard) {
    if (std::string wrong = check_shard(shard, last_end_); !wrong.empty()) {
      return "shard " + std::to_string(shard) + ": " + wrong;
    }
  }
  struct Verify {
    static Task<std::string> run(detail::DatabaseCore* core) {
      const Outcome<VerifyReport> report = co_await core->verify();
      co_return report.has_value() ? std::string() : report.error().text;
    }
  };
  return world_->run(0, &Verify::run, core_.get());
}

std::string EngineSim::check_families() {
  struct List {
    static Task<std::vector<FamilyInfo>> run(detail::DatabaseCore* core) {
      Outcome<std::vector<FamilyInfo>> list = co_await core->list_families();
      co_return std::move(*list);
    }
    static Task<Family> open(detail::DatabaseCore* core, std::string name) {
      Outcome<Family> family = co_await core->open_family(std::move(name));
      co_return std::move(*family);
    }
  };
  const std::vector<FamilyInfo> list = world_->run(0, &List::run, core_.get());
  const auto is_listed = [&list](const std::string& name) {
    return std::ranges::any_of(list, [&name](const FamilyInfo& info) { return info.name == name; });
  };
  for (FamilyModel& family : families_) {
    const bool there = is_listed(family.name);
    if (family.existence == Existence::kCertain && !there) {
      return "family " + family.name + " was created and is missing";
    }
    if (family.existence == Existence::kGone && there) {
      return "family " + family.name + " was dropped and is back";
    }
    family.existence = there ? Existence::kCertain : Existence::kGone;
    family.handle.reset();
    if (there) {
      family.handle = world_->run(0, &List::open, core_.get(), family.name);
    }
  }
  for (const FamilyInfo& info : list) {
    if (std::ranges::none_of(families_, [&info](const FamilyModel& family) { return family.name == info.name; })) {
      return "family " + info.name + " was never created";
    }
  }
  return {};
}

void EngineSim::apply(State& state, const IssuedBatch& batch) {
  for (const Change& change : batch.changes) {
    if (change.value.has_value()) {
      state[state_key(change.family, change.key)] = *change.value;
    } else {
      state.erase(state_key(change.family, change.key));
    }
  }
}

std::string EngineSim::check_shard(ShardId shard, End end) {
  const Result<State> found =
      world_->run(world_->reactor_count() == 1 ? 0U : static_cast<std::uint32_t>(shard % world_->reactor_count()),
                  &EngineSim::read_shard, this, shard);
  if (!found.has_value()) {
    return "cannot be read: " + found.error().to_string();
  }
  ShardModel& model = models_[shard];
  std::uint64_t present = 0;
  State state = *found;
  // The counters stand in the first family that is pinned to this shard; without them nothing was ever written. What is in no
  // log is there up to a flush, and then everything before it is.
  std::uint64_t unlogged = 0;
  for (const FamilyModel& family : families_) {
    if (family.handle.has_value()) {
      const auto number = [&](Bytes key) -> std::uint64_t {
        const auto counter = state.find(state_key(family.handle->id(), key));
        return counter == state.end() ? 0 : std::stoull(counter->second);
      };
      present = std::max(present, number(kCountKey));
      unlogged = std::max(unlogged, number(kUnloggedKey));
    }
  }
  const std::uint64_t logged = present;
  present = std::max(present, unlogged);
  const std::uint64_t issued = model.base_count + model.issued.size();
  std::uint64_t required = model.base_count;
  for (std::size_t index = 0; index < model.issued.size(); ++index) {
    const IssuedBatch& batch = model.issued[index];
    const bool survives = end == End::kCleanClose || batch.is_flushed || batch.durability == Durability::kSync ||
                          (end == End::kKill && batch.durability == Durability::kWritten);
    if (batch.acknowledged && survives) {
      required = model.base_count + index + 1;
    }
  }
  if (present < required || present > issued) {
    return "batches 1 to " + std::to_string(present) + " are there, at least " + std::to_string(required) + " and at most " +
           std::to_string(issued) + " should be";
  }
  State wanted = model.base;
  for (std::uint64_t index = model.base_count; index < present; ++index) {
    const IssuedBatch& batch = model.issued[index - model.base_count];
    if (index < (batch.durability == Durability::kUnlogged ? unlogged : std::max(logged, unlogged))) {
      apply(wanted, batch);
    }
  }
  // What stood in families that are gone now is gone with them.
  std::erase_if(wanted, [this](const auto& entry) {
    const std::string id = entry.first.substr(0, entry.first.find('/'));
    return std::ranges::none_of(families_, [&id](const FamilyModel& family) {
      return family.handle.has_value() && std::to_string(family.handle->id()) == id;
    });
  });
  if (std::string difference = first_difference(state, wanted); !difference.empty()) {
    return "after " + std::to_string(present) + " batches " + difference;
  }
  model.base = std::move(wanted);
  model.base_count = present;
  model.issued.clear();
  return {};
}

Task<Result<EngineSim::State>> EngineSim::read_shard(EngineSim* self, ShardId id) {
  State state;
  Shard shard(self->core_->shard(id));
  for (const FamilyModel& family : self->families_) {
    if (!family.handle.has_value() || (family.handle->placement() == Placement::kPinned && family.handle->shard_of({}) != id)) {
      continue;
    }
    ScanOptions options;
    options.rows_max = 37;
    while (true) {
      Result<ScanResult> rows = co_await shard.scan(*family.handle, options);
      if (!rows.has_value()) {
        co_return std::unexpected(rows.error());
      }
      for (Row& row : rows->rows) {
        Result<std::string> value = co_await shard.get(*family.handle, row.key);
        if (!value.has_value() || *value != row.value) {
          co_return std::unexpected(Status(Code::kCorruption));  // get and scan must agree.
        }
        state[state_key(family.handle->id(), row.key)] = std::move(row.value);
      }
      if (!rows->next.has_value()) {
        break;
      }
      options.from = *rows->next;
    }
  }
  co_return state;
}

std::vector<Family> EngineSim::usable_families() const {
  std::vector<Family> list;
  for (const FamilyModel& family : families_) {
    if (family.handle.has_value() && family.existence == Existence::kCertain) {
      list.push_back(*family.handle);
    }
  }
  return list;
}

std::string EngineSim::make_key(const Family& family, ShardId shard, base::Random& random) const {
  while (true) {
    std::string key = "key" + std::to_string(random.below(knobs_.keys));
    if (random.one_in(8)) {
      key += std::string(random.below(200), 'x');
    }
    if (family.shard_of(key) == shard) {
      return key;
    }
    if (random.one_in(200)) {
      return {};  // A small key space may have none for this shard.
    }
  }
}

Task<> EngineSim::client(EngineSim* self, ShardId shard, std::uint64_t seed) {
  base::Random random(seed);
  Shard on(self->core_->shard(shard));
  while (!self->stop_clients_ && self->disk_.is_powered()) {
    if (random.one_in(self->knobs_.ddl_one_in)) {
      co_await self->change_families(random);
    } else if (random.one_in(self->knobs_.flush_one_in)) {
      co_await self->flush_once(shard);
    } else if (random.one_in(self->knobs_.change_one_in)) {
      co_await self->change_options(random);
    } else {
      co_await self->commit_once(shard, random);
    }
    co_await on.yield();
  }
}

Task<> EngineSim::flush_once(ShardId shard) {
  std::vector<std::size_t> before;
  for (std::size_t index = 0; index < models_[shard].issued.size(); ++index) {
    if (models_[shard].issued[index].acknowledged) {
      before.push_back(index);
    }
  }
  if ((co_await core_->shard(shard).flush()).is_ok()) {
    for (const std::size_t index : before) {
      models_[shard].issued[index].is_flushed = true;
    }
  }
}

Task<> EngineSim::change_options(base::Random& random) {
  OptionChanges changes;
  if (random.one_in(2)) {
    changes.gather_from_bytes = random.one_in(3) ? ~std::uint64_t{0} : random.below(256) * 1_KiB;
  }
  if (random.one_in(2)) {
    changes.cache_percent = static_cast<std::uint32_t>(5 + random.below(50));
  }
  if (random.one_in(2)) {
    changes.flush_bytes_per_second = random.one_in(2) ? 0 : 1_MiB + random.below(64) * 1_MiB;
  }
  if (random.one_in(2)) {
    changes.flush_write_bytes = random.one_in(2) ? 0 : 64_KiB + random.below(16) * 64_KiB;
  }
  if (random.one_in(2)) {
    changes.log_budget_bytes = 4_MiB + random.below(8) * 1_MiB;
  }
  const Outcome<bool> changed = co_await core_->change_options(changes);
  counts_.options_changed += changed.has_value() ? 1U : 0U;
}

Task<> EngineSim::commit_once(ShardId id, base::Random& random) {
  std::vector<Family> families;
  for (const Family& family : usable_families()) {
    if (family.placement() == Placement::kHashed || family.shard_of({}) == id) {
      families.push_back(family);
    }
  }
  // The family that holds the shard's counter is never dropped.
  const auto home =
      std::ranges::find_if(families, [id](const Family& family) { return family.name() == "home" + std::to_string(id); });
  if (home == families.end()) {
    co_return;
  }
  ShardModel& model = models_[id];
  IssuedBatch issued;
  const std::uint64_t draw = random.below(10);
  issued.durability = random.one_in(knobs_.unlogged_one_in) ? Durability::kUnlogged
                      : draw < 7                            ? Durability::kSync
                      : draw < 9                            ? Durability::kWritten
                                                            : Durability::kBuffered;
  Batch batch;
  const std::uint64_t operations = 1 + random.below(knobs_.batch_operations_max);
  for (std::uint64_t index = 0; index < operations; ++index) {
    const Family& family = families[random.below(families.size())];
    const std::string key = make_key(family, id, random);
    if (key.empty()) {
      continue;
    }
    Change change{.family = family.id(), .key = key, .value = std::nullopt};
    if (random.one_in(4)) {
      PENSTOCK_ASSERT(batch.remove(family, key).is_ok());
    } else {
      const std::uint64_t bytes = !random.one_in(knobs_.big_value_one_in) ? random.below(knobs_.value_bytes_max)
                                  : random.one_in(5)                      ? 60'000 + random.below(120'000)
                                                                          : random.below(40'000);
      change.value = std::string(bytes, static_cast<char>('a' + random.below(26)));
      PENSTOCK_ASSERT(batch.put(family, key, *change.value).is_ok());
    }
    issued.changes.push_back(std::move(change));
  }
  const std::uint64_t number = model.base_count + model.issued.size() + 1;
  const Bytes counter = issued.durability == Durability::kUnlogged ? kUnloggedKey : kCountKey;
  issued.changes.push_back({.family = home->id(), .key = std::string(counter), .value = std::to_string(number)});
  PENSTOCK_ASSERT(batch.put(*home, counter, std::to_string(number)).is_ok());
  const Durability durability = issued.durability;
  model.issued.push_back(std::move(issued));
  Shard shard(core_->shard(id));
  // Nothing suspends between the number and the submission: the history's order is the shard's.
  const Status status = co_await shard.commit(batch, {.durability = durability});
  const std::uint64_t place = number - model.base_count - 1;
  if (status.is_ok()) {
    model.issued[place].acknowledged = true;
    ++counts_.commits_acknowledged;
    counts_.unlogged_acknowledged += durability == Durability::kUnlogged ? 1U : 0U;
  } else if (status.is(Code::kDropped)) {
    // Certainly not applied: it wrote nothing, its number included. Later ones of this boot have greater numbers.
    model.issued[place].changes.clear();
  }
}

Task<> EngineSim::change_families(base::Random& random) {
  const bool create = families_.size() < static_cast<std::size_t>(core_->settings().shard_count) + 3 || random.one_in(2);
  if (create) {
    // The first ones hold the shards' counters.
    const std::uint16_t shards = core_->settings().shard_count;
    FamilyOptions options;
    std::string name = "family" + std::to_string(next_family_);
    if (next_family_ < shards) {
      name = "home" + std::to_string(next_family_);
      options.shard = static_cast<std::int32_t>(next_family_);
    } else if (random.one_in(2)) {
      options.placement = Placement::kHashed;
    }
    ++next_family_;
    families_.push_back({.name = name, .existence = Existence::kMaybe, .handle = std::nullopt});
    const std::size_t place = families_.size() - 1;
    Outcome<Family> made = co_await core_->create_family(name, options, false);
    if (made.has_value()) {
      families_[place].existence = Existence::kCertain;
      families_[place].handle = *made;
      ++counts_.families_created;
    }
    co_return;
  }
  const std::size_t place = random.below(families_.size());
  if (families_[place].existence != Existence::kCertain || families_[place].name.starts_with("home")) {
    co_return;
  }
  families_[place].existence = Existence::kDropping;
  const Outcome<bool> dropped = co_await core_->drop_family(families_[place].name);
  if (dropped.has_value()) {
    families_[place].existence = Existence::kGone;
    ++counts_.families_dropped;
  }
}

void EngineSim::run_clients(End end) {
  stop_clients_ = false;
  disk_.faults().set_rates(knobs_.rates);
  // The counters' families first, each with its answer.
  struct Prepare {
    static Task<> run(EngineSim* self) {
      base::Random random(1);
      while (self->next_family_ < self->core_->settings().shard_count && self->disk_.is_powered()) {
        co_await self->change_families(random);
      }
    }
  };
  if (end == End::kPowerCut) {
    disk_.cut_at(disk_.faults().events() + 1 + random_.below(random_.one_in(3) ? 3000 : 400));
  }
  world_->run(0, &Prepare::run, this);
  std::vector<reactor::SimJob<void>> jobs;
  for (ShardId shard = 0; shard < core_->settings().shard_count; ++shard) {
    for (std::uint32_t index = 0; index < knobs_.clients_per_shard; ++index) {
      jobs.push_back(world_->start(static_cast<std::uint32_t>(shard % world_->reactor_count()), &EngineSim::client, this, shard,
                                   random_.next()));
    }
  }
  const std::uint64_t steps = 200 + random_.below(20'000);
  if (end == End::kPowerCut) {
    (void)world_->run_until([this] { return !disk_.is_powered(); }, 400'000);
    disk_.power_off();
  } else {
    (void)world_->run_until([] { return false; }, steps);
  }
  if (end == End::kKill) {
    disk_.power_off();
  }
  stop_clients_ = true;
  const bool ended = world_->run_until([&jobs] { return std::ranges::all_of(jobs, &reactor::SimJob<void>::is_done); });
  PENSTOCK_ASSERT(ended);
}

void EngineSim::end_boot(End end) {
  struct Close {
    static Task<Status> run(detail::DatabaseCore* core) { return core->close(); }
  };
  for (ShardId shard = 0; core_->is_open() && shard < core_->settings().shard_count; ++shard) {
    Metrics metrics;
    core_->shard(shard).collect(metrics);
    counts_.flush_passes += metrics.flushes;
    counts_.runs_made += metrics.runs_made;
    counts_.runs_joined += metrics.runs_joined;
    counts_.large_values += metrics.large_values;
    counts_.run_slices += metrics.run_slices;
  }
  for (std::uint16_t part = 0; core_->is_open() && part < core_->settings().reactor_count; ++part) {
    counts_.segments += core_->part_of(part).log().counters().segments_prepared > 2 ? 1U : 0U;
  }
  const Status closed = world_->run(0, &Close::run, core_.get());
  if (!closed.is_ok() && disk_.is_powered()) {  // A cut that was planned for opening may come now.
    std::fprintf(stderr, "close: %s\n", closed.to_string().c_str());
    PENSTOCK_ASSERT(false);
  }
  core_.reset();
  runtime_.reset();
  disk_.faults().clear();
  switch (end) {
    case End::kPowerCut:
      disk_.cut_power(random_.next());
      ++counts_.power_cuts;
      break;
    case End::kKill:
      disk_.kill_process(random_.next());
      ++counts_.kills;
      break;
    case End::kCleanClose:
      ++counts_.clean_closes;
      break;
  }
  world_.reset();
  is_open_ = false;
  last_end_ = end;
}

}  // namespace penstock::simtest
