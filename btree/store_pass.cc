// A pass: its pages, and the superblock that makes it count. Space for it: store_space.cc.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"
#include "base/sometimes.h"
#include "btree/page.h"
#include "btree/page_format.h"
#include "btree/page_store_impl.h"
#include "btree/zone_table.h"

namespace penstock::btree {
namespace {

/// What a pass may place between two calls of throttle(): 2 MiB.
constexpr std::uint64_t kBlocksBetweenThrottles = 512;
/// Shorter waits for the pace are not worth a timer.
constexpr std::uint64_t kPaceGrainNs = 1'000'000;

}  // namespace

std::uint64_t PageStore::Impl::begin_pass() {
  PENSTOCK_ASSERT_EQ(pass_, 0U);
  PENSTOCK_ASSERT(admitted_.empty() && replaced_.empty());
  pass_ = must_confirm_ ? confirm_generation_ + 1 : current_.superblock.generation + 1;
  pass_error_ = Status::ok();
  map_.begin_pass(pass_);
  return pass_;
}

// --- pages ---

Result<ChildPointer> PageStore::Impl::put_page(std::span<std::byte> page, std::uint64_t entries, std::uint8_t flags,
                                               const ChildPointer& successor_of) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  const std::size_t blocks = page.size() / kPageBlockBytes;
  PENSTOCK_ASSERT(blocks >= 1 && blocks <= kPageBlocksMax && page.size() % kPageBlockBytes == 0);
  if (const Status status = pass_status(); !status.is_ok()) return std::unexpected(status);
  // Nothing was reserved: nothing may be written yet (Impl-I2).
  if (must_confirm_) return std::unexpected(Status(Code::kNoSpace).with_shard(options_.shard));
  const std::optional<Address> address = map_.take_blocks(ZoneMap::Stream::kPages, static_cast<std::uint32_t>(blocks));
  if (!address.has_value()) return std::unexpected(Status(Code::kNoSpace).with_shard(options_.shard));
  auto header = base::load<PageHeader>(page);
  PENSTOCK_ASSERT_EQ(header.magic.get(), kPageMagic);
  PENSTOCK_ASSERT_EQ(header.blocks, blocks);
  header.file = address->file;
  header.block = address->block;
  header.birth = pass_;
  base::store(page, header);
  ChildPointer pointer;
  pointer.address = *address;
  pointer.blocks = static_cast<std::uint8_t>(blocks);
  pointer.codec = header.codec;
  pointer.flags = flags;
  pointer.birth = pass_;
  pointer.entries = entries;
  pointer.checksum = base::checksum(page);
  if (!writer_.append(ZoneMap::Stream::kPages, *address, page)) {
    pass_error_ = Status::from_errno(ENOMEM).with_shard(options_.shard);
    return std::unexpected(pass_error_);
  }
  ++counters_.pages_written;
  Frame* predecessor = successor_of.is_null() ? nullptr : cache_.find(successor_of);
  if (predecessor == nullptr || predecessor->is_loading || predecessor->is_passing) return pointer;
  Frame* frame = cache_.insert_successor(pointer, *predecessor);
  if (frame == nullptr) return pointer;
  std::memcpy(frame->data, page.data(), page.size());
  prepare_links(*frame);
  PageCache::unpin(*frame);
  admitted_.push_back(pointer);
  return pointer;
}

void PageStore::Impl::free_page(const ChildPointer& pointer) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  if (!map_.release(pointer.address, pointer.blocks)) {
    if (pass_error_.is_ok()) pass_error_ = corruption_at(pointer.address).with_shard(options_.shard);
    return;
  }
  Frame* frame = cache_.find(pointer);
  if (frame == nullptr || frame->is_loading) return;
  if (pointer.birth == pass_) {
    cache_.forget(*frame);
    return;
  }
  cache_.mark_replaced(*frame);
  replaced_.push_back(pointer);
}

void PageStore::Impl::collect_failures() {
  for (const PageWriter::FailedWrite& failed : writer_.take_failures()) {
    PENSTOCK_SOMETIMES("space: a write of pages failed", true);
    const bool is_full = failed.status.is(Code::kNoSpace);
    const std::uint32_t end = failed.address.block + failed.blocks;
    for (std::uint32_t block = failed.address.block; block < end; block = ((block / kZoneBlocks) + 1) * kZoneBlocks) {
      map_.avoid(Address{failed.address.file, block}, is_full);
    }
    if (pass_error_.is_ok()) pass_error_ = failed.status.with_shard(options_.shard);
  }
}

Status PageStore::Impl::pass_status() {
  if (poisoned_) return failure();
  collect_failures();
  return pass_error_;
}

