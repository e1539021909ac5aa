// The live line on stderr while a job runs: how fast, how far, how long still.
//
// On a terminal one line that is rewritten every 500 ms; otherwise a line every 5 s, so that logs stay readable. With
// --eta-newline a line stays so often in both cases.
// Threads: its own; `sample` is called there and must be safe beside the clients.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "tools/penstock-bench/job.h"

namespace penstock::bench {

/// --eta and --eta-newline.
struct Eta {
  enum Mode : std::uint8_t { kAuto, kAlways, kNever };
  // NOLINTNEXTLINE(google-explicit-constructor): a mode alone says it all.
  constexpr Eta(Mode with = kAuto, std::uint64_t newline_every_ns = 0) noexcept : mode(with), newline_ns(newline_every_ns) {}
  Mode mode;
  std::uint64_t newline_ns;  ///< 0: none is given.
};

struct ProgressSample {
  std::uint64_t operations = 0;
  std::uint64_t commits = 0;
  std::uint64_t bytes = 0;                        ///< Of keys and values.
  std::array<std::uint64_t, kOpKinds> by_kind{};  ///< Operations, where they are known apart.
  double part_done = -1;                          ///< 0 .. 1; negative: not known.
};

class Progress {
 public:
  /// `title` as in "manifold (c=8)"; `letter` says what is going on: W writing, R reading, L loading, F flushing, V verifying.
  Progress(std::string title, char letter, Eta eta, std::function<ProgressSample()> sample);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

 private:
  void run();
  void print(std::uint64_t elapsed_ns, const ProgressSample& previous, const ProgressSample& current,
             std::uint64_t interval_ns);

  const std::string title_;
  const char letter_;
  const std::function<ProgressSample()> sample_;
  const bool is_terminal_;
  const std::uint64_t newline_ns_;
  std::size_t widest_ = 0;  // Of the lines printed, to blank out leftovers.
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

/// The line, in fio's shape: "Jobs: fill (c=8): [W][41.6%][bw=172MiB/s][put=301k ops/s, 3.0k commits/s][eta 00m:35s]".
struct ProgressLine {
  std::string title;
  char letter = 'W';
  std::uint64_t elapsed_ns = 0;   ///< Since the beginning,
  std::uint64_t interval_ns = 1;  ///< and since `previous`.
  ProgressSample previous;
  ProgressSample current;

  std::string text() const;
};

/// 1.21M, 303k, 950: three digits.
std::string short_number(double value);

}  // namespace penstock::bench
