// What a lone durable commit can cost at best: a loop of write + fdatasync on one file, with no engine around it.
//
// Two loops, one after the other: blocks of 4 KiB past the page cache (O_DIRECT), as Penstock's log is written, and 120 bytes
// through it. The file was written with zeros and synced before, so that no loop changes metadata. The last line is JSON.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "base/histogram.h"
#include "reactor/buffer.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kFileBytes = std::size_t{16} << 20U;
constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kRecordBytes = 120;

void require(bool is_fine, const char* what) {
  if (!is_fine) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
  }
}

class LogFile {
 public:
  LogFile(const std::string& path, int flags) : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644)) {
    require(fd_ >= 0, path.c_str());
  }
  ~LogFile() { close(fd_); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  void write(const std::byte* bytes, std::size_t count, std::size_t offset) const {
    require(pwrite(fd_, bytes, count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count), "pwrite");
  }
  void sync() const { require(fdatasync(fd_) == 0, "fdatasync"); }

 private:
  int fd_;
};

base::Histogram loop(const LogFile& file, const reactor::AlignedBuffer& buffer, std::size_t bytes, double seconds) {
  base::Histogram latency;
  const std::uint64_t end_ns = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
  std::size_t offset = 0;
  for (std::uint64_t at_ns = now_ns(); at_ns < end_ns;) {
    file.write(buffer.data(), bytes, offset);
    file.sync();
    offset = offset + 2 * bytes > kFileBytes ? 0 : offset + bytes;
    const std::uint64_t now = now_ns();
    latency.record(now - at_ns);
    at_ns = now;
  }
  return latency;
}

std::string figures(const char* name, const base::Histogram& latency) {
  return fmt::format("\"{}\": {{\"ops_per_second\": {:.0f}, \"median_ns\": {}}}", name, 1e9 / latency.mean_ns(),
                     latency.percentile_ns(50));
}

void run(const std::string& directory, double seconds) {
  std::filesystem::create_directories(directory);
  const std::string path = directory + "/bare-loop";
  const reactor::AlignedBuffer buffer(kBlockBytes);
  std::memset(buffer.data(), 0, kBlockBytes);
  const LogFile direct(path, O_DIRECT);
  for (std::size_t offset = 0; offset < kFileBytes; offset += kBlockBytes) {
    direct.write(buffer.data(), kBlockBytes, offset);
  }
  direct.sync();
  std::memset(buffer.data(), 0x5a, kBlockBytes);
  const base::Histogram direct_latency = loop(direct, buffer, kBlockBytes, seconds);
  const base::Histogram buffered_latency = loop(LogFile(path, 0), buffer, kRecordBytes, seconds);
  fmt::print("{{{}, {}}}\n", figures("direct", direct_latency), figures("buffered", buffered_latency));
}

}  // namespace
}  // namespace penstock::bench

int main(int count, char** arguments) {
  std::string directory;
  double seconds = 4;
  CLI::App app("write + fdatasync in a loop: the bound on a lone durable commit", "bare_loop");
  app.add_option("--dir", directory, "Folder of the file")->required();
  app.add_option("--seconds", seconds, "How long each loop runs");
  CLI11_PARSE(app, count, arguments);
  try {
    penstock::bench::run(directory, seconds);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bare_loop: {}\n", error.what());
    return 1;
  }
}
