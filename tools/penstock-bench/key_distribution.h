// Which of so many keys the next operation goes to, as ranks: 0 is the most popular one.
//
// Written as in fio's random_distribution where fio has it:
//   random             every key alike
//   zipf:THETA         rank k with a probability that falls with (k + 1)^-THETA; THETA > 0, also 1 and above. 0.99 is YCSB's.
//   pareto:SHARE       self-similar: the first SHARE of the keys get 1 - SHARE of the operations, and so on within; 0 < SHARE
//   <= 0.5 normal:DEVIATION   a bell around the middle key; DEVIATION in percent of the keys, 0 < DEVIATION <= 100; cut off at
//   both ends zoned:A/S:A/S...   A percent of the operations go to the next S percent of the keys, evenly; both add up to 100
// Ranks are turned into keys by the caller: in order, or scattered by a permutation; "latest" counts them from the newest key.
// Sources: zipf by rejection-inversion, Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone
// discrete distributions", ACM TOMACS 6(3), 1996; pareto as in Gray et al., "Quickly generating billion-record synthetic
// databases", SIGMOD 1994; normal by Marsaglia's polar method. Thread: const after construction; one object may serve many,
// each with its own Random.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace penstock::bench {

class KeyDistribution {
 public:
  enum class Kind : std::uint8_t { kRandom, kZipf, kPareto, kNormal, kZoned };
  struct Zone {
    double operations = 0;  ///< Share of them, 0 .. 1.
    double keys = 0;        ///< Share of them, 0 .. 1.
  };
  struct Shape {
    Kind kind = Kind::kRandom;
    double parameter = 0;  ///< THETA, SHARE or DEVIATION / 100.
    std::vector<Zone> zones;
  };

  /// The error is a sentence that says what was expected.
  static std::expected<Shape, std::string> parse(std::string_view text);

  /// `keys`: at least 1.
  KeyDistribution(Shape shape, std::uint64_t keys);

  std::uint64_t keys() const noexcept { return keys_; }
  /// A rank in [0, keys()). Draws a few numbers of `random`, at most a handful.
  std::uint64_t next(base::Random& random) const noexcept;

 private:
  double zipf_integral(double rank) const noexcept;
  double zipf_integral_inverse(double area) const noexcept;
  double zipf_density(double rank) const noexcept;
  std::uint64_t next_zipf(base::Random& random) const noexcept;
  std::uint64_t next_normal(base::Random& random) const noexcept;
  std::uint64_t next_zoned(base::Random& random) const noexcept;

  Shape shape_;
  std::uint64_t keys_;
  double area_first_ = 0;  // Zipf: areas are drawn from [area_first_, area_last_),
  double area_last_ = 0;
  double near_ = 0;      // and a rank this near below the drawn place is taken without a second look.
  double exponent_ = 0;  // Pareto.
};

}  // namespace penstock::bench
