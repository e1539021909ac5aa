// Goal: a reactor on a thread that waits elsewhere loses no message, completion and timer, wherever the thread waits, and
// leaves nothing behind when it is detached. Method: the test's thread is the host: it waits for the loop's file alone, in an
// epoll file of its own, and polls. A wait that should end has a limit of a minute: only a lost wake-up reaches it.
#include "reactor/hosted_loop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "penstock/bytes.h"
#include "reactor/temporary_directory.h"

namespace penstock::reactor {
namespace {

constexpr int kLongMs = 60'000;

class HostedLoopTest : public testing::TestWithParam<IoOptions::Backend> {
 protected:
  void SetUp() override {
    attach();
    if (loop_ == nullptr) GTEST_SKIP() << "refused here";
    epoll_file_ = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event wanted{.events = EPOLLIN, .data = {}};
    ASSERT_EQ(::epoll_ctl(epoll_file_, EPOLL_CTL_ADD, loop_->file(), &wanted), 0);
  }
  void TearDown() override {
    if (loop_ != nullptr) detach();
    if (epoll_file_ >= 0) ::close(epoll_file_);
  }
  void attach() {
    IoOptions options;
    options.backend = GetParam();
    Outcome<std::unique_ptr<HostedLoop>> loop = HostedLoop::start(reactor_, options);
    if (loop) loop_ = std::move(*loop);
  }
  void detach() {
    loop_->settle();
    loop_.reset();
  }
  bool is_readable(int timeout_ms = 0) {
    epoll_event event{};
    int count = ::epoll_wait(epoll_file_, &event, 1, timeout_ms);
    while (count < 0 && errno == EINTR) count = ::epoll_wait(epoll_file_, &event, 1, timeout_ms);
    return count > 0;
  }
  /// The whole of a host's duty.
  void turn() {
    ASSERT_TRUE(is_readable(kLongMs));
    loop_->poll(0);
  }
  void poll_until_idle() {
    while (loop_->poll(0)) {
    }
  }

  Reactor reactor_{real_system(), 0, {.stall_ns = ~0ULL}};
  std::unique_ptr<HostedLoop> loop_;
  int epoll_file_ = -1;
};

struct CountedMessage final : Message {
  void run() override { total->fetch_add(1); }
  std::atomic<std::uint64_t>* total = nullptr;
};

TEST_P(HostedLoopTest, AMessageFromAnotherThreadMakesTheFileReadable) {
  std::atomic<std::uint64_t> total{0};
  for (std::uint64_t round = 1; round <= 500; ++round) {
    CountedMessage message;
    message.total = &total;
    poll_until_idle();
    std::thread other([&] { reactor_.post(message); });
    while (total.load() < round) turn();
    other.join();
  }
}

TEST_P(HostedLoopTest, AMessageFromTheHostsOwnThreadMakesTheFileReadable) {
  std::atomic<std::uint64_t> total{0};
  std::array<CountedMessage, 3> messages;
  poll_until_idle();
  EXPECT_FALSE(is_readable());
  for (CountedMessage& message : messages) {
    message.total = &total;
    reactor_.post(message);
  }
  turn();
  EXPECT_EQ(total.load(), 3U);
}

TEST_P(HostedLoopTest, MessagesOfManyThreadsAreRunOnceEach) {
  constexpr std::size_t kPosters = 3;
  constexpr std::size_t kMessages = 2000;
  std::atomic<std::uint64_t> total{0};
  std::vector<CountedMessage> messages(kPosters * kMessages);
  std::vector<std::thread> posters;
  for (std::size_t poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&, poster] {
      for (std::size_t index = 0; index < kMessages; ++index) {
        CountedMessage& message = messages[poster * kMessages + index];
        message.total = &total;
        reactor_.post(message);
        if (index % 8 == 0) std::this_thread::yield();  // So that the host falls asleep between posts.
      }
    });
  }
  while (total.load() < messages.size()) turn();
  for (std::thread& poster : posters) poster.join();
  poll_until_idle();
  EXPECT_EQ(total.load(), messages.size());
}

