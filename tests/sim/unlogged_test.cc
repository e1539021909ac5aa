// Goal: unlogged commits are whole or absent, never lost once a flush or a close has them, and lose nothing of the logged
// commits around them, over kills and power cuts. Method: on each of two shards two counters, one raised by logged commits and
// one, twice in a batch, by unlogged ones; after each crash both are compared with what was promised.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/random.h"
#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

constexpr std::uint16_t kShards = 2;

/// What a shard must hold of each counter: at least this, at most that.
struct Promise {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

class Unlogged : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  Unlogged() : disk_(GetParam()), random_(GetParam()) {}

  void boot() {
    db_.emplace(disk_, SimDatabaseOptions{.seed = random_.next(), .shards = kShards, .reactors = random_.one_in(2) ? 1U : 2U});
    const Outcome<bool> opened = db_->open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    for (std::uint16_t shard = 0; shard < kShards; ++shard) {
      const Outcome<Family> family = db_->family("family" + std::to_string(shard), {.shard = shard});
      ASSERT_TRUE(family.has_value()) << family.error().text;
      families_[shard] = *family;
    }
  }
  std::uint64_t counter(std::uint16_t shard, const std::string& key) {
    const Result<std::string> value = db_->get(families_[shard], key);
    EXPECT_TRUE(value.has_value() || value.error().is(Code::kNotFound));
    return value.has_value() ? std::stoull(value->substr(0, value->find(' '))) : 0;
  }
  void check() {
    for (std::uint16_t shard = 0; shard < kShards; ++shard) {
      const std::uint64_t logged = counter(shard, "logged");
      EXPECT_GE(logged, logged_[shard].least);
      EXPECT_LE(logged, logged_[shard].most);
      const std::uint64_t unlogged = counter(shard, "unlogged");
      EXPECT_EQ(unlogged, counter(shard, "with it")) << "half a batch";
      EXPECT_GE(unlogged, unlogged_[shard].least);
      EXPECT_LE(unlogged, unlogged_[shard].most);
      logged_[shard] = {.least = logged, .most = logged};
      unlogged_[shard] = {.least = unlogged, .most = unlogged};  // It came from the trees: it stays.
    }
  }
  void write(std::uint16_t shard) {
    const std::string filler = " " + std::string(random_.below(9000), 'f');
    if (random_.one_in(2)) {
      const std::string next = std::to_string(++logged_[shard].most) + filler;
      ASSERT_TRUE(db_->put(families_[shard], "logged", next).is_ok());
      logged_[shard].least = logged_[shard].most;
    } else {
      Batch batch;
      const std::string next = std::to_string(++unlogged_[shard].most) + filler;
      ASSERT_TRUE(batch.put(families_[shard], "unlogged", next).is_ok());
      ASSERT_TRUE(batch.put(families_[shard], "with it", next).is_ok());
      ASSERT_TRUE(db_->commit(shard, batch, Durability::kUnlogged).is_ok());
    }
  }
  void note_flushed(std::uint16_t shard) { unlogged_[shard].least = unlogged_[shard].most; }

  reactor::SimDisk disk_;
  base::Random random_;
  std::optional<SimDatabase> db_;
  std::array<Family, kShards> families_;
  std::array<Promise, kShards> logged_;
  std::array<Promise, kShards> unlogged_;
};

TEST_P(Unlogged, CommitsAreWholeOrAbsentAndNeverLostAfterAFlush) {
  for (int life = 0; life < 25; ++life) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + " life " + std::to_string(life));
    boot();
    ASSERT_FALSE(HasFatalFailure());
    check();
    for (std::uint64_t step = random_.below(60); step > 0; --step) {
      const auto shard = static_cast<std::uint16_t>(random_.below(kShards));
      write(shard);
      ASSERT_FALSE(HasFatalFailure());
      if (random_.one_in(20)) {
        ASSERT_TRUE(db_->flush(shard).is_ok());
        note_flushed(shard);
      }
    }
    if (random_.one_in(4)) {
      ASSERT_TRUE(db_->close().is_ok());
      note_flushed(0);
      note_flushed(1);
      db_.reset();
    } else if (random_.one_in(2)) {
      db_->kill(random_.next());
      db_.reset();
    } else {
      disk_.power_off();
      db_.reset();
      disk_.cut_power(random_.next());
    }
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Unlogged, ::testing::Range(std::uint64_t{1}, std::uint64_t{21}));

}  // namespace
}  // namespace penstock::simtest
