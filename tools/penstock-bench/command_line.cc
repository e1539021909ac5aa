#include "tools/penstock-bench/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tools/penstock-bench/job_keys.h"

namespace penstock::bench {
namespace {

void set_eta(CommandLine& line, const std::string& text) {
  if (text == "auto") {
    line.eta.mode = Eta::kAuto;
  } else if (text == "always") {
    line.eta.mode = Eta::kAlways;
  } else if (text == "never") {
    line.eta.mode = Eta::kNever;
  } else {
    throw std::invalid_argument("auto, always or never was expected");
  }
}

void set_output_format(CommandLine& line, std::string_view text) {
  line.prints_text = line.prints_json = line.has_bins = false;
  while (!text.empty()) {
    const std::string_view format = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), format.size() + 1));
    if (format == "normal") {
      line.prints_text = true;
    } else if (format == "json" || format == "json+") {
      line.prints_json = true;
      line.has_bins = line.has_bins || format == "json+";
    } else {
      throw std::invalid_argument("a list of normal, json and json+ was expected");
    }
  }
  if (!line.prints_text && !line.prints_json) {
    throw std::invalid_argument("a list of normal, json and json+ was expected");
  }
}

void set_override(CommandLine& line, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw std::invalid_argument("KEY=VALUE was expected");
  }
  line.overrides.push_back(
      {.key = text.substr(0, equals), .value = text.substr(equals + 1), .place = {.file = "command line", .line = 0}});
}

void show_keys(CommandLine& line, const std::string& key) {
  line.show = Show::kKeys;
  line.shown_key = key == "all" ? "" : key;
}

constexpr Option kOptions[] = {
    {"section", "NAME", [](CommandLine& line, const std::string& text) { line.sections.push_back(text); },
     "Run this section of the job files only; may be repeated."},
    {"only-engine", "NAME", [](CommandLine& line, const std::string& text) { line.engines.push_back(text); },
     "Run the jobs of this engine only; may be repeated. (--engine=NAME is a key: the engine of jobs that name none.)"},
    {"set", "KEY=VALUE", set_override, "A key for all jobs, over what their sections say; may be repeated."},
    {"parse-only", "", [](CommandLine& line, const std::string&) { line.only_parses = true; }, "Check the job files and stop."},
    {"showcmd", "", [](CommandLine& line, const std::string&) { line.shows_commands = true; },
     "Print the job files as command lines and stop."},
    {"list", "", [](CommandLine& line, const std::string&) { line.lists_jobs = true; },
     "Print name, engine and op of each job that would run, and stop."},
    {"output", "FILE", [](CommandLine& line, const std::string& text) { line.output_path = text; },
     "Write the report there instead of to standard output."},
    {"output-format", "FORMAT,...", [](CommandLine& line, const std::string& text) { set_output_format(line, text); },
     "normal for people (the default), json for programs, json+ with the buckets of all histograms."},
    {"json", "FILE", [](CommandLine& line, const std::string& text) { line.json_path = text; }, "Write the JSON there, too."},
    {"hgrm", "PREFIX", [](CommandLine& line, const std::string& text) { line.hgrm_prefix = text; },
     "Write each job's latencies to PREFIXjob-op.hgrm, for HdrHistogram's plotter."},
    {"eta", "WHEN", set_eta, "The live line on standard error: auto, always or never."},
    {"eta-newline", "TIME", [](CommandLine& line, const std::string& text) { line.eta.newline_ns = parse_duration_ns(text); },
     "Leave a live line standing so often."},
    {"status-interval", "TIME",
     [](CommandLine& line, const std::string& text) { line.status_interval_ns = parse_duration_ns(text); },
     "Report so often what was measured so far, too. Each JSON document is one line then."},
    {"cmdhelp", "[KEY]", show_keys, "List the keys of job files, or say all of one."},
    {"enghelp", "", [](CommandLine& line, const std::string&) { line.show = Show::kEngines; },
     "List the engines, with their versions or what to install for them."},
    {"man", "", [](CommandLine& line, const std::string&) { line.show = Show::kManual; },
     "Print the manual page (docs/penstock-bench.1)."},
    {"help", "", [](CommandLine& line, const std::string&) { line.show = Show::kHelp; }, "Print this."},
    {"version", "", [](CommandLine& line, const std::string&) { line.show = Show::kVersion; }, "Print the version."},
};

// One argument after the other.
class Reader {
 public:
  Reader(const std::vector<std::string>& arguments, const Environment& environment)
      : arguments_(arguments), environment_(environment) {}

