// Goal: every real backend keeps the contract of io.h: results, chains, cancelled links, order, waits and wake-ups.
// Method: one set of tests, run over the ring (with each kernel's flags that this kernel takes) and over system calls.
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "penstock/bytes.h"
#include "reactor/backend.h"
#include "reactor/buffer.h"
#include "reactor/io.h"
#include "reactor/ring_io.h"
#include "reactor/syscall_io.h"
#include "reactor/temporary_directory.h"

namespace penstock::reactor {
namespace {

struct Numbered final : Completion {
  void on_complete(std::int32_t) override {}
  std::int32_t result = INT32_MIN;
  std::uint32_t place = 0;  // Of its completion among all.
};

struct BackendCase {
  const char* name;
  bool ring;
  std::uint32_t flags;
};

constexpr BackendCase kCases[] = {
    {"RingDeferred", true,
     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL},
    {"RingCooperative", true, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL},
    {"RingPlain", true, 0},
    {"SystemCalls", false, 0},
};

class IoContract : public testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override {
    make_io(IoOptions());
    if (io_ == nullptr) GTEST_SKIP() << "refused here";
    const Result<Fd> file = real_system().open_file(folder_ / "data", {.create = true});
    ASSERT_TRUE(file.has_value());
    file_ = File(real_system(), *file);
  }
  void make_io(const IoOptions& options) {
    io_.reset();
    const BackendCase& backend = GetParam();
    Outcome<std::unique_ptr<Io>> io =
        backend.ring ? RingIo::create_with_flags(options, backend.flags) : SyscallIo::create(options, "for a test");
    if (io) io_ = std::move(*io);
  }
  Entry make_entry(Op op, std::uint64_t offset, std::uint32_t bytes, Numbered& completion) {
    Entry entry;
    entry.op = op;
    entry.file = file_.fd();
    entry.offset = offset;
    entry.bytes = bytes;
    entry.buffer = buffer_.data() + offset;
    entry.completion = &completion;
    return entry;
  }
  void reap() {
    std::array<Reaped, 16> reaped;
    while (const std::uint32_t count = io_->reap(reaped)) {
      for (const Reaped& one : std::span(reaped).first(count)) {
        auto& completion = static_cast<Numbered&>(*one.completion);
        EXPECT_EQ(completion.result, INT32_MIN) << "completed twice";
        completion.result = one.result;
        completion.place = ++reaped_;
      }
    }
  }
  void finish() {
    while (io_->in_flight() != 0) {
      io_->enter(-1);
      reap();
    }
  }
  void run_chain(std::span<Entry> chain) {
    for (std::size_t index = 0; index + 1 < chain.size(); ++index) chain[index].link = true;
    io_->prepare(chain);
    finish();
  }

