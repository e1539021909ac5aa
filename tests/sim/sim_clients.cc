// What the clients of a simulated database do, and what they check while they do it.
#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "engine/remote.h"
#include "tests/sim/engine_sim.h"

namespace penstock::simtest {

namespace {

/// More steps than any run needs: whoever has no answer by then never gets one.
constexpr std::uint64_t kStepsMax = 600'000;
/// Enough for everything in flight to end with an error.
constexpr std::uint64_t kStepsToDie = 20'000;
/// What clients do in a boot: as many operations as the disk may have events, and some.
constexpr std::uint64_t kOperationsMin = 50;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

std::uint64_t mixed(std::uint64_t left, std::uint64_t right) {
  return base::Random(left ^ (right * 0x9e3779b97f4a7c15ULL)).next();
}

}  // namespace

// --- calls of the database, on reactor 0 ---

/// As the public API makes them: each holds the database open until its answer.
struct EngineSim::HomeCalls {
  template <typename T, typename... Parameters, typename... Arguments>
  static Task<Outcome<T>> make(detail::DatabaseCore* core, Task<Outcome<T>> (*function)(detail::DatabaseCore*, Parameters...),
                               Arguments... arguments) {
    if (const Status status = core->enter_home_call(); !status.is_ok()) {
      co_return std::unexpected(Failure(status, status.to_string()));
    }
    Future<Outcome<T>> answer = engine::run_on(core->home(), core->home_tasks(), function, core, std::move(arguments)...);
    co_return co_await std::move(answer);
  }
  static Task<Outcome<Family>> create(detail::DatabaseCore* core, std::string name, FamilyOptions options) {
    Outcome<Family> made = co_await core->create_family(std::move(name), options, false);
    core->leave_home_call();
    co_return made;
  }
  static Task<Outcome<bool>> drop(detail::DatabaseCore* core, std::string name) {
    Outcome<bool> dropped = co_await core->drop_family(std::move(name));
    core->leave_home_call();
    co_return dropped;
  }
  static Task<Outcome<bool>> rename(detail::DatabaseCore* core, std::string from, std::string to) {
    Outcome<bool> renamed = co_await core->rename_family(std::move(from), std::move(to));
    core->leave_home_call();
    co_return renamed;
  }
  static Task<Outcome<bool>> change(detail::DatabaseCore* core, OptionChanges changes) {
    Outcome<bool> changed = co_await core->change_options(changes);
    core->leave_home_call();
    co_return changed;
  }
};

// --- a boot's clients ---

std::string EngineSim::run_clients(End end, base::Random random) {
  stop_clients_ = false;
  operations_left_ = kOperationsMin + knobs_.events;
  complaint_.clear();
  jobs_.clear();
  base::Random faults = random.fork();
  reactor::SimRates rates;
  rates.short_one_in = has(Feature::kShort) ? 30 : 0;
  rates.interrupted_one_in = has(Feature::kInterrupted) ? 60 : 0;
  rates.again_one_in = has(Feature::kAgain) ? 60 : 0;
  rates.slow_one_in = has(Feature::kSlow) ? 20 : 0;
  rates.path_part = "pages-";
  rates.lost_one_in = has(Feature::kLost) ? static_cast<std::uint32_t>(knobs_.errors_one_in) : 0;
  rates.misdirected_one_in = has(Feature::kMisdirected) ? static_cast<std::uint32_t>(knobs_.errors_one_in) : 0;
  disk_.faults().set_rates(rates);
  const std::uint64_t steps = 100 + random.below(random.one_in(4) ? 10'000 : 800);
  const std::uint64_t cut = events() + 1 + random.below(knobs_.events);
  if (end == End::kPowerCut) {
    disk_.cut_at(plan_.until == 0 ? cut : std::min(cut, plan_.until));
    note("clients, power to be cut at " + std::to_string(cut));
  } else {
    note("clients");
  }
  // The counters' families first, each with its answer.
  struct Prepare {
    static Task<> run(EngineSim* self, std::uint64_t seed) {
      base::Random each(seed);
      while (self->next_family_ < self->core().settings().shard_count && self->disk_.is_powered()) {
        co_await self->create_family(each.fork());
      }
    }
  };
  boot_.world->run(0, &Prepare::run, this, random.next());
  if (knobs_.fault_class == FaultClass::kTold && !faults.one_in(4)) {
    plan_faults(faults);
  }
  for (ShardId shard = 0; shard < core().settings().shard_count; ++shard) {
    for (std::uint64_t index = 0; index < knobs_.clients; ++index) {
      jobs_.push_back(boot_.world->start(reactor_of(shard), &EngineSim::client, this, shard, random.next()));
    }
  }
  const auto is_over = [this] { return std::ranges::all_of(jobs_, &reactor::SimJob<void>::is_done); };
  const auto is_enough = [&] { return !disk_.is_powered() || !complaint_.empty() || is_over(); };
  (void)boot_.world->run_until(is_enough, end == End::kPowerCut ? 20 * steps : steps);
  stop_clients_ = true;
  if (end != End::kCleanClose && !is_full_) {
    disk_.power_off();
  }
  // Without power nobody hears an answer; what waits in line for a full disk goes with the process.
  if (!boot_.world->run_until(is_over, disk_.is_powered() ? kStepsMax : kStepsToDie) && disk_.is_powered()) {
    return "a call has no answer, and never gets one";
  }
  if (complaint_.empty() && is_full_ && disk_.is_powered()) {
    return check_that_space_helps(random.fork());
  }
  return complaint_;
}

/// Errors that the disk tells of, for the rest of this boot.
void EngineSim::plan_faults(base::Random& random) {
  static constexpr std::array<const char*, 5> kPaths{"log/", "log/", "pages-", "super", "/"};
  static constexpr std::array kRare{reactor::SimEvent::kCreate, reactor::SimEvent::kRename,        reactor::SimEvent::kRemove,
                                    reactor::SimEvent::kResize, reactor::SimEvent::kSyncDirectory, reactor::SimEvent::kFill,
                                    reactor::SimEvent::kPunch,  reactor::SimEvent::kSync,          reactor::SimEvent::kWrite};
  is_told_ = true;
  const std::uint64_t room = random.below(random.one_in(2) ? 3_MiB : 300_KiB);
  const bool fills = random.one_in(2);
  if (has(Feature::kFull) && fills) {
    is_full_ = true;
    disk_.set_capacity(disk_.used_bytes() + room);
    note("the disk has room for " + std::to_string(room) + " bytes more");
    return;
  }
  reactor::SimRates rates = disk_.faults().rates();
  rates.path_part = kPaths[random.below(kPaths.size())];
  const auto one_in = static_cast<std::uint32_t>(1 + random.below(knobs_.errors_one_in));
  rates.write_error_one_in = has(Feature::kWriteError) ? one_in : 0;
  rates.sync_error_one_in = has(Feature::kSyncError) ? one_in : 0;
  rates.sync_loss = random.one_in(2) ? reactor::SimSyncLoss::kLost : reactor::SimSyncLoss::kKept;
  rates.read_error_one_in = has(Feature::kReadError) ? one_in : 0;
  disk_.faults().set_rates(rates);
  const reactor::SimEvent rare = kRare[random.below(kRare.size())];
  const std::uint64_t nth = 1 + random.below(30);
  if (has(Feature::kWriteError)) {
    disk_.faults().fail_nth(rare, nth, -EIO);
  }
  note(std::string("errors on files with \"") + rates.path_part + "\"; " + std::string(reactor::name_of(rare)) + " number " +
       std::to_string(nth) + " fails");
}

/// With space again every shard takes commits, without being opened anew.
std::string EngineSim::check_that_space_helps(base::Random random) {
  struct Try {
    static Task<> run(EngineSim* self, ShardId shard, std::uint64_t seed) {
      base::Random each(seed);
      co_await self->commit_once(shard, each);
    }
  };
  disk_.set_capacity(~0ULL);
  note("there is space again");
  for (ShardId shard = 0; shard < core().settings().shard_count; ++shard) {
    if (!home_of(shard).has_value()) {
      continue;  // Its creation met the full disk.
    }
    const std::uint64_t before = counts_.commits_acknowledged;
    for (std::uint32_t tries = 0; tries < 50 && counts_.commits_acknowledged == before && disk_.is_powered(); ++tries) {
      boot_.world->run(reactor_of(shard), &Try::run, this, shard, random.next());
      boot_.world->run_for(kSecondNs / 10);
    }
    if (counts_.commits_acknowledged == before && disk_.is_powered()) {
      return "shard " + std::to_string(shard) + " takes no commit 5 s after the full disk got space";
    }
  }
  return complaint_;
}

Task<> EngineSim::client(EngineSim* self, ShardId shard, std::uint64_t /*seed*/) {
  Shard on(self->core().shard(shard));
  while (!self->stop_clients_ && self->disk_.is_powered() && self->operations_left_ > 0) {
    --self->operations_left_;
    const std::uint64_t number = self->next_operation_++;
    if (!self->plan_.leaves_out(number)) {
      co_await self->operate(shard, base::Random(mixed(self->plan_.seed, number)));
    }
    co_await on.yield();
  }
}

Task<> EngineSim::operate(ShardId shard, base::Random random) {
  base::Random own = random.fork();
  if (random.one_in(knobs_.family_one_in) && has(Feature::kFamilies)) {
    co_await change_families(own);
  } else if (random.one_in(knobs_.flush_one_in) && has(Feature::kFlush)) {
    co_await flush_once(shard);
  } else if (random.one_in(60) && has(Feature::kOptions)) {
    co_await change_options(own);
  } else if (random.one_in(60) && has(Feature::kPause)) {
    co_await reactor::Reactor::current()->sleep(own.below(kSecondNs / 5));
  } else if (random.one_in(30) && has(Feature::kEach)) {
    co_await commit_each(own);
  } else if (random.one_in(knobs_.read_one_in) && has(Feature::kReads)) {
    co_await read_once(shard, own);
  } else {
    co_await commit_once(shard, own);
  }
}

void EngineSim::complain(const std::string& text) {
  if (complaint_.empty()) {
    complaint_ = text;
  }
}

/// Whether there is a reason for such an error.
bool EngineSim::may_fail(const Status& status) const noexcept {
  if (!disk_.is_powered() || status.is(Code::kDropped) || stop_clients_) {
    return true;
  }
  const bool is_error = status.is(Code::kIoError) || status.is(Code::kPoisoned) || status.is(Code::kOutcomeUnknown);
  if (is_full_) {
    return status.is(Code::kNoSpace);
  }
  if (is_told_) {
    return is_error || status.is(Code::kNoSpace);
  }
  return knobs_.fault_class == FaultClass::kSilent && (is_error || status.is(Code::kCorruption));
}

// --- commits ---

Task<> EngineSim::commit_once(ShardId id, base::Random random) {
  const std::vector<Family> families = usable_families(id);
  const std::optional<Family> home = home_of(id);
  if (!home.has_value()) {
    co_return;
  }
  ShardModel& model = models_[id];
  const std::uint64_t number = model.next_number();
  const std::uint64_t draw = random.below(10);
  const bool is_unlogged = random.one_in(8) && has(Feature::kUnlogged);
  const Durability durability = is_unlogged                        ? Durability::kUnlogged
                                : draw < 7 || !has(Feature::kWeak) ? Durability::kSync
                                : draw < 9                         ? Durability::kWritten
                                                                   : Durability::kBuffered;
  std::vector<ShardModel::Change> changes;
  Batch batch;
  const std::uint64_t operations = 1 + random.below(knobs_.batch_operations);
  // Half a segment is the most; what goes to extents does not count.
  std::uint64_t left_bytes = knobs_.segment_kib * 1_KiB * 3 / 8;
  for (std::uint64_t index = 0; index < operations; ++index) {
    const Family& family = families[random.below(families.size())];
    const std::string key = make_key(family, id, random);
    if (key.empty() || left_bytes < 300) {
      continue;
    }
    left_bytes -= 300;
    ShardModel::Change change{.family = family.id(), .key = key, .value = std::nullopt};
    if (random.one_in(4)) {
      PENSTOCK_ASSERT(batch.remove(family, key).is_ok());
    } else {
      const bool is_large = random.one_in(25);
      const std::uint64_t large_bytes = random.one_in(3) ? 60'000 + random.below(120'000) : random.below(40'000);
      const std::uint64_t wanted_bytes = is_large && has(Feature::kLarge) ? large_bytes : random.below(knobs_.value_bytes);
      const bool is_logged = wanted_bytes <= 66'000;
      const std::uint64_t bytes = is_logged ? std::min(wanted_bytes, left_bytes) : wanted_bytes;
      left_bytes -= is_logged ? bytes : 0;
      change.value = std::to_string(number) + ":" + std::string(bytes, static_cast<char>('a' + random.below(26)));
      PENSTOCK_ASSERT(batch.put(family, key, *change.value).is_ok());
    }
    changes.push_back(std::move(change));
  }
  const Bytes counter = ShardModel::counter_key(durability);
  changes.push_back({.family = home->id(), .key = std::string(counter), .value = std::to_string(number)});
  PENSTOCK_ASSERT(batch.put(*home, counter, std::to_string(number)).is_ok());
  model.issue(std::move(changes), durability);
  note("shard " + std::to_string(id) + " batch " + std::to_string(number) + ", durability " +
       std::to_string(static_cast<int>(durability)) + ", " + std::to_string(batch.operation_count()) + " operations");
  Shard shard(core().shard(id));
  // Nothing suspends between the number and the submission: the history's order is the shard's.
  const Status status = co_await shard.commit(batch, {.durability = durability});
  note("shard " + std::to_string(id) + " batch " + std::to_string(number) + " ends " + status.to_string());
  if (status.is_ok()) {
    model.acknowledge(number);
    ++counts_.commits_acknowledged;
  } else if (status.is(Code::kOutcomeUnknown)) {
    ++counts_.commits_unknown;
  } else {
    model.refuse(number);
    ++counts_.commits_refused;
  }
  if (!status.is_ok() && !may_fail(status)) {
    complain("shard " + std::to_string(id) + ": a commit ends " + status.to_string());
  }
}

/// A part on every shard, each atomic for itself, all under way at once.
Task<> EngineSim::commit_each(base::Random random) {
  for (ShardId shard = 0; shard < core().settings().shard_count; ++shard) {
    jobs_.push_back(boot_.world->start(reactor_of(shard), &EngineSim::commit_part, this, shard, random.next()));
  }
  co_return;
}

Task<> EngineSim::commit_part(EngineSim* self, ShardId shard, std::uint64_t seed) {
  const base::Random random(seed);
  co_await self->commit_once(shard, random);
}

Task<> EngineSim::flush_once(ShardId shard) {
  ShardModel& model = models_[shard];
  const std::vector<std::uint64_t> before = model.acknowledged();
  const Status status = co_await core().shard(shard).flush();
  note("shard " + std::to_string(shard) + " flush ends " + status.to_string());
  if (status.is_ok()) {
    model.flushed(before);
    ++counts_.flushes;
  } else if (!may_fail(status)) {
    complain("shard " + std::to_string(shard) + ": a flush ends " + status.to_string());
  }
}

Task<> EngineSim::change_options(base::Random random) {
  OptionChanges changes;
  if (random.one_in(2)) {
    changes.gather_from_bytes = random.one_in(3) || !has(Feature::kRuns) ? ~std::uint64_t{0} : random.below(256) * 1_KiB;
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
    changes.log_budget_bytes = knobs_.segment_kib * 1_KiB * (4 + random.below(8));
  }
  const Outcome<bool> changed = co_await HomeCalls::make(&core(), &HomeCalls::change, changes);
  if (!changed.has_value() && !may_fail(changed.error().status)) {
    complain("a change of options: " + changed.error().text);
  }
}

// --- families ---

Task<> EngineSim::change_families(base::Random random) {
  const std::size_t place = random.below(families_.size());
  const bool creates = families_.size() < static_cast<std::size_t>(core().settings().shard_count) + 3 || random.one_in(2);
  if (creates) {
    co_await create_family(random);
    co_return;
  }
  FamilyModel& family = families_[place];
  if (family.existence != Existence::kCertain || !family.other_name.empty() || family.name.starts_with("home")) {
    co_return;
  }
  if (random.one_in(3) && has(Feature::kRename)) {
    co_await rename_family(place);
    co_return;
  }
  family.existence = Existence::kDropping;
  const Outcome<bool> dropped = co_await HomeCalls::make(&core(), &HomeCalls::drop, family.name);
  note("drop of family " + families_[place].name + (dropped.has_value() ? " ends well" : ": " + dropped.error().text));
  if (dropped.has_value()) {
    families_[place].existence = Existence::kGone;
    ++counts_.families_dropped;
  } else if (!may_fail(dropped.error().status)) {
    complain("a drop: " + dropped.error().text);
  }
}

Task<> EngineSim::create_family(base::Random random) {
  // The first ones hold the shards' counters.
  const std::uint16_t shards = core().settings().shard_count;
  FamilyOptions options;
  std::string name = "family" + std::to_string(next_family_);
  if (next_family_ < shards) {
    name = "home" + std::to_string(next_family_);
    options.shard = static_cast<std::int32_t>(next_family_);
  } else if (random.one_in(2)) {
    options.placement = Placement::kHashed;
  }
  ++next_family_;
  families_.push_back({.name = name, .other_name = {}, .existence = Existence::kMaybe, .handle = std::nullopt});
  const std::size_t place = families_.size() - 1;
  const Outcome<Family> made = co_await HomeCalls::make(&core(), &HomeCalls::create, name, options);
  note("creation of family " + name + (made.has_value() ? " ends well" : ": " + made.error().text));
  if (made.has_value()) {
    families_[place].existence = Existence::kCertain;
    families_[place].handle = *made;
    ++counts_.families_created;
  } else if (!may_fail(made.error().status)) {
    complain("a creation: " + made.error().text);
  }
}

Task<> EngineSim::rename_family(std::size_t place) {
  const std::string from = families_[place].name;
  const std::string to = from + "r";
  families_[place].other_name = to;
  const Outcome<bool> renamed = co_await HomeCalls::make(&core(), &HomeCalls::rename, from, to);
  note("rename of family " + from + (renamed.has_value() ? " ends well" : ": " + renamed.error().text));
  if (renamed.has_value()) {
    families_[place].name = to;
    families_[place].other_name.clear();
    ++counts_.families_renamed;
  } else if (!may_fail(renamed.error().status)) {
    complain("a rename: " + renamed.error().text);
  }
}

std::vector<Family> EngineSim::usable_families(ShardId shard) const {
  std::vector<Family> list;
  for (const FamilyModel& family : families_) {
    const bool is_usable = family.handle.has_value() && family.existence == Existence::kCertain;
    if (is_usable && (family.handle->placement() == Placement::kHashed || family.handle->shard_of({}) == shard)) {
      list.push_back(*family.handle);
    }
  }
  return list;
}

/// The family that holds the shard's counters: pinned there, never dropped.
std::optional<Family> EngineSim::home_of(ShardId shard) const {
  const std::string name = "home" + std::to_string(shard);
  const auto found = std::ranges::find(families_, name, &FamilyModel::name);
  return found == families_.end() || found->existence != Existence::kCertain ? std::nullopt : found->handle;
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

// --- reads ---

/// Errors of reads: they go on while a log is poisoned or the disk is full.
void EngineSim::note_read(const Status& status) {
  if (status.is_ok() || status.is(Code::kNotFound)) {
    ++counts_.reads_checked;
    return;
  }
  ++counts_.reads_failed;
  const bool may_be_unreadable =
      (is_told_ && has(Feature::kReadError) && !is_full_) || knobs_.fault_class == FaultClass::kSilent;
  const bool is_allowed = !disk_.is_powered() || status.is(Code::kDropped) || status.is(Code::kClosed) ||
                          (may_be_unreadable && status.is(Code::kIoError)) ||
                          (knobs_.fault_class == FaultClass::kSilent && status.is(Code::kCorruption));
  if (!is_allowed) {
    complain("a read ends " + status.to_string());
  }
}

Task<> EngineSim::read_once(ShardId shard, base::Random random) {
  const std::vector<Family> families = usable_families(shard);
  if (families.empty()) {
    co_return;
  }
  const Family& family = families[random.below(families.size())];
  switch (random.below(3)) {
    case 0:
      co_await scan_some(shard, family, random);
      break;
    case 1:
      co_await walk_some(shard, family, random);
      break;
    default:
      co_await get_one(shard, family, random);
      break;
  }
}

Task<> EngineSim::get_one(ShardId shard, Family family, base::Random random) {
  const std::string key = make_key(family, shard, random);
  if (key.empty()) {
    co_return;
  }
  const ShardModel& model = models_[shard];
  Shard on(core().shard(shard));
  const std::uint64_t moment = model.moment();
  const Result<std::string> value = co_await on.get(family, key);
  note_read(value.has_value() ? Status() : value.error());
  if (!value.has_value() && !value.error().is(Code::kNotFound)) {
    co_return;
  }
  const std::optional<std::string> seen = value.has_value() ? std::optional(*value) : std::nullopt;
  if (!model.may_have(family.id(), key, seen, moment)) {
    complain("a get of " + std::to_string(family.id()) + "/" + key + " on shard " + std::to_string(shard) + " found " +
             (seen.has_value() ? "\"" + seen->substr(0, 40) + "\"" : "nothing") + ", which was there at no moment of the call");
  }
}

Task<> EngineSim::scan_some(ShardId shard, Family family, base::Random random) {
  const ShardModel& model = models_[shard];
  ScanOptions options;
  options.from = random.one_in(3) ? std::string() : "key" + std::to_string(random.below(knobs_.keys));
  if (random.one_in(2)) {
    options.to = "key" + std::to_string(random.below(knobs_.keys));
  }
  options.rows_max = static_cast<std::uint32_t>(1 + random.below(50));
  Shard on(core().shard(shard));
  const std::uint64_t moment = model.moment();
  const Result<ScanResult> found = co_await on.scan(family, options);
  note_read(found.has_value() ? Status() : found.error());
  if (!found.has_value()) {
    co_return;
  }
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Row& row : found->rows) {
    rows.emplace_back(row.key, row.value);
  }
  const std::optional<std::string> to = found->next.has_value() ? found->next : options.to;
  if (const std::string wrong = model.check_rows(family.id(), options.from, to, rows, moment); !wrong.empty()) {
    complain("a scan on shard " + std::to_string(shard) + " found " + wrong);
  }
}

/// A cursor keeps its moment however long the walk takes.
Task<> EngineSim::walk_some(ShardId shard, Family family, base::Random random) {
  const ShardModel& model = models_[shard];
  Shard on(core().shard(shard));
  const std::uint64_t moment = model.moment();
  Result<RowCursor> cursor = on.rows(family);
  if (!cursor.has_value()) {
    note_read(cursor.error());
    co_return;
  }
  const std::string from = random.one_in(2) ? std::string() : "key" + std::to_string(random.below(knobs_.keys));
  std::vector<std::pair<std::string, std::string>> rows;
  Status status = co_await cursor->seek(from);
  const std::uint64_t rows_max = 1 + random.below(40);
  while (status.is_ok() && cursor->valid() && rows.size() < rows_max) {
    rows.emplace_back(cursor->key(), cursor->value());
    if (random.one_in(4)) {
      co_await on.yield();
    }
    status = co_await cursor->next();
  }
  note_read(status);
  if (!status.is_ok()) {
    co_return;
  }
  const std::optional<std::string> to = cursor->valid() ? std::optional<std::string>(cursor->key()) : std::nullopt;
  if (const std::string wrong = model.check_rows(family.id(), from, to, rows, moment); !wrong.empty()) {
    complain("a walk on shard " + std::to_string(shard) + " found " + wrong);
  }
}

}  // namespace penstock::simtest
