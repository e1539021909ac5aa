// The whole engine on the simulated disk, with a model that knows what must, may and must not be there after a crash.
//
// One EngineSim is one database over many boots: run clients, cut power or kill, boot again, check, go on. Each shard's commits
// are numbered in the order of their submission, and each batch writes its number under a key of its own: so the recovered
// number p says which prefix of the history is there, and everything else must equal the model after p batches. What is checked
// after each boot :
//   1 durability: p covers every batch acknowledged at a level that survives this kind of crash, or by a flush since; unlogged
//   batches have a number of their own, up to which all of them are there;
//   2 atomicity and prefix: all families of the shard equal the model after exactly p batches: no hole, no half batch, nothing
//   old back; 3 deletes stay deleted, dropped families stay dropped, acknowledged families exist; 4 verify(): every reachable
//   page is good and the zone tables count exactly the reachable blocks; 5 the engine takes new commits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/database_core.h"
#include "penstock/shard.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::simtest {

/// What a seed decides about a database and its runs.
struct Knobs {
  std::uint16_t shards = 3;
  std::uint32_t reactors = 2;
  std::uint64_t memory_limit = 3_MiB;
  std::uint32_t clients_per_shard = 2;
  std::uint32_t keys = 60;
  std::uint32_t batch_operations_max = 20;
  std::uint32_t value_bytes_max = 300;
  std::uint32_t big_value_one_in = 60;  ///< Values up to 40 KB now and then, and some up to 180 KB: extents, early ones too.
  std::uint32_t flush_one_in = 40;      ///< A client flushes its shard.
  std::uint32_t ddl_one_in = 60;        ///< A client creates or drops a family.
  std::uint32_t change_one_in = 300;    ///< A client changes options.
  std::uint32_t unlogged_one_in = 10;   ///< Of the commits.
  reactor::SimRates rates;

  static Knobs draw(base::Random& random);
};

/// Counts over all cycles, so that a test can show that the rare things fell into its window.
struct SimCounts {
  std::uint64_t boots = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t kills = 0;
  std::uint64_t clean_closes = 0;
  std::uint64_t cuts_in_recovery = 0;
  std::uint64_t commits_acknowledged = 0;
  std::uint64_t flush_passes = 0;
  std::uint64_t unlogged_acknowledged = 0;
  std::uint64_t options_changed = 0;
  std::uint64_t large_values = 0;
  std::uint64_t runs_made = 0;
  std::uint64_t runs_joined = 0;
  std::uint64_t run_slices = 0;
  std::uint64_t segments = 0;
  std::uint64_t families_created = 0;
  std::uint64_t families_dropped = 0;
  std::uint64_t reactor_changes = 0;
  std::uint64_t torn_tails = 0;
};

class EngineSim {
 public:
  EngineSim(std::uint64_t seed, SimCounts& counts);
  ~EngineSim();

  /// Runs `cycles` crash-recover cycles. Empty: all is well; else what was wrong.
  std::string run(std::uint32_t cycles);

 private:
  using State = std::map<std::string, std::string>;  // "family id/key" -> value
  struct Change {
    FamilyId family;
    std::string key;
    std::optional<std::string> value;
  };
  struct IssuedBatch {
    std::vector<Change> changes;
    Durability durability = Durability::kSync;
    bool acknowledged = false;
    bool is_flushed = false;  ///< A flush that began after it was acknowledged has ended well.
  };
  struct ShardModel {
    State base;  // After `base_count` batches.
    std::uint64_t base_count = 0;
    std::vector<IssuedBatch> issued;  // Those after the base, in order.
  };
  enum class Existence : std::uint8_t { kMaybe, kCertain, kDropping, kGone };
  struct FamilyModel {
    std::string name;
    Existence existence = Existence::kMaybe;
    std::optional<Family> handle;
  };
  enum class End : std::uint8_t { kPowerCut, kKill, kCleanClose };

  std::string boot(bool with_checks);
  void run_clients(End end);
  std::string check_all();
  std::string check_shard(ShardId shard, End end);
  std::string check_families();
  void end_boot(End end);

  static Task<> client(EngineSim* self, ShardId shard, std::uint64_t seed);
  Task<> commit_once(ShardId shard, base::Random& random);
  Task<> flush_once(ShardId shard);
  Task<> change_options(base::Random& random);
  Task<> change_families(base::Random& random);
  static Task<Result<State>> read_shard(EngineSim* self, ShardId shard);
  static Task<bool> open_core(detail::DatabaseCore* core, std::string* failure);
  std::vector<Family> usable_families() const;
  std::string make_key(const Family& family, ShardId shard, base::Random& random) const;
  static void apply(State& state, const IssuedBatch& batch);

  base::Random random_;
  SimCounts& counts_;
  Knobs knobs_;
  reactor::SimDisk disk_;
  std::unique_ptr<reactor::SimWorld> world_;
  std::shared_ptr<detail::RuntimeCore> runtime_;
  std::unique_ptr<detail::DatabaseCore> core_;
  std::map<ShardId, ShardModel> models_;
  std::vector<FamilyModel> families_;
  std::uint32_t next_family_ = 0;
  bool stop_clients_ = false;
  bool is_open_ = false;
  End last_end_ = End::kCleanClose;
  std::uint32_t last_reactors_ = 0;
};

}  // namespace penstock::simtest
