// Checks a store against the plans of a job's clients and what was acknowledged to them (expectations.h): after an orderly
// close, after a kill, after a power cut.
//
// Each family is scanned from end to end; then every key that a client has written is asked for, too: look-ups and scans have
// to agree. Penstock walks its pages besides. Errors: in the outcome.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/penstock-bench/expectations.h"
#include "tools/penstock-bench/workload.h"

namespace penstock::bench {

struct VerifyOutcome {
  std::uint64_t keys = 0;  ///< That have to be there, or to be gone.
  std::uint64_t rows = 0;  ///< Seen by scans.
  std::uint64_t gets = 0;
  std::uint64_t missing = 0;   ///< Lost, or older than what was acknowledged, or not found by a get.
  std::uint64_t invented = 0;  ///< There, and never written or deleted.
  std::uint64_t halves = 0;    ///< Batches.
  std::uint64_t order = 0;     ///< Rows out of order.
  std::uint64_t pages = 0;     ///< Walked by the engine's own check.
  std::uint64_t elapsed_ns = 0;
  std::uint64_t acknowledged = 0;  ///< Operations, of all clients.
  std::uint64_t demanded = 0;      ///< Of them, those that the policy demands.
  std::uint64_t issued = 0;
  std::uint64_t open_ns = 0;  ///< What opening took after a kill, or of what an earlier run left.
  std::string killed;         ///< "killed after 1.23 s, opened in 0.12 s"; empty: it was not.
  std::string first_problem;  ///< Empty: all is well.
  bool is_ok() const noexcept { return first_problem.empty(); }
  std::string summary() const;
};

struct VerifyInput {
  std::vector<ClientHistory> clients;
  bool was_empty = false;  ///< Before the job: nothing but its rows is there.
};

VerifyOutcome verify_store(const Load& load, const VerifyInput& input, Eta eta);

}  // namespace penstock::bench
