#include "engine/memory_gate.h"

#include <algorithm>

#include "base/assert.h"
#include "penstock/bytes.h"

namespace penstock::engine {

namespace {

/// What a pass counts as having given back before its end, at most.
constexpr double kGivenBackMax = 0.9;
/// What no pass under way holds, at least: of the limit.
constexpr double kCapacityShareMin = 0.4;
/// Up to this share of that commits come in at once.
constexpr double kSoftShare = 0.6;
/// Smaller passes say little about the rate.
constexpr std::uint64_t kTellingBytes = 1_MiB;
/// Of the rate of the passes.
constexpr double kRateShareMin = 0.25;
/// A timer may be so late without making commits slower.
constexpr std::uint64_t kCreditNs = 1'000'000;
/// How soon the most of late is forgotten, per pass.
constexpr double kDecay = 0.9;

}  // namespace

double MemoryGate::debt(std::uint64_t held, std::uint64_t now_ns) const noexcept {
  const auto limit = static_cast<double>(limit_bytes_);
  const double capacity = std::max(limit - (kGivenBackMax * under_way_lately_), limit * kCapacityShareMin);
  const double soft = capacity * kSoftShare;
  const double owed = static_cast<double>(held) - given_back(now_ns);
  return std::max(owed - soft, 0.0) / (capacity - soft);
}

MemoryGate::Verdict MemoryGate::admit(std::uint64_t bytes, std::uint64_t held, std::uint64_t now_ns) noexcept {
  if (held >= limit_bytes_) {
    return Verdict::kFull;
  }
  const double owed = debt(held, now_ns);
  if (owed == 0) {
    next_ns_ = 0;
    return Verdict::kNow;
  }
  if (now_ns < next_ns_) {
    return Verdict::kLater;
  }
  // Debt d from 0 to 1; let in at the rate of the passes x (1 - d) / d: above it while the debt is small, at it in the middle,
  // far below it at the end.
  const double passes_rate = pass_bytes_per_second_ * static_cast<double>(std::max<std::size_t>(passes_.size(), 1));
  const double share = std::max((1.0 - owed) / std::max(owed, 0.01), kRateShareMin);
  const double delay_ns = static_cast<double>(bytes) * 1e9 / (passes_rate * share);
  next_ns_ = std::max(next_ns_, now_ns - std::min(now_ns, kCreditNs)) + static_cast<std::uint64_t>(delay_ns);
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

double MemoryGate::bytes_under_way() const noexcept {
  double bytes = 0;
  for (const Pass& pass : passes_) {
    bytes += static_cast<double>(pass.bytes);
  }
  return bytes;
}

void MemoryGate::on_pass_begun(ShardId shard, std::uint64_t bytes, std::uint64_t now_ns) {
  PENSTOCK_ASSERT(std::ranges::find(passes_, shard, &Pass::shard) == passes_.end());
  passes_.push_back({.shard = shard, .bytes = bytes, .began_ns = now_ns});
  under_way_lately_ = std::max(under_way_lately_ * kDecay, bytes_under_way());
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
