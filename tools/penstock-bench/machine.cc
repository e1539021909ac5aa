#include "tools/penstock-bench/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <thread>

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

// The directory, or the nearest one above it that exists: a database may still have to be made.
fs::path existing_part(const std::string& directory) {
  std::error_code error;
  fs::path path = fs::absolute(directory, error);
  while (!fs::exists(path, error) && path.has_parent_path() && path != path.parent_path()) {
    path = path.parent_path();
  }
  return path;
}

std::string file_system_name(const std::string& directory) {
  struct statfs info{};
  if (statfs(existing_part(directory).c_str(), &info) != 0) {
    return "unknown";
  }
  switch (static_cast<std::uint64_t>(info.f_type)) {
    case 0xef53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683e:
      return "btrfs";
    case 0x01021994:
      return "tmpfs";
    case 0x794c7630:
      return "overlay";
    case 0x2fc12fc1:
      return "zfs";
    case 0xf2f52010:
      return "f2fs";
    case 0x6969:
      return "nfs";
    default:
      return fmt::format("{:#x}", static_cast<std::uint64_t>(info.f_type));
  }
}

std::string processor_name() {
  std::ifstream input("/proc/cpuinfo");
  std::string line;
  while (std::getline(input, line)) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      return colon == std::string::npos ? "unknown" : line.substr(colon + 2);
    }
  }
  return "unknown";
}

// The disk below it, in /sys; nothing: it is on none.
std::optional<fs::path> disk_of(const std::string& directory) {
  struct stat info{};
  if (stat(existing_part(directory).c_str(), &info) != 0) {
    return std::nullopt;
  }
  std::error_code error;
  const fs::path device = fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(info.st_dev), minor(info.st_dev)), error);
  if (error) {
    return std::nullopt;
  }
  // Flushes and queues are those of whole disks alone.
  return fs::exists(device / "partition", error) ? device.parent_path() : device;
}

std::string first_line(const fs::path& path, const char* otherwise) {
  std::ifstream input(path);
  std::string line;
  return std::getline(input, line) && !line.empty() ? line : otherwise;
}

std::string memlock_text() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
    return "unknown";
  }
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : fmt::to_string(limit.rlim_cur);
}

std::uint64_t timeval_ns(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_usec) * 1'000;
}

}  // namespace

Machine read_machine(const std::string& directory) {
  Machine machine;
  utsname names{};
  if (uname(&names) == 0) {
    machine.kernel = fmt::format("{} {}", names.sysname, names.release);
  }
  machine.file_system = file_system_name(directory);
  machine.processor = processor_name();
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof(usable), &usable) == 0) {
    machine.cores = static_cast<std::uint32_t>(CPU_COUNT(&usable));
  }
  machine.governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none");
  machine.memory_bytes =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  machine.memlock = memlock_text();
  const std::optional<fs::path> disk = disk_of(directory);
  if (disk.has_value()) {
    machine.device = disk->filename();
  }
  const fs::path queue = disk.value_or("/nothing") / "queue";
  machine.device_cache = first_line(queue / "write_cache", "unknown");
  const std::string fua = first_line(queue / "fua", "unknown");
  machine.device_fua = fua == "1" ? "yes" : fua == "0" ? "no" : fua;
  return machine;
}

ProcessCounters read_process_counters() {
  ProcessCounters counters;
  std::ifstream input("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (input >> name >> value) {
    if (name == "write_bytes:") {
      counters.written_bytes = value;
    } else if (name == "read_bytes:") {
      counters.read_bytes = value;
    }
  }
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    counters.user_ns = timeval_ns(usage.ru_utime);
    counters.system_ns = timeval_ns(usage.ru_stime);
    counters.context_switches = static_cast<std::uint64_t>(usage.ru_nvcsw) + static_cast<std::uint64_t>(usage.ru_nivcsw);
    counters.major_faults = static_cast<std::uint64_t>(usage.ru_majflt);
    counters.minor_faults = static_cast<std::uint64_t>(usage.ru_minflt);
  }
  return counters;
}

DiskCounters read_disk_counters(const std::string& directory) {
  const std::optional<fs::path> disk = disk_of(directory);
  if (!disk.has_value()) {
    return {};
  }
  // Documentation/admin-guide/iostats.rst; sectors are 512 bytes whatever the disk's own are.
  constexpr std::size_t kFields = 17;
  constexpr std::uint64_t kSectorBytes = 512;
  std::uint64_t fields[kFields] = {};
  std::ifstream input(*disk / "stat");
  std::size_t count = 0;
  while (count < kFields && input >> fields[count]) {
    ++count;
  }
  if (count < 11) {
    return {};
  }
  return {.name = disk->filename(),
          .reads = fields[0],
          .read_bytes = fields[2] * kSectorBytes,
          .writes = fields[4],
          .written_bytes = fields[6] * kSectorBytes,
          .flushes = fields[15],
          .busy_ms = fields[9],
          .reads_merged = fields[1],
          .writes_merged = fields[5],
          .read_ms = fields[3],
          .write_ms = fields[7],
          .in_queue_ms = fields[10],
          .at_ns = now_ns()};
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

void sleep_ns(std::uint64_t duration_ns) { std::this_thread::sleep_for(std::chrono::nanoseconds(duration_ns)); }

void sleep_precisely() {
  constexpr unsigned long kSlackNs = 1'000;
  ::prctl(PR_SET_TIMERSLACK, kSlackNs);
}

}  // namespace penstock::bench
