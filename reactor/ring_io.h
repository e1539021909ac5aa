// I/O by io_uring: one ring per reactor, made on its thread.
//
// Invariants:
//   RingIo-I1 Made, used and destroyed on one thread (SINGLE_ISSUER); wake() alone comes from others.
//   RingIo-I2 Entries in flight never exceed the slots, and the slots fit the completion queue: nothing of ours overflows it.
//   RingIo-I3 user_data is slot index and generation: a completion that fits no slot in flight is a broken ring and ends the
//             process, because afterwards nobody knows which buffers the kernel owns.
//   RingIo-I4 One READ of the eventfd is always armed; a slot of the submission queue is kept for it.
//   RingIo-I5 Hosted there is no READ: the eventfd is registered with the ring, which signals it for completions while armed.
//             The ring's own descriptor would not do: with deferred task work a poll() or epoll_wait() on it is not woken by
//             work that waits to be run (seen with Linux 6.18). docs/decisions/0005-donated-threads.md.
// Thread: the reactor's own, but for wake().
// Durability: hold_file() registers the file: the kernel keeps it open until the ring's last entry has ended.
// Source: io_uring_setup(2), io_uring_enter(2), io_uring_register(2).
#pragma once

#include <liburing.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "reactor/io.h"

namespace penstock::reactor {

class RingIo final : public Io {
 public:
  /// Refused: a Failure whose text is one line for people.
  static Outcome<std::unique_ptr<Io>> create(const IoOptions& options);
  /// With exactly these setup flags instead of the best the kernel takes: for tests of what older kernels get.
  static Outcome<std::unique_ptr<Io>> create_with_flags(const IoOptions& options, std::uint32_t setup_flags);
  ~RingIo() override;
  RingIo(const RingIo&) = delete;
  RingIo& operator=(const RingIo&) = delete;

  std::uint32_t room() const noexcept override;
  void prepare(std::span<const Entry> chain) override;
  void enter(std::int64_t wait_ns) override;
  std::uint32_t reap(std::span<Reaped> reaped) override;
  std::uint32_t in_flight() const noexcept override { return in_flight_; }
  void wake() noexcept override;
  int wait_file() const noexcept override { return hosted_ ? wake_file_ : -1; }
  bool try_arm() override;
  void disarm() noexcept override;
  Status hold_file(Fd file) override;
  void release_file(Fd file) noexcept override;
  const IoCounters& counters() const noexcept override { return counters_; }
  std::string description() const override;

 private:
  friend struct RingIoProbe;  // Tests put entries in the queue that only a broken caller or kernel would.

  struct Slot {
    Completion* completion = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t asked_bytes = 0;
    std::uint32_t next_free = 0;
    Op op = Op::kNop;
    bool in_use = false;
    bool follows_link = false;  // The entry before it in the queue is linked to it.
    bool cut_off = false;       // Its chain was cut by a partial submission: it completes with -ECANCELED.
  };

  RingIo() = default;
  Failure set_up(const IoOptions& options, std::uint32_t setup_flags);
  Failure finish_set_up(const IoOptions& options);
  Failure make_wake_file(bool hosted);
  void prepare_entry(const Entry& entry, bool follows_link);
  std::uint32_t take_slot();
  void arm_wake();
  void submit_and_collect();
  void submit_and_wait(std::int64_t wait_ns);
  void handle_enter_error(int result);
  void neutralize_cut_chain();
  void collect();
  void take_completions();
  bool has_deferred_work() const noexcept;
  void complete(std::uint64_t user_data, std::int32_t result);
  void disarm_wake();

  io_uring ring_{};
  bool has_ring_ = false;
  std::uint32_t setup_flags_ = 0;
  pid_t thread_id_ = 0;

  std::vector<Slot> slots_;
  std::uint32_t free_slot_ = 0;
  std::uint32_t in_flight_ = 0;  // Prepared and not yet reaped; the eventfd READ is not counted.
  std::vector<Reaped> collected_;
  std::size_t collected_taken_ = 0;  // Of `collected_`, already reaped.

  int wake_file_ = -1;
  std::uint64_t wake_count_ = 0;  // The kernel writes here.
  bool wake_armed_ = false;
  bool hosted_ = false;

  std::vector<int> held_;  // The table of fixed files: a file, or -1.
  IoCounters counters_;
};

}  // namespace penstock::reactor
