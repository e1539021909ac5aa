// Opening a database: lock, identity, page stores, reading of all logs, the new epoch, catalog, replay, serving. In this order
// (Core-I1).
#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "engine/database_core.h"
#include "engine/old_logs.h"
#include "engine/remote.h"

namespace penstock::detail {

namespace {

using engine::CatalogOperation;
using engine::DatabaseIdentity;
using engine::DirectoryState;
using engine::LogPlan;
using engine::LogsRead;
using engine::ReactorPart;

/// How long open() waits for another process that holds the lock, or whose last writes are still on their way.
constexpr std::uint64_t kLockWaitNs = 2'000'000'000;
constexpr std::uint64_t kLockRetryNs = 1'000'000;  // A killed process's last writes take some milliseconds to end.
/// Between two files of old logs.
constexpr std::uint64_t kRemovalPauseNs = 20'000'000;
/// With logs of more old epochs than this an open flushes before it serves.
constexpr std::size_t kOldEpochsMax = 4;

std::unexpected<Failure> fail(Status status, std::string text) { return std::unexpected(Failure(status, std::move(text))); }

std::unexpected<Failure> refuse_option(const std::string& text) {
  return fail(Status(Code::kInvalidArgument), "option " + text);
}

Task<Outcome<bool>> open_stores_of(ReactorPart* part) { return part->open_stores(); }
Task<Outcome<bool>> open_log_of(ReactorPart* part) { return part->open_log(); }
Task<Outcome<bool>> replay_on(ReactorPart* part, std::vector<LogPlan> plans, std::shared_ptr<engine::PassProgress> progress) {
  co_return co_await part->replay(plans, *progress);
}
Task<Outcome<bool>> hold_lock_on(ReactorPart* part, reactor::Fd lock) {
  if (const Status status = part->hold_lock(lock); !status.is_ok()) {
    co_return fail(status, "cannot hold LOCK in the ring: " + status.to_string());
  }
  co_return true;
}
Task<Outcome<bool>> claim_on(ReactorPart* part, std::vector<engine::NamedExtent> extents) {
  for (const engine::NamedExtent& named : extents) {
    if (named.shard % part->settings().reactor_count != part->index()) {
      continue;
    }
    if (const Status status = part->shard(named.shard).claim(named.extent, named.end); !status.is_ok()) {
      co_return fail(status, "the log names a value that is not in the page files of shard " + std::to_string(named.shard) +
                                 ": " + status.to_string());
    }
  }
  co_return true;
}
Task<Outcome<bool>> start_on(ReactorPart* part, bool catch_up) {
  part->start(catch_up);
  co_return true;
}
Task<Outcome<bool>> add_families_on(ReactorPart* part, std::vector<std::shared_ptr<FamilyState>> families) {
  for (std::shared_ptr<FamilyState>& family : families) {
    part->add_family(std::move(family));
  }
  co_return true;
}

}  // namespace

/// Runs `function` on every part at once; the first failure, after all have ended.
#define PENSTOCK_ON_ALL_PARTS(function, ...)                                                                              \
  do {                                                                                                                    \
    std::vector<Future<Outcome<bool>>> answers;                                                                           \
    for (const std::unique_ptr<ReactorPart>& part : parts_) {                                                             \
      answers.push_back(engine::run_on(part->reactor(), part->tasks(), function, part.get() __VA_OPT__(, ) __VA_ARGS__)); \
    }                                                                                                                     \
    std::optional<Failure> failed_first;                                                                                  \
    for (Future<Outcome<bool>> & answer : answers) {                                                                      \
      Outcome<bool> outcome = co_await std::move(answer);                                                                 \
      if (!outcome.has_value() && !failed_first.has_value()) failed_first = std::move(outcome.error());                   \
    }                                                                                                                     \
    if (failed_first.has_value()) co_return std::unexpected(std::move(*failed_first));                                    \
  } while (false)

DatabaseCore::DatabaseCore(std::shared_ptr<RuntimeCore> runtime, std::string directory, DatabaseOptions options)
    : runtime_(std::move(runtime)), home_tasks_(home()), ddl_free_(home()) {
  while (directory.size() > 1 && directory.back() == '/') {
    directory.pop_back();
  }
  settings_.directory = std::move(directory);
  settings_.options = std::move(options);
  settings_.chunks = &runtime_->chunks();
}

DatabaseCore::~DatabaseCore() { PENSTOCK_ASSERT(state_.load() == State::kClosed); }

Task<Outcome<bool>> DatabaseCore::open() {
  runtime_->on_database_opening();
  const std::uint64_t began_ns = home().now_ns();
  Outcome<bool> opened = runtime_->add_memory_user(*this);
  if (opened.has_value()) {
    settings_.memory_bytes = runtime_->memory_share();
    opened = co_await open_steps();
  }
  if (!opened.has_value()) {
    (co_await close_parts()).ignore("the failure of opening is the answer");
    parts_.clear();
    lock_.reset();
    runtime_->remove_memory_user(*this);
    runtime_->on_database_closed();
    co_return opened;
  }
  recovery_.duration_ns = home().now_ns() - began_ns;
  state_.store(State::kOpen, std::memory_order_seq_cst);
  on_memory_share(runtime_->memory_share());  // Others may have come and gone meanwhile.
  if (settings_.options.on_progress) {
    settings_.options.on_progress(
        {.stage = OpenProgress::Stage::kDone, .bytes_done = recovery_.log_bytes, .bytes_total = recovery_.log_bytes});
  }
  co_return true;
}

#define PENSTOCK_STEP(expression)                                              \
  do {                                                                         \
    Outcome<bool> step = (expression);                                         \
    if (!step.has_value()) co_return std::unexpected(std::move(step.error())); \
  } while (false)

Task<Outcome<bool>> DatabaseCore::open_steps() {
  PENSTOCK_STEP(check_options(settings_.options));
  Outcome<bool> locked = co_await lock_directory();
  PENSTOCK_STEP(std::move(locked));
  PENSTOCK_STEP(find_or_create());
  Outcome<bool> stores = co_await open_stores();
  PENSTOCK_STEP(std::move(stores));
  OldLogs old;
  PENSTOCK_STEP(plan_old_logs(old));
  PENSTOCK_STEP(check_clean_close(old));
  Outcome<bool> cleared = co_await remove_spare_logs();
  PENSTOCK_STEP(std::move(cleared));
  Outcome<bool> read = co_await read_old_logs(old);
  PENSTOCK_STEP(std::move(read));
  Outcome<bool> claimed = co_await claim_extents(old);
  PENSTOCK_STEP(std::move(claimed));
  PENSTOCK_STEP(write_new_epoch(old));
  Outcome<bool> held = co_await hold_lock();
  PENSTOCK_STEP(std::move(held));
  Outcome<bool> catalog = co_await load_catalog(old);
  PENSTOCK_STEP(std::move(catalog));
  Outcome<bool> replayed = co_await replay(old);
  PENSTOCK_STEP(std::move(replayed));
  co_await serve();
  co_return true;
}

Outcome<bool> DatabaseCore::check_options(const DatabaseOptions& options) const {
  const auto show = [](std::uint64_t value) { return std::to_string(value); };
  if (settings_.directory.empty()) {
    return fail(Status(Code::kInvalidArgument), "the directory's name is empty");
  }
  if (options.shards > kShardCountMax) {
    return refuse_option("shards: " + show(options.shards) + " is over the limit of " + show(kShardCountMax));
  }
  if (options.log_segment_bytes < 64_KiB || options.log_segment_bytes > 64_MiB ||
      options.log_segment_bytes % reactor::kBlockBytes != 0) {
    return refuse_option("log_segment_bytes: " + show(options.log_segment_bytes) +
                         " is not a multiple of 4096 between 64 KiB and 64 MiB");
  }
  if (options.log_budget_bytes < 4 * options.log_segment_bytes) {
    return refuse_option("log_budget_bytes: " + show(options.log_budget_bytes) + " is under 4 segments of " +
                         show(options.log_segment_bytes));
  }
  if (options.memtable_percent < 5 || options.memtable_percent > 80) {
    return refuse_option("memtable_percent: " + show(options.memtable_percent) + " is not between 5 and 80");
  }
  if (options.cache_percent < 5 || options.cache_percent > 90 || options.cache_percent + options.memtable_percent > 95) {
    return refuse_option("cache_percent: " + show(options.cache_percent) +
                         " is not between 5 and 90, or over 95 with memtable_percent");
  }
  if (options.space_use_percent < 50 || options.space_use_percent > 90) {
    return refuse_option("space_use_percent: " + show(options.space_use_percent) + " is not between 50 and 90");
  }
  const bool is_fixed = options.flush_write_bytes != 0;
  if (is_fixed && (options.flush_write_bytes < 64_KiB || options.flush_write_bytes > 64_MiB)) {
    return refuse_option("flush_write_bytes: " + show(options.flush_write_bytes) +
                         " is neither 0 nor between 64 KiB and 64 MiB");
  }
  if (options.flush_bytes_per_second != 0 && options.flush_bytes_per_second < 1_MiB) {
    return refuse_option("flush_bytes_per_second: " + show(options.flush_bytes_per_second) + " is neither 0 nor 1 MiB or more");
  }
  return true;
}

Task<Outcome<bool>> DatabaseCore::lock_directory() {
  reactor::System& system = runtime_->system();
  const std::string& directory = settings_.directory;
  const Outcome<engine::DirectoryContents> contents = engine::inspect_directory(system, directory);
  if (!contents.has_value()) {
    co_return std::unexpected(contents.error());
  }
  if (contents->state == DirectoryState::kForeign) {
    co_return fail(Status(Code::kInvalidArgument, FileKind::kDirectory, 0),
                   directory + " is not a Penstock database and not empty: nothing in it was touched");
  }
  if (contents->state == DirectoryState::kDamaged) {
    co_return fail(
        Status(Code::kCorruption, FileKind::kIdentity, 0),
        directory + ": IDENTITY is missing, but superblocks, a log or EPOCH are there: restore it; nothing was touched");
  }
  if (contents->state != DirectoryState::kDatabase) {
    if (!settings_.options.create_if_missing) {
      co_return fail(Status(Code::kNotFound, FileKind::kDirectory, 0), "there is no database in " + directory);
    }
    if (contents->state == DirectoryState::kAbsent) {
      if (const Status status = system.make_directory(directory); !status.is_ok() && !status.is(Code::kAlreadyExists)) {
        co_return fail(status, "cannot make the directory " + directory + ": " + status.to_string());
      }
    }
  }
  const std::uint64_t deadline_ns = home().now_ns() + kLockWaitNs;
  while (true) {
    const Result<reactor::Fd> lock = system.lock_file(directory + "/LOCK", true);
    if (lock.has_value()) {
      lock_ = reactor::File(system, *lock);
      co_return true;
    }
    if (!lock.error().is(Code::kBusy)) {
      co_return fail(lock.error(), "cannot lock " + directory + "/LOCK: " + lock.error().to_string());
    }
    if (home().now_ns() >= deadline_ns) {
      const std::uint64_t holder = lock.error().where();
      co_return fail(lock.error(), directory + " is in use by " +
                                       (holder == 0 ? std::string("another process") : "process " + std::to_string(holder)));
    }
    co_await home().sleep(kLockRetryNs);
  }
}

Outcome<bool> DatabaseCore::find_or_create() {
  reactor::System& system = runtime_->system();
  const std::string& directory = settings_.directory;
  Outcome<engine::DirectoryContents> contents = engine::inspect_directory(system, directory);  // Again: under the lock now.
  if (!contents.has_value()) {
    return std::unexpected(std::move(contents.error()));
  }
  if (contents->state == DirectoryState::kDatabase && settings_.options.error_if_exists) {
    return fail(Status(Code::kAlreadyExists, FileKind::kDirectory, 0), "there is a database in " + directory + " already");
  }
  if (contents->state == DirectoryState::kUnfinished) {
    PENSTOCK_SOMETIMES("open: an unfinished creation is cleared away", true);
    Outcome<bool> cleared = engine::clear_unfinished(system, directory);
    if (!cleared.has_value()) {
      return cleared;
    }
  }
  if (contents->state != DirectoryState::kDatabase) {
    const std::uint32_t shards =
        settings_.options.shards == 0 ? std::min(4 * system.usable_cores(), kShardCountMax) : settings_.options.shards;
    const DatabaseIdentity made{
        .identity = {.uuid_high = system.random_u64(), .uuid_low = system.random_u64(), .incarnation = 1},
        .shard_count = static_cast<std::uint16_t>(shards),
        .created_ns = system.wall_clock_ns()};
    Outcome<bool> created = engine::create_database(system, directory, made);
    if (!created.has_value()) {
      return created;
    }
    recovery_.created = true;
  }
  const Outcome<DatabaseIdentity> identity = engine::read_identity(system, directory + "/IDENTITY");
  if (!identity.has_value()) {
    return std::unexpected(identity.error());
  }
  settings_.identity = identity->identity;
  settings_.shard_count = identity->shard_count;
  Outcome<wal::EpochState> epoch = wal::read_epoch(system, epoch_path(), settings_.identity);
  if (!epoch.has_value()) {
    return std::unexpected(std::move(epoch.error()));
  }
  epoch_ = std::move(*epoch);
  settings_.epoch = epoch_.epoch + 1;
  settings_.reactor_count =
      static_cast<std::uint16_t>(std::min<std::size_t>(runtime_->reactors().size(), settings_.shard_count));
  return true;
}

Task<Outcome<bool>> DatabaseCore::open_stores() {
  shards_behind_.store(settings_.shard_count);
  for (std::uint16_t index = 0; index < settings_.reactor_count; ++index) {
    parts_.push_back(
        std::make_unique<ReactorPart>(*runtime_->reactors()[index], index, settings_, [this] { on_shard_caught_up(); }));
  }
  PENSTOCK_ON_ALL_PARTS(&open_stores_of);
  co_return true;
}

Outcome<bool> DatabaseCore::plan_old_logs(OldLogs& old) {
  const auto plan_epoch = [&](std::uint32_t epoch, std::size_t reactors, const std::vector<std::uint64_t>* ends) {
    for (std::size_t index = 0; index < reactors; ++index) {
      LogPlan plan;
      plan.name = {.epoch = epoch, .reactor = static_cast<std::uint16_t>(index)};
      plan.reactors = static_cast<std::uint16_t>(reactors);
      if (ends != nullptr) {
        plan.known_end = (*ends)[index];
        plan.end = (*ends)[index];
      }
      plan.begin = ~std::uint64_t{0};
      for (std::size_t id = index; id < settings_.shard_count; id += reactors) {
        const ShardEngine& shard_engine = shard(static_cast<ShardId>(id));
        const btree::AppliedPosition needed = shard_engine.needed_from();
        const btree::AppliedPosition applied = shard_engine.superblock().applied;
        const std::uint64_t from = needed.epoch < epoch ? 0 : needed.epoch == epoch ? needed.offset : ~std::uint64_t{0};
        plan.begin = std::min(plan.begin, from);
        plan.proven_end = std::max(plan.proven_end, applied.epoch == epoch ? applied.offset : 0);
      }
      plan.needed = plan.begin < plan.known_end.value_or(~std::uint64_t{0});
      old.plans.push_back(plan);
    }
  };
  for (std::size_t id = 0; id < settings_.shard_count; ++id) {
    const btree::AppliedPosition applied = shard(static_cast<ShardId>(id)).superblock().applied;
    if (applied.epoch > epoch_.epoch) {
      return fail(Status(Code::kCorruption, FileKind::kEpoch, 0).with_shard(static_cast<std::uint16_t>(id)),
                  epoch_path() + ": shard " + std::to_string(id) + " has applied epoch " + std::to_string(applied.epoch) +
                      ", but EPOCH is at " + std::to_string(epoch_.epoch) + ": its newer slot was lost");
    }
  }
  for (const wal::OldEpoch& epoch : epoch_.old_epochs) {
    plan_epoch(epoch.epoch, epoch.ends.size(), &epoch.ends);
  }
  plan_epoch(epoch_.epoch, epoch_.reactors, epoch_.clean ? &epoch_.clean_ends : nullptr);
  recovery_.clean = epoch_.clean && !recovery_.created;
  PENSTOCK_SOMETIMES("open: after a clean close", recovery_.clean);
  return true;
}

/// What a clean close noted of every shard must still be there.
Outcome<bool> DatabaseCore::check_clean_close(const OldLogs& old) const {
  (void)old;
  if (!epoch_.clean) {
    return true;
  }
  for (std::size_t id = 0; id < settings_.shard_count; ++id) {
    const std::uint64_t noted = epoch_.shard_generations[id];
    const std::uint64_t found = shard(static_cast<ShardId>(id)).superblock().generation;
    if (found < noted) {
      const auto shard_id = static_cast<ShardId>(id);
      const Status passed_over = shard(shard_id).superblock_passed_over();
      return fail(Status(Code::kCorruption, FileKind::kSuper, 0).with_shard(shard_id),
                  engine::shard_directory(settings_, shard_id) + "/super: generation " + std::to_string(found) +
                      " is the newest that opens, but the database was closed with " + std::to_string(noted) +
                      (passed_over.is_ok() ? std::string() : ": " + passed_over.to_string()));
    }
  }
  return true;
}

/// Logs above EPOCH's epoch are spares of an opening that did not get as far as EPOCH: nothing can have been appended to them.
Task<Outcome<bool>> DatabaseCore::remove_spare_logs() {
  const std::string directory = engine::log_directory(settings_);
  Outcome<std::vector<wal::SegmentFile>> segments = wal::list_segments(runtime_->system(), directory);
  if (!segments.has_value()) {
    co_return std::unexpected(std::move(segments.error()));
  }
  std::vector<wal::LogName> spares;
  for (const wal::SegmentFile& segment : *segments) {
    if (segment.log.epoch > epoch_.epoch &&
        (spares.empty() || spares.back().epoch != segment.log.epoch || spares.back().reactor != segment.log.reactor)) {
      spares.push_back(segment.log);
    }
  }
  for (const wal::LogName& name : spares) {
    PENSTOCK_SOMETIMES("open: segments of an opening without EPOCH", true);
    engine::LogsToRead one{.plans = {LogPlan{.name = name}}, .progress = make_progress(OpenProgress::Stage::kReadingLogs)};
    const Outcome<LogsRead> read = co_await engine::read_logs(parts_.front().get(), std::move(one));
    if (!read.has_value() && !read.error().status.is(Code::kCorruption)) {
      co_return std::unexpected(read.error());  // What stands there is not known.
    }
    if (!read.has_value() || read->groups > 0) {
      co_return fail(Status(Code::kCorruption, FileKind::kEpoch, 0),
                     epoch_path() + ": a log of epoch " + std::to_string(name.epoch) + " has records, but EPOCH is at " +
                         std::to_string(epoch_.epoch) + ": its newer slot was lost");
    }
    if (const Status status = wal::remove_log(runtime_->system(), directory, name); !status.is_ok()) {
      co_return fail(status, "cannot remove spare segments in " + directory + ": " + status.to_string());
    }
  }
  co_return true;
}

std::shared_ptr<engine::PassProgress> DatabaseCore::make_progress(OpenProgress::Stage stage) const {
  return std::make_shared<engine::PassProgress>(stage, settings_.options.on_progress);
}

/// The first segments of the new epoch are made meanwhile: until EPOCH names it they are spares.
Task<Outcome<bool>> DatabaseCore::read_old_logs(OldLogs& old) {
  std::vector<Future<Outcome<bool>>> new_logs;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    new_logs.push_back(engine::run_on(part->reactor(), part->tasks(), &open_log_of, part.get()));
  }
  Outcome<bool> read = co_await read_needed_logs(old);
  for (Future<Outcome<bool>>& answer : new_logs) {
    Outcome<bool> opened = co_await std::move(answer);
    if (!opened.has_value() && read.has_value()) {
      read = std::move(opened);
    }
  }
  co_return read;
}

