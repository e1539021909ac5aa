// Memory of buffers for a process that makes and ends thousands of databases: taken again instead of mapped anew, counted, and
// refused at a chosen moment.
//
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "reactor/buffer_source.h"

namespace penstock::simtest {

class SimMemory final : public reactor::BufferSource {
 public:
  /// The process's one; the first call puts it in place, before any buffer is made.
  static SimMemory& in_place();

  void* take(std::size_t bytes, reactor::AlignedBuffer::Pages pages) noexcept override;
  void give(void* memory, std::size_t bytes) noexcept override;

  /// Refuses the nth buffer from now on (1: the next), and with `repeats` all that follow. 0: none. Those of memtables are not
  /// counted: where they are not to be had, the process ends, as at any small object.
  void refuse_nth(std::uint64_t nth, bool repeats) noexcept {
    refused_at_ = nth == 0 ? 0 : taken_ + nth;
    repeats_ = repeats;
  }
  /// How many were asked for so far.
  std::uint64_t taken() const noexcept { return taken_; }

 private:
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  std::size_t kept_bytes_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t refused_at_ = 0;
  bool repeats_ = false;
};

}  // namespace penstock::simtest
