// A verification under way: what its reactors share, its pace, and what it has found on one of them.
//
// Invariants:
//   Scrub-I1 After stop() no reactor reads on: the next go_on() of each answers false. Closing stops it too.
//   Scrub-I2 on_progress runs on one thread at a time.
// Threads: ScrubRun any; ScrubPart its reactor's.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "btree/btree.h"
#include "penstock/verify.h"
#include "wal/log_check.h"

namespace penstock::engine {

class ReactorPart;

/// Shared by all reactors.
class ScrubRun {
 public:
  ScrubRun(ScrubOptions options, std::uint32_t reactors) noexcept
      : options_(std::move(options)), bytes_per_second_(options_.bytes_per_second / reactors) {
    if (options_.bytes_per_second != 0 && bytes_per_second_ == 0) bytes_per_second_ = 1;
  }

  const ScrubOptions& options() const noexcept { return options_; }
  /// Of each reactor; 0: no limit.
  std::uint64_t bytes_per_second() const noexcept { return bytes_per_second_; }
  bool is_stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }
  void expect(std::uint64_t bytes) noexcept { total_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void note_damage() noexcept { damages_.fetch_add(1, std::memory_order_relaxed); }
  void note_read(std::uint64_t bytes);

 private:
  ScrubOptions options_;
  std::uint64_t bytes_per_second_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> reporting_{false};
  std::atomic<std::uint64_t> total_bytes_{0};
  std::atomic<std::uint64_t> read_bytes_{0};
  std::atomic<std::uint64_t> reported_bytes_{0};
  std::atomic<std::uint64_t> damages_{0};
};

/// One reactor's: paces, and gathers the report.
class ScrubPart {
 public:
  /// `part` may be null: nothing of a database is closing then.
  ScrubPart(reactor::Reactor& reactor, const ReactorPart* part, ScrubRun& run) noexcept
      : reactor_(reactor), part_(part), run_(run), began_ns_(reactor.now_ns()) {}

  VerifyReport& report() noexcept { return report_; }
  void add(Damage damage);
  /// So many bytes were read. Waits as long as the rate asks for. False: enough.
  Task<bool> go_on(std::uint64_t bytes);
  bool is_stopped() const noexcept;
  Task<> check_identity(std::string path, std::uint16_t shard_count);
  Task<> check_epoch(std::string path, wal::Identity identity, std::uint64_t generation);

 private:
  Task<Status> read_file(std::string path, std::uint64_t bytes, reactor::AlignedBuffer* buffer);

  reactor::Reactor& reactor_;
  const ReactorPart* part_;
  ScrubRun& run_;
  VerifyReport report_;
  std::uint64_t began_ns_;
  std::uint64_t paced_bytes_ = 0;
};

/// Damage in a page file of a shard.
Damage damage_of(const btree::TreeDamage& damage, ShardId shard);
Damage damage_of(const btree::PageStore::SuperDamage& damage, ShardId shard);
std::string page_file_name(ShardId shard, std::uint16_t file);
/// What was found elsewhere, too.
void add_report(VerifyReport& total, VerifyReport part);

/// Of a log of `reactors` reactors: checks what is in its records, and adds what is wrong.
class LogScrub final : public wal::LogInspector {
 public:
  explicit LogScrub(ScrubPart& part) noexcept : part_(part) {}

  void on_part(const wal::Part& part, const wal::GroupPlace& place) override;
  void on_group(std::uint64_t group_bytes) override {
    ++part_.report().log_groups;
    part_.report().log_bytes += group_bytes;
  }
  void on_damage(const wal::LogDamage& damage) override;
  Task<bool> go_on(std::uint64_t bytes) override { return part_.go_on(bytes); }

  /// What was found, but for damage before `needed_from`: segments that were freed meanwhile.
  void finish(std::uint64_t needed_from);

 private:
  ScrubPart& part_;
  std::map<ShardId, Sequence> last_;  // Of each shard's last part, while nothing is missing since.
  struct Found {
    std::uint64_t begin;
    Damage damage;
  };
  std::vector<Found> found_;
};

}  // namespace penstock::engine
