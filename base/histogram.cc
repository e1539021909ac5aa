#include "base/histogram.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace penstock::base {

void Histogram::record_many(std::uint64_t value_ns, std::uint64_t count) noexcept {
  if (count == 0) {
    return;
  }
  counts_[bucket_of(value_ns)] += count;
  count_ += count;
  min_ns_ = std::min(min_ns_, value_ns);
  max_ns_ = std::max(max_ns_, value_ns);
  const auto wide = static_cast<unsigned __int128>(value_ns);
  sum_ns_ += wide * count;
  // Clamped like the buckets: a broken clock's 2^64 must not overflow the sum.
  const auto clamped = static_cast<unsigned __int128>(std::min(value_ns, kClampedFromNs));
  sum_of_squares_ns2_ += clamped * clamped * count;
  clamped_sum_ns_ += clamped * count;
}

void Histogram::merge(const Histogram& other) noexcept {
  for (std::uint32_t bucket = 0; bucket < kBucketCount; ++bucket) {
    counts_[bucket] += other.counts_[bucket];
  }
  count_ += other.count_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
  clamped_sum_ns_ += other.clamped_sum_ns_;
  sum_of_squares_ns2_ += other.sum_of_squares_ns2_;
}

double Histogram::mean_ns() const noexcept {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_ns_) / static_cast<double>(count_);
}

double Histogram::stddev_ns() const noexcept {
  if (count_ == 0) {
    return 0.0;
  }
  const auto count = static_cast<long double>(count_);
  const long double mean = static_cast<long double>(clamped_sum_ns_) / count;
  const long double variance = static_cast<long double>(sum_of_squares_ns2_) / count - mean * mean;
  return static_cast<double>(std::sqrt(std::max(variance, 0.0L)));
}

std::uint64_t Histogram::percentile_ns(double percent) const noexcept {
  PENSTOCK_ASSERT(percent >= 0.0 && percent <= 100.0);
  if (count_ == 0) {
    return 0;
  }
  // The rank of the wanted value among the sorted ones, from 1.
  const double exact_rank = std::ceil(percent / 100.0 * static_cast<double>(count_));
  const std::uint64_t rank =
      exact_rank >= static_cast<double>(count_) ? count_ : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(exact_rank));
  if (rank == count_) {
    return max_ns_;
  }
  if (rank == 1) {
    return min_ns_;
  }
  std::uint64_t seen = 0;
  std::uint32_t bucket = 0;
  while (seen + counts_[bucket] < rank) {
    seen += counts_[bucket];
    ++bucket;
    PENSTOCK_ASSERT_LT(bucket, kBucketCount);  // Histogram-I1
  }
  const std::uint64_t low_ns = bucket_low_ns(bucket);
  return std::clamp(low_ns + (bucket_end_ns(bucket) - low_ns) / 2, min_ns_, max_ns_);
}

}  // namespace penstock::base
