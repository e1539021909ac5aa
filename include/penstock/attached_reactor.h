// AttachedReactor: a reactor on a thread of the host program, for programs that have an event loop and want no threads of ours.
//
//   auto runtime = penstock::Runtime::start({.reactors = 1, .threads = penstock::ReactorThreads::kDonated});
//   auto reactor = runtime->attach();                      // Now this thread is the reactor's.
//   auto db = reactor->wait(penstock::Database::open_async(*runtime, "/data/orders"));
//   watch(reactor->fd(), [&] { reactor->poll(); });        // epoll, poll, select, another library.
//   db->put(orders, "key", "value").on_ready([](penstock::Status status) { ... });  // Called inside poll().
//
// The whole duty of the host: whenever fd() is readable, call poll(). It is readable when the reactor has something to do: a
// completion, a call from any thread, a timer that is due, or work that the last poll() left. Nothing else is to be looked at:
//
// - Timers are behind fd() too. They are the reactor's own affair (syncs, back-pressure, closing), and a host that had to arm
//   them and forgot would see commits stall, not fail. The price is a timerfd, and an epoll file over it and an eventfd.
// - It is level-triggered: readable until poll() has seen to it. Who waits edge-triggered repeats poll() until it is false.
// - Between two poll() the reactor is armed: calls of other threads signal fd(). While poll() runs they cost no system call.
// - epoll_wait() may end with EINTR where the kernel (before 6.1) interrupts the thread for completions: wait again.
//
// Nothing happens between two poll(), but gets of what is in memory, which every thread answers itself (borrowed_reads), this
// one too. Commits are neither written nor synced, and other reactors that ask this one wait: a thread that polls late is a
// slow disk to everybody.
//
// Blocking: on this thread Future::get, Database::open and Database::close answer `would_block` unless they need not wait, also
// between two poll() and also for databases of other runtimes; put() and the like do when a shard's credit is used up: poll,
// then try again. wait() polls until an answer is there. Opening, closing and making log segments call the system
// synchronously: a poll() may then take milliseconds.
//
// Signals: the host's. Its handlers run on this thread, and a wait that they end is simply repeated.
//
// Fork: in a child every call answers `forked`. A callback inside poll() that forks must end its child with exec or _exit.
//
// Threads: an AttachedReactor is used and destroyed on the thread that attached.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "penstock/future.h"
#include "penstock/status.h"

namespace penstock {

namespace detail {
class RuntimeCore;
struct Attachment;
}  // namespace detail

class AttachedReactor {
 public:
  AttachedReactor(AttachedReactor&&) noexcept;
  AttachedReactor& operator=(AttachedReactor&&) noexcept;
  /// Polls until databases that are opening or closing have settled, then detaches: other attached threads have to poll
  /// meanwhile. A database that is open then ends the process, as does another thread: close it first.
  ~AttachedReactor();

  std::uint32_t index() const noexcept;  ///< Of the reactor, 0 .. reactors - 1.
  /// To be waited for, not to be read. The same until detach().
  int fd() const noexcept;

  /// Runs the reactor until there is nothing left to do, at most for about 0.2 ms (a task of the program's own, or the opening
  /// of a database, may take longer). If there is nothing at all it first sleeps until there is, at most `wait` (negative:
  /// without limit). True: more is left, and fd() is readable. Callbacks of futures are called from here. Errors, nothing done:
  /// invalid_argument (another thread, inside poll(), detached), forked.
  Result<bool> poll(std::chrono::nanoseconds wait = {});

  /// Polls until the answer is there and returns it: for the start and the end of a program. Other reactors must run meanwhile.
  /// Where poll() is refused, as Future::get().
  template <typename T>
  T wait(Future<T> future);

  /// Gives the reactor up; another thread may attach then. Errors, still attached: busy (a database of the runtime is open,
  /// opening or closing), invalid_argument (as poll), forked.
  Status detach();

 private:
  friend class Runtime;
  explicit AttachedReactor(std::unique_ptr<detail::Attachment> attachment) noexcept;
  Status check() const noexcept;
  void let_go() noexcept;
  const std::shared_ptr<detail::RuntimeCore>& runtime() const noexcept;
  /// Runs `work` inside a poll() of the reactor's thread. Any thread.
  static void run_inside_poll(detail::RuntimeCore& runtime, std::uint32_t index, std::move_only_function<void()> work);

  std::unique_ptr<detail::Attachment> attachment_;
};

template <typename T>
T AttachedReactor::wait(Future<T> future) {
  if (future.is_ready() || !check().is_ok()) return future.get();
  // The answer may come from another thread: it is brought here by a message, which ends the sleep of our poll().
  Promise<T> here;
  Future<T> answer = here.future();
  std::move(future).on_ready([here = std::move(here), runtime = runtime(), index = index()](T value) mutable {
    run_inside_poll(*runtime, index,
                    [here = std::move(here), value = std::move(value)]() mutable { here.fulfill(std::move(value)); });
  });
  while (!answer.is_ready()) {
    if (!poll(std::chrono::nanoseconds(-1))) break;
  }
  return answer.get();
}

}  // namespace penstock
