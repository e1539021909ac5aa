#include "tests/sim/engine_sim.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/assert.h"

namespace penstock::simtest {

namespace {

const std::string kDirectory = "/db";
constexpr std::uint64_t kCapacityFree = ~0ULL;
/// An opening that is cut is tried again, with another cut, so many times at most.
constexpr std::uint32_t kOpeningCutsMax = 9;

std::string prefix_of(const std::string& where, const std::string& wrong) {
  return wrong.empty() ? wrong : where + ": " + wrong;
}

}  // namespace

// --- counts ---

void SimCounts::add(const SimCounts& other) noexcept {
  const auto mine = reinterpret_cast<std::uint64_t*>(this);
  const auto theirs = reinterpret_cast<const std::uint64_t*>(&other);
  for (std::size_t index = 0; index < sizeof(SimCounts) / sizeof(std::uint64_t); ++index) {
    mine[index] += theirs[index];
  }
}

std::string SimCounts::to_string() const {
  const auto show = [](const char* name, std::uint64_t value) { return std::string(name) + " " + std::to_string(value); };
  std::string text = show("crash-recover cycles", cycles);
  for (const std::string& piece :
       {show("power cuts", power_cuts), show("of these while opening", cuts_in_opening), show("other images of them", images),
        show("kills", kills), show("clean closes", clean_closes), show("boots", boots),
        show("commits acknowledged", commits_acknowledged), show("of unknown outcome", commits_unknown),
        show("refused", commits_refused), show("reads checked", reads_checked), show("that failed", reads_failed),
        show("flushes", flushes), show("families created", families_created), show("dropped", families_dropped),
        show("renamed", families_renamed), show("errors and lies of the disk", faults), show("damages at rest", damages),
        show("openings refused", openings_refused)}) {
    text += ", " + piece;
  }
  return text;
}

// --- life ---

EngineSim::EngineSim(const Plan& plan, SimCounts& counts)
    : plan_(plan), knobs_(plan.knobs()), random_(plan.seed), counts_(counts), disk_(random_.next()) {}

EngineSim::~EngineSim() {
  if (is_booted_) {
    std::string ignored;
    stop(boot_, disk_, ignored);
  }
}

void EngineSim::print_trace() {
  prints_ = true;
  disk_.faults().set_trace([](const reactor::SimTraceLine& line) {
    const std::string number = line.number == 0 ? "-" : std::to_string(line.number);
    std::printf("%6s %.*s %.*s at %llu = %lld\n", number.c_str(), static_cast<int>(reactor::name_of(line.event).size()),
                reactor::name_of(line.event).data(), static_cast<int>(line.path.size()), line.path.data(),
                static_cast<unsigned long long>(line.offset), static_cast<long long>(line.result));
  });
}

void EngineSim::note(const std::string& text) const {
  if (prints_) {
    std::printf("%6llu %s\n", static_cast<unsigned long long>(events()), text.c_str());
  }
}

std::string EngineSim::run() {
  for (cycle_ = 0; cycle_ < plan_.cycles; ++cycle_) {
    const std::string place = "cycle " + std::to_string(cycle_);
    base::Random random = random_.fork();
    // Every purpose has its own stream: what one of them draws shifts none of the others.
    if (const std::string wrong = open_with_cuts(random.fork()); !wrong.empty()) {
      return prefix_of(place, wrong);
    }
    if (is_last(events())) {
      break;
    }
    if (const std::string wrong = boot_and_check(random.fork()); !wrong.empty() || !is_booted_) {
      return prefix_of(place, wrong);
    }
    const std::uint64_t draw = random.below(16);
    End end = draw < 12 ? End::kPowerCut : draw < 14 ? End::kKill : End::kCleanClose;
    if ((end == End::kKill && !has(Feature::kKill)) || (end == End::kCleanClose && !has(Feature::kClose))) {
      end = End::kPowerCut;
    }
    std::string wrong = run_clients(end, random.fork());
    const std::string at_end = end_boot(end, random.fork());
    wrong = wrong.empty() ? at_end : wrong;
    if (!wrong.empty()) {
      return prefix_of(place, wrong);
    }
    if (is_damaged_ || damage_at_rest(random.fork())) {
      return prefix_of(place, check_after_damage(random.fork()));
    }
    if (is_last(events())) {
      break;
    }
  }
  return prefix_of("at the end", boot_and_check(random_.fork()));
}

// --- boots ---

struct EngineSim::Calls {
  static Task<Outcome<bool>> open(detail::DatabaseCore* core) { co_return co_await core->open(); }
  static Task<Status> close(detail::DatabaseCore* core) { co_return co_await core->close(); }
  static Task<Outcome<std::vector<FamilyInfo>>> list(detail::DatabaseCore* core) { co_return co_await core->list_families(); }
  static Task<Outcome<Family>> family(detail::DatabaseCore* core, std::string name) {
    co_return co_await core->open_family(std::move(name));
  }
  static Task<Outcome<VerifyReport>> verify(detail::DatabaseCore* core) { co_return co_await core->verify(); }
};

EngineSim::Boot EngineSim::start(reactor::SimDisk& disk, base::Random random) const {
  const std::uint64_t other_reactors = 1 + random.below(3);
  const bool changes_reactors = random.one_in(3) && has(Feature::kReactors);
  const auto reactors = static_cast<std::uint32_t>(changes_reactors ? other_reactors : knobs_.reactors);
  Boot boot;
  boot.world = std::make_unique<reactor::SimWorld>(
      disk, reactor::SimWorldOptions{.seed = random.next(), .reactors = reactors, .io_entries = 16});
  std::vector<reactor::Reactor*> list;
  for (std::uint32_t index = 0; index < reactors; ++index) {
    list.push_back(&boot.world->reactor(index));
  }
  boot.runtime = std::make_shared<detail::RuntimeCore>(boot.world->system(), list, knobs_.memory_mib * 1_MiB);
  DatabaseOptions options;
  options.shards = static_cast<std::uint32_t>(knobs_.shards);
  options.log_segment_bytes = knobs_.segment_kib * 1_KiB;
  options.log_budget_bytes = 4 * options.log_segment_bytes;
  options.wal_sync = std::array{WalSync::kLinked, WalSync::kDsync, WalSync::kSyscall, WalSync::kAuto}[random.below(4)];
  const bool gathers = random.one_in(2) && has(Feature::kRuns);
  options.gather_from_bytes = gathers ? 1_KiB << random.below(10) : 64_MiB;
  boot.core = std::make_unique<detail::DatabaseCore>(boot.runtime, kDirectory, options);
  boot.opened = boot.world->run(0, &Calls::open, boot.core.get());
  return boot;
}

void EngineSim::stop(Boot& boot, reactor::SimDisk& disk, std::string& wrong) {
  const Status closed = boot.world->run(0, &Calls::close, boot.core.get());
  if (!closed.is_ok() && disk.is_powered()) {
    wrong = "close: " + closed.to_string();
  }
  boot.core.reset();
  boot.runtime.reset();
}

/// What an opening's answer may be.
std::string EngineSim::take_answer(const Boot& boot) {
  if (boot.opened.has_value() || !disk_.is_powered()) {
    return {};
  }
  const Failure& failure = boot.opened.error();
  const bool is_error = failure.status.is(Code::kIoError) || failure.status.is(Code::kNoSpace) ||
                        failure.status.is(Code::kPoisoned) || failure.status.is(Code::kCancelled);
  const bool may_refuse = is_damaged_ && (failure.status.is(Code::kCorruption) || failure.status.is(Code::kNotSupported));
  ++counts_.openings_refused;
  const bool is_allowed = ((is_told_ || is_damaged_) && is_error) || may_refuse;
  return is_allowed ? std::string() : "open fails: " + failure.text;
}

/// Openings that do not get to their end, by a power cut or an error, perhaps several in a row.
std::string EngineSim::open_with_cuts(base::Random random) {
  for (std::uint32_t count = 0; count < kOpeningCutsMax && random.one_in(count < 2 ? 3 : 2); ++count) {
    base::Random each = random.fork();
    const bool has_errors = each.one_in(3) && knobs_.fault_class == FaultClass::kTold;
    const std::uint64_t cut = events() + 1 + each.below(each.one_in(2) ? 30 : 150);
    if (!has(Feature::kOpeningCut) || is_last(events())) {
      continue;
    }
    if (has_errors) {
      plan_faults(each);
    }
    disk_.cut_at(plan_.until == 0 ? cut : std::min(cut, plan_.until));
    note("boot, to be cut at " + std::to_string(cut));
    ++counts_.boots;
    boot_ = start(disk_, each.fork());
    is_booted_ = true;
    std::string wrong = take_answer(boot_);
    const std::string at_end = end_boot(End::kPowerCut, each.fork());
    ++counts_.cuts_in_opening;
    wrong = wrong.empty() ? at_end : wrong;
    if (!wrong.empty()) {
      return "an opening that is cut: " + wrong;
    }
  }
  return {};
}

std::string EngineSim::boot_and_check(base::Random random) {
  note("boot");
  ++counts_.boots;
  boot_ = start(disk_, random);
  is_booted_ = true;
  if (!boot_.opened.has_value()) {
    return "open fails: " + boot_.opened.error().text;
  }
  Found found = check_all(boot_);
  if (!found.wrong.empty()) {
    return found.wrong;
  }
  adopt(std::move(found));
  if (last_end_ != End::kCleanClose) {
    ++counts_.cycles;
  }
  return {};
}

std::string EngineSim::end_boot(End end, base::Random random) {
  if (end != End::kCleanClose) {
    disk_.power_off();
  }
  std::string wrong;
  stop(boot_, disk_, wrong);
  is_damaged_ = is_damaged_ || (knobs_.fault_class == FaultClass::kSilent && disk_.faults().lies() > 0);
  // Errors that were told are a reason not to close well; nothing was promised then but what a killed process keeps.
  const bool had_errors = is_told_ || is_damaged_;
  if (!wrong.empty() && had_errors) {
    wrong.clear();
    end = End::kKill;
  }
  counts_.faults += disk_.faults().struck() - std::exchange(struck_before_, disk_.faults().struck());
  disk_.set_capacity(kCapacityFree);
  switch (end) {
    case End::kPowerCut:
      ++counts_.power_cuts;
      if (wrong.empty() && has(Feature::kImages) && !is_damaged_) {
        last_end_ = end;
        wrong = check_images(random.fork());
      }
      disk_.cut_power(random.next());
      break;
    case End::kKill:
      ++counts_.kills;
      disk_.kill_process(random.next());
      break;
    case End::kCleanClose:
      ++counts_.clean_closes;
      disk_.forget_lost();
      disk_.faults().clear();
      break;
  }
  boot_.world.reset();
  is_booted_ = false;
  // What a failed sync lost takes with it what was only written.
  const bool lost_written = is_told_ && has(Feature::kSyncError) && end == End::kKill;
  last_end_ = lost_written ? End::kPowerCut : end;
  is_told_ = false;
  is_full_ = false;
  note(end == End::kPowerCut ? "power is cut" : end == End::kKill ? "the process is killed" : "closed");
  return wrong;
}

// --- images ---

/// The cut that comes next is one of many that were possible.
std::string EngineSim::check_images(base::Random random) {
  static constexpr std::array kRules{reactor::SimCut::Data::kNone, reactor::SimCut::Data::kAll};
  const std::uint64_t count = 1 + random.below(4);
  for (std::uint64_t index = 0; index < count; ++index) {
    reactor::SimCut cut = reactor::SimCut::draw(random.next());
    if (index == 1) {
      cut.data = kRules[random.below(kRules.size())];
    }
    cut.noise = cut.noise && has(Feature::kNoise);
    const std::unique_ptr<reactor::SimDisk> image = disk_.clone();
    image->cut_power(cut);
    image->set_capacity(kCapacityFree);
    if (const std::string wrong = check_image(*image, random.fork()); !wrong.empty()) {
      return "image " + std::to_string(index) + " of the cut: " + wrong;
    }
    ++counts_.images;
    ++counts_.cycles;
  }
  return {};
}

std::string EngineSim::check_image(reactor::SimDisk& disk, base::Random random) {
  // Now and then its first opening is cut as well.
  if (random.one_in(3) && has(Feature::kOpeningCut)) {
    disk.cut_at(disk.faults().events() + 1 + random.below(60));
    Boot cut = start(disk, random.fork());
    std::string wrong = cut.opened.has_value() || !disk.is_powered() ? std::string() : "open fails: " + cut.opened.error().text;
    disk.power_off();
    stop(cut, disk, wrong);
    cut.world.reset();
    disk.cut_power(random.next());
    if (!wrong.empty()) {
      return wrong;
    }
  }
  Boot boot = start(disk, random.fork());
  std::string wrong = boot.opened.has_value() ? check_all(boot).wrong : "open fails: " + boot.opened.error().text;
  disk.power_off();  // Not worth a clean end.
  stop(boot, disk, wrong);
  boot.world.reset();
  return wrong;
}

// --- checks ---

/// Reads a shard's rows, by scan and by get.
struct EngineSim::ReadAll {
  static Task<Result<ShardModel::State>> run(detail::ShardEngine* engine, const std::vector<FamilyModel>* families) {
    ShardModel::State state;
    Shard shard(*engine);
    for (const FamilyModel& family : *families) {
      if (!family.handle.has_value() ||
          (family.handle->placement() == Placement::kPinned && family.handle->shard_of({}) != shard.id())) {
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
          const Result<std::string> value = co_await shard.get(*family.handle, row.key);
          if (!value.has_value() || *value != row.value) {
            co_return std::unexpected(Status(Code::kCorruption));  // get and scan must agree.
          }
          state[ShardModel::state_key(family.handle->id(), row.key)] = std::move(row.value);
        }
        if (!rows->next.has_value()) {
          break;
        }
        options.from = *rows->next;
      }
    }
    co_return state;
  }
};

