// Where the memory of AlignedBuffers comes from, for tests that count it, refuse it, or make it cheap.
//
// Threads: set_buffer_source() before the first buffer of the process is made, and never again; take() and give() as the source
// says.
#pragma once

#include <cstddef>

#include "reactor/buffer.h"

namespace penstock::reactor {

class BufferSource {
 public:
  /// Memory of zeros on a 4 KiB boundary, or null: there is none. `bytes` is a multiple of 4 KiB. Memtables ask for small
  /// pages.
  virtual void* take(std::size_t bytes, AlignedBuffer::Pages pages) noexcept = 0;
  virtual void give(void* memory, std::size_t bytes) noexcept = 0;

 protected:
  ~BufferSource() = default;
};

/// Null: the system, as without the call.
void set_buffer_source(BufferSource* source) noexcept;

}  // namespace penstock::reactor
