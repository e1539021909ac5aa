// A seeded generator for tests, simulation and sampling (not for secrets).
//
// Source: splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#pragma once

#include <cstdint>

#include "base/assert.h"

namespace penstock::base {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31U);
  }
  /// Uniform in [0, bound); the bias is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) noexcept {
    PENSTOCK_ASSERT_GT(bound, 0U);
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64U);
  }
  /// Uniform in [0, 1), in steps of 2^-53.
  double unit() noexcept { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  /// True once in `count` draws on average.
  bool one_in(std::uint64_t count) noexcept { return below(count) == 0; }
  /// An independent stream: a draw added to one purpose does not shift the others.
  Random fork() noexcept { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace penstock::base
