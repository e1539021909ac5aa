// How many bytes the page stores of a reactor may have in flight each while they flush: as many as the commits beside them
// bear.
//
// A disk answers a commit after what was written before it. So the budget is halved when commits take much longer than they
// usually do, and grows a little while they do not (additive increase, multiplicative decrease: V. Jacobson, "Congestion
// avoidance and control", SIGCOMM 1988); without commits, and while they wait for memory, which is for flushes, it grows
// faster. Units: bytes, nanoseconds of the reactor's clock. Thread: the reactor's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "penstock/bytes.h"

namespace penstock::btree {

class WriteBudget {
 public:
  static constexpr std::uint64_t kBytesMin = 128_KiB;
  static constexpr std::uint64_t kBytesMax = 2_MiB;
  static constexpr std::uint64_t kStepBytes = 32_KiB;
  /// A window of commits; what the budget is changed by at most once in.
  static constexpr std::uint64_t kWindowNs = 10'000'000;
  /// Slow: so many times as long as usual.
  static constexpr double kSlowFactor = 4;
  static constexpr std::uint64_t kSlowNsMin = 1'000'000;

  /// 0: by the commits.
  void set_fixed(std::uint64_t bytes) noexcept { fixed_bytes_ = bytes; }
  std::uint64_t bytes() const noexcept { return fixed_bytes_ != 0 ? fixed_bytes_ : bytes_; }
  std::uint64_t cuts() const noexcept { return cuts_; }

  /// One of the commits took so long from the log's hands to the disk. `is_memory_short`: flushes come first.
  void note_commit(std::uint64_t duration_ns, bool is_memory_short, std::uint64_t now_ns) noexcept {
    const auto duration = static_cast<double>(duration_ns);
    const bool is_slow = duration_ns > kSlowNsMin && usual_ns_ > 0 && duration > kSlowFactor * usual_ns_;
    usual_ns_ = usual_ns_ == 0 ? duration : usual_ns_ + ((duration - usual_ns_) / 64);
    is_slow_ = is_slow_ || is_slow;
    if (window_began_ns_ == 0) window_began_ns_ = now_ns;
    if (now_ns - window_began_ns_ < kWindowNs) return;
    const std::uint64_t windows = std::min<std::uint64_t>((now_ns - window_began_ns_) / kWindowNs, kBytesMax / kStepBytes);
    window_began_ns_ = now_ns;
    if (std::exchange(is_slow_, false) && !is_memory_short) {
      ++cuts_;
      bytes_ = std::max(bytes_ / 2, kBytesMin);
    } else {
      bytes_ = std::min(bytes_ + (windows * kStepBytes * (is_memory_short ? 4 : 1)), kBytesMax);
    }
  }

 private:
  std::uint64_t fixed_bytes_ = 0;
  std::uint64_t bytes_ = 256_KiB;
  std::uint64_t cuts_ = 0;
  double usual_ns_ = 0;
  bool is_slow_ = false;
  std::uint64_t window_began_ns_ = 0;
};

}  // namespace penstock::btree
