// A disk in memory that outlives the machines booted on it, and forgets at a power cut what was not made durable.
//
// A file has durable content, the content that readers see, and the list of completed changes between the two; writes in flight
// are known too. sync makes the completed changes of one file durable; sync_directory the names of one folder. cut_power()
// keeps or loses each of the rest, sector by sector; kill_process() decides only over what was in flight. Invariants:
//   SimDisk-I1 A change covered by a sync that succeeded survives every cut. Any other change may be lost, whole or by 512-byte
//              sectors, in any order; a write in flight may leave noise in its sectors as well.
//   SimDisk-I2 A file's size is durable when a sync covered the change that made it. Its name is durable only by sync_directory
//              of its folder, a folder's name by that of the parent. Each name operation survives whole or not at all.
//   SimDisk-I3 From power_off() until cut_power() or kill_process() every operation fails with EIO and changes nothing; so
//   does,
//              for ever, every operation of a system booted before (see generation()).
// Units: bytes; sequences count changes. Thread: the simulation's one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "penstock/status.h"
#include "reactor/sim_content.h"
#include "reactor/sim_faults.h"
#include "reactor/system.h"

namespace penstock::reactor {

inline constexpr std::uint32_t kSimSectorBytes = 512;

/// What a power cut keeps of the changes that no sync covered.
struct SimCut {
  enum class Data : std::uint8_t {
    kNone,
    kAll,
    kPrefix,   ///< The oldest ones, over all files; the next one is torn.
    kSuffix,   ///< The newest ones.
    kChanges,  ///< Each one whole or not.
    kSectors,  ///< Each sector of each one or not.
  };
  enum class Names : std::uint8_t { kNone, kAll, kPrefix, kAny };
  Data data = Data::kSectors;
  Names names = Names::kAny;
  bool noise = false;  ///< With kSectors: sectors of writes in flight may hold random bytes.
  /// Of each write in flight exactly so many of its first sectors are there, whatever `data` says of the rest. ~0: as `data`
  /// says.
  std::uint64_t in_flight_sectors = ~0ULL;
  std::uint64_t seed = 0;

  /// All of it drawn from the seed.
  static SimCut draw(std::uint64_t seed) noexcept;
};

/// A completed or interrupted change of a file that no sync has covered.
struct SimChange {
  enum class Kind : std::uint8_t { kWrite, kResize, kPunch };
  Kind kind = Kind::kWrite;
  bool was_in_flight = false;
  std::uint64_t sequence = 0;
  std::uint64_t offset = 0;  ///< kResize: the new size.
  std::uint64_t bytes = 0;
  std::vector<std::byte> data = {};  ///< Empty: zeros.
};

struct SimInode : std::enable_shared_from_this<SimInode> {
  std::uint64_t id = 0;
  std::string path;  ///< Its first one; for fault plans and traces.
  SimContent current;
  SimContent durable;
  std::uint64_t bytes = 0;
  std::uint64_t durable_bytes = 0;
  std::vector<SimChange> changes;  ///< In completion order.
  bool diverged = false;           ///< A sync lost data: `current` is not `durable` plus `changes`.
  SimBlockSet allocated;
  SimBlockSet durable_allocated;
  SimBlockSet unreadable;
  std::uint32_t links = 0;
  std::uint32_t opens = 0;
  bool is_charged = true;  ///< Its blocks count as used.
  bool is_locked = false;
  std::uint32_t lock_holder = 0;
  std::uint64_t counted_at = 0;  ///< The generation that counted its names.
};

struct SimDirectory;

/// What a name stands for: a file, a folder, or nothing.
struct SimNode {
  std::shared_ptr<SimInode> file;
  std::shared_ptr<SimDirectory> directory;
  explicit operator bool() const noexcept { return file != nullptr || directory != nullptr; }
};

struct SimDirectory {
  using Edits = std::vector<std::pair<std::string, SimNode>>;
  std::uint64_t id = 0;
  std::map<std::string, SimNode> current;
  std::map<std::string, SimNode> durable;
  std::vector<Edits> pending;  ///< Operations since the last sync, in order; an empty node removes the name.
};

struct SimDiskOptions {
  std::uint64_t capacity_bytes = ~0ULL;
};

class SimDisk {
 public:
  explicit SimDisk(std::uint64_t seed, const SimDiskOptions& options = {});
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;
  ~SimDisk();

