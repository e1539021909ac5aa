#include "engine/memory_gate.h"

#include <algorithm>

#include "base/assert.h"
#include "penstock/bytes.h"

namespace penstock::engine {

namespace {

/// Up to this share of the limit commits come in at once.
constexpr double kSoftShare = 0.5;
/// What a pass counts as having given back before its end, at most.
constexpr double kGivenBackMax = 0.9;
/// Smaller passes say little about the rate.
constexpr std::uint64_t kTellingBytes = 1_MiB;
/// Of the rate of a pass: nobody waits for long because too little was expected of one.
constexpr double kRateShareMin = 0.05;

}  // namespace

MemoryGate::Verdict MemoryGate::admit(std::uint64_t bytes, std::uint64_t held, std::uint64_t now_ns) noexcept {
  if (held >= limit_bytes_) {
    return Verdict::kFull;
  }
  const auto limit = static_cast<double>(limit_bytes_);
  const double soft = limit * kSoftShare;
  const double owed = static_cast<double>(held) - given_back(now_ns);
  if (owed <= soft) {
    next_ns_ = 0;
    return Verdict::kNow;
  }
  if (now_ns < next_ns_) {
    return Verdict::kLater;
  }
  // Debt d from 0 to 1; let in at the rate of a pass x (1 - d) / d: above it while the debt is small, at it in the middle,
  // towards nothing at the limit.
  const double debt = (owed - soft) / (limit - soft);
  const double rate = pass_bytes_per_second_ * (1.0 - debt) / std::max(debt, 0.01);
  const double delay_ns = static_cast<double>(bytes) * 1e9 / std::max(rate, pass_bytes_per_second_ * kRateShareMin);
  next_ns_ = std::max(next_ns_, now_ns) + static_cast<std::uint64_t>(delay_ns);
  return Verdict::kNow;
}

double MemoryGate::given_back(std::uint64_t now_ns) const noexcept {
  double bytes = 0;
  for (const Pass& pass : passes_) {
    const double by_time = pass_bytes_per_second_ * static_cast<double>(now_ns - pass.began_ns) / 1e9;
    bytes += std::min(by_time, kGivenBackMax * static_cast<double>(pass.bytes));
  }
  return bytes;
}

void MemoryGate::on_pass_begun(ShardId shard, std::uint64_t bytes, std::uint64_t now_ns) {
  PENSTOCK_ASSERT(std::ranges::find(passes_, shard, &Pass::shard) == passes_.end());
  passes_.push_back({.shard = shard, .bytes = bytes, .began_ns = now_ns});
}

void MemoryGate::on_pass_ended(ShardId shard, bool freed, std::uint64_t now_ns) noexcept {
  const auto pass = std::ranges::find(passes_, shard, &Pass::shard);
  PENSTOCK_ASSERT(pass != passes_.end());
  if (freed && pass->bytes >= kTellingBytes && now_ns > pass->began_ns) {
    const double rate = static_cast<double>(pass->bytes) * 1e9 / static_cast<double>(now_ns - pass->began_ns);
    pass_bytes_per_second_ = (3 * pass_bytes_per_second_ + rate) / 4;
  }
  passes_.erase(pass);
  next_ns_ = 0;
}

}  // namespace penstock::engine
