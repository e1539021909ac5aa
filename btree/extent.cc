// Values outside their leaves: a head with the key and a checksum for each 64 KiB, then the data, in adjacent blocks.
// Format: page_format.h, docs/formats/page.md.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/integer.h"
#include "btree/extent_head.h"
#include "btree/page.h"
#include "btree/page_format.h"
#include "btree/page_store_impl.h"

namespace penstock::btree {
namespace {

constexpr std::uint32_t kAttempts = 2;
/// Read at once: the head of the longest value fits, and 64 KiB pieces of data fill it.
constexpr std::uint64_t kReadBlocks = 64;
constexpr std::uint64_t kBlocksPerChecksum = kExtentChecksumBytes / kPageBlockBytes;
static_assert(extent_head_blocks(kValueBytesMax) <= kReadBlocks);
static_assert(kReadBlocks % kBlocksPerChecksum == 0);

}  // namespace

Task<Result<std::string>> PageStore::Impl::read_extent(ExtentPointer pointer, FamilyId family) {
  const bool is_possible = pointer.value_bytes > 0 && pointer.value_bytes <= kValueBytesMax &&
                           map_.contains(pointer.address, extent_blocks(pointer.value_bytes));
  if (!is_possible) co_return std::unexpected(corruption_at(pointer.address).with_shard(options_.shard));
  if (pointer.birth == pass_) {  // It may be on its way.
    writer_.flush();
    co_await writer_.wait_below(0);
  }
  std::string value;
  Status status;
  ++reads_;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    status = co_await read_extent_into(pointer, family, &value);
    if (status.is_ok()) break;
  }
  on_read_end();
  if (!status.is_ok()) co_return std::unexpected(status.with_shard(options_.shard));
  co_return value;
}

Task<Status> PageStore::Impl::read_extent_into(ExtentPointer pointer, FamilyId family, std::string* value) {
  const std::uint64_t head_blocks = extent_head_blocks(pointer.value_bytes);
  const std::uint64_t blocks = extent_blocks(pointer.value_bytes);
  reactor::AlignedBuffer buffer = take_buffer(kReadBlocks * kPageBlockBytes);
  if (!buffer) co_return Status::from_errno(ENOMEM);
  // Head and the data of a small extent in one read.
  const std::uint64_t first_blocks = std::min(blocks, kReadBlocks);
  Status status = co_await read_blocks(pointer.address, buffer.span().first(first_blocks * kPageBlockBytes));
  const std::span<const std::byte> head = buffer.span().first(head_blocks * kPageBlockBytes);
  if (status.is_ok() && !is_head_of(head, pointer, family)) status = corruption_at(pointer.address);
  std::vector<base::le64> sums;
  if (status.is_ok()) {
    sums.resize(extent_checksum_count(pointer.value_bytes));
    std::memcpy(sums.data(), head.data() + kExtentChecksumsOffset, sums.size() * sizeof(base::le64));
    value->resize(pointer.value_bytes);
  }
  const bool is_whole = blocks <= kReadBlocks;
  for (std::uint64_t done = 0; status.is_ok() && done < pointer.value_bytes; done += kReadBlocks * kPageBlockBytes) {
    const std::uint64_t bytes = std::min(pointer.value_bytes - done, kReadBlocks * kPageBlockBytes);
    std::span<const std::byte> data = buffer.span().subspan(is_whole ? head.size() : 0);
    const auto block = static_cast<std::uint32_t>(pointer.address.block + head_blocks + (done / kPageBlockBytes));
    if (!is_whole) {
      const std::uint64_t padded = base::align_up<std::uint64_t>(bytes, kPageBlockBytes);
      status = co_await read_blocks(Address{pointer.address.file, block}, buffer.span().first(padded));
      if (!status.is_ok()) break;
    }
    data = data.first(bytes);
    for (std::uint64_t offset = 0; offset < bytes; offset += kExtentChecksumBytes) {
      const std::uint64_t sum = piece_checksum(data, offset / kExtentChecksumBytes);
      if (sum == sums[(done + offset) / kExtentChecksumBytes].get()) continue;
      const auto damaged = static_cast<std::uint32_t>(block + (offset / kPageBlockBytes));
      status = corruption_at(Address{pointer.address.file, damaged});
      break;
    }
    if (status.is_ok()) std::memcpy(value->data() + done, data.data(), bytes);
  }
  give_buffer(std::move(buffer));
  co_return status;
}

