// A host that runs reactors on its own threads, for tests: its event loop, and a folder for its database.
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "penstock/db.h"

namespace penstock::apitest {

/// A wait that ends at this limit, a minute, has lost a wake-up.
inline constexpr int kLongMs = 60'000;

/// A host's event loop that knows one thing: when the reactor's descriptor is readable, poll.
class Host {
 public:
  explicit Host(AttachedReactor& reactor) : reactor_(reactor), epoll_file_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    EXPECT_EQ(::epoll_ctl(epoll_file_, EPOLL_CTL_ADD, reactor.fd(), &wanted), 0);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() { ::close(epoll_file_); }

  /// False: nothing came for a minute.
  bool turn() {
    epoll_event event{};
    const int count = ::epoll_wait(epoll_file_, &event, 1, kLongMs);
    if (count < 0 && errno == EINTR) {
      return true;
    }
    EXPECT_EQ(count, 1) << "nothing wakes the host";
    EXPECT_TRUE(reactor_.poll().has_value());
    return count == 1;
  }
  template <typename Condition>
  void run_until(Condition condition) {
    while (!condition() && turn()) {
    }
  }
  template <typename T>
  T answer(Future<T> future) {
    run_until([&future] { return future.is_ready(); });
    return future.get();
  }

 private:
  AttachedReactor& reactor_;
  int epoll_file_;
};

/// Over both I/O backends.
class DonatedThreads : public ::testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    char name[] = "donated_test_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  static RuntimeOptions donated(std::uint32_t reactors) {
    RuntimeOptions options;
    options.reactors = reactors;
    options.memory_limit = 64_MiB;
    options.io_backend = GetParam();
    options.threads = ReactorThreads::kDonated;
    return options;
  }
  static RuntimeOptions own(std::uint32_t reactors) {
    RuntimeOptions options = donated(reactors);
    options.threads = ReactorThreads::kOwn;
    return options;
  }
  static DatabaseOptions small() {
    DatabaseOptions options;
    options.shards = 4;
    options.log_segment_bytes = 1_MiB;
    options.log_budget_bytes = 8_MiB;
    return options;
  }
  std::string path() const { return root_ + "/db"; }

  std::string root_;
};

/// Declares a runtime of one donated reactor, and this thread's handle to it, for the rest of the test.
#define PENSTOCK_ATTACH(runtime, reactor)                                   \
  auto runtime##_or = Runtime::start(donated(1));                           \
  ASSERT_TRUE(runtime##_or.has_value()) << runtime##_or.error().text;       \
  Runtime& runtime = *runtime##_or;                                         \
  auto reactor##_or = runtime.attach();                                     \
  if (!reactor##_or.has_value()) GTEST_SKIP() << reactor##_or.error().text; \
  AttachedReactor& reactor = *reactor##_or

}  // namespace penstock::apitest
