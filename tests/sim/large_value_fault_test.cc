// Goal: what goes wrong while a large value is written before its record ends that commit with the right answer, and costs the
// shard no more than it must: a failed write nothing, a failed sync the log, a full disk nothing once there is room. Method:
// faults at exact points of the simulated disk, then reopening.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <string>

#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

constexpr const char* kPageFiles = "/pages-";

class LargeValueFault : public testing::Test {
 protected:
  void open(std::uint64_t capacity_bytes = ~0ULL) {
    disk_.emplace(5, reactor::SimDiskOptions{.capacity_bytes = capacity_bytes});
    boot();
    data_ = *db_->family("data", {.shard = 0});
    ASSERT_TRUE(db_->put(data_, "before", large('b')).is_ok());
  }
  void boot() {
    db_.emplace(*disk_, SimDatabaseOptions{.shards = 2, .reactors = 1});
    const Outcome<bool> opened = db_->open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
  }
  void kill_and_reopen() {
    db_->kill(3);
    db_.reset();
    boot();
    data_ = *db_->open_family("data");
  }
  static std::string large(char letter, std::size_t bytes = 200'000) { return std::string(bytes, letter); }
  void expect(const std::string& key, const std::string& value) {
    const Result<std::string> found = db_->get(data_, key);
    ASSERT_TRUE(found.has_value()) << key << ": " << found.error().to_string();
    EXPECT_TRUE(*found == value) << key;
  }

  std::optional<reactor::SimDisk> disk_;
  std::optional<SimDatabase> db_;
  Family data_;
};

TEST_F(LargeValueFault, AFailedWriteEndsItsCommitAlone) {
  open();
  disk_->faults().fail_nth(reactor::SimEvent::kWrite, 1, reactor::SimFault{.result = -EIO}, kPageFiles);
  const Status status = db_->put(data_, "hit", large('h'));
  EXPECT_TRUE(status.is(Code::kIoError)) << status.to_string();
  EXPECT_TRUE(db_->get(data_, "hit").error().is(Code::kNotFound));
  ASSERT_TRUE(db_->put(data_, "after", large('a')).is_ok());
  kill_and_reopen();
  expect("before", large('b'));
  expect("after", large('a'));
  EXPECT_TRUE(db_->get(data_, "hit").error().is(Code::kNotFound));
}

TEST_F(LargeValueFault, AFailedSyncPoisonsBecauseNobodyKnowsWhatItLost) {
  open();
  disk_->faults().fail_nth(reactor::SimEvent::kSync, 1, reactor::SimFault{.result = -EIO}, kPageFiles);
  const Status status = db_->put(data_, "hit", large('h'));
  EXPECT_TRUE(status.is(Code::kIoError)) << status.to_string();
  EXPECT_TRUE(db_->put(data_, "after", "small").is(Code::kPoisoned));
  EXPECT_TRUE(db_->put(data_, "after", large('a')).is(Code::kPoisoned));
  expect("before", large('b'));
  kill_and_reopen();
  expect("before", large('b'));
  EXPECT_TRUE(db_->get(data_, "hit").error().is(Code::kNotFound));
  ASSERT_TRUE(db_->put(data_, "after", large('a')).is_ok());
}

TEST_F(LargeValueFault, AFullDiskRefusesThemUntilThereIsRoom) {
  open(60_MiB);
  Status status;
  int written = 0;
  while (status.is_ok()) {
    ASSERT_LT(written, 100);
    status = db_->put(data_, std::to_string(written++), large('x', 2'000'000));
  }
  EXPECT_TRUE(status.is(Code::kNoSpace)) << status.to_string();
  EXPECT_GT(written, 8);
  expect("0", large('x', 2'000'000));
  for (int key = 0; key < written - 1; ++key) {
    ASSERT_TRUE(db_->remove(data_, std::to_string(key)).is_ok()) << key;
  }
  bool is_written = false;
  for (int tries = 0; tries < 100 && !is_written; ++tries) {  // Both superblocks have to leave the old values behind.
    (void)db_->flush(0).is_ok();
    db_->run_for_ms(200);
    is_written = db_->put(data_, "again", large('y', 2'000'000)).is_ok();
  }
  EXPECT_TRUE(is_written);
  kill_and_reopen();
  expect("again", large('y', 2'000'000));
  expect("before", large('b'));
}

TEST_F(LargeValueFault, ValuesThatWaitedForAFlushAreThereAfterAKill) {
  open();
  for (int round = 0; round < 30; ++round) {  // Overwritten, flushed between, and killed with some in the log alone.
    ASSERT_TRUE(db_->put(data_, std::to_string(round % 7), large(static_cast<char>('a' + round % 26))).is_ok());
    if (round % 10 == 9) {
      ASSERT_TRUE(db_->flush(0).is_ok());
    }
    if (round % 8 == 7) {
      kill_and_reopen();
    }
  }
  for (int key = 0; key < 7; ++key) {
    const int last = 29 - (29 - key) % 7;
    expect(std::to_string(key), large(static_cast<char>('a' + last % 26)));
  }
  const Outcome<VerifyReport> report = db_->verify();
  EXPECT_TRUE(report.has_value()) << report.error().text;
}

}  // namespace
}  // namespace penstock::simtest
