#include "tools/penstock-bench/peer_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = "PENSTOCK-BENCH";

std::string line_of(const std::string& path, int wanted) {
  std::ifstream input(path);
  std::string line;
  for (int at = 0; at <= wanted; ++at) {
    line.clear();
    std::getline(input, line);
  }
  return line;
}

}  // namespace

std::string peer_path(const std::string& directory, const std::string& engine) {
  fs::path path = fs::absolute(directory).lexically_normal();
  if (!path.has_filename()) {
    path = path.parent_path();
  }
  struct stat own = {};
  struct stat above = {};
  if (::stat(path.c_str(), &own) == 0 && ::stat(path.parent_path().c_str(), &above) == 0 && own.st_dev != above.st_dev) {
    throw JobError(fmt::format("dir={} is a mount point, and the database of {} goes beside it: name a folder below it",
                               directory, engine));
  }
  return path.string() + "-" + engine;
}

PeerDirectory::PeerDirectory(std::string path, const std::string& engine) : path_(std::move(path)), engine_(engine) {
  std::error_code error;
  fs::create_directories(path_, error);
  const bool is_empty = !error && fs::is_empty(path_, error);
  if (error) {
    throw JobError(fmt::format("{}: {}", path_, error.message()));
  }
  if (is_empty) {
    write_mark("");
  }
  if (line_of(mark_path(), 0) != engine_) {
    throw JobError(
        fmt::format("{} is not empty and has no mark of penstock-bench for {}: nothing in it was touched", path_, engine_));
  }
  fd_ = ::open(mark_path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    throw JobError(path_ + " is used by another process");
  }
}

PeerDirectory::~PeerDirectory() { ::close(fd_); }

std::string PeerDirectory::mark_path() const { return (fs::path(path_) / kMark).string(); }

void PeerDirectory::write_mark(const std::string& data) {
  std::ofstream output(mark_path());
  output << engine_ << "\n" << data << "\n";
  output.close();
  if (output.fail()) {
    throw JobError(mark_path() + " cannot be written");
  }
}

void PeerDirectory::clear() {
  write_mark("");
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
      if (entry.path().filename() != kMark) {
        fs::remove_all(entry.path());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw JobError(fmt::format("{} cannot be emptied: {}", path_, error.what()));
  }
}

std::string PeerDirectory::noted_data() const { return line_of(mark_path(), 1); }
void PeerDirectory::note_data(const std::string& text) { write_mark(text); }

}  // namespace penstock::bench
