// The page files of one shard: reading and caching pages, writing new ones in passes, space in zones, the two superblock slots.
//
// Copy-on-write: a pass writes new pages into empty space, frees the pages they replace, and publishes a superblock with a
// generation of its own. Until then the last two superblocks and all that they reach stay as they are. Invariants:
//   Store-I1 Order of a publication: pages and zone tables -> fdatasync of every page file touched -> superblock g into the
//   slot that
//            g - 1 is not in -> fdatasync. Only then does current() change.
//   Store-I2 A zone emptied by generation e and first written for b is written again iff no kept generation lies in [b, e).
//   Kept:
//            both slots, and every pinned generation.
//   Store-I3 So the older valid slot always opens completely: its pages, its zone tables and its files are untouched.
//   Store-I4 A block is written once between two emptyings of its zone.
//   Store-I5 Nothing read from disk is used before its checksum (from the parent) and its structure were verified.
//   Store-I6 Counts: live blocks of a zone = blocks of pages and extents in it that current()'s root reaches.
//   Store-I7 After a failed sync, or a superblock write of unknown result, the store refuses passes (`poisoned`); reads go on.
//   A
//            failed page write alone only ends its pass with io_error: its zone is left alone for this opening.
// Units: blocks of 4 KiB; zones of 1 MiB. Thread: the shard's reactor. Formats: docs/formats/superblock.md, zones.md, page.md.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "btree/pointer.h"
#include "btree/write_budget.h"
#include "btree/write_pace.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "reactor/reactor.h"

namespace penstock::btree {

/// What a generation contains of the log: everything up to (epoch, offset); `sequence` is the shard's last one.
struct AppliedPosition {
  std::uint32_t epoch = 0;
  std::uint64_t offset = 0;
  Sequence sequence = 0;
  friend bool operator==(const AppliedPosition&, const AppliedPosition&) = default;
};

/// What a superblock says. The cursor belongs to publishing in steps; v1 writes it empty and refuses others.
struct Superblock {
  std::uint64_t generation = 0;
  AppliedPosition applied;
  ChildPointer roots;  ///< The tree of family roots.
};

struct StoreIdentity {
  std::uint64_t uuid_high = 0;
  std::uint64_t uuid_low = 0;
  std::uint32_t incarnation = 0;
};

/// What may change while a store is open.
struct StoreBudgets {
  std::uint64_t cache_bytes = 64_MiB;
  std::uint32_t space_use_target_percent = 75;
};

struct PageStoreOptions {
  WritePace* pace = nullptr;      ///< Shared by the reactor's stores, and outlives them. Null: none.
  WriteBudget* budget = nullptr;  ///< As that. Null: 256 KiB.
  std::string directory;          ///< shard-<s>
  StoreIdentity identity;
  ShardId shard = 0;
  StoreBudgets budgets;
  std::uint64_t file_bytes_max = 4_GiB;    ///< A multiple of 1 MiB, at most 4 GiB.
  std::uint64_t growth_bytes_min = 8_MiB;  ///< A file grows by at least this and by a quarter of the store, at most 256 MiB.
  std::uint32_t run_bytes_max = 128_KiB;   ///< Adjacent pages go out in writes of at most this.
};

struct SpaceStats {
  std::uint64_t file_bytes = 0;  ///< Allocated to page files, tables included.
  std::uint64_t live_bytes = 0;
  std::uint64_t free_bytes = 0;      ///< In zones that can be written now.
  std::uint64_t pinned_bytes = 0;    ///< In empty zones that a kept generation still needs.
  std::uint64_t garbage_bytes = 0;   ///< Dead blocks in zones that still hold live ones.
  std::uint64_t returned_bytes = 0;  ///< Given back to the file system since opening.
};

struct StoreCounters {
  std::uint64_t pages_read = 0;
  std::uint64_t pages_written = 0;
  std::uint64_t page_bytes_written = 0;  ///< Pages, extents, tables and superblocks.
  std::uint64_t cache_hits = 0;          ///< Of reads that admit; so are the misses.
  std::uint64_t cache_misses = 0;
  std::uint64_t cache_evictions = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t publications = 0;
  std::uint64_t zones_cleaned = 0;
  std::uint64_t early_extents = 0;  ///< Written before their record.
};

struct Frame;

/// What is wrong with a page, a piece of an extent, or how pages stand to each other.
struct TreeDamage {
  enum class Kind : std::uint8_t {
    kUnreadable,     ///< The system could not read it.
    kChecksum,       ///< Not the bytes that were written.
    kStructure,      ///< The bytes that were written, and they make no sense; or of a later version (not_supported).
    kContradiction,  ///< Each page for itself is sound: keys, levels or generations do not fit together.
  };
  Kind kind = Kind::kUnreadable;
  Status status;
  Address address;
  std::uint64_t blocks = 0;
  FamilyId family = 0;
};

/// Gets what a verification meets, and paces it.
class TreeInspector {
 public:
  /// A page or an extent that the tree reaches, sound or not.
  virtual void on_blocks(Address address, std::uint64_t blocks) = 0;
  virtual void on_damage(const TreeDamage& damage) = 0;
  /// A pair of the leaf at `page` whose value stands there. Views are good during the call.
  virtual void on_pair(Address page, FamilyId family, Bytes key, Bytes value) {
    (void)page;
    (void)family;
    (void)key;
    (void)value;
  }
  /// So many bytes were read. May wait. False: enough.
  virtual Task<bool> go_on(std::uint64_t bytes) = 0;

