// penstock-bench: runs job files against Penstock and its peers and reports in fio's manner.
//
// Exit codes: 0 all is well, 1 a job or its verification failed, 2 usage, 128 interrupted.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "tools/penstock-bench/hgrm.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/job_file.h"
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/peer.h"
#include "tools/penstock-bench/report.h"
#include "tools/penstock-bench/runner.h"
#include "tools/penstock-bench/session.h"

namespace penstock::bench {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 128;

struct CommandLine {
  std::vector<std::string> files;
  std::string directory;
  std::string json_path;
  std::string hgrm_prefix;
  std::vector<std::string> settings;
  std::vector<std::string> sections;
  std::vector<std::string> engines;
  Eta eta = Eta::kAuto;
  bool verify = false;
  bool only_parses = false;
  bool shows_keys = false;
  bool shows_engines = false;
  bool lists_jobs = false;
};

void define_options(CLI::App& app, CommandLine& line) {
  const std::vector<std::pair<std::string, Eta>> etas = {
      {"auto", Eta::kAuto}, {"always", Eta::kAlways}, {"never", Eta::kNever}};
  app.add_option("JOBFILE", line.files, "Job files; run one after another");
  app.add_option("--dir,--directory", line.directory, "Directory of the database, for all jobs");
  app.add_option("--set", line.settings, "KEY=VALUE for all jobs, over their own")->allow_extra_args(false);
  app.add_option("--section", line.sections, "Run only this section (may be repeated)")->allow_extra_args(false);
  app.add_option("--engine", line.engines, "Run only the jobs of this engine (may be repeated)")->allow_extra_args(false);
  app.add_option("--json", line.json_path, "Write the results there, too");
  app.add_option("--hgrm", line.hgrm_prefix,
                 "PREFIX: write each job's latencies to PREFIXjob.hgrm, for HdrHistogram's plotter");
  app.add_option("--eta", line.eta, "Live line: auto, always or never")->transform(CLI::CheckedTransformer(etas));
  app.add_flag("--verify", line.verify, "After each job close, reopen and check every acknowledged key and value");
  app.add_flag("--parse-only", line.only_parses, "Check the job files and stop");
  app.add_flag("--list", line.lists_jobs, "Print name, engine and op of each job that would run, and stop");
  app.add_flag("--enghelp", line.shows_engines, "List the engines, with their versions or what to install for them");
  app.add_flag("--cmdhelp", line.shows_keys, "List the keys of job files");
  app.set_version_flag("--version", std::string("penstock-bench ") + PENSTOCK_BENCH_VERSION);
}

std::vector<Setting> overrides_of(const CommandLine& line) {
  std::vector<Setting> overrides;
  const Place place{.file = "command line", .line = 1};
  for (const std::string& setting : line.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(fmt::format("--set {}: KEY=VALUE was expected", setting));
    }
    overrides.push_back({.key = setting.substr(0, equals), .value = setting.substr(equals + 1), .place = place});
  }
  if (!line.directory.empty()) {
    overrides.push_back({.key = "dir", .value = line.directory, .place = place});
  }
  if (line.verify) {
    overrides.push_back({.key = "verify", .value = "1", .place = place});
  }
  return overrides;
}

std::vector<Job> read_jobs(const CommandLine& line) {
  if (line.files.empty()) {
    throw UsageError("no job file; see --help");
  }
  const Environment environment = process_environment();
  std::vector<Section> sections;
  for (const std::string& file : line.files) {
    for (Section& section : read_job_file(file, environment)) {
      if (line.sections.empty() || std::ranges::find(line.sections, section.name) != line.sections.end()) {
        sections.push_back(std::move(section));
      }
    }
  }
  if (sections.empty()) {
    throw UsageError("no job file has a section that --section names");
  }
  std::vector<Job> jobs = build_jobs(sections, overrides_of(line));
  std::erase_if(jobs, [&](const Job& job) {
    return !line.engines.empty() && std::ranges::find(line.engines, engine_name(job.engine)) == line.engines.end();
  });
  if (jobs.empty()) {
    throw UsageError("no job has an engine that --engine names");
  }
  return jobs;
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
}

int run_jobs(const CommandLine& line, const std::vector<Job>& jobs) {
  stop_on_interrupt();
  const Machine machine = read_machine(jobs.front().directory);
  fmt::print("penstock-bench {}: {}\n", PENSTOCK_BENCH_VERSION, machine_line(machine));
  std::vector<JobResult> results;
  int exit_code = kExitOk;
  Session session;
  for (const Job& job : jobs) {
    if (g_interrupted) {
      break;
    }
    results.push_back(run_job(session, job, line.eta));
    fmt::print("\n{}", text_report(results.back()));
    std::fflush(stdout);
    if (!line.hgrm_prefix.empty()) {
      write_file(hgrm_path(line.hgrm_prefix, job.name), hgrm_text(results.back().latency));
    }
    if (!results.back().error.empty()) {
      exit_code = kExitFailed;
    }
  }
  session.close();
  if (!line.json_path.empty()) {
    write_file(line.json_path, json_report(results, machine));
  }
  return exit_code == kExitOk && g_interrupted ? kExitInterrupted : exit_code;
}

int run(const CommandLine& line) {
  if (line.shows_keys) {
    fmt::print("{}", key_help());
    return kExitOk;
  }
  if (line.shows_engines) {
    fmt::print("{}", engine_help());
    return kExitOk;
  }
  std::vector<Job> jobs;
  try {
    jobs = read_jobs(line);
    if (!line.lists_jobs) {
      require_engines(jobs);
    }
  } catch (const UsageError& error) {
    fmt::print(stderr, "penstock-bench: {}\n", error.what());
    return kExitUsage;
  }
  if (line.lists_jobs) {
    for (const Job& job : jobs) {
      fmt::print("{}\t{}\t{}\n", job.name, engine_name(job.engine), op_name(job.op));
    }
    return kExitOk;
  }
  return line.only_parses ? kExitOk : run_jobs(line, jobs);
}

}  // namespace
}  // namespace penstock::bench

int main(int argument_count, char** arguments) {
  penstock::bench::CommandLine line;
  CLI::App app("Measures Penstock and other engines with job files in the manner of fio; --cmdhelp lists their keys.",
               "penstock-bench");
  try {
    penstock::bench::define_options(app, line);
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? penstock::bench::kExitOk : penstock::bench::kExitUsage;
  }
  try {
    return penstock::bench::run(line);
  } catch (const std::exception& error) {
    fmt::print(stderr, "penstock-bench: {}\n", error.what());
    return penstock::bench::kExitFailed;
  }
}
