// Goal: a session brings each of many gets its own answer, whatever is asked together and in whatever order answers come.
#include "penstock/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using SessionTest = DatabaseTest;

std::string key_of(std::uint64_t number) { return "key" + std::to_string(number); }
std::string value_of(std::uint64_t number) { return std::string(number % 500, 'v') + std::to_string(number); }

TEST_F(SessionTest, EveryGetGetsItsAnswer) {
  constexpr std::uint64_t kKeys = 5000;
  open();
  const Family data = family("data", {.placement = Placement::kHashed});
  const Family other = family("other");
  for (std::uint64_t number = 0; number < kKeys; ++number) {
    ASSERT_TRUE(db_->put(data, key_of(number), value_of(number), {.durability = Durability::kBuffered}).get().is_ok());
  }
  ASSERT_TRUE(db_->put(other, "large", std::string(100'000, 'x')).get().is_ok());
  for (int round = 0; round < 3; ++round) {  // From memtables, from pages not in memory, from pages in memory.
    Session session(*db_);
    std::map<std::uint64_t, int> answers;
    const auto check = [&](std::uint64_t token, const Result<Bytes>& value) {
      ++answers[token];
      if (token == kKeys) {
        ASSERT_TRUE(value.has_value());
        EXPECT_EQ(value->size(), 100'000U);
      } else if (token % 7 == 0) {
        EXPECT_TRUE(!value.has_value() && value.error().is(Code::kNotFound));
      } else {
        ASSERT_TRUE(value.has_value()) << value.error().to_string();
        EXPECT_EQ(*value, value_of(token));
      }
    };
    session.get(other, "large", kKeys);
    for (std::uint64_t number = 0; number < kKeys; ++number) {
      session.get(data, number % 7 == 0 ? "absent" + key_of(number) : key_of(number), number);
      while (session.pending() > 1000) session.wait(check);
      if (number % 100 == 0) session.poll(check);
    }
    while (session.pending() > 0) session.wait(check);
    EXPECT_EQ(session.wait(check), 0U);
    EXPECT_EQ(answers.size(), kKeys + 1);
    for (const auto& [token, count] : answers) ASSERT_EQ(count, 1) << token;
    ASSERT_TRUE(db_->flush().get().is_ok());
  }
}

/// Keeps a reactor from everything else.
struct Hold {
  std::atomic<bool> has_begun{false};
  std::atomic<bool> may_end{false};

  static Task<Status> run(Shard&, Hold* hold) {
    hold->has_begun = true;
    hold->has_begun.notify_one();
    hold->may_end.wait(false);
    co_return Status();
  }
};

TEST_F(SessionTest, AWaitWithAnEndLeavesTheAnswerForTheNext) {
  open();
  const Family data = family("data", {.shard = 1});
  ASSERT_TRUE(db_->put(data, "key", "value").get().is_ok());
  Session session(*db_);
  const auto check = [](std::uint64_t, const Result<Bytes>& value) { EXPECT_EQ(value.value_or(Bytes()), "value"); };
  EXPECT_EQ(session.wait_for(std::chrono::hours(1), check), 0U);  // Nothing was asked.
  Hold hold;
  Future<Status> held = db_->run_on(1, &Hold::run, &hold);
  hold.has_begun.wait(false);
  session.get(data, "key", 1);
  EXPECT_EQ(session.wait_for(std::chrono::milliseconds(1), check), 0U);
  EXPECT_EQ(session.pending(), 1U);
  hold.may_end = true;
  hold.may_end.notify_one();
  EXPECT_EQ(session.wait(check), 1U);
  EXPECT_TRUE(held.get().is_ok());
}

TEST_F(SessionTest, WhatCannotBeReadSaysWhy) {
  open();
  const Family data = family("data");
  const Family dropped = family("dropped");
  ASSERT_TRUE(db_->drop_family("dropped").get().has_value());
  std::map<std::uint64_t, Code> codes;
  const auto note = [&](std::uint64_t token, const Result<Bytes>& value) { codes[token] = value.error().code(); };
  Session session(*db_);
  session.get(Family(), "key", 1);
  session.get(data, std::string(2000, 'k'), 2);
  session.get(dropped, "key", 3);
  session.get(data, "key", 4);
  while (session.pending() > 0) session.wait(note);
  ASSERT_TRUE(db_->close().is_ok());
  session.get(data, "key", 5);
  while (session.pending() > 0) session.wait(note);
  EXPECT_EQ(codes, (std::map<std::uint64_t, Code>{{1, Code::kInvalidArgument},
                                                  {2, Code::kInvalidArgument},
                                                  {3, Code::kDropped},
                                                  {4, Code::kNotFound},
                                                  {5, Code::kClosed}}));
}

TEST_F(SessionTest, MayBeForgottenWithGetsOnTheirWay) {
  open();
  const Family data = family("data", {.placement = Placement::kHashed});
  ASSERT_TRUE(db_->put(data, "key", "value").get().is_ok());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 100; ++turn) {
        Session session(*db_, 8);
        for (std::uint64_t number = 0; number < 50; ++number) session.get(data, "key" + std::to_string(number), number);
        if (turn % 2 == 0) session.submit();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace penstock::apitest
