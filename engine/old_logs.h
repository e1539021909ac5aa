// Pass 1 of recovery: the logs of earlier epochs, where each begins to matter, and where it ends.
//
// Reads every needed log once, changes nothing, and notes the catalog's operations and the extents that records name:
// both must be known before pass 2 deals records, and flushes. Thread: read_logs on the reactor of the part it is given.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/reactor_part.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "wal/log_image.h"
#include "wal/wal.h"

namespace penstock::engine {

/// One log of an earlier epoch, and what is known of it before and after reading.
struct LogPlan {
  wal::LogName name;
  std::uint16_t reactors = 0;  // Of its epoch.
  bool needed = false;
  std::uint64_t begin = 0;
  std::optional<std::uint64_t> known_end;
  std::uint64_t proven_end = 0;
  std::uint64_t end = 0;                 // Once read.
  std::shared_ptr<wal::LogImage> image;  // What of it was kept in memory, then.
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
  std::vector<NamedExtent> extents;
  std::vector<CatalogOperation> catalog;
  std::uint64_t bytes = 0;
  std::uint64_t groups = 0;
  std::uint32_t torn_tails = 0;
};

/// Reads `plans` in order, keeping of each at most `image_bytes` in memory for pass 2. The first failure ends it.
Task<Outcome<LogsRead>> read_logs(ReactorPart* part, std::vector<LogPlan> plans, std::uint64_t image_bytes);

}  // namespace penstock::engine
