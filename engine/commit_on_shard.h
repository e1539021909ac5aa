// A commit made by a coroutine on the shard's own reactor.
#pragma once

#include <coroutine>

#include "engine/calls.h"
#include "engine/reactor_part.h"

namespace penstock::engine {

/// Lives in the frame of the coroutine that awaits it: `co_await call` submits it.
class CommitOnShard final : public CommitCall {
 public:
  void finish(Status status) override {
    status_ = status;
    is_finished_ = true;
    if (is_awaited_) {
      shard->part().reactor().make_ready(handle_);
    }
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    run();
    is_awaited_ = !is_finished_;  // A refusal comes at once.
    return is_awaited_;
  }
  Status await_resume() const noexcept { return status_; }

 private:
  std::coroutine_handle<> handle_;
  Status status_;
  bool is_finished_ = false;
  bool is_awaited_ = false;
};

}  // namespace penstock::engine
