#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>

#include "reactor/reactor.h"
#include "reactor/thread.h"

namespace penstock::reactor {

namespace {

/// A word that one thread moves on and another waits for.
class Stage {
 public:
  void set(std::uint32_t stage) noexcept {
    word_.store(stage, std::memory_order_release);
    detail::unpark(word_);
  }
  /// Waits until the stage is at least `stage`.
  void await(std::uint32_t stage) noexcept {
    while (true) {
      const std::uint32_t seen = word_.load(std::memory_order_acquire);
      if (seen >= stage) return;
      detail::park(word_, seen, -1);
    }
  }

 private:
  std::atomic<std::uint32_t> word_{0};
};

std::optional<Failure> pin_this_thread(std::int32_t core) {
  if (core < 0) return std::nullopt;
  cpu_set_t* const cores = CPU_ALLOC(static_cast<std::size_t>(core) + 1);
  const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(core) + 1);
  CPU_ZERO_S(bytes, cores);
  CPU_SET_S(static_cast<std::size_t>(core), bytes, cores);
  const int failed = pthread_setaffinity_np(pthread_self(), bytes, cores);
  CPU_FREE(cores);
  if (failed == 0) return std::nullopt;
  const Status status = failed == EINVAL ? Status(Code::kInvalidArgument) : Status::from_errno(failed);
  return Failure(status, "cannot pin a reactor to core " + std::to_string(core));
}

}  // namespace

struct ReactorThread::Impl {
  static constexpr std::uint32_t kRunning = 1;
  static constexpr std::uint32_t kEnded = 2;

  System& system;
  std::uint32_t index;
  IoOptions io_options;
  ReactorOptions options;
  std::int32_t core;

  std::optional<Failure> failure{};  // Set before kRunning when the thread could not start.
  Reactor* reactor = nullptr;        // Set before kRunning.
  Stage stage{};                     // Of the thread.
  Stage release{};                   // 1: the reactor may be destroyed.
  bool stop_requested = false;       // Of the owner.
  Thread thread{};

  void main();
  static void enter_main(void* impl) { static_cast<Impl*>(impl)->main(); }
};

void ReactorThread::Impl::main() {
  failure = pin_this_thread(core);
  std::unique_ptr<Io> io;
  if (!failure) {
    // Here and not on the caller's thread: the kernel binds a ring to the thread that makes it.
    Outcome<std::unique_ptr<Io>> made = system.make_io(io_options);
    if (made) {
      io = std::move(*made);
    } else {
      failure = std::move(made.error());
    }
  }
  if (failure) {
    stage.set(kEnded);
    return;
  }
  Reactor own_reactor(system, std::move(io), index, options);
  reactor = &own_reactor;
  stage.set(kRunning);
  own_reactor.run();
  stage.set(kEnded);
  release.await(1);
}

ReactorThread::ReactorThread() = default;

Outcome<std::unique_ptr<ReactorThread>> ReactorThread::start(System& system, std::uint32_t index, const IoOptions& io,
                                                             const ReactorOptions& options, std::int32_t pin_to_core) {
  PENSTOCK_ASSERT(system.has_threads());
  std::unique_ptr<ReactorThread> made(new ReactorThread);
  made->impl_.reset(new Impl{.system = system, .index = index, .io_options = io, .options = options, .core = pin_to_core});
  Impl& impl = *made->impl_;
  const Status started = impl.thread.start("penstock-" + std::to_string(index), &Impl::enter_main, &impl);
  if (!started.is_ok()) return std::unexpected(Failure(started, "cannot start the thread of a reactor"));
  impl.stage.await(Impl::kRunning);
  if (impl.failure) {
    Failure failure = std::move(*impl.failure);
    impl.thread.join();
    return std::unexpected(std::move(failure));
  }
  made->reactor_ = impl.reactor;
  return made;
}

void ReactorThread::stop() noexcept {
  if (impl_->stop_requested) return;
  impl_->stop_requested = true;
  PENSTOCK_ASSERT_NE(Reactor::current(), reactor_);  // It would wait for itself.
  reactor_->stop();
  impl_->stage.await(Impl::kEnded);
}

ReactorThread::~ReactorThread() {
  if (!impl_->thread.is_joinable()) return;
  stop();
  impl_->release.set(1);
  impl_->thread.join();
}

}  // namespace penstock::reactor
