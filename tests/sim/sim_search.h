// Runs plans in child processes, looks for one that fails, and makes a failing one small.
//
// A child that stops at an assertion, dies by a signal or takes too long has failed like one that reports what is wrong. A
// failing plan is made smaller by what leaves it failing, in this order: fewer cycles; an earlier last power cut; features one
// by one; smaller knobs; fewer operations.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/engine_sim.h"
#include "tests/sim/sim_plan.h"

namespace penstock::simtest {

struct RunOutcome {
  std::string wrong;  ///< Empty: all is well.
  std::uint64_t trace_hash = 0;
  std::uint64_t cycle = 0;  ///< In which it ended.
  std::uint64_t events = 0;
  std::uint64_t operations = 0;
  SimCounts counts;
  std::map<std::string, std::uint64_t> marks;  ///< base/sometimes.h: hits, those of 0 too.
};

/// In this process.
RunOutcome run_here(const Plan& plan, bool prints_trace);
/// In a child, with a time limit.
RunOutcome run_in_child(const Plan& plan);

struct SearchOptions {
  std::uint64_t first_seed = 1;
  std::uint64_t seed_step = 1;
  std::uint64_t cycles_wanted = ~0ULL;  ///< Ends after so many crash-recover cycles,
  std::uint64_t seeds_wanted = ~0ULL;   ///< or so many seeds,
  double seconds = 1e18;                ///< or so much time.
  std::uint64_t failures_max = 1;
  Plan pattern;  ///< Its seed is replaced.
  std::function<void(const std::string&)> say;
};

struct SearchResult {
  std::uint64_t seeds = 0;
  SimCounts counts;
  std::map<std::string, std::uint64_t> marks;
  struct Failure {
    Plan plan;
    std::string wrong;
  };
  std::vector<Failure> failures;
};

SearchResult search(const SearchOptions& options);

/// The smallest failing plan that was found on the way, in so many runs at most.
Plan make_small(const Plan& failing, std::uint64_t runs_max, const std::function<void(const std::string&)>& say);

}  // namespace penstock::simtest
