#include "tools/penstock-bench/session.h"

#include <fmt/format.h>

#include <utility>

#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

// Two jobs with the same text may share an open database.
std::string options_text(const Job& job) {
  const RuntimeOptions& runtime = job.runtime;
  const DatabaseOptions& database = job.database;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {}", job.directory, runtime.reactors, runtime.memory_limit,
                     runtime.pin_threads, io_backend_name(runtime.io_backend), runtime.ring_entries, database.shards,
                     wal_sync_name(database.wal_sync), database.log_budget_bytes, database.log_segment_bytes,
                     database.memtable_percent, database.cache_percent, database.borrowed_reads);
}

}  // namespace

Session::~Session() {
  if (database_.has_value()) {
    database_->close().ignore("a job failed already; its error is the one to report");
  }
}

Database& Session::open(const Job& job) {
  const std::string options = options_text(job);
  if (job.fresh) {
    close();
    remove_database(job.directory);
  } else if (options_ != options || job.reopen) {
    close();
  }
  if (!database_.has_value()) {
    start(job);
    options_ = options;
  }
  return *database_;
}

std::uint64_t Session::reopen_ns(const Job& job) {
  close();
  const std::uint64_t open_ns = start(job);
  options_ = options_text(job);
  return open_ns;
}

void Session::close() {
  options_.clear();
  if (std::optional<Database> database = std::exchange(database_, std::nullopt); database.has_value()) {
    const Status status = database->close();
    database.reset();
    runtime_.reset();
    require(status, "closing the database");
  }
  runtime_.reset();
}

std::uint64_t Session::start(const Job& job) {
  runtime_ = require(Runtime::start(job.runtime), "starting the engine");
  const std::uint64_t start_ns = now_ns();
  database_ = require(Database::open(*runtime_, job.directory, job.database), "opening " + job.directory);
  return now_ns() - start_ns;
}

}  // namespace penstock::bench
