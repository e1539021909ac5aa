// Verification of a database that nobody has open: what opening would read, read and checked, and nothing written. What one
// step finds damaged, and would end an opening, is reported, and the steps that need nothing of it go on.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "engine/database_core.h"
#include "engine/old_logs.h"
#include "engine/remote.h"
#include "engine/scrub.h"

namespace penstock::detail {

namespace {

using engine::LogPlan;
using engine::ReactorPart;
using engine::ScrubPart;
using engine::ScrubRun;

/// As reading the log for recovery finds its records; what they hold is checked elsewhere.
class NoRecords final : public wal::RecordVisitor {
 public:
  Task<Status> on_part(const wal::Part& part, wal::Position end) override {
    (void)part;
    (void)end;
    co_return Status::ok();
  }
};

/// Damage that ended a step: with the file that its failure speaks of, as far as that says.
Damage damage_of(const Failure& failure, std::string file) {
  return {.kind = failure.status.is(Code::kCorruption)     ? Damage::Kind::kChecksum
                  : failure.status.is(Code::kNotSupported) ? Damage::Kind::kUnsupported
                                                           : Damage::Kind::kUnreadable,
          .status = failure.status,
          .file = std::move(file),
          .offset = failure.status.where(),
          .bytes = 0};
}

/// Shards of a part: opened as far as they open, and walked.
Task<Outcome<VerifyReport>> verify_shards(ReactorPart* part, std::shared_ptr<ScrubRun> run) {
  ScrubPart scrub(part->reactor(), part, *run);
  for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
    const Outcome<bool> opened = co_await shard->open_store();
    if (!opened.has_value()) {
      scrub.add(engine::damage_of(btree::PageStore::SuperDamage{opened.error().status, 0}, shard->id()));
      continue;
    }
    run->expect(shard->scrub_bytes());
    if (const Status passed_over = shard->superblock_passed_over(); !passed_over.is_ok()) {
      scrub.add(engine::damage_of(btree::PageStore::SuperDamage{passed_over, 0}, shard->id()));
    }
    co_await shard->scrub(&scrub);
  }
  co_return std::move(scrub.report());
}

/// A log as recovery would read it. If that ends in damage, the whole of it is looked at once more for all damages.
Task<Outcome<VerifyReport>> verify_log(ReactorPart* part, std::shared_ptr<ScrubRun> run, LogPlan plan) {
  ScrubPart scrub(part->reactor(), part, *run);
  wal::ReadOptions options;
  options.directory = engine::log_directory(part->settings());
  options.identity = part->settings().identity;
  options.log = plan.name;
  options.begin = plan.begin;
  options.known_end = plan.known_end;
  options.proven_end = plan.proven_end;
  NoRecords none;
  const Outcome<wal::ReadResult> read = co_await wal::read_log(part->reactor(), options, none);
  const bool is_damaged = !read.has_value();
  std::uint64_t end = is_damaged ? std::max(plan.proven_end, plan.known_end.value_or(0)) : read->end;
  if (is_damaged) {
    for (const LogRange& range : read.error().ranges) {
      end = std::max(end, range.end);
    }
  }
  engine::LogScrub inspector(scrub);
  wal::LogCheckOptions check{.directory = options.directory,
                             .identity = options.identity,
                             .log = plan.name,
                             .begin = is_damaged ? plan.begin : std::max(plan.begin, read->first),
                             .end = end};
  (void)co_await wal::check_log(part->reactor(), std::move(check), inspector);
  inspector.finish(0);
  if (is_damaged && scrub.report().damage_count == 0) {
    scrub.add(damage_of(read.error(), "log/" + std::to_string(plan.name.epoch) + "-" + std::to_string(plan.name.reactor)));
  }
  co_return std::move(scrub.report());
}

}  // namespace

