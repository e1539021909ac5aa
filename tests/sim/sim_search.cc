#include "tests/sim/sim_search.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <sstream>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "tests/sim/sim_memory.h"

namespace penstock::simtest {

namespace {

/// A run of a plan takes a fraction of a second.
constexpr unsigned kSecondsMax = 60;
/// Seeds that share a child, so that forks cost nothing; a child that dies tells which one it was at.
constexpr std::uint64_t kSeedsPerChild = 16;
/// Of so many seeds one runs twice, and must leave the same trace.
constexpr std::uint64_t kRepeatedOneIn = 64;

std::map<std::string, std::uint64_t> marks_now() {
  std::map<std::string, std::uint64_t> marks;
  for (const base::SometimesMark* mark = base::SometimesMark::first(); mark != nullptr; mark = mark->next()) {
    marks[mark->name()] += mark->hits();
  }
  return marks;
}

/// One line of text for each outcome: numbers, then the message.
std::string encode(std::uint64_t seed, const RunOutcome& outcome) {
  std::ostringstream out;
  out << seed << ' ' << outcome.trace_hash << ' ' << outcome.cycle << ' ' << outcome.events << ' ' << outcome.operations;
  const auto* const counts = reinterpret_cast<const std::uint64_t*>(&outcome.counts);
  for (std::size_t index = 0; index < sizeof(SimCounts) / sizeof(std::uint64_t); ++index) {
    out << ' ' << counts[index];
  }
  std::string message = outcome.wrong;
  std::ranges::replace(message, '\n', ' ');
  out << ' ' << message << '\n';
  return out.str();
}

bool decode(const std::string& line, std::uint64_t& seed, RunOutcome& outcome) {
  std::istringstream in(line);
  in >> seed >> outcome.trace_hash >> outcome.cycle >> outcome.events >> outcome.operations;
  auto* const counts = reinterpret_cast<std::uint64_t*>(&outcome.counts);
  for (std::size_t index = 0; index < sizeof(SimCounts) / sizeof(std::uint64_t); ++index) {
    in >> counts[index];
  }
  in.get();
  std::getline(in, outcome.wrong);
  return !in.bad();
}

void write_all(int file, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(file, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    PENSTOCK_ASSERT_GT(written, 0);
    done += static_cast<std::size_t>(written);
  }
}

/// What a child said, and how it ended: empty if well.
struct ChildReport {
  std::vector<std::string> lines;
  std::string end;
};

/// What it prints on standard error comes back as its last words.
ChildReport in_child(const std::function<void(int)>& work) {
  std::array<int, 2> out{};
  PENSTOCK_ASSERT_EQ(::pipe(out.data()), 0);
  std::array<int, 2> words{};
  PENSTOCK_ASSERT_EQ(::pipe(words.data()), 0);
  const pid_t child = ::fork();
  PENSTOCK_ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(out[0]);
    ::dup2(words[1], 2);
    work(out[1]);
    ::_exit(0);
  }
  ::close(out[1]);
  ::close(words[1]);
  const auto read_all = [](int file) {
    std::string text;
    std::array<char, 4096> buffer{};
    while (true) {
      const ssize_t bytes = ::read(file, buffer.data(), buffer.size());
      if (bytes < 0 && errno == EINTR) {
        continue;
      }
      if (bytes <= 0) {
        break;
      }
      text.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
    ::close(file);
    return text;
  };
  ChildReport report;
  std::istringstream lines(read_all(out[0]));
  for (std::string line; std::getline(lines, line);) {
    report.lines.push_back(line);
  }
  std::string last_words = read_all(words[0]);
  std::ranges::replace(last_words, '\n', ' ');
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    report.end = WTERMSIG(status) == SIGALRM ? "it took over " + std::to_string(kSecondsMax) + " s"
                                             : "it died by signal " + std::to_string(WTERMSIG(status)) + ": " + last_words;
  } else if (WEXITSTATUS(status) != 0) {
    report.end = "it ended with status " + std::to_string(WEXITSTATUS(status)) + ": " + last_words;
  }
  return report;
}

constexpr const char* kMarkLine = "mark ";

void report_marks(int file) {
  for (const auto& [name, hits] : marks_now()) {
    write_all(file, kMarkLine + std::to_string(hits) + " " + name + "\n");
  }
}

bool take_mark(const std::string& line, std::map<std::string, std::uint64_t>& marks) {
  if (!line.starts_with(kMarkLine)) {
    return false;
  }
  std::istringstream in(line.substr(std::strlen(kMarkLine)));
  std::uint64_t hits = 0;
  std::string name;
  in >> hits;
  in.get();
  std::getline(in, name);
  marks[name] += hits;
  return true;
}

}  // namespace

RunOutcome run_here(const Plan& plan, bool prints_trace) {
  SimMemory::in_place();
  RunOutcome outcome;
  EngineSim sim(plan, outcome.counts);
  if (prints_trace) {
    sim.print_trace();
  }
  outcome.wrong = sim.run();
  outcome.trace_hash = sim.trace_hash();
  outcome.cycle = sim.cycle();
  outcome.events = sim.events();
  outcome.operations = sim.operations();
  return outcome;
}

RunOutcome run_in_child(const Plan& plan) {
  const ChildReport report = in_child([&plan](int file) {
    ::alarm(kSecondsMax);
    write_all(file, encode(plan.seed, run_here(plan, false)));
  });
  RunOutcome outcome;
  std::uint64_t seed = 0;
  if (!report.lines.empty()) {
    decode(report.lines.front(), seed, outcome);
  }
  if (!report.end.empty()) {
    outcome.wrong = report.end;
  }
  return outcome;
}

