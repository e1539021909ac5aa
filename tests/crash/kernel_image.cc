#include "tests/crash/kernel_image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace penstock::crashtest {

namespace {

/// XFS_IOC_GOINGDOWN, which ext4 has too; what was written is logged first.
constexpr unsigned long kGoingDown = _IOR('X', 125, std::uint32_t);
constexpr std::uint32_t kFlushLog = 1;

}  // namespace

int run_program(const std::string& command) {
  const int status = std::system(("PATH=$PATH:/usr/sbin:/sbin; " + command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

KernelImage::KernelImage(std::string kind, std::uint64_t megabytes) : kind_(std::move(kind)) {
  if (::geteuid() != 0) {
    why_not_ = "not root: cannot mount a " + kind_ + " image";
    return;
  }
  char name[] = "kernel_image_XXXXXX";
  if (::mkdtemp(name) == nullptr) {
    why_not_ = "cannot make a folder here";
    return;
  }
  base_ = std::filesystem::absolute(name);
  image_ = base_ + "/image";
  directory_ = base_ + "/mounted";
  std::filesystem::create_directory(directory_);
  const std::string force = kind_ == "ext4" ? "-F" : "-f";
  if (run_program("truncate -s " + std::to_string(megabytes) + "M " + image_) != 0) {
    why_not_ = "cannot make a file of " + std::to_string(megabytes) + " MiB here";
  } else if (const int status = run_program("mkfs." + kind_ + " -q " + force + " " + image_); status != 0) {
    why_not_ = status == 127 ? "mkfs." + kind_ + " is not installed" : "mkfs." + kind_ + " failed";
  } else if (!mount()) {
    why_not_ = "cannot mount a " + kind_ + " image here: no right to, no loop device, or not in this kernel";
  }
}

KernelImage::~KernelImage() {
  if (is_mounted_ && !unmount()) return;  // Something holds it: better left than half removed.
  if (!base_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }
}

bool KernelImage::mount() {
  is_mounted_ = run_program("mount -o loop -t " + kind_ + " " + image_ + " " + directory_) == 0;
  return is_mounted_;
}

bool KernelImage::unmount() {
  // Requests of a killed process may be on their way for a moment.
  for (int attempt = 0; is_mounted_ && attempt < 100; ++attempt) {
    if (run_program("umount " + directory_) == 0) {
      is_mounted_ = false;
    } else {
      ::usleep(50'000);
    }
  }
  return !is_mounted_;
}

bool KernelImage::stop_writes() {
  const int folder = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY);
  if (folder < 0) return false;
  std::uint32_t flags = kFlushLog;
  const bool is_down = ::ioctl(folder, kGoingDown, &flags) == 0;
  ::close(folder);
  return is_down || run_program("mount -o remount,ro " + directory_) == 0;
}

std::uint64_t KernelImage::free_bytes() const {
  struct statvfs space = {};
  return ::statvfs(directory_.c_str(), &space) == 0 ? space.f_bavail * space.f_frsize : 0;
}

bool KernelImage::leave_free(std::uint64_t bytes) {
  const std::uint64_t free = free_bytes();
  if (free <= bytes) return true;
  const int file = ::open((directory_ + "/ballast").c_str(), O_CREAT | O_WRONLY, 0600);
  if (file < 0) return false;
  const bool is_done = ::fallocate(file, 0, 0, static_cast<off_t>(free - bytes)) == 0 && ::fsync(file) == 0;
  ::close(file);
  return is_done;
}

void KernelImage::give_space_back() { ::unlink((directory_ + "/ballast").c_str()); }

}  // namespace penstock::crashtest
