// The folder of a peer's database: beside that of Penstock, marked as ours, held while it is used.
//
// Invariants:
//   PeerDirectory-I1 A folder that is neither empty nor marked for this engine is left as it is, with a JobError. What is in a
//                    marked folder is penstock-bench's, and clear() removes it.
//   PeerDirectory-I2 noted_data() is what was noted last, and nothing after clear(): data is noted when it is whole.
// Errors: JobError.
#pragma once

#include <string>

namespace penstock::bench {

/// DIR-ENGINE, on the same file system as `directory`: one that is a mount point itself is refused.
std::string peer_path(const std::string& directory, const std::string& engine);

class PeerDirectory {
 public:
  /// Makes it if it is not there. One process has it at a time.
  PeerDirectory(std::string path, const std::string& engine);
  PeerDirectory(const PeerDirectory&) = delete;
  PeerDirectory& operator=(const PeerDirectory&) = delete;
  ~PeerDirectory();

  const std::string& path() const noexcept { return path_; }
  /// The database in it is closed.
  void clear();
  std::string noted_data() const;  ///< Empty: nothing was noted.
  void note_data(const std::string& text);

 private:
  std::string mark_path() const;
  void write_mark(const std::string& data);

  std::string path_;
  std::string engine_;
  int fd_ = -1;
};

}  // namespace penstock::bench
