// Checks after a job, on a database that was closed and opened again (or recovered after a kill), that every acknowledged
// operation is there.
//
// Replays each client's plan to know what must be there, and gets every key of it.
// Invariants:
//   Verify-I1 A key is wrong if an acknowledged version of it was replaced by an older one, is missing, or any byte differs.
//   Keys of
//             commits that were issued and not acknowledged may have either version.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/penstock-bench/workload.h"

namespace penstock::bench {

struct VerifyOutcome {
  std::uint64_t keys = 0;   ///< Checked.
  std::uint64_t wrong = 0;  ///< Other bytes or an older version.
  std::uint64_t missing = 0;
  std::uint64_t pages = 0;  ///< Walked by the engine's own check.
  std::uint64_t elapsed_ns = 0;
  std::string first_problem;  ///< Empty: all is well.
  bool is_ok() const noexcept { return first_problem.empty(); }
};

/// `issued[c]`: steps that client c handed to the engine at most. `load.counters` say what was acknowledged.
VerifyOutcome verify_load(const Load& load, const std::vector<std::uint64_t>& issued, Eta eta);

}  // namespace penstock::bench
