// When commits may enter a reactor's memtables: at once while there is room, and as fast as flushes make room once there is
// little.
//
// A pass gives its memory back in one piece, at its end. Taken as it is, commits would come to a halt before each end and rush
// in after it; so a pass counts as giving back evenly, at the rate of those before it, and what comes in follows that.
// Invariants:
//   Gate-I1 Never kNow at or over the limit.
//   Gate-I2 While it says kLater, next_ns() lies ahead.
// Thread: the reactor's.
#pragma once

#include <cstdint>
#include <vector>

#include "penstock/types.h"

namespace penstock::engine {

class MemoryGate {
 public:
  enum class Verdict : std::uint8_t {
    kNow,
    kLater,  ///< To be asked again at next_ns(), or when memory was freed.
    kFull,   ///< To be asked again when memory was freed.
  };

  explicit MemoryGate(std::uint64_t limit_bytes) noexcept : limit_bytes_(limit_bytes) {}

  std::uint64_t limit_bytes() const noexcept { return limit_bytes_; }
  void set_limit(std::uint64_t limit_bytes) noexcept { limit_bytes_ = limit_bytes; }

  /// For `bytes` more, with `held` in memtables.
  Verdict admit(std::uint64_t bytes, std::uint64_t held, std::uint64_t now_ns) noexcept;
  std::uint64_t next_ns() const noexcept { return next_ns_; }

  /// A pass that is to free `bytes` of the shard's; none of it is under way yet.
  void on_pass_begun(ShardId shard, std::uint64_t bytes, std::uint64_t now_ns);
  /// `freed`: whether it did.
  void on_pass_ended(ShardId shard, bool freed, std::uint64_t now_ns) noexcept;

 private:
  struct Pass {
    ShardId shard = 0;
    std::uint64_t bytes = 0;
    std::uint64_t began_ns = 0;
  };
  double given_back(std::uint64_t now_ns) const noexcept;

  std::uint64_t limit_bytes_;
  double pass_bytes_per_second_ = 200e6;
  std::uint64_t next_ns_ = 0;
  std::vector<Pass> passes_;  // Under way.
};

}  // namespace penstock::engine