EngineSim::Found EngineSim::check_all(Boot& boot) const {
  Found found;
  found.families = families_;
  found.wrong = check_families(boot, found.families);
  if (!found.wrong.empty()) {
    return found;
  }
  const auto exists = [&found](FamilyId id) {
    return std::ranges::any_of(
        found.families, [id](const FamilyModel& family) { return family.handle.has_value() && family.handle->id() == id; });
  };
  for (ShardId shard = 0; shard < boot.core->settings().shard_count; ++shard) {
    const Result<ShardModel::State> state =
        boot.world->run(static_cast<std::uint32_t>(shard % boot.core->settings().reactor_count), &ReadAll::run,
                        &boot.core->shard(shard), const_cast<const std::vector<FamilyModel>*>(&found.families));
    const std::string place = "shard " + std::to_string(shard) + ": ";
    if (!state.has_value()) {
      found.wrong = place + "cannot be read: " + state.error().to_string();
      return found;
    }
    const auto model = models_.find(shard);
    found.shards.push_back((model == models_.end() ? ShardModel() : model->second).check(*state, last_end_, exists));
    if (!found.shards.back().wrong.empty()) {
      found.wrong = place + found.shards.back().wrong;
      return found;
    }
  }
  const Outcome<VerifyReport> report = boot.world->run(0, &Calls::verify, boot.core.get());
  found.wrong = report.has_value() ? std::string() : "verify: " + report.error().text;
  return found;
}