  /// A copy of the image for trying several cuts from one state. Powered like this one; its systems are not copied.
  std::unique_ptr<SimDisk> clone() const;

  SimFaults& faults() noexcept { return faults_; }
  const SimFaults& faults() const noexcept { return faults_; }

  // --- power ---
  /// Power goes off instead of the numbered event `number` (SimFaults::events).
  void cut_at(std::uint64_t number) noexcept { cut_at_ = number; }
  void power_off();
  bool is_powered() const noexcept { return is_powered_; }
  /// Ends power (if it is on), decides what survives, and is ready for the next boot. Planned faults and cut_at are forgotten.
  void cut_power(const SimCut& cut);
  void cut_power(std::uint64_t seed) { cut_power(SimCut::draw(seed)); }
  /// The same for SIGKILL: completed changes and names stay, writes in flight happen or not.
  void kill_process(std::uint64_t seed);
  /// After a process has gone: what a failed sync lost is not seen any more, as direct I/O reads the device itself.
  void forget_lost();
  /// Grows by one at each cut or kill: systems of another generation are dead.
  std::uint64_t generation() const noexcept { return generation_; }

  // --- for tests: around the faults, not counted as events ---
  Result<std::vector<std::byte>> read_all(const std::string& path) const;
  /// Creates or replaces a file; durable at once, name and content.
  Status write_all(const std::string& path, std::span<const std::byte> data);
  /// Damages the medium: what is durable and what is seen.
  Status flip_byte(const std::string& path, std::uint64_t offset, std::uint8_t mask);
  /// Reads that touch the range fail with EIO until it is written.
  Status make_unreadable(const std::string& path, std::uint64_t offset, std::uint64_t bytes);
  bool exists(const std::string& path) const;
  /// With the power off: how many sectors, at most, the writes in flight have up to their last byte that is not zero.
  std::uint64_t interrupted_sectors() const noexcept;
  /// Paths of all files, sorted.
  std::vector<std::string> list_files() const;
  /// Bytes of changes that a cut could lose.
  std::uint64_t unsynced_bytes() const noexcept;
  std::uint64_t used_bytes() const noexcept { return used_blocks_ * kBlockBytes; }
  void set_capacity(std::uint64_t bytes) noexcept { capacity_bytes_ = bytes; }

  // --- for SimSystem and SimIo. Results of data operations: bytes moved, 0, or -errno ---
  Result<std::shared_ptr<SimInode>> open(const std::string& path, const OpenOptions& options);
  void close(SimInode& inode) noexcept;
  Status make_directory(const std::string& path);
  Status sync_directory(const std::string& path);
  Status rename(const std::string& from, const std::string& to);
  Status remove(const std::string& path);
  Status remove_directory(const std::string& path);
  Result<std::vector<std::string>> list(const std::string& path);

