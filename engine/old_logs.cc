#include "engine/old_logs.h"

#include <utility>

#include "btree/btree.h"
#include "engine/operation.h"

namespace penstock::engine {

namespace {

/// Pass 1: nothing is applied; the catalog's operations are noted.
class CatalogCollector final : public wal::RecordVisitor {
 public:
  explicit CatalogCollector(std::vector<CatalogOperation>& operations) : operations_(operations) {}

  Task<Status> on_part(const wal::Part& part, wal::Position end) override {
    if (part.shard != 0) {
      co_return Status::ok();
    }
    OperationReader reader(part.payload);
    while (reader.next()) {
      const Operation& operation = reader.operation();
      if (operation.family == btree::kCatalogFamily) {
        const bool is_put = operation.kind == OperationKind::kPut;
        operations_.push_back({.end = end,
                               .order = operations_.size(),
                               .key = std::string(operation.key),
                               .value = is_put ? std::optional<std::string>(operation.value) : std::nullopt});
      }
    }
    co_return reader.status().is_ok() ? Status::ok() : reader.status().with_place(FileKind::kLog, end.offset);
  }

 private:
  std::vector<CatalogOperation>& operations_;
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
    CatalogCollector collector(result.catalog);
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
