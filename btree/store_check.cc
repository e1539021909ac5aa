// Verification of what only the store knows: the pieces of extents, the two superblock slots, the tables that they name.
// Everything is read from disk.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"
#include "btree/extent_head.h"
#include "btree/page.h"
#include "btree/page_format.h"
#include "btree/page_store_impl.h"
#include "btree/zone_table.h"

namespace penstock::btree {
namespace {

/// As in extent.cc: the head of the longest value fits.
constexpr std::uint64_t kReadBlocks = 64;
constexpr std::uint64_t kPieceBlocks = kExtentChecksumBytes / kPageBlockBytes;

TreeDamage::Kind kind_of(const Status& status) noexcept {
  return status.is(Code::kCorruption) ? TreeDamage::Kind::kChecksum : TreeDamage::Kind::kUnreadable;
}

}  // namespace

struct PageStore::Impl::ExtentWalk {
  ExtentPointer pointer;
  FamilyId family;
  TreeInspector& inspector;
  std::vector<base::le64> sums;
  std::span<std::byte> buffer;

  void report(const Status& status, std::uint64_t block, std::uint64_t blocks) const {
    const Address address{pointer.address.file, static_cast<std::uint32_t>(pointer.address.block + block)};
    inspector.on_damage(
        {kind_of(status), status.with_place(FileKind::kPages, address.block).with_file(address.file), address, blocks, family});
  }
};

Task<bool> PageStore::Impl::check_extent(ExtentPointer pointer, FamilyId family, TreeInspector& inspector) {
  ExtentWalk walk{.pointer = pointer, .family = family, .inspector = inspector, .sums = {}, .buffer = {}};
  const Status corrupt = Status(Code::kCorruption).with_shard(options_.shard);
  const bool is_possible = pointer.value_bytes > 0 && pointer.value_bytes <= kValueBytesMax &&
                           map_.contains(pointer.address, extent_blocks(pointer.value_bytes));
  if (!is_possible) {
    walk.report(corrupt, 0, 1);
    co_return true;
  }
  reactor::AlignedBuffer buffer = take_buffer(kReadBlocks * kPageBlockBytes);
  if (!buffer) {
    walk.report(Status::from_errno(ENOMEM).with_shard(options_.shard), 0, 1);
    co_return true;
  }
  walk.buffer = buffer.span().first(kReadBlocks * kPageBlockBytes);
  ++reads_;
  const std::uint64_t head_blocks = extent_head_blocks(pointer.value_bytes);
  const std::span<std::byte> head = buffer.span().first(head_blocks * kPageBlockBytes);
  Status status = co_await read_blocks(pointer.address, head);
  if (status.is_ok() && !is_head_of(head, pointer, family)) status = corrupt;
  bool goes_on = true;
  if (status.is_ok()) {
    walk.sums.resize(extent_checksum_count(pointer.value_bytes));
    std::memcpy(walk.sums.data(), head.data() + kExtentChecksumsOffset, walk.sums.size() * sizeof(base::le64));
    goes_on = co_await inspector.go_on(head.size());
    if (goes_on) goes_on = co_await check_extent_data(&walk);
  } else {
    walk.report(status, 0, head_blocks);
  }
  on_read_end();
  give_buffer(std::move(buffer));
  co_return goes_on;
}

Task<bool> PageStore::Impl::check_extent_data(ExtentWalk* walk) {
  const std::uint64_t head_blocks = extent_head_blocks(walk->pointer.value_bytes);
  for (std::uint64_t done = 0; done < walk->pointer.value_bytes; done += walk->buffer.size()) {
    const std::uint64_t bytes = std::min<std::uint64_t>(walk->pointer.value_bytes - done, walk->buffer.size());
    const std::uint64_t block = head_blocks + (done / kPageBlockBytes);
    const std::uint64_t padded = base::align_up<std::uint64_t>(bytes, kPageBlockBytes);
    const Address address{walk->pointer.address.file, static_cast<std::uint32_t>(walk->pointer.address.block + block)};
    const Status read = co_await read_blocks(address, walk->buffer.first(padded));
    if (!read.is_ok()) walk->report(read, block, padded / kPageBlockBytes);
    for (std::uint64_t offset = 0; read.is_ok() && offset < bytes; offset += kExtentChecksumBytes) {
      const std::uint64_t sum = piece_checksum(walk->buffer.first(bytes), offset / kExtentChecksumBytes);
      if (sum == walk->sums[(done + offset) / kExtentChecksumBytes].get()) continue;
      const std::uint64_t blocks = base::div_ceil<std::uint64_t>(bytes - offset, kPageBlockBytes);
      walk->report(Status(Code::kCorruption).with_shard(options_.shard), block + (offset / kPageBlockBytes),
                   std::min(blocks, kPieceBlocks));
    }
    const bool goes_on = co_await walk->inspector.go_on(padded);
    if (!goes_on) co_return false;
  }
  co_return true;
}

// --- superblocks ---

Task<std::vector<PageStore::SuperDamage>> PageStore::Impl::check_superblocks() {
  PENSTOCK_ASSERT_EQ(pass_, 0U);
  std::vector<SuperDamage> damages;
  ++reads_;
  for (std::uint32_t slot = 0; slot < kSuperSlots; ++slot) co_await check_slot(slot, &damages);
  on_read_end();
  co_return damages;
}

/// The slot of the current generation must say what memory says; the other one, once it was written, must be an older one's.
/// One that was void at opening, as a crash leaves it, is no damage: it is written before anything else (Impl-I2).
Task<> PageStore::Impl::check_slot(std::uint32_t slot, std::vector<SuperDamage>* damages) {
  const std::uint64_t offset = std::uint64_t{slot} * kSuperSlotBytes;
  const bool is_current = slot == super_slot_of(current().generation);
  if (!is_current && (current().generation <= 1 || must_confirm_)) co_return;
  const Status out_of_memory = Status::from_errno(ENOMEM).with_shard(options_.shard);
  const reactor::AlignedBuffer buffer(kSuperSlotBytes);
  if (!buffer) {
    damages->push_back({out_of_memory.with_place(FileKind::kSuper, offset), kSuperSlotBytes});
    co_return;
  }
  const Status read = co_await reactor_.read(super_.fd(), offset, buffer.span());
  if (!read.is_ok()) {
    damages->push_back({read.with_place(FileKind::kSuper, offset).with_shard(options_.shard), kSuperSlotBytes});
    co_return;
  }
  const Result<SuperblockContent> content = decode_superblock(buffer.span(), slot, options_.identity, options_.shard);
  if (!content.has_value()) {
    damages->push_back({content.error().with_shard(options_.shard), kSuperSlotBytes});
    co_return;
  }
  const std::uint64_t generation = content->superblock.generation;
  if (is_current ? generation != current().generation : generation > current().generation) {
    damages->push_back({Status(Code::kCorruption, FileKind::kSuper, offset).with_shard(options_.shard), kSuperSlotBytes});
    co_return;
  }
  co_await check_tables(&*content, buffer.span(), damages);
}

/// `table`: memory for one.
Task<> PageStore::Impl::check_tables(const SuperblockContent* content, std::span<std::byte> table,
                                     std::vector<SuperDamage>* damages) {
  for (const FileRecord& record : content->files) {
    const std::uint64_t block = std::uint64_t{record.table_copy} * (kZoneTableBytes / kPageBlockBytes);
    const std::uint64_t bytes = zone_table_bytes(record.zones);
    const auto report = [&](const Status& status, std::uint64_t where) {
      damages->push_back(
          {status.with_place(FileKind::kPages, where).with_file(record.number).with_shard(options_.shard), bytes});
    };
    if (record.number == 0 || record.number > files_.size()) {
      report(Status(Code::kCorruption), 0);
      continue;
    }
    const Address address{record.number, static_cast<std::uint32_t>(block)};
    const Status read = co_await read_blocks(address, table.first(bytes));
    if (!read.is_ok()) {
      report(read, block);
    } else if (base::checksum(table.first(bytes)) != record.table_checksum) {
      report(Status(Code::kCorruption), block);
    } else if (const auto zones = decode_zone_table(table.first(bytes), record.zones, content->superblock.generation);
               !zones.has_value()) {
      report(zones.error(), block + zones.error().where());
    }
  }
}

}  // namespace penstock::btree
