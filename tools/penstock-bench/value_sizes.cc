#include "tools/penstock-bench/value_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tools/penstock-bench/job_file.h"

namespace penstock::bench {
namespace {

constexpr double kShareTolerance = 1e-6;
constexpr double kUnit = 1.0 / (std::uint64_t{1} << 32U);

std::uint32_t parse_one(std::string_view text) {
  const std::uint64_t size = parse_size(text);
  if (size < kValueSizeMin || size > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument(fmt::format("at least {} was expected, and below 4 GiB", kValueSizeMin));
  }
  return static_cast<std::uint32_t>(size);
}

double parse_share(std::string_view text) {
  double share = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (error != std::errc{} || end != text.data() + text.size() || !(share > 0)) {
    throw std::invalid_argument("SIZE/PERCENT was expected, as in 100/90:4k/10");
  }
  return share / 100;
}

// 32 bits of the tag that its other uses do not show.
double unit_of(std::uint64_t tag) noexcept { return static_cast<double>((tag * 0x9e3779b97f4a7c15ULL) >> 32U) * kUnit; }

}  // namespace

ValueSizes ValueSizes::parse(std::string_view text) {
  ValueSizes sizes;
  if (text.find('/') == std::string_view::npos) {
    const std::size_t dash = text.find('-');
    sizes.min_ = parse_one(text.substr(0, dash));
    sizes.max_ = dash == std::string_view::npos ? sizes.min_ : parse_one(text.substr(dash + 1));
    if (sizes.min_ > sizes.max_) {
      throw std::invalid_argument("a range begins with its smaller end, as in 100-4k");
    }
    return sizes;
  }
  double sum = 0;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(':'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t slash = std::min(part.find('/'), part.size());
    const std::uint32_t size = parse_one(part.substr(0, slash));
    sum += parse_share(part.substr(std::min(slash + 1, part.size())));
    sizes.parts_.push_back({.up_to = sum, .size = size});
  }
  if (std::abs(sum - 1) > kShareTolerance) {
    throw std::invalid_argument("the shares must add up to 100 percent");
  }
  sizes.min_ = std::ranges::min_element(sizes.parts_, {}, &Part::size)->size;
  sizes.max_ = std::ranges::max_element(sizes.parts_, {}, &Part::size)->size;
  return sizes;
}

double ValueSizes::mean() const noexcept {
  if (parts_.empty()) {
    return (static_cast<double>(min_) + max_) / 2;
  }
  double mean = 0;
  double before = 0;
  for (const Part& part : parts_) {
    mean += (part.up_to - before) * part.size;
    before = part.up_to;
  }
  return mean;
}

std::uint32_t ValueSizes::of(std::uint64_t tag) const noexcept {
  if (min_ == max_) {
    return min_;
  }
  const double at = unit_of(tag);
  if (parts_.empty()) {
    return min_ + static_cast<std::uint32_t>(at * (static_cast<double>(max_ - min_) + 1));
  }
  const auto found = std::ranges::find_if(parts_, [at](const Part& part) { return at < part.up_to; });
  return found == parts_.end() ? parts_.back().size : found->size;
}

std::string ValueSizes::to_string() const {
  if (parts_.empty()) {
    return min_ == max_ ? fmt::to_string(min_) : fmt::format("{}-{}", min_, max_);
  }
  std::string text;
  double before = 0;
  for (const Part& part : parts_) {
    text += fmt::format("{}{}/{:.6g}", text.empty() ? "" : ":", part.size, 100 * (part.up_to - before));
    before = part.up_to;
  }
  return text;
}

}  // namespace penstock::bench
