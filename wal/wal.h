// The log of one reactor in one opening (epoch): appends opaque records, makes them durable in groups, gives segments back.
//
// The front door of wal/. wal/ knows positions, shards and opaque payloads, never keys.
//
// A record is copied into the open group. The loop's hook seals that group when no chain is in flight and sends it as linked
// submission entries, write -> fdatasync; what arrives meanwhile forms the next group. There is no timer and no window.
// Invariants:
//   Wal-I1 One chain is in flight at a time, and never crosses an enter(). Beside it writes of further groups may be, which its
//          sync does not cover.
//   Wal-I2 A group counts as written when all its bytes were reaped, as durable when a sync that covers it and every earlier
//   byte
//          of the log (each in its own file) has completed. written_group() and durable_group() only grow, in order.
//   Wal-I3 After the first failed write or sync nothing is ever submitted again, and written/durable never move: the log is
//          poisoned. A short write is resumed (write -> fdatasync again); -EAGAIN, -EINTR and -ECANCELED of a write resubmit
//          the same bytes; a sync is resubmitted only when the kernel says that it did not run.
//   Wal-I4 A block that holds acknowledged data is never written again. Nothing is appended to a segment of an earlier opening.
//   Wal-I5 A segment takes groups only after zeros, header and name are on stable storage. The commit path extends no file.
//   Wal-I6 A segment is freed only when each shard with records in it was released past its last record there.
// Units: offsets are bytes from the log's beginning in this epoch and run on over segments; block = 4 KiB.
// Thread: the reactor's. Format: docs/formats/log.md.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "penstock/status.h"
#include "penstock/task.h"
#include "penstock/types.h"
#include "reactor/reactor.h"
#include "wal/log_stages.h"

namespace penstock::wal {

class LogImage;

/// A place in the history of a reactor's logs. Ordered by epoch, then offset. An end is the first byte after a group.
struct Position {
  std::uint32_t epoch = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

/// On disk: never renumber. Only kBatch and kMarker are built; a reader answers `not_supported` to the others.
enum class RecordType : std::uint8_t {
  kBatch = 1,
  kPrepare = 2,
  kOutcome = 3,
  kMarker = 4,
  kGraft = 5,
  kDdl = 6,
  kGap = 7,
  kFamilyName = 8,
};

/// What a record holds for one shard.
struct Part {
  ShardId shard = 0;
  Sequence previous = 0;  ///< Last logged sequence of the shard before this part.
  Sequence first = 0;     ///< Sequence of the first of `operations`; they are dense.
  std::uint32_t operations = 0;
  Bytes payload;
};

/// `payload_checksum` is base::checksum over the parts' payloads in order, computed by whoever encoded them.
struct Record {
  RecordType type = RecordType::kBatch;
  std::uint64_t payload_checksum = 0;
  std::span<const Part> parts;
};

/// Groups are numbered from 1 in the order of the log.
using GroupNumber = std::uint64_t;

enum class SyncMode : std::uint8_t {
  kLinked,   ///< write -> fdatasync as linked entries.
  kSyscall,  ///< The same chain executed by a worker thread with pwrite and fdatasync.
  kDsync,    ///< One write that is durable when it completes (RWF_DSYNC); linked where the file system refuses that.
  kAuto,     ///< Of groups that take at most kDurableWriteBytesMax as kDsync, else linked.
};

/// SyncMode::kAuto: up to here the hop to the kernel's worker that runs a linked sync costs more than the write.
inline constexpr std::uint32_t kDurableWriteBytesMax = 64 * 1024;

/// Database-wide identity that every header carries.
struct Identity {
  std::uint64_t uuid_high = 0;
  std::uint64_t uuid_low = 0;
  std::uint32_t incarnation = 0;
};

/// Called on the reactor's thread from the loop's top level.
class LogListener {
 public:
  /// written_group(), durable_group() or failure() changed.
  virtual void on_log_progress() = 0;
  /// append() may be admitted again.
  virtual void on_log_room() = 0;
  /// The log is over its budget: flush these shards (they have records in the oldest segment), or publish a confirming
  /// superblock.
  virtual void on_log_pressure(std::span<const ShardId> shards) = 0;

