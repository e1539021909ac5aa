#include "tools/penstock-bench/hgrm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace penstock::bench {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kLinesPerHalving = 5;

// How many values are in buckets up to that of `value_ns`.
class Counts {
 public:
  explicit Counts(const base::Histogram& latency) {
    latency.for_each_bucket([this](std::uint64_t, std::uint64_t end_ns, std::uint64_t count) {
      upto_.push_back({.end_ns = end_ns, .count = count + (upto_.empty() ? 0 : upto_.back().count)});
    });
  }
  std::uint64_t upto(std::uint64_t value_ns) const {
    const auto found = std::ranges::upper_bound(upto_, value_ns, {}, &Upto::end_ns);
    return found == upto_.end() ? upto_.back().count : found->count;
  }

 private:
  struct Upto {
    std::uint64_t end_ns;
    std::uint64_t count;
  };
  std::vector<Upto> upto_;
};

// The next percentile to report, 0 to 100.
double after(double percent) {
  const double halvings = std::floor(std::log2(100 / (100 - percent))) + 1;
  return percent + 100 / (kLinesPerHalving * std::exp2(halvings));
}

double ms(std::uint64_t value_ns) { return static_cast<double>(value_ns) / kNsPerMs; }

}  // namespace

std::string hgrm_text(const base::Histogram& latency) {
  std::string text = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  if (latency.count() > 0) {
    const Counts counts(latency);
    for (double percent = 0; percent < 100; percent = after(percent)) {
      const std::uint64_t value_ns = latency.percentile_ns(percent);
      const std::uint64_t count = counts.upto(value_ns);
      if (count == latency.count()) {
        break;
      }
      text += fmt::format("{:12.6f} {:.12f} {:10} {:14.2f}\n", ms(value_ns), percent / 100, count, 1 / (1 - percent / 100));
    }
    text += fmt::format("{:12.6f} {:.12f} {:10}\n", ms(latency.max_ns()), 1.0, latency.count());
  }
  text += fmt::format("#[Mean    = {:12.6f}, StdDeviation   = {:12.6f}]\n", latency.mean_ns() / kNsPerMs,
                      latency.stddev_ns() / kNsPerMs);
  text += fmt::format("#[Max     = {:12.6f}, Total count    = {:12}]\n", ms(latency.max_ns()), latency.count());
  text += fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n",
                      base::Histogram::kBucketCount / base::Histogram::kSubBucketCount, base::Histogram::kSubBucketCount);
  return text;
}

std::string hgrm_path(const std::string& prefix, const std::string& job) {
  std::string name = job;
  std::ranges::replace(name, '/', '_');
  return prefix + name + ".hgrm";
}

}  // namespace penstock::bench
