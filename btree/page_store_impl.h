// What a PageStore is made of. Shared by the files that implement it: page_store.cc (front), store_open.cc, store_pass.cc,
// store_space.cc, store_read.cc, store_check.cc, descent.cc, extent.cc, early_extents.cc.
//
// Invariants, beside those of page_store.h:
//   Impl-I1 The table copy written for a file is one that neither slot names.
//   Impl-I2 A slot that is not valid, or newer than current (it was given up at opening because it does not open), is
//   overwritten with
//           current's contents before the first pass writes or publishes anything: it cannot come back to life over pages that
//           were written since.
//   Impl-I3 A file is never shorter than either slot says.
// Thread: the shard's reactor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "btree/page_cache.h"
#include "btree/page_store.h"
#include "btree/page_writer.h"
#include "btree/superblock.h"
#include "btree/zone_map.h"
#include "reactor/reactor.h"

namespace penstock::btree {

std::string super_path(const std::string& directory);
std::string page_file_path(const std::string& directory, std::uint16_t number);

/// For a frame whose page has just come: room for its links if it is an inner page's.
void prepare_links(Frame& frame);

class PageStore::Impl {
 public:
  Impl(reactor::Reactor& reactor, PageStoreOptions options);
  ~Impl();

  // --- store_open.cc ---
  Task<Failure> open();
  Task<> close();

  // --- store_read.cc ---
  PageRef find_cached(const ChildPointer& pointer) noexcept;
  static std::span<const std::byte> linked_bytes(const Frame& parent, std::uint32_t index) noexcept;
  PageRef find_child(Frame& parent, std::uint32_t index) noexcept;
  PageRef peek_cached(const ChildPointer& pointer) noexcept;
  Task<Result<PageRef>> read_page(ChildPointer pointer, FamilyId family, bool admit);
  void prefetch(std::span<const ChildPointer> pages, FamilyId family, std::deque<PageRef>& references);
  Task<Result<std::vector<Candidate>>> list_zone(Address zone);
  Task<Status> read_page_from_disk(ChildPointer pointer, FamilyId family, std::span<std::byte> page);

  // --- store_check.cc ---
  Task<bool> check_extent(ExtentPointer pointer, FamilyId family, TreeInspector& inspector);
  Task<std::vector<SuperDamage>> check_superblocks();

  // --- descent.cc ---
  PageRef find_leaf(const ChildPointer& root, Bytes key) noexcept;
  std::span<const std::byte> look_at_leaf(const ChildPointer& root, Bytes key) noexcept;
  void fetch_leaf(const ChildPointer& root, Bytes key) noexcept;

  // --- extent.cc ---
  Task<Result<std::string>> read_extent(ExtentPointer pointer, FamilyId family);
  Task<Result<ExtentPointer>> put_extent(FamilyId family, Bytes key, Bytes value);
  void free_extent(const ExtentPointer& pointer);

  // --- early_extents.cc ---
  Task<Status> put_early(std::vector<EarlyValue> values, std::vector<ExtentPointer>* extents);
  bool claim_early(const ExtentPointer& pointer);
  void adopt_early(const ExtentPointer& pointer);

  // --- store_pass.cc ---
  std::uint64_t begin_pass();
  Result<ChildPointer> put_page(std::span<std::byte> page, std::uint64_t entries, std::uint8_t flags,
                                const ChildPointer& successor_of);
  void free_page(const ChildPointer& pointer);
  Task<Status> throttle();
  Task<> keep_pace();
  std::uint64_t write_bytes_max() const noexcept { return options_.budget != nullptr ? options_.budget->bytes() : 256_KiB; }
  Task<Status> publish(AppliedPosition applied, ChildPointer roots);
  Task<> abandon();
  Status failure() const noexcept { return poisoned_ ? Status(Code::kPoisoned).with_shard(options_.shard) : Status::ok(); }

  // --- store_space.cc ---
  Task<Status> reserve(std::uint64_t blocks, bool for_reserve);
  Task<Status> return_free_zones();
  bool has_shorter_files() const noexcept;

  // --- small ones ---
  const Superblock& current() const noexcept { return current_.superblock; }
  AppliedPosition older_applied() const noexcept { return older_applied_; }
  Status passed_over() const noexcept { return passed_over_; }
  const PageStoreOptions& options() const noexcept { return options_; }
  reactor::Reactor& reactor() const noexcept { return reactor_; }
  ZoneMap& map() noexcept { return map_; }
  const ZoneMap& map() const noexcept { return map_; }
  SpaceStats space() const noexcept;
  const StoreCounters& counters() const noexcept;
  void change_budgets(const StoreBudgets& budgets) {
    options_.budgets = budgets;
    cache_.set_bytes_max(budgets.cache_bytes);
  }

 private:
  // Opening.
  Task<Result<SuperblockContent>> read_slot(std::uint32_t slot);
  Task<Status> open_generation(const SuperblockContent* content);
  Task<Status> open_page_file(const FileRecord* record, std::uint64_t generation);
  void adopt_slots(SuperblockContent content, const Result<SuperblockContent>& other);
  Failure describe(const Status& status, const std::string& what) const;