  TemporaryDirectory folder_;
  AlignedBuffer buffer_{1_MiB};
  File file_;
  std::unique_ptr<Io> io_;
  std::uint32_t reaped_ = 0;
};

TEST_P(IoContract, MovesBytesAndSyncs) {
  std::memset(buffer_.data(), 'w', 16384);
  Numbered written;
  Numbered data_synced;
  Numbered synced;
  std::array chain{make_entry(Op::kWrite, 0, 16384, written), make_entry(Op::kSyncData, 0, 0, data_synced),
                   make_entry(Op::kSync, 0, 0, synced)};
  run_chain(chain);
  EXPECT_EQ(written.result, 16384);
  EXPECT_EQ(data_synced.result, 0);
  EXPECT_EQ(synced.result, 0);

  Numbered read;
  Entry entry = make_entry(Op::kRead, 0, 16384, read);
  entry.buffer = buffer_.data() + 65536;
  run_chain(std::span(&entry, 1));
  EXPECT_EQ(read.result, 16384);
  EXPECT_EQ(std::memcmp(buffer_.data(), buffer_.data() + 65536, 16384), 0);
  const IoCounters& counters = io_->counters();
  EXPECT_EQ(counters.entries, 4U);
  EXPECT_EQ(counters.completions, 4U);
  EXPECT_EQ(counters.chains, 1U);
  EXPECT_EQ(counters.writes, 1U);
  EXPECT_EQ(counters.write_bytes, 16384U);
  EXPECT_EQ(counters.read_bytes, 16384U);
  EXPECT_EQ(counters.syncs, 2U);
  EXPECT_GT(counters.enters, 0U);
}

TEST_P(IoContract, ADurableWriteIsOneEntryAndCountsAsASync) {
  std::memset(buffer_.data(), 'd', 16384);
  Numbered written;
  Entry entry = make_entry(Op::kWrite, 0, 16384, written);
  entry.durable = true;
  run_chain(std::span(&entry, 1));
  EXPECT_EQ(written.result, 16384);
  EXPECT_EQ(io_->counters().entries, 1U);
  EXPECT_EQ(io_->counters().syncs, 1U);
}

TEST_P(IoContract, RunsAChainInOrder) {
  // Each write covers the one before it; the last one must win, every time.
  for (int round = 0; round < 20; ++round) {
    std::array<Numbered, 8> written;
    std::vector<Entry> chain;
    for (std::uint32_t index = 0; index < written.size(); ++index) {
      Entry entry = make_entry(Op::kWrite, 0, 4096, written[index]);
      entry.buffer = buffer_.data() + std::uint64_t{index} * 4096;
      std::memset(entry.buffer, 'a' + static_cast<int>(index), 4096);
      chain.push_back(entry);
    }
    run_chain(chain);
    for (std::size_t index = 1; index < written.size(); ++index) EXPECT_LT(written[index - 1].place, written[index].place);
    ASSERT_TRUE(real_system().read_file(file_.fd(), 0, buffer_.span().first(4096)).is_ok());
    EXPECT_EQ(buffer_.data()[0], std::byte{'h'});
  }
}

TEST_P(IoContract, AFailedEntryCancelsTheRestOfItsChainAlone) {
  const Result<Fd> read_only = real_system().open_file(folder_ / "data", {.read_only = true});
  ASSERT_TRUE(read_only.has_value());
  const File other(real_system(), *read_only);
  Numbered failed;
  Numbered cancelled;
  Numbered cancelled_too;
  Numbered alone;
  std::array chain{make_entry(Op::kWrite, 0, 4096, failed), make_entry(Op::kWrite, 4096, 4096, cancelled),
                   make_entry(Op::kSyncData, 0, 0, cancelled_too)};
  chain[0].file = other.fd();
  chain[0].link = chain[1].link = true;
  io_->prepare(chain);
  const Entry single = make_entry(Op::kWrite, 8192, 4096, alone);
  io_->prepare(std::span(&single, 1));
  finish();
  EXPECT_EQ(failed.result, -EBADF);
  EXPECT_EQ(cancelled.result, -ECANCELED);
  EXPECT_EQ(cancelled_too.result, -ECANCELED);
  EXPECT_EQ(alone.result, 4096);
  ASSERT_TRUE(real_system().read_file(file_.fd(), 4096, buffer_.span().first(4096)).is_ok());
  EXPECT_EQ(buffer_.data()[0], std::byte{0}) << "a cancelled write did something";
}

TEST_P(IoContract, ADescriptorThatIsNotOneCancelsTheRestToo) {
  Numbered failed;
  Numbered cancelled;
  std::array chain{make_entry(Op::kWrite, 0, 4096, failed), make_entry(Op::kSyncData, 0, 0, cancelled)};
  chain[0].file = static_cast<Fd>(1'000'000);
  run_chain(chain);
  EXPECT_EQ(failed.result, -EBADF);
  EXPECT_EQ(cancelled.result, -ECANCELED);
}

TEST_P(IoContract, AShortEntryCancelsTheRestOfItsChain) {
  ASSERT_TRUE(real_system().resize_file(file_.fd(), 8192, false).is_ok());
  Numbered short_read;
  Numbered cancelled;
  std::array chain{make_entry(Op::kRead, 0, 16384, short_read), make_entry(Op::kWrite, 0, 4096, cancelled)};
  run_chain(chain);
  EXPECT_EQ(short_read.result, 8192);
  EXPECT_EQ(cancelled.result, -ECANCELED);
  EXPECT_EQ(io_->counters().short_results, 1U);
}

TEST_P(IoContract, ReadsNothingAtTheEndOfAFile) {
  Numbered read;
  Entry entry = make_entry(Op::kRead, 0, 4096, read);
  run_chain(std::span(&entry, 1));
  EXPECT_EQ(read.result, 0);
}

TEST_P(IoContract, RunsEntriesThatAskForABlockingContext) {
  Numbered written;
  Numbered synced;
  std::array chain{make_entry(Op::kWrite, 0, 4096, written), make_entry(Op::kSyncData, 0, 0, synced)};
  chain[0].blocking = chain[1].blocking = true;
  run_chain(chain);
  EXPECT_EQ(written.result, 4096);
  EXPECT_EQ(synced.result, 0);
}

TEST_P(IoContract, TakesManyMoreEntriesThanItHasRoomForAndCompletesEachOnce) {
  IoOptions options;
  options.entries = 64;
  make_io(options);
  ASSERT_NE(io_, nullptr);
  constexpr std::size_t kCount = 5000;
  std::vector<Numbered> completions(kCount);
  for (Numbered& completion : completions) {
    while (io_->room() == 0) {
      io_->enter(0);
      reap();
    }
    const Entry entry = make_entry(Op::kNop, 0, 0, completion);
    io_->prepare(std::span(&entry, 1));
  }
  finish();
  EXPECT_TRUE(std::all_of(completions.begin(), completions.end(), [](const Numbered& one) { return one.result == 0; }));
  EXPECT_EQ(io_->counters().completions, kCount);
}

TEST_P(IoContract, NeverHasMoreInFlightThanItCanComplete) {
  IoOptions options;
  options.entries = 64;
  make_io(options);
  ASSERT_NE(io_, nullptr);
  std::vector<Numbered> completions(5000);
  std::size_t prepared = 0;
  // Nothing is reaped: room must end before completions could get lost.
  for (int round = 0; round < 1000 && prepared < completions.size(); ++round) {
    while (io_->room() > 0 && prepared < completions.size()) {
      const Entry entry = make_entry(Op::kNop, 0, 0, completions[prepared++]);
      io_->prepare(std::span(&entry, 1));
    }
    io_->enter(0);
  }
  EXPECT_LT(prepared, completions.size());
  EXPECT_EQ(io_->in_flight(), prepared);
  finish();
  EXPECT_EQ(reaped_, prepared);
  EXPECT_EQ(io_->counters().overflows, 0U);
}

TEST_P(IoContract, EntersWithoutWaitingWhenThereIsNothingToDo) {
  io_->enter(0);
  io_->enter(0);
  EXPECT_EQ(io_->counters().sleeps, 0U);
  EXPECT_EQ(io_->in_flight(), 0U);
}

TEST_P(IoContract, WaitEndsAtItsTime) {
  const std::uint64_t before_ns = real_system().now_ns();
  io_->enter(2'000'000);
  EXPECT_GE(real_system().now_ns() - before_ns, 1'000'000U);
  EXPECT_EQ(io_->counters().sleeps, 1U);
}

TEST_P(IoContract, AWakeUpEndsTheNextWaitOrThePresentOne) {
  io_->wake();
  io_->enter(-1);  // The wake-up before it counts.
  for (int round = 0; round < 200; ++round) {
    std::thread other([this] { io_->wake(); });
    io_->enter(-1);
    other.join();
  }
  EXPECT_GE(io_->counters().wakes, 1U);
}

TEST_P(IoContract, ManyWakeUpsMayBecomeOne) {
  for (int count = 0; count < 100; ++count) io_->wake();
  io_->enter(-1);
  io_->enter(0);
  EXPECT_LE(io_->counters().wakes, 2U);
  EXPECT_EQ(io_->in_flight(), 0U);
}

TEST_P(IoContract, SaysWhatItIs) {
  const std::string description = io_->description();
  EXPECT_TRUE(description.starts_with(GetParam().ring ? "io_uring (" : "system calls: for a test")) << description;
}

// --- Hosted ---

/// The thread waits in an epoll file, as a host's loop does.
class HostedIo : public IoContract {
 protected:
  void SetUp() override {
    IoContract::SetUp();
    if (IsSkipped()) return;
    IoOptions options;
    options.hosted = true;
    make_io(options);
    ASSERT_NE(io_, nullptr);
    epoll_file_ = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event wanted{.events = EPOLLIN | EPOLLET, .data = {}};
    ASSERT_EQ(::epoll_ctl(epoll_file_, EPOLL_CTL_ADD, io_->wait_file(), &wanted), 0);
  }
  void TearDown() override {
    if (epoll_file_ >= 0) ::close(epoll_file_);
  }
  /// Whether the file was signalled since the last call, or is within `timeout_ms`.
  bool wait(int timeout_ms) {
    epoll_event event{};
    int count = ::epoll_wait(epoll_file_, &event, 1, timeout_ms);
    // Rings without deferred task work interrupt the wait to run it.
    while (count < 0 && errno == EINTR) count = ::epoll_wait(epoll_file_, &event, 1, timeout_ms);
    return count > 0;
  }
  static constexpr int kLongMs = 60'000;

