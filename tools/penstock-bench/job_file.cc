#include "tools/penstock-bench/job_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

namespace penstock::bench {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kMachineVariables[] = {"ncores", "mb_memory"};

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// A comment begins at the line's start or after a blank, so that values may hold '#' and ';'.
std::string_view without_comment(std::string_view line) {
  for (std::size_t at = 0; at < line.size(); ++at) {
    const bool is_sign = line[at] == ';' || line[at] == '#';
    if (is_sign && (at == 0 || kBlanks.find(line[at - 1]) != std::string_view::npos)) {
      return line.substr(0, at);
    }
  }
  return line;
}

// The length of $NAME or ${NAME} at the beginning of `text`, and NAME; nothing: it is no variable.
struct Variable {
  std::size_t length = 0;
  std::string_view name;
};
std::optional<Variable> variable_at(std::string_view text, const Place& place) {
  if (text.starts_with("${")) {
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) {
      throw UsageError(fmt::format("{}: ${{ without a closing brace in '{}'", place.to_string(), text));
    }
    return Variable{.length = end + 1, .name = text.substr(2, end - 2)};
  }
  for (const std::string_view name : kMachineVariables) {
    if (text.starts_with('$') && text.substr(1).starts_with(name)) {
      return Variable{.length = name.size() + 1, .name = name};
    }
  }
  return std::nullopt;
}

Setting parse_setting(std::string_view line, const Environment& environment, const Place& place) {
  const std::size_t equals = line.find('=');
  const std::string_view key = trim(line.substr(0, equals));
  if (key.empty()) {
    throw UsageError(fmt::format("{}: no key before '='", place.to_string()));
  }
  if (key.find_first_of(kBlanks) != std::string_view::npos) {
    throw UsageError(fmt::format("{}: '{}' is not a key: one 'key=value' per line", place.to_string(), key));
  }
  const std::string_view value = equals == std::string_view::npos ? std::string_view("1") : trim(line.substr(equals + 1));
  return {.key = std::string(key), .value = with_environment(value, environment, place), .place = place};
}

std::string section_name(std::string_view line, const Place& place) {
  const std::string_view name = line.ends_with(']') ? trim(line.substr(1, line.size() - 2)) : std::string_view();
  if (name.empty()) {
    throw UsageError(fmt::format("{}: '{}' is not a section: [name] was expected", place.to_string(), line));
  }
  return std::string(name);
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream input(path);
  std::stringstream text;
  text << input.rdbuf();
  return input.is_open() && !input.bad() && !std::filesystem::is_directory(path) ? std::optional(text.str()) : std::nullopt;
}

// The path of "include PATH" or "include=PATH"; nothing: the line is another one.
std::optional<std::string_view> included_path(std::string_view line) {
  constexpr std::string_view kWord = "include";
  if (!line.starts_with(kWord)) {
    return std::nullopt;
  }
  const std::string_view rest = line.substr(kWord.size());
  const std::string_view path = trim(rest);
  if (path.starts_with('=')) {
    return trim(path.substr(1));
  }
  return rest.empty() || rest.size() > path.size() ? std::optional(path) : std::nullopt;
}

class Parser {
 public:
  Parser(const Environment& environment, const std::vector<Setting>& globals) : environment_(environment), global_(globals) {}

  void parse(std::string_view text, const std::string& file) {
    Place place{.file = file, .line = 0};
    while (!text.empty()) {
      ++place.line;
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = trim(without_comment(text.substr(0, end)));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (!line.empty()) {
        parse_line(line, place);
      }
    }
    lines_ = place.line;  // In the end of the file that all began with.
  }

  std::vector<Section> finish(const std::string& file) {
    if (sections_.empty()) {
      throw UsageError(fmt::format("{}:{}: no job: a section other than [global] was expected", file, std::max(lines_, 1U)));
    }
    sections_.front().begins_file = true;
    return std::move(sections_);
  }

 private:
  void parse_line(std::string_view line, const Place& place) {
    if (line.front() == '[') {
      begin_section(section_name(line, place), place);
    } else if (const std::optional<std::string_view> path = included_path(line)) {
      include(with_environment(*path, environment_, place), place);
    } else if (settings_ == nullptr) {
      throw UsageError(fmt::format("{}: '{}' stands before the first [section]", place.to_string(), line));
    } else {
      settings_->push_back(parse_setting(line, environment_, place));
    }
  }

  void begin_section(const std::string& name, const Place& place) {
    if (name == "global") {
      settings_ = &global_;
    } else {
      sections_.push_back({.name = name, .place = place, .settings = global_});
      settings_ = &sections_.back().settings;
    }
  }