TEST_P(HostedLoopTest, AMessageEndsAPollThatWaits) {
  std::atomic<std::uint64_t> total{0};
  for (std::uint64_t round = 1; round <= 200; ++round) {
    CountedMessage message;
    message.total = &total;
    std::thread other([&] { reactor_.post(message); });
    while (total.load() < round) loop_->poll(-1);
    other.join();
  }
}

TEST_P(HostedLoopTest, APollThatRanSomethingDoesNotWaitAfterwards) {
  std::atomic<std::uint64_t> total{0};
  CountedMessage message;
  message.total = &total;
  poll_until_idle();
  reactor_.post(message);
  EXPECT_FALSE(loop_->poll(-1));
  EXPECT_EQ(total.load(), 1U);
}

Task<> sleep_often(Reactor* reactor, int* left) {
  while (*left > 0) {
    co_await reactor->sleep(300'000);
    --*left;
  }
}

TEST_P(HostedLoopTest, ATimerMakesTheFileReadable) {
  TaskGroup group(reactor_);
  int left = 20;
  poll_until_idle();
  group.spawn(&sleep_often, &reactor_, &left);
  poll_until_idle();
  while (left > 0) turn();
  EXPECT_EQ(group.running_count(), 0U);
}

class NotedTimer final : public Timer {
 public:
  using Timer::Timer;
  bool fired = false;

 private:
  void on_timer() override { fired = true; }
};

TEST_P(HostedLoopTest, ATimerThatMovesIsFollowedToItsNewTime) {
  NotedTimer timer(reactor_);
  constexpr std::uint64_t kHourNs = 3'600'000'000'000;
  timer.arm_at(reactor_.now_ns() + kHourNs);
  poll_until_idle();
  EXPECT_FALSE(is_readable());
  timer.arm_at(reactor_.now_ns() + 1'000'000);  // Earlier.
  poll_until_idle();
  timer.arm_at(reactor_.now_ns() + 20'000'000);  // Later: the first wake-up may find nothing to do.
  poll_until_idle();
  while (!timer.fired) turn();
  timer.arm_at(0);  // Long past.
  loop_->poll(0);
  EXPECT_TRUE(timer.fired);
}

TEST_P(HostedLoopTest, AnIdleLoopIsNotReadableAndPollWithAWaitReturnsInTime) {
  poll_until_idle();
  EXPECT_FALSE(is_readable());
  EXPECT_FALSE(loop_->poll(1'000'000));
  EXPECT_FALSE(is_readable());
}

Task<> yield_for_ever(Reactor* reactor, bool* over) {
  while (!*over) co_await reactor->yield();
}

TEST_P(HostedLoopTest, WorkThatIsLeftAfterAPollKeepsTheFileReadable) {
  TaskGroup group(reactor_);
  bool over = false;
  group.spawn(&yield_for_ever, &reactor_, &over);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(loop_->poll(-1));  // There is work: it does not wait.
    EXPECT_TRUE(is_readable());
  }
  over = true;
  poll_until_idle();
  EXPECT_FALSE(is_readable());
}

Task<> write_and_read(Reactor* reactor, Fd file, Status* status, bool* done) {
  const AlignedBuffer out(64_KiB);
  std::memset(out.data(), 'h', out.bytes());
  const AlignedBuffer in(64_KiB);
  for (int round = 0; round < 20 && status->is_ok(); ++round) {
    *status = co_await reactor->write(file, 0, out.span());
    if (status->is_ok()) *status = co_await reactor->sync_data(file);
    if (status->is_ok()) *status = co_await reactor->read(file, 0, in.span());
  }
  if (status->is_ok() && std::memcmp(in.data(), out.data(), in.bytes()) != 0) *status = Status(Code::kCorruption);
  *done = true;
}