  int epoll_file_ = -1;
};

TEST_P(HostedIo, TheWaitFileIsSignalledForACompletionAfterItWasArmed) {
  std::uint32_t armed_rounds = 0;
  for (int round = 0; round < 200; ++round) {
    Numbered written;
    Numbered synced;
    std::array chain{make_entry(Op::kWrite, 0, 65536, written), make_entry(Op::kSyncData, 0, 0, synced)};
    chain[0].link = true;
    io_->prepare(chain);
    while (synced.result == INT32_MIN) {
      wait(0);
      if (io_->try_arm()) {
        ++armed_rounds;
        ASSERT_TRUE(wait(kLongMs)) << "round " << round;
        io_->disarm();
        io_->enter(0);
      }
      reap();
    }
    EXPECT_EQ(written.result, 65536);
    EXPECT_EQ(synced.result, 0);
  }
  EXPECT_GT(armed_rounds, 0U);
}

TEST_P(HostedIo, TheWaitFileIsSignalledByAWakeUpFromAnotherThread) {
  for (int round = 0; round < 300; ++round) {
    wait(0);
    std::thread other([this] { io_->wake(); });
    if (io_->try_arm()) {
      EXPECT_TRUE(wait(kLongMs)) << "round " << round;
      io_->disarm();
    }
    other.join();
    io_->enter(0);
  }
}

TEST_P(HostedIo, IsNotArmedWhileThereIsSomethingToReap) {
  Numbered done;
  const Entry entry = make_entry(Op::kNop, 0, 0, done);
  io_->prepare(std::span(&entry, 1));
  while (io_->try_arm()) {
    ASSERT_TRUE(wait(kLongMs));
    io_->disarm();
  }
  EXPECT_FALSE(io_->try_arm());
  reap();
  EXPECT_EQ(done.result, 0);
  EXPECT_TRUE(io_->try_arm());
  io_->disarm();
}

TEST_P(HostedIo, CompletionsDoNotSignalWhileTheThreadIsNotWaiting) {
  wait(0);
  Numbered done;
  const Entry entry = make_entry(Op::kWrite, 0, 4096, done);
  io_->prepare(std::span(&entry, 1));
  while (io_->in_flight() != 0) {
    io_->enter(0);
    reap();
  }
  EXPECT_EQ(done.result, 4096);
  EXPECT_FALSE(wait(0));
}

TEST_P(HostedIo, OneThatIsNotHostedHasNoWaitFile) {
  make_io(IoOptions());
  EXPECT_EQ(io_->wait_file(), -1);
}

INSTANTIATE_TEST_SUITE_P(Backends, HostedIo, testing::ValuesIn(kCases),
                         [](const auto& backend) { return std::string(backend.param.name); });
INSTANTIATE_TEST_SUITE_P(Backends, IoContract, testing::ValuesIn(kCases),
                         [](const auto& backend) { return std::string(backend.param.name); });

// --- The choice ---

class Environment {
 public:
  explicit Environment(const char* value) {
    if (const char* const before = std::getenv("PENSTOCK_IO")) before_ = before;
    ::setenv("PENSTOCK_IO", value, 1);
  }
  ~Environment() { ::setenv("PENSTOCK_IO", before_.c_str(), 1); }

