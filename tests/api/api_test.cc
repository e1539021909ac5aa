// Goal: the public API does what its comments say, on real reactors and files.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using ApiTest = DatabaseTest;

TEST_F(ApiTest, WhatWasPutIsReadAndSurvivesReopening) {
  open();
  Family orders = family("orders");
  ASSERT_TRUE(db_->put(orders, "one", "1").get().is_ok());
  ASSERT_TRUE(db_->put(orders, "two", std::string(100'000, 'x')).get().is_ok());
  ASSERT_TRUE(db_->put(orders, "", "empty key").get().is_ok());
  ASSERT_TRUE(db_->put(orders, "gone", "soon").get().is_ok());
  ASSERT_TRUE(db_->remove(orders, "gone").get().is_ok());
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(db_->get(orders, "one").get().value(), "1");
    EXPECT_EQ(db_->get(orders, "two").get().value(), std::string(100'000, 'x'));
    EXPECT_EQ(db_->get(orders, "").get().value(), "empty key");
    EXPECT_EQ(db_->get(orders, "gone").get().error().code(), Code::kNotFound);
    EXPECT_TRUE(db_->contains(orders, "one").get().value());
    EXPECT_FALSE(db_->contains(orders, "gone").get().value());
    if (round == 0) {
      ASSERT_TRUE(db_->flush().get().is_ok());  // Round 1 reads the tree, round 2 after reopening.
    } else if (round == 1) {
      open();
      orders = family("orders");
      EXPECT_TRUE(db_->recovery().clean);
    }
  }
  const auto report = db_->verify().get();
  ASSERT_TRUE(report.has_value()) << report.error().text;
  EXPECT_GE(report->entries, 3U);
}

TEST_F(ApiTest, ABatchOverFamiliesOfOneShardIsAppliedInOrder) {
  open();
  const Family left = family("left", {.shard = 2});
  const Family right = family("right", {.shard = 2});
  Batch batch;
  ASSERT_TRUE(batch.put(left, "a", "1").is_ok());
  ASSERT_TRUE(batch.put(right, "b", "2").is_ok());
  ASSERT_TRUE(batch.put(left, "a", "3").is_ok());
  ASSERT_TRUE(batch.remove(right, "never there").is_ok());
  CommitResult result = db_->commit(std::move(batch)).get();
  ASSERT_TRUE(result.status.is_ok());
  EXPECT_EQ(result.last_sequence % 4, 0U);
  EXPECT_TRUE(result.batch.empty());
  EXPECT_EQ(db_->get(left, "a").get().value(), "3");
  EXPECT_EQ(db_->get(right, "b").get().value(), "2");
}

TEST_F(ApiTest, CommitOverSeveralShardsIsRefusedAndWriteEachTakesIt) {
  open();
  const Family spread = family("spread", {.placement = Placement::kHashed});
  Batch batch;
  for (int key = 0; key < 100; ++key) {
    ASSERT_TRUE(batch.put(spread, "key" + std::to_string(key), "v").is_ok());
  }
  ASSERT_GT(batch.shard_count(), 1U);
  EXPECT_EQ(db_->commit(batch).get().status.code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->get(spread, "key7").get().error().code(), Code::kNotFound);
  EXPECT_TRUE(db_->write_each(std::move(batch)).get().status.is_ok());
  EXPECT_EQ(db_->get(spread, "key7").get().value(), "v");
}

TEST_F(ApiTest, AScanMergesMemtablesTreeAndShardsInKeyOrder) {
  open();
  const Family spread = family("spread", {.placement = Placement::kHashed});
  std::map<std::string, std::string> model;
  for (int round = 0; round < 3; ++round) {
    Batch batch;
    for (int key = round; key < 900; key += 2 + round) {
      const std::string name = "key" + std::to_string(1000 + key);
      if (round == 2 && key % 3 == 0) {
        ASSERT_TRUE(batch.remove(spread, name).is_ok());
        model.erase(name);
      } else {
        model[name] = std::to_string(round);
        ASSERT_TRUE(batch.put(spread, name, model[name]).is_ok());
      }
    }
    ASSERT_TRUE(db_->write_each(std::move(batch)).get().status.is_ok());
    if (round < 2) {
      ASSERT_TRUE(db_->flush().get().is_ok());
    }
  }
  std::map<std::string, std::string> found;
  ScanOptions options;
  options.from = "key11";
  options.to = "key18";
  options.rows_max = 17;
  while (true) {
    const auto rows = db_->scan(spread, options).get();
    ASSERT_TRUE(rows.has_value());
    EXPECT_LE(rows->rows.size(), 17U);
    for (const Row& row : rows->rows) {
      EXPECT_TRUE(found.emplace(row.key, row.value).second);
    }
    if (!rows->next.has_value()) {
      break;
    }
    options.from = *rows->next;
  }
  const std::map<std::string, std::string> wanted(model.lower_bound("key11"), model.lower_bound("key18"));
  EXPECT_EQ(found, wanted);
}

TEST_F(ApiTest, AScanInSmallStepsOverUnevenShardsLeavesNoRowOut) {
  open();
  FamilyOptions by_prefix{.placement = Placement::kHashed};
  by_prefix.partition = {.kind = PartitionRule::Kind::kDelimiter, .delimiter = ':'};
  const Family spread = family("spread", by_prefix);
  std::map<std::string, std::string> model;
  Batch batch;
  for (const char* prefix : {"a", "b", "c", "d", "e", "f", "g", "h"}) {  // All keys of a prefix are on one shard.
    for (int key = 100; key < 120; ++key) {
      const std::string name = std::string(prefix) + ":" + std::to_string(key);
      model[name] = name;
      ASSERT_TRUE(batch.put(spread, name, name).is_ok());
    }
  }
  ASSERT_TRUE(db_->write_each(std::move(batch)).get().status.is_ok());
  for (const std::uint64_t bytes_max : {1U, 30U, 100U, 1000U}) {
    std::map<std::string, std::string> found;
    ScanOptions options;
    options.bytes_max = bytes_max;
    for (bool goes_on = true; goes_on;) {
      const auto rows = db_->scan(spread, options).get();
      ASSERT_TRUE(rows.has_value());
      for (const Row& row : rows->rows) {
        found.emplace(row.key, row.value);
      }
      goes_on = rows->next.has_value();
      options.from = rows->next.value_or("");
    }
    EXPECT_EQ(found, model) << bytes_max;
  }
}

TEST_F(ApiTest, FamiliesAreCreatedListedRenamedAndDroppedOverReopening) {
  open();
  const Family kept = family("kept");
  const Family dropped = family("dropped");
  EXPECT_EQ(db_->create_family("kept").get().error().status.code(), Code::kAlreadyExists);
  EXPECT_EQ(db_->open_family("absent").get().error().status.code(), Code::kNotFound);
  ASSERT_TRUE(db_->put(dropped, "key", "value").get().is_ok());
  ASSERT_TRUE(db_->put(kept, "key", "value").get().is_ok());
  ASSERT_TRUE(db_->flush().get().is_ok());
  ASSERT_TRUE(db_->drop_family("dropped").get().has_value());
  EXPECT_EQ(db_->put(dropped, "key", "late").get().code(), Code::kDropped);
  EXPECT_EQ(db_->get(dropped, "key").get().error().code(), Code::kDropped);
  ASSERT_TRUE(db_->rename_family("kept", "renamed").get().has_value());
  const Family again = family("dropped");
  EXPECT_NE(again.id(), dropped.id());
  EXPECT_EQ(db_->get(again, "key").get().error().code(), Code::kNotFound);
  const FamilyId kept_id = kept.id();
  open();
  const auto list = db_->list_families().get();
  ASSERT_TRUE(list.has_value());
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->at(0).name, "dropped");
  EXPECT_EQ(list->at(1).name, "renamed");
  EXPECT_EQ(list->at(1).id, kept_id);
  EXPECT_EQ(db_->get(family("renamed"), "key").get().value(), "value");
  EXPECT_TRUE(db_->verify().get().has_value());
}

TEST_F(ApiTest, EveryDurabilityIsReadBackAndSurvivesAClose) {
  open();
  const Family data = family("data");
  const auto durabilities = {Durability::kSync, Durability::kWritten, Durability::kBuffered, Durability::kUnlogged};
  const auto key_of = [](Durability durability) { return "key" + std::to_string(static_cast<int>(durability)); };
  const std::uint64_t logged_before = db_->metrics().get().value().log_appended_bytes;
  ASSERT_TRUE(db_->put(data, "unlogged", std::string(100'000, 'u'), {.durability = Durability::kUnlogged}).get().is_ok());
  EXPECT_LT(db_->metrics().get().value().log_appended_bytes - logged_before, 100'000U);
  for (const Durability durability : durabilities) {
    ASSERT_TRUE(db_->put(data, key_of(durability), "v", {.durability = durability}).get().is_ok());
    EXPECT_EQ(db_->get(data, key_of(durability)).get().value(), "v");
  }
  open();
  for (const Durability durability : durabilities) {
    EXPECT_EQ(db_->get(family("data"), key_of(durability)).get().value(), "v");
  }
  EXPECT_EQ(db_->get(family("data"), "unlogged").get().value().size(), 100'000U);
}

TEST_F(ApiTest, TheStagesOfCommitsAddUpToNoMoreThanTheTimeThatTheyTook) {
  open();
  const Family data = family("data");
  const auto start = std::chrono::steady_clock::now();
  const CommitStages before = db_->commit_stages().get().value();
  for (int at = 0; at < 20; ++at) {
    ASSERT_TRUE(db_->put(data, "key" + std::to_string(at), "value").get().is_ok());
  }
  const CommitStages stages = db_->commit_stages().get().value();
  const auto taken_ns = static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start).count());
  EXPECT_EQ(stages.apply.count - before.apply.count, 20U);  // Each waited for the one before: a group each.
  EXPECT_GE(stages.queue.count - before.queue.count, 20U);
  EXPECT_GE(stages.sync.count, 20U);
  EXPECT_LE(stages.apply.sum_ns, taken_ns);
  std::uint64_t in_buckets = 0;
  for (const StageTimes::Bucket& bucket : stages.sync.buckets) {
    EXPECT_LT(bucket.low_ns, bucket.end_ns);
    in_buckets += bucket.count;
  }
  EXPECT_EQ(in_buckets, stages.sync.count);
}

Task<Result<std::string>> move_value(Shard& shard, Family data, std::string from, std::string to) {
  Result<std::string> value = co_await shard.get(data, from);
  if (!value.has_value()) {
    co_return value;
  }
  Batch batch;
  batch.put(data, to, *value).ignore("checked by commit");
  batch.remove(data, from).ignore("checked by commit");
  if (const Status status = co_await shard.commit(batch); !status.is_ok()) {
    co_return std::unexpected(status);
  }
  co_return co_await shard.get(data, to);
}

TEST_F(ApiTest, CodeOnAShardReadsAndCommits) {
  open();
  const Family data = family("data", {.shard = 3});
  ASSERT_TRUE(db_->put(data, "a", "value").get().is_ok());
  const auto moved = db_->run_on(3, &move_value, data, std::string("a"), std::string("b")).get();
  ASSERT_TRUE(moved.has_value()) << moved.error().to_string();
  EXPECT_EQ(*moved, "value");
  EXPECT_EQ(db_->get(data, "a").get().error().code(), Code::kNotFound);
  EXPECT_EQ(db_->run_on(1, &move_value, data, std::string("b"), std::string("a")).get().error().code(), Code::kInvalidArgument);
}

Task<Status> blocking_call(Shard&, Database* db, Family data) { co_return db->put(data, "k", "v").get(); }

TEST_F(ApiTest, ABlockingCallOnAReactorSaysWouldBlock) {
  open();
  const Family data = family("data", {.shard = 0});
  EXPECT_EQ(db_->run_on(0, &blocking_call, &*db_, data).get().code(), Code::kWouldBlock);
}

TEST_F(ApiTest, ADatabaseOpensWithAnyNumberOfReactors) {
  std::map<std::string, std::string> model;
  for (const std::uint32_t reactors : {2U, 4U, 1U, 3U, 8U}) {
    db_.reset();
    auto runtime = Runtime::start({.reactors = reactors, .memory_limit = 64_MiB});
    ASSERT_TRUE(runtime.has_value());
    runtime_.emplace(std::move(*runtime));
    open();
    const Family spread = family("spread", {.placement = Placement::kHashed});
    for (const auto& [key, value] : model) {
      ASSERT_EQ(db_->get(spread, key).get().value(), value);
    }
    for (int key = 0; key < 40; ++key) {
      const std::string name = std::to_string(reactors) + "-" + std::to_string(key);
      model[name] = std::to_string(key);
      ASSERT_TRUE(db_->put(spread, name, model[name]).get().is_ok());
    }
  }
}

TEST_F(ApiTest, ManyThreadsWithManyCommitsInFlightAllArrive) {
  open();
  const Family spread = family("spread", {.placement = Placement::kHashed});
  constexpr int kThreads = 4;
  constexpr int kCommits = 2000;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<Future<Status>> window;
      for (int index = 0; index < kCommits; ++index) {
        window.push_back(db_->put(spread, std::to_string(thread) + "-" + std::to_string(index), std::to_string(index)));
        if (window.size() == 64) {
          for (Future<Status>& future : window) {
            failures += future.get().is_ok() ? 0 : 1;
          }
          window.clear();
        }
      }
      for (Future<Status>& future : window) {
        failures += future.get().is_ok() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures.load(), 0);
  for (int index = 0; index < kCommits; index += 97) {
    EXPECT_EQ(db_->get(spread, "3-" + std::to_string(index)).get().value(), std::to_string(index));
  }
  const Metrics metrics = db_->metrics().get().value();
  EXPECT_GE(metrics.commits, static_cast<std::uint64_t>(kThreads * kCommits));
  EXPECT_LT(metrics.log_groups, metrics.commits);  // They were grouped.
}

TEST_F(ApiTest, AMemtableOverItsLimitIsFlushedWhileWritesGoOn) {
  open();
  const Family data = family("data", {.shard = 1});
  std::string value(1000, 'v');
  for (int round = 0; round < 150; ++round) {  // 60 MB through 64 MiB of memory, 40 % of it memtables of two reactors.
    Batch batch;
    for (int key = 0; key < 400; ++key) {
      ASSERT_TRUE(batch.put(data, std::to_string(round * 400 + key), value).is_ok());
    }
    ASSERT_TRUE(db_->commit(std::move(batch)).get().status.is_ok());
  }
  const Metrics metrics = db_->metrics().get().value();
  EXPECT_GT(metrics.flushes, 0U);
  EXPECT_LT(metrics.memtable_bytes, 30_MiB);
  for (int key = 0; key < 60'000; key += 777) {
    EXPECT_EQ(db_->get(data, std::to_string(key)).get().value(), value);
  }
  EXPECT_TRUE(db_->verify().get().has_value());
}

TEST_F(ApiTest, AfterCloseEveryCallAnswersClosed) {
  open();
  const Family data = family("data");
  ASSERT_TRUE(db_->close().is_ok());
  EXPECT_EQ(db_->put(data, "k", "v").get().code(), Code::kClosed);
  EXPECT_EQ(db_->get(data, "k").get().error().code(), Code::kClosed);
  EXPECT_EQ(db_->flush().get().code(), Code::kClosed);
  EXPECT_EQ(db_->create_family("x").get().error().status.code(), Code::kClosed);
  EXPECT_TRUE(db_->close().is_ok());
}

TEST_F(ApiTest, SeveralDatabasesShareARuntime) {
  open();
  auto second = Database::open(*runtime_, root_ + "/second", small_options());
  ASSERT_TRUE(second.has_value()) << second.error().text;
  const Family here = family("data");
  const Family there = second->create_family("data").get().value();
  ASSERT_TRUE(db_->put(here, "k", "here").get().is_ok());
  ASSERT_TRUE(second->put(there, "k", "there").get().is_ok());
  EXPECT_EQ(db_->get(here, "k").get().value(), "here");
  EXPECT_EQ(second->get(there, "k").get().value(), "there");
}

}  // namespace
}  // namespace penstock::apitest