  void include(const std::string& path, const Place& place) {
    constexpr int kDepthMax = 16;
    const std::string full = (std::filesystem::path(place.file).parent_path() / path).string();
    const std::optional<std::string> text = path.empty() ? std::nullopt : read_text(full);
    if (!text.has_value()) {
      throw UsageError(fmt::format("{}: include '{}': the file cannot be read", place.to_string(), path));
    }
    if (++depth_ > kDepthMax) {
      throw UsageError(fmt::format("{}: include '{}': files include each other without end", place.to_string(), path));
    }
    parse(*text, full);
    --depth_;
  }

  const Environment& environment_;
  std::vector<Section> sections_;
  std::vector<Setting> global_;
  std::vector<Setting>* settings_ = nullptr;  // Of the section that is being read.
  int depth_ = 0;
  std::uint32_t lines_ = 0;  // Of the file that was read last.
};

struct Number {
  std::uint64_t value = 0;
  std::string unit;  // Lower case.
};

Number split_number(std::string_view text) {
  Number number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (error != std::errc()) {
    throw std::invalid_argument("a whole number was expected");
  }
  number.unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  std::ranges::transform(number.unit, number.unit.begin(),
                         [](char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter; });
  return number;
}

std::uint64_t scaled(const Number& number, const std::vector<std::pair<std::string_view, std::uint64_t>>& units,
                     const char* expected) {
  for (const auto& [unit, factor] : units) {
    if (number.unit != unit) {
      continue;
    }
    if (number.value > std::numeric_limits<std::uint64_t>::max() / factor) {
      throw std::invalid_argument("the number is too large");
    }
    return number.value * factor;
  }
  throw std::invalid_argument(expected);
}

}  // namespace

std::string with_environment(std::string_view value, const Environment& environment, const Place& place) {
  std::string result;
  while (!value.empty()) {
    const std::optional<Variable> variable = variable_at(value, place);
    if (!variable.has_value()) {
      result += value.front();
      value.remove_prefix(1);
      continue;
    }
    const auto found = environment.find(variable->name);
    if (found == environment.end()) {
      throw UsageError(fmt::format("{}: the environment has no variable '{}'", place.to_string(), variable->name));
    }
    result += found->second;
    value.remove_prefix(variable->length);
  }
  return result;
}

std::string Place::to_string() const { return fmt::format("{}:{}", file, line); }

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  environment["ncores"] = std::to_string(std::max(1U, std::thread::hardware_concurrency()));
  environment["mb_memory"] = std::to_string(pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE)) / kMiB);
  return environment;
}

std::vector<Section> parse_job_text(std::string_view text, const std::string& file, const Environment& environment,
                                    const std::vector<Setting>& globals) {
  Parser parser(environment, globals);
  parser.parse(text, file);
  return parser.finish(file);
}

std::vector<Section> read_job_file(const std::string& path, const Environment& environment,
                                   const std::vector<Setting>& globals) {
  const std::optional<std::string> text = read_text(path);
  if (!text.has_value()) {
    throw UsageError(fmt::format("{}: the job file cannot be read", path));
  }
  return parse_job_text(*text, path, environment, globals);
}

std::uint64_t parse_size(std::string_view text) {
  constexpr std::uint64_t kKiB = 1024;
  return scaled(split_number(text),
                {{"", 1},
                 {"b", 1},
                 {"k", kKiB},
                 {"kib", kKiB},
                 {"m", kKiB * kKiB},
                 {"mib", kKiB * kKiB},
                 {"g", kKiB * kKiB * kKiB},
                 {"gib", kKiB * kKiB * kKiB},
                 {"t", kKiB * kKiB * kKiB * kKiB},
                 {"tib", kKiB * kKiB * kKiB * kKiB}},
                "a size was expected, as 150, 4k, 1m or 2g");
}

std::uint64_t parse_duration_ns(std::string_view text) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return scaled(
      split_number(text),
      {{"", kSecond}, {"s", kSecond}, {"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"m", 60 * kSecond}, {"h", 3'600 * kSecond}},
      "a time was expected, as 10s, 500ms or 2m");
}

bool parse_flag(std::string_view text) {
  if (text == "1" || text == "true" || text == "yes") {
    return true;
  }
  if (text == "0" || text == "false" || text == "no") {
    return false;
  }
  throw std::invalid_argument("0 or 1 was expected");
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_edits = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : candidates) {
    // One row of the table of edit distances: row[i] = edits from word's seen part to candidate's first i letters.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (const char letter : word) {
      std::size_t diagonal = row[0]++;
      for (std::size_t at = 1; at < row.size(); ++at) {
        const std::size_t replaced = diagonal + (candidate[at - 1] == letter ? 0 : 1);
        diagonal = row[at];
        row[at] = std::min({row[at] + 1, row[at - 1] + 1, replaced});
      }
    }
    if (row.back() < best_edits) {
      best_edits = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace penstock::bench