 protected:
  ~LogListener() = default;
};

struct LogOptions {
  std::string directory;  ///< The database's log folder.
  Identity identity;
  std::uint32_t epoch = 0;
  std::uint16_t reactor = 0;
  std::uint16_t shard_count = 0;
  SyncMode sync_mode = SyncMode::kLinked;
  std::uint64_t segment_bytes = 16_MiB;  ///< Of a whole file, header block included. Block multiple; tests use less.
  std::uint64_t group_bytes_max = 1_MiB;
  /// While a chain is in flight, what has gathered to this is written ahead of the next. Measured: docs/decisions/0009.
  std::uint64_t ahead_bytes_min = 128_KiB;
  std::uint64_t budget_bytes = 256_MiB;  ///< Of segments that cannot be freed yet.
  std::uint64_t marker_delay_ns = 50'000'000;
};

struct LogCounters {
  std::uint64_t groups = 0;
  std::uint64_t records = 0;
  std::uint64_t appended_bytes = 0;  ///< Records with headers, before padding.
  std::uint64_t written_bytes = 0;   ///< Groups, padded.
  std::uint64_t syncs = 0;
  std::uint64_t markers = 0;
  std::uint64_t writes_ahead = 0;    ///< Beside a chain in flight; covered by a later sync.
  std::uint64_t resumed_writes = 0;  ///< Short, -EAGAIN, -EINTR, -ECANCELED.
  std::uint64_t segments_prepared = 0;
  std::uint64_t segments_recycled = 0;
  std::uint64_t segments_late = 0;  ///< Times an append had to wait for a segment.
};

class Log final {
 public:
  Log(reactor::Reactor& reactor, LogOptions options, LogListener& listener);
  ~Log();  ///< close() has returned.

  /// Makes the first two segments durable (zeros, headers, names). Nothing of an earlier epoch is touched.
  Task<Status> open();
  /// The loop may now send groups. Called once EPOCH names this epoch.
  void start();

  /// The largest payload that one record may have: segment/2, at most 32 MiB.
  std::uint64_t record_payload_bytes_max() const noexcept;

  enum class Admission : std::uint8_t {
    kNow,
    kWait,     ///< The next segment is being made, or too much waits to be written: on_log_room() follows.
    kNoSpace,  ///< The disk is full and no segment is ready. Tried again when one is freed, and at most every 100 ms on demand.
    kPoisoned,
    kClosed,
  };
  Admission admit(std::uint64_t payload_bytes, std::uint32_t parts) noexcept;

  /// Requires admit(...) == kNow, asked with the same sizes since the last suspension. Copies the payloads. Returns the group
  /// that the record is in. kSync makes the group end in a sync; kWritten and kBuffered only in a write.
  GroupNumber append(const Record& record, Durability durability);

  /// Closes the open group, so that its end is a position. Returns the end of everything appended so far.
  Position seal();

  GroupNumber written_group() const noexcept;
  GroupNumber durable_group() const noexcept;
  /// Everything before it is durable (also over files).
  Position durable_position() const noexcept;
  /// Resolves once the log is durable up to `position` (at most the end of what was appended); poisoned: the failure.
  Task<Status> make_durable(Position position);

  /// `applied`: what the older kept superblock slot of `shard` has applied. Frees segments (Wal-I6).
  void release(ShardId shard, Position applied);

  /// Ok, or `poisoned` with the first cause's errno.
  Status failure() const noexcept;
  /// A failed sync of a page file, or a superblock write of unknown result, ends this log too.
  void poison(Status cause);

  /// Writes and syncs everything appended, ends preparation, waits for what is in flight. Poisoned: writes nothing.
  Task<Status> close();
  /// End of the log, after close().
  Position end() const noexcept;

