// A thread of the library: blocks all signals (the host's handlers never run on it), has a name, and says when it cannot be
// made.
//
// Invariants:
//   Thread-I1 Joined before it is destroyed.
// Thread: start and join on one thread.
#pragma once

#include <pthread.h>

#include <string>

#include "base/assert.h"
#include "penstock/status.h"

namespace penstock::reactor {

class Thread {
 public:
  Thread() noexcept = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { PENSTOCK_ASSERT(!is_running_); }

  /// Runs `function(argument)`. The name is cut to 15 characters.
  Status start(const std::string& name, void (*function)(void*), void* argument);
  bool is_joinable() const noexcept { return is_running_; }
  void join();

 private:
  pthread_t thread_{};
  bool is_running_ = false;
};

}  // namespace penstock::reactor
