// The counting that both real backends share.
//
// Thread: the reactor's own.
#pragma once

#include <cerrno>
#include <cstdint>

#include "reactor/io.h"

namespace penstock::reactor {

/// Counts an entry's submission.
inline void count_entry(IoCounters& counters, const Entry& entry) noexcept {
  ++counters.entries;
  switch (entry.op) {
    case Op::kRead:
      ++counters.reads;
      return;
    case Op::kWrite:
      ++counters.writes;
      if (entry.durable) ++counters.syncs;
      return;
    case Op::kSyncData:
    case Op::kSync:
      ++counters.syncs;
      return;
    case Op::kNop:
      return;
  }
}

/// Counts its completion. `asked_bytes`: of a read or write, else 0.
inline void count_result(IoCounters& counters, Op op, std::uint32_t asked_bytes, std::int32_t result) noexcept {
  ++counters.completions;
  if (result == -EAGAIN || result == -EBUSY) ++counters.again;
  if (result == -EINTR) ++counters.interrupted;
  if (result < 0) return;
  const auto moved_bytes = static_cast<std::uint32_t>(result);
  if (op == Op::kRead) counters.read_bytes += moved_bytes;
  if (op == Op::kWrite) counters.write_bytes += moved_bytes;
  if (moved_bytes < asked_bytes) ++counters.short_results;
}

inline bool moves_bytes(Op op) noexcept { return op == Op::kRead || op == Op::kWrite; }

}  // namespace penstock::reactor
