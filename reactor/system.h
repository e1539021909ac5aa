// The operating system as the engine sees it: files, folders, clocks, randomness, threads. Real or simulated.
//
// Nothing above reactor/ calls the operating system, reads a clock or draws a random number in any other way, so a whole run
// can be repeated from a seed (SimSystem). Data of open files moves asynchronously through Io (io.h); the calls here are the
// rare ones: opening, naming, sizing, and the blocking reads and writes of creation and opening. Threads: every call may be
// made on any thread (SimSystem: on its one thread). Durability: sync() covers a file's data and size; sync_directory() covers
// the names in a folder. Nothing else is durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "penstock/status.h"

namespace penstock::reactor {

class Io;
struct IoOptions;

/// An open file. A number of the kernel, or of the simulator.
enum class Fd : std::int32_t { kNone = -1 };

/// Offsets, lengths and memory of direct I/O are multiples of this.
inline constexpr std::uint32_t kBlockBytes = 4096;

struct OpenOptions {
  bool create = false;     ///< Make it if it is absent (mode 0600).
  bool exclusive = false;  ///< With create: `already_exists` if it is there.
  bool read_only = false;
  bool direct = true;  ///< O_DIRECT where the file system has it, else plain (is_direct tells).
};

class System {
 public:
  virtual ~System() = default;

  // Files. Errors: not_found, permission, no_space, already_exists, io_error with errno. Never follows a link in the last
  // component and opens regular files only.
  virtual Result<Fd> open_file(const std::string& path, const OpenOptions& options) = 0;
  virtual void close_file(Fd file) noexcept = 0;
  virtual bool is_direct(Fd file) const noexcept = 0;
  virtual Result<std::uint64_t> file_bytes(Fd file) = 0;
  /// Sets the length; growth reads as zeros. With `reserve` the growth's blocks are allocated, or `no_space`.
  virtual Status resize_file(Fd file, std::uint64_t bytes, bool reserve) = 0;
  /// Gives the range's blocks back to the file system; it reads as zeros. Block-aligned. May be `not_supported`.
  virtual Status punch_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// Takes blocks for what is a hole in the range, or `no_space`; what the range reads as stays. Block-aligned, within the
  /// file's length. May be `not_supported`.
  virtual Status fill_hole(Fd file, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// Blocking whole reads and writes: a read short of `buffer` (end of file) is `corruption`. Aligned as direct I/O needs.
  virtual Status read_file(Fd file, std::uint64_t offset, std::span<std::byte> buffer) = 0;
  virtual Status write_file(Fd file, std::uint64_t offset, std::span<const std::byte> buffer) = 0;
  virtual Status sync_file(Fd file) = 0;

  // Names.
  virtual Status make_directory(const std::string& path) = 0;  ///< Mode 0700. `already_exists` if it is there.
  virtual Status sync_directory(const std::string& path) = 0;
  /// Atomically gives `from`'s file the name `to`, replacing what had it. Durable after sync_directory of both folders.
  virtual Status rename_file(const std::string& from, const std::string& to) = 0;
  virtual Status remove_file(const std::string& path) = 0;
  virtual Status remove_directory(const std::string& path) = 0;  ///< It must be empty.
  /// Names in a folder without "." and "..", sorted.
  virtual Result<std::vector<std::string>> list_directory(const std::string& path) = 0;
  /// Opens (or makes) `path` and takes an exclusive OFD lock on it. `busy` names the holder's process in where(), 0 if unknown.
  virtual Result<Fd> lock_file(const std::string& path, bool create) = 0;

  // Time and chance.
  virtual std::uint64_t now_ns() noexcept = 0;         ///< Monotonic.
  virtual std::uint64_t wall_clock_ns() noexcept = 0;  ///< Since 1970. For information only: may jump.
  virtual std::uint64_t random_u64() noexcept = 0;
  virtual void sleep_ns(std::uint64_t duration_ns) noexcept = 0;  ///< Blocks the thread. Opening only.
  virtual std::uint32_t process_id() noexcept = 0;
  /// Cores this process may use: affinity and the cgroup's CPU quota respected, at least 1.
  virtual std::uint32_t usable_cores() noexcept = 0;
  virtual std::uint64_t memory_bytes() noexcept = 0;  ///< Of the machine or cgroup, whichever is less.

  /// The submission interface of one reactor, to be called on the reactor's thread.
  virtual Outcome<std::unique_ptr<Io>> make_io(const IoOptions& options) = 0;
  /// True where reactors run on threads of their own; false in the simulator, which polls them.
  virtual bool has_threads() const noexcept = 0;
};

/// The machine this process runs on. Stateless; one object for all.
System& real_system() noexcept;

/// An open file that closes itself. Close it only when no I/O on it is in flight.
class File {
 public:
  File() noexcept = default;
  File(System& system, Fd fd) noexcept : system_(&system), fd_(fd) {}
  File(File&& other) noexcept : system_(other.system_), fd_(std::exchange(other.fd_, Fd::kNone)) {}
  File& operator=(File&& other) noexcept {
    if (this != &other) {
      reset();
      system_ = other.system_;
      fd_ = std::exchange(other.fd_, Fd::kNone);
    }
    return *this;
  }
  ~File() { reset(); }

  Fd fd() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ != Fd::kNone; }
  void reset() noexcept {
    if (fd_ != Fd::kNone) system_->close_file(std::exchange(fd_, Fd::kNone));
  }

 private:
  System* system_ = nullptr;
  Fd fd_ = Fd::kNone;
};

}  // namespace penstock::reactor