/// Waits as long as the pace wants for what was written since the last call.
Task<> PageStore::Impl::keep_pace() {
  const std::uint64_t written = writer_.written_bytes();
  const std::uint64_t since = written - std::exchange(paced_bytes_, written);
  const std::uint64_t now = reactor_.now_ns();
  const std::uint64_t due = options_.pace == nullptr ? 0 : options_.pace->note(since, now);
  if (due > now + kPaceGrainNs) {
    co_await reactor_.sleep(due - now);
  }
}

Task<Status> PageStore::Impl::throttle() {
  co_await writer_.wait_below(write_bytes_max());
  co_await keep_pace();
  PENSTOCK_CO_TRY(pass_status());
  // Room for what is placed until the next call; no pass can say beforehand how much it writes.
  const Status reserved = co_await reserve(kBlocksBetweenThrottles, map_.may_use_reserve());
  // On a full disk most passes write less than that: put_page() says when the last zone is used up.
  const bool goes_on = reserved.is(Code::kNoSpace) && map_.may_use_reserve() && map_.free_zones() > 0;
  PENSTOCK_SOMETIMES("space: a pass goes on with its last zones", goes_on);
  co_return goes_on ? Status::ok() : reserved;
}

// --- publishing ---

Task<Status> PageStore::Impl::publish(AppliedPosition applied, ChildPointer roots) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  PENSTOCK_ASSERT_LE(roots.birth, pass_);
  writer_.flush();
  co_await writer_.wait_below(0);
  Status status = pass_status();
  if (status.is_ok()) {
    co_await lock_growth();  // Each superblock says how long the files are.
    status = co_await publish_now(applied, roots);
    unlock_growth();
  }
  finish_pass(status.is_ok());
  co_return status;
}

Task<Status> PageStore::Impl::publish_now(AppliedPosition applied, ChildPointer roots) {
  if (must_confirm_) PENSTOCK_CO_TRY(co_await confirm_slot());
  map_.seal_pass();
  SuperblockContent content;
  content.superblock.generation = pass_;
  content.superblock.applied = applied;
  content.superblock.roots = roots;
  content.features_compat = current_.features_compat;
  PENSTOCK_CO_TRY(co_await write_tables(&content));
  PENSTOCK_CO_TRY(co_await sync_changed_files());
  // An early extent's sync of the same file may have failed meanwhile: what it lost, ours has not covered.
  PENSTOCK_SOMETIMES("pages: a sync went well, another one beside it failed", poisoned_);
  if (poisoned_) co_return failure();
  PENSTOCK_CO_TRY(co_await write_superblock(&content));
  for (std::uint16_t number = 1; number <= map_.file_count(); ++number) map_.clear_changed(number);
  older_files_ = std::move(current_.files);
  older_applied_ = current_.superblock.applied;
  map_.keep_slots(content.superblock.generation, current_.superblock.generation);
  current_ = std::move(content);
  ++counters_.publications;
  co_return Status::ok();
}

Task<Status> PageStore::Impl::confirm_if_needed() {
  if (!must_confirm_) co_return Status::ok();
  co_await lock_growth();
  const Status status = must_confirm_ ? co_await confirm_slot() : Status::ok();
  unlock_growth();
  co_return status;
}

/// The contents of current under a new generation, over a slot that must not come back.
Task<Status> PageStore::Impl::confirm_slot() {
  PENSTOCK_SOMETIMES("superblock: a slot that must not come back is written over", true);
  PENSTOCK_ASSERT(must_confirm_);
  SuperblockContent content = current_;
  content.superblock.generation = confirm_generation_;
  PENSTOCK_CO_TRY(co_await write_superblock(&content));
  older_files_ = current_.files;
  older_applied_ = current_.superblock.applied;
  map_.keep_slots(confirm_generation_, current_.superblock.generation);
  current_ = std::move(content);
  must_confirm_ = false;
  co_return Status::ok();
}

std::uint8_t PageStore::Impl::unused_table_copy(std::uint16_t number) const noexcept {
  std::uint8_t copy = 0;
  const auto is_named = [&](const std::vector<FileRecord>& files) {
    return number <= files.size() && files[number - 1U].table_copy == copy;
  };
  while (is_named(current_.files) || is_named(older_files_)) ++copy;
  PENSTOCK_ASSERT_LT(copy, kZoneTableCopies);
  return copy;
}

/// Tables of the files that changed; fills in `content->files`. A failed write ends the pass: nothing names that copy.
Task<Status> PageStore::Impl::write_tables(SuperblockContent* content) {
  const std::uint16_t file_count = map_.file_count();
  std::vector<Status> results(file_count);
  content->files.resize(file_count);
  {
    reactor::TaskGroup writes(reactor_);
    for (std::uint16_t number = 1; number <= file_count; ++number) {
      FileRecord& record = content->files[number - 1U];
      if (!map_.is_changed(number)) {
        record = current_.files[number - 1U];
        continue;
      }
      record.number = number;
      record.table_copy = unused_table_copy(number);
      record.zones = map_.zone_count(number);
      record.table_generation = pass_;
      writes.spawn(&Impl::write_table, this, &record, pass_, &results[number - 1U]);
    }
    co_await writes.join();
  }
  for (const Status& result : results) PENSTOCK_CO_TRY(result);
  co_return Status::ok();
}

