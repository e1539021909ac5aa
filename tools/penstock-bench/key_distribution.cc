#include "tools/penstock-bench/key_distribution.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace penstock::bench {
namespace {

using Kind = KeyDistribution::Kind;
using Shape = KeyDistribution::Shape;

constexpr double kZoneSumTolerance = 1e-6;

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::unexpected<std::string> bad(std::string_view text, std::string_view expected) {
  return std::unexpected("\"" + std::string(text) + "\" is no key distribution: " + std::string(expected));
}

std::expected<Shape, std::string> parse_zones(std::string_view text, std::string_view zones) {
  Shape shape{.kind = Kind::kZoned, .parameter = 0, .zones = {}};
  double operations = 0;
  double keys = 0;
  while (!zones.empty()) {
    const std::string_view zone = zones.substr(0, zones.find(':'));
    zones.remove_prefix(std::min(zones.size(), zone.size() + 1));
    const std::size_t slash = zone.find('/');
    if (slash == std::string_view::npos) return bad(text, "a zone is OPERATIONS/KEYS in percent, as in zoned:90/10:10/90");
    const std::optional<double> share = number_in(zone.substr(0, slash));
    const std::optional<double> size = number_in(zone.substr(slash + 1));
    if (!share || !size || *share < 0 || *size <= 0) {
      return bad(text, "a zone is OPERATIONS/KEYS in percent, with keys above 0");
    }
    operations += *share;
    keys += *size;
    shape.zones.push_back({.operations = *share / 100, .keys = *size / 100});
  }
  if (std::abs(operations - 100) > kZoneSumTolerance || std::abs(keys - 100) > kZoneSumTolerance) {
    return bad(text, "the zones' operations and their keys must each add up to 100 percent");
  }
  return shape;
}

/// log(1 + x) / x, also where x is next to 0.
double log1p_over(double x) { return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - (x * (0.5 - (x / 3))); }
/// (e^x - 1) / x, likewise.
double expm1_over(double x) { return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + (x * (0.5 + (x / 6))); }

std::uint64_t place_of(double share, std::uint64_t keys) {
  return std::min(static_cast<std::uint64_t>(share * static_cast<double>(keys)), keys - 1);
}

}  // namespace

std::expected<Shape, std::string> KeyDistribution::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (name == "random" && colon == std::string_view::npos) return Shape{};
  if (name == "zoned") return parse_zones(text, rest);
  const std::optional<double> value = number_in(rest);
  if (name == "zipf") {
    if (!value || *value <= 0 || *value > 10) return bad(text, "zipf:THETA has 0 < THETA <= 10, as in zipf:0.99");
    return Shape{.kind = Kind::kZipf, .parameter = *value, .zones = {}};
  }
  if (name == "pareto") {
    if (!value || *value <= 0 || *value > 0.5) return bad(text, "pareto:SHARE has 0 < SHARE <= 0.5, as in pareto:0.2");
    return Shape{.kind = Kind::kPareto, .parameter = *value, .zones = {}};
  }
  if (name == "normal") {
    if (!value || *value <= 0 || *value > 100)
      return bad(text, "normal:DEVIATION is in percent of the keys, above 0, at most 100");
    return Shape{.kind = Kind::kNormal, .parameter = *value / 100, .zones = {}};
  }
  return bad(text, "it is one of random, zipf:THETA, pareto:SHARE, normal:DEVIATION, zoned:OPERATIONS/KEYS:...");
}

KeyDistribution::KeyDistribution(Shape shape, std::uint64_t keys) : shape_(std::move(shape)), keys_(keys) {
  PENSTOCK_ASSERT_GT(keys, 0U);
  if (shape_.kind == Kind::kZipf) {
    area_first_ = zipf_integral(1.5) - 1;
    area_last_ = zipf_integral(static_cast<double>(keys) + 0.5);
    near_ = 2 - zipf_integral_inverse(zipf_integral(2.5) - zipf_density(2));
  } else if (shape_.kind == Kind::kPareto) {
    exponent_ = std::log(shape_.parameter) / std::log(1 - shape_.parameter);
  }
}

std::uint64_t KeyDistribution::next(base::Random& random) const noexcept {
  switch (shape_.kind) {
    case Kind::kRandom:
      return random.below(keys_);
    case Kind::kZipf:
      return next_zipf(random);
    case Kind::kPareto:
      return place_of(std::pow(random.unit(), exponent_), keys_);
    case Kind::kNormal:
      return next_normal(random);
    case Kind::kZoned:
      return next_zoned(random);
  }
  return 0;
}

/// The area below x^-theta from 1 to `rank`.
double KeyDistribution::zipf_integral(double rank) const noexcept {
  const double log_rank = std::log(rank);
  return expm1_over((1 - shape_.parameter) * log_rank) * log_rank;
}

double KeyDistribution::zipf_integral_inverse(double area) const noexcept {
  const double bent = std::max(area * (1 - shape_.parameter), -1.0);
  return std::exp(log1p_over(bent) * area);
}

double KeyDistribution::zipf_density(double rank) const noexcept { return std::exp(-shape_.parameter * std::log(rank)); }

std::uint64_t KeyDistribution::next_zipf(base::Random& random) const noexcept {
  for (;;) {
    const double area = area_last_ + (random.unit() * (area_first_ - area_last_));
    const double place = zipf_integral_inverse(area);
    const double rank = std::clamp(std::floor(place + 0.5), 1.0, static_cast<double>(keys_));
    if (rank - place <= near_ || area >= zipf_integral(rank + 0.5) - zipf_density(rank)) {
      return static_cast<std::uint64_t>(rank) - 1;
    }
  }
}

std::uint64_t KeyDistribution::next_normal(base::Random& random) const noexcept {
  for (;;) {
    const double x = (2 * random.unit()) - 1;
    const double y = (2 * random.unit()) - 1;
    const double square = (x * x) + (y * y);
    if (square >= 1 || square == 0) continue;
    const double share = 0.5 + (shape_.parameter * x * std::sqrt(-2 * std::log(square) / square));
    if (share >= 0 && share < 1) return place_of(share, keys_);
  }
}

std::uint64_t KeyDistribution::next_zoned(base::Random& random) const noexcept {
  double operation = random.unit();
  double first = 0;
  for (const Zone& zone : shape_.zones) {
    if (operation < zone.operations || &zone == &shape_.zones.back()) {
      return place_of(first + (random.unit() * zone.keys), keys_);
    }
    operation -= zone.operations;
    first += zone.keys;
  }
  return keys_ - 1;
}

}  // namespace penstock::bench
