// The reactor: one thread, one Io, one loop. Everything a shard does happens on its reactor, so nothing there is locked.
//
// The front door of reactor/. Includes the vocabulary of the module: System, Io, AlignedBuffer.
//
// The loop (poll): completions and ready tasks within a budget (64 tasks or 50 us), inbox, timers, hooks (the log seals and
// queues its writes), one enter() that submits and collects, one slice of background work. Idle: sleeps inside enter().
// Invariants:
//   Reactor-I1 Tasks, completions, timers, hooks and messages run on the reactor's thread, one at a time, from the loop's top
//              level.
//   Reactor-I2 A message posted is run exactly once, in post order per posting thread. post() to a sleeping reactor wakes it
//              once.
//   Reactor-I3 Background tasks run after log submission, one slice per loop: while foreground work waits 50 us, or what their
//              share of the time asks for, up to 400 us; else 200 us. A slice resumes each waiting background task at most
//              once.
//   Reactor-I4 A reactor is destroyed with nothing in flight, no task group open and an empty inbox.
//   Reactor-I5 From try_arm() to disarm() a message and a completion signal the wait file of its Io. Hosted alone.
// Thread: the reactor's own, but where a call says any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "base/assert.h"
#include "base/ring_queue.h"
#include "penstock/future.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "reactor/borrow_gate.h"
#include "reactor/buffer.h"
#include "reactor/io.h"
#include "reactor/system.h"

namespace penstock::reactor {

class Reactor;

/// Something to run on a reactor, posted from any thread. Owned by the poster; not touched by the reactor after run().
class Message {
 public:
  virtual void run() = 0;

 protected:
  ~Message() = default;

 private:
  friend class Reactor;
  Message* next_ = nullptr;
};

/// Called by each loop before its enter(): the log seals its group here.
class LoopHook {
 public:
  virtual void before_enter() = 0;

 protected:
  ~LoopHook() = default;
};

/// A callback at a time. Disarmed by its destructor.
class Timer {
 public:
  explicit Timer(Reactor& reactor) noexcept : reactor_(reactor) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() { disarm(); }

  /// Moves the deadline if it was armed.
  void arm_at(std::uint64_t deadline_ns);
  void disarm() noexcept;
  bool is_armed() const noexcept { return armed_; }

 protected:
  virtual void on_timer() = 0;

 private:
  friend class Reactor;
  Reactor& reactor_;
  using Timers = std::multimap<std::uint64_t, Timer*>;
  bool armed_ = false;
  Timers::iterator place_;
  Timers::node_type node_;  // While it is not armed: arming it again allocates nothing.
};

struct ReactorOptions {
  std::uint32_t ready_tasks_max = 64;
  std::uint64_t ready_ns_max = 50'000;
  std::uint64_t background_slice_busy_ns = 50'000;
  std::uint64_t background_slice_idle_ns = 200'000;
  std::uint64_t background_slice_max_ns = 400'000;

  /// Of a slice beside other work, which took so long since the last one.
  std::uint64_t busy_slice_ns(std::uint64_t others_ns, double share) const noexcept {
    const auto fair_ns = static_cast<std::uint64_t>(static_cast<double>(others_ns) * share / (1.0 - share));
    return std::clamp(fair_ns, background_slice_busy_ns, background_slice_max_ns);
  }
  std::uint64_t stall_ns = 2'000'000;  ///< A task that runs longer is counted and, if set, reported.
  void (*on_stall)(std::uint32_t reactor_index, std::uint64_t duration_ns) = nullptr;
};

struct ReactorCounters {
  std::uint64_t loops = 0;
  std::uint64_t tasks_resumed = 0;
  std::uint64_t messages = 0;
  std::uint64_t stalls = 0;
  std::uint64_t stall_ns_max = 0;
  std::uint64_t background_slices = 0;
  std::uint64_t wakes_sent = 0;    ///< By posters to this reactor.
  std::uint64_t wakes_elided = 0;  ///< Posts that found it awake.
};

class Reactor final : public detail::Executor {
 public:
  Reactor(System& system, std::unique_ptr<Io> io, std::uint32_t index, const ReactorOptions& options = {});
  /// For a thread that comes later and brings the Io (HostedLoop). Until then messages wait, and io() is not there.
  Reactor(System& system, std::uint32_t index, const ReactorOptions& options);
  ~Reactor() override;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  /// The reactor of this thread, or null.
  static Reactor* current() noexcept;

  System& system() const noexcept { return system_; }
  Io& io() const noexcept { return *io_; }
  std::uint32_t index() const noexcept { return index_; }
  std::uint64_t now_ns() const noexcept { return system_.now_ns(); }
  const ReactorCounters& counters() const noexcept { return counters_; }