SearchResult search(const SearchOptions& options) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto seconds = [begin] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  SearchResult result;
  std::uint64_t seed = options.first_seed;
  const auto is_over = [&] {
    return result.seeds >= options.seeds_wanted || result.counts.cycles >= options.cycles_wanted ||
           seconds() >= options.seconds || result.failures.size() >= options.failures_max;
  };
  double said = 0;
  while (!is_over()) {
    const std::uint64_t count = std::min(kSeedsPerChild, options.seeds_wanted - result.seeds);
    const ChildReport report = in_child([&](int file) {
      Plan plan = options.pattern;
      for (std::uint64_t index = 0; index < count; ++index) {
        plan.seed = seed + (index * options.seed_step);
        ::alarm(kSecondsMax);
        RunOutcome outcome = run_here(plan, false);
        if (plan.seed % kRepeatedOneIn == 0 && outcome.wrong.empty() &&
            run_here(plan, false).trace_hash != outcome.trace_hash) {
          outcome.wrong = "two runs left different traces";
        }
        write_all(file, encode(plan.seed, outcome));
        if (!outcome.wrong.empty()) {
          break;
        }
      }
      report_marks(file);
    });
    std::uint64_t done = 0;
    for (const std::string& line : report.lines) {
      if (take_mark(line, result.marks)) {
        continue;
      }
      RunOutcome outcome;
      std::uint64_t which = 0;
      decode(line, which, outcome);
      ++done;
      result.counts.add(outcome.counts);
      if (!outcome.wrong.empty()) {
        result.failures.push_back({.plan = options.pattern, .wrong = outcome.wrong});
        result.failures.back().plan.seed = which;
      }
    }
    if (!report.end.empty()) {
      result.failures.push_back({.plan = options.pattern, .wrong = report.end});
      result.failures.back().plan.seed = seed + (done * options.seed_step);
      ++done;
    }
    PENSTOCK_ASSERT_GT(done, 0U);
    result.seeds += done;
    seed += done * options.seed_step;
    if (options.say != nullptr && seconds() - said >= 30) {
      said = seconds();
      options.say(std::to_string(result.seeds) + " seeds, " + std::to_string(result.counts.cycles) + " cycles, " +
                  std::to_string(static_cast<std::uint64_t>(said)) + " s");
    }
  }
  return result;
}

// --- making a failure small ---

namespace {

/// Keeps the smallest failing plan.
class Shrinker {
 public:
  Shrinker(Plan failing, std::uint64_t runs_max, const std::function<void(const std::string&)>& say)
      : plan_(std::move(failing)), runs_left_(runs_max), say_(say) {}

  Plan run() {
    last_ = run_in_child(plan_);
    if (last_.wrong.empty()) {
      return plan_;  // It does not fail when it is alone.
    }
    fewer_cycles();
    earlier_cut();
    for (std::size_t index = 0; index < kFeatureCount; ++index) {
      Plan plan = plan_;
      plan.without.push_back(static_cast<Feature>(index));
      if (plan_.knobs().features.has(static_cast<Feature>(index))) {
        attempt(plan);
      }
    }
    smaller_knobs();
    fewer_operations();
    fewer_cycles();
    return plan_;
  }

 private:
  bool attempt(const Plan& plan) {
    if (runs_left_ == 0) {
      return false;
    }
    --runs_left_;
    RunOutcome outcome = run_in_child(plan);
    if (outcome.wrong.empty()) {
      return false;
    }
    plan_ = plan;
    last_ = std::move(outcome);
    if (say_ != nullptr) {
      say_(plan_.to_string() + ": " + last_.wrong);
    }
    return true;
  }

  void fewer_cycles() {
    while (plan_.cycles > 0) {
      Plan plan = plan_;
      plan.cycles = std::min(plan.cycles - 1, last_.cycle == 0 ? plan.cycles - 1 : last_.cycle);
      if (!attempt(plan)) {
        return;
      }
    }
  }

  void earlier_cut() {
    std::uint64_t step = last_.events / 2;
    while (step > 0) {
      Plan plan = plan_;
      const std::uint64_t from = plan_.until == 0 ? last_.events : plan_.until;
      plan.until = from > step ? from - step : 1;
      if (!attempt(plan)) {
        step /= 2;
      }
    }
  }

  void smaller_knobs() {
    static constexpr std::array<const char*, 9> kNames{"shards", "reactors", "clients",     "memory_mib",   "batch_operations",
                                                       "keys",   "events",   "value_bytes", "errors_one_in"};
    for (const char* name : kNames) {
      Knobs knobs = plan_.knobs();
      for (std::uint64_t value = 1; value < *knobs.find(name); value *= 2) {
        Plan plan = plan_;
        std::erase_if(plan.settings, [name](const auto& setting) { return setting.first == name; });
        plan.settings.emplace_back(name, value);
        if (attempt(plan)) {
          break;
        }
      }
    }
  }

  /// Halves, quarters and so on of what clients do are left out.
  void fewer_operations() {
    for (std::uint64_t part = std::max<std::uint64_t>(last_.operations / 2, 1); part > 0; part /= 2) {
      for (std::uint64_t first = 0; first < last_.operations && runs_left_ > 0; first += part) {
        Plan plan = plan_;
        if (plan.leaves_out(first)) {
          continue;
        }
        plan.left_out.emplace_back(first, first + part);
        attempt(plan);
      }
    }
  }

  Plan plan_;
  RunOutcome last_;
  std::uint64_t runs_left_;
  const std::function<void(const std::string&)>& say_;
};

}  // namespace

Plan make_small(const Plan& failing, std::uint64_t runs_max, const std::function<void(const std::string&)>& say) {
  return Shrinker(failing, runs_max, say).run();
}

}  // namespace penstock::simtest
