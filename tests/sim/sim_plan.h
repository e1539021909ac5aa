// All that decides about a simulated run: the seed, and what was taken away from it to make a failure small.
//
// A plan can be said on a command line and is printed as one: the same plan gives the same run on any machine. What a seed
// draws stays the same when a feature is switched off or an operation left out, as far as it does not depend on them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "penstock/bytes.h"

namespace penstock::simtest {

/// What a run may contain. Every seed draws its own; `--no NAME` switches one off.
enum class Feature : std::uint8_t {
  // The disk and the machine: nothing may be lost.
  kShort,
  kInterrupted,
  kAgain,
  kSlow,
  kNoise,
  kKill,
  kClose,
  kOpeningCut,
  kReactors,
  kImages,
  // What clients do.
  kFlush,
  kFamilies,
  kRename,
  kUnlogged,
  kWeak,
  kLarge,
  kOptions,
  kReads,
  kEach,
  kRuns,
  kPause,
  // Errors that are told: right, refused or poisoned, and right after reopening.
  kWriteError,
  kSyncError,
  kReadError,
  kFull,
  // Errors that are not told: right or refused.
  kRot,
  kUnreadable,
  kLost,
  kMisdirected,
};
inline constexpr std::size_t kFeatureCount = 29;
inline constexpr std::array<std::string_view, kFeatureCount> kFeatureNames{
    "short", "interrupted", "again",      "slow",       "noise", "kill",  "close",      "opening-cut", "reactors",   "images",
    "flush", "families",    "rename",     "unlogged",   "weak",  "large", "options",    "reads",       "each",       "runs",
    "pause", "write-error", "sync-error", "read-error", "full",  "rot",   "unreadable", "lost",        "misdirected"};

class Features {
 public:
  bool has(Feature feature) const noexcept { return ((bits_ >> static_cast<unsigned>(feature)) & 1U) != 0; }
  void set(Feature feature, bool on) noexcept {
    const std::uint32_t bit = 1U << static_cast<unsigned>(feature);
    bits_ = on ? bits_ | bit : bits_ & ~bit;
  }
  bool operator==(const Features&) const = default;

 private:
  std::uint32_t bits_ = 0;
};

/// What faults a run has, and so what is demanded of it.
enum class FaultClass : std::uint8_t {
  kNothingLost,  ///< Power cuts, kills, tears, delays: everything acknowledged is there.
  kTold,         ///< And failing writes, syncs, reads, a full disk: calls may be refused; right after reopening.
  kSilent,       ///< And rot, lost and misdirected writes: right or refused.
};

/// What a seed decides about a database and its runs.
struct Knobs {
  FaultClass fault_class = FaultClass::kNothingLost;
  Features features;
  std::uint64_t shards = 3;
  std::uint64_t reactors = 2;
  std::uint64_t memory_mib = 3;
  std::uint64_t segment_kib = 64;  ///< Of the log.
  std::uint64_t clients = 2;       ///< Of each shard.
  std::uint64_t keys = 60;
  std::uint64_t batch_operations = 20;  ///< At most.
  std::uint64_t value_bytes = 300;      ///< At most, but for large ones.
  std::uint64_t flush_one_in = 40;
  std::uint64_t family_one_in = 60;
  std::uint64_t read_one_in = 4;
  std::uint64_t events = 200;  ///< Of the disk in a boot before its power cut, at most.
  std::uint64_t errors_one_in = 100;

  static Knobs draw(base::Random& random);
  /// The number behind a name, for `--set NAME=VALUE`; null if there is none.
  std::uint64_t* find(std::string_view name) noexcept;
};

struct Plan {
  std::uint64_t seed = 1;
  std::uint64_t cycles = 8;
  std::uint64_t until = 0;  ///< Power goes off at this event of the disk, the last time; 0: as the seed says.
  std::vector<Feature> without = {};
  std::vector<std::pair<std::string, std::uint64_t>> settings = {};    // Of knobs.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> left_out = {};  // Operations [first, last).

  bool leaves_out(std::uint64_t operation) const noexcept {
    for (const auto& [first, last] : left_out) {
      if (first <= operation && operation < last) return true;
    }
    return false;
  }
  /// "--seed 7 --cycles 2 --no rot".
  std::string to_string() const;
  /// Takes one option and its value. False: there is no such option, or the value is wrong.
  bool parse(std::string_view option, const std::string& value);
  /// What the seed draws, less what was taken away.
  Knobs knobs() const;
};

}  // namespace penstock::simtest
