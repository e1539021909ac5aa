#include "tools/penstock-bench/latency_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/assert.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kColumns = 80;

struct Unit {
  const char* name;
  std::uint64_t ns;
};

Unit unit_for(std::uint64_t least_ns, std::uint64_t most_ns) {
  if (least_ns > 2'000'000 && most_ns > 99'999'000) {
    return {.name = "msec", .ns = 1'000'000};
  }
  if (least_ns > 2'000 && most_ns > 99'999) {
    return {.name = "usec", .ns = 1'000};
  }
  return {.name = "nsec", .ns = 1};
}

std::uint64_t rounded_up(std::uint64_t ns, const Unit& unit) { return (ns + unit.ns - 1) / unit.ns; }

// Upper ends of the buckets of a unit, in it. Those of the last one go on to 2,000 msec, and beyond.
constexpr std::uint64_t kEnds[] = {2, 4, 10, 20, 50, 100, 250, 500, 750, 1000, 2000};
constexpr std::size_t kEndsInUnit = 10;

constexpr Unit kUnits[] = {{"nsec", 1}, {"usec", 1'000}, {"msec", 1'000'000}};

}  // namespace

const std::vector<double>& default_percentiles() {
  static const std::vector<double> percentiles = {1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99};
  return percentiles;
}

std::string latency_line(std::string_view name, const base::Histogram& latency) {
  const Unit unit = unit_for(latency.min_ns(), latency.max_ns());
  const auto scale = static_cast<double>(unit.ns);
  return fmt::format("    {:>4} ({}): min={}, max={}, avg={:5.2f}, stdev={:5.2f}\n", name, unit.name,
                     latency.min_ns() / unit.ns, latency.max_ns() / unit.ns, latency.mean_ns() / scale,
                     latency.stddev_ns() / scale);
}

std::string percentile_table(std::string_view name, const base::Histogram& latency, std::span<const double> percentiles) {
  if (percentiles.empty() || latency.count() == 0) {
    return "";
  }
  const std::uint64_t least_ns = latency.percentile_ns(percentiles.front());
  const std::uint64_t most_ns = latency.percentile_ns(percentiles.back());
  const Unit unit = unit_for(least_ns, most_ns);
  const std::size_t digits = fmt::formatted_size("{}", rounded_up(most_ns, unit));
  const std::size_t item_columns = std::string_view(" 99.99th=[],").size() + digits;
  const std::size_t per_line = std::max<std::size_t>(1, (kColumns - std::string_view("     |").size()) / item_columns);
  std::string text = fmt::format("    {} percentiles ({}):\n", name, unit.name);
  for (std::size_t at = 0; at < percentiles.size(); ++at) {
    const bool is_last = at + 1 == percentiles.size();
    const bool ends_line = at % per_line == per_line - 1;
    text += fmt::format("{} {:5.2f}th=[{:{}}]{}", at % per_line == 0 ? "     |" : "", percentiles[at],
                        rounded_up(latency.percentile_ns(percentiles[at]), unit), digits,
                        is_last     ? "\n"
                        : ends_line ? ",\n"
                                    : ",");
  }
  return text;
}

std::vector<LatencyBucket> latency_buckets(const base::Histogram& latency, std::string_view unit_name) {
  const auto* const unit_found =
      std::ranges::find(kUnits, unit_name, [](const Unit& each) { return std::string_view(each.name); });
  PENSTOCK_ASSERT(unit_found != std::end(kUnits));
  const Unit& unit = *unit_found;
  const bool is_last = unit.ns == 1'000'000;
  const std::size_t ends = is_last ? std::size(kEnds) : kEndsInUnit;
  std::vector<std::uint64_t> counts(ends + 1);
  latency.for_each_bucket([&](std::uint64_t low_ns, std::uint64_t, std::uint64_t count) {
    const bool is_here = low_ns >= (unit.ns == 1 ? 0 : unit.ns) && (is_last || low_ns < unit.ns * 1000);
    if (is_here) {
      const auto* const end = std::upper_bound(kEnds, kEnds + ends, low_ns / unit.ns);
      counts[static_cast<std::size_t>(end - kEnds)] += count;
    }
  });
  std::vector<LatencyBucket> buckets;
  for (std::size_t at = 0; at < ends + (is_last ? 1 : 0); ++at) {
    const double percent =
        latency.count() == 0 ? 0 : 100 * static_cast<double>(counts[at]) / static_cast<double>(latency.count());
    buckets.push_back({.end = at < ends ? fmt::to_string(kEnds[at]) : ">=2000", .percent = percent});
  }
  return buckets;
}

std::string bucket_lines(const base::Histogram& latency) {
  constexpr std::size_t kPerLine = 6;
  std::string text;
  for (const char* unit : {"nsec", "usec", "msec"}) {
    std::size_t printed = 0;
    std::string line;
    for (const LatencyBucket& bucket : latency_buckets(latency, unit)) {
      if (bucket.percent > 0) {
        const bool begins_line = printed % kPerLine == 0;
        line += begins_line ? fmt::format("{}  lat ({})   : ", printed == 0 ? "" : "\n", unit) : ", ";
        line += fmt::format("{}={:.2f}%", bucket.end, std::max(bucket.percent, 0.01));
        ++printed;
      }
    }
    text += line.empty() ? "" : line + "\n";
  }
  return text;
}

}  // namespace penstock::bench