Task<Outcome<bool>> DatabaseCore::read_needed_logs(OldLogs& old) {
  const auto progress = make_progress(OpenProgress::Stage::kReadingLogs);
  // The cache is empty yet: what it may hold is free for what pass 2 will need again.
  const auto needed = static_cast<std::uint64_t>(std::ranges::count_if(old.plans, &LogPlan::needed));
  const std::uint64_t image_bytes =
      settings_.memory_bytes / 100 * settings_.options.cache_percent / std::max<std::uint64_t>(needed, 1);
  // With these counts each old log's shards are on one part, the one that reads it.
  const auto is_of_one_part = [this](const LogPlan& plan) { return plan.reactors % parts_.size() == 0; };
  const bool deals = std::ranges::all_of(old.plans, [&](const LogPlan& plan) { return !plan.needed || is_of_one_part(plan); });
  std::vector<engine::LogsToRead> by_part(parts_.size(), {.image_bytes = image_bytes, .deals = deals, .progress = progress});
  for (const LogPlan& plan : old.plans) {
    if (plan.needed) {
      by_part[plan.name.reactor % parts_.size()].plans.push_back(plan);
    }
  }
  std::vector<Future<Outcome<LogsRead>>> answers;
  for (std::size_t index = 0; index < parts_.size(); ++index) {
    ReactorPart* part = parts_[index].get();
    answers.push_back(engine::run_on(part->reactor(), part->tasks(), &engine::read_logs, part, by_part[index]));
  }
  std::optional<Failure> failure;
  for (Future<Outcome<LogsRead>>& answer : answers) {
    Outcome<LogsRead> read = co_await std::move(answer);
    if (!read.has_value()) {
      failure = failure.has_value() ? std::move(failure) : std::optional<Failure>(std::move(read.error()));
      continue;
    }
    for (const LogPlan& plan : read->plans) {
      const auto place = std::ranges::find_if(old.plans, [&plan](const LogPlan& each) {
        return each.name.epoch == plan.name.epoch && each.name.reactor == plan.name.reactor;
      });
      place->end = plan.end;
      place->dealt_end = plan.dealt_end;
      place->image = is_of_one_part(plan) ? plan.image : nullptr;
    }
    std::ranges::move(read->catalog, std::back_inserter(old.catalog));
    std::ranges::move(read->extents, std::back_inserter(old.extents));
    recovery_.logs += static_cast<std::uint32_t>(read->plans.size());
    recovery_.log_bytes += read->bytes;
    recovery_.records += read->records;
    recovery_.torn_tails += read->torn_tails;
  }
  if (failure.has_value()) {
    co_return std::unexpected(std::move(*failure));
  }
  std::ranges::sort(old.catalog, {}, [](const CatalogOperation& each) { return std::pair(each.end, each.order); });
  co_return true;
}

