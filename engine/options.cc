// Options from text: "name = value" lines, unknown names refused.
#include "penstock/options.h"

#include <charconv>
#include <functional>
#include <map>

namespace penstock {

namespace {

Bytes trim(Bytes text) {
  const auto is_space = [](char letter) { return letter == ' ' || letter == '\t' || letter == '\r'; };
  while (!text.empty() && is_space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

/// A number that may end in k, m or g (powers of 1,024).
bool parse_size(Bytes text, std::uint64_t& value) {
  std::uint32_t shift = 0;
  if (!text.empty()) {
    switch (text.back() | 0x20) {
      case 'k':
        shift = 10;
        break;
      case 'm':
        shift = 20;
        break;
      case 'g':
        shift = 30;
        break;
      default:
        break;
    }
  }
  if (shift != 0) {
    text.remove_suffix(1);
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > (~std::uint64_t{0} >> shift)) {
    return false;
  }
  value = number << shift;
  return true;
}

bool parse_count(Bytes text, std::uint32_t& value) {
  std::uint64_t wide = 0;
  if (!parse_size(text, wide) || wide > 0xffffffffU) {
    return false;
  }
  value = static_cast<std::uint32_t>(wide);
  return true;
}

bool parse_bool(Bytes text, bool& value) {
  value = text == "1" || text == "true" || text == "yes";
  return value || text == "0" || text == "false" || text == "no";
}

template <typename Enum>
bool parse_name(Bytes text, const std::map<Bytes, Enum>& names, Enum& value) {
  const auto found = names.find(text);
  if (found != names.end()) {
    value = found->second;
  }
  return found != names.end();
}

using Setter = std::function<bool(Bytes)>;
using Setters = std::map<Bytes, Setter>;

Outcome<bool> parse_lines(Bytes text, const Setters& setters) {
  std::uint32_t line_number = 0;
  const auto refuse = [&line_number](const std::string& what) {
    return std::unexpected(Failure(Status(Code::kInvalidArgument), "line " + std::to_string(line_number) + ": " + what));
  };
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = text.find('\n');
    Bytes line = text.substr(0, end);
    text.remove_prefix(end == Bytes::npos ? text.size() : end + 1);
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) {
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == Bytes::npos) {
      return refuse("\"" + std::string(line) + "\" is not \"name = value\"");
    }
    const Bytes name = trim(line.substr(0, equals));
    const Bytes value = trim(line.substr(equals + 1));
    const auto setter = setters.find(name);
    if (setter == setters.end()) {
      return refuse("there is no option \"" + std::string(name) + "\"");
    }
    if (!setter->second(value)) {
      return refuse("option " + std::string(name) + ": \"" + std::string(value) + "\" is not a value for it");
    }
  }
  return true;
}

}  // namespace

Outcome<DatabaseOptions> parse_database_options(std::string_view text, DatabaseOptions defaults) {
  DatabaseOptions& options = defaults;
  const Setters setters = {
      {"create_if_missing", [&](Bytes value) { return parse_bool(value, options.create_if_missing); }},
      {"error_if_exists", [&](Bytes value) { return parse_bool(value, options.error_if_exists); }},
      {"shards", [&](Bytes value) { return parse_count(value, options.shards); }},
      {"wal_sync",
       [&](Bytes value) {
         return parse_name<WalSync>(value,
                                    {{"linked", WalSync::kLinked},
                                     {"syscall", WalSync::kSyscall},
                                     {"dsync", WalSync::kDsync},
                                     {"auto", WalSync::kAuto}},
                                    options.wal_sync);
       }},
      {"log_budget_bytes", [&](Bytes value) { return parse_size(value, options.log_budget_bytes); }},
      {"log_segment_bytes", [&](Bytes value) { return parse_size(value, options.log_segment_bytes); }},
      {"memtable_percent", [&](Bytes value) { return parse_count(value, options.memtable_percent); }},
      {"cache_percent", [&](Bytes value) { return parse_count(value, options.cache_percent); }},
      {"space_use_percent", [&](Bytes value) { return parse_count(value, options.space_use_percent); }},
      {"borrowed_reads", [&](Bytes value) { return parse_bool(value, options.borrowed_reads); }},
      {"flush_write_bytes", [&](Bytes value) { return parse_size(value, options.flush_write_bytes); }},
      {"flush_bytes_per_second", [&](Bytes value) { return parse_size(value, options.flush_bytes_per_second); }},
      {"gather_from_bytes", [&](Bytes value) { return parse_size(value, options.gather_from_bytes); }},
  };
  Outcome<bool> parsed = parse_lines(text, setters);
  if (!parsed.has_value()) {
    return std::unexpected(std::move(parsed.error()));
  }
  return options;
}

Outcome<RuntimeOptions> parse_runtime_options(std::string_view text, RuntimeOptions defaults) {
  RuntimeOptions& options = defaults;
  const Setters setters = {
      {"reactors", [&](Bytes value) { return parse_count(value, options.reactors); }},
      {"memory_limit", [&](Bytes value) { return parse_size(value, options.memory_limit); }},
      {"pin_threads", [&](Bytes value) { return parse_bool(value, options.pin_threads); }},
      {"ring_entries", [&](Bytes value) { return parse_count(value, options.ring_entries); }},
      {"io_backend",
       [&](Bytes value) {
         return parse_name<IoBackend>(
             value, {{"auto", IoBackend::kAuto}, {"ring", IoBackend::kRing}, {"syscall", IoBackend::kSyscall}},
             options.io_backend);
       }},
  };
  Outcome<bool> parsed = parse_lines(text, setters);
  if (!parsed.has_value()) {
    return std::unexpected(std::move(parsed.error()));
  }
  return options;
}

Outcome<OptionChanges> parse_option_changes(std::string_view text) {
  OptionChanges changes;
  const Setters setters = {
      {"log_budget_bytes", [&](Bytes value) { return parse_size(value, changes.log_budget_bytes.emplace()); }},
      {"cache_percent", [&](Bytes value) { return parse_count(value, changes.cache_percent.emplace()); }},
      {"space_use_percent", [&](Bytes value) { return parse_count(value, changes.space_use_percent.emplace()); }},
      {"flush_write_bytes", [&](Bytes value) { return parse_size(value, changes.flush_write_bytes.emplace()); }},
      {"flush_bytes_per_second", [&](Bytes value) { return parse_size(value, changes.flush_bytes_per_second.emplace()); }},
      {"gather_from_bytes", [&](Bytes value) { return parse_size(value, changes.gather_from_bytes.emplace()); }},
  };
  Outcome<bool> parsed = parse_lines(text, setters);
  if (!parsed.has_value()) {
    return std::unexpected(std::move(parsed.error()));
  }
  return changes;
}

}  // namespace penstock
