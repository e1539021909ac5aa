#include "tools/penstock-bench/directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "engine/identity_format.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char digit) { return digit >= '0' && digit <= '9'; });
}

// <epoch>-<reactor>-<number>, and the same with ".new".
bool is_segment_name(std::string_view name) {
  if (name.ends_with(".new")) {
    name.remove_suffix(4);
  }
  for (int dashes = 0; dashes < 2; ++dashes) {
    const std::size_t dash = name.find('-');
    if (dash == std::string_view::npos || !is_number(name.substr(0, dash))) {
      return false;
    }
    name.remove_prefix(dash + 1);
  }
  return is_number(name);
}

bool is_shard_name(std::string_view name) { return name.starts_with("shard-") && is_number(name.substr(6)); }

// Whether the engine makes a file of this name in this folder of a database.
bool is_engine_file(const fs::path& folder, std::string_view name) {
  if (folder.empty()) {
    constexpr std::array<std::string_view, 4> kNames = {"LOCK", "IDENTITY", "IDENTITY.new", "EPOCH"};
    return std::ranges::find(kNames, name) != kNames.end();
  }
  if (folder == "log") {
    return is_segment_name(name);
  }
  return is_shard_name(folder.string()) && (name == "super" || (name.starts_with("pages-") && is_number(name.substr(6))));
}

struct Contents {
  std::vector<fs::path> files;
  std::vector<fs::path> folders;
};

Contents list_contents(const fs::path& directory) {
  Contents contents;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    const fs::path relative = entry.path().lexically_relative(directory);
    const std::string name = entry.path().filename().string();
    const fs::file_status status = entry.symlink_status();
    const bool is_known_file = fs::is_regular_file(status) && is_engine_file(relative.parent_path(), name);
    const bool is_known_folder =
        fs::is_directory(status) && !relative.has_parent_path() && (name == "log" || is_shard_name(name));
    if (!is_known_file && !is_known_folder) {
      throw JobError(fmt::format("{} is not the engine's: {} is left as it is (fresh=0 uses it, or give another dir)",
                                 entry.path().string(), directory.string()));
    }
    (is_known_file ? contents.files : contents.folders).push_back(entry.path());
  }
  return contents;
}

// Holds LOCK while the files go, so that no other process has the database or opens it.
class LockHolder {
 public:
  explicit LockHolder(const fs::path& path) : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)) {
    if (fd_ < 0 && errno == ENOENT) {
      return;
    }
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fd_ < 0 || ::fcntl(fd_, F_OFD_SETLK, &lock) != 0) {
      const std::string why = std::error_code(errno, std::generic_category()).message();
      if (fd_ >= 0) {
        ::close(fd_);
      }
      throw JobError(fmt::format("{}: {}: is another process using the database?", path.string(), why));
    }
  }
  LockHolder(const LockHolder&) = delete;
  LockHolder& operator=(const LockHolder&) = delete;
  ~LockHolder() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }

 private:
  int fd_;
};

}  // namespace

bool holds_database(const std::string& directory) {
  std::ifstream input(fs::path(directory) / "IDENTITY", std::ios::binary);
  std::array<char, engine::kIdentityMagic.size()> magic{};
  return input.read(magic.data(), magic.size()) && magic == engine::kIdentityMagic;
}

void remove_database(const std::string& directory) {
  if (!holds_database(directory)) {
    return;
  }
  try {
    const fs::path path(directory);
    const LockHolder lock(path / "LOCK");
    const Contents contents = list_contents(path);
    // IDENTITY first: what is left of an interrupted removal then counts as damaged, never as a database.
    fs::remove(path / "IDENTITY");
    for (const fs::path& file : contents.files) {
      fs::remove(file);
    }
    for (const fs::path& folder : contents.folders) {
      fs::remove(folder);
    }
  } catch (const fs::filesystem_error& error) {
    throw JobError(fmt::format("{} cannot be removed: {}", directory, error.what()));
  }
}

namespace {

// The sum over all regular files below it.
template <typename Size>
unsigned long long sum_of_files(const std::string& directory, Size size) {
  std::error_code error;
  unsigned long long bytes = 0;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    struct stat info{};  // A segment may vanish while we look.
    if (::lstat(entry->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      bytes += static_cast<unsigned long long>(size(info));
    }
  }
  return bytes;
}

}  // namespace

unsigned long long directory_bytes(const std::string& directory) {
  return sum_of_files(directory, [](const struct stat& info) { return info.st_size; });
}

unsigned long long disk_use_bytes(const std::string& directory) {
  constexpr long kBlockBytes = 512;  // Of st_blocks, whatever the file system's are.
  return sum_of_files(directory, [](const struct stat& info) { return info.st_blocks * kBlockBytes; });
}

void wait_until_unlocked(const std::string& directory) {
  const int file = ::open((directory + "/LOCK").c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) {
    throw JobError(fmt::format("{}/LOCK: {}", directory, std::strerror(errno)));
  }
  constexpr timespec kPoll{.tv_sec = 0, .tv_nsec = 1'000'000};
  struct flock lock{};
  do {
    ::nanosleep(&kPoll, nullptr);
    lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
  } while (::fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
  ::close(file);
}

}  // namespace penstock::bench