  // --- any thread; the caller keeps the reactor alive until the call returns ---
  void post(Message& message) noexcept;
  /// Open while the reactor sleeps with nothing in flight, or its host waits elsewhere.
  BorrowGate& gate() noexcept { return gate_; }
  void schedule(std::coroutine_handle<> handle) override;  ///< Resumes it here. On this reactor: appended to the ready queue.

  // --- the loop ---
  /// Runs the loop until stop() and until nothing is ready or in flight. Makes this reactor the thread's current one.
  void run();
  void stop() noexcept;  ///< Any thread.
  /// One pass without sleeping. True if anything ran or is ready to run. For the simulator and for donated threads.
  bool poll();
  /// Earliest timer, or ~0 if none: when an idle reactor next has something to do by itself.
  std::uint64_t next_timer_ns() const noexcept;
  bool has_ready_work() const noexcept;

  // --- hosted (HostedLoop); the host's thread ---
  void attach_io(std::unique_ptr<Io> io);
  /// With no task ready and nothing in flight; messages may wait. Returns when no thread is about to wake it.
  std::unique_ptr<Io> detach_io();
  /// Announces that the thread goes to wait elsewhere, and lends what is here meanwhile if nothing is in flight. False: there
  /// is something to do. Call it after a poll() that was false; until disarm() the thread may touch the reactor by post()
  /// alone.
  bool try_arm();
  /// The thread is back.
  void disarm() noexcept;

  // --- tasks ---
  void make_ready(std::coroutine_handle<> handle) { ready_.push_back(handle); }
  void add_hook(LoopHook& hook);
  void remove_hook(LoopHook& hook) noexcept;

  /// Suspends to the back of the ready queue.
  auto yield() noexcept { return YieldAwaiter{*this}; }
  /// Background work: suspends until the loop gives background a slice. Check background_slice_over() and call it again.
  auto background_slice() noexcept { return BackgroundAwaiter{*this}; }
  /// What background work gets of the time while there is other work, at least: by how far it is behind.
  void set_background_share(double share) noexcept {
    PENSTOCK_ASSERT(share >= 0.0 && share < 1.0);
    background_share_ = share;
  }
  double background_share() const noexcept { return background_share_; }
  bool background_slice_over() const noexcept { return now_ns() >= background_deadline_ns_; }
  Task<> sleep(std::uint64_t duration_ns);

  // --- I/O ---
  /// Queues a chain; it goes out with the next enter() that has room for the whole of it, in queue order.
  void submit(std::span<const Entry> chain);
  /// Awaits one entry; result as in Completion. Short results are the caller's.
  auto perform(Entry entry) noexcept { return IoAwaiter(*this, entry); }
  /// Reads or writes all of the buffer, resuming short results and -EINTR / -EAGAIN. End of file is `corruption`.
  Task<Status> read(Fd file, std::uint64_t offset, std::span<std::byte> buffer);
  Task<Status> write(Fd file, std::uint64_t offset, std::span<const std::byte> buffer);
  /// One sync, never retried after a failure (-EINTR and -EAGAIN mean it has not run and are).
  Task<Status> sync_data(Fd file);
  Task<Status> sync(Fd file);

  struct YieldAwaiter {
    Reactor& reactor;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { reactor.ready_.push_back(handle); }
    void await_resume() const noexcept {}
  };
  struct BackgroundAwaiter {
    Reactor& reactor;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { reactor.background_.push_back(handle); }
    void await_resume() const noexcept {}
  };
  class IoAwaiter final : public Completion {
   public:
    IoAwaiter(Reactor& reactor, const Entry& entry) noexcept : reactor_(reactor), entry_(entry) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      entry_.completion = this;
      reactor_.submit(std::span<const Entry>(&entry_, 1));
    }
    std::int32_t await_resume() const noexcept { return result_; }
    void on_complete(std::int32_t result) override {
      result_ = result;
      reactor_.make_ready(handle_);
    }

   private:
    Reactor& reactor_;
    Entry entry_;
    std::coroutine_handle<> handle_;
    std::int32_t result_ = 0;
  };

 private:
  friend class Timer;

  class CurrentScope;

  bool pass(bool may_sleep);
  bool run_ready();
  bool run_messages();
  bool run_timers();
  bool run_background();
  bool dispatch_completions();
  void run_hooks();
  void prepare_waiting();
  bool has_foreground_work() const noexcept;
  void enter_without_waiting();
  void sleep_until_event();
  bool submit_waiting();
  bool wake_sleeper() noexcept;
  void collect();
  void resume(std::coroutine_handle<> handle);
  void check_stall(std::uint64_t duration_ns);
  Task<Status> transfer(Op op, Fd file, std::uint64_t offset, std::byte* buffer, std::uint64_t bytes);
  Task<Status> sync_once(Op op, Fd file);
  bool inbox_is_empty() const noexcept { return inbox_.load(std::memory_order_acquire) == nullptr; }

