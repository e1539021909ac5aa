// Session: the store that jobs run on: Penstock's runtime and database, or a peer's. Jobs of one directory with the same engine
// and the same options of it share an open store, as sections of a job file expect, unless a job asks for fresh data or a
// reopening. One store is open at a time: engines do not share the machine's memory.
//
// Thread: the main one. Errors: JobError.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "penstock/db.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/peer_directory.h"

namespace penstock::bench {

class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// The store of `job` is open then.
  void open(const Job& job);
  /// Closes it and opens it again.
  void reopen(const Job& job);
  void close();

  /// Of engine=penstock.
  Database& database() { return *database_; }
  const Runtime& runtime() const { return *runtime_; }
  /// Of the others; nullptr: the store is Penstock's.
  Peer* peer() { return peer_.get(); }

  /// Everything in files for good, and no background work due.
  void settle();
  /// What note_data() noted, in the store or beside it; empty: nothing.
  std::string noted_data();
  void note_data(const std::string& text);
  /// The open store was made by this tool: it may be made anew.
  bool made_here();
  /// How long the last opening took.
  std::uint64_t open_ns() const noexcept { return open_ns_; }
  /// Of the open store.
  std::string path(const Job& job) const;

 private:
  void start(const Job& job);
  void start_peer(const Job& job);

  std::uint64_t open_ns_ = 0;
  std::string options_;  // Of the open store, as text; empty: none is open.
  std::optional<Runtime> runtime_;
  std::optional<Database> database_;
  std::unique_ptr<PeerDirectory> peer_directory_;
  std::unique_ptr<Peer> peer_;
};

}  // namespace penstock::bench
