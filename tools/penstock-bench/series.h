// Series: what a job did in each interval of its time, for the graph of throughput and the logs of bandwidth: the only place
// where a stall shows.
//
// Sampled from beside the clients, so it costs them nothing. Invariants:
//   Series-I1 The intervals of a series are of equal length, and at most kSamplesMax: a long job gets longer ones, by adding up
//             pairs. The samples' sums are the job's own, up to the last sample.
// Units: nanoseconds, counts in the interval. Thread: SeriesSampler's own calls `read`, which must be safe beside the clients.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "tools/penstock-bench/job.h"

namespace penstock::bench {

/// What is counted: since the beginning as totals, in a series for an interval.
struct SeriesCounts {
  std::array<std::uint64_t, kOpKinds> by_kind{};  ///< Operations.
  std::uint64_t commits = 0;
  std::uint64_t flushes = 0;
  std::uint64_t delayed_ns = 0;     ///< That commits waited for room, added over all of them.
  std::uint64_t stalls = 0;         ///< Tasks of the engine that ran too long.
  std::uint64_t written_bytes = 0;  ///< By the process, as the kernel counts.

  void subtract(const SeriesCounts& earlier) noexcept;
  std::uint64_t operations() const noexcept { return std::accumulate(by_kind.begin(), by_kind.end(), std::uint64_t{0}); }
};

struct Series {
  static constexpr std::size_t kSamplesMax = 1200;
  std::uint64_t interval_ns = 0;
  std::vector<SeriesCounts> samples;

  /// The totals at the end of the next interval.
  void add(const SeriesCounts& totals);

 private:
  void halve();
  SeriesCounts last_;       // Totals up to the end of the last sample.
  std::uint64_t skip_ = 0;  // Of the intervals that are made of several, how many are still to come.
  std::uint64_t parts_ = 1;
};

class SeriesSampler {
 public:
  static constexpr std::uint64_t kIntervalNs = 100'000'000;

  explicit SeriesSampler(std::function<SeriesCounts()> read);
  SeriesSampler(const SeriesSampler&) = delete;
  SeriesSampler& operator=(const SeriesSampler&) = delete;
  ~SeriesSampler();

  /// Ends it.
  Series finish();

 private:
  void run();

  const std::function<SeriesCounts()> read_;
  Series series_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace penstock::bench
