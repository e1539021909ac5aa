#include "tools/penstock-bench/child_process.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <new>

#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {

struct ChildProcess::Shared {
  static constexpr std::size_t kErrorBytes = 1000;
  std::atomic<bool> is_done{false};
  char error[kErrorBytes] = {};
};

namespace {

std::string error_of(const std::function<std::string()>& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

ChildProcess::ChildProcess(const std::function<std::string()>& work) {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw JobError(fmt::format("no shared memory: {}", std::strerror(errno)));
  }
  shared_ = new (memory) Shared;
  id_ = ::fork();
  if (id_ < 0) {
    const int error = errno;
    ::munmap(shared_, sizeof(Shared));
    throw JobError(fmt::format("fork: {}", std::strerror(error)));
  }
  if (id_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    error_of(work).copy(shared_->error, Shared::kErrorBytes - 1);
    shared_->is_done = true;
    while (true) {
      ::pause();  // The kill has to meet what is open: nothing is closed here.
    }
  }
}

ChildProcess::~ChildProcess() {
  kill_and_wait();
  ::munmap(shared_, sizeof(Shared));
}

bool ChildProcess::is_done() {
  if (!shared_->is_done) {
    if (::waitpid(id_, nullptr, WNOHANG) == id_) {
      id_ = 0;
      throw JobError("the process of the load ended unexpectedly");
    }
    return false;
  }
  if (shared_->error[0] != '\0') {
    throw JobError(shared_->error);
  }
  return true;
}

void ChildProcess::kill_and_wait() {
  if (id_ > 0) {
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
    id_ = 0;
  }
}

}  // namespace penstock::bench
