// Goal: a cursor on a shard walks the rows of the moment when it was made, in order, from memtables and pages alike. Method: a
// std::map beside it.
#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <string>

#include "base/random.h"
#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using RowCursorTest = DatabaseTest;
using Model = std::map<std::string, std::string>;

constexpr std::uint32_t kShard = 1;

std::string key_of(std::uint64_t number) { return "key" + std::to_string(number * 7919 % 100'000); }

std::string value_of(base::Random& random) {
  const std::uint64_t bytes = random.below(40) == 0 ? 17'000 + random.below(20'000) : random.below(200);  // Some in extents.
  return std::string(bytes, static_cast<char>('a' + random.below(26)));
}

/// Random puts and deletes, which model and database share; now and then a flush.
void change(Database& db, const Family& family, Model& model, base::Random& random, std::uint32_t operations) {
  for (std::uint32_t at = 0; at < operations; ++at) {
    const std::string key = key_of(random.below(1500));
    if (random.below(4) == 0) {
      ASSERT_TRUE(db.remove(family, key, {.durability = Durability::kBuffered}).get().is_ok());
      model.erase(key);
    } else {
      model[key] = value_of(random);
      ASSERT_TRUE(db.put(family, key, model[key], {.durability = Durability::kBuffered}).get().is_ok());
    }
  }
}

/// From where the cursor stands to the end, by both kinds of steps.
Task<Status> expect_rows(RowCursor& cursor, Model::const_iterator expected, Model::const_iterator end, base::Random& random) {
  for (; expected != end; ++expected) {
    if (!cursor.valid()) co_return Status(Code::kNotFound);
    EXPECT_EQ(cursor.key(), expected->first);
    EXPECT_EQ(cursor.value(), expected->second);
    if (random.below(2) == 0 || !cursor.try_next()) PENSTOCK_CO_TRY(co_await cursor.next());
  }
  EXPECT_FALSE(cursor.valid());
  co_return Status();
}

Task<Status> walk_and_seek(Shard& shard, Family family, const Model* model, std::uint64_t seed) {
  base::Random random(seed);
  Result<RowCursor> cursor = shard.rows(family);
  if (!cursor.has_value()) co_return cursor.error();
  EXPECT_FALSE(cursor->valid());
  PENSTOCK_CO_TRY(co_await cursor->seek(""));
  PENSTOCK_CO_TRY(co_await expect_rows(*cursor, model->begin(), model->end(), random));
  for (int turn = 0; turn < 100; ++turn) {
    const std::string sought = key_of(random.below(2000)).substr(0, 3 + random.below(6));
    if (random.below(2) == 0 || !cursor->try_seek(sought)) PENSTOCK_CO_TRY(co_await cursor->seek(sought));
    const auto expected = model->lower_bound(sought);
    EXPECT_EQ(cursor->valid(), expected != model->end());
    if (!cursor->valid() || expected == model->end()) continue;
    EXPECT_EQ(cursor->key(), expected->first);
    EXPECT_EQ(cursor->value(), expected->second);
  }
  co_return Status();
}

TEST_F(RowCursorTest, WalksWhatAMapHolds) {
  open();
  const Family data = family("data", {.shard = kShard});
  Model model;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    base::Random random(seed);
    change(*db_, data, model, random, 700);
    if (seed % 2 == 0) {
      ASSERT_TRUE(db_->flush().get().is_ok());
    }
    const Status status = db_->run_on(kShard, &walk_and_seek, data, &model, seed).get();
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  // Nothing of it is in memory.
  ASSERT_TRUE(db_->flush().get().is_ok());
  open();
  const Status status = db_->run_on(kShard, &walk_and_seek, family("data"), &model, std::uint64_t{9}).get();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
}

Task<Status> walk_while_others_write(Shard& shard, Family family, const Model* model, Future<Status>* changed) {
  base::Random random(1);
  Result<RowCursor> cursor = shard.rows(family);
  if (!cursor.has_value()) co_return cursor.error();
  PENSTOCK_CO_TRY(co_await cursor->seek(""));
  auto expected = model->begin();
  for (int row = 0; row < 20; ++row, ++expected) {
    EXPECT_EQ(cursor->key(), expected->first);
    PENSTOCK_CO_TRY(co_await cursor->next());
  }
  for (int number = 0; number < 1500; ++number) {
    const std::string key = key_of(static_cast<std::uint64_t>(number));
    Status status;
    if (number % 2 == 0) {
      status = co_await shard.put(family, key, "new", {.durability = Durability::kBuffered});
    } else {
      status = co_await shard.remove(family, key, {.durability = Durability::kBuffered});
    }
    PENSTOCK_CO_TRY(status);
  }
  PENSTOCK_CO_TRY(co_await std::move(*changed));  // A flush in the middle of the walk.
  co_return co_await expect_rows(*cursor, expected, model->end(), random);
}

TEST_F(RowCursorTest, SeesTheMomentOfItsBeginningWhateverIsWrittenAndFlushed) {
  open();
  const Family data = family("data", {.shard = kShard});
  Model model;
  base::Random random(5);
  change(*db_, data, model, random, 2000);
  for (int round = 0; round < 2; ++round) {  // In a memtable, then in pages.
    Future<Status> flushed = db_->flush();
    const Status status = db_->run_on(kShard, &walk_while_others_write, data, &model, &flushed).get();
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    for (std::uint64_t number = 0; number < 1500; ++number) {
      const std::string key = key_of(number);
      const CommitOptions options{.durability = Durability::kBuffered};
      const auto found = model.find(key);
      const bool is_there = found != model.end();
      ASSERT_TRUE((is_there ? db_->put(data, key, found->second, options) : db_->remove(data, key, options)).get().is_ok());
    }
    ASSERT_TRUE(db_->flush().get().is_ok());
  }
}

Task<Status> expect_refusals(Shard& shard, Family here, Family there, Family dropped) {
  EXPECT_TRUE(shard.rows(there).error().is(Code::kInvalidArgument));
  EXPECT_TRUE(shard.rows(Family()).error().is(Code::kInvalidArgument));
  EXPECT_TRUE(shard.rows(dropped).error().is(Code::kDropped));
  Result<RowCursor> empty = shard.rows(here);
  if (!empty.has_value()) co_return empty.error();
  EXPECT_TRUE(empty->try_seek(""));
  EXPECT_FALSE(empty->valid());
  RowCursor moved = std::move(*empty);
  PENSTOCK_CO_TRY(co_await moved.seek("key"));
  EXPECT_FALSE(moved.valid());
  co_return Status();
}

TEST_F(RowCursorTest, RefusesWhatIsNotHere) {
  open();
  const Family here = family("here", {.shard = kShard});
  const Family there = family("there", {.shard = 2});
  const Family dropped = family("dropped", {.shard = kShard});
  ASSERT_TRUE(db_->drop_family("dropped").get().has_value());
  const Status status = db_->run_on(kShard, &expect_refusals, here, there, dropped).get();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
}

}  // namespace
}  // namespace penstock::apitest
