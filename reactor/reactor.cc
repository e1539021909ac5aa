#include "reactor/reactor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <thread>

#include "base/integer.h"

namespace penstock::reactor {

namespace {

thread_local constinit Reactor* current_reactor = nullptr;

/// One entry moves at most this much: below the kernel's own limit (2 GiB - 4 KiB), and aligned.
constexpr std::uint64_t kTransferBytesMax = 1ULL << 30U;
/// -EAGAIN in a blocking context, or -EINTR, more often than this in a row is a broken device, not bad luck.
constexpr std::uint32_t kRetryCountMax = 1000;

/// A coroutine that another thread made ready. Deletes itself.
class ResumeMessage final : public Message {
 public:
  ResumeMessage(Reactor& reactor, std::coroutine_handle<> handle) noexcept : reactor_(reactor), handle_(handle) {}
  void run() override {
    reactor_.make_ready(handle_);
    delete this;
  }

 private:
  Reactor& reactor_;
  std::coroutine_handle<> handle_;
};

class SleepTimer final : public Timer {
 public:
  using Timer::Timer;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { handle_ = handle; }
  void await_resume() const noexcept {}

 private:
  void on_timer() override { Reactor::current()->make_ready(handle_); }

  std::coroutine_handle<> handle_;
};

}  // namespace

/// Makes a reactor the thread's current one for a scope: in the simulator several take turns on one thread.
class Reactor::CurrentScope {
 public:
  explicit CurrentScope(Reactor& reactor) noexcept
      : reactor_before_(std::exchange(current_reactor, &reactor)),
        executor_before_(std::exchange(detail::current_executor, &reactor)) {}
  CurrentScope(const CurrentScope&) = delete;
  CurrentScope& operator=(const CurrentScope&) = delete;
  ~CurrentScope() {
    current_reactor = reactor_before_;
    detail::current_executor = executor_before_;
  }

 private:
  Reactor* reactor_before_;
  detail::Executor* executor_before_;
};

void Timer::arm_at(std::uint64_t deadline_ns) {
  disarm();
  if (node_.empty()) {
    place_ = reactor_.timers_.emplace(deadline_ns, this);
  } else {
    node_.key() = deadline_ns;
    place_ = reactor_.timers_.insert(std::move(node_));
  }
  armed_ = true;
}

void Timer::disarm() noexcept {
  if (!armed_) return;
  node_ = reactor_.timers_.extract(place_);
  armed_ = false;
}

Reactor::Reactor(System& system, std::unique_ptr<Io> io, std::uint32_t index, const ReactorOptions& options)
    : Reactor(system, index, options) {
  attach_io(std::move(io));
}

Reactor::Reactor(System& system, std::uint32_t index, const ReactorOptions& options)
    : system_(system), index_(index), options_(options) {
  PENSTOCK_ASSERT_GT(options_.ready_tasks_max, 0U);
}

Reactor::~Reactor() {
  PENSTOCK_ASSERT_NE(current_reactor, this);
  PENSTOCK_ASSERT(io_ == nullptr || io_->in_flight() == 0);  // Reactor-I4, here and below.
  PENSTOCK_ASSERT(inbox_is_empty());
  PENSTOCK_ASSERT(completed_.empty());
  PENSTOCK_ASSERT(waiting_.empty());
  PENSTOCK_ASSERT(ready_.empty());
  PENSTOCK_ASSERT(background_.empty());
  PENSTOCK_ASSERT(timers_.empty());
  PENSTOCK_ASSERT(hooks_.empty());
}

Reactor* Reactor::current() noexcept { return current_reactor; }

// --- Messages from other threads ---

void Reactor::post(Message& message) noexcept {
  Message* newest = inbox_.load(std::memory_order_relaxed);
  do {
    message.next_ = newest;
  } while (!inbox_.compare_exchange_weak(newest, &message, std::memory_order_seq_cst, std::memory_order_relaxed));
  // Pairs with sleep_until_event() and try_arm(): this side writes the inbox and reads `sleeping_`, that side the reverse, all
  // sequentially consistent. So at least one of the two sees the other's write, and no wake-up is lost.
  (wake_sleeper() ? wakes_sent_ : wakes_elided_).fetch_add(1, std::memory_order_relaxed);
}

bool Reactor::wake_sleeper() noexcept {
  if (!sleeping_.load(std::memory_order_seq_cst)) return false;
  // Announced before the exchange: detach_io() takes the Io away only when it sees nobody here.
  wakers_.fetch_add(1, std::memory_order_seq_cst);
  const bool was_sleeping = sleeping_.exchange(false, std::memory_order_seq_cst);
  if (was_sleeping) io_->wake();
  wakers_.fetch_sub(1, std::memory_order_release);
  return was_sleeping;
}

void Reactor::schedule(std::coroutine_handle<> handle) {
  if (current_reactor == this) {
    make_ready(handle);
    return;
  }
  post(*new ResumeMessage(*this, handle));
}

void Reactor::stop() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  static_cast<void>(wake_sleeper());
}

