// What a verification of a database found: every damage with its file, position and length; and how to pace and stop one.
//
// Database::scrub() reads from disk all that a recovery or a reader could need: IDENTITY, EPOCH, both superblocks of each shard
// and the zone tables that they name, every page and value that the trees reach, values that only the log names, and the logs
// of this opening up to what is durable. It checks checksums, the structure of every page, how pages stand to each other, the
// counts of space, and that each shard's records follow one another. Logs of earlier openings were read whole when this one
// began, and are left behind soon after.
// It runs beside commits and reads, which it does not hold up but for the disk. What the trees of its beginning reach keeps
// its space until the shard is done. Thread: the report is a value; on_progress is called on reactors' threads, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock {

/// One thing that is wrong.
struct Damage {
  enum class Kind : std::uint8_t {
    kMissing,        ///< A file, or the end of one, is not there.
    kUnreadable,     ///< The system could not read it: status.error_number() says why.
    kChecksum,       ///< Not the bytes that were written.
    kStructure,      ///< The bytes that were written, by their checksum, but they make no sense.
    kUnsupported,    ///< Of a newer version.
    kContradiction,  ///< Sound for itself, but it does not fit what is beside it: order, levels, generations, sequences.
    kSpace,          ///< A zone's count of live blocks is not what the trees reach.
  };
  Kind kind = Kind::kChecksum;
  Status status;             ///< Code, kind of file, shard, and `where` in that file's unit.
  std::string file;          ///< In the database's directory: "shard-0/pages-1", "log/3-0-1", "EPOCH".
  std::uint64_t offset = 0;  ///< In the file, in bytes.
  std::uint64_t bytes = 0;   ///< So much of it cannot be used.
  FamilyId family = 0;       ///< Of a page or a value; those below 16 are the engine's own. Else 0.

  /// One line for people.
  std::string to_string() const;
};
std::string_view damage_kind_name(Damage::Kind kind) noexcept;

struct VerifyReport {
  std::uint64_t families = 0;  ///< Trees: a family counts once for each shard that has some of it.
  std::uint64_t pages = 0;     ///< And extents.
  std::uint64_t entries = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t log_groups = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t damage_count = 0;
  std::vector<Damage> damages;  ///< The first damages_max of each reactor.
  bool is_complete = true;      ///< False: it was stopped, by on_progress or because the database closes.

  bool is_sound() const noexcept { return damage_count == 0; }
};

struct ScrubProgress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;  ///< As of the beginning: a guess.
  std::uint64_t damages = 0;
};

struct ScrubOptions {
  std::uint64_t bytes_per_second = 0;  ///< Of all reactors together; 0: as fast as it goes beside the other work.
  std::uint32_t damages_max = 1000;    ///< Kept with their places; others are counted.
  /// About once a mebibyte. False: stop.
  std::function<bool(const ScrubProgress&)> on_progress = {};
};

}  // namespace penstock
