// Goal: a program whose own threads run the reactors gets all of the engine from one descriptor and poll(): on one thread, on
// several, beside threads that only call. Method: small hosts with an epoll loop, over both I/O backends. A wait has a limit of
// a minute, which only a lost wake-up reaches.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "penstock/session.h"
#include "tests/api/test_donated.h"

namespace penstock::apitest {
namespace {

using namespace std::chrono_literals;

std::size_t thread_count() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator()));
}

TEST_P(DonatedThreads, OneThreadDoesEverythingFromItsOwnEventLoop) {
  const std::size_t threads_before = thread_count();
  PENSTOCK_ATTACH(runtime, reactor);
  if (runtime.io_backend().starts_with("io_uring")) {
    EXPECT_EQ(thread_count(), threads_before);
  }
  Host host(reactor);
  for (int opening = 0; opening < 2; ++opening) {
    Outcome<Database> db = host.answer(Database::open_async(runtime, path(), small()));
    ASSERT_TRUE(db.has_value()) << db.error().text;
    EXPECT_EQ(db->recovery().created, opening == 0);
    const auto family = host.answer(db->open_or_create_family("data", {.placement = Placement::kHashed}));
    ASSERT_TRUE(family.has_value());
    int answered = 0;
    int failed = 0;
    for (int key = 0; key < 300; ++key) {
      db->put(*family, std::to_string(key), std::to_string(key * opening)).on_ready([&](Status status) {
        ++answered;
        failed += status.is_ok() ? 0 : 1;
      });
      EXPECT_EQ(answered, 0) << "a callback outside poll()";
    }
    host.run_until([&] { return answered == 300; });
    EXPECT_EQ(failed, 0);
    EXPECT_TRUE(host.answer(db->flush()).is_ok());
    EXPECT_EQ(host.answer(db->get(*family, "7")).value(), std::to_string(7 * opening));
    EXPECT_EQ(host.answer(db->scan(*family, ScanOptions{})).value().rows.size(), 300U);
    EXPECT_TRUE(host.answer(db->verify()).has_value());
    EXPECT_EQ(host.answer(db->metrics()).value().reactors, 1U);
    EXPECT_TRUE(host.answer(db->close_async()).is_ok());
    EXPECT_EQ(host.answer(db->put(*family, "k", "v")).code(), Code::kClosed);
  }
  EXPECT_TRUE(reactor.detach().is_ok());
}

