// I/O by plain system calls on a few worker threads: where io_uring is refused, or by option.
//
// The contract is that of Io, chains included: one worker runs a whole chain in order and, after an entry that failed or was
// short, completes the rest with -ECANCELED.
// Invariants:
//   SyscallIo-I1 A chain belongs to the reactor's thread until enter() hands it to the workers, then to one worker.
//   SyscallIo-I2 Completions appear to the reactor's thread only in enter() and try_arm().
// Threads: as Io; the workers are its own.
// Durability: hold_file() duplicates the descriptor. The files of a killed process are closed when its last thread has ended,
// and a worker inside a write has not: the lock is held until then.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "reactor/io.h"
#include "reactor/thread.h"

namespace penstock::reactor {

class SyscallIo final : public Io {
 public:
  /// `reason`: why system calls were chosen, for description().
  static Outcome<std::unique_ptr<Io>> create(const IoOptions& options, std::string reason);
  ~SyscallIo() override;
  SyscallIo(const SyscallIo&) = delete;
  SyscallIo& operator=(const SyscallIo&) = delete;

  std::uint32_t room() const noexcept override { return entries_max_ - in_flight_; }
  void prepare(std::span<const Entry> chain) override;
  void enter(std::int64_t wait_ns) override;
  std::uint32_t reap(std::span<Reaped> reaped) override;
  std::uint32_t in_flight() const noexcept override { return in_flight_; }
  void wake() noexcept override;
  int wait_file() const noexcept override { return wait_file_; }
  bool try_arm() override;
  void disarm() noexcept override;
  Status hold_file(Fd file) override;
  void release_file(Fd file) noexcept override;
  const IoCounters& counters() const noexcept override { return counters_; }
  std::string description() const override;

 private:
  using Chain = std::vector<Entry>;
  struct Done {
    Completion* completion = nullptr;
    Op op = Op::kNop;
    std::uint32_t asked_bytes = 0;
    std::int32_t result = 0;
  };

  SyscallIo(std::uint32_t entries_max, std::string reason) : entries_max_(entries_max), reason_(std::move(reason)) {}
  Status start_workers(std::uint32_t count);
  static void enter_worker(void* io) { static_cast<SyscallIo*>(io)->run_worker(); }
  void run_worker();
  void run_chain(const Chain& chain);
  void finish(const Entry& entry, std::int32_t result);
  void hand_over();
  void take_news();
  void note_news();
  void wait(std::int64_t wait_ns);

  int wait_file_ = -1;  // Of a hosted one.
  const std::uint32_t entries_max_;
  const std::string reason_;

  // Of the reactor's thread.
  IoCounters counters_;
  std::uint32_t in_flight_ = 0;  // Prepared and not yet reaped.
  std::vector<Chain> prepared_;
  std::vector<Chain> spare_;  // Emptied chains, for reuse.
  std::deque<Done> collected_;
  std::vector<std::pair<Fd, int>> held_;  // A file and its duplicate.
  std::deque<Thread> workers_;

  // Shared with the workers.
  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Chain> queue_;
  bool stopping_ = false;

  // Shared with the workers and with wake().
  std::mutex done_mutex_;
  std::condition_variable done_changed_;
  std::vector<Done> done_;
  std::vector<Chain> returned_;
  bool woken_ = false;
  bool armed_ = false;                 // The next news signals `wait_file_`.
  std::atomic<bool> has_news_{false};  // `done_` is not empty or `woken_` is set: looked at without the lock.
};

}  // namespace penstock::reactor
