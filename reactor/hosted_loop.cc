#include "reactor/hosted_loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/assert.h"

namespace penstock::reactor {

namespace {

/// Under which number this thread was attached.
thread_local constinit std::uint32_t attached_process = 0;

timespec timespec_of(std::uint64_t time_ns) noexcept {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  timespec time{};
  time.tv_sec = static_cast<time_t>(time_ns / kNsPerSecond);
  time.tv_nsec = static_cast<long>(time_ns % kNsPerSecond);
  return time;
}

Failure failure_of(const char* call) {
  const int error_number = errno;
  return Failure(Status::from_errno(error_number), std::string(call) + ": " + std::strerror(error_number));
}

bool watch(int epoll_file, int file) noexcept {
  epoll_event wanted{};
  wanted.events = EPOLLIN | EPOLLET;
  return ::epoll_ctl(epoll_file, EPOLL_CTL_ADD, file, &wanted) == 0;
}

}  // namespace

Outcome<std::unique_ptr<HostedLoop>> HostedLoop::start(Reactor& reactor, IoOptions io_options) {
  PENSTOCK_ASSERT(!has_reactor());
  io_options.hosted = true;
  Outcome<std::unique_ptr<Io>> io = reactor.system().make_io(io_options);
  if (!io) return std::unexpected(std::move(io.error()));
  PENSTOCK_ASSERT_GE((*io)->wait_file(), 0);
  reactor.attach_io(std::move(*io));
  std::unique_ptr<HostedLoop> loop(new HostedLoop(reactor));
  detail::current_executor = &reactor;
  attached_process = detail::process_number();
  if (Failure failure = loop->open_files(); !failure.status.is_ok()) return std::unexpected(std::move(failure));
  if (!loop->try_arm()) loop->ring();  // Hosted-I1.
  return loop;
}

Failure HostedLoop::open_files() {
  epoll_file_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_file_ < 0) return failure_of("epoll_create1");
  timer_file_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer_file_ < 0) return failure_of("timerfd_create");
  if (!watch(epoll_file_, timer_file_) || !watch(epoll_file_, reactor_.io().wait_file())) return failure_of("epoll_ctl");
  return {};
}

HostedLoop::~HostedLoop() {
  PENSTOCK_ASSERT(is_of_this_thread());
  PENSTOCK_ASSERT(!is_polling());
  reactor_.detach_io().reset();
  detail::current_executor = nullptr;
  attached_process = 0;
  if (timer_file_ >= 0) ::close(timer_file_);
  if (epoll_file_ >= 0) ::close(epoll_file_);
}

void HostedLoop::forget_inherited() noexcept {
  if (attached_process == 0 || attached_process == detail::process_number()) return;
  detail::current_executor = nullptr;
  attached_process = 0;
}

bool HostedLoop::is_of_this_thread() const noexcept { return detail::current_executor == &reactor_; }

bool HostedLoop::poll(std::int64_t wait_ns) {
  PENSTOCK_ASSERT(is_of_this_thread());
  PENSTOCK_ASSERT(!is_polling());
  reactor_.disarm();
  Passes passes = run_passes();
  // After work it does not wait: the caller may have waited for just that.
  if (!passes.ran && wait_ns != 0) {
    if (try_arm()) {
      wait(wait_ns);
      reactor_.disarm();
    }
    passes = run_passes();
  }
  if (!passes.more && try_arm()) return false;
  ring();
  return true;
}

HostedLoop::Passes HostedLoop::run_passes() {
  const std::uint64_t end_ns = reactor_.now_ns() + kPollNs;
  Passes passes;
  // Until a pass finds nothing: background work at the end of one may have made work for the hooks of the next.
  while (reactor_.poll()) {
    passes.ran = true;
    if (reactor_.now_ns() >= end_ns) {
      passes.more = true;
      break;
    }
  }
  return passes;
}

void HostedLoop::settle() {
  reactor_.disarm();
  while (run_passes().more || reactor_.io().in_flight() != 0) {
    if (reactor_.io().in_flight() == 0 || !try_arm()) continue;  // Nothing would end the wait.
    wait(-1);
    reactor_.disarm();
  }
}

bool HostedLoop::try_arm() {
  take_edges();  // Before the announcement: what comes after it must stay visible.
  if (!reactor_.try_arm()) return false;
  set_timer(reactor_.next_timer_ns());
  return true;
}

void HostedLoop::set_timer(std::uint64_t deadline_ns) {
  const bool is_set = timer_ns_ != kNever && timer_ns_ > reactor_.now_ns();
  if (deadline_ns == kNever || (is_set && timer_ns_ <= deadline_ns)) return;  // Hosted-I2.
  itimerspec setting{};
  setting.it_value = timespec_of(std::max<std::uint64_t>(deadline_ns, 1));  // 0 would switch it off.
  const int failed = ::timerfd_settime(timer_file_, TFD_TIMER_ABSTIME, &setting, nullptr);
  PENSTOCK_ASSERT_EQ(failed, 0);
  timer_ns_ = deadline_ns;
}

void HostedLoop::take_edges() noexcept {
  std::array<epoll_event, 2> events;
  const int count = ::epoll_wait(epoll_file_, events.data(), static_cast<int>(events.size()), 0);
  PENSTOCK_ASSERT(count >= 0 || errno == EINTR);  // After EINTR an edge stays: a needless wake-up.
  has_rung_ = false;
}

/// Makes file() readable until the edges are taken.
void HostedLoop::ring() noexcept {
  if (std::exchange(has_rung_, true)) return;
  const std::uint64_t one = 1;
  while (::write(reactor_.io().wait_file(), &one, sizeof(one)) < 0) PENSTOCK_ASSERT_EQ(errno, EINTR);
}

/// A signal ends it early, as the caller's own wait.
void HostedLoop::wait(std::int64_t wait_ns) noexcept {
  pollfd wanted{.fd = epoll_file_, .events = POLLIN, .revents = 0};
  const timespec limit = timespec_of(static_cast<std::uint64_t>(std::max<std::int64_t>(wait_ns, 0)));
  const int count = ::ppoll(&wanted, 1, wait_ns < 0 ? nullptr : &limit, nullptr);
  PENSTOCK_ASSERT(count >= 0 || errno == EINTR);
}

}  // namespace penstock::reactor
