// Verification of an open database: what its files are made of once, and each reactor's shards and log side by side.
#include <algorithm>
#include <memory>
#include <utility>

#include "engine/database_core.h"
#include "engine/remote.h"
#include "engine/scrub.h"

namespace penstock::detail {

namespace {

using engine::ReactorPart;
using engine::ScrubPart;
using engine::ScrubRun;

Task<Status> expect_on(ReactorPart* part, std::shared_ptr<ScrubRun> run) {
  for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
    run->expect(shard->scrub_bytes());
  }
  run->expect(part->log().durable_position().offset - part->log().needed_from().offset);
  co_return Status::ok();
}

/// What is durable of the reactor's log. Segments may be freed, and written over, meanwhile: what is wrong there is no damage.
Task<> scrub_log(ReactorPart* part, ScrubPart* scrub) {
  const wal::Log& log = part->log();
  wal::LogCheckOptions options;
  options.directory = engine::log_directory(part->settings());
  options.identity = part->settings().identity;
  options.log = {.epoch = part->settings().epoch, .reactor = part->index()};
  options.begin = log.needed_from().offset;
  options.end = log.durable_position().offset;
  engine::LogScrub inspector(*scrub);
  (void)co_await wal::check_log(part->reactor(), std::move(options), inspector);
  inspector.finish(log.needed_from().offset);
}

Task<Outcome<VerifyReport>> scrub_on(ReactorPart* part, std::shared_ptr<ScrubRun> run) {
  ScrubPart scrub(part->reactor(), part, *run);
  for (const std::unique_ptr<ShardEngine>& shard : part->shards()) {
    co_await shard->scrub(&scrub);
  }
  if (!scrub.is_stopped()) {
    co_await scrub_log(part, &scrub);
  }
  co_return std::move(scrub.report());
}

}  // namespace

Task<Outcome<VerifyReport>> DatabaseCore::scrub(ScrubOptions options) {
  const auto run = std::make_shared<ScrubRun>(std::move(options), static_cast<std::uint32_t>(parts_.size()));
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    (co_await engine::run_on(part->reactor(), part->tasks(), &expect_on, part.get(), run)).ignore("it cannot fail");
  }
  ScrubPart files(home(), parts_.front().get(), *run);
  co_await files.check_identity(settings_.directory + "/IDENTITY", settings_.shard_count);
  co_await files.check_epoch(epoch_path(), settings_.identity, epoch_.generation);
  VerifyReport total = std::move(files.report());
  std::vector<Future<Outcome<VerifyReport>>> answers;
  for (const std::unique_ptr<ReactorPart>& part : parts_) {
    answers.push_back(engine::run_on(part->reactor(), part->tasks(), &scrub_on, part.get(), run));
  }
  for (Future<Outcome<VerifyReport>>& answer : answers) {
    engine::add_report(total, *co_await std::move(answer));
  }
  co_return total;
}

Task<Outcome<VerifyReport>> DatabaseCore::verify() {
  constexpr std::size_t kLinesMax = 20;
  Outcome<VerifyReport> report = co_await scrub({});
  if (report.has_value() && !report->is_complete) {
    co_return std::unexpected(Failure(Status(Code::kClosed), "the database closes"));
  }
  if (!report.has_value() || report->is_sound()) {
    co_return report;
  }
  std::string text = settings_.directory + ": " + std::to_string(report->damage_count) + " damages";
  for (std::size_t index = 0; index < std::min(kLinesMax, report->damages.size()); ++index) {
    text += "\n" + report->damages[index].to_string();
  }
  co_return std::unexpected(Failure(report->damages.front().status, std::move(text)));
}

}  // namespace penstock::detail
