// Runs a coroutine on another reactor and brings its answer back as a future.
//
// The coroutine is spawned into a task group of the target reactor, whose owner joins it. Threads: call on any.
#pragma once

#include <tuple>
#include <utility>

#include "penstock/future.h"
#include "penstock/task.h"
#include "reactor/reactor.h"

namespace penstock::engine {

template <typename T, typename... Arguments>
class RemoteCall final : public reactor::Message {
 public:
  using Function = Task<T> (*)(Arguments...);

  RemoteCall(reactor::TaskGroup& group, Function function, Arguments... arguments)
      : group_(group), function_(function), arguments_(std::move(arguments)...) {}

  Future<T> future() { return promise_.future(); }
  void run() override { group_.spawn(&RemoteCall::run_task, this); }

 private:
  static Task<> run_task(RemoteCall* self) {
    T value = co_await std::apply([self](Arguments&... each) { return self->function_(each...); }, self->arguments_);
    Promise<T> promise = std::move(self->promise_);
    delete self;
    promise.fulfill(std::move(value));
  }

  reactor::TaskGroup& group_;
  Function function_;
  std::tuple<Arguments...> arguments_;
  Promise<T> promise_;
};

/// `function` is a free function or static member; arguments are copied into the call.
template <typename T, typename... Parameters, typename... Arguments>
Future<T> run_on(reactor::Reactor& reactor, reactor::TaskGroup& group, Task<T> (*function)(Parameters...),
                 Arguments... arguments) {
  auto* call = new RemoteCall<T, Parameters...>(group, function, std::move(arguments)...);
  Future<T> future = call->future();
  reactor.post(*call);
  return future;
}

}  // namespace penstock::engine
