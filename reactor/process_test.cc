// Goal: a process keeps its number, a child has another one, and what the parent was waiting for is refused in the child.
// Method: children of fork() and of a bare clone(), which answer by their exit status.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>

#include "penstock/future.h"
#include "penstock/status.h"

namespace penstock {
namespace {

/// Exit status of a child that runs `work`; a child that hangs is ended by a signal.
int status_of_child(pid_t (*make_child)(), const std::function<bool()>& work) {
  const pid_t child = make_child();
  if (child == 0) {
    ::alarm(60);
    ::_exit(work() ? 0 : 1);
  }
  int state = 0;
  if (child < 0 || ::waitpid(child, &state, 0) != child || !WIFEXITED(state)) return -1;
  return WEXITSTATUS(state);
}

pid_t fork_by_library() { return ::fork(); }
pid_t fork_past_library() { return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }

TEST(ProcessNumber, IsKeptByAProcessAndNotSharedWithAChild) {
  const std::uint32_t mine = detail::process_number();
  for (const auto make_child : {&fork_by_library, &fork_past_library}) {
    EXPECT_EQ(status_of_child(make_child,
                              [mine] {
                                const std::uint32_t number = detail::process_number();
                                return number != mine && number == detail::process_number();
                              }),
              0);
  }
  EXPECT_EQ(detail::process_number(), mine);
}

TEST(ProcessNumber, OfAGrandchildIsOfNoAncestor) {
  const std::uint32_t mine = detail::process_number();
  EXPECT_EQ(status_of_child(&fork_by_library,
                            [mine] {
                              const std::uint32_t child = detail::process_number();
                              return status_of_child(&fork_by_library, [mine, child] {
                                       const std::uint32_t number = detail::process_number();
                                       return number != mine && number != child;
                                     }) == 0;
                            }),
            0);
}

TEST(FutureAfterFork, APendingOneAnswersForkedInTheChildAndNeverWaits) {
  Promise<Status> promise;
  Promise<Outcome<int>> other;
  Future<Status> pending = promise.future();
  Future<Outcome<int>> pending_outcome = other.future();
  EXPECT_EQ(status_of_child(&fork_by_library,
                            [&] {
                              const bool waited = pending.wait_for(std::chrono::hours(1));
                              return !waited && pending.get().is(Code::kForked) &&
                                     pending_outcome.get().error().status.is(Code::kForked);
                            }),
            0);
  promise.fulfill(Status());
  other.fulfill(1);
  EXPECT_TRUE(pending.get().is_ok());
}

TEST(FutureAfterFork, AReadyOneGivesItsValueInTheChild) {
  Future<Status> ready = ready_future(Status(Code::kBusy));
  EXPECT_EQ(status_of_child(&fork_by_library, [&] { return ready.get().is(Code::kBusy); }), 0);
}

TEST(FutureAfterFork, TheChildsOwnFuturesWork) {
  EXPECT_EQ(status_of_child(&fork_by_library,
                            [] {
                              Promise<Status> promise;
                              Future<Status> future = promise.future();
                              const bool timed_out = !future.wait_for(std::chrono::microseconds(1));
                              promise.fulfill(Status(Code::kBusy));
                              return timed_out && future.get().is(Code::kBusy);
                            }),
            0);
}

}  // namespace
}  // namespace penstock
