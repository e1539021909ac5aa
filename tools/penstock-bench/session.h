// Session: the runtime and database that jobs run on. Jobs of one directory with the same engine options share an open
// database, as sections of a job file expect, unless a job asks for fresh data or a reopening.
//
// Thread: the main one. Errors: JobError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "penstock/db.h"
#include "tools/penstock-bench/job.h"

namespace penstock::bench {

class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// The database of `job`, open.
  Database& open(const Job& job);
  /// Closes it and opens it again; the time Database::open took.
  std::uint64_t reopen_ns(const Job& job);
  void close();

  Database& database() { return *database_; }
  const Runtime& runtime() const { return *runtime_; }

 private:
  std::uint64_t start(const Job& job);

  std::string options_;  // Of the open database, as text; empty: none is open.
  std::optional<Runtime> runtime_;
  std::optional<Database> database_;
};

}  // namespace penstock::bench
