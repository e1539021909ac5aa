// Reads job files: fio's INI dialect, as far as penstock-bench uses it. Knows sections, comments, ${ENVIRONMENT}, sizes and
// times, but not what keys mean (job.h).
//
//   [global]            ; defaults for the sections below it; may come again
//   dir=${HOME}/data
//   [fill]              # sections run at the same time unless there is a stonewall between them
//   clients=$ncores
//   reopen              ; a key alone is reopen=1
//   include other.ini   ; its lines stand here; a relative path counts from this file's folder
//
// Invariants:
//   JobFile-I1 Every setting keeps the file and line that it came from, so that every complaint can name them.
//   JobFile-I2 A section's own settings come after those of [global]: the last one of a key wins.
// Units: sizes are 1,024-based (4k = 4,096); times are nanoseconds, seconds unless a unit is given.
//   JobFile-I3 Lines of an included file mean what they would mean in the place of the include.
// Errors: UsageError; the text begins with "file:line: ".
// Source: fio's HOWTO, "Job file format" and "Parameter types".
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

/// The user's mistake: a bad option, key or value. The program ends with exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Place {
  std::string file;
  std::uint32_t line = 0;
  std::string to_string() const;
};

struct Setting {
  std::string key;
  std::string value;
  Place place;
};

struct Section {
  std::string name;
  Place place;
  std::vector<Setting> settings;
  bool begins_file = false;  ///< The first one of a file: jobs of different files do not run at the same time.
};

/// Asked for ${NAME}, and for $ncores and $mb_memory, which process_environment() knows of the machine. Tests pass their own.
using Environment = std::map<std::string, std::string, std::less<>>;
Environment process_environment();

/// `globals` stand before the file's own [global].
std::vector<Section> parse_job_text(std::string_view text, const std::string& file, const Environment& environment,
                                    const std::vector<Setting>& globals = {});
std::vector<Section> read_job_file(const std::string& path, const Environment& environment,
                                   const std::vector<Setting>& globals = {});
/// With ${NAME}, $ncores and $mb_memory put in. `place` is for the complaint.
std::string with_environment(std::string_view value, const Environment& environment, const Place& place);

/// Values. A value that is not understood throws std::invalid_argument with what was expected; job.cc adds the place.
std::uint64_t parse_size(std::string_view text);         ///< 150, 4k, 1m, 2g, 1t; also KiB, MiB, ...
std::uint64_t parse_duration_ns(std::string_view text);  ///< 10, 10s, 500ms, 20us, 5m, 1h
bool parse_flag(std::string_view text);                  ///< 0, 1, true, false, yes, no

/// The candidate that takes the fewest edits to become `word`; empty only without candidates.
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace penstock::bench
