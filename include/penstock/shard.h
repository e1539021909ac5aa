// Shard: the engine as code on a shard's own reactor sees it. Coroutines only; nothing here may be called from another thread.
//
// Get there with Database::run_on. A read that finds everything in memory does not leave the core; a commit awaits its group.
// Every key must belong to this shard (`invalid_argument`).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/batch.h"
#include "penstock/family.h"
#include "penstock/options.h"
#include "penstock/status.h"
#include "penstock/task.h"

namespace penstock {

namespace detail {
class ShardEngine;
}  // namespace detail

struct Row {
  std::string key;
  std::string value;
};

/// A half-open range of keys in order, and how much of it to bring.
struct ScanOptions {
  std::string from;               ///< First key wanted.
  std::optional<std::string> to;  ///< First key no longer wanted; none: to the family's end.
  std::uint32_t rows_max = 1000;
  std::uint64_t bytes_max = 4_MiB;  ///< Of keys and values; at least one row is returned.
};

struct ScanResult {
  std::vector<Row> rows;
  /// If the range goes on: the key to continue `from`.
  std::optional<std::string> next;
};

class Shard {
 public:
  explicit Shard(detail::ShardEngine& engine) noexcept : engine_(&engine) {}

  ShardId id() const noexcept;

  /// The value as of the shard's published position: durable as its writer asked. Errors: not_found, dropped, corruption,
  /// io_error, closed.
  Task<Result<std::string>> get(const Family& family, Bytes key);
  Task<Result<bool>> contains(const Family& family, Bytes key);
  /// Rows of this shard in key order, consistent as of one published position.
  Task<Result<ScanResult>> scan(const Family& family, const ScanOptions& options);

  /// Applies the batch atomically; resolves when published, that is when it and every earlier commit of the shard have their
  /// durability. Errors: invalid_argument (an operation of another shard, an empty batch), too_large, busy, no_space, dropped,
  /// poisoned, outcome_unknown, closed.
  Task<Status> commit(Batch& batch, const CommitOptions& options = {});
  Task<Status> put(const Family& family, Bytes key, Bytes value, const CommitOptions& options = {});
  Task<Status> remove(const Family& family, Bytes key, const CommitOptions& options = {});

  /// Lets others on the core run.
  Task<> yield();

 private:
  detail::ShardEngine* engine_;
};

}  // namespace penstock
