// Goal: update, compare_and_set, put_if_absent and atomically change what a shard has in one step, whoever else writes,
// wherever the values lie, in the order of the calls. Method: real threads and pipelined calls; cold pages come from reopening,
// so that functions have to run again.
#include "penstock/atomic.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using Updated = Result<std::optional<std::string>>;

std::uint64_t number(std::optional<Bytes> value) { return value.has_value() ? std::stoull(std::string(*value)) : 0; }
std::optional<std::string> one_more(std::optional<Bytes> value) { return std::to_string(number(value) + 1); }

class AtomicTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    open();
    family_ = family("data", {.shard = 0});
  }
  /// With everything in trees, and no page of it in memory.
  void reopen_cold() {
    ASSERT_TRUE(db_->flush().get().is_ok());
    ASSERT_TRUE(db_->close().is_ok());
    open();
    family_ = family("data", {.shard = 0});
  }
  std::string get(Bytes key) {
    const Result<std::string> value = db_->get(family_, key).get();
    return value.has_value() ? *value : std::string(code_name(value.error().code()));
  }
  void put(Bytes key, Bytes value) { ASSERT_TRUE(db_->put(family_, key, value).get().is_ok()); }
  std::uint64_t commits() { return db_->metrics().get().value().commits; }

  Family family_;
};