void EngineSim::adopt(Found found) {
  families_ = std::move(found.families);
  ShardId shard = 0;
  for (auto& each : found.shards) {
    models_[shard++].adopt(std::move(each));
  }
}

std::string EngineSim::check_families(Boot& boot, std::vector<FamilyModel>& families) const {
  const Outcome<std::vector<FamilyInfo>> list = boot.world->run(0, &Calls::list, boot.core.get());
  if (!list.has_value()) {
    return "families cannot be listed: " + list.error().text;
  }
  const auto is_listed = [&list](const std::string& name) {
    return std::ranges::any_of(*list, [&name](const FamilyInfo& info) { return info.name == name; });
  };
  for (FamilyModel& family : families) {
    if (!family.other_name.empty() && is_listed(family.other_name)) {
      family.name = family.other_name;
    }
    family.other_name.clear();
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
      Outcome<Family> handle = boot.world->run(0, &Calls::family, boot.core.get(), family.name);
      if (!handle.has_value()) {
        return "family " + family.name + " is listed and cannot be opened: " + handle.error().text;
      }
      family.handle = *handle;
    }
  }
  for (const FamilyInfo& info : *list) {
    if (std::ranges::none_of(families, [&info](const FamilyModel& family) { return family.name == info.name; })) {
      return "family " + info.name + " was never created";
    }
  }
  return {};
}

