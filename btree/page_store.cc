#include "btree/page_store.h"

#include <cerrno>
#include <string>
#include <utility>

#include "base/assert.h"
#include "btree/page_store_impl.h"

namespace penstock::btree {

std::string super_path(const std::string& directory) { return directory + "/super"; }

std::string page_file_path(const std::string& directory, std::uint16_t number) {
  return directory + "/pages-" + std::to_string(number);
}

namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Status PageStore::create(reactor::System& system, const std::string& directory, const StoreIdentity& identity, ShardId shard) {
  PENSTOCK_TRY(system.make_directory(directory));
  reactor::OpenOptions options;
  options.create = true;
  options.exclusive = true;
  const Result<reactor::Fd> fd = system.open_file(super_path(directory), options);
  if (!fd.has_value()) return fd.error();
  const reactor::File file(system, *fd);
  const reactor::AlignedBuffer slots(std::size_t{kSuperSlots} * kSuperSlotBytes);
  if (!slots) return Status::from_errno(ENOMEM);
  SuperblockContent content;
  content.superblock.generation = 1;
  const std::size_t offset = std::size_t{super_slot_of(1)} * kSuperSlotBytes;
  encode_superblock(content, identity, shard, slots.span().subspan(offset, superblock_bytes(content)));
  PENSTOCK_TRY(system.resize_file(file.fd(), slots.bytes(), true));
  PENSTOCK_TRY(system.write_file(file.fd(), 0, slots.span()));
  PENSTOCK_TRY(system.sync_file(file.fd()));
  PENSTOCK_TRY(system.sync_directory(directory));
  return system.sync_directory(parent_of(directory));
}

Task<Outcome<std::unique_ptr<PageStore>>> PageStore::open(reactor::Reactor& reactor, PageStoreOptions options) {
  std::unique_ptr<PageStore> store(new PageStore);
  store->impl_ = std::make_unique<Impl>(reactor, std::move(options));
  Failure failure = co_await store->impl_->open();
  if (!failure.status.is_ok()) co_return std::unexpected(std::move(failure));
  co_return store;
}

PageStore::PageStore() = default;
PageStore::~PageStore() = default;
Task<> PageStore::close() { return impl_->close(); }

const Superblock& PageStore::current() const noexcept { return impl_->current(); }
AppliedPosition PageStore::older_applied() const noexcept { return impl_->older_applied(); }
Status PageStore::passed_over() const noexcept { return impl_->passed_over(); }

PageRef PageStore::find_cached(const ChildPointer& pointer) noexcept { return impl_->find_cached(pointer); }
PageRef PageStore::find_child(const PageRef& parent, std::uint32_t index) noexcept {
  return impl_->find_child(*parent.frame_, index);
}
std::span<const std::byte> PageStore::linked_bytes(const PageRef& parent, std::uint32_t index) noexcept {
  return Impl::linked_bytes(*parent.frame_, index);
}
PageRef PageStore::find_leaf(const ChildPointer& root, Bytes key) noexcept { return impl_->find_leaf(root, key); }
std::span<const std::byte> PageStore::look_at_leaf(const ChildPointer& root, Bytes key) noexcept {
  return impl_->look_at_leaf(root, key);
}
void PageStore::fetch_leaf(const ChildPointer& root, Bytes key) noexcept { impl_->fetch_leaf(root, key); }
PageRef PageStore::peek_cached(const ChildPointer& pointer) noexcept { return impl_->peek_cached(pointer); }
void PageStore::prefetch(std::span<const ChildPointer> pages, FamilyId family, std::deque<PageRef>& references) {
  impl_->prefetch(pages, family, references);
}
Task<Result<PageRef>> PageStore::read_page(ChildPointer pointer, FamilyId family, bool admit) {
  return impl_->read_page(pointer, family, admit);
}
Task<Status> PageStore::read_page_from_disk(ChildPointer pointer, FamilyId family, std::span<std::byte> page) {
  return impl_->read_page_from_disk(pointer, family, page);
}
Task<bool> PageStore::check_extent(ExtentPointer pointer, FamilyId family, TreeInspector& inspector) {
  return impl_->check_extent(pointer, family, inspector);
}
Task<std::vector<PageStore::SuperDamage>> PageStore::check_superblocks() { return impl_->check_superblocks(); }
Task<Result<std::string>> PageStore::read_extent(ExtentPointer pointer, FamilyId family) {
  return impl_->read_extent(pointer, family);
}

PageStore::ReadPin::ReadPin(PageStore& store, std::uint64_t generation) noexcept : store_(&store), generation_(generation) {
  store.impl_->map().pin(generation);
}
PageStore::ReadPin::~ReadPin() {
  if (store_ != nullptr) store_->impl_->map().unpin(generation_);
}

std::uint64_t PageStore::begin_pass() { return impl_->begin_pass(); }
Task<Status> PageStore::reserve(std::uint64_t blocks, bool for_reserve) { return impl_->reserve(blocks, for_reserve); }
Result<ChildPointer> PageStore::put_page(std::span<std::byte> page, std::uint64_t entries, std::uint8_t flags,
                                         const ChildPointer& successor_of) {
  return impl_->put_page(page, entries, flags, successor_of);
}
Task<Result<ExtentPointer>> PageStore::put_extent(FamilyId family, Bytes key, Bytes value) {
  return impl_->put_extent(family, key, value);
}
Task<Status> PageStore::put_early(std::vector<EarlyValue> values, std::vector<ExtentPointer>* extents) {
  return impl_->put_early(std::move(values), extents);
}
bool PageStore::claim_early(const ExtentPointer& pointer) { return impl_->claim_early(pointer); }
void PageStore::hold_early(const ExtentPointer& pointer) noexcept {
  impl_->map().hold_early(pointer.address, extent_blocks(pointer.value_bytes));
}
void PageStore::release_early(const ExtentPointer& pointer) noexcept {
  impl_->map().release_early(pointer.address, extent_blocks(pointer.value_bytes));
}
void PageStore::adopt_early(const ExtentPointer& pointer) { impl_->adopt_early(pointer); }
void PageStore::free_page(const ChildPointer& pointer) { impl_->free_page(pointer); }
void PageStore::free_extent(const ExtentPointer& pointer) { impl_->free_extent(pointer); }
Task<Status> PageStore::throttle() { return impl_->throttle(); }
Task<Status> PageStore::publish(AppliedPosition applied, ChildPointer roots) { return impl_->publish(applied, roots); }
Task<> PageStore::abandon() { return impl_->abandon(); }
Status PageStore::failure() const noexcept { return impl_->failure(); }

std::vector<Address> PageStore::choose_zones_to_clean(bool urgent) const {
  return impl_->map().choose_to_clean(impl_->options().budgets.space_use_target_percent, urgent);
}
Task<Result<std::vector<PageStore::Candidate>>> PageStore::list_zone(Address zone) { return impl_->list_zone(zone); }
void PageStore::set_evacuated(std::vector<Address> zones) { impl_->map().set_evacuated(zones); }
bool PageStore::is_evacuated(Address address) const noexcept { return impl_->map().is_evacuated(address); }
Task<Status> PageStore::return_free_zones() { return impl_->return_free_zones(); }
bool PageStore::has_shorter_files() const noexcept { return impl_->has_shorter_files(); }

SpaceStats PageStore::space() const noexcept { return impl_->space(); }
const StoreCounters& PageStore::counters() const noexcept { return impl_->counters(); }
std::vector<std::pair<Address, std::uint32_t>> PageStore::live_blocks_by_zone() const { return impl_->map().live_blocks(); }
void PageStore::change_budgets(const StoreBudgets& budgets) { impl_->change_budgets(budgets); }
reactor::Reactor& PageStore::reactor() const noexcept { return impl_->reactor(); }

// --- Impl ---

PageStore::Impl::Impl(reactor::Reactor& reactor, PageStoreOptions options)
    : reactor_(reactor),
      options_(std::move(options)),
      cache_(options_.budgets.cache_bytes),
      writer_(reactor, files_, options_.run_bytes_max),
      super_buffer_(kSuperSlotBytes),
      early_sync_ended_(reactor),
      growth_unlocked_(reactor),
      prefetches_(reactor),
      reads_ended_(reactor) {}

PageStore::Impl::~Impl() {
  PENSTOCK_ASSERT_EQ(reads_, 0U);
  PENSTOCK_ASSERT_EQ(pass_, 0U);
}

SpaceStats PageStore::Impl::space() const noexcept {
  SpaceStats stats = map_.stats();
  stats.returned_bytes = returned_bytes_;
  return stats;
}

const StoreCounters& PageStore::Impl::counters() const noexcept {
  counters_.page_bytes_written = writer_.written_bytes() + other_written_bytes_;
  counters_.cache_bytes = cache_.bytes();
  counters_.cache_evictions = cache_.evictions();
  return counters_;
}

}  // namespace penstock::btree
