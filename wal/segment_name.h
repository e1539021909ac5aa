// Names of segments in the log folder: <epoch>-<reactor>-<n>, decimal without leading zeros; ".new" is added while one is being
// made.
//
// Numbers become names, never the reverse: what is not of this form is not ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wal/wal.h"

namespace penstock::wal {

std::string segment_name(LogName log, std::uint64_t index);
std::string segment_path(const std::string& directory, LogName log, std::uint64_t index);
std::string unfinished_segment_path(const std::string& directory, LogName log, std::uint64_t index);

struct ParsedName {
  LogName log;
  std::uint64_t index = 0;
  bool is_unfinished = false;
};
std::optional<ParsedName> parse_segment_name(std::string_view name) noexcept;

}  // namespace penstock::wal
