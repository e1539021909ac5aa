// Goal: on a donated thread a call that would block, and every misuse, gets an answer by code; nothing hangs, and what was
// refused changes nothing.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/api/test_donated.h"

namespace penstock::apitest {
namespace {

using namespace std::chrono_literals;

class DonatedMisuse : public DonatedThreads {};

// --- What blocks elsewhere ---

TEST_P(DonatedMisuse, BlockingCallsAnswerWouldBlock) {
  PENSTOCK_ATTACH(runtime, reactor);
  const Outcome<Database> blocked = Database::open(runtime, path(), small());
  ASSERT_FALSE(blocked.has_value());
  EXPECT_EQ(blocked.error().status.code(), Code::kWouldBlock);
  EXPECT_FALSE(std::filesystem::exists(path()));
  auto db = reactor.wait(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value());
  EXPECT_EQ(db->create_family("data").get().error().status.code(), Code::kWouldBlock);
  const auto family = reactor.wait(db->open_or_create_family("data"));
  ASSERT_TRUE(family.has_value());
  EXPECT_EQ(db->put(*family, "k", "v").get().code(), Code::kWouldBlock);
  EXPECT_EQ(db->contains(*family, "k").get().error().code(), Code::kWouldBlock);
  EXPECT_EQ(db->metrics().get().error().code(), Code::kWouldBlock);
  EXPECT_FALSE(db->put(*family, "k", "v").wait_for(1h));
  EXPECT_EQ(db->close().code(), Code::kWouldBlock);
  EXPECT_TRUE(reactor.wait(db->flush()).is_ok());
  EXPECT_EQ(reactor.wait(db->get(*family, "k")).value(), "v");  // What was refused was the wait, not the put.
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
  EXPECT_TRUE(reactor.detach().is_ok());
  EXPECT_FALSE(Promise<Status>().future().wait_for(1ns));  // An ordinary thread again: it waits.
}

TEST_P(DonatedMisuse, WithoutCreditPutsAnswerWouldBlockUntilTheHostHasPolled) {
  PENSTOCK_ATTACH(runtime, reactor);
  auto db = reactor.wait(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value());
  const auto family = reactor.wait(db->create_family("data"));
  ASSERT_TRUE(family.has_value());
  const std::string value(100'000, 'v');
  std::vector<Future<Status>> accepted;
  bool refused = false;
  for (int key = 0; key < 10'000 && !refused; ++key) {
    Future<Status> put = db->put(*family, std::to_string(key), value, {.durability = Durability::kBuffered});
    refused = put.is_ready();
    if (refused) {
      EXPECT_EQ(put.get().code(), Code::kWouldBlock);
    } else {
      accepted.push_back(std::move(put));
    }
  }
  EXPECT_TRUE(refused) << "nothing bounds the inbox";
  for (Future<Status>& put : accepted) {
    const Status status = reactor.wait(std::move(put));
    EXPECT_TRUE(status.is_ok()) << status.to_string();
  }
  EXPECT_TRUE(reactor.wait(db->put(*family, "after", value)).is_ok());
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
}

// --- Misuse ---

TEST_P(DonatedMisuse, ADatabaseIsNotOpenedBeforeAllReactorsHaveTheirThreads) {
  auto runtime = Runtime::start(donated(2));
  ASSERT_TRUE(runtime.has_value());
  auto refused = Database::open(*runtime, path(), small());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().status.code(), Code::kInvalidArgument);
  auto reactor = runtime->attach();
  if (!reactor.has_value()) {
    GTEST_SKIP() << reactor.error().text;
  }
  refused = reactor->wait(Database::open_async(*runtime, path(), small()));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().status.code(), Code::kInvalidArgument);
  EXPECT_NE(refused.error().text.find("1 of 2"), std::string::npos) << refused.error().text;
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_P(DonatedMisuse, AttachingIsRefusedWhereThereIsNothingToAttach) {
  auto engines_own = Runtime::start(own(1));
  ASSERT_TRUE(engines_own.has_value());
  EXPECT_EQ(engines_own->attach().error().status.code(), Code::kInvalidArgument);
  PENSTOCK_ATTACH(runtime, reactor);
  const auto twice = runtime.attach();
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().status.code(), Code::kInvalidArgument);
  EXPECT_NE(twice.error().text.find("this thread"), std::string::npos) << twice.error().text;
  std::thread([&] {
    const auto surplus = runtime.attach();
    ASSERT_FALSE(surplus.has_value());
    EXPECT_EQ(surplus.error().status.code(), Code::kInvalidArgument);
    EXPECT_NE(surplus.error().text.find("all 1"), std::string::npos) << surplus.error().text;
  }).join();
  EXPECT_GE(reactor.fd(), 0);
}

TEST_P(DonatedMisuse, PollingIsRefusedOnOtherThreadsAndInsideItself) {
  PENSTOCK_ATTACH(runtime, reactor);
  std::thread([&] {
    EXPECT_EQ(reactor.poll().error().code(), Code::kInvalidArgument);
    EXPECT_EQ(reactor.detach().code(), Code::kInvalidArgument);
  }).join();
  auto db = reactor.wait(Database::open_async(runtime, path(), small()));
  ASSERT_TRUE(db.has_value());
  std::optional<Code> nested_poll;
  std::optional<Code> nested_wait;
  std::optional<Code> nested_detach;
  db->flush().on_ready([&](Status) {
    nested_poll = reactor.poll().error().code();
    nested_wait = reactor.wait(db->flush()).code();
    nested_detach = reactor.detach().code();
  });
  while (!nested_detach.has_value()) {
    ASSERT_TRUE(reactor.poll(1s).has_value());
  }
  EXPECT_EQ(nested_poll, Code::kInvalidArgument);
  EXPECT_EQ(nested_wait, Code::kWouldBlock);
  EXPECT_EQ(nested_detach, Code::kInvalidArgument);
  EXPECT_TRUE(reactor.wait(db->close_async()).is_ok());
}

TEST_P(DonatedMisuse, PinningThemIsRefused) {
  RuntimeOptions options = donated(1);
  options.pin_threads = true;
  const auto runtime = Runtime::start(options);
  ASSERT_FALSE(runtime.has_value());
  EXPECT_EQ(runtime.error().status.code(), Code::kInvalidArgument);
  EXPECT_NE(runtime.error().text.find("pin_threads"), std::string::npos);
}

TEST_P(DonatedMisuse, WithoutANumberThereIsOneReactor) {
  const auto runtime = Runtime::start(donated(0));
  ASSERT_TRUE(runtime.has_value());
  EXPECT_EQ(runtime->reactors(), 1U);
  EXPECT_EQ(runtime->io_backend(), "");
}

INSTANTIATE_TEST_SUITE_P(Backends, DonatedMisuse, ::testing::Values(IoBackend::kAuto, IoBackend::kSyscall),
                         [](const auto& backend) {
                           return std::string(backend.param == IoBackend::kAuto ? "Ring" : "SystemCalls");
                         });

// --- Death ---

void destroy_while_a_database_is_open(const std::string& path) {
  auto runtime = Runtime::start({.reactors = 1, .memory_limit = 64_MiB, .threads = ReactorThreads::kDonated});
  std::optional<Outcome<Database>> db;
  auto reactor = runtime->attach();
  db.emplace(reactor->wait(Database::open_async(*runtime, path, {.shards = 1})));
  if (db->has_value()) {
    reactor = std::unexpected(Failure());
  }
}

TEST(DonatedMisuseDeathTest, DetachingUnderAnOpenDatabaseEndsTheProcess) {
  const std::string path = "donated_death_test.db";
  EXPECT_DEATH(destroy_while_a_database_is_open(path), "has_databases");
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace penstock::apitest
