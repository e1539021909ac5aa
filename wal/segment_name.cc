#include "wal/segment_name.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

namespace penstock::wal {

namespace {

constexpr std::string_view kUnfinishedSuffix = ".new";

/// Takes a decimal number without leading zeros, at most `limit`, from the front of `text`.
std::optional<std::uint64_t> take_number(std::string_view& text, std::uint64_t limit) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value > limit) return std::nullopt;
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (text.front() == '0' && digits > 1) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take_dash(std::string_view& text) noexcept {
  if (text.empty() || text.front() != '-') return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string segment_name(LogName log, std::uint64_t index) {
  return std::to_string(log.epoch) + "-" + std::to_string(log.reactor) + "-" + std::to_string(index);
}

std::string segment_path(const std::string& directory, LogName log, std::uint64_t index) {
  return directory + "/" + segment_name(log, index);
}

std::string unfinished_segment_path(const std::string& directory, LogName log, std::uint64_t index) {
  return segment_path(directory, log, index) + std::string(kUnfinishedSuffix);
}

std::optional<ParsedName> parse_segment_name(std::string_view name) noexcept {
  ParsedName parsed;
  if (name.ends_with(kUnfinishedSuffix)) {
    parsed.is_unfinished = true;
    name.remove_suffix(kUnfinishedSuffix.size());
  }
  const auto epoch = take_number(name, std::numeric_limits<std::uint32_t>::max());
  if (!epoch || !take_dash(name)) return std::nullopt;
  const auto reactor = take_number(name, std::numeric_limits<std::uint16_t>::max());
  if (!reactor || !take_dash(name)) return std::nullopt;
  const auto index = take_number(name, std::numeric_limits<std::uint64_t>::max());
  if (!index || !name.empty()) return std::nullopt;
  parsed.log = {.epoch = static_cast<std::uint32_t>(*epoch), .reactor = static_cast<std::uint16_t>(*reactor)};
  parsed.index = *index;
  return parsed;
}

Outcome<std::vector<SegmentFile>> list_segments(reactor::System& system, const std::string& directory) {
  const Result<std::vector<std::string>> names = system.list_directory(directory);
  if (!names) return std::unexpected(Failure(names.error(), "cannot list the log folder " + directory));
  std::vector<SegmentFile> segments;
  for (const std::string& name : *names) {
    const std::optional<ParsedName> parsed = parse_segment_name(name);
    if (!parsed) {
      return std::unexpected(Failure(Status(Code::kCorruption, FileKind::kDirectory, 0),
                                     "the log folder has a file that is not ours: " + directory + "/" + name));
    }
    if (parsed->is_unfinished) continue;
    segments.push_back({.log = parsed->log, .index = parsed->index, .name = name});
  }
  std::ranges::sort(segments, [](const SegmentFile& left, const SegmentFile& right) {
    if (left.log.epoch != right.log.epoch) return left.log.epoch < right.log.epoch;
    if (left.log.reactor != right.log.reactor) return left.log.reactor < right.log.reactor;
    return left.index < right.index;
  });
  return segments;
}

Result<bool> shorten_log(reactor::System& system, const std::string& directory, LogName log) {
  const Result<std::vector<std::string>> names = system.list_directory(directory);
  if (!names) return std::unexpected(names.error());
  std::optional<ParsedName> last;
  std::string last_name;
  std::size_t count = 0;
  for (const std::string& name : *names) {
    const std::optional<ParsedName> parsed = parse_segment_name(name);
    if (!parsed || parsed->log.epoch != log.epoch || parsed->log.reactor != log.reactor) continue;
    ++count;
    const auto rank = [](const ParsedName& file) { return std::pair(file.is_unfinished, file.index); };
    if (last && rank(*parsed) < rank(*last)) continue;
    last = parsed;
    last_name = name;
  }
  if (!last) return false;
  const bool is_only_one = count == 1;
  // The lowest one last: whoever finds what a power cut left of this reads a log that ends early, not one without a beginning.
  Status status = is_only_one ? system.sync_directory(directory) : Status::ok();
  if (status.is_ok()) status = system.remove_file(directory + "/" + last_name);
  if (status.is_ok() && is_only_one) status = system.sync_directory(directory);
  if (!status.is_ok()) return std::unexpected(status);
  return !is_only_one;
}

Status remove_log(reactor::System& system, const std::string& directory, LogName log) {
  while (true) {
    const Result<bool> has_more = shorten_log(system, directory, log);
    if (!has_more.has_value()) return has_more.error();
    if (!*has_more) return Status::ok();
  }
}

}  // namespace penstock::wal
