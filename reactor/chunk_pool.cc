#include "reactor/chunk_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace penstock::reactor {

namespace {

/// Clearing 2 MiB in one page takes longer than this only where the memory is not really there.
constexpr std::uint64_t kSlowClearingNs = 2'000'000;
constexpr std::uint32_t kSmallRun = 31;

}  // namespace

ChunkPool::~ChunkPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  if (thread_.is_joinable()) thread_.join();
  PENSTOCK_ASSERT_EQ(taken_count_, 0U);
}

Status ChunkPool::start() { return thread_.start("penstock-mem", &ChunkPool::run_thread, this); }

void ChunkPool::raise_limit(std::uint64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    limit_bytes_ += bytes;
  }
  work_.notify_one();
}

void ChunkPool::lower_limit(std::uint64_t bytes) {
  std::vector<AlignedBuffer> surplus;  // Unmapped outside the lock.
  const std::lock_guard lock(mutex_);
  PENSTOCK_ASSERT_GE(limit_bytes_, bytes);
  limit_bytes_ -= bytes;
  while (!idle_.empty() && idle_.size() + taken_count_ > limit_chunks()) {
    surplus.push_back(std::move(idle_.back()));
    idle_.pop_back();
  }
}

PooledBuffer::~PooledBuffer() {
  if (buffer_ && pool_ != nullptr) pool_->give_back(std::move(buffer_));
}

PooledBuffer ChunkPool::take() {
  AlignedBuffer::Pages pages = AlignedBuffer::Pages::kLarge;
  {
    const std::lock_guard lock(mutex_);
    ++taken_count_;
    ++take_count_;
    PooledBuffer chunk;
    if (!idle_.empty()) {
      ++counters_.taken_ready;
      chunk = PooledBuffer(std::move(idle_.back()), this);
      idle_.pop_back();
    }
    if (watches_ ? is_short() : wants_chunk()) work_.notify_one();
    if (chunk) return chunk;
    ++counters_.taken_fresh;
    if (small_left_ > 0) pages = AlignedBuffer::Pages::kSmall;
  }
  AlignedBuffer chunk(kChunkBytes, pages);
  if (!chunk) {
    const std::lock_guard lock(mutex_);
    --taken_count_;
    return {};
  }
  return {std::move(chunk), this};
}

void ChunkPool::give_back(AlignedBuffer chunk) {
  PENSTOCK_ASSERT_EQ(chunk.bytes(), kChunkBytes);
  const std::lock_guard lock(mutex_);
  PENSTOCK_ASSERT_GT(taken_count_, 0U);
  --taken_count_;
  if (idle_.size() + taken_count_ < limit_chunks()) idle_.push_back(std::move(chunk));
}

ChunkPool::Counters ChunkPool::counters() const {
  const std::lock_guard lock(mutex_);
  Counters counters = counters_;
  counters.idle_bytes = idle_.size() * kChunkBytes;
  return counters;
}

/// Chunk-I3. Waits for a pause of the takers, unless there is one; false: there was none, or nothing is to be done any more.
bool ChunkPool::may_clear(std::unique_lock<std::mutex>& lock) {
  if (is_short() || take_count_ == take_count_of_pause_) return true;
  const std::uint64_t take_count = take_count_;
  watches_ = true;
  work_.wait_for(lock, kPause, [this] { return stopping_ || is_short(); });
  watches_ = false;
  if (take_count_ == take_count) take_count_of_pause_ = take_count;
  return false;
}

void ChunkPool::clear_ahead() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || wants_chunk(); });
    if (stopping_) return;
    if (!may_clear(lock)) continue;
    const AlignedBuffer::Pages pages = small_left_ > 0 ? AlignedBuffer::Pages::kSmall : AlignedBuffer::Pages::kLarge;
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    AlignedBuffer chunk(kChunkBytes, pages);
    chunk.populate();
    const auto duration = std::chrono::steady_clock::now() - begin;
    lock.lock();
    if (!chunk) {  // No memory: a taker will say so. Not again before something changes.
      work_.wait(lock);
      continue;
    }
    note_clearing(pages, static_cast<std::uint64_t>(std::chrono::nanoseconds(duration).count()));
    if (idle_.size() + taken_count_ < limit_chunks()) idle_.push_back(std::move(chunk));
  }
}

/// Large pages as long as they are cheap; else a run of small ones, and another try.
void ChunkPool::note_clearing(AlignedBuffer::Pages pages, std::uint64_t duration_ns) noexcept {
  if (pages == AlignedBuffer::Pages::kSmall) {
    --small_left_;
  } else if (duration_ns > kSlowClearingNs) {
    small_left_ = kSmallRun;
  }
}

}  // namespace penstock::reactor
