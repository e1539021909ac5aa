// A scan over several shards: all are asked at once, and the last one to answer merges on its thread.
//
// Invariant: rows at or after the smallest `next` of a shard are left out, as that shard may have smaller ones that it did not
// bring.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

#include "engine/flat_rows.h"
#include "penstock/future.h"
#include "penstock/shard.h"

namespace penstock::engine {

/// Deletes itself with the last part.
class MergedScan {
 public:
  MergedScan(const ScanOptions& options, std::size_t shards) : options_(options), parts_(shards), remaining_(shards) {}

  Future<Result<ScanResult>> future() { return promise_.future(); }
  /// Any thread.
  void part_ended(std::size_t index, Result<FlatRows> rows);

 private:
  ~MergedScan() = default;
  Result<ScanResult> merge();

  const ScanOptions options_;
  std::vector<Result<FlatRows>> parts_;
  std::atomic<std::size_t> remaining_;
  Promise<Result<ScanResult>> promise_;
};

}  // namespace penstock::engine
