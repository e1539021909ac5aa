#include "reactor/sim_system.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "reactor/sim_io.h"

namespace penstock::reactor {

namespace {

/// 2030-01-01: what the simulated calendar shows at boot.
constexpr std::uint64_t kWallClockAtBootNs = 1'893'456'000'000'000'000;

bool is_aligned(std::uint64_t value) noexcept { return value % kBlockBytes == 0; }

}  // namespace

SimOpenFile::~SimOpenFile() {
  if (inode == nullptr || disk->generation() != generation) return;  // The next boot started with nothing open.
  if (holds_lock) inode->is_locked = false;
  disk->close(*inode);
}

std::int32_t SimOpenFile::check(std::uint64_t offset, std::uint64_t bytes, const void* buffer, bool is_write) const noexcept {
  if (is_write && is_read_only) return -EBADF;
  const bool is_block_aligned = is_aligned(offset) && is_aligned(bytes) && is_aligned(reinterpret_cast<std::uintptr_t>(buffer));
  return is_direct && !is_block_aligned ? -EINVAL : 0;
}

SimSystem::SimSystem(SimDisk& disk, const SimSystemOptions& options)
    : disk_(disk), options_(options), generation_(disk.generation()), random_(options.seed ^ (generation_ << 32U)) {}

SimSystem::~SimSystem() = default;

void SimSystem::advance_to(std::uint64_t time_ns) noexcept { now_ns_ = std::max(now_ns_, time_ns); }

std::shared_ptr<SimOpenFile> SimSystem::find_file(Fd file) const {
  const auto place = files_.find(static_cast<std::int32_t>(file));
  return place == files_.end() ? nullptr : place->second;
}

Result<std::shared_ptr<SimOpenFile>> SimSystem::file_for_call(Fd file) const {
  if (!is_alive()) return std::unexpected(Status::from_errno(EIO));
  std::shared_ptr<SimOpenFile> found = find_file(file);
  if (found == nullptr) return std::unexpected(Status::from_errno(EBADF));
  return found;
}

// --- files ---

Result<Fd> SimSystem::open_file(const std::string& path, const OpenOptions& options) {
  if (!is_alive()) return std::unexpected(Status::from_errno(EIO));
  Result<std::shared_ptr<SimInode>> inode = disk_.open(path, options);
  if (!inode.has_value()) return std::unexpected(inode.error());
  auto opened = std::make_shared<SimOpenFile>();
  opened->disk = &disk_;
  opened->generation = generation_;
  opened->inode = std::move(*inode);
  opened->is_read_only = options.read_only;
  opened->is_direct = options.direct && options_.has_direct;
  const std::int32_t number = next_file_++;
  files_.emplace(number, std::move(opened));
  return static_cast<Fd>(number);
}

void SimSystem::close_file(Fd file) noexcept {
  const auto place = files_.find(static_cast<std::int32_t>(file));
  PENSTOCK_ASSERT(place != files_.end());
  PENSTOCK_ASSERT_EQ(place->second->in_flight, 0U);  // SimSystem-I2.
  files_.erase(place);
}

bool SimSystem::is_direct(Fd file) const noexcept {
  const std::shared_ptr<SimOpenFile> found = find_file(file);
  return found != nullptr && found->is_direct;
}

Result<std::uint64_t> SimSystem::file_bytes(Fd file) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return std::unexpected(found.error());
  return (*found)->inode->bytes;
}

Status SimSystem::resize_file(Fd file, std::uint64_t bytes, bool reserve) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return found.error();
  if ((*found)->is_read_only) return Status::from_errno(EBADF);
  return disk_.resize(*(*found)->inode, bytes, reserve);
}

Status SimSystem::punch_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return found.error();
  if (!options_.has_punch_hole) return Status(Code::kNotSupported);
  if ((*found)->is_read_only) return Status::from_errno(EBADF);
  return disk_.punch(*(*found)->inode, offset, bytes);
}

