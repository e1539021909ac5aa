#include "engine/old_logs.h"

#include <utility>

#include "btree/btree.h"
#include "engine/operation.h"

namespace penstock::engine {

namespace {

/// Pass 1: nothing is applied.
class Collector final : public wal::RecordVisitor {
 public:
  explicit Collector(LogsRead& result) : result_(result) {}

  Task<Status> on_part(const wal::Part& part, wal::Position end) override {
    OperationReader reader(part.payload);
    while (reader.next()) {
      const Operation& operation = reader.operation();
      if (operation.kind == OperationKind::kPutExtent) {
        const Result<btree::ExtentPointer> extent = btree::extent_from_bytes(operation.value);
        if (!extent.has_value()) {
          co_return Status(Code::kCorruption).with_place(FileKind::kLog, end.offset);
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
    co_return reader.status().is_ok() ? Status::ok() : reader.status().with_place(FileKind::kLog, end.offset);
  }

 private:
  LogsRead& result_;
};

}  // namespace

Task<Outcome<LogsRead>> read_logs(ReactorPart* part, std::vector<LogPlan> plans, std::uint64_t image_bytes) {
  LogsRead result;
  for (LogPlan& plan : plans) {
    wal::ReadOptions options;
    options.directory = log_directory(part->settings());
    options.identity = part->settings().identity;
    options.log = plan.name;
    options.begin = plan.begin;
    options.known_end = plan.known_end;
    options.proven_end = plan.proven_end;
    plan.image = std::make_shared<wal::LogImage>(*part->settings().chunks, image_bytes);
    options.sink = plan.image.get();
    Collector collector(result);
    Outcome<wal::ReadResult> read = co_await wal::read_log(part->reactor(), std::move(options), collector);
    if (!read.has_value()) {
      co_return std::unexpected(std::move(read.error()));
    }
    plan.end = plan.known_end.value_or(read->end);
    result.bytes += read->bytes;
    result.groups += read->groups;
    result.torn_tails += read->torn_tail ? 1U : 0U;
  }
  result.plans = std::move(plans);
  co_return result;
}

}  // namespace penstock::engine
