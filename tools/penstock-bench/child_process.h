// ChildProcess: work in a process of its own, to be killed without warning. It dies with its parent, too.
//
// The work must not return to the caller's code: when it has ended the process waits, with all that it has open, for its end.
// What it says (an error, or that it has done its work) goes through memory that both share. Thread: the main one, while no
// other runs. Errors: JobError.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace penstock::bench {

class ChildProcess {
 public:
  /// `work` returns an error, or nothing.
  explicit ChildProcess(const std::function<std::string()>& work);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  /// The work has been done. It failed, or the process has ended by itself: JobError.
  bool is_done();
  void kill_and_wait();

 private:
  struct Shared;
  Shared* shared_;
  pid_t id_ = 0;
};

}  // namespace penstock::bench
