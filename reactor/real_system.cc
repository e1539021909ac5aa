#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "base/assert.h"
#include "base/integer.h"
#include "reactor/backend.h"
#include "reactor/machine.h"
#include "reactor/system.h"

namespace penstock::reactor {

namespace {

constexpr std::uint64_t kTransferBytesMax = 1ULL << 30U;

int number_of(Fd file) noexcept { return static_cast<int>(file); }
Status last_error() noexcept { return Status::from_errno(errno); }

/// Repeats a call that a signal interrupted before it did anything.
template <typename Call>
auto uninterrupted(Call call) noexcept {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::uint64_t read_clock_ns(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

/// A descriptor that closes itself unless it is handed on.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const noexcept { return number_; }
  Fd release() noexcept { return static_cast<Fd>(std::exchange(number_, -1)); }

 private:
  int number_;
};

/// Opens a regular file. O_NONBLOCK only for the opening itself, so that a pipe of that name does not hold it up.
Result<int> open_regular(const std::string& path, int flags) {
  const int number =
      uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600); });
  if (number < 0) return std::unexpected(last_error());
  Descriptor descriptor(number);
  struct stat attributes{};
  if (::fstat(number, &attributes) != 0) return std::unexpected(last_error());
  if (!S_ISREG(attributes.st_mode)) return std::unexpected(Status::from_errno(EINVAL));
  return static_cast<int>(descriptor.release());
}

std::uint64_t read_holder(int number) noexcept {
  std::array<char, 24> text{};
  const ssize_t bytes = ::pread(number, text.data(), text.size(), 0);
  std::uint64_t holder = 0;
  if (bytes > 0) std::from_chars(text.data(), text.data() + bytes, holder);
  return holder;
}

/// For whoever finds the lock taken. An OFD lock has no process that the kernel could name.
Status write_holder(int number) {
  // Of one width, so that no digit of an earlier holder stays behind.
  std::array<char, 24> text{};
  const int bytes = std::snprintf(text.data(), text.size(), "%-10d\n", ::getpid());
  PENSTOCK_ASSERT_EQ(bytes, 11);
  const ssize_t written = uninterrupted([&] { return ::pwrite(number, text.data(), static_cast<std::size_t>(bytes), 0); });
  if (written < 0) return last_error();
  return written == bytes ? Status::ok() : Status(Code::kNoSpace);
}

class RealSystem final : public System {
 public:
  Result<Fd> open_file(const std::string& path, const OpenOptions& options) override;
  void close_file(Fd file) noexcept override;
  bool is_direct(Fd file) const noexcept override;
  Result<std::uint64_t> file_bytes(Fd file) override;
  Status resize_file(Fd file, std::uint64_t bytes, bool reserve) override;
  Status punch_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) override;
  Status fill_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) override;
  Status read_file(Fd file, std::uint64_t offset, std::span<std::byte> buffer) override;
  Status write_file(Fd file, std::uint64_t offset, std::span<const std::byte> buffer) override;
  Status sync_file(Fd file) override;

  Status make_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Status rename_file(const std::string& from, const std::string& to) override;
  Status remove_file(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::vector<std::string>> list_directory(const std::string& path) override;
  Result<Fd> lock_file(const std::string& path, bool create) override;

  std::uint64_t now_ns() noexcept override { return read_clock_ns(CLOCK_MONOTONIC); }
  std::uint64_t wall_clock_ns() noexcept override { return read_clock_ns(CLOCK_REALTIME); }
  std::uint64_t random_u64() noexcept override;
  void sleep_ns(std::uint64_t duration_ns) noexcept override;
  std::uint32_t process_id() noexcept override { return static_cast<std::uint32_t>(::getpid()); }
  std::uint32_t usable_cores() noexcept override { return count_usable_cores(""); }
  std::uint64_t memory_bytes() noexcept override { return read_memory_bytes(""); }
  Outcome<std::unique_ptr<Io>> make_io(const IoOptions& options) override { return make_real_io(options); }
  bool has_threads() const noexcept override { return true; }
};

