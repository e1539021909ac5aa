// What clients do, as plans: who goes through which keys, how often each kind of call comes, and that a plan repeats.
#include "tools/penstock-bench/plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace penstock::bench {
namespace {

Job job_of(const std::string& settings) {
  return build_jobs(parse_job_text("[a]\ndir=/d\nkeys=100\n" + settings, "a.ini", {}), {}).front();
}

struct Done {
  std::vector<Step> steps;
  std::map<OpKind, int> calls;
};

Done run(const Job& job, std::uint32_t client) {
  Plan plan(job, client);
  Done done;
  for (std::uint64_t left = plan.step_count(); left > 0;) {
    const Call call = plan.next_call(left);
    ++done.calls[call.kind];
    left -= call.operations;
    for (std::uint32_t at = 0; at < call.operations; ++at) {
      done.steps.push_back(plan.next(call.kind));
    }
  }
  return done;
}

using KeyOf = std::pair<std::uint32_t, std::uint32_t>;

// How often the clients together write each (family, key).
std::map<KeyOf, int> written(const Job& job) {
  std::map<KeyOf, int> counts;
  std::map<KeyOf, std::uint32_t> writers;
  for (std::uint32_t client = 0; client < job.clients; ++client) {
    for (const Step& step : run(job, client).steps) {
      if (kind_writes(step.kind)) {
        ++counts[{step.family, step.number}];
        EXPECT_EQ(writers.try_emplace({step.family, step.number}, client).first->second, client);  // Plan-I1.
      }
    }
  }
  return counts;
}

TEST(Plan, OrdersThatGoThroughTheKeysMeetEachOfEveryFamilyOnceForEachLoop) {
  for (const char* settings :
       {"key_order=sequential\n", "key_order=shuffled\n", "key_order=shuffled\ncfs=3\n",
        "key_order=sequential\ncfs=3\ncf_affinity=random\nbatch=7\n", "key_order=shuffled\ncfs=2\ncf_affinity=random\n"}) {
    const Job job = job_of(std::string("op=put\nclients=3\nloops=2\n") + settings);
    const auto counts = written(job);
    EXPECT_EQ(counts.size(), job.keys * job.cfs) << settings;
    for (const auto& [key, count] : counts) {
      EXPECT_EQ(count, 2) << settings << key.first << " " << key.second;
    }
  }
}

TEST(Plan, DrawnKeysOfWritersAreTheirOwnAndVersionsCountUp) {
  const Job job =
      job_of("op=mixed\nopmix=put:1,delete:1,rmw:1,get:1\nclients=4\ncfs=2\nkey_dist=zipf:0.99\nops=4000\nbatch=3\n");
  EXPECT_GT(written(job).size(), 150U);
  std::uint32_t version = 0;
  for (const Step& step : run(job, 1).steps) {
    EXPECT_EQ(step.version, kind_writes(step.kind) ? ++version : 0);
    EXPECT_EQ(step.family, 1U);
  }
}

TEST(Plan, RepeatsAndDiffersBetweenClientsAndCopies) {
  Job job = job_of("op=mixed\nopmix=get:1,put:1\nclients=2\nops=400\n");
  const auto numbers = [&](std::uint32_t client) {
    std::vector<std::uint32_t> found;
    for (const Step& step : run(job, client).steps) {
      found.push_back(step.number);
    }
    return found;
  };
  const auto first = numbers(0);
  EXPECT_EQ(first, numbers(0));
  EXPECT_NE(first, numbers(1));
  job.stream = 1;
  EXPECT_NE(first, numbers(0));
}

TEST(Plan, KindsComeInTheirShares) {
  const Done done = run(job_of("op=mixed\nopmix=get:80,put:15,scan:5\nops=20000\n"), 0);
  EXPECT_NEAR(done.calls.at(OpKind::kGet), 16'000, 300);
  EXPECT_NEAR(done.calls.at(OpKind::kPut), 3'000, 250);
  EXPECT_NEAR(done.calls.at(OpKind::kScan), 1'000, 150);
}

TEST(Plan, ABatchHoldsItsMixInOneCall) {
  const Done done = run(job_of("op=batch\nopmix=put:1,delete:3\nops=8000\nbatch=100\n"), 0);
  EXPECT_EQ(done.calls.at(OpKind::kBatch), 80);
  int deletes = 0;
  for (const Step& step : done.steps) {
    deletes += step.kind == OpKind::kDelete ? 1 : 0;
  }
  EXPECT_NEAR(deletes, 6'000, 200);
}

TEST(Plan, InsertsFollowOnTheKeysWithoutGapsAndLatestFollowsThem) {
  const Job job = job_of("op=mixed\nopmix=insert:1,get:1\nkey_dist=latest\nclients=3\nops=600\n");
  std::set<std::uint32_t> inserted;
  for (std::uint32_t client = 0; client < 3; ++client) {
    std::uint32_t count = 0;
    for (const Step& step : run(job, client).steps) {
      if (step.kind == OpKind::kInsert) {
        EXPECT_EQ(step.number, 100 + count++ * 3 + client);
      }
    }
  }
  Plan plan(job, 0);
  plan.set_newest(149);
  std::map<std::uint32_t, int> asked;
  for (int draw = 0; draw < 5000; ++draw) {
    ++asked[plan.next(OpKind::kGet).number];
  }
  EXPECT_EQ(asked.rbegin()->first, 149U);
  EXPECT_GT(asked[149], asked[120]);
}

TEST(Plan, SequentialScansFollowOnEachOtherInBothDirections) {
  const Job forward = job_of("op=scan\nkey_order=sequential\nscan_len=30\nengine=lmdb\n");
  std::vector<std::uint32_t> from;
  for (const Step& step : run(forward, 0).steps) {
    from.push_back(step.number);
  }
  EXPECT_EQ(from, (std::vector<std::uint32_t>{0, 30, 60, 90}));
  const Job reverse = job_of("op=scan\nkey_order=sequential\nscan_len=30\nengine=lmdb\nscan_dir=reverse\n");
  from.clear();
  for (const Step& step : run(reverse, 0).steps) {
    from.push_back(step.number);
  }
  EXPECT_EQ(from, (std::vector<std::uint32_t>{99, 69, 39, 9}));
}

TEST(Plan, RandomAffinityUsesEveryFamily) {
  std::map<std::uint32_t, int> families;
  for (const Step& step : run(job_of("op=get\ncfs=4\ncf_affinity=random\nops=4000\n"), 0).steps) {
    ++families[step.family];
  }
  ASSERT_EQ(families.size(), 4U);
  for (const auto& [family, count] : families) {
    EXPECT_NEAR(count, 1000, 150) << family;
  }
}

}  // namespace
}  // namespace penstock::bench