/// Blocks for an extent. Unlike a page it may let a file grow: this can wait.
Task<Result<Address>> PageStore::Impl::place_extent(std::uint64_t blocks) {
  const bool is_span = blocks > kZoneBlocks;
  const auto take = [&] {
    return is_span ? map_.take_zones(blocks) : map_.take_blocks(ZoneMap::Stream::kExtents, static_cast<std::uint32_t>(blocks));
  };
  std::optional<Address> address = take();
  if (!address.has_value()) {
    const std::size_t zones = base::div_ceil<std::uint64_t>(blocks, kZoneBlocks);
    if (zones >= file_zones_max()) co_return std::unexpected(Status(Code::kTooLarge).with_shard(options_.shard));
    const std::size_t wanted = zones + (map_.may_use_reserve() ? 0 : map_.reserve_zones());
    const std::size_t missing = wanted > map_.free_zones() ? wanted - map_.free_zones() : 1;
    const Status grown = co_await grow(std::max(missing, zones), is_span ? zones : 1);
    if (!grown.is_ok()) co_return std::unexpected(grown);
    address = take();
  }
  if (!address.has_value()) co_return std::unexpected(Status(Code::kNoSpace).with_shard(options_.shard));
  co_return *address;
}

Task<Status> PageStore::Impl::append_extent(Address address, std::span<const std::byte> head, Bytes value) {
  constexpr std::size_t kPieceBytes = std::size_t{kPageBlocksMax} * kPageBlockBytes;
  for (const std::span<const std::byte> part : {head, as_span(value)}) {
    for (std::size_t offset = 0; offset < part.size(); offset += kPieceBytes) {
      const std::span<const std::byte> piece = part.subspan(offset, std::min(kPieceBytes, part.size() - offset));
      if (!writer_.append(ZoneMap::Stream::kExtents, address, piece)) co_return Status::from_errno(ENOMEM);
      address.block += base::div_ceil<std::uint32_t>(static_cast<std::uint32_t>(piece.size()), kPageBlockBytes);
      if (writer_.in_flight_bytes() > write_bytes_max()) PENSTOCK_CO_TRY(co_await throttle());
    }
  }
  co_return Status::ok();
}

Task<Result<ExtentPointer>> PageStore::Impl::put_extent(FamilyId family, Bytes key, Bytes value) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  PENSTOCK_ASSERT(!value.empty() && value.size() <= kValueBytesMax && key.size() <= kKeyBytesMax);
  if (const Status status = pass_status(); !status.is_ok()) co_return std::unexpected(status);
  if (const Status confirmed = co_await confirm_if_needed(); !confirmed.is_ok()) co_return std::unexpected(confirmed);
  const Result<Address> address = co_await place_extent(extent_blocks(value.size()));
  if (!address.has_value()) co_return std::unexpected(address.error());
  const std::vector<std::byte> head = build_head(family, key, value, *address, pass_);
  ExtentPointer pointer;
  pointer.address = *address;
  pointer.value_bytes = value.size();
  pointer.birth = pass_;
  pointer.checksum = base::checksum(head);
  const Status status = co_await append_extent(*address, head, value);
  if (!status.is_ok()) {
    if (pass_error_.is_ok()) pass_error_ = status;
    co_return std::unexpected(status);
  }
  co_return pointer;
}

void PageStore::Impl::free_extent(const ExtentPointer& pointer) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  const bool is_live =
      pointer.value_bytes <= kValueBytesMax && map_.release(pointer.address, extent_blocks(pointer.value_bytes));
  if (!is_live && pass_error_.is_ok()) pass_error_ = corruption_at(pointer.address).with_shard(options_.shard);
}

}  // namespace penstock::btree
