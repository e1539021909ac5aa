// Goal: the loop runs tasks, messages, timers, hooks, background work and I/O in the order and number that reactor.h promises.
// Method: a reactor over a scripted Io, polled by the test; what waits in the kernel or runs on threads is tested beside this
// file.
#include "reactor/reactor.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "reactor/scripted_io.h"
#include "reactor/temporary_directory.h"

namespace penstock::reactor {
namespace {

class ReactorTest : public testing::Test {
 protected:
  void poll_until_joined(TaskGroup& group) {
    while (group.running_count() != 0) reactor_.poll();
  }

  ScriptedIo* io_ = new ScriptedIo;
  Reactor reactor_{real_system(), std::unique_ptr<Io>(io_), 0, {.ready_ns_max = 1'000'000'000, .stall_ns = ~0ULL}};
  std::vector<std::string> events_;
};

using Events = std::vector<std::string>;

// --- Tasks ---

Task<> count_yields(Reactor* reactor, Events* events, std::string name) {
  for (int round = 0; round < 2; ++round) {
    events->push_back(name + std::to_string(round));
    co_await reactor->yield();
  }
}

TEST_F(ReactorTest, TasksThatYieldTakeTurns) {
  TaskGroup group(reactor_);
  group.spawn(&count_yields, &reactor_, &events_, std::string("a"));
  group.spawn(&count_yields, &reactor_, &events_, std::string("b"));
  EXPECT_TRUE(events_.empty());  // From the ready queue, not at once.
  poll_until_joined(group);
  EXPECT_EQ(events_, (Events{"a0", "b0", "a1", "b1"}));
}

Task<> yield_for_ever(Reactor* reactor, bool* over) {
  while (!*over) co_await reactor->yield();
}

TEST_F(ReactorTest, OnePassRunsNoMoreTasksThanItsBudget) {
  TaskGroup group(reactor_);
  bool over = false;
  group.spawn(&yield_for_ever, &reactor_, &over);
  EXPECT_TRUE(reactor_.poll());
  EXPECT_EQ(reactor_.counters().tasks_resumed, ReactorOptions().ready_tasks_max);
  over = true;
  poll_until_joined(group);
}

Task<> join_group(TaskGroup* group, Events* events) {
  co_await group->join();
  events->push_back("joined");
}

TEST_F(ReactorTest, JoinResumesAfterTheLastTaskOfTheGroup) {
  TaskGroup outer(reactor_);
  TaskGroup inner(reactor_);
  outer.spawn(&join_group, &inner, &events_);
  inner.spawn(&count_yields, &reactor_, &events_, std::string("a"));
  poll_until_joined(outer);
  EXPECT_EQ(events_, (Events{"a0", "a1", "joined"}));
  outer.spawn(&join_group, &inner, &events_);  // An empty group is joined at once.
  poll_until_joined(outer);
  EXPECT_EQ(events_.size(), 4U);
}

Task<> wait_for_event(Event* event, Events* events, std::string name) {
  co_await event->wait();
  events->push_back(name);
}

TEST_F(ReactorTest, EventWakesAllWaitersOfNowAndRemembersNothing) {
  TaskGroup group(reactor_);
  Event event(reactor_);
  event.notify_all();
  group.spawn(&wait_for_event, &event, &events_, std::string("a"));
  group.spawn(&wait_for_event, &event, &events_, std::string("b"));
  reactor_.poll();
  EXPECT_TRUE(events_.empty());
  EXPECT_TRUE(event.has_waiters());
  event.notify_all();
  poll_until_joined(group);
  EXPECT_EQ(events_, (Events{"a", "b"}));
}

Task<> await_future(Future<int> future, Events* events) {
  const int value = co_await std::move(future);
  events->push_back(std::to_string(value));
}

TEST_F(ReactorTest, AFutureFulfilledOnTheReactorResumesItsTask) {
  TaskGroup group(reactor_);
  Promise<int> promise;
  group.spawn(&await_future, promise.future(), &events_);
  reactor_.poll();
  EXPECT_TRUE(events_.empty());
  promise.fulfill(5);  // No reactor is current here: it goes through the inbox.
  EXPECT_TRUE(reactor_.has_ready_work());
  poll_until_joined(group);
  EXPECT_EQ(events_, (Events{"5"}));
}

TEST_F(ReactorTest, IsCurrentOnlyWhileItRuns) {
  EXPECT_EQ(Reactor::current(), nullptr);
  struct Probe final : Message {
    void run() override { seen = Reactor::current(); }
    Reactor* seen = nullptr;
  } probe;
  reactor_.post(probe);
  reactor_.poll();
  EXPECT_EQ(probe.seen, &reactor_);
  EXPECT_EQ(Reactor::current(), nullptr);
  EXPECT_EQ(detail::current_executor, nullptr);
}

// --- Messages, timers, hooks ---

struct NamedMessage final : Message {
  NamedMessage(Events& list, std::string text) : events(list), name(std::move(text)) {}
  void run() override {
    events.push_back(name);
    if (reactor != nullptr) std::exchange(reactor, nullptr)->post(*this);
  }
  Events& events;
  std::string name;
  Reactor* reactor = nullptr;  // Where to post itself again, once.
};

TEST_F(ReactorTest, MessagesRunInPostOrderAndMayPostThemselvesAgain) {
  NamedMessage a(events_, "a");
  NamedMessage b(events_, "b");
  NamedMessage c(events_, "c");
  b.reactor = &reactor_;
  reactor_.post(a);
  reactor_.post(b);
  reactor_.post(c);
  EXPECT_TRUE(reactor_.poll());
  EXPECT_EQ(events_, (Events{"a", "b", "c"}));
  reactor_.poll();
  EXPECT_EQ(events_, (Events{"a", "b", "c", "b"}));
  EXPECT_FALSE(reactor_.poll());
  EXPECT_EQ(reactor_.counters().messages, 4U);
  EXPECT_EQ(reactor_.counters().wakes_sent, 0U);
  EXPECT_EQ(reactor_.counters().wakes_elided, 4U);
}

class NamedTimer final : public Timer {
 public:
  NamedTimer(Reactor& reactor, Events& events, std::string name) : Timer(reactor), events_(events), name_(std::move(name)) {}
  NamedTimer* to_disarm = nullptr;
  std::uint64_t again_at_ns = 0;

 private:
  void on_timer() override {
    events_.push_back(name_);
    if (to_disarm != nullptr) to_disarm->disarm();
    if (again_at_ns != 0) arm_at(again_at_ns);
  }
  Events& events_;
  std::string name_;
};

TEST_F(ReactorTest, TimersFireOnceInTheOrderOfTheirDeadlines) {
  NamedTimer first(reactor_, events_, "first");
  NamedTimer second(reactor_, events_, "second");
  NamedTimer far(reactor_, events_, "far");
  second.arm_at(20);
  first.arm_at(30);
  first.arm_at(10);  // Moves it.
  far.arm_at(~0ULL - 1);
  EXPECT_EQ(reactor_.next_timer_ns(), 10U);
  EXPECT_TRUE(reactor_.poll());
  EXPECT_EQ(events_, (Events{"first", "second"}));
  EXPECT_FALSE(first.is_armed());
  EXPECT_TRUE(far.is_armed());
  EXPECT_FALSE(reactor_.poll());
  EXPECT_EQ(reactor_.next_timer_ns(), ~0ULL - 1);
}

TEST_F(ReactorTest, ATimerMayDisarmAnotherAndArmItselfWithoutHoldingUpTheLoop) {
  NamedTimer first(reactor_, events_, "first");
  NamedTimer second(reactor_, events_, "second");
  first.to_disarm = &second;
  first.again_at_ns = 1;
  first.arm_at(1);
  second.arm_at(2);
  reactor_.poll();
  EXPECT_FALSE(second.is_armed());
  EXPECT_TRUE(first.is_armed());
  EXPECT_LE(events_.size(), 2U);
  for (const std::string& event : events_) EXPECT_EQ(event, "first");
}

TEST_F(ReactorTest, ADestroyedTimerIsDisarmed) {
  {
    NamedTimer timer(reactor_, events_, "gone");
    timer.arm_at(1);
  }
  EXPECT_FALSE(reactor_.poll());
  EXPECT_TRUE(events_.empty());
}

struct SubmittingHook final : LoopHook {
  void before_enter() override {
    ++calls;
    if (entry.completion == nullptr) return;
    reactor->submit(std::span<const Entry>(&entry, 1));
    entry.completion = nullptr;
  }
  Reactor* reactor = nullptr;
  Entry entry;
  int calls = 0;
};

struct NotedCompletion final : Completion {
  void on_complete(std::int32_t value) override { results.push_back(value); }
  std::vector<std::int32_t> results;
};

TEST_F(ReactorTest, WhatAHookSubmitsGoesOutWithThisPass) {
  SubmittingHook hook;
  NotedCompletion completion;
  hook.reactor = &reactor_;
  hook.entry.completion = &completion;
  reactor_.add_hook(hook);
  reactor_.poll();
  EXPECT_EQ(hook.calls, 1);
  EXPECT_EQ(io_->seen.size(), 1U);
  reactor_.remove_hook(hook);
  while (completion.results.empty()) reactor_.poll();
  EXPECT_EQ(hook.calls, 1);
}

// --- Background ---

Task<> work_in_background(Reactor* reactor, ScriptedIo* io, Events* events, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    co_await reactor->background_slice();
    events->push_back("background after " + std::to_string(io->seen.size()) + " entries");
  }
}

TEST_F(ReactorTest, BackgroundRunsAfterSubmissionOncePerPass) {
  TaskGroup group(reactor_);
  SubmittingHook hook;
  NotedCompletion completion;
  hook.reactor = &reactor_;
  reactor_.add_hook(hook);
  group.spawn(&work_in_background, &reactor_, io_, &events_, 3);
  group.spawn(&work_in_background, &reactor_, io_, &events_, 3);
  hook.entry.completion = &completion;
  reactor_.poll();
  EXPECT_EQ(events_, (Events{"background after 1 entries", "background after 1 entries"}));
  reactor_.poll();
  EXPECT_EQ(events_.size(), 4U);
  EXPECT_EQ(reactor_.counters().background_slices, 2U);
  poll_until_joined(group);
  reactor_.remove_hook(hook);
  EXPECT_EQ(events_.size(), 6U);
}

TEST(ReactorOptions, ASliceBesideOtherWorkIsWhatTheShareAsksForWithinLimits) {
  const ReactorOptions options;
  EXPECT_EQ(options.busy_slice_ns(200'000, 0.0), options.background_slice_busy_ns);
  EXPECT_EQ(options.busy_slice_ns(200'000, 0.5), 200'000U);
  EXPECT_EQ(options.busy_slice_ns(1'000'000'000, 0.5), options.background_slice_max_ns);
}

std::uint64_t reported_ns = 0;

Task<> stall(System* system) {
  system->sleep_ns(2'000'000);
  co_return;
}

TEST(ReactorStall, IsCountedAndReported) {
  reported_ns = 0;
  ReactorOptions options;
  options.stall_ns = 1'000'000;
  options.on_stall = [](std::uint32_t index, std::uint64_t duration_ns) {
    EXPECT_EQ(index, 3U);
    reported_ns = duration_ns;
  };
  Reactor reactor(real_system(), std::make_unique<ScriptedIo>(), 3, options);
  TaskGroup group(reactor);
  group.spawn(&stall, &real_system());
  reactor.poll();
  EXPECT_GE(reported_ns, 2'000'000U);
  EXPECT_EQ(reactor.counters().stalls, 1U);
  EXPECT_EQ(reactor.counters().stall_ns_max, reported_ns);
}

// --- I/O ---

TEST_F(ReactorTest, ChainsThatFindNoRoomWaitWholeAndInOrder) {
  io_->entries_max = 4;
  NotedCompletion completion;
  const auto submit_chain = [&](std::uint64_t offset, std::size_t count) {
    std::vector<Entry> chain(count);
    for (std::size_t index = 0; index < count; ++index) {
      chain[index].offset = offset;
      chain[index].link = index + 1 < count;
      chain[index].completion = &completion;
    }
    reactor_.submit(chain);
  };
  submit_chain(1, 3);
  submit_chain(2, 2);  // One place is left: too few for the whole chain.
  submit_chain(3, 1);  // Would fit, but must not overtake.
  while (completion.results.size() < 6) reactor_.poll();
  EXPECT_EQ(io_->enter_sizes, (std::vector<std::uint32_t>{3, 3}));
  std::vector<std::uint64_t> offsets;
  for (const Entry& entry : io_->seen) offsets.push_back(entry.offset);
  EXPECT_EQ(offsets, (std::vector<std::uint64_t>{1, 1, 1, 2, 2, 3}));
}

class ReactorTransfer : public ReactorTest {
 protected:
  static Task<> read_into(Reactor* reactor, Fd file, std::span<std::byte> buffer, Status* status) {
    *status = co_await reactor->read(file, 4096, buffer);
  }
  static Task<> write_from(Reactor* reactor, Fd file, std::span<const std::byte> buffer, Status* status) {
    *status = co_await reactor->write(file, 4096, buffer);
  }
  static Task<> sync_file(Reactor* reactor, Fd file, Status* status) { *status = co_await reactor->sync_data(file); }

  Status read() {
    group_.spawn(&read_into, &reactor_, file_.fd(), std::span<std::byte>(buffer_), &status_);
    poll_until_joined(group_);
    return status_;
  }
  Status write() {
    group_.spawn(&write_from, &reactor_, file_.fd(), std::span<const std::byte>(buffer_), &status_);
    poll_until_joined(group_);
    return status_;
  }
  Status sync() {
    group_.spawn(&sync_file, &reactor_, file_.fd(), &status_);
    poll_until_joined(group_);
    return status_;
  }
  void open(bool direct) {
    const Result<Fd> file = real_system().open_file(folder_ / "data", {.create = true, .direct = direct});
    ASSERT_TRUE(file.has_value());
    file_ = File(real_system(), *file);
  }
  void SetUp() override { open(false); }

  TemporaryDirectory folder_;
  File file_;
  TaskGroup group_{reactor_};
  std::array<std::byte, 16384> buffer_{};
  Status status_;
};

TEST_F(ReactorTransfer, ShortResultsAreResumedWhereTheyEnded) {
  io_->results = {5000, 1000};
  EXPECT_TRUE(read().is_ok());
  ASSERT_EQ(io_->seen.size(), 3U);
  EXPECT_EQ(io_->seen[1].offset, 4096U + 5000U);
  EXPECT_EQ(io_->seen[1].buffer, buffer_.data() + 5000);
  EXPECT_EQ(io_->seen[2].bytes, 16384U - 6000U);
}

TEST_F(ReactorTransfer, DirectFilesAreResumedAtABlock) {
  open(true);
  if (!real_system().is_direct(file_.fd())) GTEST_SKIP() << "no direct I/O here";
  io_->results = {5000};
  EXPECT_TRUE(write().is_ok());
  ASSERT_EQ(io_->seen.size(), 2U);
  EXPECT_EQ(io_->seen[1].offset, 8192U);
  EXPECT_EQ(io_->seen[1].bytes, 16384U - 4096U);
  io_->results = {4096, 100};  // A file that ends inside a block.
  EXPECT_TRUE(read().is(Code::kCorruption));
}

TEST_F(ReactorTransfer, InterruptedEntriesGoOutAgainAsTheyWere) {
  io_->results = {-EINTR};
  EXPECT_TRUE(write().is_ok());
  ASSERT_EQ(io_->seen.size(), 2U);
  EXPECT_FALSE(io_->seen[1].blocking);
  EXPECT_EQ(io_->seen[1].offset, 4096U);
}

TEST_F(ReactorTransfer, EntriesThatWouldBlockGoOutAgainToABlockingContext) {
  io_->results = {-EAGAIN};
  EXPECT_TRUE(read().is_ok());
  ASSERT_EQ(io_->seen.size(), 2U);
  EXPECT_FALSE(io_->seen[0].blocking);
  EXPECT_TRUE(io_->seen[1].blocking);
}

TEST_F(ReactorTransfer, NothingReadIsCorruptionAndNothingWrittenIsAnError) {
  io_->results = {0};
  EXPECT_TRUE(read().is(Code::kCorruption));
  io_->results = {8192, 0};
  EXPECT_EQ(write(), Status::from_errno(EIO));
}

TEST_F(ReactorTransfer, OtherErrorsEndTheTransfer) {
  io_->results = {-ENOSPC};
  EXPECT_TRUE(write().is(Code::kNoSpace));
  EXPECT_EQ(io_->seen.size(), 1U);
}

TEST_F(ReactorTransfer, EndlessRefusalsEndTheTransferToo) {
  io_->results.assign(5000, -EAGAIN);
  EXPECT_EQ(read().error_number(), EAGAIN);
}

TEST_F(ReactorTransfer, AFailedSyncIsNeverRepeated) {
  io_->results = {-EIO};
  EXPECT_EQ(sync(), Status::from_errno(EIO));
  EXPECT_EQ(io_->seen.size(), 1U);
}

TEST_F(ReactorTransfer, ASyncThatDidNotRunIsRepeated) {
  io_->results = {-EINTR, -EAGAIN};
  EXPECT_TRUE(sync().is_ok());
  EXPECT_EQ(io_->seen.size(), 3U);
}

// --- Sleeping ---

struct StopMessage final : Message {
  explicit StopMessage(Reactor& target) : reactor(target) {}
  void run() override { reactor.stop(); }
  Reactor& reactor;
};

TEST_F(ReactorTest, RunDoesNotSleepBesideAMessageAndEndsWithWhatIsInFlight) {
  StopMessage stop(reactor_);
  NotedCompletion completion;
  Entry entry;
  entry.completion = &completion;
  reactor_.submit(std::span<const Entry>(&entry, 1));
  reactor_.post(stop);
  reactor_.run();
  EXPECT_EQ(completion.results.size(), 1U);
  EXPECT_EQ(io_->in_flight(), 0U);
}

TEST_F(ReactorTest, AMessagePostedJustBeforeItSleepsKeepsItAwake) {
  struct LateMessage final : Message {
    void run() override {
      waits_before = io->waits.size();
      reactor->stop();
    }
    ScriptedIo* io = nullptr;
    Reactor* reactor = nullptr;
    std::size_t waits_before = 0;
  } message;
  message.io = io_;
  message.reactor = &reactor_;
  // Two entries and room for one: the loop, about to sleep, enters once more to make room. The post comes there: after the look
  // at the inbox and before the announcement of sleep.
  io_->entries_max = 1;
  io_->on_enter = [this, &message] {
    io_->on_enter = nullptr;
    reactor_.post(message);
  };
  NotedCompletion completion;
  Entry entry;
  entry.completion = &completion;
  reactor_.submit(std::span<const Entry>(&entry, 1));
  reactor_.submit(std::span<const Entry>(&entry, 1));
  reactor_.run();
  EXPECT_EQ(message.waits_before, 0U);
  EXPECT_EQ(completion.results.size(), 2U);
}

TEST(ReactorDeathTest, DiesWhenDestroyedWithAMessageLeft) {
  Events events;
  NamedMessage message(events, "left");
  EXPECT_DEATH(
      {
        Reactor reactor(real_system(), std::make_unique<ScriptedIo>(), 0);
        reactor.post(message);
      },
      "inbox_is_empty");
}

}  // namespace
}  // namespace penstock::reactor
