// Space of a page store: files get longer, empty zones are given back, files get shorter.

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "btree/page_store_impl.h"

namespace penstock::btree {
namespace {

/// A file gets longer by a quarter of the store, within limits.
constexpr std::uint64_t kGrowthBytesMax = 256_MiB;
constexpr std::size_t kGrowthDivisor = 4;
/// Free zones that stay with the store when the rest is given back.
constexpr std::size_t kKeptFreeZonesMin = 8;

}  // namespace

std::uint32_t PageStore::Impl::file_zones_max() const noexcept {
  const std::uint64_t zones = options_.file_bytes_max / kZoneBytes;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(zones, 2, kZonesPerFileMax));
}

Task<Status> PageStore::Impl::reserve(std::uint64_t blocks, bool for_reserve) {
  PENSTOCK_ASSERT_NE(pass_, 0U);
  PENSTOCK_CO_TRY(pass_status());
  PENSTOCK_CO_TRY(co_await confirm_if_needed());
  map_.refresh_free();
  if (for_reserve) map_.use_reserve();
  const std::size_t wanted = map_.zones_for(blocks) + (for_reserve ? 0 : map_.reserve_zones());
  if (map_.free_zones() >= wanted) co_return Status::ok();
  co_return co_await grow(wanted - map_.free_zones(), 1);
}

/// At least `zones` more free zones, `consecutive` of them in a row, or no_space. Holes first: their file has the length
/// already.
Task<Status> PageStore::Impl::grow(std::size_t zones, std::size_t consecutive) {
  co_await lock_growth();
  const Status status = co_await grow_locked(zones, consecutive);
  unlock_growth();
  co_return status;
}

Task<> PageStore::Impl::lock_growth() {
  while (growth_locked_) co_await growth_unlocked_.wait();
  growth_locked_ = true;
}

void PageStore::Impl::unlock_growth() {
  growth_locked_ = false;
  growth_unlocked_.notify_all();
}

Task<Status> PageStore::Impl::grow_locked(std::size_t zones, std::size_t consecutive) {
  if (consecutive <= 1) {
    const std::size_t wanted = map_.free_zones() + zones;
    PENSTOCK_CO_TRY(co_await fill_holes(zones));
    if (map_.free_zones() >= wanted) co_return Status::ok();
    zones = wanted - map_.free_zones();
  }
  const std::uint64_t quarter = map_.total_zones() / kGrowthDivisor;
  std::uint64_t growth = std::min(std::max(quarter, options_.growth_bytes_min / kZoneBytes), kGrowthBytesMax / kZoneBytes);
  growth = std::max<std::uint64_t>(growth, zones);
  for (std::size_t added = 0; added < zones;) {
    // The first file with room for what has to be in one piece, else a new one.
    std::uint16_t number = 1;
    while (number <= files_.size() && file_zones_max() - map_.zone_count(number) < consecutive) ++number;
    const bool is_new = number > files_.size();
    if (is_new && files_.size() >= kSuperFilesMax) co_return Status(Code::kNoSpace).with_shard(options_.shard);
    const std::uint32_t before = is_new ? 1 : map_.zone_count(number);
    const std::uint64_t room = file_zones_max() - before;
    const auto grow_to = [&](std::uint64_t by) { return before + static_cast<std::uint32_t>(std::min(by, room)); };
    const std::uint32_t after = grow_to(std::max<std::uint64_t>(growth - std::min<std::uint64_t>(growth, added), consecutive));
    const std::uint32_t least = grow_to(std::max<std::uint64_t>(zones - added, consecutive));
    Status status = co_await lengthen(number, after);
    if (status.is(Code::kNoSpace) && least < after) status = co_await lengthen(number, least);
    PENSTOCK_CO_TRY(status);
    added += map_.zone_count(number) - before;
  }
  co_return Status::ok();
}

Task<Status> PageStore::Impl::lengthen(std::uint16_t number, std::uint32_t zones) {
  if (number > files_.size()) co_return co_await add_file(zones);
  co_return co_await grow_file(number, zones);
}

/// Zones given back earlier: their blocks are taken again, so that the pass itself cannot meet a full disk there.
Task<Status> PageStore::Impl::fill_holes(std::size_t zones) {
  for (; zones > 0; --zones) {
    const std::optional<Address> hole = map_.find_hole();
    if (!hole.has_value()) break;
    const reactor::Fd file = files_[hole->file - 1U].file.fd();
    PENSTOCK_SOMETIMES("space: a hole is filled again", true);
    const Status status = reactor_.system().fill_hole(file, std::uint64_t{hole->block} * kPageBlockBytes, kZoneBytes);
    if (!status.is_ok())
      co_return status.with_place(FileKind::kPages, hole->block).with_file(hole->file).with_shard(options_.shard);
    map_.fill_hole(*hole);
    co_await reactor_.yield();
  }
  co_return Status::ok();
}

/// Impl-I3: how long the file is if nothing went wrong, in zones.
std::uint32_t PageStore::Impl::zones_named(std::uint16_t number) const noexcept {
  std::uint32_t zones = number > map_.file_count() ? 0 : map_.zone_count(number);
  for (const std::vector<FileRecord>* files : {&current_.files, &older_files_}) {
    if (number <= files->size()) zones = std::max(zones, (*files)[number - 1U].zones);
  }
  return zones;
}

