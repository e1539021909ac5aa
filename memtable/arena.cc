#include "memtable/arena.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "penstock/bytes.h"
#include "reactor/buffer.h"

namespace penstock::memtable {
namespace {

constexpr std::size_t kChunkBytesMin = 64_KiB;
constexpr std::size_t kChunkBytesMax = reactor::ChunkPool::kChunkBytes;
// A piece above 1/8 of a chunk that no longer fits gets its own: at most an eighth of a chunk is ever left unused.
constexpr std::size_t kOwnChunkDivisor = 8;
constexpr std::size_t kPageBytes = 4_KiB;
constexpr std::size_t kAlignmentMax = kPageBytes;

}  // namespace

struct Arena::Chunk {
  reactor::PooledBuffer buffer;  // Holds this very object.
  Chunk* older;
};

Arena::~Arena() {
  while (newest_ != nullptr) {
    // The owner lives in what it owns: it has to move out before it lets go.
    const reactor::PooledBuffer buffer = std::move(newest_->buffer);
    Chunk* const older = newest_->older;
    newest_->~Chunk();
    PENSTOCK_ASSERT_GE(held_bytes_, buffer.bytes());
    held_bytes_ -= buffer.bytes();
    newest_ = older;
  }
  PENSTOCK_ASSERT_EQ(held_bytes_, 0U);  // Arena-I1
}

std::byte* Arena::allocate_from_new_chunk(std::size_t bytes, std::size_t alignment) {
  PENSTOCK_ASSERT(std::has_single_bit(alignment));
  PENSTOCK_ASSERT_LE(alignment, kAlignmentMax);
  const std::size_t chunk_bytes = next_chunk_bytes();
  used_bytes_ += bytes;
  if (bytes > chunk_bytes / kOwnChunkDivisor) {
    Chunk* const chunk = add_chunk(sizeof(Chunk) + alignment + bytes);
    const auto begin = base::align_up(reinterpret_cast<std::uintptr_t>(chunk + 1), alignment);
    return chunk->buffer.data() + (begin - reinterpret_cast<std::uintptr_t>(chunk->buffer.data()));
  }
  Chunk* const chunk = add_chunk(chunk_bytes);
  const auto begin = base::align_up(reinterpret_cast<std::uintptr_t>(chunk + 1), alignment);
  std::byte* const piece = chunk->buffer.data() + (begin - reinterpret_cast<std::uintptr_t>(chunk->buffer.data()));
  free_begin_ = piece + bytes;
  free_end_ = chunk->buffer.data() + chunk->buffer.bytes();
  PENSTOCK_ASSERT_LE(free_begin_, free_end_);
  return piece;
}

/// At most a fifth of what is held is unused: where memory is short that decides how much is gathered before a flush.
std::size_t Arena::next_chunk_bytes() const noexcept {
  return std::clamp(std::bit_floor(static_cast<std::size_t>(held_bytes_ / 4)), kChunkBytesMin, kChunkBytesMax);
}

reactor::PooledBuffer Arena::make_buffer(std::size_t bytes) const {
  const bool is_pooled = pool_ != nullptr && base::align_up(bytes, kPageBytes) == reactor::ChunkPool::kChunkBytes;
  return is_pooled ? pool_->take()
                   : reactor::PooledBuffer(reactor::AlignedBuffer(bytes, reactor::AlignedBuffer::Pages::kSmall), nullptr);
}

Arena::Chunk* Arena::add_chunk(std::size_t bytes) {
  reactor::PooledBuffer buffer = make_buffer(bytes);
  PENSTOCK_ASSERT(buffer);
  PENSTOCK_ASSERT_GE(buffer.bytes(), bytes);
  held_bytes_ += buffer.bytes();
  ++chunk_count_;
  std::byte* const begin = buffer.data();
  newest_ = new (begin) Chunk{.buffer = std::move(buffer), .older = newest_};
  return newest_;
}

}  // namespace penstock::memtable
