// The operations of a payload in order, with the memtable told of each some operations before it is applied: the memory that a
// batch's keys lie in is then waited for together, not once for each key.
#pragma once

#include <cstdint>

#include "engine/operation.h"
#include "memtable/memtable.h"

namespace penstock::engine {

/// As OperationReader. Payload and memtable outlive it.
class AheadReader {
 public:
  AheadReader(Bytes payload, std::uint64_t operations, const memtable::Memtable& memtable) noexcept
      : reader_(payload), ahead_(operations > kAhead ? payload : Bytes()), memtable_(memtable) {
    for (std::uint32_t count = 0; count < kAhead; ++count) {
      fetch_next();
    }
  }

  bool next() noexcept {
    fetch_next();
    return reader_.next();
  }
  const Operation& operation() const noexcept { return reader_.operation(); }
  Status status() const noexcept { return reader_.status(); }

 private:
  static constexpr std::uint32_t kAhead = 4;

  void fetch_next() noexcept {
    if (ahead_.next()) {
      memtable_.fetch(ahead_.operation().family, ahead_.operation().key);
    }
  }

  OperationReader reader_;
  OperationReader ahead_;
  const memtable::Memtable& memtable_;
};

}  // namespace penstock::engine
