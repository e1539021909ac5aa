// Goal: reactors on threads of their own lose no message, no wake-up and no future, start and stop in order, and do real I/O.
// Method: many short exchanges between threads over each backend; the thread sanitizer sees what they share.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "penstock/bytes.h"
#include "reactor/reactor.h"
#include "reactor/temporary_directory.h"

namespace penstock::reactor {
namespace {

/// Runs `run_on_reactor` on the reactor and lets an ordinary thread wait for it.
class Call : public Message {
 public:
  void run() final {
    run_on_reactor();
    // Moved out first: once the waiter has its answer it may destroy this.
    Promise<Status> promise = std::move(promise_);
    promise.fulfill(Status());
  }
  void call(Reactor& reactor) {
    promise_ = Promise<Status>();
    Future<Status> future = promise_.future();
    reactor.post(*this);
    future.get().ignore("always ok");
  }

 protected:
  ~Call() = default;
  virtual void run_on_reactor() = 0;

 private:
  Promise<Status> promise_;
};

class ReactorThreadTest : public testing::TestWithParam<IoOptions::Backend> {
 protected:
  std::unique_ptr<ReactorThread> start(std::uint32_t index) {
    IoOptions options;
    options.backend = GetParam();
    Outcome<std::unique_ptr<ReactorThread>> thread = ReactorThread::start(real_system(), index, options, {}, -1);
    if (!thread) return nullptr;
    return std::move(*thread);
  }
};

struct CountingCall final : Call {
  void run_on_reactor() override { ++count; }
  std::uint64_t count = 0;
};

TEST_P(ReactorThreadTest, AnswersEveryCallOfASleepingReactor) {
  const std::unique_ptr<ReactorThread> thread = start(0);
  if (thread == nullptr) GTEST_SKIP() << "refused here";
  CountingCall call;
  for (int round = 0; round < 3000; ++round) call.call(thread->reactor());
  EXPECT_EQ(call.count, 3000U);
}

struct CountedMessage final : Message {
  void run() override { total->fetch_add(1); }
  std::atomic<std::uint64_t>* total = nullptr;
};

TEST_P(ReactorThreadTest, RunsEveryMessageOfManyPostersOnce) {
  const std::unique_ptr<ReactorThread> thread = start(0);
  if (thread == nullptr) GTEST_SKIP() << "refused here";
  constexpr std::size_t kPosters = 3;
  constexpr std::size_t kMessages = 3000;
  std::atomic<std::uint64_t> total{0};
  std::vector<CountedMessage> messages(kPosters * kMessages);
  std::vector<std::thread> posters;
  for (std::size_t poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&, poster] {
      for (std::size_t index = 0; index < kMessages; ++index) {
        CountedMessage& message = messages[poster * kMessages + index];
        message.total = &total;
        thread->reactor().post(message);
        // Pauses now and then, so that the reactor falls asleep between posts.
        if (index % 64 == 0) std::this_thread::yield();
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  CountingCall last;
  last.call(thread->reactor());
  EXPECT_EQ(total.load(), kPosters * kMessages);
}

Task<> await_all(std::vector<Future<int>>* futures, std::uint64_t* sum) {
  for (Future<int>& future : *futures) *sum += static_cast<std::uint64_t>(co_await std::move(future));
}

struct SpawnCall final : Call {
  void run_on_reactor() override { group->spawn(&await_all, futures, sum); }
  TaskGroup* group = nullptr;
  std::vector<Future<int>>* futures = nullptr;
  std::uint64_t* sum = nullptr;
};

TEST_P(ReactorThreadTest, ResumesATaskForEachFutureThatAnotherThreadFulfills) {
  constexpr int kFutures = 2000;
  std::vector<Promise<int>> promises(kFutures);
  std::vector<Future<int>> futures;
  for (Promise<int>& promise : promises) futures.push_back(promise.future());
  std::uint64_t sum = 0;
  std::unique_ptr<ReactorThread> thread = start(0);
  if (thread == nullptr) GTEST_SKIP() << "refused here";
  TaskGroup group(thread->reactor());
  SpawnCall spawn;
  spawn.group = &group;
  spawn.futures = &futures;
  spawn.sum = &sum;
  spawn.call(thread->reactor());
  for (Promise<int>& promise : promises) promise.fulfill(1);
  thread->stop();  // Ends only when nothing is ready any more.
  EXPECT_EQ(sum, static_cast<std::uint64_t>(kFutures));
}

/// Sends itself to and fro between two reactors.
struct PingMessage final : Message {
  void run() override {
    if (++rounds == kRounds) {
      Promise<Status> promise = std::move(done);
      promise.fulfill(Status());
      return;
    }
    std::swap(here, there);
    here->post(*this);
  }
  static constexpr int kRounds = 5000;
  Reactor* here = nullptr;
  Reactor* there = nullptr;
  int rounds = 0;
  Promise<Status> done;
};

TEST_P(ReactorThreadTest, TwoReactorsThatPostToEachOtherLoseNoWakeUp) {
  const std::unique_ptr<ReactorThread> first = start(0);
  const std::unique_ptr<ReactorThread> second = start(1);
  if (first == nullptr || second == nullptr) GTEST_SKIP() << "refused here";
  PingMessage ping;
  ping.here = &first->reactor();
  ping.there = &second->reactor();
  Future<Status> done = ping.done.future();
  ping.here->post(ping);
  EXPECT_TRUE(done.get().is_ok());
  // Both loops end before either reactor does: a post may still be under way.
  first->stop();
  second->stop();
  EXPECT_EQ(ping.rounds, PingMessage::kRounds);
}

Task<> write_and_read(Reactor* reactor, Fd file, Status* status) {
  const AlignedBuffer out(64_KiB);
  std::memset(out.data(), 'r', out.bytes());
  *status = co_await reactor->write(file, 0, out.span());
  if (!status->is_ok()) co_return;
  *status = co_await reactor->sync_data(file);
  if (!status->is_ok()) co_return;
  const AlignedBuffer in(64_KiB);
  *status = co_await reactor->read(file, 0, in.span());
  if (status->is_ok() && std::memcmp(in.data(), out.data(), in.bytes()) != 0) *status = Status(Code::kCorruption);
}

Task<> write_and_stop(Reactor* reactor, Fd file, Status* status, Promise<Status> done) {
  co_await write_and_read(reactor, file, status);
  done.fulfill(*status);
}

struct WriteCall final : Message {
  void run() override { group->spawn(&write_and_stop, reactor, file, &status, std::move(done)); }
  TaskGroup* group = nullptr;
  Reactor* reactor = nullptr;
  Fd file = Fd::kNone;
  Status status = Status(Code::kCancelled);
  Promise<Status> done;
};

TEST_P(ReactorThreadTest, WritesSyncsAndReadsBack) {
  const TemporaryDirectory folder;
  const Result<Fd> fd = real_system().open_file(folder / "data", {.create = true});
  ASSERT_TRUE(fd.has_value());
  const File file(real_system(), *fd);
  const std::unique_ptr<ReactorThread> thread = start(0);
  if (thread == nullptr) GTEST_SKIP() << "refused here";
  TaskGroup group(thread->reactor());
  WriteCall call;
  call.group = &group;
  call.reactor = &thread->reactor();
  call.file = file.fd();
  Future<Status> done = call.done.future();
  thread->reactor().post(call);
  EXPECT_TRUE(done.get().is_ok());
  thread->stop();
}

Task<> sleep_and_tell(Reactor* reactor, std::uint64_t duration_ns, Promise<int> done) {
  const std::uint64_t before_ns = reactor->now_ns();
  co_await reactor->sleep(duration_ns);
  done.fulfill(reactor->now_ns() - before_ns >= duration_ns ? 1 : 0);
}

struct SleepCall final : Message {
  void run() override { group->spawn(&sleep_and_tell, reactor, std::uint64_t{1'000'000}, std::move(done)); }
  TaskGroup* group = nullptr;
  Reactor* reactor = nullptr;
  Promise<int> done;
};

TEST_P(ReactorThreadTest, ASleepingReactorWakesForItsTimer) {
  const std::unique_ptr<ReactorThread> thread = start(0);
  if (thread == nullptr) GTEST_SKIP() << "refused here";
  TaskGroup group(thread->reactor());
  SleepCall call;
  call.group = &group;
  call.reactor = &thread->reactor();
  Future<int> done = call.done.future();
  thread->reactor().post(call);
  EXPECT_EQ(done.get(), 1);
  thread->stop();
}

INSTANTIATE_TEST_SUITE_P(Backends, ReactorThreadTest, testing::Values(IoOptions::Backend::kRing, IoOptions::Backend::kSyscall),
                         [](const auto& backend) {
                           return std::string(backend.param == IoOptions::Backend::kRing ? "Ring" : "SystemCalls");
                         });

TEST(ReactorThread, SaysWhyItCannotBePinned) {
  const auto thread = ReactorThread::start(real_system(), 0, IoOptions(), ReactorOptions(), 100'000);
  ASSERT_FALSE(thread.has_value());
  EXPECT_TRUE(thread.error().status.is(Code::kInvalidArgument));
  EXPECT_EQ(thread.error().text, "cannot pin a reactor to core 100000");
}

struct MaskCall final : Call {
  void run_on_reactor() override { pthread_sigmask(SIG_SETMASK, nullptr, &mask); }
  sigset_t mask{};
};

TEST(ReactorThread, BlocksTheHostsSignals) {
  const auto thread = ReactorThread::start(real_system(), 0, IoOptions(), ReactorOptions(), -1);
  ASSERT_TRUE(thread.has_value());
  MaskCall call;
  call.call((*thread)->reactor());
  EXPECT_EQ(sigismember(&call.mask, SIGTERM), 1);
  EXPECT_EQ(sigismember(&call.mask, SIGCHLD), 1);
}

}  // namespace
}  // namespace penstock::reactor
