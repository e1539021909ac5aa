// Goal: counters raised by update() and compare_and_set() of several clients at once lose no acknowledged step and count none
// twice, over kills and power cuts, cold pages, large values, flushes and back-pressure. Method: each life of the database
// begins cold and ends in a crash or a close; then every counter is at least what was acknowledged, and at most that and the
// steps of unknown outcome.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "base/random.h"
#include "engine/shard_engine.h"
#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

constexpr std::size_t kCounters = 3;
constexpr std::size_t kClients = 5;

struct Promise {
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
};

struct Client {
  detail::ShardEngine* engine = nullptr;
  Family family;
  std::array<Promise, kCounters>* promises = nullptr;
  base::Random random{0};
  std::uint64_t steps = 0;

  void note(std::size_t counter, Status status) const {
    Promise& promise = (*promises)[counter];
    promise.acknowledged += status.is_ok() ? 1U : 0U;
    promise.unknown += status.is(Code::kOutcomeUnknown) ? 1U : 0U;
  }
};

std::uint64_t count_of(std::optional<Bytes> value) {
  return value.has_value() ? std::stoull(std::string(value->substr(0, value->find(' ')))) : 0;
}

/// The count and what fills memory and pages, now and then more than goes through the log.
std::string next_value(std::optional<Bytes> value, std::uint64_t filler_bytes) {
  return std::to_string(count_of(value) + 1) + " " + std::string(filler_bytes, 'f');
}

Task<Status> step_by_compare(Shard& shard, const Family& family, const std::string& key, std::uint64_t filler_bytes) {
  const Result<std::string> before = co_await shard.get(family, key);
  if (!before.has_value() && !before.error().is(Code::kNotFound)) {
    co_return before.error();
  }
  const std::optional<Bytes> expected = before.has_value() ? std::optional<Bytes>(*before) : std::nullopt;
  const std::string desired = next_value(expected, filler_bytes);
  co_return co_await shard.compare_and_set(family, key, expected, desired);
}

Task<> run_client(Client* client) {
  Shard shard(*client->engine);
  for (; client->steps > 0; --client->steps) {
    const std::size_t counter = client->random.below(kCounters);
    const std::string key = "counter " + std::to_string(counter);
    const std::uint64_t filler = client->random.one_in(12) ? 70'000 : client->random.below(9000);
    Status status;
    if (client->random.one_in(3)) {
      status = co_await step_by_compare(shard, client->family, key, filler);
    } else {
      const UpdateFunction step = [filler](std::optional<Bytes> value) { return next_value(value, filler); };
      const auto updated = co_await shard.update(client->family, key, step);
      status = updated.has_value() ? Status::ok() : updated.error();
    }
    client->note(counter, status);
    if (!status.is_ok() && !status.is(Code::kConflict)) {
      co_return;
    }
  }
}

Task<Status> start_clients(detail::DatabaseCore* core, std::array<Client, kClients>* clients) {
  for (Client& client : *clients) {
    core->part_of(client.engine->id()).tasks().spawn(&run_client, &client);
  }
  co_return Status::ok();
}

class AtomicCounters : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  AtomicCounters() : disk_(GetParam()), random_(GetParam()) {}

  void boot() {
    db_.emplace(disk_, SimDatabaseOptions{.seed = random_.next(), .shards = 1, .reactors = 1});
    const Outcome<bool> opened = db_->open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    const Outcome<Family> family = db_->family("counters", {.shard = 0});
    ASSERT_TRUE(family.has_value()) << family.error().text;
    family_ = *family;
  }
  void check() {
    for (std::size_t counter = 0; counter < kCounters; ++counter) {
      const Result<std::string> value = db_->get(family_, "counter " + std::to_string(counter));
      ASSERT_TRUE(value.has_value() || value.error().is(Code::kNotFound)) << value.error().to_string();
      const std::uint64_t count = count_of(value.has_value() ? std::optional<Bytes>(*value) : std::nullopt);
      Promise& promise = promises_[counter];
      EXPECT_GE(count, promise.acknowledged) << "lost";
      EXPECT_LE(count, promise.acknowledged + promise.unknown) << "counted twice";
      promise = {.acknowledged = count};
    }
  }
  void start() {
    for (Client& client : clients_) {
      client = {.engine = &db_->core().shard(0),
                .family = family_,
                .promises = &promises_,
                .random = base::Random(random_.next()),
                .steps = 5 + random_.below(60)};
    }
    ASSERT_TRUE(db_->world().run(0, &start_clients, &db_->core(), &clients_).is_ok());
  }

  reactor::SimDisk disk_;
  base::Random random_;
  std::array<Promise, kCounters> promises_;
  std::array<Client, kClients> clients_;
  std::optional<SimDatabase> db_;
  Family family_;
};

TEST_P(AtomicCounters, LoseNoAcknowledgedStepAndCountNoneTwice) {
  std::uint64_t steps = 0;
  for (int life = 0; life < 12; ++life) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + " life " + std::to_string(life));
    boot();
    ASSERT_FALSE(HasFatalFailure());
    if (random_.one_in(2)) {  // Else the first steps have to read.
      check();
    }
    start();
    ASSERT_FALSE(HasFatalFailure());
    db_->run_for_ms(random_.below(40));
    if (random_.one_in(2)) {
      db_->flush(0).ignore("what was carried out counts");
    }
    db_->run_for_ms(random_.below(20));
    if (random_.one_in(4)) {
      ASSERT_TRUE(db_->close().is_ok());
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
  boot();
  check();
  for (const Promise& promise : promises_) {
    steps += promise.acknowledged;
  }
  EXPECT_GT(steps, 100U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AtomicCounters, ::testing::Range(std::uint64_t{1}, std::uint64_t{21}));

}  // namespace
}  // namespace penstock::simtest