// --- damage that nobody tells of ---

/// Of superblocks, pages and logs, while the database is closed or dead: whatever is there is durable.
bool EngineSim::damage_at_rest(base::Random random) {
  const bool wanted = knobs_.fault_class == FaultClass::kSilent && random.one_in(2);
  const bool rots = random.one_in(2) ? has(Feature::kRot) : !has(Feature::kUnreadable) && has(Feature::kRot);
  if (!wanted || !(has(Feature::kRot) || has(Feature::kUnreadable))) {
    return false;
  }
  std::vector<std::string> files;
  for (std::string& path : disk_.list_files()) {
    // Of a log that was closed well everything is proven; of another one a damaged last group looks like a torn one.
    const bool is_log = path.find("/log/") != std::string::npos;
    if (path.find("/shard-") != std::string::npos || (is_log && last_end_ == End::kCleanClose)) {
      files.push_back(std::move(path));
    }
  }
  if (files.empty()) {
    return false;
  }
  for (std::uint64_t left = 1 + random.below(4); left > 0; --left) {
    const std::string& path = files[random.below(files.size())];
    const Result<std::vector<std::byte>> bytes = disk_.read_all(path);
    if (!bytes.has_value() || bytes->empty()) {
      continue;
    }
    // Where something stands; most of a file is zeros.
    std::uint64_t offset = random.below(bytes->size());
    for (std::uint32_t tries = 0; tries < 200 && (*bytes)[offset] == std::byte{0}; ++tries) {
      offset = random.below(bytes->size());
    }
    const Status damaged = rots ? disk_.flip_byte(path, offset, static_cast<std::uint8_t>(1U << random.below(8)))
                                : disk_.make_unreadable(path, offset, 1);
    PENSTOCK_ASSERT(damaged.is_ok());
    note((rots ? "rot in " : "unreadable: ") + path + " at " + std::to_string(offset));
    ++counts_.damages;
  }
  is_damaged_ = true;
  return true;
}

