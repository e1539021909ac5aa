// value_size=: how long values are. The size of a value follows from its tag (dataset.h), so that it can be checked like every
// other byte.
//
//   150                      all alike
//   100-4k                   evenly between both
//   100/50:1k/40:64k/10      50 % of 100 bytes, 40 % of 1 KiB, 10 % of 64 KiB; shares add up to 100 (as fio's bssplit)
// Invariants:
//   ValueSizes-I1 min() <= of(tag) <= max() for every tag.
// Thread: const after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

inline constexpr std::uint32_t kValueSizeMin = 12;  // Version and tag.

class ValueSizes {
 public:
  ValueSizes() noexcept = default;
  explicit ValueSizes(std::uint32_t size) noexcept : min_(size), max_(size) {}
  /// Errors: std::invalid_argument with what was expected.
  static ValueSizes parse(std::string_view text);

  std::uint32_t min() const noexcept { return min_; }
  std::uint32_t max() const noexcept { return max_; }
  double mean() const noexcept;
  /// `tag`: 64 random bits.
  std::uint32_t of(std::uint64_t tag) const noexcept;
  /// As parse() reads it; two that write alike are alike.
  std::string to_string() const;

 private:
  struct Part {
    double up_to = 1;  // Share of the values of this part and those before it.
    std::uint32_t size = 0;
  };

  std::uint32_t min_ = 100;
  std::uint32_t max_ = 100;
  std::vector<Part> parts_;  // Empty: evenly from min_ to max_.
};

}  // namespace penstock::bench
