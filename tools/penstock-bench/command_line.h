// The command line: fio's manner. Options of the program, options that are keys of job files, and job files, in any order.
//
//   penstock-bench --dir=/data a.ini b.ini              the jobs of a.ini, then those of b.ini
//   penstock-bench --dir=/data --engine=lmdb a.ini      keys before the first --name: defaults, below a file's own [global]
//   penstock-bench --dir=/data --name=w --op=put --batch=100 --name=r --op=get    two jobs, as sections of one file
// Invariants:
//   CommandLine-I1 One table has all options of the program: it parses them, and help and the manual page are made from it.
//   CommandLine-I2 No option of the program is called as a key of job files.
// Errors: UsageError naming the option, and the nearest one if there is none of its name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tools/penstock-bench/job_file.h"
#include "tools/penstock-bench/progress.h"

namespace penstock::bench {

enum class Show : std::uint8_t { kNothing, kHelp, kKeys, kEngines, kManual, kVersion };

/// A job file, or sections that stand on the command line.
struct JobSource {
  std::string file;  ///< Empty: `sections`.
  std::vector<Section> sections;
};

struct CommandLine {
  std::vector<JobSource> sources;
  std::vector<Setting> globals;    ///< Keys before the first --name.
  std::vector<Setting> overrides;  ///< --set
  std::vector<std::string> sections;
  std::vector<std::string> engines;
  std::string output_path;
  std::string json_path;
  std::string hgrm_prefix;
  bool prints_text = true;   ///< --output-format
  bool prints_json = false;  ///< The same.
  bool has_bins = false;     ///< JSON with the buckets of the histograms: json+.
  Eta eta;
  std::uint64_t status_interval_ns = 0;  ///< 0: no status.
  Show show = Show::kNothing;
  std::string shown_key;  ///< --cmdhelp=KEY
  bool only_parses = false;
  bool lists_jobs = false;
  bool shows_commands = false;
};

/// `arguments`: without the program's name.
CommandLine parse_command_line(const std::vector<std::string>& arguments, const Environment& environment);

struct Option {
  const char* name;      ///< Without the dashes.
  const char* argument;  ///< "FILE"; "": it has none; in brackets if it may be left out.
  void (*set)(CommandLine& line, const std::string& argument);
  const char* help;
};
std::span<const Option> program_options();

/// The sections of all sources, in order, those that --section names.
std::vector<Section> read_sections(const CommandLine& line, const Environment& environment);

/// A section as the command line that means the same.
std::string command_of(const Section& section);

}  // namespace penstock::bench
