#include "tools/penstock-bench/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr const char* kInfoFamily = "bench-info";
constexpr const char* kInfoKey = "data";
constexpr const char* kMakerKey = "maker";

// As Penstock's own default: a quarter of what there is.
std::uint64_t memory_of(const Job& job) {
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  return job.runtime.memory_limit > 0 ? job.runtime.memory_limit : pages * page_bytes / 4;
}

PeerSettings settings_of(const Job& job) {
  constexpr std::uint64_t kHundred = 100;
  constexpr std::uint32_t kClientsMin = 256;  // So that jobs with few clients and many share a store.
  return {.directory = {},
          .families = job.families,
          .clients = std::bit_ceil(std::max(job.clients, kClientsMin)),
          .memtable_bytes = memory_of(job) * job.database.memtable_percent / kHundred,
          .cache_bytes = memory_of(job) * job.database.cache_percent / kHundred,
          .durability = job.durability};
}

// Two jobs with the same text may share an open store.
std::string options_text(const Job& job) {
  if (job.engine != Engine::kPenstock) {
    const PeerSettings settings = settings_of(job);
    return fmt::format("{} {} {} {} {} {} {}", engine_name(job.engine), job.directory, settings.families, settings.clients,
                       settings.memtable_bytes, settings.cache_bytes, durability_name(settings.durability));
  }
  const RuntimeOptions& runtime = job.runtime;
  const DatabaseOptions& database = job.database;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {}", job.directory, runtime.reactors, runtime.memory_limit,
                     runtime.pin_threads, io_backend_name(runtime.io_backend), runtime.ring_entries, database.shards,
                     wal_sync_name(database.wal_sync), database.log_budget_bytes, database.log_segment_bytes,
                     database.memtable_percent, database.cache_percent, database.borrowed_reads);
}

Family info_family(Database& database) {
  return require(database.open_or_create_family(kInfoFamily).get(), "opening family bench-info");
}

std::string noted(Database& database, const char* key) {
  const Result<std::string> found = database.get(info_family(database), key).get();
  if (!found.has_value()) {
    require(found.error().is(Code::kNotFound) ? Status() : found.error(), "looking for what was noted");
    return {};
  }
  return *found;
}

}  // namespace

Session::~Session() {
  if (database_.has_value()) {
    database_->close().ignore("a job failed already; its error is the one to report");
  }
  peer_.reset();  // Before its folder is given back.
}

void Session::open(const Job& job) {
  const std::string options = options_text(job);
  if (job.fresh) {
    close();
    if (job.engine == Engine::kPenstock) {
      remove_database(job.directory);
    } else {
      const std::string engine = engine_name(job.engine);
      PeerDirectory(peer_path(job.directory, engine), engine).clear();
    }
  } else if (options_ != options || job.reopen) {
    close();
  }
  if (!database_.has_value() && peer_ == nullptr) {
    start(job);
    options_ = options;
  }
}

std::uint64_t Session::reopen_ns(const Job& job) {
  close();
  const std::uint64_t open_ns = start(job);
  options_ = options_text(job);
  return open_ns;
}

void Session::close() {
  options_.clear();
  if (peer_ != nullptr) {
    const std::unique_ptr<Peer> peer = std::move(peer_);
    peer->close();
  }
  peer_directory_.reset();
  if (std::optional<Database> database = std::exchange(database_, std::nullopt); database.has_value()) {
    const Status status = database->close();
    database.reset();
    runtime_.reset();
    require(status, "closing the database");
  }
  runtime_.reset();
}

std::uint64_t Session::start(const Job& job) {
  if (job.engine != Engine::kPenstock) {
    return start_peer(job);
  }
  const bool is_new = !holds_database(job.directory);
  runtime_ = require(Runtime::start(job.runtime), "starting the engine");
  const std::uint64_t start_ns = now_ns();
  database_ = require(Database::open(*runtime_, job.directory, job.database), "opening " + job.directory);
  const std::uint64_t open_ns = now_ns() - start_ns;
  if (is_new) {
    require(database_->put(info_family(*database_), kMakerKey, "penstock-bench").get(), "noting who made the database");
  }
  return open_ns;
}

std::uint64_t Session::start_peer(const Job& job) {
  const std::string engine = engine_name(job.engine);
  peer_directory_ = std::make_unique<PeerDirectory>(peer_path(job.directory, engine), engine);
  PeerSettings settings = settings_of(job);
  settings.directory = peer_directory_->path();
  const std::uint64_t start_ns = now_ns();
  peer_ = open_peer(job.engine, settings);
  return now_ns() - start_ns;
}

void Session::settle() {
  if (peer_ != nullptr) {
    peer_->settle();
  } else {
    require(database_->flush().get(), "flush");
  }
}

std::string Session::noted_data() {
  if (peer_ != nullptr) {
    return peer_directory_->noted_data();
  }
  return noted(*database_, kInfoKey);
}

bool Session::made_here() { return peer_ != nullptr || !noted(*database_, kMakerKey).empty(); }

void Session::note_data(const std::string& text) {
  if (peer_ != nullptr) {
    peer_directory_->note_data(text);
  } else {
    require(database_->put(info_family(*database_), kInfoKey, text).get(), "noting what was filled in");
  }
}

std::string Session::path(const Job& job) const { return peer_directory_ != nullptr ? peer_directory_->path() : job.directory; }

}  // namespace penstock::bench
