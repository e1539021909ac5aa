// Checks that pieces are aligned, apart from each other, and counted, whatever their sizes.
#include "memtable/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "penstock/bytes.h"
#include "reactor/buffer.h"

namespace penstock::memtable {
namespace {

TEST(Arena, PiecesAreAlignedNeverOverlapAndKeepTheirBytes) {
  struct Piece {
    std::byte* begin;
    std::size_t bytes;
    int fill;
  };
  base::Random random(1);
  Arena arena;
  std::vector<Piece> pieces;
  std::uint64_t used_bytes = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::size_t alignment = std::size_t{1} << random.below(13);
    const std::size_t bytes = 1 + random.below(random.one_in(50) ? 400'000 : 3000);
    const Piece piece{.begin = arena.allocate(bytes, alignment), .bytes = bytes, .fill = static_cast<int>(random.below(256))};
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(piece.begin) % alignment, 0U);
    std::memset(piece.begin, piece.fill, piece.bytes);
    used_bytes += bytes;
    ASSERT_EQ(arena.used_bytes(), used_bytes);
    pieces.push_back(piece);
  }
  // A piece that overlapped another would have lost bytes to it.
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.bytes; ++i) {
      ASSERT_EQ(std::to_integer<int>(piece.begin[i]), piece.fill);
    }
  }
}

TEST(Arena, HoldsExactlyItsChunksAndGivesThemAllBack) {
  const std::uint64_t before_bytes = reactor::AlignedBuffer::total_bytes();
  {
    Arena arena;
    EXPECT_EQ(arena.held_bytes(), 0U);
    arena.allocate(1, 1);
    EXPECT_EQ(arena.held_bytes(), 64_KiB) << "an idle shard stays small";
    while (arena.held_bytes() < 32_MiB) {
      arena.allocate(1000, 8);
      ASSERT_EQ(arena.held_bytes(), reactor::AlignedBuffer::total_bytes() - before_bytes);
      ASSERT_LE(arena.held_bytes(), (arena.used_bytes() * 5 / 4) + 128_KiB) << "a new chunk is at most a fourth of the others";
    }
    EXPECT_LE(arena.chunk_count(), 38U);  // The smallest eight times, four of each size, then 2 MiB each.
  }
  EXPECT_EQ(reactor::AlignedBuffer::total_bytes(), before_bytes);
}

TEST(Arena, ALargePieceGetsItsOwnChunkAndLeavesTheCurrentOneInUse) {
  Arena arena;
  std::byte* const first = arena.allocate(100, 1);
  arena.allocate(1_MiB, 64);
  EXPECT_EQ(arena.chunk_count(), 2U);
  EXPECT_EQ(arena.allocate(100, 1), first + 100);
  EXPECT_LE(arena.held_bytes(), 64_KiB + 1_MiB + 8_KiB);
}

}  // namespace
}  // namespace penstock::memtable