TEST_F(AtomicTest, UpdatesOfManyThreadsAreEachCountedOnce) {
  constexpr int kThreads = 4;
  constexpr int kUpdates = 500;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this] {
      std::vector<Future<Updated>> answers;
      for (int update = 0; update < kUpdates; ++update) {
        answers.push_back(db_->update(family_, "count", &one_more));
      }
      for (Future<Updated>& answer : answers) {
        EXPECT_TRUE(answer.get().has_value());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(get("count"), std::to_string(kThreads * kUpdates));
}

TEST_F(AtomicTest, CompareAndSetByManyThreadsCountsEachSuccessOnce) {
  std::atomic<int> successes = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, &successes] {
      for (int round = 0; round < 100; ++round) {
        const Result<std::string> before = db_->get(family_, "count").get();
        const std::optional<Bytes> expected = before.has_value() ? std::optional<Bytes>(*before) : std::nullopt;
        const Status status = db_->compare_and_set(family_, "count", expected, one_more(expected)).get();
        ASSERT_TRUE(status.is_ok() || status.is(Code::kConflict)) << status.to_string();
        successes += status.is_ok() ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(get("count"), std::to_string(successes));
}

TEST_F(AtomicTest, UpdateAnswersTheValueThatTheKeyHasThen) {
  EXPECT_EQ(db_->update(family_, "k", [](std::optional<Bytes>) { return "new"; }).get().value(), "new");
  EXPECT_EQ(db_->update(family_, "k", [](std::optional<Bytes>) { return std::nullopt; }).get().value(), std::nullopt);
  EXPECT_EQ(get("k"), "not_found");
}

TEST_F(AtomicTest, UpdateToTheSameValueWritesNothing) {
  put("k", "v");
  const std::uint64_t before = commits();
  EXPECT_EQ(db_->update(family_, "k", [](std::optional<Bytes> value) { return std::string(*value); }).get().value(), "v");
  EXPECT_EQ(db_->update(family_, "absent", [](std::optional<Bytes>) { return std::nullopt; }).get().value(), std::nullopt);
  EXPECT_EQ(commits(), before);
}

TEST_F(AtomicTest, UpdateRunsItsFunctionAgainOnceThePageIsThere) {
  put("k", "41");
  reopen_cold();
  std::atomic<int> runs = 0;
  const Updated updated = db_->update(family_, "k",
                                      [&runs](std::optional<Bytes> value) {
                                        ++runs;
                                        return one_more(value);
                                      })
                              .get();
  EXPECT_EQ(updated.value(), "42");
  EXPECT_EQ(runs, 1) << "the run that misses ends before the user's function";
  std::atomic<int> atomic_runs = 0;
  reopen_cold();
  const Status status = db_->atomically(0,
                                        [&](AtomicView& view) {
                                          ++atomic_runs;
                                          const Result<Bytes> value = view.get(family_, "k");
                                          if (!value.has_value()) {
                                            return value.error();
                                          }
                                          return view.put(family_, "copy", *value);
                                        })
                            .get();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(atomic_runs, 2);
  EXPECT_EQ(get("copy"), "42");
}

TEST_F(AtomicTest, CallsOfOneThreadKeepTheirOrderWhileAPageIsRead) {
  put("k", "41");
  reopen_cold();
  Future<Updated> first = db_->update(family_, "k", &one_more);
  Future<Status> second = db_->put(family_, "k", "100");
  Future<Updated> third = db_->update(family_, "k", &one_more);
  Future<Status> fourth = db_->compare_and_set(family_, "k", "101", "200");
  Future<Status> fifth = db_->put_if_absent(family_, "k", "never");
  EXPECT_EQ(first.get().value(), "42");
  EXPECT_TRUE(second.get().is_ok());
  EXPECT_EQ(third.get().value(), "101");
  EXPECT_TRUE(fourth.get().is_ok());
  EXPECT_EQ(fifth.get().code(), Code::kAlreadyExists);
  EXPECT_EQ(get("k"), "200");
}

TEST_F(AtomicTest, ManyColdUpdatesReadTheirPagesSideBySide) {
  constexpr int kKeys = 3000;
  Batch batch;
  for (int key = 0; key < kKeys; ++key) {
    ASSERT_TRUE(batch.put(family_, std::to_string(key), std::to_string(key) + std::string(100, ' ')).is_ok());
  }
  ASSERT_TRUE(db_->commit(std::move(batch)).get().status.is_ok());
  reopen_cold();
  std::vector<Future<Updated>> answers;
  for (int key = 0; key < kKeys; ++key) {
    answers.push_back(db_->update(family_, std::to_string(key * 7 % kKeys), &one_more));
  }
  for (int key = 0; key < kKeys; ++key) {
    ASSERT_EQ(answers[static_cast<std::size_t>(key)].get().value(), std::to_string(key * 7 % kKeys + 1));
  }
}

TEST_F(AtomicTest, CompareAndSetTellsAbsentFromEmpty) {
  EXPECT_EQ(db_->compare_and_set(family_, "k", "", "1").get().code(), Code::kConflict);
  EXPECT_TRUE(db_->compare_and_set(family_, "k", std::nullopt, "").get().is_ok());
  EXPECT_EQ(db_->compare_and_set(family_, "k", std::nullopt, "1").get().code(), Code::kConflict);
  EXPECT_TRUE(db_->compare_and_set(family_, "k", "", "1").get().is_ok());
  EXPECT_EQ(get("k"), "1");
  EXPECT_TRUE(db_->compare_and_set(family_, "k", "1", std::nullopt).get().is_ok());
  EXPECT_EQ(get("k"), "not_found");
}

TEST_F(AtomicTest, PutIfAbsentPutsOnce) {
  EXPECT_TRUE(db_->put_if_absent(family_, "k", "1").get().is_ok());
  EXPECT_EQ(db_->put_if_absent(family_, "k", "2").get().code(), Code::kAlreadyExists);
  EXPECT_EQ(get("k"), "1");
}

TEST_F(AtomicTest, AtomicallySeesItsOwnChangesAndAppliesThemTogether) {
  put("gone", "x");
  const Status status =
      db_->atomically(0,
                      [this](AtomicView& view) {
                        PENSTOCK_TRY(view.put(family_, "a", "1"));
                        PENSTOCK_TRY(view.put(family_, "b", std::string(view.get(family_, "a").value()) + "2"));
                        PENSTOCK_TRY(view.remove(family_, "gone"));
                        PENSTOCK_TRY(view.put(family_, "a", "3"));
                        const bool is_right = view.get(family_, "a").value() == "3" && view.get(family_, "b").value() == "12" &&
                                              !view.contains(family_, "gone").value();
                        return is_right ? Status::ok() : Status(Code::kCorruption);
                      })
          .get();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(get("a") + get("b") + get("gone"), "312not_found");
}

TEST_F(AtomicTest, AtomicallyAppliesNothingOfAFunctionThatRefuses) {
  const std::uint64_t before = commits();
  const Status status = db_->atomically(0,
                                        [this](AtomicView& view) {
                                          PENSTOCK_TRY(view.put(family_, "a", "1"));
                                          return Status(Code::kConflict);
                                        })
                            .get();
  EXPECT_EQ(status.code(), Code::kConflict);
  EXPECT_EQ(get("a"), "not_found");
  EXPECT_EQ(commits(), before);
}

TEST_F(AtomicTest, AtomicallyEndsWithTheFirstErrorOfItsViewWhateverTheFunctionReturns) {
  const Family elsewhere = family("elsewhere", {.shard = 1});
  const Status status = db_->atomically(0,
                                        [&](AtomicView& view) {
                                          PENSTOCK_TRY(view.put(family_, "a", "1"));
                                          view.put(elsewhere, "a", "1").ignore("the test is that it is not");
                                          return Status::ok();
                                        })
                            .get();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(get("a"), "not_found");
  ASSERT_TRUE(db_->drop_family("elsewhere").get().has_value());
  EXPECT_EQ(db_->atomically(1, [&](AtomicView& view) { return view.get(elsewhere, "a").error(); }).get().code(),
            Code::kDropped);
  EXPECT_EQ(db_->put_if_absent(elsewhere, "a", "1").get().code(), Code::kDropped);
}

TEST_F(AtomicTest, TransfersByManyThreadsOverColdPagesKeepTheSum) {
  constexpr std::uint64_t kAccounts = 400;
  Batch batch;
  for (std::uint64_t account = 0; account < kAccounts; ++account) {
    ASSERT_TRUE(batch.put(family_, std::to_string(account), "1000" + std::string(500, ' ')).is_ok());
  }
  ASSERT_TRUE(db_->commit(std::move(batch)).get().status.is_ok());
  reopen_cold();
  const auto transfer = [this](std::string from, std::string to) {
    return [this, from = std::move(from), to = std::move(to)](AtomicView& view) {
      const Result<Bytes> left = view.get(family_, from);
      const Result<Bytes> right = view.get(family_, to);
      if (!left.has_value() || !right.has_value()) {
        return left.has_value() ? right.error() : left.error();
      }
      const std::uint64_t had = number(*left);
      const std::uint64_t has = number(*right);
      PENSTOCK_TRY(view.put(family_, from, std::to_string(had - 1)));
      return view.put(family_, to, std::to_string(has + 1));
    };
  };
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread, &transfer] {
      std::vector<Future<Status>> answers;
      for (std::uint64_t round = 0; round < 400; ++round) {
        const std::uint64_t from = (round * 13 + thread * 101) % kAccounts;
        const std::uint64_t to = (from + 1 + round % (kAccounts - 1)) % kAccounts;
        answers.push_back(db_->atomically(0, transfer(std::to_string(from), std::to_string(to))));
      }
      for (Future<Status>& answer : answers) {
        EXPECT_TRUE(answer.get().is_ok());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::uint64_t sum = 0;
  const ScanResult rows = db_->scan(family_, {}).get().value();
  for (const Row& row : rows.rows) {
    sum += number(row.value);
  }
  EXPECT_EQ(rows.rows.size(), kAccounts);
  EXPECT_EQ(sum, kAccounts * 1000);
}

TEST_F(AtomicTest, LargeValuesAreReadAndWrittenInOneStepToo) {
  const auto longer = [](std::optional<Bytes> value) { return std::string(value.value_or("")) + std::string(70'000, 'x'); };
  std::vector<Future<Updated>> answers;
  for (int round = 0; round < 6; ++round) {
    answers.push_back(db_->update(family_, "large", longer));
    answers.push_back(db_->update(family_, "small", &one_more));
  }
  for (int round = 0; round < 6; ++round) {
    EXPECT_EQ(answers[static_cast<std::size_t>(2 * round)].get().value()->size(), 70'000U * static_cast<unsigned>(round + 1));
    EXPECT_EQ(answers[static_cast<std::size_t>(2 * round + 1)].get().value(), std::to_string(round + 1));
  }
  reopen_cold();
  const std::string before = get("large");
  EXPECT_EQ(before.size(), 420'000U);
  EXPECT_EQ(db_->put_if_absent(family_, "large", "x").get().code(), Code::kAlreadyExists);
  EXPECT_EQ(db_->compare_and_set(family_, "large", before.substr(1), "x").get().code(), Code::kConflict);
  EXPECT_TRUE(db_->compare_and_set(family_, "large", before, before + "y").get().is_ok());
  EXPECT_EQ(get("large").size(), before.size() + 1);
  ASSERT_TRUE(db_->flush().get().is_ok());
  EXPECT_TRUE(db_->verify().get().has_value());
}

TEST_F(AtomicTest, CallsOnTheirWayAtTheCloseAreAnsweredAndTheRestIsClosed) {
  for (int key = 0; key < 200; ++key) {
    put(std::to_string(key), "1");
  }
  reopen_cold();
  std::vector<Future<Updated>> answers;
  for (int key = 0; key < 200; ++key) {
    answers.push_back(db_->update(family_, std::to_string(key), &one_more));
  }
  ASSERT_TRUE(db_->close().is_ok());
  for (Future<Updated>& answer : answers) {
    const Updated updated = answer.get();
    EXPECT_TRUE(updated.has_value() || updated.error().is(Code::kClosed));
  }
  EXPECT_EQ(db_->update(family_, "k", &one_more).get().error().code(), Code::kClosed);
  EXPECT_EQ(db_->atomically(0, [](AtomicView&) { return Status::ok(); }).get().code(), Code::kClosed);
}

TEST_F(AtomicTest, RefusesWhatIsNoKeyOrShard) {
  const std::string long_key(kKeyBytesMax + 1, 'k');
  EXPECT_EQ(db_->update(family_, long_key, &one_more).get().error().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->compare_and_set(Family(), "k", std::nullopt, "v").get().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->put_if_absent(family_, long_key, "v").get().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->atomically(9, [](AtomicView&) { return Status::ok(); }).get().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->put_if_absent(family_, "k", std::string(kBatchBytesMax, 'v')).get().code(), Code::kTooLarge);
}

Task<Status> work_on_shard(Shard& shard, Family family) {
  for (int round = 0; round < 3; ++round) {
    const Updated updated = co_await shard.update(family, "count", &one_more);
    if (!updated.has_value() || *updated != std::to_string(round + 1)) {
      co_return Status(Code::kCorruption);
    }
  }
  PENSTOCK_CO_TRY(co_await shard.compare_and_set(family, "count", "3", "4"));
  PENSTOCK_CO_TRY(co_await shard.put_if_absent(family, "other", "1"));
  const AtomicFunction swap = [&family](AtomicView& view) {
    const std::string count(view.get(family, "count").value());
    PENSTOCK_TRY(view.put(family, "count", view.get(family, "other").value()));
    return view.put(family, "other", count);
  };
  PENSTOCK_CO_TRY(co_await shard.atomically(swap));
  co_return co_await shard.compare_and_set(family, "other", "5", "6");
}

TEST_F(AtomicTest, DoesTheSameOnAShard) {
  EXPECT_EQ(db_->run_on(0, &work_on_shard, family_).get().code(), Code::kConflict);
  EXPECT_EQ(get("count") + get("other"), "14");
}

}  // namespace
}  // namespace penstock::apitest
