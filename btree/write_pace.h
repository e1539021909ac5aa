// How fast the page stores of a reactor may write together.
//
// A debt that wears off: who writes is told when what was written before is paid for. Nothing is held back at rate 0.
// Units: bytes, nanoseconds of the reactor's clock. Thread: the reactor's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace penstock::btree {

class WritePace {
 public:
  void set_rate(std::uint64_t bytes_per_second) noexcept { bytes_per_second_ = bytes_per_second; }

  /// Notes `bytes`; what comes next is to wait until the time returned, which may be past.
  std::uint64_t note(std::uint64_t bytes, std::uint64_t now_ns) noexcept {
    if (bytes_per_second_ == 0) return 0;
    paid_at_ns_ = std::max(paid_at_ns_, now_ns);
    paid_at_ns_ += static_cast<std::uint64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(bytes_per_second_));
    return paid_at_ns_;
  }

 private:
  std::uint64_t bytes_per_second_ = 0;
  std::uint64_t paid_at_ns_ = 0;
};

}  // namespace penstock::btree