TEST_P(HostedLoopTest, CompletionsMakeTheFileReadable) {
  const TemporaryDirectory folder;
  const Result<Fd> fd = real_system().open_file(folder / "data", {.create = true});
  ASSERT_TRUE(fd.has_value());
  const File file(real_system(), *fd);
  TaskGroup group(reactor_);
  Status status;
  bool done = false;
  poll_until_idle();
  group.spawn(&write_and_read, &reactor_, file.fd(), &status, &done);
  poll_until_idle();
  while (!done) turn();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
}

TEST_P(HostedLoopTest, SettlingWaitsForWhatIsInFlight) {
  const TemporaryDirectory folder;
  const Result<Fd> fd = real_system().open_file(folder / "data", {.create = true});
  ASSERT_TRUE(fd.has_value());
  const File file(real_system(), *fd);
  TaskGroup group(reactor_);
  Status status;
  bool done = false;
  group.spawn(&write_and_read, &reactor_, file.fd(), &status, &done);
  detach();
  EXPECT_TRUE(done);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
}

Task<> work_for(Reactor* reactor, std::uint64_t duration_ns) {
  co_await reactor->yield();
  const std::uint64_t end_ns = reactor->now_ns() + duration_ns;
  while (reactor->now_ns() < end_ns) {
  }
}

TEST_P(HostedLoopTest, SettlingEndsWithALongTurnAfterWhichNothingIsLeft) {
  TaskGroup group(reactor_);
  group.spawn(&work_for, &reactor_, std::uint64_t{3'000'000});
  detach();
  EXPECT_FALSE(HostedLoop::has_reactor());
}

TEST_P(HostedLoopTest, AThreadThatPostsWhileTheLoopIsDetachedMeetsNoDeadIo) {
  constexpr std::uint64_t kMessages = 500;
  std::atomic<std::uint64_t> total{0};
  std::vector<CountedMessage> messages(kMessages);
  std::atomic<bool> over{false};
  std::thread other([&] {
    for (CountedMessage& message : messages) {
      message.total = &total;
      reactor_.post(message);
      std::this_thread::yield();
    }
    over = true;
  });
  while (!over.load()) {
    loop_->poll(0);
    detach();
    attach();
    ASSERT_NE(loop_, nullptr);
  }
  other.join();
  poll_until_idle();
  EXPECT_EQ(total.load(), kMessages);
}

TEST_P(HostedLoopTest, MessagesPostedWhileNobodyIsAttachedWaitForTheNextOne) {
  detach();
  EXPECT_FALSE(HostedLoop::has_reactor());
  std::atomic<std::uint64_t> total{0};
  CountedMessage message;
  message.total = &total;
  reactor_.post(message);
  attach();
  ASSERT_NE(loop_, nullptr);
  pollfd readable{.fd = loop_->file(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&readable, 1, kLongMs), 1);
  poll_until_idle();
  EXPECT_EQ(total.load(), 1U);
}

TEST_P(HostedLoopTest, ItsThreadCountsAsAReactorsAlsoBetweenPolls) {
  EXPECT_TRUE(HostedLoop::has_reactor());
  EXPECT_TRUE(loop_->is_of_this_thread());
  EXPECT_FALSE(loop_->is_polling());
  EXPECT_EQ(Reactor::current(), nullptr);
  EXPECT_TRUE(Promise<Status>().future().get().is(Code::kWouldBlock));
  std::thread other([&] { EXPECT_FALSE(loop_->is_of_this_thread()); });
  other.join();
}

struct ProbeMessage final : Message {
  void run() override { polling = loop->is_polling(); }
  HostedLoop* loop = nullptr;
  bool polling = false;
};

TEST_P(HostedLoopTest, KnowsThatItPolls) {
  ProbeMessage probe;
  probe.loop = loop_.get();
  reactor_.post(probe);
  poll_until_idle();
  EXPECT_TRUE(probe.polling);
}

INSTANTIATE_TEST_SUITE_P(Backends, HostedLoopTest, testing::Values(IoOptions::Backend::kRing, IoOptions::Backend::kSyscall),
                         [](const auto& backend) {
                           return std::string(backend.param == IoOptions::Backend::kRing ? "Ring" : "SystemCalls");
                         });

}  // namespace
}  // namespace penstock::reactor
