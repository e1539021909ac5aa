// A simulated machine: one boot on a SimDisk, with its own clock, chance and open files. SimIo is its submission interface.
//
// Several may run on one disk at a time, as processes: they see each other's files and locks. After SimDisk::cut_power() or
// kill_process() the system is dead: each call answers io_error, and it is destroyed after what was built on it.
// Invariants:
//   SimSystem-I1 Time moves only by advance_to(), sleep_ns() and a little with each now_ns(), so that budgets run out.
//   SimSystem-I2 An open file is not closed while an entry on it is in flight (asserted).
// Units: nanoseconds since the boot. Thread: the simulation's one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "reactor/io.h"
#include "reactor/sim_disk.h"
#include "reactor/system.h"

namespace penstock::reactor {

struct SimSystemOptions {
  std::uint64_t seed = 1;
  std::uint32_t process_id = 100;
  std::uint32_t usable_cores = 2;
  std::uint64_t memory_bytes = 1ULL << 30U;
  bool has_direct = true;  ///< False: is_direct() is false for every file, as on some file systems.
  bool has_punch_hole = true;
  std::uint32_t io_entries_max = 256;  ///< An Io gets the smaller of this and IoOptions::entries.
  std::uint64_t tick_ns = 50;          ///< What reading the clock takes.
};

/// An open file description: the lock goes with the last one who holds it.
struct SimOpenFile {
  SimDisk* disk = nullptr;
  std::uint64_t generation = 0;
  std::shared_ptr<SimInode> inode;
  bool is_read_only = false;
  bool is_direct = false;
  bool holds_lock = false;
  std::uint32_t in_flight = 0;

  SimOpenFile() = default;
  SimOpenFile(const SimOpenFile&) = delete;
  SimOpenFile& operator=(const SimOpenFile&) = delete;
  ~SimOpenFile();

  /// The -errno that the kernel would give for such an access, or 0.
  std::int32_t check(std::uint64_t offset, std::uint64_t bytes, const void* buffer, bool is_write) const noexcept;
};

class SimSystem final : public System {
 public:
  explicit SimSystem(SimDisk& disk, const SimSystemOptions& options = {});
  ~SimSystem() override;
  SimSystem(const SimSystem&) = delete;
  SimSystem& operator=(const SimSystem&) = delete;

  SimDisk& disk() const noexcept { return disk_; }
  const SimSystemOptions& options() const noexcept { return options_; }
  /// False once power is off, or the disk has gone on to another boot.
  bool is_alive() const noexcept { return disk_.is_powered() && disk_.generation() == generation_; }
  std::size_t open_files() const noexcept { return files_.size(); }
  std::uint64_t time_ns() const noexcept { return now_ns_; }
  void advance_to(std::uint64_t time_ns) noexcept;
  /// The open file, or null for a number that is not open.
  std::shared_ptr<SimOpenFile> find_file(Fd file) const;
  base::Random fork_random() noexcept { return random_.fork(); }

  Result<Fd> open_file(const std::string& path, const OpenOptions& options) override;
  void close_file(Fd file) noexcept override;
  bool is_direct(Fd file) const noexcept override;
  Result<std::uint64_t> file_bytes(Fd file) override;
  Status resize_file(Fd file, std::uint64_t bytes, bool reserve) override;
  Status punch_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) override;
  Status fill_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) override;
  Status read_file(Fd file, std::uint64_t offset, std::span<std::byte> buffer) override;
  Status write_file(Fd file, std::uint64_t offset, std::span<const std::byte> buffer) override;
  Status sync_file(Fd file) override;

  Status make_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Status rename_file(const std::string& from, const std::string& to) override;
  Status remove_file(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::vector<std::string>> list_directory(const std::string& path) override;
  Result<Fd> lock_file(const std::string& path, bool create) override;

  std::uint64_t now_ns() noexcept override;
  std::uint64_t wall_clock_ns() noexcept override;
  std::uint64_t random_u64() noexcept override { return random_.next(); }
  void sleep_ns(std::uint64_t duration_ns) noexcept override { now_ns_ += duration_ns; }
  std::uint32_t process_id() noexcept override { return options_.process_id; }
  std::uint32_t usable_cores() noexcept override { return options_.usable_cores; }
  std::uint64_t memory_bytes() noexcept override { return options_.memory_bytes; }

  Outcome<std::unique_ptr<Io>> make_io(const IoOptions& options) override;
  bool has_threads() const noexcept override { return false; }

 private:
  /// The open file of a blocking data call, or why there is none.
  Result<std::shared_ptr<SimOpenFile>> file_for_call(Fd file) const;

  SimDisk& disk_;
  SimSystemOptions options_;
  std::uint64_t generation_;
  base::Random random_;
  std::uint64_t now_ns_ = 1'000'000;
  std::int32_t next_file_ = 3;  // Numbers are not used again: one that was closed is always caught.
  std::map<std::int32_t, std::shared_ptr<SimOpenFile>> files_;
};

}  // namespace penstock::reactor
