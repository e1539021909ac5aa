// What goes wrong in a simulated run, and when: a plan of exact faults, random rates, and a hash over everything that happened.
//
// Every operation on the simulated disk is an event of some kind. Events that may change the disk are numbered from 1 on: a
// test learns their count from one clean run and then repeats the run, cutting power (SimDisk::cut_at) or failing (fail_at) at
// each number in turn. Reads are not numbered: a cut at a read leaves the same disk as a cut at the next numbered event.
// Invariants:
//   SimFaults-I1 The same seed and the same calls give the same faults: no draw is made for a rate that is zero.
// Thread: the simulation's one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace penstock::reactor {

enum class SimEvent : std::uint8_t {
  kOpen,
  kCreate,  ///< An open that makes a file.
  kLock,
  kRead,
  kWrite,
  kSync,  ///< Of a file, by Io or System.
  kResize,
  kPunch,
  kFill,
  kRename,
  kRemove,
  kMakeDirectory,
  kRemoveDirectory,
  kSyncDirectory,
  kList,
};
inline constexpr std::size_t kSimEventKinds = static_cast<std::size_t>(SimEvent::kList) + 1;  // The last one.

/// True if the event is numbered: it may change the disk, or make a change durable.
constexpr bool is_numbered(SimEvent event) noexcept {
  return event != SimEvent::kOpen && event != SimEvent::kRead && event != SimEvent::kList && event != SimEvent::kLock;
}

/// What becomes of the data that a failed sync covered. Readers go on seeing it either way, as on ext4 and XFS.
enum class SimSyncLoss : std::uint8_t {
  kKept,  ///< Stays unsynced; a later sync makes it durable.
  kLost,  ///< Marked clean: no later sync makes it durable, and a power cut always takes it.
};

/// What a write that says it went well has done in truth: a disk that lies, as a scrub finds it years later.
enum class SimLie : std::uint8_t {
  kNone,
  kLost,         ///< Nothing.
  kMisdirected,  ///< It wrote elsewhere: the same bytes, in another block of the same file.
};

struct SimFault {
  std::int32_t result = 0;        ///< -errno; 0 with short_bytes for a short result.
  std::uint32_t short_bytes = 0;  ///< Reads and writes by Io: the result is this many bytes short.
  SimSyncLoss sync_loss = SimSyncLoss::kKept;
  SimLie lie = SimLie::kNone;  ///< Writes.

  bool is_none() const noexcept { return result == 0 && short_bytes == 0 && lie == SimLie::kNone; }
};

/// Chances of 1 in n for each entry of an Io; 0 = never. Blocking calls of System never see them.
struct SimRates {
  std::uint32_t short_one_in = 0;
  std::uint32_t interrupted_one_in = 0;  ///< -EINTR.
  std::uint32_t again_one_in = 0;        ///< -EAGAIN; never for an entry that is `blocking`.
  std::uint32_t slow_one_in = 0;         ///< Takes a hundred times as long, besides those that always may.

  // On files whose path contains `path_part` alone.
  std::string path_part = {};
  std::uint32_t read_error_one_in = 0;   ///< -EIO, once.
  std::uint32_t write_error_one_in = 0;  ///< -EIO; some sectors may be written.
  std::uint32_t sync_error_one_in = 0;   ///< -EIO, with `sync_loss`.
  SimSyncLoss sync_loss = SimSyncLoss::kKept;
  std::uint32_t lost_one_in = 0;
  std::uint32_t misdirected_one_in = 0;
};

/// One event, for a trace that is read by people.
struct SimTraceLine {
  std::uint64_t number = 0;  ///< 0: not numbered.
  SimEvent event = SimEvent::kOpen;
  std::string_view path;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::int64_t result = 0;
};
using SimTraceSink = std::function<void(const SimTraceLine&)>;

/// "write", "sync directory".
std::string_view name_of(SimEvent event) noexcept;

class SimFaults {
 public:
  explicit SimFaults(std::uint64_t seed) noexcept : random_(seed) {}

  /// Fails the nth event of a kind from now on (1 = the next); with `path_part`, only files whose path contains it count.
  void fail_nth(SimEvent event, std::uint64_t nth, SimFault fault, std::string path_part = {});
  void fail_nth(SimEvent event, std::uint64_t nth, std::int32_t result) { fail_nth(event, nth, SimFault{.result = result}); }
  /// From the nth on, every event of the kind fails.
  void fail_from(SimEvent event, std::uint64_t nth, SimFault fault, std::string path_part = {});
  /// Fails the numbered event `number`, once.
  void fail_at(std::uint64_t number, SimFault fault);
  void set_rates(const SimRates& rates) { rates_ = rates; }
  const SimRates& rates() const noexcept { return rates_; }
  void set_trace(SimTraceSink sink) { sink_ = std::move(sink); }
  /// Forgets all planned faults and rates.
  void clear() noexcept;
  /// Faults that have struck so far.
  std::uint64_t struck() const noexcept { return struck_; }
  /// Of these, writes that did not do what they said.
  std::uint64_t lies() const noexcept { return lies_; }

  /// Numbered events so far.
  std::uint64_t events() const noexcept { return events_; }
  std::uint64_t events_of(SimEvent event) const noexcept { return counts_[static_cast<std::size_t>(event)]; }

  /// A hash over all events and scheduling choices so far: equal for equal seeds.
  std::uint64_t trace_hash() const noexcept { return trace_hash_; }
  void mix(std::uint64_t value) noexcept;
  bool is_traced() const noexcept { return sink_ != nullptr; }
  void trace(const SimTraceLine& line) const {
    if (sink_ != nullptr) sink_(line);
  }

  // --- for the disk ---
  /// Counts an event; returns its number, 0 if it has none.
  std::uint64_t count(SimEvent event) noexcept;
  /// The planned fault that strikes the event just counted; result 0 and short_bytes 0: none.
  SimFault planned(SimEvent event, std::string_view path);
  /// A random fault for an Io entry. `granule`: what a short result is a multiple of.
  SimFault drawn(SimEvent event, std::string_view path, std::uint64_t bytes, std::uint32_t granule, bool blocking);
  base::Random& random() noexcept { return random_; }

 private:
  struct Planned {
    SimEvent event;
    bool by_number;  // `left` is then an event number.
    bool repeats;
    std::uint64_t left;
    SimFault fault;
    std::string path_part;
  };

  SimFault drawn_error(SimEvent event);

  base::Random random_;
  SimRates rates_;
  SimTraceSink sink_;
  std::vector<Planned> plan_;
  std::uint64_t events_ = 0;
  std::uint64_t counts_[kSimEventKinds] = {};
  std::uint64_t struck_ = 0;
  std::uint64_t lies_ = 0;
  std::uint64_t trace_hash_ = 0x9ae16a3b2f90404fULL;
};

}  // namespace penstock::reactor