  // Reading.
  Task<Result<PageRef>> load_page(ChildPointer pointer, FamilyId family, bool admit);
  bool is_possible(const ChildPointer& pointer) const noexcept;
  /// Who walks: the shard's reactor, which makes links; a borrower, who changes nothing but use counts, each in one access; a
  /// reactor that will come this way soon and changes nothing at all.
  enum class Walk : std::uint8_t { kFind, kBorrow, kFetch };
  template <Walk kWalk>
  Frame* descend(const ChildPointer& root, Bytes key) noexcept;
  struct Loading {
    Frame* frame;
    ChildPointer pointer;
  };
  Task<> load_run(std::vector<Loading> run, FamilyId family);
  Frame* begin_loading(const ChildPointer& pointer, bool admit);
  void end_loading(Frame* frame, Status status);
  Task<Status> fill_frame(Frame* frame, ChildPointer pointer, FamilyId family);
  Task<Status> fetch_page(ChildPointer pointer, FamilyId family, std::span<std::byte> page);
  Task<Status> read_blocks(Address address, std::span<std::byte> out);
  struct ExtentWalk;
  Task<bool> check_extent_data(ExtentWalk* walk);
  Task<> check_slot(std::uint32_t slot, std::vector<SuperDamage>* damages);
  Task<> check_tables(const SuperblockContent* content, std::span<std::byte> table, std::vector<SuperDamage>* damages);
  Task<Status> read_extent_into(ExtentPointer pointer, FamilyId family, std::string* value);
  reactor::AlignedBuffer take_buffer(std::size_t bytes);
  void give_buffer(reactor::AlignedBuffer buffer);
  void on_read_end() noexcept;

  // A pass.
  Task<Status> grow(std::size_t zones, std::size_t consecutive);
  Task<Status> grow_locked(std::size_t zones, std::size_t consecutive);
  Task<Status> lengthen(std::uint16_t number, std::uint32_t zones);
  Task<Status> fill_holes(std::size_t zones);
  Task<Status> grow_file(std::uint16_t number, std::uint32_t zones);
  Task<Status> add_file(std::uint32_t zones);
  Status resize(std::uint16_t number, std::uint32_t zones);
  std::uint32_t zones_named(std::uint16_t number) const noexcept;
  Task<Status> punch_free_zones(std::size_t kept);
  Status shorten_files(std::size_t kept);
  std::uint32_t file_zones_max() const noexcept;
  void collect_failures();
  Status pass_status();
  Task<Result<Address>> place_extent(std::uint64_t blocks);
  Task<Status> append_extent(Address address, std::span<const std::byte> head, Bytes value);
  void finish_pass(bool published);

  // Early extents.
  Task<Result<Address>> place_early(std::uint64_t blocks);
  Task<> write_early(const EarlyValue* value, Address address, ExtentPointer* pointer, Status* status);
  Task<Status> sync_early(std::uint16_t number);
  Status find_file_zones(Address address, std::uint64_t blocks);

  // Publishing.
  Task<> lock_growth();
  void unlock_growth();
  Task<Status> confirm_if_needed();
  Task<Status> confirm_slot();
  Task<Status> publish_now(AppliedPosition applied, ChildPointer roots);
  Task<Status> write_tables(SuperblockContent* content);
  Task<> write_table(FileRecord* record, std::uint64_t generation, Status* status);
  Task<Status> sync_changed_files();
  Task<> sync_page_file(std::uint16_t number, Status* status);
  Task<Status> write_superblock(const SuperblockContent* content);
  std::uint8_t unused_table_copy(std::uint16_t number) const noexcept;

  reactor::Reactor& reactor_;
  PageStoreOptions options_;
  reactor::File super_;
  std::vector<PageFile> files_;
  SuperblockContent current_;
  std::vector<FileRecord> older_files_;  ///< Of the other slot, whatever it is good for.
  AppliedPosition older_applied_;
  Status passed_over_;
  bool must_confirm_ = false;  ///< Impl-I2.
  std::uint64_t confirm_generation_ = 0;

  PageCache cache_;
  ZoneMap map_;
  PageWriter writer_;
  reactor::AlignedBuffer super_buffer_;
  std::uint64_t paced_bytes_ = 0;                ///< Of the writer's, those that the pace knows of.
  std::vector<reactor::AlignedBuffer> buffers_;  ///< For reading extents and zones.

  std::uint64_t pass_ = 0;  ///< Its generation, 0 outside.
  Status pass_error_;
  std::vector<ChildPointer> admitted_;  ///< Put into the cache by this pass.
  std::vector<ChildPointer> replaced_;  ///< In the cache, and freed by this pass.
  bool poisoned_ = false;

  std::uint32_t reads_ = 0;
  struct EarlySync {
    std::uint64_t asked = 0;
    std::uint64_t covered = 0;
    bool is_running = false;
  };
  std::map<std::uint16_t, EarlySync> early_syncs_;  ///< By file number; entries stay where they are.
  reactor::Event early_sync_ended_;
  bool growth_locked_ = false;  ///< Files change their lengths, or a publication writes down which they have.
  reactor::Event growth_unlocked_;
  reactor::TaskGroup prefetches_;
  reactor::Event reads_ended_;
  mutable StoreCounters counters_;
  std::uint64_t other_written_bytes_ = 0;  ///< Tables and superblocks.
  std::uint64_t returned_bytes_ = 0;
};

}  // namespace penstock::btree