  std::uint64_t bytes_in_use() const noexcept;
  /// The first position that a recovery might ask for: what is before it is freed, or will be written over.
  Position needed_from() const noexcept;
  /// Memory for groups that are gathered or written.
  std::uint64_t buffer_bytes() const noexcept;
  /// From now on.
  void set_budget(std::uint64_t bytes) noexcept;
  const LogCounters& counters() const noexcept;
  const LogStages& stages() const noexcept;
  /// The next record begins a batch: whoever applies it may time itself.
  bool begins_batch() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// --- Reading logs of earlier epochs (wal/log_reader.cc) ---

struct LogName {
  std::uint32_t epoch = 0;
  std::uint16_t reactor = 0;
};

struct ReadOptions {
  std::string directory;
  Identity identity;
  LogName log;
  /// Start with the segment that holds this offset; it must exist, and all after it up to the end. Earlier ones may be gone. So
  /// may this one and those after it that a group further on states to be released: a shard without records in them asks for no
  /// more.
  std::uint64_t begin = 0;
  /// The end is known (EPOCH says so): bytes after it are ignored, bad bytes before it are `corruption`.
  std::optional<std::uint64_t> known_end;
  /// Otherwise: highest offset that a superblock proves to have been durable. A log that ends before it is `corruption`.
  std::uint64_t proven_end = 0;
  /// Where a pass before has left what it read, and where this one leaves it.
  LogImage* source = nullptr;
  LogImage* sink = nullptr;
};

/// Gets the records of a log in order. A Status that is not ok ends the reading with it.
class RecordVisitor {
 public:
  /// `end`: end of the group that holds the part. The payload lives until the task ends.
  virtual Task<Status> on_part(const Part& part, Position end) = 0;
  /// Before the first group: at most so many bytes of groups come.
  virtual void on_log(std::uint64_t bytes_max) { (void)bytes_max; }
  /// After the last part of each group; it may have none.
  virtual void on_group(Position end, std::uint64_t group_bytes) {
    (void)end;
    (void)group_bytes;
  }

 protected:
  ~RecordVisitor() = default;
};

struct ReadResult {
  std::uint64_t first = 0;  ///< First position that was read: at least `begin`, or where its segments begin.
  std::uint64_t end = 0;    ///< First byte after the last good group.
  std::uint64_t groups = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t durable_offset = 0;  ///< Highest durable position that a good group states.
  bool torn_tail = false;            ///< Bytes that look like an unfinished group follow the end.
};

/// Reads one log to its end (design: a torn tail ends it; damage before a proven position is `corruption` with the range).
/// Syncs the files and the folder first, so that nothing is believed that a power cut could still take. Verifies every
/// checksum. Does not check the chain of `previous` per shard: the dealer does, which sees all epochs.
Task<Outcome<ReadResult>> read_log(reactor::Reactor& reactor, ReadOptions options, RecordVisitor& visitor);

/// Segments of all logs in the folder, by name; other names are an error of kind `corruption`, except files of our own
/// unfinished work.
struct SegmentFile {
  LogName log;
  std::uint64_t index = 0;
  std::string name;
};
Outcome<std::vector<SegmentFile>> list_segments(reactor::System& system, const std::string& directory);
/// Removes the files of `log` (its records are no longer needed) and syncs the folder.
Status remove_log(reactor::System& system, const std::string& directory, LogName log);
/// The same in steps, one file a call: each takes its time (16 MiB about 4 ms). True: there is more to remove.
Result<bool> shorten_log(reactor::System& system, const std::string& directory, LogName log);

// --- EPOCH (wal/epoch.cc): which logs count, and where they end. Format: docs/formats/epoch.md ---

struct OldEpoch {
  std::uint32_t epoch = 0;
  std::vector<std::uint64_t> ends;  ///< One per reactor of that epoch.
};

struct EpochState {
  std::uint64_t generation = 0;
  std::uint32_t epoch = 0;
  std::uint16_t reactors = 0;
  std::vector<OldEpoch> old_epochs;  ///< Ascending; those whose logs are still needed.
  bool clean = false;
  std::vector<std::uint64_t> clean_ends;         ///< If clean: ends of this epoch's logs.
  std::vector<std::uint64_t> shard_generations;  ///< If clean: every shard's superblock generation.
};

inline constexpr std::uint32_t kEpochFileSlots = 2;
/// What the two slots of an EPOCH say, each for itself: corruption, not_supported (both with their byte offset).
using EpochSlots = std::array<Result<EpochState>, kEpochFileSlots>;
/// `file`: all bytes of EPOCH; what is missing counts as zeros.
EpochSlots decode_epoch(std::span<const std::byte> file, const Identity& identity);
/// Blocking; opening, creating and closing only. Picks the valid slot with the highest generation. None: `corruption`.
Outcome<EpochState> read_epoch(reactor::System& system, const std::string& path, const Identity& identity);
/// Writes the slot that `state.generation` selects (generation mod 2) and syncs. `create`: makes the file with its full size.
Status write_epoch(reactor::System& system, const std::string& path, const Identity& identity, const EpochState& state,
                   bool create);

}  // namespace penstock::wal
