// Pass 1 of recovery: the logs of earlier epochs, where each begins to matter, and where it ends.
//
// Reads every needed log once, writes nothing, and notes the catalog's operations and the extents that records name: both must
// be known before anything is flushed. Where the part that reads a log has all of its shards, records go into memtables as they
// are read, as long as memory is there; pass 2 deals the rest. Thread: read_logs on the reactor of the part it is given.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/reactor_part.h"
#include "penstock/options.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "wal/log_image.h"
#include "wal/wal.h"

namespace penstock::engine {

/// How far a pass over the logs has come, told after each group. Threads: any.
class PassProgress {
 public:
  PassProgress(OpenProgress::Stage stage, std::function<void(const OpenProgress&)> tell);

  /// A log begins: at most so many bytes of groups.
  void add_total(std::uint64_t bytes) noexcept { total_.fetch_add(bytes); }
  void add_done(std::uint64_t bytes);

 private:
  const OpenProgress::Stage stage_;
  const std::function<void(const OpenProgress&)> tell_;
  std::atomic<std::uint64_t> total_{0};
  std::atomic<std::uint64_t> done_{0};
};

/// One log of an earlier epoch, and what is known of it before and after reading.
struct LogPlan {
  wal::LogName name;
  std::uint16_t reactors = 0;  // Of its epoch.
  bool needed = false;
  std::uint64_t begin = 0;
  std::optional<std::uint64_t> known_end = std::nullopt;
  std::uint64_t proven_end = 0;
  std::uint64_t end = 0;                           // Once read.
  std::uint64_t dealt_end = 0;                     // Up to here its records are in memtables.
  std::shared_ptr<wal::LogImage> image = nullptr;  // What of the rest was kept in memory.
};

struct CatalogOperation {
  wal::Position end;
  std::uint64_t order = 0;  // Among those of the same log: several may share a group.
  std::string key;
  std::optional<std::string> value;
};

/// An extent that a record names.
struct NamedExtent {
  ShardId shard = 0;
  wal::Position end;
  btree::ExtentPointer extent;
};

/// What pass 1 brings back from one reactor.
struct LogsRead {
  std::vector<LogPlan> plans;
  std::uint64_t records = 0;
  std::vector<NamedExtent> extents;
  std::vector<CatalogOperation> catalog;
  std::uint64_t bytes = 0;
  std::uint64_t groups = 0;
  std::uint32_t torn_tails = 0;
};

/// What one reactor is to read.
struct LogsToRead {
  std::vector<LogPlan> plans = {};  // In the order of the shards' histories.
  std::uint64_t image_bytes = 0;    // Of each at most so much stays in memory for pass 2.
  bool deals = false;               // The part has all shards of these logs, and no other part reads one of them.
  std::shared_ptr<PassProgress> progress = nullptr;
};

/// The first failure ends it.
Task<Outcome<LogsRead>> read_logs(ReactorPart* part, LogsToRead logs);

}  // namespace penstock::engine