Task<> PageStore::Impl::write_table(FileRecord* record, std::uint64_t generation, Status* status) {
  PENSTOCK_ASSERT_EQ(generation, record->table_generation);
  reactor::AlignedBuffer buffer(zone_table_bytes(record->zones));
  if (!buffer) {
    *status = Status::from_errno(ENOMEM).with_shard(options_.shard);
    co_return;
  }
  const std::span<std::byte> table = buffer.span().first(zone_table_bytes(record->zones));
  encode_zone_table(map_.zones(record->number), table);
  record->table_checksum = base::checksum(table);
  const std::uint64_t offset = std::uint64_t{record->table_copy} * kZoneTableBytes;
  const Status written = co_await reactor_.write(files_[record->number - 1U].file.fd(), offset, table);
  other_written_bytes_ += table.size();
  *status =
      written.is_ok()
          ? written
          : written.with_place(FileKind::kPages, offset / kPageBlockBytes).with_file(record->number).with_shard(options_.shard);
}

/// A failed sync poisons: what it lost, a later one would not bring to the disk.
Task<Status> PageStore::Impl::sync_changed_files() {
  std::vector<Status> results(map_.file_count());
  {
    reactor::TaskGroup syncs(reactor_);
    for (std::uint16_t number = 1; number <= map_.file_count(); ++number) {
      if (map_.is_changed(number)) syncs.spawn(&Impl::sync_page_file, this, number, &results[number - 1U]);
    }
    co_await syncs.join();
  }
  for (const Status& result : results) {
    if (result.is_ok()) continue;
    PENSTOCK_SOMETIMES("pages: a sync failed", true);
    poisoned_ = true;
    co_return result;
  }
  co_return Status::ok();
}

Task<> PageStore::Impl::sync_page_file(std::uint16_t number, Status* status) {
  const Status synced = co_await reactor_.sync_data(files_[number - 1U].file.fd());
  *status = synced.is_ok() ? synced : synced.with_place(FileKind::kPages, 0).with_file(number).with_shard(options_.shard);
}

/// From its submission on until its sync nobody knows what stands in the slot: any failure poisons.
Task<Status> PageStore::Impl::write_superblock(const SuperblockContent* content) {
  const std::size_t bytes = superblock_bytes(*content);
  encode_superblock(*content, options_.identity, options_.shard, super_buffer_.span().first(bytes));
  const std::uint64_t offset = std::uint64_t{super_slot_of(content->superblock.generation)} * kSuperSlotBytes;
  PENSTOCK_ASSERT_NE(super_slot_of(content->superblock.generation), super_slot_of(current_.superblock.generation));
  reactor::Entry entry;
  entry.op = reactor::Op::kWrite;
  entry.blocking = true;  // Never -EAGAIN.
  entry.file = super_.fd();
  entry.bytes = static_cast<std::uint32_t>(bytes);
  entry.offset = offset;
  entry.buffer = super_buffer_.data();
  std::int32_t result = -EINTR;
  while (result == -EINTR || result == -EAGAIN) result = co_await reactor_.perform(entry);
  Status status = result < 0 ? Status::from_errno(-result) : Status::ok();
  if (status.is_ok() && static_cast<std::size_t>(result) != bytes) status = Status::from_errno(EIO);
  if (status.is_ok()) status = co_await reactor_.sync_data(super_.fd());
  other_written_bytes_ += bytes;
  if (status.is_ok()) co_return status;
  PENSTOCK_SOMETIMES("superblock: its write is of unknown outcome", true);
  poisoned_ = true;
  co_return status.with_place(FileKind::kSuper, offset).with_shard(options_.shard);
}

Task<> PageStore::Impl::abandon() {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  writer_.discard();
  co_await writer_.wait_below(0);
  finish_pass(false);
}

void PageStore::Impl::finish_pass(bool published) {
  writer_.discard();
  collect_failures();
  map_.end_pass(published);
  for (const ChildPointer& pointer : published ? replaced_ : admitted_) cache_.forget(pointer);
  if (!published) {
    for (const ChildPointer& pointer : replaced_) {
      if (Frame* frame = cache_.find(pointer); frame != nullptr) frame->is_replaced = false;
    }
  }
  admitted_.clear();
  replaced_.clear();
  pass_ = 0;
}

}  // namespace penstock::btree
