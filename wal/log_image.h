// What one pass over a log has read, kept in memory for the next pass, as far as a budget goes.
//
// Recovery reads every log twice: first for its end and the catalog, then to deal its records. The files do not change between
// the passes, so what the first one read and checked need not come from the disk again.
//
// Invariants:
//   Image-I1 A piece is what a read of the file returned, at a place of a segment; it is handed out once.
//   Image-I2 The pieces kept never pass the budget.
// A pass that deals what it reads at once needs nothing kept, as long as it does.
// Thread: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "reactor/chunk_pool.h"

namespace penstock::wal {

class LogImage {
 public:
  LogImage(reactor::ChunkPool& pool, std::uint64_t budget_bytes) noexcept : pool_(pool), budget_bytes_(budget_bytes) {}

  reactor::ChunkPool& pool() const noexcept { return pool_; }
  /// From now on. At first pieces are kept.
  void set_keeping(bool keeps) noexcept { keeps_ = keeps; }
  /// False, and the buffer is as before: nothing is kept now, the budget is used up, or the piece is here already.
  bool keep(std::uint64_t segment_index, std::uint64_t piece, reactor::PooledBuffer& buffer);
  /// Empty if the piece is not here.
  reactor::PooledBuffer take(std::uint64_t segment_index, std::uint64_t piece);
  std::uint64_t kept_bytes() const noexcept { return kept_bytes_; }

 private:
  reactor::ChunkPool& pool_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, reactor::PooledBuffer> pieces_;
  std::uint64_t budget_bytes_;
  std::uint64_t kept_bytes_ = 0;
  bool keeps_ = true;
};

}  // namespace penstock::wal
