// A folder of one test's own, removed with all that is in it. For tests and benchmarks alone.
//
// Below the current folder and not below /tmp, which may be in memory: direct I/O shall meet a real file system.
// Thread: any.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/assert.h"

namespace penstock::reactor {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path_ = (std::filesystem::current_path() / "penstock-test-XXXXXX").string();
    PENSTOCK_ASSERT(::mkdtemp(path_.data()) != nullptr);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  const std::string& path() const noexcept { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace penstock::reactor
