// A scripted run of a database on the simulated disk: scenarios for tests that break it at every point in turn.
//
// A Script opens the database on a disk, does what a scenario says, step by step, and knows what was promised: so the same
// scenario can be run again and again with the power cut, or an operation failing, at the next point each time. A step that
// fails is noted, and the scenario goes on. Promises that are checked while it runs: after a log has failed no commit on it is
// acknowledged any more, and what was acknowledged can be read. Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/database_core.h"
#include "penstock/shard.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"
#include "tests/sim/sim_model.h"

namespace penstock::simtest {

/// What is known of a database over several scripts: copied for each try.
struct ScriptModel {
  std::map<ShardId, ShardModel> shards;
  enum class Existence : std::uint8_t { kMaybe, kCertain, kGone };
  std::map<std::string, Existence> families;
  std::uint64_t next_value = 0;
};

class Script {
 public:
  static constexpr std::uint16_t kShards = 2;
  static constexpr std::uint32_t kReactors = 2;

  /// The seed decides who runs when; the same for all tries of a scenario. Nothing is opened yet.
  Script(reactor::SimDisk& disk, ScriptModel& model, std::uint64_t seed, WalSync wal_sync = WalSync::kAuto);
  ~Script();
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  /// Opens, and takes the families in use.
  Status open();
  /// Ends the boot. Not a clean end if the power is off.
  Status close();

  // --- steps; each notes what it was promised ---
  Status create(const std::string& family, std::int32_t shard);
  Status drop(const std::string& family);
  /// A batch of `rows` rows of `value_bytes` each over all families of the shard.
  Status commit(ShardId shard, std::uint32_t rows = 3, std::uint64_t value_bytes = 40,
                Durability durability = Durability::kSync);
  Status remove(ShardId shard);
  /// `count` commits at once, on every shard.
  void commit_together(std::uint32_t count);
  Status flush(ShardId shard);
  /// Nobody does anything for so long.
  void pause(std::uint64_t milliseconds);

  /// Reads everything that was acknowledged. `may_fail`: an error is fine, a wrong answer is not.
  std::string check_reads(bool may_fail);
  /// All rows against the history, verify(), and a commit on each shard, after the next opening.
  std::string check_recovered(End end, bool commits = true);

  bool is_powered() const noexcept { return disk_.is_powered(); }
  /// What was wrong while it ran; empty: nothing.
  const std::string& complaint() const noexcept { return complaint_; }

 private:
  struct Calls;

  std::uint32_t reactor_of(ShardId shard) const noexcept { return shard % kReactors; }
  struct Issued {
    std::uint64_t number = 0;
    Durability durability = Durability::kSync;
    Batch batch;
  };
  Issued issue(ShardId shard, std::uint32_t rows, std::uint64_t value_bytes, bool removes, Durability durability);
  void note_commit(ShardId shard, const Issued& issued, const Status& status);

  reactor::SimDisk& disk_;
  ScriptModel& model_;
  std::unique_ptr<reactor::SimWorld> world_;
  std::shared_ptr<detail::RuntimeCore> runtime_;
  std::unique_ptr<detail::DatabaseCore> core_;
  std::map<std::string, Family> handles_;
  std::map<std::uint32_t, bool> has_failed_;  // By reactor: its log.
  Status closed_;                             // What close() answered.
  std::string complaint_;
};

/// A thing that a database does, small enough to be broken at each of its points.
struct Scenario {
  const char* name;
  /// Prepares the disk; ends open or closed as it likes, then the process is killed.
  void (*prepare)(Script& script);
  /// What is broken.
  void (*play)(Script& script);
  bool breaks_opening = false;  ///< The opening before it too.
};
const std::vector<Scenario>& scenarios();

/// The disk and what is known of it, before `play`.
struct Prepared {
  std::unique_ptr<reactor::SimDisk> disk;
  ScriptModel model;
};
Prepared prepare(const Scenario& scenario);

}  // namespace penstock::simtest