std::string EngineSim::check_after_damage(base::Random random) {
  note("boot of a damaged disk");
  ++counts_.boots;
  ++counts_.cycles;
  boot_ = start(disk_, random.fork());
  is_booted_ = true;
  if (!boot_.opened.has_value()) {
    return take_answer(boot_);
  }
  if (const std::string wrong = check_families(boot_, families_); !wrong.empty()) {
    return wrong;
  }
  for (ShardId shard = 0; shard < boot_.core->settings().shard_count; ++shard) {
    if (const std::string wrong = check_damaged_shard(shard); !wrong.empty()) {
      return "damaged shard " + std::to_string(shard) + ": " + wrong;
    }
  }
  const Outcome<VerifyReport> report = boot_.world->run(0, &Calls::verify, boot_.core.get());
  (void)report;  // It may find the damage; the next check demands that it ends.
  return {};
}

std::string EngineSim::check_damaged_shard(ShardId shard) {
  struct Get {
    static Task<Result<std::string>> run(detail::ShardEngine* engine, Family family, std::string key) {
      Shard on(*engine);
      co_return co_await on.get(family, key);
    }
  };
  const ShardModel& model = models_[shard];
  const std::uint32_t reactor = shard % boot_.core->settings().reactor_count;
  for (const std::string& state_key : model.known_keys()) {
    const std::size_t slash = state_key.find('/');
    const auto id = static_cast<FamilyId>(std::stoull(state_key.substr(0, slash)));
    const auto family = std::ranges::find_if(
        families_, [id](const FamilyModel& each) { return each.handle.has_value() && each.handle->id() == id; });
    if (family == families_.end()) {
      continue;
    }
    const Result<std::string> value =
        boot_.world->run(reactor, &Get::run, &boot_.core->shard(shard), *family->handle, state_key.substr(slash + 1));
    ++counts_.reads_checked;
    std::optional<std::string> seen;
    if (value.has_value()) {
      seen = *value;
    } else if (!value.error().is(Code::kNotFound)) {
      ++counts_.reads_failed;
      if (!value.error().is(Code::kCorruption) && !value.error().is(Code::kIoError)) {
        return "a get ends " + value.error().to_string();
      }
      continue;
    }
    if (!model.may_survive(state_key, seen, last_end_)) {
      return "\"" + state_key + "\" is " + (seen.has_value() ? "\"" + seen->substr(0, 40) + "\"" : "not there") +
             ", and no error says so";
    }
  }
  return {};
}

}  // namespace penstock::simtest
