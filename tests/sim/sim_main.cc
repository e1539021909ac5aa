// penstock-sim: the simulator as a program. `./dev sim` builds and runs it.
//
//   penstock-sim --seed N [--cycles N] [--trace] [--until EVENT] [--no FEATURE[,FEATURE]] [--set KNOB=N] [--leave-out
//   A-B[,...]]
//     runs one plan, prints the hash of its trace, and says what was wrong.
//   penstock-sim --minutes M | --search-cycles N | --seeds N  [--from SEED] [--step N] [--all-marks] [--failures N] [--no ...]
//     looks for a plan that fails, from SEED on; makes the first one small. --all-marks: fails if a mark was never reached.
// Exit status: 0 all is well, 1 something is wrong, 2 bad arguments.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/sim/sim_search.h"

namespace {

using namespace penstock::simtest;

constexpr std::uint64_t kShrinkRunsMax = 400;

struct Arguments {
  Plan plan;
  SearchOptions search;
  bool searches = false;
  bool prints_trace = false;
  bool wants_all_marks = false;
  bool makes_small = true;
};

void say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

bool take(Arguments& arguments, std::string_view option, const std::string& value) {
  if (option == "--minutes") {
    arguments.search.seconds = std::strtod(value.c_str(), nullptr) * 60;
  } else if (option == "--search-cycles") {
    arguments.search.cycles_wanted = std::strtoull(value.c_str(), nullptr, 10);
  } else if (option == "--seeds") {
    arguments.search.seeds_wanted = std::strtoull(value.c_str(), nullptr, 10);
  } else if (option == "--from") {
    arguments.search.first_seed = std::strtoull(value.c_str(), nullptr, 10);
    return true;
  } else if (option == "--step") {
    arguments.search.seed_step = std::strtoull(value.c_str(), nullptr, 10);
    return true;
  } else if (option == "--failures") {
    arguments.search.failures_max = std::strtoull(value.c_str(), nullptr, 10);
    return true;
  } else {
    return arguments.plan.parse(option, value);
  }
  arguments.searches = true;
  return true;
}

bool parse(int count, char** texts, Arguments& arguments) {
  for (int index = 1; index < count; ++index) {
    const std::string_view option = texts[index];
    const bool has_value = index + 1 < count;
    if (option == "--trace") {
      arguments.prints_trace = true;
    } else if (option == "--all-marks") {
      arguments.wants_all_marks = true;
    } else if (option == "--as-it-is") {
      arguments.makes_small = false;
    } else if (has_value && take(arguments, option, texts[index + 1])) {
      ++index;
    } else {
      std::fprintf(stderr, "penstock-sim: bad argument %s\n", texts[index]);
      return false;
    }
  }
  return true;
}

int run_one(const Arguments& arguments) {
  const RunOutcome outcome = run_here(arguments.plan, arguments.prints_trace);
  say(outcome.counts.to_string());
  char hash[32];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(outcome.trace_hash));
  say("trace " + std::string(hash) + ", " + std::to_string(outcome.events) + " events, " + std::to_string(outcome.operations) +
      " operations");
  say(outcome.wrong.empty() ? "ok" : "WRONG: " + outcome.wrong);
  return outcome.wrong.empty() ? 0 : 1;
}

int run_search(Arguments& arguments) {
  arguments.search.pattern = arguments.plan;
  arguments.search.say = say;
  const SearchResult result = search(arguments.search);
  say(std::to_string(result.seeds) + " seeds: " + result.counts.to_string());
  std::size_t reached = 0;
  for (const auto& [name, hits] : result.marks) {
    reached += hits > 0 ? 1U : 0U;
    if (hits == 0) {
      say("mark never reached: " + name);
    }
  }
  say("marks reached: " + std::to_string(reached) + " of " + std::to_string(result.marks.size()));
  for (const SearchResult::Failure& failure : result.failures) {
    say("WRONG: " + failure.plan.to_string() + ": " + failure.wrong);
  }
  if (!result.failures.empty()) {
    if (arguments.makes_small) {
      const Plan small = make_small(result.failures.front().plan, kShrinkRunsMax, nullptr);
      say("small: ./dev sim " + small.to_string() + " --trace");
      say("small: " + run_in_child(small).wrong);
    }
    return 1;
  }
  return arguments.wants_all_marks && reached != result.marks.size() ? 1 : 0;
}

}  // namespace

int main(int count, char** texts) {
  Arguments arguments;
  if (!parse(count, texts, arguments)) {
    return 2;
  }
  return arguments.searches ? run_search(arguments) : run_one(arguments);
}
