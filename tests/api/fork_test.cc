// Goal: in a child every call answers `forked`, nothing hangs or touches the parent's database, and what the child inherited
// may be destroyed there; the parent notices nothing. Method: children of fork() that answer by their exit status.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <memory>

#include "penstock/session.h"
#include "tests/api/test_database.h"

#if defined(__SANITIZE_THREAD__)
#define PENSTOCK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PENSTOCK_TSAN 1
#endif
#endif

namespace penstock::apitest {
namespace {

using namespace std::chrono_literals;

class AfterFork : public DatabaseTest {
 protected:
  /// Exit status of a child that runs `work`; one that hangs is ended by a signal.
  static int status_of_child(const std::function<bool()>& work) {
    constexpr unsigned kSecondsMax = 120;
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(kSecondsMax);
      ::_exit(work() ? 0 : 1);
    }
    int state = 0;
    if (child < 0 || ::waitpid(child, &state, 0) != child || !WIFEXITED(state)) {
      return -1;
    }
    return WEXITSTATUS(state);
  }
};

/// In a child GoogleTest cannot count failures.
bool is_forked(const char* call, Status status) {
  if (!status.is(Code::kForked)) {
    std::fprintf(stderr, "in the child %s answers %s\n", call, status.to_string().c_str());
  }
  return status.is(Code::kForked);
}
template <typename T>
bool is_forked(const char* call, const Result<T>& result) {
  return is_forked(call, result.has_value() ? Status::ok() : result.error());
}
template <typename T>
bool is_forked(const char* call, const Outcome<T>& outcome) {
  return is_forked(call, outcome.has_value() ? Status::ok() : outcome.error().status);
}

Task<Status> do_nothing(Shard&) { co_return Status::ok(); }

bool all_calls_answer_forked(Runtime& runtime, Database& db, const Family& family, const std::string& path) {
  Batch batch;
  batch.put(family, "k", "v").ignore("it is small");
  bool good = is_forked("put", db.put(family, "k", "v").get());
  good = is_forked("remove", db.remove(family, "k").get()) && good;
  good = is_forked("get", db.get(family, "k").get()) && good;
  good = is_forked("contains", db.contains(family, "k").get()) && good;
  good = is_forked("scan", db.scan(family, {}).get()) && good;
  good = is_forked("commit", db.commit(batch).get().status) && good;
  good = is_forked("try_commit", db.try_commit(batch).get().status) && good;
  good = is_forked("write_each", db.write_each(batch).get().status) && good;
  good = is_forked("flush", db.flush().get()) && good;
  good = is_forked("run_on", db.run_on(0, &do_nothing).get()) && good;
  good = is_forked("create_family", db.create_family("new").get()) && good;
  good = is_forked("open_family", db.open_family("data").get()) && good;
  good = is_forked("open_or_create_family", db.open_or_create_family("data").get()) && good;
  good = is_forked("drop_family", db.drop_family("data").get()) && good;
  good = is_forked("rename_family", db.rename_family("data", "other").get()) && good;
  good = is_forked("list_families", db.list_families().get()) && good;
  good = is_forked("metrics", db.metrics().get()) && good;
  good = is_forked("verify", db.verify().get()) && good;
  good = is_forked("close", db.close()) && good;
  good = is_forked("close_async", db.close_async().get()) && good;
  good = is_forked("open", Database::open(runtime, path)) && good;
  good = is_forked("open_async", Database::open_async(runtime, path).get()) && good;
  return is_forked("attach", runtime.attach()) && good;
}

TEST_F(AfterFork, EveryCallOfTheChildAnswersForkedAndTheParentGoesOn) {
  open();
  const Family data = family("data");
  ASSERT_TRUE(db_->put(data, "k", "of the parent").get().is_ok());
  EXPECT_EQ(status_of_child([&] { return all_calls_answer_forked(*runtime_, *db_, data, path()); }), 0);
  EXPECT_EQ(db_->get(data, "k").get().value(), "of the parent");
  EXPECT_TRUE(db_->put(data, "k", "still of the parent").get().is_ok());
  open();
  EXPECT_TRUE(db_->recovery().clean);
}

TEST_F(AfterFork, ACallThatTheParentMadeIsNotWaitedForInTheChild) {
  open();
  const Family data = family("data", {.shard = 0});
  Promise<Status> never;
  Future<Status> pending = never.future();
  Future<Status> done = db_->put(data, "k", "v");
  ASSERT_TRUE(done.wait_for(60s));
  EXPECT_EQ(status_of_child([&] { return is_forked("a pending future", pending.get()) && done.get().is_ok(); }), 0);
  EXPECT_TRUE(done.get().is_ok());
  never.fulfill(Status());
}

TEST_F(AfterFork, WhatTheChildInheritedMayBeDestroyedThere) {
  open();
  Family data = family("data");
  ASSERT_TRUE(db_->put(data, "k", "v").get().is_ok());
  Future<Status> pending = db_->put(data, "k2", "v");
  EXPECT_EQ(status_of_child([&] {
              pending = Future<Status>();
              data = Family();
              db_.reset();
              runtime_.reset();
              return true;
            }),
            0);
  EXPECT_TRUE(pending.get().is_ok());
  EXPECT_EQ(db_->get(data, "k2").get().value(), "v");
}

TEST_F(AfterFork, TheChildMayStartARuntimeOfItsOwn) {
#ifdef PENSTOCK_TSAN
  GTEST_SKIP() << "the thread sanitizer refuses threads in a child";
#endif
  open();
  EXPECT_EQ(status_of_child([&] {
              auto runtime = Runtime::start({.reactors = 1, .memory_limit = 64_MiB});
              if (!runtime.has_value()) {
                return false;
              }
              auto db = Database::open(*runtime, root_ + "/of-the-child", small_options());
              if (!db.has_value()) {
                return false;
              }
              const auto family = db->create_family("data").get();
              const bool put = family.has_value() && db->put(*family, "k", "v").get().is_ok();
              return put && db->get(*family, "k").get().value() == "v" && db->close().is_ok();
            }),
            0);
}

TEST_F(AfterFork, ASessionOfTheParentAnswersForkedInTheChildAndWaitsForNothing) {
  open();
  const Family data = family("data");
  ASSERT_TRUE(db_->put(data, "k", "v").get().is_ok());
  std::optional<Session> session(*db_);
  session->get(data, "k", 1);
  session->submit();
  EXPECT_EQ(status_of_child([&] {
              bool good = true;
              const auto check = [&good](std::uint64_t token, const Result<Bytes>& value) {
                good = good && token == 2 && is_forked("a get of a session", value);
              };
              session->get(data, "k", 2);
              // At most that of the child: what the parent asked may have been answered before the fork.
              session->wait([](std::uint64_t, const Result<Bytes>&) {});
              Session own(*db_);
              own.get(data, "k", 2);
              const std::uint64_t answers = own.wait(check);
              session.reset();
              return good && answers == 1;
            }),
            0);
  std::uint64_t answers = 0;
  while (session->pending() > 0) {
    answers += session->wait([](std::uint64_t, const Result<Bytes>& value) { EXPECT_EQ(value.value(), "v"); });
  }
  EXPECT_EQ(answers, 1U);
}

class AfterForkOfADonatedThread : public AfterFork {
 protected:
  void SetUp() override {
    AfterFork::SetUp();
    auto runtime = Runtime::start({.reactors = 1, .memory_limit = 64_MiB, .threads = ReactorThreads::kDonated});
    ASSERT_TRUE(runtime.has_value());
    donated_.emplace(std::move(*runtime));
    auto reactor = donated_->attach();
    ASSERT_TRUE(reactor.has_value()) << reactor.error().text;
    reactor_.emplace(std::move(*reactor));
    auto db = reactor_->wait(Database::open_async(*donated_, path(), small_options()));
    ASSERT_TRUE(db.has_value()) << db.error().text;
    db_.emplace(std::move(*db));
  }
  void TearDown() override {
    db_.reset();
    reactor_.reset();
    donated_.reset();
    AfterFork::TearDown();
  }

