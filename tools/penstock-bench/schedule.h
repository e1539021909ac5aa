// Schedule: when the calls of a client are to begin if a rate is given; Pacer: a client's place in it, and from when on latency
// counts. So a stall shows in every call that should have begun in it, and not in the one alone that met it.
//
// Invariants:
//   Schedule-I1 linear: the call before which a client has asked for d operations begins (d x clients + client x batch) / rate
//               after the run's beginning, to the nanosecond: nothing adds up, and the clients take turns.
//   Schedule-I2 poisson: the time between two calls of a client is exponential, with linear's as its mean, and a function of
//               seed and client alone; so all clients together are a Poisson process of the rate wanted.
//   Schedule-I3 What take() returns is never after the time it is given: no call is measured shorter than it was.
// Units: nanoseconds. No clock is read here. Thread: the client's.
// Source: "coordinated omission", Gil Tene, "How NOT to measure latency", 2013; keys as fio's rate_iops and rate_process.
#pragma once

#include <cstdint>
#include <optional>

#include "base/random.h"

namespace penstock::bench {

enum class RateProcess : std::uint8_t { kLinear, kPoisson };

struct Rate {
  std::uint64_t ops_per_second = 0;  ///< Of all clients together; 0: none is given, each call begins when it can.
  RateProcess process = RateProcess::kLinear;
};

/// Which client, and what it asks for.
struct Pace {
  std::uint32_t client = 0;
  std::uint32_t clients = 1;
  std::uint32_t batch = 1;  ///< Operations of a call.
  std::uint64_t seed = 1;
};

class Schedule {
 public:
  /// `rate.ops_per_second` and `pace.clients` are positive.
  Schedule(const Rate& rate, const Pace& pace);

  /// When the next call is to begin, from the run's beginning on.
  std::uint64_t next_ns() const noexcept { return next_ns_; }
  /// Goes on to the call after it; the one passed had so many operations.
  void advance(std::uint32_t operations) noexcept;

 private:
  double draw_ns(std::uint32_t operations) noexcept;
  std::uint64_t linear_ns() const noexcept;

  Rate rate_;
  Pace pace_;
  base::Random random_;
  std::uint64_t operations_ = 0;  // Of the calls passed.
  double poisson_ns_ = 0;
  std::uint64_t next_ns_ = 0;
};

class Pacer {
 public:
  /// A call that is to begin so soon begins now: sleeping is not worth it, and waiting awake would cost a core.
  static constexpr std::uint64_t kEarlyNsMax = 100'000;
  /// A client that sleeps wants to be woken so much before: what a core takes to wake up (about this on a virtual machine) is
  /// not the engine's. So a delay of up to this much may go unseen, and no more.
  static constexpr std::uint64_t kWakeNs = 50'000;
  static_assert(kWakeNs < kEarlyNsMax);

  Pacer(const Rate& rate, const Pace& pace);

  bool is_paced() const noexcept { return schedule_.has_value(); }
  void begin(std::uint64_t run_start_ns) noexcept { run_start_ns_ = run_start_ns; }
  /// When the next call is to begin; 0 without a rate.
  std::uint64_t due_ns() const noexcept { return schedule_.has_value() ? run_start_ns_ + schedule_->next_ns() : 0; }
  /// With a rate: until when to sleep for it.
  std::uint64_t wake_ns() const noexcept { return due_ns() - kWakeNs; }
  bool is_due(std::uint64_t at_ns) const noexcept { return due_ns() <= at_ns + kEarlyNsMax; }
  /// The next call, of so many operations, begins at `at_ns`. Returns from when on its latency counts.
  std::uint64_t take(std::uint64_t at_ns, std::uint32_t operations) noexcept;
  /// How late the next call would be.
  std::uint64_t behind_ns(std::uint64_t at_ns) const noexcept;

 private:
  std::optional<Schedule> schedule_;
  std::uint64_t run_start_ns_ = 0;
};

}  // namespace penstock::bench
