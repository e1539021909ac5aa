// Opening a page store: which of the two superblocks is believed, and closing it again.

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/sometimes.h"
#include "btree/page_store_impl.h"
#include "btree/zone_table.h"

namespace penstock::btree {
namespace {

constexpr std::uint32_t kAttempts = 2;

/// Errors that another slot may be free of. Others (permission, too many open files) are not the slot's fault.
bool is_damage(const Status& status) noexcept { return status.is(Code::kCorruption) || status.is(Code::kIoError); }

}  // namespace

Failure PageStore::Impl::describe(const Status& status, const std::string& what) const {
  const Status placed = status.with_shard(options_.shard);
  return {placed, options_.directory + ": " + what + ": " + placed.to_string()};
}

/// What a slot says. A slot whose bytes are wrong is read twice: the fault may have been on the way.
Task<Result<SuperblockContent>> PageStore::Impl::read_slot(std::uint32_t slot) {
  const std::uint64_t offset = std::uint64_t{slot} * kSuperSlotBytes;
  Status failed;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    const Status read = co_await reactor_.read(super_.fd(), offset, super_buffer_.span());
    if (!read.is_ok()) {
      failed = read.with_place(FileKind::kSuper, offset);
      continue;
    }
    Result<SuperblockContent> content = decode_superblock(super_buffer_.span(), slot, options_.identity, options_.shard);
    if (content.has_value() || !content.error().is(Code::kCorruption)) co_return content;
    PENSTOCK_SOMETIMES("superblock: a slot is unreadable", true);
    failed = content.error();
  }
  co_return std::unexpected(failed);
}

Task<Failure> PageStore::Impl::open() {
  if (!super_buffer_) co_return describe(Status::from_errno(ENOMEM), "no memory for a superblock");
  const Result<reactor::Fd> fd = reactor_.system().open_file(super_path(options_.directory), {});
  if (!fd.has_value()) {
    const bool is_missing = fd.error().is(Code::kNotFound);
    const Status status = is_missing ? Status(Code::kCorruption) : fd.error();
    co_return describe(status.with_place(FileKind::kSuper, 0), "the superblock file cannot be opened");
  }
  super_ = reactor::File(reactor_.system(), *fd);
  // What a crash left in the page cache alone must not be believed.
  Status synced = co_await reactor_.sync(super_.fd());
  if (synced.is_ok()) synced = reactor_.system().sync_directory(options_.directory);
  if (!synced.is_ok()) co_return describe(synced.with_place(FileKind::kSuper, 0), "syncing before reading failed");

  std::vector<Result<SuperblockContent>> slots;
  for (std::uint32_t slot = 0; slot < kSuperSlots; ++slot) {
    Result<SuperblockContent> content = co_await read_slot(slot);
    if (!content.has_value() && !is_damage(content.error())) co_return describe(content.error(), "unknown superblock");
    slots.push_back(std::move(content));
  }
  const auto generation_of = [](const Result<SuperblockContent>& slot) {
    return slot.has_value() ? slot->superblock.generation : 0;
  };
  const std::uint32_t newest = generation_of(slots[1]) > generation_of(slots[0]) ? 1 : 0;
  Status first_failure;
  for (const std::uint32_t slot : {newest, 1 - newest}) {
    Status status = slots[slot].has_value() ? Status::ok() : slots[slot].error();
    if (status.is_ok()) status = co_await open_generation(&*slots[slot]);
    if (status.is_ok()) {
      adopt_slots(*slots[slot], slots[1 - slot]);
      PENSTOCK_SOMETIMES("superblock: the newest one does not open", !first_failure.is_ok());
      passed_over_ = first_failure.with_shard(options_.shard);
      co_return Failure();
    }
    if (!is_damage(status)) co_return describe(status, "a page file cannot be opened");
    if (first_failure.is_ok()) first_failure = status;
  }
  co_return describe(first_failure, "neither superblock opens completely");
}