  System& system_;
  std::unique_ptr<Io> io_;
  std::uint32_t index_;
  ReactorOptions options_;
  ReactorCounters counters_;

  base::RingQueue<std::coroutine_handle<>> ready_;
  base::RingQueue<std::coroutine_handle<>> background_;
  std::uint64_t background_deadline_ns_ = 0;
  std::uint64_t background_ended_ns_ = 0;
  double background_share_ = 0;
  std::multimap<std::uint64_t, Timer*> timers_;
  std::vector<LoopHook*> hooks_;
  base::RingQueue<Entry> waiting_;     // Chains that found no room, in order.
  base::RingQueue<Reaped> completed_;  // Collected by the last enter, dispatched by the next pass.

  BorrowGate gate_;
  bool is_lent_ = false;  // By try_arm().

  // Written by other threads: kept off the lines above.
  alignas(64) std::atomic<Message*> inbox_{nullptr};  // Newest first; taken whole and reversed.
  std::atomic<bool> sleeping_{false};
  std::atomic<std::uint32_t> wakers_{0};  // Threads that may be inside io_->wake().
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> wakes_sent_{0};
  std::atomic<std::uint64_t> wakes_elided_{0};
};

/// Detached tasks that their owner joins. Destroying a group that was not joined is a bug.
class TaskGroup {
 public:
  explicit TaskGroup(Reactor& reactor) noexcept : reactor_(reactor) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { PENSTOCK_ASSERT_EQ(running_, 0U); }

  /// Starts `function(arguments...)`, a function pointer or member function pointer that returns Task<>, from the ready queue.
  /// Arguments are copied; references are refused, a closure cannot be passed: its captures would die at the first suspension.
  template <typename Function, typename... Arguments>
  void spawn(Function function, Arguments... arguments) {
    static_assert(std::is_pointer_v<Function> || std::is_member_function_pointer_v<Function>, "pass a function, not a closure");
    ++running_;
    reactor_.make_ready(run_one<Function, Arguments...>(this, function, std::move(arguments)...).handle);
  }

  std::uint32_t running_count() const noexcept { return running_; }

  /// Waits until no task of the group runs. One joiner.
  auto join() noexcept { return JoinAwaiter{*this}; }

 private:
  struct Detached {
    struct promise_type {
      Detached get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
  };
  struct JoinAwaiter {
    TaskGroup& group;
    bool await_ready() const noexcept { return group.running_ == 0; }
    void await_suspend(std::coroutine_handle<> handle) const {
      PENSTOCK_ASSERT(!group.joiner_);
      group.joiner_ = handle;
    }
    void await_resume() const noexcept {}
  };

  template <typename Function, typename... Arguments>
  static Detached run_one(TaskGroup* group, Function function, Arguments... arguments) {
    co_await std::invoke(function, std::move(arguments)...);
    group->on_task_ended();
  }
  void on_task_ended() {
    PENSTOCK_ASSERT_GT(running_, 0U);
    if (--running_ == 0 && joiner_) reactor_.make_ready(std::exchange(joiner_, nullptr));
  }

  Reactor& reactor_;
  std::uint32_t running_ = 0;
  std::coroutine_handle<> joiner_;
};

/// Coroutines that wait for an event on their reactor: `notify_all` makes every waiter ready. No memory of past events.
class Event {
 public:
  explicit Event(Reactor& reactor) noexcept : reactor_(reactor) {}
  ~Event() { PENSTOCK_ASSERT(waiters_.empty()); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  auto wait() noexcept { return Awaiter{*this}; }
  void notify_all() {
    for (const std::coroutine_handle<> handle : waiters_) reactor_.make_ready(handle);
    waiters_.clear();
  }
  bool has_waiters() const noexcept { return !waiters_.empty(); }

 private:
  struct Awaiter {
    Event& event;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { event.waiters_.push_back(handle); }
    void await_resume() const noexcept {}
  };
  Reactor& reactor_;
  std::vector<std::coroutine_handle<>> waiters_;
};

/// A thread that makes its Io and reactor and runs it. start() returns once the loop runs, or why it cannot.
class ReactorThread {
 public:
  static Outcome<std::unique_ptr<ReactorThread>> start(System& system, std::uint32_t index, const IoOptions& io,
                                                       const ReactorOptions& options, std::int32_t pin_to_core);
  ~ReactorThread();  ///< Stops, destroys the reactor on its thread, and joins.
  /// Returns once the loop has ended; the reactor stays valid. Reactors that post to each other are all stopped before the
  /// first is destroyed, so that no post() meets a dead one.
  void stop() noexcept;
  Reactor& reactor() const noexcept { return *reactor_; }

 private:
  struct Impl;
  ReactorThread();
  std::unique_ptr<Impl> impl_;
  Reactor* reactor_ = nullptr;
};

}  // namespace penstock::reactor
