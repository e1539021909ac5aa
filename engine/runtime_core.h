// The reactors behind a Runtime: threads of our own, or reactors that a simulation polls.
//
// Threads: any may read it; it does not change after start.
#pragma once

#include <memory>
#include <vector>

#include "penstock/options.h"
#include "penstock/status.h"
#include "reactor/chunk_pool.h"
#include "reactor/reactor.h"

namespace penstock::detail {

class RuntimeCore {
 public:
  /// Starts the threads. Options are resolved (zeros replaced) and checked.
  static Outcome<std::shared_ptr<RuntimeCore>> start(const RuntimeOptions& options);
  /// Over reactors that somebody else runs and keeps (the simulator).
  RuntimeCore(reactor::System& system, std::vector<reactor::Reactor*> reactors, std::uint64_t memory_limit);
  ~RuntimeCore();

  reactor::System& system() const noexcept { return system_; }
  const std::vector<reactor::Reactor*>& reactors() const noexcept { return reactors_; }
  std::uint64_t memory_limit() const noexcept { return memory_limit_; }
  /// For the memtables of all databases. Any thread.
  reactor::ChunkPool& chunks() const noexcept { return chunks_; }
  /// For what opens and closes databases on reactor `index`: outlives them. Use on that reactor only.
  reactor::TaskGroup& tasks(std::size_t index) const noexcept { return *tasks_[index]; }

 private:
  void make_task_groups();

  reactor::System& system_;
  mutable reactor::ChunkPool chunks_;
  std::vector<std::unique_ptr<reactor::TaskGroup>> tasks_;
  std::vector<std::unique_ptr<reactor::ReactorThread>> threads_;  // Joined before the groups go.
  std::vector<reactor::Reactor*> reactors_;
  std::uint64_t memory_limit_;
};

}  // namespace penstock::detail