/// Files and zone tables of a superblock, into files_ and map_.
Task<Status> PageStore::Impl::open_generation(const SuperblockContent* content) {
  files_.clear();
  map_ = ZoneMap();
  for (const FileRecord& record : content->files) {
    PENSTOCK_CO_TRY(co_await open_page_file(&record, content->superblock.generation));
  }
  const ChildPointer& roots = content->superblock.roots;
  if (!roots.is_null() && !map_.contains(roots.address, roots.blocks)) {
    const std::uint64_t offset =
        (super_slot_of(content->superblock.generation) * kSuperSlotBytes) + offsetof(SuperHeader, roots);
    co_return Status(Code::kCorruption, FileKind::kSuper, offset);
  }
  co_return Status::ok();
}

Task<Status> PageStore::Impl::open_page_file(const FileRecord* record, std::uint64_t generation) {
  const std::uint16_t number = record->number;
  const auto placed = [&](const Status& status, std::uint64_t block) {
    return status.with_place(FileKind::kPages, block).with_file(number);
  };
  const Result<reactor::Fd> fd = reactor_.system().open_file(page_file_path(options_.directory, number), {});
  if (!fd.has_value()) {
    co_return placed(fd.error().is(Code::kNotFound) ? Status(Code::kCorruption) : fd.error(), 0);
  }
  reactor::File file(reactor_.system(), *fd);
  const Status synced = co_await reactor_.sync(file.fd());
  if (!synced.is_ok()) co_return placed(synced, 0);
  // Longer is growth that no superblock came to name.
  const Result<std::uint64_t> bytes = reactor_.system().file_bytes(file.fd());
  if (!bytes.has_value()) co_return placed(bytes.error(), 0);
  PENSTOCK_SOMETIMES("space: a page file is longer than its superblock says",
                     *bytes > std::uint64_t{record->zones} * kZoneBytes);
  if (*bytes < std::uint64_t{record->zones} * kZoneBytes) {
    co_return placed(Status(Code::kCorruption), *bytes / kPageBlockBytes);
  }
  const std::uint64_t offset = std::uint64_t{record->table_copy} * kZoneTableBytes;
  const std::span<std::byte> table = super_buffer_.span().first(zone_table_bytes(record->zones));
  Status failed;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    failed = co_await reactor_.read(file.fd(), offset, table);
    if (!failed.is_ok()) continue;
    if (base::checksum(table) == record->table_checksum) break;
    failed = Status(Code::kCorruption);
  }
  if (!failed.is_ok()) co_return placed(failed, offset / kPageBlockBytes);
  Result<std::vector<Zone>> zones = decode_zone_table(table, record->zones, generation);
  if (!zones.has_value()) co_return placed(zones.error(), (offset / kPageBlockBytes) + zones.error().where());
  map_.add_file(std::move(*zones));
  files_.push_back({std::move(file)});
  PENSTOCK_ASSERT_EQ(files_.size(), std::size_t{number});
  co_return Status::ok();
}

/// Takes `content` for current. `other` is kept as it is if it is the older slot; if not, it is in the way (Impl-I2).
void PageStore::Impl::adopt_slots(SuperblockContent content, const Result<SuperblockContent>& other) {
  const std::uint64_t generation = content.superblock.generation;
  const bool has_older = other.has_value() && other->superblock.generation < generation;
  current_ = std::move(content);
  // With one slot, nothing needs the log from before what that one has applied.
  older_applied_ = has_older ? other->superblock.applied : current_.superblock.applied;
  older_files_ = other.has_value() ? other->files : std::vector<FileRecord>();
  must_confirm_ = !has_older && generation > 1;
  confirm_generation_ = generation + 1;
  // A new store's second slot holds zeros. Any generation above both may follow, but into the slot that current is not in.
  while (other.has_value() && confirm_generation_ <= other->superblock.generation) confirm_generation_ += kSuperSlots;
  PENSTOCK_ASSERT_NE(super_slot_of(confirm_generation_), super_slot_of(generation));
  map_.start(generation, has_older ? other->superblock.generation : generation);
}

Task<> PageStore::Impl::close() {
  if (pass_ != 0) co_await abandon();
  while (reads_ > 0) co_await reads_ended_.wait();
  co_await prefetches_.join();
}

}  // namespace penstock::btree