bool Reactor::run_messages() {
  if (inbox_.load(std::memory_order_relaxed) == nullptr) return false;
  Message* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* const next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    Message* const message = oldest;
    oldest = oldest->next_;  // Before run(): afterwards the message belongs to its poster again.
    ++counters_.messages;
    message->run();
  }
  return true;
}

// --- The loop ---

void Reactor::run() {
  PENSTOCK_ASSERT(current_reactor == nullptr);
  const CurrentScope scope(*this);
  while (!stopping_.load(std::memory_order_relaxed)) pass(true);
  // What was posted, made ready or submitted before the stop still ends: the kernel may own its buffers.
  while (pass(false) || io_->in_flight() != 0) {
    if (!has_ready_work() && io_->in_flight() != 0) {
      io_->enter(-1);
      collect();
    }
  }
  stopping_.store(false, std::memory_order_relaxed);
}

bool Reactor::poll() {
  const CurrentScope scope(*this);
  return pass(false);
}

bool Reactor::pass(bool may_sleep) {
  ++counters_.loops;
  counters_.wakes_sent = wakes_sent_.load(std::memory_order_relaxed);
  counters_.wakes_elided = wakes_elided_.load(std::memory_order_relaxed);
  bool ran = dispatch_completions();
  ran = run_ready() || ran;
  ran = run_messages() || ran;
  ran = run_timers() || ran;
  run_hooks();
  prepare_waiting();
  if (may_sleep && !has_ready_work()) {
    sleep_until_event();
  } else {
    enter_without_waiting();
  }
  ran = run_background() || ran;
  return ran || has_ready_work();
}

void Reactor::enter_without_waiting() {
  io_->enter(0);
  collect();
}

/// Before a sleep, where room is short: what is prepared goes out first, so that the rest does not wait for a completion
/// without need. False: there are completions.
bool Reactor::submit_waiting() {
  while (!waiting_.empty()) {
    const std::size_t waiting_before = waiting_.size();
    enter_without_waiting();
    if (!completed_.empty()) return false;
    prepare_waiting();
    if (waiting_.size() == waiting_before) break;
  }
  PENSTOCK_ASSERT(waiting_.empty() || io_->in_flight() != 0);  // Otherwise the chain never finds room.
  return true;
}

void Reactor::sleep_until_event() {
  if (!submit_waiting()) return;
  std::int64_t wait_ns = -1;
  if (!timers_.empty()) {
    const std::uint64_t now = now_ns();
    const std::uint64_t deadline_ns = timers_.begin()->first;
    constexpr std::uint64_t kWaitNsMax = 3'600'000'000'000;
    wait_ns = deadline_ns <= now ? 0 : static_cast<std::int64_t>(std::min(deadline_ns - now, kWaitNsMax));
  }
  // Nothing in flight: nobody waits for what this thread would do next, and borrowers keep nobody.
  const bool is_lent = wait_ns != 0 && io_->in_flight() == 0;
  if (is_lent) gate_.lend();
  sleeping_.store(true, std::memory_order_seq_cst);
  if (inbox_.load(std::memory_order_seq_cst) != nullptr || stopping_.load(std::memory_order_seq_cst)) wait_ns = 0;
  io_->enter(wait_ns);
  sleeping_.store(false, std::memory_order_relaxed);
  if (is_lent) gate_.reclaim();
  collect();
}

// --- Hosted ---

void Reactor::attach_io(std::unique_ptr<Io> io) {
  PENSTOCK_ASSERT(io != nullptr);
  PENSTOCK_ASSERT(io_ == nullptr);
  io_ = std::move(io);
}