  /// Who asks for a data operation: random faults strike entries of an Io alone.
  struct Caller {
    bool is_entry = false;
    bool is_blocking = false;
    std::uint32_t granule = kBlockBytes;  ///< Short results are multiples of it.
  };
  struct Written {
    std::int64_t result = 0;
    std::uint64_t sequence = 0;  ///< Of the change made; 0 if none.
  };
  /// The changes completed so far are those with a sequence up to this.
  std::uint64_t sequence() const noexcept { return sequence_; }
  std::int64_t read(SimInode& inode, std::uint64_t offset, std::span<std::byte> buffer, const Caller& caller);
  /// A write that has started: `data` stays valid until finish_write() or until power goes off.
  std::uint64_t begin_write(std::shared_ptr<SimInode> inode, std::uint64_t offset, std::span<const std::byte> data);
  Written finish_write(std::uint64_t write, const Caller& caller);
  /// Covers the changes up to sequence `until`, and those in `own`.
  std::int64_t sync(SimInode& inode, std::uint64_t until, std::span<const std::uint64_t> own, const Caller& caller);
  Status resize(SimInode& inode, std::uint64_t bytes, bool reserve);
  Status punch(SimInode& inode, std::uint64_t offset, std::uint64_t bytes);
  Status fill(SimInode& inode, std::uint64_t offset, std::uint64_t bytes);

 private:
  struct InFlight {
    std::shared_ptr<SimInode> inode;
    std::uint64_t offset = 0;
    std::span<const std::byte> data;
  };
  struct Interrupted {
    std::shared_ptr<SimInode> inode;
    SimChange change;
  };
  struct Candidate {
    SimInode* inode;
    const SimChange* change;
  };
  struct Place {
    std::shared_ptr<SimDirectory> directory;
    std::string name;
  };

  bool begin_event(SimEvent event);
  SimFault fault_for(SimEvent event, const SimInode& inode, std::uint64_t bytes, const Caller& caller);
  Status begin_call(SimEvent event, std::string_view path);
  void trace(SimEvent event, const SimInode& inode, std::uint64_t offset, std::int64_t result);
  Written lie(SimLie lie, SimInode& inode, std::uint64_t offset, std::span<const std::byte> data);

  bool allocate(SimInode& inode, std::uint64_t offset, std::uint64_t bytes);
  void release_if_unused(SimInode& inode) noexcept;
  SimChange& add_change(SimInode& inode, SimChange change);
  Written apply_write(SimInode& inode, std::uint64_t offset, std::span<const std::byte> data);
  void apply_torn_write(SimInode& inode, std::uint64_t offset, std::span<const std::byte> data);
  static void make_durable(SimInode& inode, const SimChange& change);
  static void make_sector_durable(SimInode& inode, const SimChange& change, std::uint64_t begin, std::uint64_t end);

  std::shared_ptr<SimDirectory> find_directory(std::string_view path) const;
  Result<Place> find_parent(const std::string& path) const;
  SimNode find(const std::string& path) const;
  void edit(const std::shared_ptr<SimDirectory>& directory, SimDirectory::Edits edits);
  static void apply_edits(std::map<std::string, SimNode>& names, const SimDirectory::Edits& edits);
  std::shared_ptr<SimInode> new_file(const std::string& path);

  void settle_data(const SimCut& cut, base::Random& random);
  void settle_change(const SimCut& cut, base::Random& random, const Candidate& candidate, std::size_t index, std::size_t point);
  void settle_sectors(const SimCut& cut, base::Random& random, const Candidate& candidate, std::uint64_t prefix_bytes);
  void settle_names(const SimCut& cut, base::Random& random);
  void restart();
  void charge_tree(const SimDirectory& directory);

  SimFaults faults_;
  std::uint64_t capacity_bytes_;
  std::uint64_t used_blocks_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t sequence_ = 0;
  std::uint64_t cut_at_ = ~0ULL;
  std::uint64_t generation_ = 1;
  bool is_powered_ = true;
  std::shared_ptr<SimDirectory> root_;
  std::map<std::uint64_t, std::shared_ptr<SimInode>> dirty_files_;  // Those with changes, or diverged.
  std::map<std::uint64_t, std::shared_ptr<SimDirectory>> dirty_directories_;
  std::uint64_t next_write_ = 1;
  std::map<std::uint64_t, InFlight> in_flight_;
  std::vector<Interrupted> interrupted_;  // What was in flight when power went off.
};

}  // namespace penstock::reactor
