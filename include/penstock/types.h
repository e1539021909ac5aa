// The small types that every header of the API shares: durability levels, ids, limits.
#pragma once

#include <compare>
#include <cstdint>

#include "penstock/bytes.h"

namespace penstock {

/// What has happened to a commit when its future resolves. In a crash the first three lose at most a tail of a shard's commits,
/// never a hole in it; none loses half a batch.
enum class Durability : std::uint8_t {
  kSync = 0,      ///< On stable storage: survives power loss. The default.
  kWritten = 1,   ///< Handed to the kernel: survives a killed process, not power loss.
  kBuffered = 2,  ///< In memory, handed to the kernel within 50 ms.
  /// In memory, and never in the log: durable once the shard's next flush is (Database::flush, close(), or when memory wants
  /// it). A crash before loses it, whole, and may spare commits of the first three kinds that came later.
  kUnlogged = 3,
};

/// Shard number, 0 .. shards - 1, fixed when the database is created.
using ShardId = std::uint16_t;
/// Column family number; never reused. 0-15 are the engine's own.
using FamilyId = std::uint32_t;
/// Number of an operation in its shard's history; dense, from 1.
using Sequence = std::uint64_t;

inline constexpr FamilyId kFamilyIdUserMin = 16;

/// Limits, checked at submission.
inline constexpr std::uint32_t kKeyBytesMax = 1024;
inline constexpr std::uint64_t kValueBytesMax = 1_GiB;   ///< Of the format; a value must also fit its batch.
inline constexpr std::uint64_t kBatchBytesMax = 32_MiB;  ///< On a shard; without the large values half a log segment.
/// Larger values are written once, to an extent that is durable before the log names it; others go through the log.
inline constexpr std::uint64_t kLoggedValueBytesMax = 64_KiB;
inline constexpr std::uint32_t kFamilyNameBytesMax = 255;
inline constexpr std::uint32_t kFamilyCountMax = 1'000'000;
inline constexpr std::uint32_t kShardCountMax = 1024;
inline constexpr std::uint32_t kReactorCountMax = 256;

}  // namespace penstock
