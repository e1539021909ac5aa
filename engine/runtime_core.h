// The reactors behind a Runtime: on threads of our own, on threads of the host, or polled by a simulation.
//
// Invariants:
//   Runtime-I1 The reactors are there from start() to the end, also those whose donated thread has not come yet or has gone: so
//              nobody who posts needs to know.
//   Runtime-I2 A reactor has a thread from before the first call that opens a database until no database is open and no such
//              call is in progress.
// Threads: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "penstock/future.h"
#include "penstock/options.h"
#include "penstock/status.h"
#include "reactor/chunk_pool.h"
#include "reactor/hosted_loop.h"
#include "reactor/reactor.h"

namespace penstock::detail {

/// A database, as one of those among which memory_limit is divided evenly.
class MemoryUser {
 public:
  /// It may use so much from now on. On reactor 0.
  virtual void on_memory_share(std::uint64_t bytes) = 0;

 protected:
  ~MemoryUser() = default;
};

/// A database open among others gets at least so much.
inline constexpr std::uint64_t kMemoryShareMin = 16_MiB;

class RuntimeCore {
 public:
  /// Starts the threads, if they are ours. Options are resolved (zeros replaced) and checked.
  static Outcome<std::shared_ptr<RuntimeCore>> start(const RuntimeOptions& options);
  /// Over reactors that somebody else runs and keeps (the simulator).
  RuntimeCore(reactor::System& system, std::vector<reactor::Reactor*> reactors, std::uint64_t memory_limit);
  ~RuntimeCore();
  RuntimeCore(const RuntimeCore&) = delete;
  RuntimeCore& operator=(const RuntimeCore&) = delete;

  reactor::System& system() const noexcept { return system_; }
  const std::vector<reactor::Reactor*>& reactors() const noexcept { return reactors_; }
  /// What Runtime::io_backend() says; once it says something it stays, and its bytes stay where they are.
  const std::string& io_backend() const noexcept;
  /// For the memtables of all databases. Any thread.
  reactor::ChunkPool& chunks() const noexcept { return chunks_; }
  /// For what opens and closes databases on reactor `index`: outlives them. Use on that reactor only.
  reactor::TaskGroup& tasks(std::size_t index) const noexcept { return *tasks_[index]; }

  /// In a child of the process that started it: its threads and rings are not here.
  bool is_forked() const noexcept { return process_ != process_number(); }
  /// Keeps what belongs to the parent for ever: ending it would wait for threads that are not there.
  static void abandon(std::shared_ptr<void> inherited);

  // --- donated threads ---
  bool is_donated() const noexcept { return !slots_.empty(); }
  std::uint32_t missing_threads() const noexcept;
  struct Attached {
    std::uint32_t index = 0;
    std::unique_ptr<reactor::HostedLoop> loop;
  };
  /// Makes the first reactor without a thread the calling one's.
  Outcome<Attached> attach();
  /// On its thread, not inside poll(). `busy`: Runtime-I2.
  Status detach(Attached& attached);

  // --- databases ---
  /// Around a call that opens or closes one, on any thread. False, and nothing to end: a donated reactor has no thread.
  bool begin_call() noexcept;
  void end_call() noexcept;
  bool has_calls() const noexcept { return calls_.load(std::memory_order_seq_cst) != 0; }
  bool has_databases() const noexcept { return databases_.load(std::memory_order_seq_cst) != 0; }
  /// Blocks. Ordinary threads only.
  void await_calls() noexcept;
  void on_database_opening() noexcept { databases_.fetch_add(1, std::memory_order_seq_cst); }
  void on_database_closed() noexcept { databases_.fetch_sub(1, std::memory_order_seq_cst); }

  // --- memory; on reactor 0 ---
  /// Each user gets at least kMemoryShareMin, unless it is alone. Errors: invalid_argument, and nothing has changed.
  Outcome<bool> add_memory_user(MemoryUser& user);
  void remove_memory_user(MemoryUser& user);
  std::uint64_t memory_share() const noexcept { return memory_limit_ / std::max<std::size_t>(memory_users_.size(), 1); }

 private:
  enum class Slot : std::uint8_t { kFree, kChanging, kAttached };

  Outcome<bool> start_threads(const RuntimeOptions& options, std::uint32_t count);
  void make_hosted(const RuntimeOptions& options, std::uint32_t count);
  void make_task_groups();
  void note_io_backend(const reactor::Reactor& reactor);

  reactor::System& system_;
  const std::uint32_t process_ = process_number();
  mutable reactor::ChunkPool chunks_;
  std::vector<std::unique_ptr<reactor::TaskGroup>> tasks_;
  std::vector<std::unique_ptr<reactor::ReactorThread>> threads_;  // Joined before the groups go.
  std::vector<std::unique_ptr<reactor::Reactor>> hosted_;
  std::vector<reactor::Reactor*> reactors_;
  std::uint64_t memory_limit_;
  std::vector<MemoryUser*> memory_users_;

  reactor::IoOptions io_options_;        // Of donated threads.
  std::deque<std::atomic<Slot>> slots_;  // One per donated reactor.
  std::string io_backend_;               // Written once, before the flag.
  std::atomic<bool> knows_io_backend_{false};
  std::atomic<std::uint32_t> calls_{0};
  std::atomic<std::uint32_t> databases_{0};  // From the beginning of an opening to the end of the closing.
};

}  // namespace penstock::detail
