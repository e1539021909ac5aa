// A file system of its own in a file: made, mounted on a loop device, unmounted and removed at the end.
//
// Needs to be root with the right to mount. `why_not` says what was missing: tests skip with it.
#pragma once

#include <cstdint>
#include <string>

namespace penstock::crashtest {

class KernelImage {
 public:
  /// `kind`: ext4, xfs, btrfs. Made in the working directory.
  KernelImage(std::string kind, std::uint64_t megabytes);
  ~KernelImage();
  KernelImage(const KernelImage&) = delete;
  KernelImage& operator=(const KernelImage&) = delete;

  const std::string& why_not() const noexcept { return why_not_; }
  const std::string& directory() const noexcept { return directory_; }
  bool mount();
  bool unmount();
  /// Nothing more is written to it, as after an error of the device: read-only, or every call fails. False: it cannot be had.
  bool stop_writes();
  /// Takes space until about so many bytes are free; give_space_back() returns it.
  bool leave_free(std::uint64_t bytes);
  void give_space_back();
  std::uint64_t free_bytes() const;

 private:
  std::string kind_;
  std::string base_;
  std::string image_;
  std::string directory_;
  std::string why_not_;
  bool is_mounted_ = false;
};

/// Runs a program of PATH or /usr/sbin, its output dropped. The exit status; 127 if it is not there.
int run_program(const std::string& command);

}  // namespace penstock::crashtest
