// One boot of a database on the simulated disk, called like a function: for tests that break the disk at a chosen place.
//
//   SimDisk disk(1);
//   SimDatabase db(disk);
//   db.open() ... db.put(family, "k", "v") ... db.close();   // or db.kill(seed): what SIGKILL leaves behind.
//
// Every call runs the simulated reactors until it has its answer; a call that never ends stops the process with the world's
// seed. Thread: one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/database_core.h"
#include "penstock/shard.h"
#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::simtest {

using Rows = std::map<std::string, std::string>;

/// What a scan brought until its end or its first error.
struct ShardRows {
  Rows rows;
  Status status;
};

struct SimDatabaseOptions {
  std::uint64_t seed = 7;
  std::uint16_t shards = 2;
  std::uint32_t reactors = 2;
  std::uint64_t memory_limit = 8_MiB;
  WalSync wal_sync = WalSync::kAuto;
  std::uint64_t gather_from_bytes = 4_MiB;
  std::function<void(const OpenProgress&)> on_progress = {};
  std::uint64_t log_segment_bytes = 1_MiB;  ///< The log's budget is four of them.
};

class SimDatabase {
 public:
  static constexpr const char* kDirectory = "/db";

  explicit SimDatabase(reactor::SimDisk& disk, const SimDatabaseOptions& options = {});
  ~SimDatabase();  ///< close(), if it is open.
  SimDatabase(const SimDatabase&) = delete;
  SimDatabase& operator=(const SimDatabase&) = delete;

  Outcome<bool> open();
  Status close();
  /// The process dies: what was in flight happens or not. Nothing may be called after it.
  void kill(std::uint64_t seed);
  /// The same for the machine: what no sync covered survives or not.
  void cut_power(std::uint64_t seed);

  Outcome<Family> family(const std::string& name, const FamilyOptions& options = {});
  Outcome<Family> open_family(const std::string& name);
  Outcome<bool> drop_family(const std::string& name);
  std::vector<std::string> family_names();
  Status put(const Family& family, const std::string& key, const std::string& value, Durability durability = Durability::kSync);
  /// A batch of this shard alone.
  Status commit(ShardId shard, Batch& batch, Durability durability);
  Status remove(const Family& family, const std::string& key);
  Result<std::string> get(const Family& family, const std::string& key);
  /// The rows of a family on one shard, a few at a time.
  ShardRows scan(const Family& family, ShardId shard);
  Status flush(ShardId shard);
  Outcome<VerifyReport> verify();
  Outcome<VerifyReport> scrub(const ScrubOptions& options);
  /// In place of open().
  Outcome<VerifyReport> verify_closed();
  reactor::SimJob<Outcome<VerifyReport>> start_scrub(const ScrubOptions& options);
  Metrics metrics();

  void run_for_ms(std::uint64_t milliseconds) { world_->run_for(milliseconds * 1'000'000); }
  reactor::SimWorld& world() noexcept { return *world_; }
  detail::DatabaseCore& core() noexcept { return *core_; }
  std::uint16_t shard_count() const noexcept { return core_->settings().shard_count; }

 private:
  void die();
  std::uint32_t reactor_of(ShardId shard) const noexcept { return static_cast<std::uint32_t>(shard % world_->reactor_count()); }

  reactor::SimDisk& disk_;
  std::unique_ptr<reactor::SimWorld> world_;
  std::shared_ptr<detail::RuntimeCore> runtime_;
  std::unique_ptr<detail::DatabaseCore> core_;
};

}  // namespace penstock::simtest
