// Memory that is handed out piece by piece and given back all at once, counted exactly.
//
// Chunks come from reactor::AlignedBuffer: the library uses no allocator of the host for bulk data. They grow with what the
// arena holds, so that an idle shard costs 64 KiB and a busy one few system calls; the largest are 2 MiB and come from a pool,
// if there is one, where they are cleared ahead and kept when an arena ends. A piece that fits no chunk of the current size
// gets a chunk of its own.
//
// Invariants:
//   Arena-I1  held_bytes() is the sum of the chunks' bytes. A chunk's owner lies in its first bytes: nothing else is held.
//   Arena-I2  A piece never moves and never overlaps another.
// Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/integer.h"
#include "reactor/chunk_pool.h"

namespace penstock::memtable {

class Arena {
 public:
  explicit Arena(reactor::ChunkPool* pool = nullptr) noexcept : pool_(pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  /// `alignment` is a power of two, at most 4 KiB. Never null: out of memory ends the process (a budget is checked long
  /// before).
  std::byte* allocate(std::size_t bytes, std::size_t alignment) {
    PENSTOCK_ASSERT_GT(bytes, 0U);
    const auto begin = base::align_up(reinterpret_cast<std::uintptr_t>(free_begin_), alignment);
    if (begin + bytes > reinterpret_cast<std::uintptr_t>(free_end_)) [[unlikely]] {
      return allocate_from_new_chunk(bytes, alignment);
    }
    used_bytes_ += bytes;
    std::byte* const piece = free_begin_ + (begin - reinterpret_cast<std::uintptr_t>(free_begin_));
    free_begin_ = piece + bytes;
    return piece;
  }

  std::uint64_t held_bytes() const noexcept { return held_bytes_; }  ///< From the system.
  std::uint64_t used_bytes() const noexcept { return used_bytes_; }  ///< Handed out, without padding.
  std::uint64_t chunk_count() const noexcept { return chunk_count_; }

 private:
  struct Chunk;

  std::byte* allocate_from_new_chunk(std::size_t bytes, std::size_t alignment);
  std::size_t next_chunk_bytes() const noexcept;
  Chunk* add_chunk(std::size_t bytes);
  reactor::PooledBuffer make_buffer(std::size_t bytes) const;

  reactor::ChunkPool* pool_;
  std::byte* free_begin_ = nullptr;
  std::byte* free_end_ = nullptr;
  Chunk* newest_ = nullptr;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t chunk_count_ = 0;
};

}  // namespace penstock::memtable