/// Before anything is flushed: passes leave alone what records name.
Task<Outcome<bool>> DatabaseCore::claim_extents(const OldLogs& old) {
  PENSTOCK_ON_ALL_PARTS(&claim_on, old.extents);
  co_return true;
}

Outcome<bool> DatabaseCore::write_new_epoch(const OldLogs& old) {
  wal::EpochState next;
  next.generation = epoch_.generation + 1;
  next.epoch = settings_.epoch;
  next.reactors = settings_.reactor_count;
  for (const LogPlan& plan : old.plans) {
    if (next.old_epochs.empty() || next.old_epochs.back().epoch != plan.name.epoch) {
      next.old_epochs.push_back({.epoch = plan.name.epoch, .ends = {}});
    }
    next.old_epochs.back().ends.push_back(plan.end);
  }
  std::erase_if(next.old_epochs, [&old](const wal::OldEpoch& epoch) {
    return std::ranges::none_of(old.plans,
                                [&epoch](const LogPlan& plan) { return plan.needed && plan.name.epoch == epoch.epoch; });
  });
  if (const Status status = wal::write_epoch(runtime_->system(), epoch_path(), settings_.identity, next, false);
      !status.is_ok()) {
    return fail(status, "cannot write " + epoch_path() + ": " + status.to_string());
  }
  recovery_.epoch = next.epoch;
  for (const LogPlan& plan : old.plans) {
    old_logs_.push_back(plan.name);
  }
  epoch_ = std::move(next);
  return true;
}