Status SimSystem::fill_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return found.error();
  if (!options_.has_punch_hole) return Status(Code::kNotSupported);
  if ((*found)->is_read_only) return Status::from_errno(EBADF);
  return disk_.fill(*(*found)->inode, offset, bytes);
}

Status SimSystem::read_file(Fd file, std::uint64_t offset, std::span<std::byte> buffer) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return found.error();
  if (const std::int32_t refused = (*found)->check(offset, buffer.size(), buffer.data(), false); refused != 0) {
    return Status::from_errno(-refused);
  }
  const std::int64_t result = disk_.read(*(*found)->inode, offset, buffer, {});
  if (result < 0) return Status::from_errno(static_cast<int>(-result));
  return static_cast<std::uint64_t>(result) == buffer.size() ? Status::ok() : Status(Code::kCorruption);
}

Status SimSystem::write_file(Fd file, std::uint64_t offset, std::span<const std::byte> buffer) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return found.error();
  if (const std::int32_t refused = (*found)->check(offset, buffer.size(), buffer.data(), true); refused != 0) {
    return Status::from_errno(-refused);
  }
  const std::uint64_t write = disk_.begin_write((*found)->inode, offset, buffer);
  const SimDisk::Written written = disk_.finish_write(write, {});
  if (written.result < 0) return Status::from_errno(static_cast<int>(-written.result));
  return static_cast<std::uint64_t>(written.result) == buffer.size() ? Status::ok() : Status::from_errno(EIO);
}

Status SimSystem::sync_file(Fd file) {
  const Result<std::shared_ptr<SimOpenFile>> found = file_for_call(file);
  if (!found.has_value()) return found.error();
  const std::int64_t result = disk_.sync(*(*found)->inode, disk_.sequence(), {}, {});
  return result < 0 ? Status::from_errno(static_cast<int>(-result)) : Status::ok();
}

// --- names ---

Status SimSystem::make_directory(const std::string& path) {
  return is_alive() ? disk_.make_directory(path) : Status::from_errno(EIO);
}

Status SimSystem::sync_directory(const std::string& path) {
  return is_alive() ? disk_.sync_directory(path) : Status::from_errno(EIO);
}

Status SimSystem::rename_file(const std::string& from, const std::string& to) {
  return is_alive() ? disk_.rename(from, to) : Status::from_errno(EIO);
}

Status SimSystem::remove_file(const std::string& path) { return is_alive() ? disk_.remove(path) : Status::from_errno(EIO); }

Status SimSystem::remove_directory(const std::string& path) {
  return is_alive() ? disk_.remove_directory(path) : Status::from_errno(EIO);
}

Result<std::vector<std::string>> SimSystem::list_directory(const std::string& path) {
  if (!is_alive()) return std::unexpected(Status::from_errno(EIO));
  return disk_.list(path);
}

Result<Fd> SimSystem::lock_file(const std::string& path, bool create) {
  OpenOptions options;
  options.create = create;
  options.direct = false;
  const Result<Fd> file = open_file(path, options);
  if (!file.has_value()) return file;
  SimOpenFile& opened = *find_file(*file);
  SimInode& inode = *opened.inode;
  if (inode.is_locked) {
    const std::uint32_t holder = inode.lock_holder;
    close_file(*file);
    return std::unexpected(Status(Code::kBusy, FileKind::kLock, holder));
  }
  inode.is_locked = true;
  inode.lock_holder = options_.process_id;
  opened.holds_lock = true;
  return file;
}

// --- time and I/O ---

std::uint64_t SimSystem::now_ns() noexcept {
  now_ns_ += options_.tick_ns;
  return now_ns_;
}

std::uint64_t SimSystem::wall_clock_ns() noexcept { return kWallClockAtBootNs + now_ns(); }

Outcome<std::unique_ptr<Io>> SimSystem::make_io(const IoOptions& options) {
  return std::make_unique<SimIo>(*this, std::min(options.entries, options_.io_entries_max));
}

}  // namespace penstock::reactor
