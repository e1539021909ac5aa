// What the machine says, apart from the engine: kernel, file system, processor, and the counters of process and disk that the
// engine's own numbers are checked against.
//
// Counters are totals since start or boot; subtract two readings. A source that is not there (a container without /sys, a
// network file system) leaves its part empty.
#pragma once

#include <cstdint>
#include <string>

namespace penstock::bench {

struct Machine {
  std::string kernel;
  std::string file_system;
  std::string processor;
  std::uint32_t cores = 0;  ///< That this process may use.
  std::string governor;     ///< Of the first core's frequency; "none".
  std::uint64_t memory_bytes = 0;
  std::string memlock;       ///< RLIMIT_MEMLOCK: "unlimited", or bytes.
  std::string device;        ///< The disk that the directory is on: "vda"; empty: none was found.
  std::string device_cache;  ///< "write back", "write through", "unknown".
  std::string device_fua;    ///< "yes", "no", "unknown".
};
Machine read_machine(const std::string& directory);

struct ProcessCounters {
  std::uint64_t written_bytes = 0;  ///< /proc/self/io write_bytes: what this process caused to go to storage.
  std::uint64_t read_bytes = 0;
  std::uint64_t user_ns = 0;
  std::uint64_t system_ns = 0;
  std::uint64_t context_switches = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t minor_faults = 0;
};
ProcessCounters read_process_counters();

/// Of the whole disk: others' traffic is in it.
struct DiskCounters {
  std::string name;  ///< "vda"; empty: not found.
  std::uint64_t reads = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t writes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t flushes = 0;  ///< Cache flushes that reached the device: the truth about fsyncs.
  std::uint64_t busy_ms = 0;
  std::uint64_t reads_merged = 0;
  std::uint64_t writes_merged = 0;
  std::uint64_t read_ms = 0;
  std::uint64_t write_ms = 0;
  std::uint64_t in_queue_ms = 0;
  std::uint64_t at_ns = 0;  ///< When they were read.
};
DiskCounters read_disk_counters(const std::string& directory);

std::uint64_t now_ns();
void sleep_ns(std::uint64_t duration_ns);
/// Lets this thread's sleeps end within a microsecond of their time, as far as the kernel can; by default it may add 50.
void sleep_precisely();

}  // namespace penstock::bench