Task<Outcome<VerifyReport>> DatabaseCore::verify_closed(ScrubOptions options) {
  runtime_->on_database_opening();
  Outcome<VerifyReport> report;
  const Outcome<bool> added = runtime_->add_memory_user(*this);
  if (added.has_value()) {
    settings_.memory_bytes = runtime_->memory_share();
    report = co_await verify_closed_steps(std::move(options));
  } else {
    report = std::unexpected(added.error());
  }
  (co_await close_parts()).ignore("nothing was written");
  parts_.clear();
  lock_.reset();
  if (added.has_value()) {
    runtime_->remove_memory_user(*this);
  }
  runtime_->on_database_closed();
  co_return report;
}

Task<Outcome<VerifyReport>> DatabaseCore::verify_closed_steps(ScrubOptions options) {
  settings_.options.create_if_missing = false;
  Outcome<bool> locked = co_await lock_directory();
  if (!locked.has_value()) {
    co_return std::unexpected(std::move(locked.error()));
  }
  VerifyReport total;
  const auto run = std::make_shared<ScrubRun>(std::move(options), static_cast<std::uint32_t>(runtime_->reactors().size()));
  reactor::System& system = runtime_->system();
  const Outcome<engine::DatabaseIdentity> identity = engine::read_identity(system, settings_.directory + "/IDENTITY");
  if (!identity.has_value()) {
    ScrubPart files(home(), nullptr, *run);
    files.add(damage_of(identity.error(), "IDENTITY"));
    total = std::move(files.report());
    total.is_complete = false;  // Nothing else can be told from another database's.
    co_return total;
  }
  settings_.identity = identity->identity;
  settings_.shard_count = identity->shard_count;
  settings_.reactor_count =
      static_cast<std::uint16_t>(std::min<std::size_t>(runtime_->reactors().size(), settings_.shard_count));
  for (std::uint16_t index = 0; index < settings_.reactor_count; ++index) {
    parts_.push_back(std::make_unique<ReactorPart>(*runtime_->reactors()[index], index, settings_, [] {}));
  }
  ScrubPart files(home(), nullptr, *run);
  Outcome<wal::EpochState> epoch = wal::read_epoch(system, epoch_path(), settings_.identity);
  if (epoch.has_value()) {
    co_await files.check_epoch(epoch_path(), settings_.identity, epoch->generation);
    epoch_ = std::move(*epoch);
  } else {
    files.add(damage_of(epoch.error(), "EPOCH"));
  }
  total = std::move(files.report());

  std::vector<Future<Outcome<VerifyReport>>> answers;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    answers.push_back(engine::run_on(part->reactor(), part->tasks(), &verify_shards, part.get(), run));
  }
  for (Future<Outcome<VerifyReport>>& answer : answers) {
    engine::add_report(total, *co_await std::move(answer));
  }
  co_await verify_closed_logs(run, &total);
  co_return total;
}

/// The logs that the shards need, if all of them opened: from where, their superblocks say.
Task<> DatabaseCore::verify_closed_logs(std::shared_ptr<ScrubRun> run, VerifyReport* total) {
  const auto is_open = [](const std::unique_ptr<ReactorPart>& part) {
    return std::ranges::all_of(part->shards(), [](const auto& shard) { return shard->has_store(); });
  };
  if (epoch_.generation == 0 || !std::ranges::all_of(parts_, is_open) || run->is_stopped()) {
    total->is_complete = false;
    co_return;
  }
  ScrubPart files(home(), nullptr, *run);
  OldLogs old;
  Outcome<bool> step = plan_old_logs(old);
  if (step.has_value()) step = check_clean_close(old);
  if (!step.has_value()) {
    files.add(damage_of(step.error(), step.error().status.file_kind() == FileKind::kEpoch ? "EPOCH" : "super"));
  }
  engine::add_report(*total, std::move(files.report()));
  for (const LogPlan& plan : old.plans) {
    if (!plan.needed) continue;
    ReactorPart* const part = parts_[plan.name.reactor % parts_.size()].get();
    engine::add_report(*total, *co_await engine::run_on(part->reactor(), part->tasks(), &verify_log, part, run, plan));
  }
}

}  // namespace penstock::detail
