// When commits may enter a reactor's memtables: at once while there is room, and as fast as flushes make room once there is
// little.
//
// A pass gives its memory back in one piece, at its end. Taken as it is, commits would come to a halt before each end and rush
// in after it; so a pass counts as giving back evenly, at the rate of those before it, and what comes in follows that. What
// passes under way have given back in that sense alone is still there: commits are slowed down so early that the limit is not
// met as a rule, and never to less than a quarter of the flushes' rate: no commit waits much longer than the others.
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
  /// From 0, while everything comes in at once, to 1. Over 1: slower than that it does not get.
  double debt(std::uint64_t held, std::uint64_t now_ns) const noexcept;

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
  double bytes_under_way() const noexcept;

  std::uint64_t limit_bytes_;
  double pass_bytes_per_second_ = 30e6;  // Until passes tell.
  std::uint64_t next_ns_ = 0;
  double under_way_lately_ = 0;  // What passes under way together hold, the most of late.
  std::vector<Pass> passes_;     // Under way.
};

}  // namespace penstock::engine
