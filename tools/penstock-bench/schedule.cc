#include "tools/penstock-bench/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "tools/penstock-bench/dataset.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

}  // namespace

Schedule::Schedule(const Rate& rate, const Pace& pace)
    : rate_(rate), pace_(pace), random_(mix_bits(pace.seed * 0x9e3779b97f4a7c15ULL + pace.client + 0x5c4ed)) {
  PENSTOCK_ASSERT_GT(rate.ops_per_second, 0U);
  PENSTOCK_ASSERT_LT(pace.client, pace.clients);
  poisson_ns_ = draw_ns(pace.batch);
  next_ns_ = rate.process == RateProcess::kLinear ? linear_ns() : static_cast<std::uint64_t>(poisson_ns_);
}

void Schedule::advance(std::uint32_t operations) noexcept {
  operations_ += operations;
  if (rate_.process == RateProcess::kLinear) {
    next_ns_ = linear_ns();
  } else {
    poisson_ns_ += draw_ns(operations);
    next_ns_ = static_cast<std::uint64_t>(poisson_ns_);
  }
}

std::uint64_t Schedule::linear_ns() const noexcept {
  const auto turns =
      static_cast<unsigned __int128>(operations_) * pace_.clients + static_cast<unsigned __int128>(pace_.client) * pace_.batch;
  return static_cast<std::uint64_t>(turns * kSecondNs / rate_.ops_per_second);
}

double Schedule::draw_ns(std::uint32_t operations) noexcept {
  constexpr double kUnit = 1.0 / (std::uint64_t{1} << 53U);  // A double has 53 bits.
  const double mean_ns =
      static_cast<double>(operations) * pace_.clients * kSecondNs / static_cast<double>(rate_.ops_per_second);
  const double uniform = static_cast<double>(random_.next() >> 11U) * kUnit;  // [0, 1)
  return -std::log1p(-uniform) * mean_ns;
}

Pacer::Pacer(const Rate& rate, const Pace& pace) {
  if (rate.ops_per_second > 0) {
    schedule_.emplace(rate, pace);
  }
}

std::uint64_t Pacer::take(std::uint64_t at_ns, std::uint32_t operations) noexcept {
  if (!schedule_.has_value()) {
    return at_ns;
  }
  const std::uint64_t begins_ns = std::min(due_ns(), at_ns);
  schedule_->advance(operations);
  return begins_ns;
}

std::uint64_t Pacer::behind_ns(std::uint64_t at_ns) const noexcept {
  return schedule_.has_value() && due_ns() < at_ns ? at_ns - due_ns() : 0;
}

}  // namespace penstock::bench