// --- Files ---

Result<Fd> RealSystem::open_file(const std::string& path, const OpenOptions& options) {
  int flags = options.read_only ? O_RDONLY : O_RDWR;
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;
  const Result<int> number = open_regular(path, flags);
  if (!number) return std::unexpected(number.error());
  Descriptor descriptor(*number);
  // O_DIRECT is set afterwards: an open() that refuses it may have made the file, and an exclusive second try would meet that.
  if (::fcntl(*number, F_SETFL, options.direct ? O_DIRECT : 0) != 0) {
    if (!options.direct || errno != EINVAL) return std::unexpected(last_error());
    if (::fcntl(*number, F_SETFL, 0) != 0) return std::unexpected(last_error());
  }
  return descriptor.release();
}

void RealSystem::close_file(Fd file) noexcept {
  PENSTOCK_ASSERT_NE(file, Fd::kNone);
  const int failed = ::close(number_of(file));
  PENSTOCK_ASSERT(failed == 0 || errno != EBADF);  // Closed twice: the number may be another file's by now.
}

bool RealSystem::is_direct(Fd file) const noexcept {
  const int flags = ::fcntl(number_of(file), F_GETFL);
  PENSTOCK_ASSERT_GE(flags, 0);
  return (flags & O_DIRECT) != 0;
}

Result<std::uint64_t> RealSystem::file_bytes(Fd file) {
  struct stat attributes{};
  if (::fstat(number_of(file), &attributes) != 0) return std::unexpected(last_error());
  return static_cast<std::uint64_t>(attributes.st_size);
}

Status RealSystem::resize_file(Fd file, std::uint64_t bytes, bool reserve) {
  const int number = number_of(file);
  const Result<std::uint64_t> before = file_bytes(file);
  if (!before) return before.error();
  if (reserve && bytes > *before) {
    const auto offset = static_cast<off_t>(*before);
    const auto length = static_cast<off_t>(bytes - *before);
    if (uninterrupted([&] { return ::fallocate(number, 0, offset, length); }) == 0) return Status::ok();
    if (errno != EOPNOTSUPP) {
      const Status failed = last_error();
      // It may have got part of the way: the length goes back, and with it the blocks.
      if (uninterrupted([&] { return ::ftruncate(number, offset); }) != 0) return last_error();
      return failed;
    }
  }
  if (uninterrupted([&] { return ::ftruncate(number, static_cast<off_t>(bytes)); }) != 0) return last_error();
  return Status::ok();
}

Status allocate(int file, int mode, std::uint64_t offset, std::uint64_t bytes) {
  const auto start = static_cast<off_t>(offset);
  const auto length = static_cast<off_t>(bytes);
  if (uninterrupted([&] { return ::fallocate(file, mode, start, length); }) != 0) return last_error();
  return Status::ok();
}

