#include "engine/old_logs.h"

#include <utility>

#include "btree/btree.h"
#include "engine/operation.h"

namespace penstock::engine {

namespace {

class Reader final : public wal::RecordVisitor {
 public:
  Reader(ReactorPart& part, PassProgress& progress, LogsRead& result, bool deals)
      : part_(part), progress_(progress), result_(result), deals_(deals) {}

  void begin(LogPlan& plan) {
    plan_ = &plan;
    plan.image->set_keeping(!deals_);
  }
  Task<Status> on_part(const wal::Part& part, wal::Position end) override;
  void on_log(std::uint64_t bytes_max) override { progress_.add_total(bytes_max); }
  void on_group(wal::Position end, std::uint64_t group_bytes) override;

 private:
  Status note(const wal::Part& part, wal::Position end);

  ReactorPart& part_;
  PassProgress& progress_;
  LogsRead& result_;
  LogPlan* plan_ = nullptr;
  bool deals_;
  bool is_group_new_ = true;
};

/// A group is dealt whole or not at all.
Task<Status> Reader::on_part(const wal::Part& part, wal::Position end) {
  if (std::exchange(is_group_new_, false) && deals_ && part_.is_memory_short()) {
    deals_ = false;
    plan_->image->set_keeping(true);
  }
  if (const Status status = note(part, end); !status.is_ok() || !deals_ || !part_.has_shard(part.shard)) {
    co_return status;
  }
  co_return co_await part_.shard(part.shard).deal(part, end, detail::ShardEngine::RecoveryPass::kReading);
}

void Reader::on_group(wal::Position end, std::uint64_t group_bytes) {
  is_group_new_ = true;
  plan_->dealt_end = deals_ ? end.offset : plan_->dealt_end;
  progress_.add_done(group_bytes);
}

Status Reader::note(const wal::Part& part, wal::Position end) {
  OperationReader reader(part.payload);
  while (reader.next()) {
    const Operation& operation = reader.operation();
    if (operation.kind == OperationKind::kPutExtent && !deals_) {
      const Result<btree::ExtentPointer> extent = btree::extent_from_bytes(operation.value);
      if (!extent.has_value()) {
        return Status(Code::kCorruption).with_place(FileKind::kLog, end.offset);
      }
      result_.extents.push_back({.shard = part.shard, .end = end, .extent = *extent});
    } else if (part.shard == 0 && operation.family == btree::kCatalogFamily) {
      const bool is_put = operation.kind == OperationKind::kPut;
      result_.catalog.push_back({.end = end,
                                 .order = result_.catalog.size(),
                                 .key = std::string(operation.key),
                                 .value = is_put ? std::optional<std::string>(operation.value) : std::nullopt});
    }
  }
  return reader.status().is_ok() ? Status::ok() : reader.status().with_place(FileKind::kLog, end.offset);
}

}  // namespace

PassProgress::PassProgress(OpenProgress::Stage stage, std::function<void(const OpenProgress&)> tell)
    : stage_(stage), tell_(std::move(tell)) {}

void PassProgress::add_done(std::uint64_t bytes) {
  const std::uint64_t done = done_.fetch_add(bytes) + bytes;
  if (tell_) {
    tell_({.stage = stage_, .bytes_done = done, .bytes_total = total_.load()});
  }
}

Task<Outcome<LogsRead>> read_logs(ReactorPart* part, LogsToRead logs) {
  LogsRead result;
  Reader reader(*part, *logs.progress, result, logs.deals);
  for (LogPlan& plan : logs.plans) {
    wal::ReadOptions options;
    options.directory = log_directory(part->settings());
    options.identity = part->settings().identity;
    options.log = plan.name;
    options.begin = plan.begin;
    options.known_end = plan.known_end;
    options.proven_end = plan.proven_end;
    plan.image = std::make_shared<wal::LogImage>(*part->settings().chunks, logs.image_bytes);
    options.sink = plan.image.get();
    reader.begin(plan);
    Outcome<wal::ReadResult> read = co_await wal::read_log(part->reactor(), std::move(options), reader);
    if (!read.has_value()) {
      co_return std::unexpected(std::move(read.error()));
    }
    plan.end = plan.known_end.value_or(read->end);
    result.records += read->records;
    result.bytes += read->bytes;
    result.groups += read->groups;
    result.torn_tails += read->torn_tail ? 1U : 0U;
  }
  result.plans = std::move(logs.plans);
  co_return result;
}

}  // namespace penstock::engine
