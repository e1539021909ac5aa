// A histogram of durations with a bounded relative error and a fixed size (15 KiB): recording costs a few additions.
//
// Values below 64 have a bucket each; above, every power of two is cut into 64 equal buckets. What percentile() reports is the
// middle of a bucket, so it is off by less than 1/128 of the value. Values from 2^34 ns (17 s) on go into the last bucket; min,
// max and mean are exact for them too.
//
// Invariants:
//   Histogram-I1  The buckets' counts add up to count().
//   Histogram-I2  merge() is exact: merging and recording commute.
// Units: nanoseconds. Thread: one at a time.
// Source: the layout of fio's latency buckets (stat.h, FIO_IO_U_PLAT_*), https://github.com/axboe/fio.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace penstock::base {

class Histogram {
 public:
  static constexpr std::uint32_t kSubBucketBits = 6;
  static constexpr std::uint32_t kSubBucketCount = 1U << kSubBucketBits;
  static constexpr std::uint32_t kValueBits = 34;
  /// One group of 64 for the values below 64, then one for each power of two from 2^6 to 2^33.
  static constexpr std::uint32_t kBucketCount = (kValueBits - kSubBucketBits + 1) * kSubBucketCount;
  static constexpr std::uint64_t kClampedFromNs = std::uint64_t{1} << kValueBits;

  void record(std::uint64_t value_ns) noexcept { record_many(value_ns, 1); }
  /// As `count` calls of record().
  void record_many(std::uint64_t value_ns, std::uint64_t count) noexcept;
  void merge(const Histogram& other) noexcept;
  void clear() noexcept { *this = Histogram(); }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t min_ns() const noexcept { return count_ == 0 ? 0 : min_ns_; }
  std::uint64_t max_ns() const noexcept { return max_ns_; }
  double sum_ns() const noexcept { return static_cast<double>(sum_ns_); }
  double mean_ns() const noexcept;
  /// Of the population, not of a sample; values above 2^34 ns count as 2^34 ns.
  double stddev_ns() const noexcept;

  /// The value that at least `percent` (0 to 100) of the recorded ones do not exceed, to within a bucket; never outside
  /// [min_ns, max_ns]. 0 while nothing is recorded.
  std::uint64_t percentile_ns(double percent) const noexcept;

  /// Calls visit(low_ns, end_ns, count) for each bucket that is not empty, ascending; a bucket is [low_ns, end_ns). The last
  /// one also holds what was clamped.
  template <typename Visit>
  void for_each_bucket(Visit&& visit) const {
    for (std::uint32_t bucket = 0; bucket < kBucketCount; ++bucket) {
      if (counts_[bucket] != 0) {
        visit(bucket_low_ns(bucket), bucket_end_ns(bucket), counts_[bucket]);
      }
    }
  }

  static constexpr std::uint32_t bucket_of(std::uint64_t value_ns) noexcept {
    if (value_ns < kSubBucketCount) {
      return static_cast<std::uint32_t>(value_ns);
    }
    if (value_ns >= kClampedFromNs) {
      return kBucketCount - 1;
    }
    // The leading bit names the group, the six behind it the bucket; the group below 64 comes first.
    const auto shift = static_cast<std::uint32_t>(std::bit_width(value_ns)) - 1 - kSubBucketBits;
    return (shift << kSubBucketBits) + static_cast<std::uint32_t>(value_ns >> shift);
  }
  static constexpr std::uint64_t bucket_low_ns(std::uint32_t bucket) noexcept {
    if (bucket < kSubBucketCount) {
      return bucket;
    }
    const std::uint32_t shift = (bucket >> kSubBucketBits) - 1;
    return (std::uint64_t{kSubBucketCount} + (bucket & (kSubBucketCount - 1))) << shift;
  }
  static constexpr std::uint64_t bucket_end_ns(std::uint32_t bucket) noexcept { return bucket_low_ns(bucket + 1); }

 private:
  std::array<std::uint64_t, kBucketCount> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ns_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ns_ = 0;
  // Integers do not round, so the order of recording and merging does not show. The squares are of values clamped to 2^34:
  // 2^60 of them fit, where one broken clock's 2^64 would not; the deviation takes its mean from the same values.
  unsigned __int128 sum_ns_ = 0;
  unsigned __int128 clamped_sum_ns_ = 0;
  unsigned __int128 sum_of_squares_ns2_ = 0;
};
static_assert(Histogram::bucket_of(Histogram::kSubBucketCount - 1) + 1 == Histogram::bucket_of(Histogram::kSubBucketCount));
static_assert(Histogram::bucket_of(Histogram::kClampedFromNs - 1) == Histogram::kBucketCount - 1);
static_assert(Histogram::bucket_end_ns(Histogram::kBucketCount - 1) == Histogram::kClampedFromNs);

}  // namespace penstock::base