Status RealSystem::punch_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) {
  return allocate(number_of(file), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

Status RealSystem::fill_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) {
  return allocate(number_of(file), FALLOC_FL_KEEP_SIZE, offset, bytes);
}

/// After a short result direct I/O goes on at a block boundary.
std::uint64_t resume_bytes(std::uint64_t moved_bytes, std::uint64_t asked_bytes, bool direct) noexcept {
  if (moved_bytes == asked_bytes || !direct) return moved_bytes;
  return base::align_down<std::uint64_t>(moved_bytes, kBlockBytes);
}

Status RealSystem::read_file(Fd file, std::uint64_t offset, std::span<std::byte> buffer) {
  const bool direct = is_direct(file);
  std::uint64_t done_bytes = 0;
  while (done_bytes < buffer.size()) {
    const std::uint64_t asked_bytes = std::min(buffer.size() - done_bytes, kTransferBytesMax);
    const ssize_t result = uninterrupted([&] {
      return ::pread(number_of(file), buffer.data() + done_bytes, asked_bytes, static_cast<off_t>(offset + done_bytes));
    });
    if (result < 0) return last_error();
    const std::uint64_t moved_bytes = resume_bytes(static_cast<std::uint64_t>(result), asked_bytes, direct);
    if (moved_bytes == 0) return Status(Code::kCorruption);
    done_bytes += moved_bytes;
  }
  return Status::ok();
}

Status RealSystem::write_file(Fd file, std::uint64_t offset, std::span<const std::byte> buffer) {
  const bool direct = is_direct(file);
  std::uint64_t done_bytes = 0;
  while (done_bytes < buffer.size()) {
    const std::uint64_t asked_bytes = std::min(buffer.size() - done_bytes, kTransferBytesMax);
    const ssize_t result = uninterrupted([&] {
      return ::pwrite(number_of(file), buffer.data() + done_bytes, asked_bytes, static_cast<off_t>(offset + done_bytes));
    });
    if (result < 0) return last_error();
    const std::uint64_t moved_bytes = resume_bytes(static_cast<std::uint64_t>(result), asked_bytes, direct);
    if (moved_bytes == 0) return Status::from_errno(EIO);
    done_bytes += moved_bytes;
  }
  return Status::ok();
}

Status RealSystem::sync_file(Fd file) { return ::fsync(number_of(file)) == 0 ? Status::ok() : last_error(); }

// --- Names ---

Status RealSystem::make_directory(const std::string& path) {
  return ::mkdir(path.c_str(), 0700) == 0 ? Status::ok() : last_error();
}

Status RealSystem::sync_directory(const std::string& path) {
  const Descriptor folder(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (folder.get() < 0) return last_error();
  return ::fsync(folder.get()) == 0 ? Status::ok() : last_error();
}

Status RealSystem::rename_file(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? Status::ok() : last_error();
}

Status RealSystem::remove_file(const std::string& path) { return ::unlink(path.c_str()) == 0 ? Status::ok() : last_error(); }

Status RealSystem::remove_directory(const std::string& path) {
  return ::rmdir(path.c_str()) == 0 ? Status::ok() : last_error();
}

Result<std::vector<std::string>> RealSystem::list_directory(const std::string& path) {
  DIR* const folder = ::opendir(path.c_str());
  if (folder == nullptr) return std::unexpected(last_error());
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const item = ::readdir(folder)) {
    const std::string_view name(item->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int failed = errno;
  ::closedir(folder);
  if (failed != 0) return std::unexpected(Status::from_errno(failed));
  std::sort(names.begin(), names.end());
  return names;
}

Result<Fd> RealSystem::lock_file(const std::string& path, bool create) {
  const Result<int> number = open_regular(path, O_RDWR | (create ? O_CREAT : 0));
  if (!number) return std::unexpected(number.error());
  Descriptor descriptor(*number);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (uninterrupted([&] { return ::fcntl(*number, F_OFD_SETLK, &lock); }) != 0) {
    if (errno != EAGAIN && errno != EACCES) return std::unexpected(last_error());
    return std::unexpected(Status(Code::kBusy, FileKind::kLock, read_holder(*number)));
  }
  PENSTOCK_TRY_RESULT(write_holder(*number));
  return descriptor.release();
}

// --- Time and chance ---

std::uint64_t RealSystem::random_u64() noexcept {
  std::uint64_t value = 0;
  // So few bytes come whole, or not at all before the kernel's pool is ready.
  const ssize_t bytes = uninterrupted([&] { return ::getrandom(&value, sizeof(value), 0); });
  PENSTOCK_ASSERT_EQ(bytes, static_cast<ssize_t>(sizeof(value)));
  return value;
}

void RealSystem::sleep_ns(std::uint64_t duration_ns) noexcept {
  timespec left{};
  left.tv_sec = static_cast<time_t>(duration_ns / 1'000'000'000U);
  left.tv_nsec = static_cast<long>(duration_ns % 1'000'000'000U);
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace

System& real_system() noexcept {
  static RealSystem system;
  return system;
}

}  // namespace penstock::reactor
