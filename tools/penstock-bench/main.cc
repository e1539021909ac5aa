// penstock-bench: runs job files against Penstock and its peers and reports in fio's manner.
//
// Exit codes: 0 all is well, 1 a job or its verification failed, 2 usage, 3 the machine lacks what a job requires, 4 a limit
// (max_latency, rate_min) was missed, 128 interrupted.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "tools/penstock-bench/command_line.h"
#include "tools/penstock-bench/hgrm.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/manual.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/report.h"
#include "tools/penstock-bench/report_command.h"
#include "tools/penstock-bench/runner.h"
#include "tools/penstock-bench/session.h"

namespace penstock::bench {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitEnvironment = 3;
constexpr int kExitLimit = 4;
constexpr int kExitInterrupted = 128;

std::vector<Job> jobs_of(const CommandLine& line, const std::vector<Section>& sections) {
  std::vector<Job> jobs = build_jobs(sections, line.overrides);
  if (line.engines.empty()) {
    return jobs;
  }
  bool begins = true;  // What was left out may have been a stonewall.
  std::vector<Job> wanted;
  for (const Job& job : jobs) {
    begins = begins || job.stonewall;
    if (std::ranges::find(line.engines, engine_name(job.engine)) != line.engines.end()) {
      wanted.push_back(job);
      wanted.back().stonewall = std::exchange(begins, false);
    }
  }
  if (wanted.empty()) {
    throw UsageError("no job has an engine that --only-engine names");
  }
  return wanted;
}

void write_file(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  const bool is_written = file != nullptr && std::fputs(text.c_str(), file) >= 0;
  const bool is_closed = file != nullptr && std::fclose(file) == 0;
  if (!is_written || !is_closed) {
    throw std::runtime_error(path + " cannot be written");
  }
}

// The first interrupt ends the jobs in good order, the third ends the process. The second may be the first once more:
// timeout(1) sends its signal to the process and then to its group.
void on_interrupt(int) {
  static std::atomic<int> count{0};
  g_interrupted.store(true);
  if (count.fetch_add(1) >= 2) {
    std::_Exit(kExitInterrupted);
  }
}

void stop_on_interrupt() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  action.sa_handler = [](int) { g_status_wanted.store(true); };
  ::sigaction(SIGUSR1, &action, nullptr);
}

// Where the report goes: standard output, or a file.
class Output {
 public:
  explicit Output(const std::string& path) : file_(path.empty() ? stdout : std::fopen(path.c_str(), "w")), path_(path) {
    if (file_ == nullptr) {
      throw std::runtime_error(path + " cannot be written");
    }
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (file_ != stdout) {
      std::fclose(file_);
    }
  }
  void print(const std::string& text) {
    if (std::fputs(text.c_str(), file_) < 0 || std::fflush(file_) != 0) {
      throw std::runtime_error((path_.empty() ? "standard output" : path_) + " cannot be written");
    }
  }

 private:
  std::FILE* file_;
  std::string path_;
};

void write_hgrm(const CommandLine& line, const JobResult& result) {
  for (const OpStats& stats : result.ops) {
    const std::string name = result.ops.size() == 1 ? result.job.name : result.job.name + "-" + kind_name(stats.kind);
    write_file(hgrm_path(line.hgrm_prefix, name), hgrm_text(stats.latency));
  }
}

// A document of its own; one line where several follow on each other.
std::string json_text(const CommandLine& line, const std::vector<JobResult>& results, const Machine& machine) {
  const std::string text = json_report(results, machine, line.has_bins ? JsonBins::kWith : JsonBins::kWithout);
  return line.status_interval_ns == 0 ? text : nlohmann::ordered_json::parse(text).dump() + "\n";
}

// Results of jobs that still run.
StatusReport status_report(const CommandLine& line, const Machine& machine, std::uint32_t group, Output& output) {
  return {.interval_ns = line.status_interval_ns, .print = [&, group](std::vector<JobResult> so_far) {
            const std::vector<JobResult> results = merge_groups(std::move(so_far), group);
            if (line.prints_json) {
              output.print(json_text(line, results, machine));
            }
            for (const JobResult& result : results) {
              if (line.prints_text) {
                output.print("\nso far: " + text_report(result));
              }
            }
          }};
}

