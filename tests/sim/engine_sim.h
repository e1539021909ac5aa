// The whole engine on the simulated disk, with a model that knows what must, may and must not be there.
//
// One EngineSim is one database over many boots: open, check, run clients, cut power, kill or close, and again with what is
// left of the disk. A plan (sim_plan.h) decides everything. Checked while clients run: what they read (sim_model.h), and that
// only such errors are told as the disk gives cause for. Checked after each boot:
//   1 durability: everything acknowledged at a level that survives this kind of crash, or flushed since, is there;
//   2 atomicity and prefix: all families of a shard are as after exactly p batches: no hole, no half batch, nothing old back;
//   3 dropped families stay dropped, acknowledged ones exist under their last name;
//   4 verify(): every reachable page is good and the zone tables count exactly the reachable blocks; 5 new commits are taken.
// After a cut the other things that it could have left are checked, too: images of the disk with other sectors kept.
// After damage that the disk did not tell of (FaultClass::kSilent): each key has a right value or an error, or the opening is
// refused. Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/database_core.h"
#include "penstock/shard.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"
#include "tests/sim/sim_model.h"
#include "tests/sim/sim_plan.h"

namespace penstock::simtest {

/// Counts over all runs, so that a search can show that the rare things fell into its window.
struct SimCounts {
  std::uint64_t cycles = 0;  ///< Crashes that were recovered from and checked, images among them.
  std::uint64_t boots = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t kills = 0;
  std::uint64_t clean_closes = 0;
  std::uint64_t cuts_in_opening = 0;
  std::uint64_t images = 0;
  std::uint64_t commits_acknowledged = 0;
  std::uint64_t commits_unknown = 0;
  std::uint64_t commits_refused = 0;
  std::uint64_t reads_checked = 0;
  std::uint64_t reads_failed = 0;
  std::uint64_t flushes = 0;
  std::uint64_t families_created = 0;
  std::uint64_t families_dropped = 0;
  std::uint64_t families_renamed = 0;
  std::uint64_t faults = 0;   ///< Errors and lies of the disk.
  std::uint64_t damages = 0;  ///< At rest.
  std::uint64_t openings_refused = 0;

  void add(const SimCounts& other) noexcept;
  std::string to_string() const;
};

class EngineSim {
 public:
  EngineSim(const Plan& plan, SimCounts& counts);
  ~EngineSim();
  EngineSim(const EngineSim&) = delete;
  EngineSim& operator=(const EngineSim&) = delete;

  /// Prints what happens on standard output, a line each.
  void print_trace();
  /// Empty: all is well; else what was wrong.
  std::string run();

  /// Over everything that happened: equal for equal plans.
  std::uint64_t trace_hash() const noexcept { return disk_.faults().trace_hash(); }
  std::uint64_t events() const noexcept { return disk_.faults().events(); }
  std::uint64_t cycle() const noexcept { return cycle_; }
  std::uint64_t operations() const noexcept { return next_operation_; }

 private:
  enum class Existence : std::uint8_t { kMaybe, kCertain, kDropping, kGone };
  struct FamilyModel {
    std::string name;
    std::string other_name;  ///< If a rename has had no answer: the name that it may have now.
    Existence existence = Existence::kMaybe;
    std::optional<Family> handle;
  };
  /// A started database; what is on a copy of the disk does not touch the model.
  struct Boot {
    std::unique_ptr<reactor::SimWorld> world;
    std::shared_ptr<detail::RuntimeCore> runtime;
    std::unique_ptr<detail::DatabaseCore> core;
    Outcome<bool> opened = false;
  };
  struct Found {
    std::string wrong;
    std::vector<FamilyModel> families;
    std::vector<ShardModel::Recovered> shards;
  };

  bool has(Feature feature) const noexcept { return knobs_.features.has(feature); }
  detail::DatabaseCore& core() const noexcept { return *boot_.core; }
  std::uint32_t reactor_of(ShardId shard) const noexcept {
    return static_cast<std::uint32_t>(shard % boot_.core->settings().reactor_count);
  }

  // Boots (engine_sim.cc).
  Boot start(reactor::SimDisk& disk, base::Random random) const;
  static void stop(Boot& boot, reactor::SimDisk& disk, std::string& wrong);
  std::string open_with_cuts(base::Random random);
  std::string boot_and_check(base::Random random);
  std::string take_answer(const Boot& boot);
  std::string end_boot(End end, base::Random random);
  std::string check_images(base::Random random);
  std::string check_image(reactor::SimDisk& disk, base::Random random);
  Found check_all(Boot& boot) const;
  void adopt(Found found);
  std::string check_families(Boot& boot, std::vector<FamilyModel>& families) const;
  std::string check_after_damage(base::Random random);
  std::string check_damaged_shard(ShardId shard);
  bool damage_at_rest(base::Random random);
  bool is_last(std::uint64_t event) const noexcept { return plan_.until != 0 && event >= plan_.until; }
  void note(const std::string& text) const;

  struct ReadAll;
  struct Calls;
  struct HomeCalls;

  // What clients do (sim_clients.cc).
  std::string run_clients(End end, base::Random random);
  void plan_faults(base::Random& random);
  std::string check_that_space_helps(base::Random random);
  static Task<> client(EngineSim* self, ShardId shard, std::uint64_t seed);
  Task<> operate(ShardId shard, base::Random random);
  Task<> commit_once(ShardId shard, base::Random random);
  Task<> commit_each(base::Random random);
  static Task<> commit_part(EngineSim* self, ShardId shard, std::uint64_t seed);
  Task<> flush_once(ShardId shard);
  Task<> change_options(base::Random random);
  Task<> change_families(base::Random random);
  Task<> create_family(base::Random random);
  Task<> rename_family(std::size_t place);
  Task<> read_once(ShardId shard, base::Random random);
  Task<> get_one(ShardId shard, Family family, base::Random random);
  Task<> scan_some(ShardId shard, Family family, base::Random random);
  Task<> walk_some(ShardId shard, Family family, base::Random random);
  void note_read(const Status& status);
  bool may_fail(const Status& status) const noexcept;
  void complain(const std::string& text);
  std::vector<Family> usable_families(ShardId shard) const;
  std::optional<Family> home_of(ShardId shard) const;
  std::string make_key(const Family& family, ShardId shard, base::Random& random) const;

  Plan plan_;
  Knobs knobs_;
  base::Random random_;
  SimCounts& counts_;
  reactor::SimDisk disk_;
  Boot boot_;
  bool is_booted_ = false;
  std::map<ShardId, ShardModel> models_;
  std::vector<FamilyModel> families_;
  std::vector<reactor::SimJob<void>> jobs_;
  std::uint64_t cycle_ = 0;
  std::uint64_t next_operation_ = 0;
  std::uint64_t operations_left_ = 0;  // Of this boot.
  std::uint32_t next_family_ = 0;
  std::uint64_t struck_before_ = 0;
  bool stop_clients_ = false;
  bool is_told_ = false;     ///< This boot's disk gives errors.
  bool is_full_ = false;     ///< It is small.
  bool is_damaged_ = false;  ///< It has lied.
  bool prints_ = false;
  std::string complaint_;  ///< The first thing that a client found wrong.
  End last_end_ = End::kCleanClose;
};

}  // namespace penstock::simtest
