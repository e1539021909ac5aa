// Chunks of 2 MiB for memtables: kept when a generation ends, and cleared ahead of need by a thread of the pool's own.
//
// A new page costs its first toucher the clearing of it. Where we measured, 2 MiB took 0.24 ms; and 8.9 ms in a virtual machine
// that had lent its free memory back to its host, which fetches it again in 4 KiB pieces (1.2 ms with small pages, which the
// system takes from memory that was not lent). That is no work for a commit. Figures: docs/decisions/0004-memory-ahead.md.
//
// Invariants:
//   Chunk-I1 A chunk is in one place: ready, kept, or with the one who took it.
//   Chunk-I2 Chunks kept and ready never make the total pass the limit; chunks taken may (their taker has its own budget).
//   Chunk-I3 The thread clears ahead only while less than the limit's sixteenth is ready and the total is below the limit;
//   while
//            chunks are being taken only up to an eighth of that: clearing shares the memory and the cores with the takers.
// A chunk that was used before holds what was last written to it. Threads: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "penstock/bytes.h"
#include "penstock/status.h"
#include "reactor/buffer.h"
#include "reactor/thread.h"

namespace penstock::reactor {

class ChunkPool;

/// A buffer that goes back to its pool; without a pool, to the system.
class PooledBuffer {
 public:
  PooledBuffer() noexcept = default;
  PooledBuffer(AlignedBuffer buffer, ChunkPool* pool) noexcept : buffer_(std::move(buffer)), pool_(pool) {}
  PooledBuffer(PooledBuffer&& other) noexcept : buffer_(std::move(other.buffer_)), pool_(std::exchange(other.pool_, nullptr)) {}
  PooledBuffer& operator=(PooledBuffer&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(pool_, other.pool_);
    return *this;
  }
  ~PooledBuffer();

  std::byte* data() const noexcept { return buffer_.data(); }
  std::size_t bytes() const noexcept { return buffer_.bytes(); }
  std::span<std::byte> span() const noexcept { return buffer_.span(); }
  explicit operator bool() const noexcept { return static_cast<bool>(buffer_); }

 private:
  AlignedBuffer buffer_;
  ChunkPool* pool_ = nullptr;
};

class ChunkPool {
 public:
  static constexpr std::size_t kChunkBytes = 2_MiB;
  static constexpr std::size_t kReadyDivisor = 16;        ///< Of the limit, this part is kept ready.
  static constexpr std::size_t kShortDivisor = 8;         ///< Of that, this part while chunks are being taken.
  static constexpr std::chrono::milliseconds kPause{20};  ///< Without a chunk taken: the takers pause.

  struct Counters {
    std::uint64_t taken_ready = 0;  ///< Needed no clearing.
    std::uint64_t taken_fresh = 0;  ///< Will be cleared by the taker, page by page.
    std::uint64_t idle_bytes = 0;   ///< Held for nobody yet.
  };

  ChunkPool() noexcept = default;
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  /// All chunks are back.
  ~ChunkPool();

  /// Starts the thread that clears ahead. Without it the pool only keeps what it is given.
  Status start();
  /// What may be held altogether grows by `bytes`: a user (a database) comes.
  void raise_limit(std::uint64_t bytes);
  /// The user goes; what is over the limit now goes back to the system.
  void lower_limit(std::uint64_t bytes);

  /// Empty if the system has no memory.
  PooledBuffer take();

  Counters counters() const;

 private:
  friend class PooledBuffer;
  void give_back(AlignedBuffer chunk);
  static void run_thread(void* pool) { static_cast<ChunkPool*>(pool)->clear_ahead(); }
  void clear_ahead();
  void note_clearing(AlignedBuffer::Pages pages, std::uint64_t duration_ns) noexcept;
  bool wants_chunk() const noexcept { return idle_.size() < ready_chunks() && idle_.size() + taken_count_ < limit_chunks(); }
  bool is_short() const noexcept { return wants_chunk() && idle_.size() <= ready_chunks() / kShortDivisor; }
  bool may_clear(std::unique_lock<std::mutex>& lock);
  std::size_t ready_chunks() const noexcept { return limit_chunks() / kReadyDivisor; }
  std::size_t limit_chunks() const noexcept { return static_cast<std::size_t>(limit_bytes_ / kChunkBytes); }

  mutable std::mutex mutex_;
  std::condition_variable work_;
  Thread thread_;
  std::vector<AlignedBuffer> idle_;  // The last given back is the first taken: its lines may still be in a cache.
  std::size_t taken_count_ = 0;
  std::uint64_t limit_bytes_ = 0;
  std::uint32_t small_left_ = 0;  // Chunks to make of small pages until large ones are tried again.
  std::uint64_t take_count_ = 0;
  std::uint64_t take_count_of_pause_ = 0;  // While this is take_count_, nobody has taken a chunk since a pause began.
  bool watches_ = false;                   // The thread waits for a pause.
  Counters counters_;
  bool stopping_ = false;
};

}  // namespace penstock::reactor
