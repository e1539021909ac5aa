#include "tools/penstock-bench/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tools/penstock-bench/machine.h"

namespace penstock::bench {

std::string short_number(double value) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (value < 999.5) {
      break;
    }
    value /= 1000;
    unit = next;
  }
  const int digits = value >= 99.95 || *unit == '\0' ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, digits, unit);
}

Progress::Progress(std::string title, char letter, Eta eta, std::function<ProgressSample()> sample)
    : title_(std::move(title)),
      letter_(letter),
      sample_(std::move(sample)),
      is_terminal_(isatty(STDERR_FILENO) == 1),
      newline_ns_(eta.newline_ns) {
  if (eta.mode != Eta::kNever) {
    thread_ = std::thread(&Progress::run, this);
  }
}

Progress::~Progress() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (widest_ > 0 && is_terminal_) {
    fmt::print(stderr, "\r{:{}}\r", "", widest_);
  }
}

void Progress::run() {
  constexpr std::uint64_t kRewriteNs = 500'000'000;
  constexpr std::uint64_t kLineNs = 5'000'000'000;
  std::uint64_t interval_ns = newline_ns_ > 0 ? newline_ns_ : kLineNs;
  interval_ns = is_terminal_ ? std::min(kRewriteNs, interval_ns) : interval_ns;
  const std::chrono::nanoseconds interval(interval_ns);
  const std::uint64_t start_ns = now_ns();
  std::uint64_t previous_ns = start_ns;
  ProgressSample previous = sample_();
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval, [this] { return stop_; })) {
    const ProgressSample current = sample_();
    const std::uint64_t current_ns = now_ns();
    print(current_ns - start_ns, previous, current, current_ns - previous_ns);
    previous = current;
    previous_ns = current_ns;
  }
}

namespace {

// "put=301k, get=1.2M ops/s, 3.0k commits/s"
std::string rates_text(const ProgressLine& line) {
  const double seconds = static_cast<double>(line.interval_ns) / 1e9;
  const auto rate = [&](std::uint64_t before, std::uint64_t after) {
    return short_number(static_cast<double>(after - before) / seconds);
  };
  std::string text;
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    if (line.current.by_kind[kind] > 0) {
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", kind_name(static_cast<OpKind>(kind)),
                          rate(line.previous.by_kind[kind], line.current.by_kind[kind]));
    }
  }
  text = (text.empty() ? rate(line.previous.operations, line.current.operations) : text) + " ops/s";
  if (line.current.commits > 0) {
    text += fmt::format(", {} commits/s", rate(line.previous.commits, line.current.commits));
  }
  return text;
}

}  // namespace

std::string ProgressLine::text() const {
  std::string done = "-.-%";
  std::string eta = "--m:--s";
  if (current.part_done >= 0) {
    const double part = std::min(current.part_done, 1.0);
    done = fmt::format("{:.1f}%", part * 100);
    if (part > 0) {
      const auto left = static_cast<std::uint64_t>(static_cast<double>(elapsed_ns) / 1e9 * (1 - part) / part);
      eta = left >= 3600 ? fmt::format("{:02}h:{:02}m:{:02}s", left / 3600, left / 60 % 60, left % 60)
                         : fmt::format("{:02}m:{:02}s", left / 60, left % 60);
    }
  }
  std::string bandwidth;
  if (current.bytes > 0) {
    constexpr double kMiB = 1 << 20;
    bandwidth = fmt::format("[bw={:.1f}MiB/s]", static_cast<double>(current.bytes - previous.bytes) / kMiB * 1e9 /
                                                    static_cast<double>(interval_ns));
  }
  return fmt::format("Jobs: {}: [{}][{}]{}[{}][eta {}]", title, letter, done, bandwidth, rates_text(*this), eta);
}

void Progress::print(std::uint64_t elapsed_ns, const ProgressSample& previous, const ProgressSample& current,
                     std::uint64_t interval_ns) {
  std::string line = ProgressLine{.title = title_,
                                  .letter = letter_,
                                  .elapsed_ns = elapsed_ns,
                                  .interval_ns = interval_ns,
                                  .previous = previous,
                                  .current = current}
                         .text();
  widest_ = std::max(widest_, line.size());
  line.resize(std::max(line.size(), widest_), ' ');
  const bool stays = !is_terminal_ || (newline_ns_ > 0 && elapsed_ns / newline_ns_ != (elapsed_ns - interval_ns) / newline_ns_);
  fmt::print(stderr, "{}{}", line, stays ? "\n" : "\r");
  std::fflush(stderr);
}

}  // namespace penstock::bench