 protected:
  ~TreeInspector() = default;
};

/// A verified page, kept in memory while the reference lives. Movable; belongs to the shard's reactor.
class PageRef {
 public:
  PageRef() noexcept = default;
  explicit PageRef(Frame* frame) noexcept;  ///< Adds a pin.
  PageRef(PageRef&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  PageRef& operator=(PageRef&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~PageRef();
  explicit operator bool() const noexcept { return frame_ != nullptr; }
  std::span<const std::byte> bytes() const noexcept;

  /// For owners that must not know what a page is: gives the pin away, and takes it back.
  void* release() noexcept { return std::exchange(frame_, nullptr); }
  static PageRef adopt(void* released) noexcept;

 private:
  friend class PageStore;
  Frame* frame_ = nullptr;
};

class PageStore {
 public:
  /// Blocking, at creation of the database: folder, `super` with generation 1 of an empty shard; files and folder synced.
  static Status create(reactor::System& system, const std::string& directory, const StoreIdentity& identity, ShardId shard);

  /// Syncs files and folder, reads both slots, takes the newest valid one that opens completely (files, lengths, zone tables).
  /// One valid slot is enough; none is `corruption`; unknown incompatible features are `not_supported`.
  static Task<Outcome<std::unique_ptr<PageStore>>> open(reactor::Reactor& reactor, PageStoreOptions options);
  ~PageStore();  ///< close() has returned.
  /// Waits for I/O in flight. Writes nothing.
  Task<> close();

  const Superblock& current() const noexcept;
  /// What the older slot has applied: the log before this is needed by no slot. Before the second publication of a new store:
  /// zero.
  AppliedPosition older_applied() const noexcept;
  /// Why open() did not take a newer slot than current(): the damage it met. Ok if it met none.
  Status passed_over() const noexcept;

  // --- reading ---
  /// The page if it is in memory, else an empty reference. Never suspends, allocates or enters the kernel.
  PageRef find_cached(const ChildPointer& pointer) noexcept;
  /// The same for the page that an inner node's page names at `index`: by its link, if there is one.
  PageRef find_child(const PageRef& parent, std::uint32_t index) noexcept;
  /// Where the first block of that page lies, if it is linked, for hints to the processor; it may be gone soon.
  static std::span<const std::byte> linked_bytes(const PageRef& parent, std::uint32_t index) noexcept;
  /// The same as find_cached() for those whose use says nothing about what readers want: merges, backups, verification.
  PageRef peek_cached(const ChildPointer& pointer) noexcept;
  /// The leaf of the tree below `root` whose range holds `key`, if it and all above it are in memory and of the levels they
  /// should be; else an empty reference. Never suspends, allocates or enters the kernel.
  PageRef find_leaf(const ChildPointer& root, Bytes key) noexcept;
  /// That leaf's bytes, good as long as nothing runs on the shard's reactor: for borrowers (reactor/borrow_gate.h), several at
  /// once. Nothing is pinned; that the pages were used is noted.
  std::span<const std::byte> look_at_leaf(const ChildPointer& root, Bytes key) noexcept;
  /// A hint that find_leaf() will be called soon: the leaf is brought into the processor's cache meanwhile, if it is in memory.
  void fetch_leaf(const ChildPointer& root, Bytes key) noexcept;
  /// From memory or from disk; concurrent reads of one page share the I/O. Errors: corruption (file, block), io_error.
  /// `admit` false (merges, backups, verification): a page that was not in memory leaves it again with its last reference.
  Task<Result<PageRef>> read_page(ChildPointer pointer, FamilyId family, bool admit = true);
  /// Begins to read those of `pages` that are not in memory, adjacent ones in one request of at most 256 KiB, and adds a
  /// reference to each: while it lives, read_page() finds the page. Nothing is admitted; errors are met by read_page().
  void prefetch(std::span<const ChildPointer> pages, FamilyId family, std::deque<PageRef>& references);
  Task<Result<std::string>> read_extent(ExtentPointer pointer, FamilyId family);

  // --- verification: what is on disk, whatever memory says ---
  /// `page`: pointer.blocks long. Errors: as read_page().
  Task<Status> read_page_from_disk(ChildPointer pointer, FamilyId family, std::span<std::byte> page);
  /// Every piece of the value; each damaged one is reported. False: the inspector had enough.
  Task<bool> check_extent(ExtentPointer pointer, FamilyId family, TreeInspector& inspector);
  /// Both slots, and the zone tables that they name. Not while a pass runs.
  struct SuperDamage {
    Status status;  ///< Its place: `super`, or a page file's table.
    std::uint64_t bytes = 0;
  };
  Task<std::vector<SuperDamage>> check_superblocks();

  // --- values written once, before the record that names them; at any time (early_extents.cc) ---
  struct EarlyValue {
    FamilyId family = 0;
    Bytes key;
    Bytes value;
  };
  /// Writes the values to extents of their own and syncs them: they are durable when it returns, but no tree reaches them yet.
  /// Each is held once. Views stay good meanwhile. Errors: no_space, too_large, io_error (nothing is held); poisoned, also when
  /// the sync failed.
  Task<Status> put_early(std::vector<EarlyValue> values, std::vector<ExtentPointer>* extents);
  /// Before the first pass: an extent that a log names. Held once. False: it cannot be there.
  bool claim_early(const ExtentPointer& pointer);
  /// An early extent's space stays its own while it is held or a tree reaches it.
  void hold_early(const ExtentPointer& pointer) noexcept;
  void release_early(const ExtentPointer& pointer) noexcept;
  /// In a pass: a tree will reach it. Held meanwhile.
  void adopt_early(const ExtentPointer& pointer);

  /// Keeps what the current root reaches readable, across publications, while it lives.
  class ReadPin {
   public:
    ReadPin() noexcept = default;
    ReadPin(PageStore& store, std::uint64_t generation) noexcept;
    ReadPin(ReadPin&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)), generation_(std::exchange(other.generation_, 0)) {}
    ReadPin& operator=(ReadPin&& other) noexcept {
      std::swap(store_, other.store_);
      std::swap(generation_, other.generation_);
      return *this;
    }
    ~ReadPin();

   private:
    PageStore* store_ = nullptr;
    std::uint64_t generation_ = 0;
  };
  ReadPin pin_current() noexcept { return ReadPin(*this, current().generation); }

  // --- a pass (one at a time) ---
  /// Begins the pass of the next generation and returns it.
  std::uint64_t begin_pass();
  /// Makes sure that `blocks` can be placed without growing during the pass, growing files now if needed. `for_reserve`: may
  /// use the reserve that ordinary passes leave (deletes and cleaning on a full disk). Errors: no_space, io_error.
  Task<Status> reserve(std::uint64_t blocks, bool for_reserve);
  /// Places a page: sets address, birth in its header, computes the checksum, copies it into the open run. `page` is 1-16
  /// blocks with a finished header otherwise. `successor_of`: the page it replaces, whose cache frame it inherits if there is
  /// one (null: none). Errors: no_space, poisoned. Suspends nothing; call throttle() regularly.
  Result<ChildPointer> put_page(std::span<std::byte> page, std::uint64_t entries, std::uint8_t flags,
                                const ChildPointer& successor_of);
  Task<Result<ExtentPointer>> put_extent(FamilyId family, Bytes key, Bytes value);
  /// The current root no longer reaches it: freed with this pass's generation.
  void free_page(const ChildPointer& pointer);
  void free_extent(const ExtentPointer& pointer);
  /// Waits while the bytes in flight are over the budget, and makes room for the next 2 MiB. The pass's first write error, or
  /// no_space.
  Task<Status> throttle();
  /// Store-I1. On error the pass is over and nothing changed but the space it used; a failed sync poisons.
  Task<Status> publish(AppliedPosition applied, ChildPointer roots);
  /// Ends the pass without publishing; waits for its writes.
  Task<> abandon();
  /// `poisoned` after a failed sync or a superblock write of unknown result.
  Status failure() const noexcept;

  // --- space ---
  /// Zones whose live pages should be moved, emptiest first, so that use of the written zones reaches the target; empty if no
  /// need. `urgent`: as many as it takes to free a zone even below the target (full disk).
  std::vector<Address> choose_zones_to_clean(bool urgent) const;
  /// Pages and extents that start in the zone, by their headers on disk: candidates only, the tree decides by address and
  /// birth.
  struct Candidate {
    FamilyId family = 0;
    std::uint8_t level = 0;
    bool is_extent = false;
    std::string first_key;
    Address address;
    std::uint64_t birth = 0;
  };
  Task<Result<std::vector<Candidate>>> list_zone(Address zone);
  /// Marks zones as being evacuated for this pass: put_page does not place into them; is_evacuated tells the merge to move what
  /// is there.
  void set_evacuated(std::vector<Address> zones);
  bool is_evacuated(Address address) const noexcept;
  /// After a publication: gives whole free zones beyond what the next passes need back to the file system. Those at a file's
  /// end leave it, if there are many: once both superblocks say so, the file is cut.
  Task<Status> return_free_zones();
  /// A file was made shorter, and a superblock does not say so yet: as many publications are missing.
  bool has_shorter_files() const noexcept;

  SpaceStats space() const noexcept;
  const StoreCounters& counters() const noexcept;
  /// Live blocks by zone as the tables have them: (zone, live), for checks against a walk of the tree.
  std::vector<std::pair<Address, std::uint32_t>> live_blocks_by_zone() const;
  /// From now on; what the cache has too much of goes at once.
  void change_budgets(const StoreBudgets& budgets);
  reactor::Reactor& reactor() const noexcept;

 private:
  friend struct Frame;
  class Impl;
  PageStore();
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::btree
