// A simulated machine with its reactors, driven from a test: who runs next is drawn by seed, time jumps to the next event.
//
//   SimDisk disk(seed);
//   {
//     SimWorld world(disk, {.seed = seed});
//     const Status status = world.run(0, write_something, &world.system(), std::string("/db"));  // Task<Status>
//     write_something(...)
//   }
//   disk.cut_power(seed);                       // Or power goes off by itself: disk.cut_at(n) before.
//   SimWorld after(disk, {.seed = seed + 1});   // The next boot.
//
// run() takes a function that returns a Task, or a member function pointer and the object, and the arguments by value (pass
// pointers, or std::ref, for what is shared). It is run on the given reactor and run() returns its value. start() does not
// wait: its SimJob tells. Invariants:
//   SimWorld-I1 The same disk, seed and calls give the same run: SimFaults::trace_hash() is equal.
//   SimWorld-I2 A world is destroyed after what was built on it; its destructor runs what is still in flight to its end.
// Thread: one for all reactors of all worlds.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "penstock/task.h"
#include "reactor/reactor.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_io.h"
#include "reactor/sim_system.h"

namespace penstock::reactor {

struct SimWorldOptions {
  std::uint64_t seed = 1;
  std::uint32_t reactors = 1;
  std::uint32_t io_entries = 64;
  ReactorOptions reactor = {};
  SimSystemOptions system = {};  ///< Its seed is drawn from `seed`.
};

/// A task started by SimWorld::start().
template <typename T>
class SimJob {
 public:
  bool is_done() const noexcept { return state_->is_done; }
  /// The task's value, once.
  T take() {
    PENSTOCK_ASSERT(is_done());
    if constexpr (!std::is_void_v<T>) return std::move(*state_->value);
  }

 private:
  friend class SimWorld;
  struct State {
    bool is_done = false;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class SimWorld {
 public:
  static constexpr std::uint64_t kStepsMax = 20'000'000;

  explicit SimWorld(SimDisk& disk, const SimWorldOptions& options = {});
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  SimSystem& system() noexcept { return system_; }
  SimDisk& disk() noexcept { return system_.disk(); }
  std::uint32_t reactor_count() const noexcept { return static_cast<std::uint32_t>(nodes_.size()); }
  Reactor& reactor(std::uint32_t index) noexcept { return *nodes_[index].reactor; }
  std::uint64_t now_ns() const noexcept { return system_.time_ns(); }

  /// One poll() of one reactor that has something to do, after moving the clock if none has. False: nothing will ever happen.
  bool step();
  /// Steps until `done`. False: it never will be (deadlock), or not within `steps_max`.
  bool run_until(const std::function<bool()>& done, std::uint64_t steps_max = kStepsMax);
  /// Steps until nothing is ready or in flight on any reactor. Timers further away do not count.
  void drain();
  /// Steps until the clock has moved on by `duration_ns`.
  void run_for(std::uint64_t duration_ns);

  template <typename Function, typename... Arguments>
  auto start(std::uint32_t index, Function function, Arguments... arguments) {
    static_assert(std::is_pointer_v<Function> || std::is_member_function_pointer_v<Function> || std::is_empty_v<Function>,
                  "pass a function: captures of a closure would die at the first suspension");
    using T = decltype(value_of(std::invoke(function, std::move(arguments)...)));
    SimJob<T> job;
    Detached started = run_one<T, Function, Arguments...>(job.state_, function, std::move(arguments)...);
    nodes_[index].reactor->make_ready(started.handle);
    return job;
  }

  /// Ends the process if the task never ends: a deadlock is a bug. The message names the world's seed.
  template <typename Function, typename... Arguments>
  auto run(std::uint32_t index, Function function, Arguments... arguments) {
    auto job = start(index, function, std::move(arguments)...);
    const bool has_ended = run_until([&job] { return job.is_done(); });
    if (!has_ended) stop_at_deadlock();
    return job.take();
  }

 private:
  struct Node {
    SimIo* io = nullptr;
    std::unique_ptr<Reactor> reactor;
    bool wants_poll = true;
  };
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

  template <typename T>
  static T value_of(const Task<T>& task);  // For its type alone.

  template <typename T, typename Function, typename... Arguments>
  static Detached run_one(std::shared_ptr<typename SimJob<T>::State> state, Function function, Arguments... arguments) {
    if constexpr (std::is_void_v<T>) {
      co_await std::invoke(function, std::move(arguments)...);
    } else {
      T value = co_await std::invoke(function, std::move(arguments)...);
      state->value.emplace(std::move(value));
    }
    state->is_done = true;
  }

  bool has_work(const Node& node) const noexcept;
  bool poll_one();
  std::uint64_t next_event_ns() const noexcept;
  [[noreturn]] void stop_at_deadlock() const;

  std::uint64_t seed_;
  base::Random random_;
  SimSystem system_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> runnable_;
};

}  // namespace penstock::reactor
