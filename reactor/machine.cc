#include "reactor/machine.h"

#include <sched.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace penstock::reactor {

namespace {

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;  // "max", "-1": no limit.
  return number;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  const std::optional<std::string> text = read_text(path);
  return text ? parse_number(*text) : std::nullopt;
}

template <typename T>
void tighten(std::optional<T>& limit, std::optional<T> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

std::optional<double> cores_of(std::optional<std::uint64_t> quota_us, std::optional<std::uint64_t> period_us) {
  if (!quota_us || !period_us || *period_us == 0) return std::nullopt;
  return static_cast<double>(*quota_us) / static_cast<double>(*period_us);
}

void read_unified_group(const std::string& folder, GroupLimits& limits) {
  if (const std::optional<std::string> text = read_text(folder + "/cpu.max")) {
    const std::size_t space = text->find(' ');
    if (space != std::string::npos) {
      const std::string_view view(*text);
      tighten(limits.cores, cores_of(parse_number(view.substr(0, space)), parse_number(view.substr(space + 1))));
    }
  }
  tighten(limits.memory_bytes, read_number(folder + "/memory.max"));
}

void read_cpu_group(const std::string& folder, GroupLimits& limits) {
  tighten(limits.cores, cores_of(read_number(folder + "/cpu.cfs_quota_us"), read_number(folder + "/cpu.cfs_period_us")));
}

void read_memory_group(const std::string& folder, GroupLimits& limits) {
  tighten(limits.memory_bytes, read_number(folder + "/memory.limit_in_bytes"));
}

/// Calls `read` for the group at `path` and each group above it. A container may see its group at the mount's root although the
/// path names it from the host's: folders that are not there say nothing.
template <typename Read>
void walk_up(const std::string& mount, std::string path, GroupLimits& limits, Read read) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  while (true) {
    read(mount + path, limits);
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return;
    path.resize(slash);
  }
}

bool names_controller(std::string_view controllers, std::string_view name) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == name) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

std::uint32_t count_affinity_cores() noexcept {
  // The kernel refuses a mask smaller than its own: the mask grows until it fits.
  for (std::size_t core_count = 1024; core_count <= (1U << 20U); core_count *= 2) {
    cpu_set_t* const cores = CPU_ALLOC(core_count);
    if (cores == nullptr) return 1;
    const std::size_t bytes = CPU_ALLOC_SIZE(core_count);
    const bool got = sched_getaffinity(0, bytes, cores) == 0;
    const int count = got ? CPU_COUNT_S(bytes, cores) : 0;
    CPU_FREE(cores);
    if (got) return static_cast<std::uint32_t>(std::max(count, 1));
  }
  return 1;
}

}  // namespace

GroupLimits read_group_limits(const std::string& root) {
  GroupLimits limits;
  const std::optional<std::string> groups = read_text(root + "/proc/self/cgroup");
  if (!groups) return limits;
  const std::string mount = root + "/sys/fs/cgroup";
  std::stringstream lines(*groups);
  std::string line;
  while (std::getline(lines, line)) {  // "number:controllers:path"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      walk_up(mount, path, limits, read_unified_group);
      walk_up(mount + "/unified", path, limits, read_unified_group);
    }
    if (names_controller(controllers, "cpu")) walk_up(mount + "/cpu", path, limits, read_cpu_group);
    if (names_controller(controllers, "memory")) walk_up(mount + "/memory", path, limits, read_memory_group);
  }
  return limits;
}

std::uint32_t count_usable_cores(const std::string& root) noexcept {
  std::uint32_t cores = count_affinity_cores();
  const GroupLimits limits = read_group_limits(root);
  if (limits.cores && *limits.cores < static_cast<double>(cores)) cores = static_cast<std::uint32_t>(*limits.cores);
  return std::max(cores, 1U);
}

std::uint64_t read_memory_bytes(const std::string& root) noexcept {
  struct sysinfo info{};
  std::uint64_t bytes = 0;
  if (sysinfo(&info) == 0) bytes = static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
  const GroupLimits limits = read_group_limits(root);
  if (limits.memory_bytes && (bytes == 0 || *limits.memory_bytes < bytes)) bytes = *limits.memory_bytes;
  return bytes;
}

}  // namespace penstock::reactor