// Jobs of the command line and the files, those of one run together.
std::vector<JobResult> run_all(const CommandLine& line, const std::vector<Job>& jobs, const Machine& machine, Output& output) {
  std::vector<JobResult> all;
  std::span<const Job> left = jobs;
  Session session;
  while (!left.empty() && !g_interrupted) {
    const std::size_t count = concurrent_jobs(left);
    const std::uint32_t group = all.empty() ? 0 : all.back().group_id + 1;
    const StatusReport status = status_report(line, machine, group, output);
    for (JobResult& result : merge_groups(run_jobs(session, left.first(count), line.eta, nullptr, status), group)) {
      if (line.prints_text) {
        output.print("\n" + text_report(result));
      }
      if (!line.hgrm_prefix.empty()) {
        write_hgrm(line, result);
      }
      all.push_back(std::move(result));
    }
    left = left.subspan(count);
  }
  session.close();
  return all;
}

// The worst that happened; an interrupt shows where nothing else did.
int exit_code_of(const std::vector<JobResult>& results) {
  const auto has = [&results](Failure failure) {
    return std::ranges::any_of(results, [failure](const JobResult& result) { return result.failure == failure; });
  };
  if (has(Failure::kJob)) {
    return kExitFailed;
  }
  if (has(Failure::kEnvironment)) {
    return kExitEnvironment;
  }
  return has(Failure::kLimit) ? kExitLimit : g_interrupted ? kExitInterrupted : kExitOk;
}

int run_and_report(const CommandLine& line, const std::vector<Job>& jobs) {
  stop_on_interrupt();
  Output output(line.output_path);
  const Machine machine = read_machine(jobs.front().directory);
  if (line.prints_text) {
    output.print(fmt::format("penstock-bench {}\n{}", PENSTOCK_BENCH_VERSION, machine_text(machine)));
  }
  const std::vector<JobResult> results = run_all(line, jobs, machine, output);
  if (line.prints_text) {
    output.print(run_status(results));
  }
  if (line.prints_json) {
    output.print(json_text(line, results, machine));
  }
  if (!line.json_path.empty()) {
    write_file(line.json_path, json_report(results, machine, line.has_bins ? JsonBins::kWith : JsonBins::kWithout));
  }
  return exit_code_of(results);
}

std::string shown_text(const CommandLine& line) {
  switch (line.show) {
    case Show::kHelp:
      return help_text();
    case Show::kManual:
      return manual_page();
    case Show::kEngines:
      return engine_help();
    case Show::kVersion:
      return fmt::format("penstock-bench {}\n", PENSTOCK_BENCH_VERSION);
    default:
      break;
  }
  if (line.shown_key.empty()) {
    return key_help();
  }
  const Key* key = find_key(line.shown_key);
  if (key == nullptr) {
    throw UsageError(
        fmt::format("no key '{}'; the nearest is '{}'", line.shown_key, nearest_word(line.shown_key, key_names())));
  }
  return key_help(*key);
}

void list_jobs(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    fmt::print("{}\t{}\t{}\n", job.name, engine_name(job.engine), op_name(job.op));
  }
}

int run(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments.front() == "report") {
    return run_report_command({arguments.begin() + 1, arguments.end()});
  }
  CommandLine line;
  std::vector<Job> jobs;
  try {
    const Environment environment = process_environment();
    line = parse_command_line(arguments, environment);
    if (line.show != Show::kNothing) {
      fmt::print("{}", shown_text(line));
      return kExitOk;
    }
    const std::vector<Section> sections = read_sections(line, environment);
    jobs = jobs_of(line, sections);
    if (line.shows_commands) {
      fmt::print("penstock-bench");
      for (const Section& section : sections) {
        fmt::print(" {}", command_of(section));
      }
      fmt::print("\n");
      return kExitOk;
    }
    if (line.lists_jobs) {
      list_jobs(jobs);
      return kExitOk;
    }
    require_engines(jobs);
  } catch (const UsageError& error) {
    fmt::print(stderr, "penstock-bench: {}\n", error.what());
    return kExitUsage;
  }
  return line.only_parses ? kExitOk : run_and_report(line, jobs);
}

}  // namespace
}  // namespace penstock::bench

int main(int argument_count, char** arguments) {
  try {
    return penstock::bench::run(std::vector<std::string>(arguments + 1, arguments + argument_count));
  } catch (const std::exception& error) {
    fmt::print(stderr, "penstock-bench: {}\n", error.what());
    return penstock::bench::kExitFailed;
  }
}