Task<Outcome<bool>> DatabaseCore::hold_lock() {
  PENSTOCK_ON_ALL_PARTS(&hold_lock_on, lock_.fd());
  co_return true;
}

Task<Outcome<bool>> DatabaseCore::load_catalog(OldLogs& old) {
  catalog_ = std::make_unique<engine::Catalog>(settings_.shard_count);
  const auto bad = [this](Status status) {
    return fail(status, "the catalog of " + settings_.directory + " cannot be read: " + status.to_string());
  };
  ShardEngine& first = shard(0);
  Status status = co_await first.load_catalog(*catalog_);
  if (!status.is_ok()) {
    co_return bad(status);
  }
  const btree::AppliedPosition applied = first.superblock().applied;
  for (const CatalogOperation& operation : old.catalog) {
    if (operation.end <= wal::Position{.epoch = applied.epoch, .offset = applied.offset}) {
      PENSTOCK_SOMETIMES("recovery: a catalog operation that is in the tree already", true);
      continue;
    }
    status = catalog_->load(operation.key, operation.value);
    if (!status.is_ok()) {
      co_return bad(status);
    }
  }
  PENSTOCK_ON_ALL_PARTS(&add_families_on, catalog_->families());
  co_return true;
}

Task<Outcome<bool>> DatabaseCore::replay(OldLogs& old) {
  const auto progress = make_progress(OpenProgress::Stage::kReplaying);
  PENSTOCK_ON_ALL_PARTS(&replay_on, old.plans, progress);
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    for (const std::unique_ptr<ShardEngine>& each : part->shards()) {
      recovery_.operations += each->replayed_operations();
    }
  }
  co_return true;
}