 private:
  std::string before_;
};

TEST(BackendChoice, FollowsTheEnvironmentOverTheOption) {
  IoOptions options;
  options.backend = IoOptions::Backend::kRing;
  const Environment environment("syscall");
  const Outcome<std::unique_ptr<Io>> io = make_real_io(options);
  ASSERT_TRUE(io.has_value());
  EXPECT_EQ((*io)->description(), "system calls: by option");
}

TEST(BackendChoice, RefusesAnEnvironmentThatMakesNoSense) {
  const Environment environment("rings");
  const Outcome<std::unique_ptr<Io>> io = make_real_io(IoOptions());
  ASSERT_FALSE(io.has_value());
  EXPECT_TRUE(io.error().status.is(Code::kInvalidArgument));
}

TEST(BackendChoice, ExplainsWhyTheRingWasRefused) {
  EXPECT_NE(explain_ring_refusal(EPERM).find("io_uring_disabled"), std::string::npos);
  EXPECT_NE(explain_ring_refusal(EACCES).find("seccomp"), std::string::npos);
  EXPECT_NE(explain_ring_refusal(ENOSYS).find("no io_uring"), std::string::npos);
  EXPECT_NE(explain_ring_refusal(ENOMEM).find("RLIMIT_MEMLOCK is "), std::string::npos);
  EXPECT_EQ(explain_ring_refusal(EINVAL), "io_uring_setup: Invalid argument");
}

}  // namespace
}  // namespace penstock::reactor