TEST_P(DonatedThreads, WaitPollsUntilTheAnswerIsThere) {
  PENSTOCK_ATTACH(runtime, reactor);
  auto db = reactor.wait(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const auto family = reactor.wait(db->create_family("data"));
  ASSERT_TRUE(family.has_value());
  EXPECT_TRUE(reactor.wait(db->put(*family, "key", "value")).is_ok());
  EXPECT_EQ(reactor.wait(db->get(*family, "key")).value(), "value");
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
}

/// A thread that attaches, serves until it is told to stop, and detaches.
class ServingThread {
 public:
  explicit ServingThread(Runtime& runtime)
      : thread_([this, &runtime] {
          auto reactor = runtime.attach();
          attached_.set_value(reactor.has_value());
          if (!reactor.has_value()) {
            return;
          }
          Host host(*reactor);
          while (!stop_.load()) {
            EXPECT_TRUE(reactor->poll(100ms).has_value());
          }
          EXPECT_TRUE(reactor->detach().is_ok());
        }) {}
  ServingThread(const ServingThread&) = delete;
  ServingThread& operator=(const ServingThread&) = delete;
  ~ServingThread() { stop(); }
  bool is_attached() { return attached_.get_future().get(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  std::promise<bool> attached_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_P(DonatedThreads, TwoOfThemServeThreadsThatBlock) {
  auto runtime = Runtime::start(donated(2));
  ASSERT_TRUE(runtime.has_value());
  ServingThread first(*runtime);
  ServingThread second(*runtime);
  const bool both = first.is_attached() && second.is_attached();
  if (!both) {
    GTEST_SKIP() << "refused here";
  }
  for (int opening = 0; opening < 2; ++opening) {
    auto db = Database::open(*runtime, path(), small());
    ASSERT_TRUE(db.has_value()) << db.error().text;
    const auto family = db->open_or_create_family("data", {.placement = Placement::kHashed}).get();
    ASSERT_TRUE(family.has_value());
    std::vector<std::thread> clients;
    std::atomic<int> failures{0};
    for (int client = 0; client < 3; ++client) {
      clients.emplace_back([&, client] {
        for (int index = 0; index < 200; ++index) {
          const std::string key = std::to_string(client) + "-" + std::to_string(index);
          failures += db->put(*family, key, key).get().is_ok() ? 0 : 1;
          failures += db->get(*family, key).get() == key ? 0 : 1;
        }
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
    EXPECT_EQ(failures.load(), 0);
    EXPECT_EQ(db->metrics().get().value().reactors, 2U);
    EXPECT_TRUE(db->close().is_ok());
  }
}

TEST_P(DonatedThreads, AnAnswerOfAnotherReactorEndsTheWaitOfThisOne) {
  auto runtime = Runtime::start(donated(2));
  ASSERT_TRUE(runtime.has_value());
  auto reactor = runtime->attach();
  if (!reactor.has_value()) {
    GTEST_SKIP() << reactor.error().text;
  }
  EXPECT_EQ(reactor->index(), 0U);
  ServingThread other(*runtime);
  ASSERT_TRUE(other.is_attached());
  auto db = reactor->wait(Database::open_async(*runtime, path(), small()));
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const auto family = reactor->wait(db->create_family("data", {.shard = 1}));  // Of reactor 1.
  ASSERT_TRUE(family.has_value());
  for (int key = 0; key < 200; ++key) {
    ASSERT_TRUE(reactor->wait(db->put(*family, std::to_string(key), "v", {.durability = Durability::kBuffered})).is_ok());
    ASSERT_EQ(reactor->wait(db->get(*family, std::to_string(key))).value(), "v");
  }
  EXPECT_TRUE(reactor->wait(db->close_async()).is_ok());
}

TEST_P(DonatedThreads, CallsOfAnotherThreadWakeAHostThatSleeps) {
  PENSTOCK_ATTACH(runtime, reactor);
  Host host(reactor);
  auto db = host.answer(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const auto family = host.answer(db->create_family("data"));
  ASSERT_TRUE(family.has_value());
  std::atomic<bool> done{false};
  std::atomic<int> failures{0};
  std::thread client([&] {
    for (int key = 0; key < 400; ++key) {  // One at a time: the host sleeps before each.
      const Durability durability = key % 4 == 0 ? Durability::kSync : Durability::kBuffered;
      failures += db->put(*family, std::to_string(key), "v", {.durability = durability}).get().is_ok() ? 0 : 1;
      failures += db->get(*family, std::to_string(key)).get() == "v" ? 0 : 1;
    }
    done = true;
    static_cast<void>(db->get(*family, "wakes the host, so that it sees the end"));
  });
  host.run_until([&] { return done.load(); });
  client.join();
  EXPECT_EQ(failures.load(), 0);
  EXPECT_GT(host.answer(db->metrics()).value().wakes_sent, 0U);
  EXPECT_TRUE(host.answer(db->close_async()).is_ok());
}

Task<Result<std::string>> put_and_get(Shard& shard, Family family, std::string key) {
  if (const Status status = co_await shard.put(family, key, "by a coroutine"); !status.is_ok()) {
    co_return std::unexpected(status);
  }
  co_return co_await shard.get(family, key);
}

TEST_P(DonatedThreads, CoroutinesRunOnTheHostsThread) {
  PENSTOCK_ATTACH(runtime, reactor);
  auto db = reactor.wait(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value());
  const auto family = reactor.wait(db->create_family("data", {.shard = 2}));
  EXPECT_EQ(reactor.wait(db->run_on(2, &put_and_get, *family, std::string("k"))).value(), "by a coroutine");
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
}

TEST_P(DonatedThreads, AGetOfWhatIsInMemoryIsAnsweredBetweenTwoPolls) {
  PENSTOCK_ATTACH(runtime, reactor);
  auto db = reactor.wait(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value());
  const auto family = reactor.wait(db->create_family("data"));
  ASSERT_TRUE(reactor.wait(db->put(*family, "k", "v")).is_ok());
  // Whatever the log and the flusher still do must end first: nothing is lent while something is in flight.
  for (int round = 0; round < 1000 && !db->get(*family, "k").is_ready(); ++round) {
    ASSERT_TRUE(reactor.poll(1ms).has_value());
  }
  Future<Result<std::string>> value = db->get(*family, "k");
  ASSERT_TRUE(value.is_ready());
  EXPECT_EQ(value.get().value(), "v");
  EXPECT_GE(reactor.wait(db->metrics()).value().gets_borrowed, 1U);
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
}

TEST_P(DonatedThreads, OtherThreadsReadWhatIsInMemoryWhileTheHostWaits) {
  PENSTOCK_ATTACH(runtime, reactor);
  Host host(reactor);
  auto db = host.answer(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value());
  const auto family = host.answer(db->create_family("data"));
  ASSERT_TRUE(host.answer(db->put(*family, "k", "v")).is_ok());
  std::atomic<bool> done{false};
  std::atomic<int> failures{0};
  std::thread client([&] {
    for (int round = 0; round < 2000; ++round) {
      if (round % 16 == 0) {
        failures += db->put(*family, "k", "v", {.durability = Durability::kBuffered}).get().is_ok() ? 0 : 1;
      }
      failures += db->get(*family, "k").get() == "v" ? 0 : 1;
    }
    done = true;
    static_cast<void>(db->put(*family, "wakes the host", "so that it sees the end"));
  });
  host.run_until([&] { return done.load(); });
  client.join();
  EXPECT_EQ(failures.load(), 0);
  EXPECT_TRUE(host.answer(db->close_async()).is_ok());
}

TEST_P(DonatedThreads, ASessionIsPolledAfterItsReactor) {
  PENSTOCK_ATTACH(runtime, reactor);
  DatabaseOptions options = small();
  options.borrowed_reads = false;  // Each get is a message, whether the reactor has something in flight or not.
  auto db = reactor.wait(Database::open_async(runtime, path(), options));
  ASSERT_TRUE(db.has_value());
  const auto family = reactor.wait(db->create_family("data", {.placement = Placement::kHashed}));
  for (int key = 0; key < 500; ++key) {
    ASSERT_TRUE(reactor.wait(db->put(*family, std::to_string(key), "v", {.durability = Durability::kBuffered})).is_ok());
  }
  std::uint64_t found = 0;
  const auto count = [&found](std::uint64_t, const Result<Bytes>& value) { found += value == Bytes("v") ? 1U : 0U; };
  Session session(*db);
  for (std::uint64_t key = 0; key < 500; ++key) {
    session.get(*family, std::to_string(key), key);
  }
  EXPECT_EQ(session.wait(count), 0U);  // It sends, and would wait.
  for (int round = 0; round < 1000 && session.pending() > 0; ++round) {
    ASSERT_TRUE(reactor.poll().has_value());
    session.poll(count);
  }
  EXPECT_EQ(found, 500U);
  for (std::uint64_t key = 0; key < 500; ++key) {
    session.get(*family, std::to_string(key), key);
  }
  session.submit();
  session = Session(*db);  // Nobody waits for the answers of the first.
  session.get(*family, "1", 1);
  session.submit();
  {
    const Session gone = std::move(session);
  }
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
  EXPECT_TRUE(reactor.detach().is_ok());
}

// --- Coming and going ---

TEST_P(DonatedThreads, AThreadDetachesOnlyWhileNoDatabaseIsOpenAndAnotherMayAttachThen) {
  PENSTOCK_ATTACH(runtime, reactor);
  Future<Outcome<Database>> opening = Database::open_async(runtime, path(), small());
  EXPECT_EQ(reactor.detach().code(), Code::kBusy);
  auto db = reactor.wait(std::move(opening));
  ASSERT_TRUE(db.has_value());
  EXPECT_EQ(reactor.detach().code(), Code::kBusy);
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
  EXPECT_TRUE(reactor.detach().is_ok());
  EXPECT_EQ(reactor.fd(), -1);
  EXPECT_EQ(reactor.poll().error().code(), Code::kInvalidArgument);
  EXPECT_EQ(reactor.detach().code(), Code::kInvalidArgument);
  EXPECT_TRUE(db->close().is_ok());  // It is, and needs no reactor to say so.

  std::thread([&] {
    auto next = runtime.attach();
    ASSERT_TRUE(next.has_value()) << next.error().text;
    auto again = next->wait(Database::open_async(runtime, path(), small()));
    ASSERT_TRUE(again.has_value()) << again.error().text;
    EXPECT_TRUE(again->recovery().clean);
    EXPECT_TRUE(next->wait(again->close_async()).is_ok());
  }).join();
}

TEST_P(DonatedThreads, ADatabaseThatIsDestroyedOpenClosesInTheBackground) {
  {
    PENSTOCK_ATTACH(runtime, reactor);
    auto db = reactor.wait(Database::open_async(runtime, path(), small()));
    ASSERT_TRUE(db.has_value());
    const auto family = reactor.wait(db->create_family("data"));
    EXPECT_TRUE(reactor.wait(db->put(*family, "k", "v")).is_ok());
  }
  auto runtime = Runtime::start(own(1));
  ASSERT_TRUE(runtime.has_value());
  auto db = Database::open(*runtime, path(), small());
  ASSERT_TRUE(db.has_value()) << db.error().text;
  EXPECT_TRUE(db->recovery().clean);
}

TEST_P(DonatedThreads, AnOpeningThatNobodyWaitsForIsUndone) {
  {
    PENSTOCK_ATTACH(runtime, reactor);
    static_cast<void>(Database::open_async(runtime, path(), small()));
    EXPECT_TRUE(reactor.poll().has_value());
  }
  auto runtime = Runtime::start(own(1));
  ASSERT_TRUE(runtime.has_value());
  auto db = Database::open(*runtime, path(), small());
  ASSERT_TRUE(db.has_value()) << db.error().text;
  EXPECT_TRUE(db->recovery().clean);
}

TEST_P(DonatedThreads, AnOpeningThatFailsLeavesTheReactorFree) {
  PENSTOCK_ATTACH(runtime, reactor);
  DatabaseOptions options = small();
  options.create_if_missing = false;
  const auto db = reactor.wait(Database::open_async(runtime, path(), options));
  ASSERT_FALSE(db.has_value());
  EXPECT_EQ(db.error().status.code(), Code::kNotFound);
  EXPECT_TRUE(reactor.detach().is_ok());
}

TEST_P(DonatedThreads, TheHandleMovesAndTheRuntimeMayGoFirst) {
  std::optional<AttachedReactor> kept;
  {
    PENSTOCK_ATTACH(runtime, reactor);
    AttachedReactor moved = std::move(reactor);
    EXPECT_EQ(reactor.fd(), -1);  // NOLINT(bugprone-use-after-move): what it then answers is promised.
    EXPECT_GE(moved.fd(), 0);
    kept.emplace(std::move(moved));
  }
  EXPECT_TRUE(kept->poll().has_value());
}

TEST_P(DonatedThreads, AThreadOfOneRuntimeUsesTheDatabaseOfAnother) {
  PENSTOCK_ATTACH(runtime, reactor);
  auto elsewhere = Runtime::start(own(1));
  ASSERT_TRUE(elsewhere.has_value());
  auto db = reactor.wait(Database::open_async(*elsewhere, path(), small()));
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const auto family = reactor.wait(db->create_family("data"));
  ASSERT_TRUE(family.has_value());
  for (int round = 0; round < 50; ++round) {
    EXPECT_TRUE(reactor.wait(db->put(*family, "k", "v", {.durability = Durability::kBuffered})).is_ok());
  }
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
}

INSTANTIATE_TEST_SUITE_P(Backends, DonatedThreads, ::testing::Values(IoBackend::kAuto, IoBackend::kSyscall),
                         [](const auto& backend) {
                           return std::string(backend.param == IoBackend::kAuto ? "Ring" : "SystemCalls");
                         });

// --- The engine's own threads ---

class AsynchronousLife : public DonatedThreads {};

TEST_P(AsynchronousLife, OpensAndClosesOnThreadsOfTheEngineToo) {
  auto runtime = Runtime::start(own(2));
  ASSERT_TRUE(runtime.has_value());
  auto db = Database::open_async(*runtime, path(), small()).get();
  ASSERT_TRUE(db.has_value()) << db.error().text;
  Future<Status> first = db->close_async();
  Future<Status> second = db->close_async();
  EXPECT_TRUE(second.get().is_ok());
  EXPECT_TRUE(first.get().is_ok());
  EXPECT_TRUE(db->close().is_ok());
}

TEST_P(AsynchronousLife, TheRuntimeWaitsForOpeningsAndClosingsThatNobodyWaitsFor) {
  for (int round = 0; round < 3; ++round) {
    auto runtime = Runtime::start(own(2));
    ASSERT_TRUE(runtime.has_value());
    static_cast<void>(Database::open_async(*runtime, path(), small()));
  }
  auto runtime = Runtime::start(own(2));
  ASSERT_TRUE(runtime.has_value());
  auto db = Database::open(*runtime, path(), small());
  ASSERT_TRUE(db.has_value()) << db.error().text;
  EXPECT_TRUE(db->recovery().clean);
  static_cast<void>(db->close_async());
}

INSTANTIATE_TEST_SUITE_P(Backends, AsynchronousLife, ::testing::Values(IoBackend::kAuto),
                         [](const auto&) { return std::string("Ring"); });

}  // namespace
}  // namespace penstock::apitest
