#include "reactor/thread.h"

#include <signal.h>

#include <memory>

namespace penstock::reactor {

namespace {

struct Start {
  void (*function)(void*);
  void* argument;
};

void* run_thread(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  start->function(start->argument);
  return nullptr;
}

}  // namespace

Status Thread::start(const std::string& name, void (*function)(void*), void* argument) {
  PENSTOCK_ASSERT(!is_running_);
  auto start = std::make_unique<Start>(Start{function, argument});
  // A thread inherits its maker's mask, so all are blocked around the making of it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = pthread_create(&thread_, nullptr, run_thread, start.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0) return Status::from_errno(failed);
  static_cast<void>(start.release());  // The thread's from here on.
  pthread_setname_np(thread_, name.substr(0, 15).c_str());
  is_running_ = true;
  return Status::ok();
}

void Thread::join() {
  PENSTOCK_ASSERT(is_running_);
  const int failed = pthread_join(thread_, nullptr);
  PENSTOCK_ASSERT_EQ(failed, 0);
  is_running_ = false;
}

}  // namespace penstock::reactor
