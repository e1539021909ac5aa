// The history that the killed process writes and its parent checks: every batch follows from (thread, number) alone, so that
// the parent can say what the state after any number of batches must be.
//
// Thread t commits on shard t mod 4 into the families "home<shard>" and "extra<shard>", batch after batch; each batch also
// writes its number under the thread's counter key, and puts or deletes a few of the thread's own keys in both families.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"

namespace penstock::crashtest {

inline constexpr std::uint16_t kShards = 4;
inline constexpr std::uint32_t kThreads = 6;
inline constexpr std::uint32_t kKeysPerThread = 200;

struct Change {
  bool in_extra = false;  ///< Else in home.
  std::string key;
  std::optional<std::string> value;
};

inline std::string counter_key(std::uint32_t thread) { return "count-" + std::to_string(thread); }

inline std::vector<Change> batch_of(std::uint32_t thread, std::uint64_t number) {
  base::Random random((std::uint64_t{thread} << 40U) ^ number);
  std::vector<Change> changes;
  const std::uint64_t count = 1 + random.below(12);
  for (std::uint64_t index = 0; index < count; ++index) {
    Change change;
    change.in_extra = random.one_in(2);
    change.key = "t" + std::to_string(thread) + "-" + std::to_string(random.below(kKeysPerThread));
    if (!random.one_in(4)) {
      const std::uint64_t bytes = random.one_in(50) ? random.below(60'000) : random.below(400);
      change.value = std::to_string(number) + ":" + std::string(bytes, static_cast<char>('a' + random.below(26)));
    }
    changes.push_back(std::move(change));
  }
  changes.push_back({.in_extra = false, .key = counter_key(thread), .value = std::to_string(number)});
  return changes;
}

/// What the child writes into the pipe, whole, after the fact.
struct Report {
  enum class Kind : std::uint32_t { kReady, kAcknowledged, kFlushed, kSegments, kFamilyCreated, kFamilyDropped, kFailed };
  Kind kind = Kind::kReady;
  std::uint32_t thread = 0;
  std::uint64_t number =
      0;  ///< kAcknowledged: batch; kFamily...: its number; kSegments: how many were used; kReady: last family number.
};

}  // namespace penstock::crashtest
