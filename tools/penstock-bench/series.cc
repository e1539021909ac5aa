#include "tools/penstock-bench/series.h"

#include <chrono>
#include <utility>

namespace penstock::bench {
namespace {

constexpr std::uint64_t SeriesCounts::* kCounts[] = {&SeriesCounts::commits, &SeriesCounts::flushes, &SeriesCounts::delayed_ns,
                                                     &SeriesCounts::stalls, &SeriesCounts::written_bytes};

// Calls combine(sum, part) for each count of both.
template <typename Combine>
void for_each_count(SeriesCounts& sum, const SeriesCounts& part, Combine combine) {
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    combine(sum.by_kind[kind], part.by_kind[kind]);
  }
  for (const auto count : kCounts) {
    combine(sum.*count, part.*count);
  }
}

}  // namespace

void SeriesCounts::subtract(const SeriesCounts& earlier) noexcept {
  for_each_count(*this, earlier, [](std::uint64_t& count, std::uint64_t part) { count -= part; });
}

void Series::add(const SeriesCounts& totals) {
  if (++skip_ < parts_) {
    return;
  }
  skip_ = 0;
  SeriesCounts sample = totals;
  sample.subtract(last_);
  samples.push_back(sample);
  last_ = totals;
  if (samples.size() == kSamplesMax) {
    halve();
  }
}

void Series::halve() {
  for (std::size_t at = 0; at < samples.size() / 2; ++at) {
    SeriesCounts sum = samples[2 * at];
    for_each_count(sum, samples[2 * at + 1], [](std::uint64_t& of_both, std::uint64_t part) { of_both += part; });
    samples[at] = sum;
  }
  samples.resize(samples.size() / 2);
  parts_ *= 2;
  interval_ns *= 2;
}

SeriesSampler::SeriesSampler(std::function<SeriesCounts()> read) : read_(std::move(read)) {
  series_.interval_ns = kIntervalNs;
  thread_ = std::thread(&SeriesSampler::run, this);
}

SeriesSampler::~SeriesSampler() { finish(); }

Series SeriesSampler::finish() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
  return std::exchange(series_, {});
}

void SeriesSampler::run() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  for (std::uint64_t interval = 1; !stop_; ++interval) {
    // By the clock and not by the pauses, whose errors would add up.
    const auto end = start + std::chrono::nanoseconds(interval * kIntervalNs);
    if (!wake_.wait_until(lock, end, [this] { return stop_; })) {
      series_.add(read_());
    }
  }
}

}  // namespace penstock::bench
