// Page-aligned memory for direct I/O and arenas, counted, straight from the system: no allocator is needed or replaced.
//
// Blocks from 2 MiB on are backed by 2 MiB pages where the system allows; no block is inherited by a forked child (the kernel
// may be writing into it). Contents start as zeros. Threads: any; the count is global to the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace penstock::reactor {

class AlignedBuffer {
 public:
  /// kLarge: 2 MiB pages from 2 MiB on, where the system has them. kSmall: pages of 4 KiB at first, whatever the size; the
  /// system may join them later.
  enum class Pages : std::uint8_t { kLarge, kSmall };

  AlignedBuffer() noexcept = default;
  /// `bytes` is rounded up to 4 KiB. Empty (data() == nullptr) if the system has no memory.
  explicit AlignedBuffer(std::size_t bytes, Pages pages = Pages::kLarge) noexcept;
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AlignedBuffer();

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::span<std::byte> span() const noexcept { return {data_, bytes_}; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

  /// Has the system clear all of a new buffer now, not page by page on first touch. What was written stays.
  void populate() const noexcept;

  /// Bytes held by all buffers of the process.
  static std::uint64_t total_bytes() noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace penstock::reactor