std::unique_ptr<Io> Reactor::detach_io() {
  PENSTOCK_ASSERT(!is_lent_);
  PENSTOCK_ASSERT(ready_.empty());
  PENSTOCK_ASSERT(background_.empty());
  PENSTOCK_ASSERT_EQ(io_->in_flight(), 0U);
  sleeping_.store(false, std::memory_order_seq_cst);
  // Who comes from here on finds it awake. Who has found it asleep is about to wake it, by the Io that is to go.
  while (wakers_.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  return std::exchange(io_, nullptr);
}

bool Reactor::try_arm() {
  if (has_ready_work() || !submit_waiting()) return false;
  sleeping_.store(true, std::memory_order_seq_cst);
  if (inbox_.load(std::memory_order_seq_cst) == nullptr && io_->try_arm()) {
    is_lent_ = io_->in_flight() == 0;
    if (is_lent_) gate_.lend();
    return true;
  }
  sleeping_.store(false, std::memory_order_relaxed);
  collect();
  return false;
}

void Reactor::disarm() noexcept {
  if (std::exchange(is_lent_, false)) gate_.reclaim();
  sleeping_.store(false, std::memory_order_relaxed);
  io_->disarm();
}

void Reactor::collect() {
  std::array<Reaped, 64> reaped;
  while (true) {
    const std::uint32_t count = io_->reap(reaped);
    for (std::uint32_t index = 0; index < count; ++index) completed_.push_back(reaped[index]);
    if (count < reaped.size()) return;
  }
}

bool Reactor::dispatch_completions() {
  if (completed_.empty()) return false;
  // A handler may submit, but only enter() collects: the queue does not grow meanwhile.
  while (!completed_.empty()) {
    const Reaped reaped = completed_.front();
    completed_.pop_front();
    reaped.completion->on_complete(reaped.result);
  }
  return true;
}

bool Reactor::run_ready() {
  if (ready_.empty()) return false;
  const std::uint64_t start_ns = now_ns();
  std::uint64_t before_ns = start_ns;
  for (std::uint32_t count = 0; count < options_.ready_tasks_max && !ready_.empty(); ++count) {
    const std::coroutine_handle<> handle = ready_.front();
    ready_.pop_front();
    resume(handle);
    const std::uint64_t after_ns = now_ns();
    check_stall(after_ns - before_ns);
    before_ns = after_ns;
    if (after_ns - start_ns >= options_.ready_ns_max) break;
  }
  return true;
}

bool Reactor::run_background() {
  if (background_.empty()) return false;
  const bool is_busy = has_foreground_work() || io_->in_flight() != 0;
  std::uint64_t before_ns = now_ns();
  const std::uint64_t busy_ns = options_.busy_slice_ns(before_ns - background_ended_ns_, background_share_);
  background_deadline_ns_ = before_ns + (is_busy ? busy_ns : options_.background_slice_idle_ns);
  ++counters_.background_slices;
  // Each task once: one that asks for a slice again gets it in the next pass, also where the clock stands still.
  for (std::size_t left = background_.size(); left > 0; --left) {
    const std::coroutine_handle<> handle = background_.front();
    background_.pop_front();
    resume(handle);
    const std::uint64_t after_ns = now_ns();
    check_stall(after_ns - before_ns);
    before_ns = after_ns;
    if (after_ns >= background_deadline_ns_) break;
  }
  background_ended_ns_ = before_ns;
  return true;
}

bool Reactor::run_timers() {
  if (timers_.empty()) return false;
  const std::uint64_t now = now_ns();
  bool ran = false;
  // At most as many as there are now: a timer that arms itself again in the past does not hold up the loop.
  for (std::size_t left = timers_.size(); left > 0 && !timers_.empty(); --left) {
    const auto first = timers_.begin();
    if (first->first > now) break;
    Timer* const timer = first->second;
    timer->disarm();
    timer->on_timer();
    ran = true;
  }
  return ran;
}

void Reactor::run_hooks() {
  for (std::size_t index = 0; index < hooks_.size(); ++index) hooks_[index]->before_enter();
}

void Reactor::resume(std::coroutine_handle<> handle) {
  ++counters_.tasks_resumed;
  resume_until_idle(handle);
}

void Reactor::check_stall(std::uint64_t duration_ns) {
  if (duration_ns < options_.stall_ns) [[likely]]
    return;
  ++counters_.stalls;
  counters_.stall_ns_max = std::max(counters_.stall_ns_max, duration_ns);
  if (options_.on_stall != nullptr) options_.on_stall(index_, duration_ns);
}

std::uint64_t Reactor::next_timer_ns() const noexcept { return timers_.empty() ? ~0ULL : timers_.begin()->first; }

bool Reactor::has_foreground_work() const noexcept { return !ready_.empty() || !completed_.empty() || !inbox_is_empty(); }

bool Reactor::has_ready_work() const noexcept { return has_foreground_work() || !background_.empty(); }

void Reactor::add_hook(LoopHook& hook) { hooks_.push_back(&hook); }

void Reactor::remove_hook(LoopHook& hook) noexcept {
  const auto place = std::find(hooks_.begin(), hooks_.end(), &hook);
  PENSTOCK_ASSERT(place != hooks_.end());
  hooks_.erase(place);
}

Task<> Reactor::sleep(std::uint64_t duration_ns) {
  PENSTOCK_ASSERT_EQ(current_reactor, this);
  SleepTimer timer(*this);
  timer.arm_at(now_ns() + duration_ns);
  co_await timer;
}

// --- I/O ---

void Reactor::submit(std::span<const Entry> chain) {
  PENSTOCK_ASSERT(!chain.empty());
  for (std::size_t index = 0; index < chain.size(); ++index) {
    PENSTOCK_ASSERT(chain[index].completion != nullptr);
    PENSTOCK_ASSERT_EQ(chain[index].link, index + 1 < chain.size());
  }
  if (waiting_.empty() && chain.size() <= io_->room()) {
    io_->prepare(chain);
  } else {
    for (const Entry& entry : chain) waiting_.push_back(entry);
  }
}

void Reactor::prepare_waiting() {
  std::vector<Entry> chain;
  while (!waiting_.empty()) {
    std::size_t count = 1;
    while (waiting_[count - 1].link) ++count;
    if (count > io_->room()) return;
    chain.clear();
    for (std::size_t index = 0; index < count; ++index) chain.push_back(waiting_[index]);
    waiting_.pop_front(count);
    io_->prepare(chain);
  }
}

Task<Status> Reactor::transfer(Op op, Fd file, std::uint64_t offset, std::byte* buffer, std::uint64_t bytes) {
  Entry entry;
  entry.op = op;
  entry.file = file;
  std::uint64_t done_bytes = 0;
  std::uint32_t retries = 0;
  while (done_bytes < bytes) {
    entry.offset = offset + done_bytes;
    entry.buffer = buffer + done_bytes;
    entry.bytes = static_cast<std::uint32_t>(std::min(bytes - done_bytes, kTransferBytesMax));
    const std::int32_t result = co_await perform(entry);
    if (result < 0) {
      const bool is_transient = result == -EINTR || result == -EAGAIN;
      if (!is_transient || ++retries > kRetryCountMax) co_return Status::from_errno(-result);
      if (result == -EAGAIN) entry.blocking = true;
      continue;
    }
    std::uint64_t moved_bytes = static_cast<std::uint32_t>(result);
    PENSTOCK_ASSERT_LE(moved_bytes, entry.bytes);
    // Direct I/O goes on at a block boundary.
    if (moved_bytes < entry.bytes && system_.is_direct(file)) {
      moved_bytes = base::align_down<std::uint64_t>(moved_bytes, kBlockBytes);
    }
    if (moved_bytes == 0) co_return op == Op::kRead ? Status(Code::kCorruption) : Status::from_errno(EIO);
    done_bytes += moved_bytes;
    retries = 0;
  }
  co_return Status::ok();
}

Task<Status> Reactor::read(Fd file, std::uint64_t offset, std::span<std::byte> buffer) {
  return transfer(Op::kRead, file, offset, buffer.data(), buffer.size());
}

Task<Status> Reactor::write(Fd file, std::uint64_t offset, std::span<const std::byte> buffer) {
  // Entries carry one kind of pointer; a write only reads through it.
  return transfer(Op::kWrite, file, offset, const_cast<std::byte*>(buffer.data()), buffer.size());
}

Task<Status> Reactor::sync_once(Op op, Fd file) {
  Entry entry;
  entry.op = op;
  entry.file = file;
  for (std::uint32_t retries = 0;; ++retries) {
    const std::int32_t result = co_await perform(entry);
    if (result == 0) co_return Status::ok();
    PENSTOCK_ASSERT_LT(result, 0);
    const bool has_not_run = result == -EINTR || result == -EAGAIN;
    if (!has_not_run || retries == kRetryCountMax) co_return Status::from_errno(-result);
    entry.blocking = true;
  }
}

Task<Status> Reactor::sync_data(Fd file) { return sync_once(Op::kSyncData, file); }

Task<Status> Reactor::sync(Fd file) { return sync_once(Op::kSync, file); }

}  // namespace penstock::reactor
