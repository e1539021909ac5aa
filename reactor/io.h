// Asynchronous I/O at the level of submission entries: prepare, enter, reap. One object per reactor.
//
// Three of them: RingIo (io_uring), SyscallIo (a few worker threads, where io_uring is refused or by option), SimIo (the
// simulated disk). Chains, short results, cancelled links and completion order can be seen here, and so can be simulated here.
// Invariants:
//   Io-I1 A chain is prepared whole or not at all, and never crosses an enter(): the kernel ends a link at a submission's end.
//   Io-I2 In a chain an entry starts only after the one before it completed in full; if that failed or was short, the rest
//         of the chain completes with -ECANCELED and did nothing.
//   Io-I3 Every prepared entry is reaped exactly once. Its buffer, file and Completion live until then.
//   Io-I4 Entries that are not chained run and complete in any order. A kSyncData covers the writes of its file that were
//         reaped before it was submitted, and those before it in its chain; nothing else.
// Thread: the reactor's own, but for wake().
// Source: io_uring_enter(2), io_uring_sqe_set_flags(3).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "penstock/status.h"
#include "reactor/system.h"

namespace penstock::reactor {

/// What is called with an entry's result: bytes moved, 0, or -errno. Never called from prepare() or enter(): only by the
/// reactor's loop, from its top level.
class Completion {
 public:
  virtual void on_complete(std::int32_t result) = 0;

 protected:
  ~Completion() = default;
};

enum class Op : std::uint8_t {
  kRead,      ///< `bytes` at `offset` into `buffer`.
  kWrite,     ///< `bytes` at `offset` from `buffer`.
  kSyncData,  ///< fdatasync of the whole file.
  kSync,      ///< fsync of the whole file.
  kNop,
};

struct Entry {
  Op op = Op::kNop;
  bool link = false;  ///< The next entry of the span belongs to the chain and waits for this one.
  /// kWrite: completes when its own bytes are on stable storage (RWF_DSYNC). Says nothing of writes before it: a device that
  /// writes through its cache for this one keeps them there.
  bool durable = false;
  bool blocking = false;  ///< Ask for a blocking context at once (after -EAGAIN), or worker threads in `syscall` log mode.
  Fd file = Fd::kNone;
  std::uint32_t bytes = 0;
  std::uint64_t offset = 0;
  std::byte* buffer = nullptr;
  Completion* completion = nullptr;
};

struct Reaped {
  Completion* completion = nullptr;
  std::int32_t result = 0;
};

struct IoOptions {
  enum class Backend : std::uint8_t { kAuto, kRing, kSyscall };
  Backend backend = Backend::kAuto;  ///< kAuto: the ring, else system calls. PENSTOCK_IO=ring|syscall overrides.
  std::uint32_t entries = 256;
  std::uint32_t workers = 4;  ///< Threads of SyscallIo, and of the ring for `blocking` log entries.
  /// The thread waits in a loop of its own, for wait_file(), and never in enter().
  bool hosted = false;
};

/// Counts since the object was made. Read by metrics on the reactor's thread.
struct IoCounters {
  std::uint64_t enters = 0;   ///< enter() calls that reached the kernel.
  std::uint64_t sleeps = 0;   ///< Those that waited.
  std::uint64_t entries = 0;  ///< Entries submitted.
  std::uint64_t chains = 0;
  std::uint64_t completions = 0;
  std::uint64_t wakes = 0;  ///< Wake-ups received from other threads.
  std::uint64_t writes = 0;
  std::uint64_t write_bytes = 0;
  std::uint64_t reads = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t syncs = 0;        ///< Durable writes too.
  std::uint64_t again = 0;        ///< -EAGAIN and -EBUSY results.
  std::uint64_t interrupted = 0;  ///< -EINTR results.
  std::uint64_t short_results = 0;
  std::uint64_t overflows = 0;  ///< Times the completion queue overflowed.
};

class Io {
 public:
  virtual ~Io() = default;  ///< In flight must be 0.

  /// Entries that can be prepared before the next enter().
  virtual std::uint32_t room() const noexcept = 0;
  /// Queues one chain (entries linked by `link`; the last one's is false). Requires chain.size() <= room().
  virtual void prepare(std::span<const Entry> chain) = 0;
  /// Submits what is prepared and collects completions. `wait_ns` 0: does not wait; else sleeps until a completion, a wake() or
  /// the time; negative: without limit; a wait may end early. One system call, or none when there is nothing to submit or
  /// collect and wait_ns is 0.
  virtual void enter(std::int64_t wait_ns) = 0;
  /// Takes completions collected so far; returns how many were put into `reaped`.
  virtual std::uint32_t reap(std::span<Reaped> reaped) = 0;
  virtual std::uint32_t in_flight() const noexcept = 0;

  /// Ends a wait in enter(), the present one or the next. Any thread. Of a hosted Io: signals wait_file().
  virtual void wake() noexcept = 0;

  // --- hosted (IoOptions::hosted): enter() is called with 0 alone ---
  /// An eventfd, signalled once a completion or a wake() comes after try_arm(). Nobody reads it: each signal is an edge for an
  /// epoll file, its count means nothing. A wake() just before try_arm() signals too, or try_arm() is false. -1: not hosted.
  virtual int wait_file() const noexcept { return -1; }
  /// Submits what is prepared and arms wait_file(). False, and not armed: it has collected completions, or a wake(), or could
  /// not submit everything.
  virtual bool try_arm() { return false; }
  /// The thread is back: completions need not signal.
  virtual void disarm() noexcept {}

  /// Keeps `file`'s open description alive until the last entry of this object has ended, even if the process is killed first:
  /// an OFD lock held through it then proves that nothing of a dead process is still writing.
  virtual Status hold_file(Fd file) = 0;
  /// Ends hold_file(): to be called before `file` is closed, once nothing that it guards is in flight.
  virtual void release_file(Fd file) noexcept { static_cast<void>(file); }

  virtual const IoCounters& counters() const noexcept = 0;
  /// "io_uring (single_issuer, defer_taskrun)", "system calls: io_uring_setup: operation not permitted (seccomp or ...)".
  virtual std::string description() const = 0;
};

}  // namespace penstock::reactor
