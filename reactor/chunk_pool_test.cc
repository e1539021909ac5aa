// Goal: chunks go round and stay within the limit; the pool's thread has some ready before anybody asks.
#include "reactor/chunk_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace penstock::reactor {
namespace {

using namespace std::chrono_literals;

std::uint64_t wait_for_idle(const ChunkPool& pool, std::uint64_t bytes) {
  for (int turn = 0; turn < 5000 && pool.counters().idle_bytes < bytes; ++turn) std::this_thread::sleep_for(1ms);
  return pool.counters().idle_bytes;
}

TEST(ChunkPool, KeepsWhatComesBackUpToItsLimit) {
  const std::uint64_t before = AlignedBuffer::total_bytes();
  {
    ChunkPool pool;
    pool.raise_limit(4 * ChunkPool::kChunkBytes);
    {
      std::vector<PooledBuffer> taken;
      for (int count = 0; count < 6; ++count) taken.push_back(pool.take());
      for (const PooledBuffer& chunk : taken) ASSERT_EQ(chunk.bytes(), ChunkPool::kChunkBytes);
      EXPECT_EQ(AlignedBuffer::total_bytes() - before, 6 * ChunkPool::kChunkBytes);
    }
    EXPECT_EQ(pool.counters().idle_bytes, 4 * ChunkPool::kChunkBytes);
    EXPECT_EQ(AlignedBuffer::total_bytes() - before, 4 * ChunkPool::kChunkBytes);
    const PooledBuffer again = pool.take();
    EXPECT_EQ(pool.counters().taken_ready, 1U);
    EXPECT_EQ(pool.counters().taken_fresh, 6U);
    pool.lower_limit(3 * ChunkPool::kChunkBytes);  // The one that is out counts.
    EXPECT_EQ(pool.counters().idle_bytes, 0U);
    pool.lower_limit(ChunkPool::kChunkBytes);
  }
  EXPECT_EQ(AlignedBuffer::total_bytes(), before);
}

TEST(ChunkPool, AMovedChunkComesBackOnce) {
  ChunkPool pool;
  pool.raise_limit(64_MiB);
  PooledBuffer first = pool.take();
  std::byte* const place = first.data();
  PooledBuffer second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left is the question.
  EXPECT_EQ(second.data(), place);
  second = PooledBuffer();
  EXPECT_EQ(pool.counters().idle_bytes, ChunkPool::kChunkBytes);
}

TEST(ChunkPool, ItsThreadClearsASixteenthOfTheLimitAhead) {
  ChunkPool pool;
  ASSERT_TRUE(pool.start().is_ok());
  EXPECT_EQ(pool.counters().idle_bytes, 0U);
  pool.raise_limit(16 * 3 * ChunkPool::kChunkBytes);
  EXPECT_EQ(wait_for_idle(pool, 3 * ChunkPool::kChunkBytes), 3 * ChunkPool::kChunkBytes);
  {
    std::vector<PooledBuffer> taken;
    for (int count = 0; count < 3; ++count) taken.push_back(pool.take());
    for (const PooledBuffer& chunk : taken) std::memset(chunk.data(), 1, chunk.bytes());
    EXPECT_EQ(wait_for_idle(pool, 3 * ChunkPool::kChunkBytes), 3 * ChunkPool::kChunkBytes) << "others are made for those taken";
  }
  EXPECT_EQ(pool.counters().idle_bytes, 6 * ChunkPool::kChunkBytes);
}

// A burst that goes on shall not share its cores with the clearing; a pause makes up for it.
TEST(ChunkPool, WhileChunksAreTakenOnlyAnEighthIsKeptReady) {
  constexpr std::size_t kReady = 16;
  constexpr std::size_t kShort = kReady / ChunkPool::kShortDivisor;
  ChunkPool pool;
  ASSERT_TRUE(pool.start().is_ok());
  pool.raise_limit(ChunkPool::kReadyDivisor * kReady * ChunkPool::kChunkBytes);
  ASSERT_EQ(wait_for_idle(pool, kReady * ChunkPool::kChunkBytes), kReady * ChunkPool::kChunkBytes);
  std::vector<PooledBuffer> taken;
  const auto begin = std::chrono::steady_clock::now();
  while (taken.size() < kReady - kShort - 1) taken.push_back(pool.take());
  const std::uint64_t left_bytes = pool.counters().idle_bytes;
  if (std::chrono::steady_clock::now() - begin < ChunkPool::kPause) {  // Else this thread has paused.
    EXPECT_EQ(left_bytes, (kShort + 1) * ChunkPool::kChunkBytes);
  }
  EXPECT_EQ(wait_for_idle(pool, kReady * ChunkPool::kChunkBytes), kReady * ChunkPool::kChunkBytes);
  EXPECT_EQ(pool.counters().taken_fresh, 0U);
}

TEST(ChunkPool, ThreadsTakeAndGiveBackAtOnce) {
  ChunkPool pool;
  ASSERT_TRUE(pool.start().is_ok());
  pool.raise_limit(64_MiB);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&pool, thread] {
      for (int turn = 0; turn < 200; ++turn) {
        const PooledBuffer one = pool.take();
        const PooledBuffer other = pool.take();
        one.data()[0] = std::byte{static_cast<unsigned char>(thread)};
        other.data()[0] = std::byte{0xff};
        EXPECT_EQ(one.data()[0], std::byte{static_cast<unsigned char>(thread)});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pool.counters().idle_bytes, 64_MiB);
}

}  // namespace
}  // namespace penstock::reactor
