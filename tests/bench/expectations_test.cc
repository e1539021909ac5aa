// Goal: what a store may hold after a crash is accepted, and each kind of loss or invention is found. Method: a job's plan is
// replayed here too, and a store made up of its writes is shown to the judge with one thing wrong.
#include "tools/penstock-bench/expectations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/penstock-bench/job_file.h"

namespace penstock::bench {
namespace {

using ::testing::HasSubstr;

Job job_of(const std::string& settings) {
  return build_jobs(parse_job_text("[job]\ndir=/nowhere\nkeys=40\nkey_size=8\nvalue_size=30\n" + settings, "test.ini", {}), {})
      .front();
}

// A store as the clients' plans leave it when the first `written` operations of each are there.
class Store {
 public:
  explicit Store(const Job& job) : job_(job), dataset_(job.key_size, job.value_size, job.seed) {}

  void write(std::uint32_t client, std::uint64_t operations) {
    Plan plan(job_, client);
    std::uint64_t left = plan.step_count();
    for (std::uint64_t done = 0; done < operations;) {
      const bench::Call call = plan.next_call(left);
      for (std::uint32_t at = 0; at < call.operations; ++at, ++done) {
        const Step step = plan.next(call.kind);
        if (done < operations) {
          apply(step);
        }
      }
      left -= left == kUnlimited ? 0 : call.operations;
    }
  }
  void apply(const Step& step) {
    if (step.kind == OpKind::kDelete) {
      rows_.erase({step.family, key_of(step.number)});
    } else if (kind_writes(step.kind)) {
      rows_[{step.family, key_of(step.number)}] = value_of(step);
    }
  }
  std::vector<Step> steps(std::uint32_t client, std::uint64_t count) const {
    Plan plan(job_, client);
    std::vector<Step> steps;
    std::uint64_t left = plan.step_count();
    while (steps.size() < count) {
      const bench::Call call = plan.next_call(left);
      for (std::uint32_t at = 0; at < call.operations; ++at) {
        steps.push_back(plan.next(call.kind));
      }
      left -= left == kUnlimited ? 0 : call.operations;
    }
    return steps;
  }
  void remove(const Step& step) { rows_.erase({step.family, key_of(step.number)}); }
  void set(std::uint32_t family, const std::string& key, const std::string& value) { rows_[{family, key}] = value; }
  std::string key_of(std::uint32_t number) const {
    std::string key(job_.key_size, '\0');
    dataset_.fill_key(number, key.data());
    return key;
  }
  std::string value_of(const Step& step) const {
    std::string value(job_.value_size.max(), '\0');
    value.resize(dataset_.fill_value(step.family, step.number, step.version, value.data()));
    return value;
  }

  Problems judge(
      const std::vector<ClientHistory>& histories, bool was_empty = true,
      Expectations::ShardOf shard_of = [](std::uint32_t, std::string_view) { return 0U; }) const {
    Expectations expectations(job_, dataset_, std::move(shard_of), was_empty);
    for (std::uint32_t client = 0; client < job_.clients; ++client) {
      expectations.replay(client, key_set_of(job_, client), histories[client]);
    }
    for (std::uint32_t family = 0; family < job_.cfs; ++family) {
      expectations.begin_family(family);
      for (const auto& [place, value] : rows_) {
        if (place.first == family) {
          expectations.see_row(place.second, value);
        }
      }
    }
    expectations.judge();
    return expectations.problems();
  }

