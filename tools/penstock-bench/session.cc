#include "tools/penstock-bench/session.h"

#include <fmt/format.h>

#include <utility>

#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/store_options.h"

namespace penstock::bench {
namespace {

constexpr const char* kInfoFamily = "bench-info";
constexpr const char* kInfoKey = "data";
constexpr const char* kMakerKey = "maker";

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
  const std::string options = store_options(job);
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

void Session::reopen(const Job& job) {
  close();
  start(job);
  options_ = store_options(job);
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

void Session::start(const Job& job) {
  if (job.engine != Engine::kPenstock) {
    start_peer(job);
    return;
  }
  const bool is_new = !holds_database(job.directory);
  Outcome<Runtime> started = Runtime::start(job.runtime);
  if (!started.has_value()) {
    throw EnvironmentError("starting the engine: " + started.error().text);
  }
  runtime_ = std::move(*started);
  const std::uint64_t start_ns = now_ns();
  database_ = require(Database::open(*runtime_, job.directory, job.database), "opening " + job.directory);
  open_ns_ = now_ns() - start_ns;
  if (is_new) {
    require(database_->put(info_family(*database_), kMakerKey, "penstock-bench").get(), "noting who made the database");
  }
}

void Session::start_peer(const Job& job) {
  const std::string engine = engine_name(job.engine);
  peer_directory_ = std::make_unique<PeerDirectory>(peer_path(job.directory, engine), engine);
  PeerSettings settings = peer_settings(job);
  settings.directory = peer_directory_->path();
  const std::uint64_t start_ns = now_ns();
  peer_ = open_peer(job.engine, settings);
  open_ns_ = now_ns() - start_ns;
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
