// The table of keys of job files: what reads a key also documents it, on --cmdhelp and in the manual page.
//
// Keys stand in blocks by subject, in the order in which help prints them; each block is in the file that its subject belongs
// to. Invariants:
//   JobKeys-I1 A name stands in one block, once. Every key has a help text and says what values it takes.
// Errors: a key's `set` throws std::invalid_argument with what was expected; job.cc adds key and place.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tools/penstock-bench/job.h"

namespace penstock::bench {

enum class Scope : std::uint8_t { kAll, kPenstock };  ///< Engines that know a key.

inline constexpr const char* kFlagValues = "0|1";

struct Key {
  const char* name;
  const char* values;  ///< "SIZE", "TIME", "sync|written": for help.
  void (*set)(Job& job, const std::string& value);
  const char* help;
  const char* preset = "";  ///< Without it; for help.
  Scope scope = Scope::kAll;
};

struct KeyBlock {
  const char* title;
  std::span<const Key> keys;
};

std::span<const KeyBlock> key_blocks();

/// nullptr: there is none.
const Key* find_key(const std::string& name);
std::vector<std::string> key_names();

/// The blocks, each beside what it configures.
std::span<const Key> job_keys();     ///< job_keys.cc
std::span<const Key> data_keys();    ///< job_keys.cc
std::span<const Key> load_keys();    ///< job_load_keys.cc
std::span<const Key> engine_keys();  ///< job_engine_keys.cc
std::span<const Key> output_keys();  ///< job_output_keys.cc

/// A line for each key; for --cmdhelp.
std::string key_help();
/// All that is known of one; for --cmdhelp=KEY.
std::string key_help(const Key& key);

}  // namespace penstock::bench