  std::optional<Runtime> donated_;
  std::optional<AttachedReactor> reactor_;
};

TEST_F(AfterForkOfADonatedThread, PollingAnswersForkedInTheChildAndTheParentGoesOn) {
  auto data = reactor_->wait(db_->create_family("data"));
  ASSERT_TRUE(data.has_value());
  Future<Status> pending = db_->put(*data, "k", "v");
  EXPECT_EQ(status_of_child([&] {
              const bool calls = all_calls_answer_forked(*donated_, *db_, *data, path());
              const bool waits = is_forked("wait", reactor_->wait(std::move(pending)));
              return is_forked("poll", reactor_->poll()) && is_forked("detach", reactor_->detach()) && calls && waits;
            }),
            0);
  EXPECT_TRUE(reactor_->wait(std::move(pending)).is_ok());
  EXPECT_EQ(reactor_->wait(db_->get(*data, "k")).value(), "v");
}

TEST_F(AfterForkOfADonatedThread, TheChildsThreadIsFreeForARuntimeOfItsOwn) {
  EXPECT_EQ(status_of_child([&] {
              db_.reset();
              reactor_.reset();
              donated_.reset();
              auto runtime = Runtime::start({.reactors = 1, .memory_limit = 64_MiB, .threads = ReactorThreads::kDonated});
              auto reactor = runtime->attach();
              if (!reactor.has_value()) {
                return false;
              }
              auto db = reactor->wait(Database::open_async(*runtime, root_ + "/of-the-child", small_options()));
              return db.has_value() && reactor->wait(db->close_async()).is_ok();
            }),
            0);
}

}  // namespace
}  // namespace penstock::apitest
