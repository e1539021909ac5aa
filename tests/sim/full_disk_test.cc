// Goal: a full disk and a disk that fails are survived with the truth: what was acknowledged is there after the next opening,
// what was refused is not, reads go on, and an engine that ran out of space writes again as soon as there is some. Method: the
// simulated disk with a capacity, and with planned failures of single operations; a model of what was acknowledged.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "base/random.h"
#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

using reactor::SimDisk;
using reactor::SimEvent;
using reactor::SimFault;

std::string value_of(std::uint64_t index, std::size_t bytes) {
  std::string text = "value " + std::to_string(index) + " ";
  base::Random random(index);
  while (text.size() < bytes) {
    text += static_cast<char>('a' + random.below(26));
  }
  return text;
}

class FailingDisk : public ::testing::Test {
 protected:
  void boot(const SimDatabaseOptions& options = {}) {
    db_.emplace(disk_, options);
    const Outcome<bool> opened = db_->open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    left_ = make("left", {.shard = 0});
    right_ = make("right", {.shard = 1});
  }
  void TearDown() override { db_.reset(); }

  Family make(const std::string& name, const FamilyOptions& options) {
    const Outcome<Family> made = db_->family(name, options);
    EXPECT_TRUE(made.has_value()) << made.error().text;
    return made.has_value() ? *made : Family();
  }

  /// Writes and notes what the answer promises.
  Status put(const Family& family, const std::string& key, const std::string& value) {
    const Status status = db_->put(family, key, value);
    if (status.is_ok()) {
      model_[std::string(family.name())][key] = value;
    }
    return status;
  }
  Status remove(const Family& family, const std::string& key) {
    const Status status = db_->remove(family, key);
    if (status.is_ok()) {
      model_[std::string(family.name())].erase(key);
    }
    return status;
  }

  /// The family holds exactly what was acknowledged.
  void expect_model(const Family& family, const std::string& when) {
    const ShardRows found = db_->scan(family, family.shard_of({}));
    EXPECT_TRUE(found.status.is_ok()) << when << ": " << found.status.to_string();
    const Rows& wanted = model_[std::string(family.name())];
    EXPECT_EQ(found.rows.size(), wanted.size()) << when;
    for (const auto& [key, value] : wanted) {
      const auto place = found.rows.find(key);
      ASSERT_TRUE(place != found.rows.end()) << when << ": " << key << " is missing";
      ASSERT_TRUE(place->second == value) << when << ": " << key << " has another value";
    }
    for (const auto& [key, value] : found.rows) {
      ASSERT_TRUE(wanted.contains(key)) << when << ": " << key << " should not be there";
    }
  }

  /// Leaves a closed database, whose left shard has 200 keys and one bad page.
  void damage_the_page_of_key100() {
    boot();
    for (std::uint64_t index = 0; index < 200; ++index) {
      ASSERT_TRUE(put(left_, "key" + std::to_string(index), value_of(index, 500)).is_ok());
    }
    ASSERT_TRUE(db_->flush(0).is_ok());
    ASSERT_TRUE(db_->close().is_ok());
    db_.reset();
    const std::string path = "/db/shard-0/pages-1";
    const Result<std::vector<std::byte>> read = disk_.read_all(path);
    ASSERT_TRUE(read.has_value());
    const std::vector<std::byte>& content = *read;
    const std::string text(reinterpret_cast<const char*>(content.data()), content.size());
    const std::size_t place = text.find("value 100 ");
    ASSERT_NE(place, std::string::npos);
    ASSERT_TRUE(disk_.flip_byte(path, place, 1).is_ok());
  }

  void reopen_and_check(const std::string& when) {
    db_.reset();
    boot();
    expect_model(left_, when);
    expect_model(right_, when);
    const Outcome<VerifyReport> report = db_->verify();
    EXPECT_TRUE(report.has_value()) << when << ": " << report.error().text;
  }

