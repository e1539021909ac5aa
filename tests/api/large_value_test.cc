// Goal: values over 64 KiB are written once, before their record: readable at once, in batches with others, in the order of
// their commits, after flushes and reopening; what is overwritten gives its space back. Method: the metrics tell how many bytes
// went where.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

/// Bytes that differ from place to place, and between seeds.
std::string pattern(std::uint64_t bytes, std::uint64_t seed) {
  std::string text(bytes, '\0');
  std::uint64_t state = seed * 0x9e37'79b9'7f4a'7c15ULL + 1;
  for (char& each : text) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    each = static_cast<char>(state >> 56U);
  }
  return text;
}

class LargeValueTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    open();
    family_ = family("data", {.shard = 0});
  }
  void reopen() {
    ASSERT_TRUE(db_->close().is_ok());
    open();
    family_ = family("data", {.shard = 0});
  }
  Metrics metrics() { return db_->metrics().get().value(); }
  std::string get(const std::string& key) {
    const Result<std::string> value = db_->get(family_, key).get();
    return value.has_value() ? *value : value.error().to_string();
  }

  Family family_;
};

TEST_F(LargeValueTest, IsWrittenOnceAndReadAtOnceAfterAFlushAndAfterReopening) {
  // Around the limit, around a zone (1 MiB with its head), and several zones.
  const std::vector<std::uint64_t> sizes = {65'536, 65'537, 100'000, 1'040'384, 1'048'576, 1'048'577, 5'000'000};
  std::uint64_t bytes = 0;
  for (const std::uint64_t size : sizes) {
    ASSERT_TRUE(db_->put(family_, std::to_string(size), pattern(size, size)).get().is_ok()) << size;
    bytes += size;
  }
  EXPECT_EQ(metrics().large_values, sizes.size() - 1);
  EXPECT_LT(metrics().log_appended_bytes, 70'000U);
  const auto check = [&] {
    for (const std::uint64_t size : sizes) {
      ASSERT_TRUE(get(std::to_string(size)) == pattern(size, size)) << size;
      EXPECT_TRUE(db_->contains(family_, std::to_string(size)).get().value());
    }
    ScanOptions everything;
    everything.bytes_max = 100'000'000;
    const Result<ScanResult> rows = db_->scan(family_, everything).get();
    ASSERT_TRUE(rows.has_value());
    ASSERT_EQ(rows->rows.size(), sizes.size());
    for (const Row& row : rows->rows) {
      EXPECT_TRUE(row.value == pattern(std::stoull(row.key), std::stoull(row.key))) << row.key;
    }
    const Outcome<VerifyReport> report = db_->verify().get();
    ASSERT_TRUE(report.has_value()) << report.error().text;
  };
  check();
  ASSERT_TRUE(db_->flush().get().is_ok());
  EXPECT_LT(metrics().page_bytes_written, bytes * 5 / 4);  // With heads, tables and superblocks.
  check();
  reopen();
  check();
}

TEST_F(LargeValueTest, StandsInABatchWithOthersAndKeepsItsPlaceInTheOrderOfCommits) {
  std::vector<Future<CommitResult>> batches;
  std::vector<Future<Status>> answers;
  for (std::uint64_t round = 0; round < 40; ++round) {
    Batch batch;
    ASSERT_TRUE(batch.put(family_, "number", std::to_string(round)).is_ok());
    ASSERT_TRUE(batch.put(family_, "large", pattern(round % 3 == 0 ? 200'000 : 50, round)).is_ok());
    batches.push_back(db_->commit(std::move(batch)));
    answers.push_back(db_->put(family_, "behind", std::to_string(round)));
    const Result<ScanResult> rows = db_->scan(family_, {}).get();
    ASSERT_TRUE(rows.has_value());
    if (rows->rows.size() == 3) {  // "behind", "large", "number": the two of a batch always fit together.
      const std::uint64_t number = std::stoull(rows->rows[2].value);
      EXPECT_TRUE(rows->rows[1].value == pattern(number % 3 == 0 ? 200'000 : 50, number)) << number;
      EXPECT_LE(std::stoull(rows->rows[0].value), number);
    }
  }
  for (Future<Status>& answer : answers) {
    ASSERT_TRUE(answer.get().is_ok());
  }
  for (Future<CommitResult>& answer : batches) {
    ASSERT_TRUE(answer.get().status.is_ok());
  }
  EXPECT_TRUE(get("large") == pattern(200'000, 39));
  EXPECT_EQ(get("behind"), "39");
}

TEST_F(LargeValueTest, GivesItsSpaceBackWhenItIsOverwrittenOrDeleted) {
  for (std::uint64_t round = 0; round < 400; ++round) {
    ASSERT_TRUE(db_->put(family_, "large", pattern(1'000'000, round), {.durability = Durability::kBuffered}).get().is_ok());
  }
  EXPECT_TRUE(get("large") == pattern(1'000'000, 399));
  EXPECT_LT(metrics().space_file_bytes, 340'000'000U) << "400 MB were written";
  ASSERT_TRUE(db_->remove(family_, "large").get().is_ok());
  for (int flushes = 0; flushes < 3; ++flushes) {  // The last two superblocks keep what they reach.
    ASSERT_TRUE(db_->put(family_, "small", "value").get().is_ok());
    ASSERT_TRUE(db_->flush().get().is_ok());
  }
  EXPECT_LT(metrics().space_live_bytes, 1'000'000U);
  EXPECT_LT(metrics().space_pinned_bytes, 3'000'000U);
  ASSERT_TRUE(db_->verify().get().has_value());
}

TEST_F(LargeValueTest, ManyAtOnceMakeTheFilesGrowByWhatTheyNeed) {
  std::vector<Future<Status>> answers;
  for (std::uint64_t key = 0; key < 500; ++key) {
    answers.push_back(db_->put(family_, std::to_string(key), pattern(100'000, key)));
  }
  for (Future<Status>& answer : answers) {
    ASSERT_TRUE(answer.get().is_ok());
  }
  EXPECT_LT(metrics().space_file_bytes, 150'000'000U) << "50 MB were written";
  EXPECT_TRUE(get("499") == pattern(100'000, 499));
}

TEST_F(LargeValueTest, OfAFamilyThatWasDroppedMeanwhileIsRefused) {
  ASSERT_TRUE(db_->drop_family("data").get().has_value());
  const Status status = db_->put(family_, "large", pattern(100'000, 1)).get();
  EXPECT_TRUE(status.is(Code::kDropped)) << status.to_string();
}

}  // namespace
}  // namespace penstock::apitest
