#include "tests/sim/sim_memory.h"

#include <sys/mman.h>

#include <cstring>

namespace penstock::simtest {

namespace {

/// What is larger is touched in part at most: mapping it anew is cheaper than clearing it.
constexpr std::size_t kKeptBytesEach = 512 * 1024;
constexpr std::size_t kChunkBytes = 2 * 1024 * 1024;
constexpr std::size_t kKeptBytesMax = 64 * 1024 * 1024;

}  // namespace

SimMemory& SimMemory::in_place() {
  static SimMemory* const memory = [] {
    auto* const made = new SimMemory;  // Buffers may outlive main().
    reactor::set_buffer_source(made);
    return made;
  }();
  return *memory;
}

void* SimMemory::take(std::size_t bytes, reactor::AlignedBuffer::Pages pages) noexcept {
  const bool is_counted = bytes < kChunkBytes && pages == reactor::AlignedBuffer::Pages::kLarge;
  taken_ += is_counted ? 1U : 0U;
  if (is_counted && refused_at_ != 0 && (taken_ == refused_at_ || (repeats_ && taken_ > refused_at_))) {
    return nullptr;
  }
  std::vector<void*>& list = free_[bytes];
  if (!list.empty()) {
    void* const memory = list.back();
    list.pop_back();
    kept_bytes_ -= bytes;
    std::memset(memory, 0, bytes);
    return memory;
  }
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void SimMemory::give(void* memory, std::size_t bytes) noexcept {
  if (bytes > kKeptBytesEach || kept_bytes_ + bytes > kKeptBytesMax) {
    ::munmap(memory, bytes);
    return;
  }
  kept_bytes_ += bytes;
  free_[bytes].push_back(memory);
}

}  // namespace penstock::simtest