  CommandLine read() {
    for (; at_ < arguments_.size(); ++at_) {
      const std::string& argument = arguments_[at_];
      if (!argument.starts_with("--")) {
        if (argument.starts_with('-')) {
          throw UsageError(fmt::format("'{}' is no option: options begin with two dashes; see --help", argument));
        }
        line_.sources.push_back({.file = argument, .sections = {}});
        in_section_ = false;
      } else {
        read_option(argument.substr(2));
      }
    }
    add_globals();
    return std::move(line_);
  }

 private:
  void read_option(const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const std::optional<std::string> value =
        equals == std::string::npos ? std::nullopt : std::optional(text.substr(equals + 1));
    const auto* const option = std::ranges::find_if(kOptions, [&](const Option& each) { return name == each.name; });
    if (name == "name") {
      begin_section(value.has_value() ? *value : following("name"));
    } else if (option != std::end(kOptions)) {
      set_option(*option, value);
    } else if (const Key* key = find_key(name); key != nullptr) {
      add_setting(*key, value);
    } else {
      throw UsageError(fmt::format("unknown option '--{}'; the nearest is '--{}'", name, nearest_word(name, known_names())));
    }
  }

  void set_option(const Option& option, const std::optional<std::string>& value) {
    const std::string_view argument = option.argument;
    if (argument.empty() && value.has_value()) {
      throw UsageError(fmt::format("--{} takes no value", option.name));
    }
    const bool may_be_left_out = argument.empty() || argument.starts_with('[');
    const std::string text = value.has_value() ? *value : may_be_left_out ? std::string() : following(option.name);
    try {
      option.set(line_, text);
    } catch (const std::invalid_argument& error) {
      throw UsageError(fmt::format("--{}={}: {}", option.name, text, error.what()));
    }
  }

  void add_setting(const Key& key, const std::optional<std::string>& value) {
    const Place place = here();
    std::string text = "1";
    if (value.has_value()) {
      text = *value;
    } else if (key.values != std::string_view(kFlagValues)) {
      text = following(key.name);
    }
    const Setting setting{.key = key.name, .value = with_environment(text, environment_, place), .place = place};
    (in_section_ ? line_.sources.back().sections.back().settings : line_.globals).push_back(setting);
  }

  void begin_section(const std::string& name) {
    in_section_ = name != "global";
    if (!in_section_) {
      return;
    }
    if (line_.sources.empty() || !line_.sources.back().file.empty()) {
      line_.sources.push_back({});
    }
    std::vector<Section>& sections = line_.sources.back().sections;
    sections.push_back({.name = name, .place = here(), .settings = {}, .begins_file = sections.empty()});
  }

  // Keys before the first --name come before a section's own, wherever they stand.
  void add_globals() {
    for (JobSource& source : line_.sources) {
      for (Section& section : source.sections) {
        section.settings.insert(section.settings.begin(), line_.globals.begin(), line_.globals.end());
      }
    }
  }

  std::string following(const char* name) {
    if (at_ + 1 == arguments_.size()) {
      throw UsageError(fmt::format("--{} needs a value", name));
    }
    return arguments_[++at_];
  }

  Place here() const { return {.file = "command line", .line = static_cast<std::uint32_t>(at_ + 1)}; }

  static std::vector<std::string> known_names() {
    std::vector<std::string> names = key_names();
    names.emplace_back("name");
    std::ranges::transform(kOptions, std::back_inserter(names), &Option::name);
    return names;
  }

  const std::vector<std::string>& arguments_;
  const Environment& environment_;
  std::size_t at_ = 0;
  bool in_section_ = false;
  CommandLine line_;
};

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=:,./+%@";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  std::string text = "'";
  for (const char letter : word) {
    text += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return text + "'";
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments, const Environment& environment) {
  return Reader(arguments, environment).read();
}

std::span<const Option> program_options() { return kOptions; }

std::vector<Section> read_sections(const CommandLine& line, const Environment& environment) {
  std::vector<Section> all;
  for (const JobSource& source : line.sources) {
    const std::vector<Section> sections =
        source.file.empty() ? source.sections : read_job_file(source.file, environment, line.globals);
    bool is_first = true;
    for (const Section& section : sections) {
      if (line.sections.empty() || std::ranges::find(line.sections, section.name) != line.sections.end()) {
        all.push_back(section);
        all.back().begins_file = std::exchange(is_first, false);
      }
    }
  }
  if (all.empty()) {
    throw UsageError(line.sources.empty() ? "no job: a job file or --name=JOB was expected; see --help"
                                          : "no job file has a section that --section names");
  }
  return all;
}

std::string command_of(const Section& section) {
  std::string text = "--name=" + quoted(section.name);
  for (const Setting& setting : section.settings) {
    text += fmt::format(" {}", quoted("--" + setting.key + "=" + setting.value));
  }
  return text;
}

}  // namespace penstock::bench
