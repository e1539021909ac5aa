// What share of the machine this process may use: affinity, and the limits of its control groups (versions 1 and 2).
//
// The files are read below a root so that tests can lay out a machine of their own; the real root is "".
// Thread: any.
// Source: Linux Documentation/admin-guide/cgroup-v2.rst (cpu.max, memory.max), cgroup-v1/memory.rst, scheduler/sched-bwc.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace penstock::reactor {

struct GroupLimits {
  std::optional<double> cores;                ///< CPU quota over period; none: unlimited.
  std::optional<std::uint64_t> memory_bytes;  ///< None: unlimited.
};

/// The tightest limits on the way from this process's groups up to the root of the hierarchy.
GroupLimits read_group_limits(const std::string& root);

/// Cores of the affinity mask, cut to the whole cores of the quota (a reactor wants a core of its own); at least 1.
std::uint32_t count_usable_cores(const std::string& root) noexcept;
/// Memory of the machine or of the group, whichever is less.
std::uint64_t read_memory_bytes(const std::string& root) noexcept;

}  // namespace penstock::reactor
