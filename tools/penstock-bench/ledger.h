// Ledger: what each client of a job has asked for and what was acknowledged, in a file of its own beside the store, so that it
// outlives the process, and if it is kept durable the machine.
//
// The file is mapped: a client counts in it as it would in memory, and a killed process leaves it as it was. As a client writes
// what its plan says, in order (workload.h), two numbers say all: `acknowledged` operations have to be there, those from
// `issued` on cannot be.
// Invariants:
//   Ledger-I1 With keep_durable(), `reserved` of a client is on stable storage before the client issues an operation beyond it:
//             after a power cut nothing was issued that the file does not know of. `acknowledged` only grows, so that what a
//             power cut leaves of it was true.
//   Ledger-I2 A file that was begun for another job, or is damaged, is refused.
// Thread: each client counts for itself; the rest is the main one's. Errors: JobError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/penstock-bench/workload.h"

namespace penstock::bench {

class Ledger {
 public:
  /// Begins a new one. `job`: what the data depends on, as text.
  static Ledger create(const std::string& path, const std::string& job, std::uint32_t clients);
  /// That of an earlier run.
  static Ledger open(const std::string& path, const std::string& job, std::uint32_t clients);

  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&&) = delete;
  ~Ledger();

  ClientCounters* counters() const noexcept { return counters_; }
  /// From here on until the end.
  void keep_durable();
  bool is_kept_durable() const noexcept;
  /// Before a client issues operations up to `operations`, if they are beyond its `reserved`. On that client's thread.
  void reserve(std::uint32_t client, std::uint64_t operations);
  /// What was acknowledged until now, on stable storage; while the job runs, now and then.
  void sync() const;
  /// Operations of the client that may have been issued. Exact, unless the machine has been started anew since.
  std::uint64_t issued_at_most(std::uint32_t client) const noexcept;

 private:
  Ledger(int file, std::uint32_t clients);
  void map();

  int file_ = -1;
  std::uint32_t clients_ = 0;
  std::uint64_t bytes_ = 0;
  std::byte* memory_ = nullptr;
  ClientCounters* counters_ = nullptr;
  bool is_of_this_boot_ = true;
};

}  // namespace penstock::bench
