// Verification of a log as it stands on disk: every group between two positions, and every damage, not only the first.
//
// Unlike read_log() it syncs nothing, decides nothing, and goes on behind damage at the next good group. A live log may be
// checked up to what is durable; segments freed meanwhile then look damaged: the caller drops what lies before the log's
// first needed position by then.
// Invariants:
//   LogCheck-I1 A part is handed out only from a group whose checksums all match.
//   LogCheck-I2 Every position between begin and end is in a good group, in a segment's unused tail, or reported.
// Units: positions are bytes from the log's beginning. Thread: the reactor's.
#pragma once

#include <cstdint>
#include <string>

#include "penstock/status.h"
#include "penstock/task.h"
#include "wal/wal.h"

namespace penstock::wal {

struct LogDamage {
  enum class Kind : std::uint8_t { kMissing, kUnreadable, kChecksum, kUnsupported, kContradiction };
  Kind kind = Kind::kMissing;
  Status status;                  ///< where() = `begin`.
  std::string file;               ///< Name in the log's folder; of a segment that is missing, the one it would have.
  std::uint64_t file_offset = 0;  ///< Of `begin`.
  std::uint64_t begin = 0;        ///< Positions: what cannot be read as groups.
  std::uint64_t end = 0;
};

/// Where a good group stands.
struct GroupPlace {
  std::string file;  ///< Name in the log's folder.
  std::uint64_t file_offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t begin = 0;  ///< Position.
};

class LogInspector {
 public:
  virtual void on_part(const Part& part, const GroupPlace& place) = 0;
  virtual void on_group(std::uint64_t group_bytes) = 0;
  /// After it parts are missing: what comes next need not continue what came before.
  virtual void on_damage(const LogDamage& damage) = 0;
  /// So many bytes were read. May wait. False: enough.
  virtual Task<bool> go_on(std::uint64_t bytes) = 0;

 protected:
  ~LogInspector() = default;
};

struct LogCheckOptions {
  std::string directory;
  Identity identity;
  LogName log;
  std::uint64_t begin = 0;  ///< The end of a group, or a segment's first position.
  std::uint64_t end = 0;    ///< Everything before it must be there.
};

/// False: the inspector had enough.
Task<bool> check_log(reactor::Reactor& reactor, LogCheckOptions options, LogInspector& inspector);

}  // namespace penstock::wal