/// Sets a page file's length, with its blocks. What is longer than the superblocks say is growth that did not come to its end.
Status PageStore::Impl::resize(std::uint16_t number, std::uint32_t zones) {
  reactor::System& system = reactor_.system();
  const reactor::Fd fd = files_[number - 1U].file.fd();
  const std::uint32_t known = number > map_.file_count() ? 0 : map_.zone_count(number);
  const std::uint32_t named = zones_named(number);
  const Result<std::uint64_t> before = system.file_bytes(fd);
  Status status = before.has_value() ? Status::ok() : before.error();
  const std::uint64_t named_bytes = std::uint64_t{named} * kZoneBytes;
  PENSTOCK_SOMETIMES("space: growth that no superblock named is cut off", status.is_ok() && *before > named_bytes);
  if (status.is_ok() && *before > named_bytes) status = system.resize_file(fd, named_bytes, false);
  if (status.is_ok() && zones > named) status = system.resize_file(fd, std::uint64_t{zones} * kZoneBytes, true);
  const std::uint32_t filled = std::min(zones, named);
  if (status.is_ok() && filled > known) {  // Not cut yet; there may be holes.
    status = system.fill_hole(fd, std::uint64_t{known} * kZoneBytes, std::uint64_t{filled - known} * kZoneBytes);
    if (status.is(Code::kNotSupported)) status = Status::ok();  // Then none were made.
  }
  return status.is_ok() ? status : status.with_place(FileKind::kPages, 0).with_file(number).with_shard(options_.shard);
}

Task<Status> PageStore::Impl::grow_file(std::uint16_t number, std::uint32_t zones) {
  PENSTOCK_CO_TRY(resize(number, zones));
  const Status synced = co_await reactor_.sync(files_[number - 1U].file.fd());
  if (!synced.is_ok()) {
    poisoned_ = true;
    co_return synced.with_place(FileKind::kPages, 0).with_file(number).with_shard(options_.shard);
  }
  map_.grow_file(number, zones);
  co_return Status::ok();
}

Task<Status> PageStore::Impl::add_file(std::uint32_t zones) {
  const auto number = static_cast<std::uint16_t>(files_.size() + 1);
  reactor::OpenOptions options;
  options.create = true;
  const Result<reactor::Fd> fd = reactor_.system().open_file(page_file_path(options_.directory, number), options);
  if (!fd.has_value()) co_return fd.error().with_place(FileKind::kPages, 0).with_file(number).with_shard(options_.shard);
  files_.push_back({reactor::File(reactor_.system(), *fd)});
  Status status = resize(number, zones);
  if (status.is_ok()) {
    status = co_await reactor_.sync(files_.back().file.fd());
    if (status.is_ok()) status = reactor_.system().sync_directory(options_.directory);
    // Where no file may be opened, the folder neither: nothing was asked of the disk.
    const bool was_asked = status.error_number() != EMFILE && status.error_number() != ENFILE;
    poisoned_ = poisoned_ || (!status.is_ok() && was_asked);
  }
  if (!status.is_ok()) {
    files_.pop_back();
    co_return status.with_place(FileKind::kPages, 0).with_file(number).with_shard(options_.shard);
  }
  map_.add_file({Zone{.state = ZoneState::kTables}});
  map_.grow_file(number, zones);
  co_return Status::ok();
}

Task<Status> PageStore::Impl::return_free_zones() {
  if (pass_ != 0 || poisoned_ || must_confirm_) co_return Status::ok();
  map_.refresh_free();
  const std::size_t kept = std::max(kKeptFreeZonesMin + map_.reserve_zones(), map_.zones_taken_lately());
  PENSTOCK_CO_TRY(co_await punch_free_zones(kept));
  co_await lock_growth();
  const Status status = pass_ == 0 ? shorten_files(kept) : Status::ok();
  unlock_growth();
  co_return status;
}

Task<Status> PageStore::Impl::punch_free_zones(std::size_t kept) {
  for (const Address zone : map_.returnable(kept)) {
    if (!map_.is_free(zone)) break;  // A pass came and went meanwhile.
    const reactor::Fd fd = files_[zone.file - 1U].file.fd();
    const std::uint64_t offset = std::uint64_t{zone.block} * kPageBlockBytes;
    const Status status = reactor_.system().punch_hole(fd, offset, kZoneBytes);
    if (status.is(Code::kNotSupported)) co_return Status::ok();  // The file system keeps them.
    if (!status.is_ok())
      co_return status.with_place(FileKind::kPages, zone.block).with_file(zone.file).with_shard(options_.shard);
    PENSTOCK_SOMETIMES("space: a zone is given back", true);
    map_.make_hole(zone);
    returned_bytes_ += kZoneBytes;
    co_await reactor_.yield();
    if (pass_ != 0) break;
  }
  co_return Status::ok();
}

/// Files get longer by a quarter: less than that at an end is soon needed again.
Status PageStore::Impl::shorten_files(std::size_t kept) {
  for (std::uint16_t number = 1; number <= map_.file_count(); ++number) {
    const std::uint32_t zones = map_.zone_count(number);
    const std::uint32_t needed = map_.zones_needed(number, kept);
    const std::uint64_t least = std::max<std::uint64_t>(options_.growth_bytes_min / kZoneBytes, zones / kGrowthDivisor);
    if (zones - needed >= least) map_.shorten_file(number, needed);
    const reactor::Fd fd = files_[number - 1U].file.fd();
    const std::uint64_t named = std::uint64_t{zones_named(number)} * kZoneBytes;
    const Result<std::uint64_t> bytes = reactor_.system().file_bytes(fd);
    if (bytes.has_value() && *bytes <= named) continue;
    const Status status = bytes.has_value() ? reactor_.system().resize_file(fd, named, false) : bytes.error();
    if (!status.is_ok()) return status.with_place(FileKind::kPages, 0).with_file(number).with_shard(options_.shard);
  }
  return Status::ok();
}

bool PageStore::Impl::has_shorter_files() const noexcept {
  for (std::uint16_t number = 1; number <= map_.file_count(); ++number) {
    if (zones_named(number) > map_.zone_count(number)) return true;
  }
  return false;
}

}  // namespace penstock::btree
