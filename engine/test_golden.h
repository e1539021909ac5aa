// Golden files of the engine's formats, and the hex dumps of docs/formats that show them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "penstock/bytes.h"

namespace penstock::engine {

/// A file of the repository as a string; empty if it is not there.
inline std::string read_repository_file(const std::string& name) {
  const std::string here = __FILE__;
  const std::string path = here.substr(0, here.rfind("engine/")) + name;
  std::string bytes;
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return bytes;
  }
  char piece[4096];
  while (const std::size_t count = std::fread(piece, 1, sizeof(piece), file)) {
    bytes.append(piece, count);
  }
  std::fclose(file);
  return bytes;
}

/// The bytes of one line of a dump, "oooooooo  hh hh ... |text|"; the line's offset alone ends the dump.
inline std::string dumped_line(Bytes line) {
  const std::string digits(line.substr(8, line.find('|') == Bytes::npos ? Bytes::npos : line.find('|') - 8));
  std::string bytes;
  const char* at = digits.c_str();
  char* next = nullptr;
  for (unsigned long value = std::strtoul(at, &next, 16); next != at; value = std::strtoul(at, &next, 16)) {
    bytes.push_back(static_cast<char>(value));
    at = next;
  }
  return bytes;
}

/// What `page` shows of `golden`: the dump behind the first mention of its path that a dump follows. "*" repeats the line
/// before.
inline std::string dumped_file(const std::string& page, const std::string& golden) {
  const std::string text = read_repository_file(page);
  std::size_t at = text.rfind("`" + golden + "`");
  at = at == std::string::npos ? at : text.find("\n```\n", at);
  if (at == std::string::npos) {
    return {};
  }
  Bytes rest = Bytes(text).substr(at + 5);
  rest = rest.substr(0, rest.find("```"));
  std::string bytes;
  std::string last;
  while (!rest.empty()) {
    const Bytes line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (line == "*") {
      const std::size_t end = std::strtoull(std::string(rest.substr(0, 8)).c_str(), nullptr, 16);
      while (!last.empty() && bytes.size() < end) {
        bytes += last;
      }
      continue;
    }
    last = dumped_line(line);
    bytes += last;
  }
  return bytes;
}

}  // namespace penstock::engine