Task<> DatabaseCore::serve() {
  std::vector<Future<Outcome<bool>>> answers;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    answers.push_back(engine::run_on(part->reactor(), part->tasks(), &start_on, part.get(), !old_logs_.empty()));
  }
  for (Future<Outcome<bool>>& answer : answers) {
    (void)co_await std::move(answer);
  }
  if (epoch_.old_epochs.size() > kOldEpochsMax) {
    PENSTOCK_SOMETIMES("open: logs of many epochs, flushed before serving", true);
    // An unreadable page does not keep the database shut: its shard says so when it is asked.
    (co_await flush_all()).ignore("flushing ahead only trims the log");
  }
}

void DatabaseCore::on_shard_caught_up() {
  if (shards_behind_.fetch_sub(1) != 1) {
    return;
  }
  struct Remove {
    static Task<Status> run(DatabaseCore* core) {
      co_await core->remove_old_logs();
      core->leave_home_call();
      co_return Status::ok();
    }
  };
  home_calls_.fetch_add(1, std::memory_order_seq_cst);  // Holds close() back, as a call of a user would.
  (void)engine::run_on(home(), home_tasks_, &Remove::run, this);
}

/// No superblock needs a log of an earlier epoch. EPOCH may go on naming them: the next opening sees that nobody needs them.
/// One file after the other, while commits go on.
Task<> DatabaseCore::remove_old_logs() {
  const std::vector<wal::LogName> names = std::exchange(old_logs_, {});
  PENSTOCK_SOMETIMES("open: logs of earlier epochs are removed", !names.empty());
  const std::string directory = engine::log_directory(settings_);
  for (const wal::LogName& name : names) {
    bool has_more = true;
    while (has_more) {
      const Result<bool> left = wal::shorten_log(runtime_->system(), directory, name);
      has_more = left.has_value() && *left;  // The next opening removes what could not be removed.
      if (has_more && is_open()) {
        co_await home().sleep(kRemovalPauseNs);
      }
    }
  }
}

}  // namespace penstock::detail
