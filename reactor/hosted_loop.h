// Runs a reactor on a thread of the host, which has a loop of its own: it waits for file() and then calls poll().
//
// file() is an epoll file over two others: the eventfd of the Io (completions, messages) and a timerfd (the reactor's timers).
// So a host needs no timers of its own, and one that forgets them does not stall flushes and back-pressure. Both are watched
// edge-triggered: nobody reads them, one epoll_wait() before each wait takes the edges.
// Invariants:
//   Hosted-I1 Between two poll() the reactor is armed, or file() is readable. So a host that waits for file() alone, and polls
//             when it is readable, leaves nothing undone.
//   Hosted-I2 The timerfd is never set later than the earliest timer. It may be earlier: a timer that moves away costs at most
//             one needless wake-up, not a system call each time.
// Thread: the one that made it, with at most one such object. While it lives the thread counts as one that runs a reactor:
// blocking calls answer `would_block`, also between two poll().
#pragma once

#include <cstdint>
#include <memory>

#include "penstock/status.h"
#include "reactor/io.h"
#include "reactor/reactor.h"

namespace penstock::reactor {

class HostedLoop {
 public:
  /// Makes the reactor's Io here. Errors: as System::make_io, and of the descriptors. Requires has_reactor() to be false.
  static Outcome<std::unique_ptr<HostedLoop>> start(Reactor& reactor, IoOptions io);
  /// With nothing ready or in flight: after settle().
  ~HostedLoop();
  HostedLoop(const HostedLoop&) = delete;
  HostedLoop& operator=(const HostedLoop&) = delete;

  int file() const noexcept { return epoll_file_; }
  /// Runs the loop until nothing is left to do, at most for about kPollNs. If there is nothing at all it first waits for
  /// something, at most `wait_ns` (negative: without limit). True: there is more to do at once. Not from inside itself.
  bool poll(std::int64_t wait_ns);
  /// Runs what is ready and waits for what is in flight.
  void settle();

  bool is_of_this_thread() const noexcept;
  bool is_polling() const noexcept { return Reactor::current() == &reactor_; }

  /// Whether this thread runs a reactor, hosted or not.
  static bool has_reactor() noexcept { return detail::current_executor != nullptr; }
  /// In a child after fork: a loop that this thread had is the parent's, and the thread is free.
  static void forget_inherited() noexcept;

  static constexpr std::uint64_t kPollNs = 200'000;

 private:
  struct Passes {
    bool ran = false;   // Anything.
    bool more = false;  // The time was over first.
  };

  explicit HostedLoop(Reactor& reactor) noexcept : reactor_(reactor) {}
  Failure open_files();
  Passes run_passes();
  bool try_arm();
  void set_timer(std::uint64_t deadline_ns);
  void take_edges() noexcept;
  void ring() noexcept;
  void wait(std::int64_t wait_ns) noexcept;

  static constexpr std::uint64_t kNever = ~0ULL;

  Reactor& reactor_;
  int epoll_file_ = -1;
  int timer_file_ = -1;
  std::uint64_t timer_ns_ = kNever;  // What the timerfd is set to.
  bool has_rung_ = false;            // file() is readable until the edges are taken.
};

}  // namespace penstock::reactor