 private:
  const Job& job_;
  Dataset dataset_;
  std::map<std::pair<std::uint32_t, std::string>, std::string> rows_;
};

class ExpectationsTest : public ::testing::Test {
 protected:
  // 40 keys in batches of 5, random again and again.
  Job job_ = job_of("op=put\nkey_order=random\nbatch=5\nops=60\nclients=1\nfresh=1\npreload=0\n");
  Store store_{job_};
};

TEST_F(ExpectationsTest, EveryPrefixOfWholeBatchesFromTheDemandedOnOnIsAccepted) {
  for (std::uint64_t there = 20; there <= 60; there += 5) {
    Store store(job_);
    store.write(0, there);
    const Problems problems = store.judge({{.demanded = 20, .issued = 60}});
    EXPECT_TRUE(problems.is_none()) << there << ": " << problems.first;
  }
}

TEST_F(ExpectationsTest, ADemandedBatchThatIsNotThereIsMissing) {
  store_.write(0, 15);
  const Problems problems = store_.judge({{.demanded = 20, .issued = 60}});
  EXPECT_GT(problems.missing, 0U);
  EXPECT_THAT(problems.first, HasSubstr("or later is expected"));
}

TEST_F(ExpectationsTest, AnOlderValueInPlaceOfADemandedOneIsMissing) {
  store_.write(0, 60);
  std::map<std::uint32_t, std::vector<Step>> by_key;
  for (const Step& step : store_.steps(0, 60)) {
    by_key[step.number].push_back(step);
  }
  for (const auto& [number, steps] : by_key) {
    if (steps.size() > 1) {
      store_.apply(steps.front());
      const Problems problems = store_.judge({{.demanded = 60, .issued = 60}});
      EXPECT_EQ(problems.missing, 1U);
      EXPECT_THAT(problems.first, HasSubstr("the older version"));
      return;
    }
  }
  FAIL() << "no key was written twice";
}

TEST_F(ExpectationsTest, WhatWasNeverIssuedIsInvented) {
  store_.write(0, 40);
  const Problems problems = store_.judge({{.demanded = 20, .issued = 30}});
  EXPECT_GT(problems.invented, 0U);
}

TEST_F(ExpectationsTest, ARowOfAStrangeKeyOrWithAnotherKeysValueIsInvented) {
  store_.write(0, 20);
  store_.set(0, "strange", "value");
  EXPECT_EQ(store_.judge({{.demanded = 20, .issued = 60}}).invented, 1U);
  Store mixed_up(job_);
  mixed_up.write(0, 20);
  const std::vector<Step> steps = mixed_up.steps(0, 20);
  mixed_up.set(0, mixed_up.key_of(steps[0].number), mixed_up.value_of({.number = steps[0].number + 1, .version = 3}));
  EXPECT_EQ(mixed_up.judge({{.demanded = 20, .issued = 60}}).invented, 1U);
}

TEST_F(ExpectationsTest, HalfABatchIsFoundEvenIfNothingOfItWasDemanded) {
  store_.write(0, 20);
  const std::vector<Step> steps = store_.steps(0, 25);
  store_.apply(steps[24]);
  const Problems problems = store_.judge({{.demanded = 20, .issued = 60}});
  EXPECT_GT(problems.halves, 0U);
  EXPECT_THAT(problems.first, HasSubstr("of the same commit"));
}

TEST_F(ExpectationsTest, ALaterBatchWithoutAnEarlierOneIsFoundWhereTheyAreOfOneShardAlone) {
  store_.write(0, 20);
  const std::vector<Step> steps = store_.steps(0, 30);
  for (std::size_t at = 25; at < 30; ++at) {
    store_.apply(steps[at]);
  }
  EXPECT_GT(store_.judge({{.demanded = 20, .issued = 60}}).halves, 0U);
  // Each key on a shard of its own: every write is a commit by itself, without an order among them.
  const auto own_shard = [](std::uint32_t, std::string_view key) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(key[7]));
  };
  bool has_repeated_key = false;
  for (std::size_t at = 20; at < 25; ++at) {
    for (std::size_t later = 25; later < 30; ++later) {
      has_repeated_key = has_repeated_key || steps[at].number == steps[later].number;
    }
  }
  if (!has_repeated_key) {
    EXPECT_EQ(store_.judge({{.demanded = 20, .issued = 60}}, true, own_shard).halves, 0U);
  }
}

TEST_F(ExpectationsTest, RowsOfAScanThatDoNotAscendAreFound) {
  const Dataset dataset(job_.key_size, job_.value_size, job_.seed);
  Expectations expectations(job_, dataset, [](std::uint32_t, std::string_view) { return 0U; }, true);
  expectations.replay(0, key_set_of(job_, 0), {.demanded = 0, .issued = 60});
  expectations.begin_family(0);
  const std::vector<Step> steps = store_.steps(0, 60);
  Step low = steps[0];
  Step high = steps[0];
  for (const Step& step : steps) {
    low = step.number < low.number ? step : low;
    high = step.number > high.number ? step : high;
  }
  expectations.see_row(store_.key_of(high.number), store_.value_of(high));
  expectations.see_row(store_.key_of(low.number), store_.value_of(low));
  EXPECT_EQ(expectations.problems().order, 1U);
}

TEST(ExpectationsOfDeletes, AKeyThatWasDeletedIsGoneAndComesBackOnlyWithALaterWrite) {
  const Job job =
      job_of("op=batch\nopmix=put:50,delete:50\nkey_order=random\nbatch=4\nops=80\nclients=1\nfresh=1\npreload=0\n");
  Store store(job);
  store.write(0, 80);
  EXPECT_TRUE(store.judge({{.demanded = 80, .issued = 80}}).is_none());
  const std::vector<Step> steps = store.steps(0, 80);
  for (std::size_t at = 80; at-- > 1;) {
    if (steps[at].kind != OpKind::kDelete) {
      continue;
    }
    for (std::size_t before = at; before-- > 0;) {
      const bool is_last = std::none_of(steps.begin() + static_cast<std::ptrdiff_t>(at) + 1, steps.end(),
                                        [&](const Step& later) { return later.number == steps[at].number; });
      if (is_last && steps[before].number == steps[at].number && steps[before].kind == OpKind::kPut) {
        store.apply(steps[before]);
        const Problems problems = store.judge({{.demanded = 80, .issued = 80}});
        EXPECT_EQ(problems.invented, 1U);
        EXPECT_THAT(problems.first, HasSubstr("was deleted"));
        return;
      }
    }
  }
  FAIL() << "no put with a delete as its end";
}

}  // namespace
}  // namespace penstock::bench
