#include "reactor/buffer.h"

#include <sys/mman.h>

#include <atomic>

#include "base/assert.h"
#include "base/integer.h"
#include "penstock/bytes.h"
#include "reactor/buffer_source.h"

namespace penstock::reactor {

namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kHugePageBytes = 2_MiB;
constexpr std::size_t kHugeFromBytes = 2_MiB;

std::atomic<std::uint64_t> total{0};
constinit BufferSource* buffer_source = nullptr;

/// A mapping of `bytes` that starts on a 2 MiB boundary, or null: one that is larger, cut at both ends.
void* map_huge_aligned(std::size_t bytes, int advice) noexcept {
  const std::size_t wide_bytes = bytes + kHugePageBytes;
  void* const wide = mmap(nullptr, wide_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (wide == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(wide);
  const std::uintptr_t aligned = base::align_up<std::uintptr_t>(address, kHugePageBytes);
  const std::size_t head_bytes = aligned - address;
  const std::size_t tail_bytes = wide_bytes - head_bytes - bytes;
  if (head_bytes != 0) munmap(wide, head_bytes);
  if (tail_bytes != 0) munmap(reinterpret_cast<void*>(aligned + bytes), tail_bytes);
  auto* const data = reinterpret_cast<void*>(aligned);
  // Advice: where the system has no large pages, small ones do.
  madvise(data, bytes, advice);
  return data;
}

}  // namespace

void set_buffer_source(BufferSource* source) noexcept {
  PENSTOCK_ASSERT_EQ(total.load(std::memory_order_relaxed), 0U);
  buffer_source = source;
}

AlignedBuffer::AlignedBuffer(std::size_t bytes, Pages pages) noexcept {
  if (bytes == 0 || bytes > SIZE_MAX / 2) return;
  const std::size_t rounded_bytes = base::align_up<std::size_t>(bytes, kPageBytes);
  if (buffer_source != nullptr) {
    data_ = static_cast<std::byte*>(buffer_source->take(rounded_bytes, pages));
    bytes_ = data_ == nullptr ? 0 : rounded_bytes;
    total.fetch_add(bytes_, std::memory_order_relaxed);
    return;
  }
  void* data = nullptr;
  if (rounded_bytes >= kHugeFromBytes) {
    data = map_huge_aligned(rounded_bytes, pages == Pages::kLarge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  } else {
    data = mmap(nullptr, rounded_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) data = nullptr;
  }
  if (data == nullptr) return;
  // A forked child that shared these pages would make the next write copy them away from under the kernel's I/O.
  madvise(data, rounded_bytes, MADV_DONTFORK);
  data_ = static_cast<std::byte*>(data);
  bytes_ = rounded_bytes;
  total.fetch_add(rounded_bytes, std::memory_order_relaxed);
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ == nullptr) return;
  total.fetch_sub(bytes_, std::memory_order_relaxed);
  if (buffer_source != nullptr) {
    buffer_source->give(data_, bytes_);
    return;
  }
  const int failed = munmap(data_, bytes_);
  PENSTOCK_ASSERT_EQ(failed, 0);
}

void AlignedBuffer::populate() const noexcept {
  if (data_ == nullptr || buffer_source != nullptr) return;
  const bool is_done = madvise(data_, bytes_, MADV_POPULATE_WRITE) == 0;
  // Small pages were right for now; the system may join them in its own time.
  if (bytes_ >= kHugeFromBytes) madvise(data_, bytes_, MADV_HUGEPAGE);
  if (is_done) return;
  // Before Linux 5.14: by touching. Adding nothing is a write that harms nobody.
  for (std::size_t offset = 0; offset < bytes_; offset += kPageBytes) {
    std::atomic_ref<std::uint8_t>(*reinterpret_cast<std::uint8_t*>(data_ + offset)).fetch_add(0, std::memory_order_relaxed);
  }
}

std::uint64_t AlignedBuffer::total_bytes() noexcept { return total.load(std::memory_order_relaxed); }

}  // namespace penstock::reactor
