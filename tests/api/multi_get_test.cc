// Goal: multi_get answers what as many gets would, key by key, from one moment of each shard, and reads what is not in memory
// side by side. Method: cold pages come from reopening; the metrics count the system calls.
#include <string>
#include <vector>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using Answers = std::vector<Result<std::string>>;

class MultiGetTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    open();
  }
  Family hashed() { return family("hashed", {.placement = Placement::kHashed}); }
  Family pinned() { return family("pinned", {.shard = 0}); }
  void reopen_cold() {
    ASSERT_TRUE(db_->flush().get().is_ok());
    ASSERT_TRUE(db_->close().is_ok());
    open();
  }
  Metrics metrics() { return db_->metrics().get().value(); }
  static std::string text(const Result<std::string>& answer) {
    return answer.has_value() ? *answer : std::string(code_name(answer.error().code()));
  }
};

TEST_F(MultiGetTest, AnswersInTheOrderOfTheKeysOverAllShards) {
  const Family family = hashed();
  Batch batch;
  for (int key = 0; key < 500; ++key) {
    ASSERT_TRUE(batch.put(family, std::to_string(key), "value " + std::to_string(key)).is_ok());
  }
  ASSERT_TRUE(db_->write_each(std::move(batch)).get().status.is_ok());
  std::vector<std::string> keys;
  for (int key = 0; key < 600; ++key) {
    keys.push_back(std::to_string(key * 7 % 600));
  }
  keys.push_back(keys.front());  // Twice in one call.
  const std::vector<Bytes> views(keys.begin(), keys.end());
  for (const bool is_cold : {false, true}) {
    if (is_cold) {
      reopen_cold();
    }
    const Answers answers = db_->multi_get(hashed(), views).get().value();
    ASSERT_EQ(answers.size(), keys.size());
    for (std::size_t at = 0; at < keys.size(); ++at) {
      EXPECT_EQ(text(answers[at]), std::stoi(keys[at]) < 500 ? "value " + keys[at] : "not_found");
    }
  }
}

TEST_F(MultiGetTest, BringsLargeValuesFromMemtablesAndTrees) {
  const std::string large(200'000, 'l');
  const std::string middle(30'000, 'm');
  ASSERT_TRUE(db_->put(pinned(), "large", large).get().is_ok());
  ASSERT_TRUE(db_->put(pinned(), "middle", middle).get().is_ok());
  const std::vector<Bytes> keys = {"middle", "absent", "large"};
  for (const bool is_cold : {false, true}) {
    if (is_cold) {
      reopen_cold();
    }
    const Answers answers = db_->multi_get(pinned(), keys).get().value();
    EXPECT_EQ(text(answers[0]), middle);
    EXPECT_EQ(text(answers[1]), "not_found");
    EXPECT_EQ(text(answers[2]), large);
  }
}

TEST_F(MultiGetTest, OfAHundredColdKeysTakesFarFewerSystemCallsThanAHundredGets) {
  constexpr int kKeys = 100;
  std::vector<std::string> keys;  // Each in a leaf of its own: between them lie others.
  const Family written = pinned();
  for (int key = 0; key < 3 * kKeys; ++key) {
    const std::string name = std::to_string(1000 + key);
    ASSERT_TRUE(db_->put(written, name, std::string(14'000, 'v'), {.durability = Durability::kBuffered}).get().is_ok());
    if (key % 3 == 0) {
      keys.push_back(name);
    }
  }
  const std::vector<Bytes> views(keys.begin(), keys.end());
  const auto cold_family = [this] {
    reopen_cold();
    EXPECT_TRUE(db_->flush().get().is_ok());  // Whatever opening still does is done.
    return pinned();
  };

  const Family family = cold_family();
  Metrics before = metrics();
  const Answers answers = db_->multi_get(family, views).get().value();
  Metrics after = metrics();
  for (const Result<std::string>& answer : answers) {
    ASSERT_TRUE(answer.has_value());
  }
  EXPECT_EQ(after.multi_gets - before.multi_gets, 1U);
  EXPECT_EQ(after.gets_from_disk - before.gets_from_disk, static_cast<std::uint64_t>(kKeys));
  const std::uint64_t enters_of_one_call = after.enters - before.enters;

  const Family again = cold_family();
  before = metrics();
  for (const std::string& key : keys) {
    ASSERT_TRUE(db_->get(again, key).get().has_value());
  }
  after = metrics();
  EXPECT_GE(after.enters - before.enters, static_cast<std::uint64_t>(kKeys));
  if (runtime_->io_backend().starts_with("io_uring")) {                    // Without, each read is a call, side by side or not.
    EXPECT_LT(enters_of_one_call, static_cast<std::uint64_t>(kKeys) / 2);  // Some of them are the metrics' own.
  }
}

TEST_F(MultiGetTest, RefusesAsAWholeWhatIsNoKey) {
  const std::string long_key(kKeyBytesMax + 1, 'k');
  EXPECT_EQ(db_->multi_get(pinned(), std::vector<Bytes>{"a", long_key}).get().error().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->multi_get(Family(), std::vector<Bytes>{"a"}).get().error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(db_->multi_get(pinned(), {}).get().value().empty());
  const Family family = pinned();
  ASSERT_TRUE(db_->close().is_ok());
  EXPECT_EQ(db_->multi_get(family, std::vector<Bytes>{"a"}).get().error().code(), Code::kClosed);
}

Task<Result<Answers>> multi_get_on_shard(Shard& shard, Family family, std::vector<std::string> keys) {
  const std::vector<Bytes> views(keys.begin(), keys.end());
  co_return co_await shard.multi_get(family, views);
}

TEST_F(MultiGetTest, DoesTheSameOnAShardForKeysOfThatShard) {
  const Family family = pinned();
  ASSERT_TRUE(db_->put(family, "b", "2").get().is_ok());
  const std::vector<std::string> keys = {"c", "b"};
  const Answers answers = db_->run_on(0, &multi_get_on_shard, family, keys).get().value();
  EXPECT_EQ(text(answers[0]), "not_found");
  EXPECT_EQ(text(answers[1]), "2");
  EXPECT_EQ(db_->run_on(1, &multi_get_on_shard, family, keys).get().error().code(), Code::kInvalidArgument);
}

TEST_F(MultiGetTest, AnswersDroppedForEachKeyOfADroppedFamily) {
  const Family family = pinned();
  ASSERT_TRUE(db_->drop_family("pinned").get().has_value());
  EXPECT_EQ(text(db_->multi_get(family, std::vector<Bytes>{"a"}).get().value()[0]), "dropped");
}

}  // namespace
}  // namespace penstock::apitest