  /// Fills the family until the disk is full; the number of keys "full<i>" written. The answer is no_space, nothing else.
  std::uint64_t fill(const Family& family) {
    constexpr std::uint64_t kPutsMax = 20'000;
    for (std::uint64_t index = 0; index < kPutsMax; ++index) {
      const Status status = put(family, "full" + std::to_string(index), value_of(index, 8'000));
      if (!status.is_ok()) {
        EXPECT_TRUE(status.is(Code::kNoSpace)) << status.to_string();
        return index;
      }
    }
    ADD_FAILURE() << "the disk is never full";
    return kPutsMax;
  }

  /// Tries again while the engine flushes and frees; ok, or the last answer.
  template <typename Call>
  Status retry(Call call) {
    Status status;
    for (int round = 0; round < 100; ++round) {
      status = call();
      if (status.is_ok()) {
        return status;
      }
      db_->run_for_ms(100);
    }
    return status;
  }

  void limit_disk(std::uint64_t free_bytes) { disk_.set_capacity(disk_.used_bytes() + free_bytes); }

  SimDisk disk_{5};
  std::optional<SimDatabase> db_;
  Family left_;
  Family right_;
  std::map<std::string, Rows> model_;
};

// --- No space ---

TEST_F(FailingDisk, WhenFullWritesEndNoSpaceReadsGoOnAndNothingAcknowledgedIsLost) {
  boot();
  limit_disk(10_MiB);
  const std::uint64_t written = fill(left_);
  ASSERT_GT(written, 100U);
  expect_model(left_, "full");
  EXPECT_EQ(*db_->get(left_, "full0"), value_of(0, 8'000));
  EXPECT_EQ(db_->get(left_, "full" + std::to_string(written)).error().code(), Code::kNotFound);  // Refused: not applied.
  EXPECT_EQ(db_->metrics().poisoned_logs, 0U);
  EXPECT_TRUE(db_->close().is_ok());
  disk_.set_capacity(~0ULL);
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, WritesResumeWithoutReopeningOnceThereIsSpace) {
  boot();
  limit_disk(10_MiB);
  const std::uint64_t written = fill(left_);
  disk_.set_capacity(disk_.used_bytes() + 50_MiB);
  const Status resumed = retry([this] { return put(left_, "resumed", "yes"); });
  EXPECT_TRUE(resumed.is_ok()) << resumed.to_string();
  for (std::uint64_t index = 0; index < written; ++index) {
    const Status status = put(left_, "more" + std::to_string(index), value_of(index, 8'000));
    ASSERT_TRUE(status.is_ok()) << index << " of " << written << ": " << status.to_string();
  }
  expect_model(left_, "resumed");
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, DeletesWorkOnAFullDiskAndMakeRoomForWrites) {
  boot();
  limit_disk(16_MiB);
  const std::uint64_t written = fill(left_);
  std::uint64_t removed = 0;
  for (std::uint64_t index = 0; index < written; ++index) {
    const Status status = retry([this, index] { return remove(left_, "full" + std::to_string(index)); });
    ASSERT_TRUE(status.is_ok()) << "after " << removed << " of " << written << " deletes: " << status.to_string();
    ++removed;
  }
  const Status resumed = retry([this] { return put(left_, "resumed", value_of(1, 8'000)); });
  EXPECT_TRUE(resumed.is_ok()) << resumed.to_string();
  for (std::uint64_t index = 0; index < written / 4; ++index) {
    const Status status = retry([this, index] { return put(left_, "again" + std::to_string(index), value_of(index, 8'000)); });
    ASSERT_TRUE(status.is_ok()) << index << " of " << written / 4 << ": " << status.to_string();
  }
  expect_model(left_, "after deleting and writing");
  disk_.set_capacity(~0ULL);
  reopen_and_check("after reopening");
}

// Small values under scattered keys: the flushes make runs, and a delete frees nothing before it is carried into the base.
TEST_F(FailingDisk, DeletesInRunsMakeRoomOnAFullDiskToo) {
  constexpr std::uint64_t kBatchOperations = 100;
  boot({.gather_from_bytes = 0});
  limit_disk(40_MiB);
  Rows& model = model_["left"];
  base::Random random(11);
  const auto write = [&](bool is_put) {
    Batch batch;
    Rows puts;
    for (std::uint64_t index = 0; index < kBatchOperations; ++index) {
      if (is_put) {
        const std::string key = std::to_string(random.next());
        puts[key] = value_of(index, 150);
        EXPECT_TRUE(batch.put(left_, key, puts[key]).is_ok());
      } else if (index < model.size()) {
        const auto place = std::next(model.begin(), static_cast<std::ptrdiff_t>(index));
        puts[place->first];
        EXPECT_TRUE(batch.remove(left_, place->first).is_ok());
      }
    }
    const Status status = db_->commit(0, batch, Durability::kSync);
    for (auto& [key, value] : puts) {
      if (status.is_ok() && is_put) model[key] = value;
      if (status.is_ok() && !is_put) model.erase(key);
    }
    return status;
  };
  Status full;
  while (full.is_ok() && model.size() < 1'000'000) full = write(true);
  ASSERT_TRUE(full.is(Code::kNoSpace)) << full.to_string();
  const std::size_t most = model.size();
  EXPECT_GT(db_->metrics().runs_made, 0U);
  expect_model(left_, "full");
  while (model.size() > most / 4) {
    const Status removed = retry([&] { return write(false); });
    ASSERT_TRUE(removed.is_ok()) << "with " << model.size() << " of " << most << " left: " << removed.to_string();
  }
  expect_model(left_, "after deleting");
  while (model.size() < most / 2) {
    const Status written = retry([&] { return write(true); });
    ASSERT_TRUE(written.is_ok()) << "with " << model.size() << " of " << most << ": " << written.to_string();
  }
  expect_model(left_, "after writing again");
  disk_.set_capacity(~0ULL);
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, AFullDiskOpensAgainWithoutMoreSpaceOrSaysNoSpace) {
  boot();
  limit_disk(10_MiB);
  fill(left_);
  db_->kill(9);
  db_.reset();
  {
    SimDatabase again(disk_);
    const Outcome<bool> opened = again.open();
    if (!opened.has_value()) {
      EXPECT_TRUE(opened.error().status.is(Code::kNoSpace)) << opened.error().text;
      EXPECT_NE(opened.error().text.find(SimDatabase::kDirectory), std::string::npos) << opened.error().text;
    }
  }
  disk_.set_capacity(~0ULL);
  reopen_and_check("after reopening with space");
}

TEST_F(FailingDisk, CreatingOnAFullDiskSaysNoSpaceAndIsDoneAgainLater) {
  disk_.set_capacity(200'000);
  {
    SimDatabase full(disk_);
    const Outcome<bool> opened = full.open();
    ASSERT_FALSE(opened.has_value());
    EXPECT_TRUE(opened.error().status.is(Code::kNoSpace)) << opened.error().text;
    EXPECT_NE(opened.error().text.find("/db/"), std::string::npos) << opened.error().text;
  }
  disk_.set_capacity(~0ULL);
  boot();
  EXPECT_TRUE(put(left_, "key", "value").is_ok());
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, AFullDiskBeforeTheFirstFlushOfAnOpeningIsSurvived) {
  boot();
  disk_.faults().fail_from(SimEvent::kCreate, 1, SimFault{.result = -ENOSPC}, "/shard-0/");  // No page file.
  ASSERT_TRUE(put(left_, "key", "value").is_ok());
  EXPECT_TRUE(db_->flush(0).is(Code::kNoSpace));
  db_->run_for_ms(500);
  EXPECT_TRUE(put(left_, "key", "other").is_ok());
  disk_.faults().clear();
  const Status flushed = retry([this] { return db_->flush(0); });
  EXPECT_TRUE(flushed.is_ok()) << flushed.to_string();
  reopen_and_check("after reopening");
}

// --- The log fails ---

struct LogFault {
  const char* name;
  SimEvent event;
  reactor::SimSyncLoss loss;
};

class FailingLog : public FailingDisk, public ::testing::WithParamInterface<LogFault> {
 protected:
  std::uint64_t changes() const {
    return disk_.faults().events_of(SimEvent::kWrite) + disk_.faults().events_of(SimEvent::kSync);
  }
};

TEST_P(FailingLog, PoisonsItsReactorAloneAndTheUnknownCommitIsWholeOrAbsentLater) {
  boot();
  ASSERT_TRUE(put(left_, "before", "1").is_ok());
  ASSERT_TRUE(put(right_, "before", "1").is_ok());
  disk_.faults().fail_nth(GetParam().event, 1, SimFault{.result = -EIO, .sync_loss = GetParam().loss}, "/log/");
  EXPECT_EQ(put(left_, "unknown", "2").code(), Code::kOutcomeUnknown);
  ASSERT_EQ(disk_.faults().struck(), 1U);
  EXPECT_EQ(put(left_, "after", "3").code(), Code::kPoisoned);
  EXPECT_EQ(remove(left_, "before").code(), Code::kPoisoned);
  EXPECT_EQ(db_->flush(0).code(), Code::kPoisoned);
  EXPECT_EQ(*db_->get(left_, "before"), "1");
  EXPECT_EQ(db_->get(left_, "unknown").error().code(), Code::kNotFound);  // Never published.
  EXPECT_TRUE(put(right_, "other reactor", "4").is_ok());
  EXPECT_TRUE(db_->flush(1).is_ok());
  EXPECT_EQ(db_->metrics().poisoned_logs, 1U);
  db_->run_for_ms(200);  // The other log's marker is out.
  const std::uint64_t before_close = changes();
  const Status closed = db_->close();
  EXPECT_TRUE(closed.is(Code::kPoisoned)) << closed.to_string();
  EXPECT_EQ(changes(), before_close) << "close writes after poison";
  db_.reset();
  disk_.cut_power(21);
  boot();
  const Result<std::string> unknown = db_->get(left_, "unknown");
  if (unknown.has_value()) {
    EXPECT_EQ(*unknown, "2");
    model_["left"]["unknown"] = "2";
  }
  expect_model(left_, "after reopening");
  expect_model(right_, "after reopening");
  EXPECT_TRUE(put(left_, "after", "5").is_ok());
  reopen_and_check("after one more opening");
}

INSTANTIATE_TEST_SUITE_P(Faults, FailingLog,
                         ::testing::Values(LogFault{"Write", SimEvent::kWrite, reactor::SimSyncLoss::kKept},
                                           LogFault{"Sync", SimEvent::kSync, reactor::SimSyncLoss::kKept},
                                           LogFault{"SyncThatLosesData", SimEvent::kSync, reactor::SimSyncLoss::kLost}),
                         [](const auto& each) { return each.param.name; });

TEST_F(FailingDisk, ClientsThatWaitTogetherAllLearnThatTheLogFailed) {
  boot();
  struct Client {
    static Task<Status> put(detail::ShardEngine* engine, Family family, std::string key) {
      Shard shard(*engine);
      const CommitOptions options;
      co_return co_await shard.put(family, key, key, options);
    }
  };
  ASSERT_TRUE(put(left_, "before", "1").is_ok());
  disk_.faults().fail_nth(SimEvent::kSync, 2, SimFault{.result = -EIO}, "/log/");
  std::vector<reactor::SimJob<Status>> jobs;
  for (int index = 0; index < 40; ++index) {
    jobs.push_back(db_->world().start(0, &Client::put, &db_->core().shard(0), left_, "key" + std::to_string(index)));
    if (index == 9) {  // These are in the group that is synced; the others wait for it.
      ASSERT_TRUE(db_->world().run_until([&jobs] { return jobs.front().is_done(); }));
    }
  }
  ASSERT_TRUE(db_->world().run_until([&jobs] { return std::ranges::all_of(jobs, &reactor::SimJob<Status>::is_done); }));
  std::uint32_t unknown = 0;
  std::map<std::string, Status> answers;
  for (std::size_t index = 0; index < jobs.size(); ++index) {
    const std::string key = "key" + std::to_string(index);
    const Status status = jobs[index].take();
    answers.emplace(key, status);
    unknown += status.is(Code::kOutcomeUnknown) ? 1U : 0U;
    EXPECT_TRUE(status.is_ok() || status.is(Code::kOutcomeUnknown) || status.is(Code::kPoisoned)) << status.to_string();
    EXPECT_EQ(db_->get(left_, key).has_value(), status.is_ok()) << key;
  }
  EXPECT_GT(unknown, 0U);
  db_.reset();
  disk_.cut_power(3);
  boot();
  bool was_missing = false;
  for (int index = 0; index < 40; ++index) {  // In the order of submission: a prefix.
    const std::string key = "key" + std::to_string(index);
    const bool is_there = db_->get(left_, key).has_value();
    if (answers.at(key).is_ok()) {
      EXPECT_TRUE(is_there) << key << " was acknowledged";
    }
    if (answers.at(key).is(Code::kPoisoned)) {
      EXPECT_FALSE(is_there) << key << " was refused";
    }
    EXPECT_FALSE(is_there && was_missing) << key << " is there, one before it is not";
    was_missing = was_missing || !is_there;
  }
}

// --- Page files fail ---

TEST_F(FailingDisk, AFailedSyncOfAPageFilePoisonsTheLogOfItsReactor) {
  boot();
  ASSERT_TRUE(put(left_, "first", "1").is_ok());
  ASSERT_TRUE(db_->flush(0).is_ok());
  for (std::uint64_t index = 0; index < 50; ++index) {
    ASSERT_TRUE(put(left_, "key" + std::to_string(index), value_of(index, 500)).is_ok());
    ASSERT_TRUE(put(right_, "key" + std::to_string(index), value_of(index, 500)).is_ok());
  }
  disk_.faults().fail_nth(SimEvent::kSync, 1, SimFault{.result = -EIO, .sync_loss = reactor::SimSyncLoss::kLost},
                          "shard-0/pages-");
  EXPECT_EQ(db_->flush(0).code(), Code::kPoisoned);
  EXPECT_EQ(disk_.faults().struck(), 1U);
  EXPECT_EQ(put(left_, "after", "1").code(), Code::kPoisoned);
  EXPECT_EQ(*db_->get(left_, "key7"), value_of(7, 500));
  EXPECT_TRUE(put(right_, "after", "1").is_ok());
  EXPECT_TRUE(db_->flush(1).is_ok());
  EXPECT_TRUE(db_->close().is(Code::kPoisoned));
  db_.reset();
  disk_.cut_power(4);
  reopen_and_check("after reopening");
  EXPECT_TRUE(put(left_, "after", "1").is_ok());
  EXPECT_TRUE(db_->flush(0).is_ok());
  reopen_and_check("after a flush and reopening");
}

TEST_F(FailingDisk, AFailedWriteOfASuperblockPoisonsTheLogOfItsReactor) {
  boot();
  ASSERT_TRUE(put(left_, "key", "1").is_ok());
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = -EIO}, "shard-0/super");
  EXPECT_EQ(db_->flush(0).code(), Code::kPoisoned);
  EXPECT_EQ(put(left_, "after", "1").code(), Code::kPoisoned);
  EXPECT_TRUE(put(right_, "after", "1").is_ok());
  db_.reset();
  disk_.cut_power(5);
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, AFailedWriteOfAPageIsTriedElsewhereAndPoisonsNothing) {
  boot();
  for (std::uint64_t index = 0; index < 50; ++index) {
    ASSERT_TRUE(put(left_, "key" + std::to_string(index), value_of(index, 500)).is_ok());
  }
  disk_.faults().fail_nth(SimEvent::kWrite, 1, SimFault{.result = -EIO}, "shard-0/pages-");
  const Status first = db_->flush(0);
  EXPECT_TRUE(first.is_ok() || first.is(Code::kIoError)) << first.to_string();
  EXPECT_EQ(disk_.faults().struck(), 1U);
  const Status again = retry([this] { return db_->flush(0); });
  EXPECT_TRUE(again.is_ok()) << again.to_string();
  EXPECT_TRUE(put(left_, "after", "1").is_ok());
  expect_model(left_, "after the second flush");
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, PagesThatCannotBeReadStopTheirShardsFlushAndNothingElse) {
  boot();
  for (std::uint64_t index = 0; index < 200; ++index) {
    ASSERT_TRUE(put(left_, "key" + std::to_string(index), value_of(index, 500)).is_ok());
    ASSERT_TRUE(put(right_, "key" + std::to_string(index), value_of(index, 500)).is_ok());
  }
  ASSERT_TRUE(db_->flush(0).is_ok());
  ASSERT_TRUE(db_->flush(1).is_ok());
  db_.reset();
  boot();  // With an empty cache.
  db_->run_for_ms(500);
  disk_.faults().fail_from(SimEvent::kRead, 1, SimFault{.result = -EIO}, "shard-0/pages-");
  const Result<std::string> lost = db_->get(left_, "key100");
  ASSERT_FALSE(lost.has_value());
  EXPECT_TRUE(lost.error().is(Code::kIoError)) << lost.error().to_string();
  EXPECT_EQ(lost.error().error_number(), EIO);
  EXPECT_EQ(lost.error().file_kind(), FileKind::kPages) << lost.error().to_string();
  EXPECT_TRUE(put(left_, "key100", "new").is_ok());
  EXPECT_EQ(*db_->get(left_, "key100"), "new");  // From memory.
  const Status flushed = db_->flush(0);
  EXPECT_TRUE(flushed.is(Code::kIoError)) << flushed.to_string();
  EXPECT_TRUE(put(left_, "key101", "new").is_ok());
  expect_model(right_, "the other shard");
  EXPECT_TRUE(db_->flush(1).is_ok());
  EXPECT_EQ(db_->metrics().poisoned_logs, 0U);
  disk_.faults().clear();
  expect_model(left_, "once the disk reads again");
  const Status again = retry([this] { return db_->flush(0); });
  EXPECT_TRUE(again.is_ok()) << again.to_string();
  reopen_and_check("after reopening");
}

TEST_F(FailingDisk, APageThatIsCorruptStopsItsShardsFlushAndLosesNoCommit) {
  damage_the_page_of_key100();
  boot();
  const Result<std::string> lost = db_->get(left_, "key100");
  ASSERT_FALSE(lost.has_value());
  EXPECT_TRUE(lost.error().is(Code::kCorruption)) << lost.error().to_string();
  EXPECT_EQ(lost.error().file_kind(), FileKind::kPages);
  ASSERT_TRUE(db_->put(left_, "key100", "new").is_ok());
  ASSERT_TRUE(db_->put(left_, "zebra", "new").is_ok());
  const Status flushed = db_->flush(0);
  EXPECT_TRUE(flushed.is(Code::kCorruption)) << flushed.to_string();
  EXPECT_EQ(*db_->get(left_, "key100"), "new");
  EXPECT_TRUE(put(right_, "key", "other shard").is_ok());
  const Outcome<VerifyReport> report = db_->verify();
  ASSERT_FALSE(report.has_value());
  EXPECT_TRUE(report.error().status.is(Code::kCorruption)) << report.error().text;
  EXPECT_TRUE(db_->close().is_ok());
  db_.reset();
  boot();  // What could not be flushed is still in the log.
  EXPECT_EQ(*db_->get(left_, "key100"), "new");
  EXPECT_EQ(*db_->get(left_, "zebra"), "new");
  expect_model(right_, "the other shard");
}

// Both shards share one reactor's memory. The one that can never flush again must not keep the other from committing.
TEST_F(FailingDisk, AShardThatCannotFlushLeavesTheOthersTheirMemory) {
  damage_the_page_of_key100();
  boot({.reactors = 1});
  ASSERT_TRUE(db_->put(left_, "key100", "new").is_ok());
  EXPECT_TRUE(db_->flush(0).is(Code::kCorruption));
  Status refused;
  std::uint64_t accepted = 0;
  for (; accepted < 1000 && refused.is_ok(); ++accepted) {
    refused = db_->put(left_, "more" + std::to_string(accepted), std::string(20'000, 'm'), Durability::kBuffered);
  }
  EXPECT_TRUE(refused.is(Code::kCorruption)) << refused.to_string();
  EXPECT_GT(accepted, 10U) << "commits are refused when memory is short, not at once";
  for (std::uint64_t index = 0; index < 500; ++index) {  // 10 MB: more than all of the memory.
    ASSERT_TRUE(db_->put(right_, "key" + std::to_string(index), std::string(20'000, 'r'), Durability::kBuffered).is_ok())
        << index;
  }
  EXPECT_EQ(*db_->get(right_, "key77"), std::string(20'000, 'r'));
  EXPECT_EQ(*db_->get(left_, "key100"), "new");
}

}  // namespace
}  // namespace penstock::simtest
