// Who may flush now: few passes of a reactor at once, in the order in which they asked.
//
// Passes of all its shards together would each take as long as all, and give their memory back at the same moment; one after
// the other they give it back evenly, and hold half as much of it. Two at once: while one waits for the disk, the other merges.
// Thread: the reactor's.
#pragma once

#include <coroutine>
#include <cstdint>
#include <utility>

#include "base/assert.h"
#include "base/ring_queue.h"
#include "reactor/reactor.h"

namespace penstock::engine {

class PassTurns {
 public:
  PassTurns(reactor::Reactor& reactor, std::uint32_t at_once) noexcept : reactor_(reactor), free_(at_once) {}

  /// Held until it goes.
  class Turn {
   public:
    explicit Turn(PassTurns& turns) noexcept : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->pass_on();
    }

   private:
    PassTurns* turns_;
  };

  struct Awaiter {
    PassTurns& turns;
    bool await_ready() const noexcept {
      if (turns.free_ == 0) return false;
      --turns.free_;
      return true;
    }
    void await_suspend(std::coroutine_handle<> handle) const { turns.line_.push_back(handle); }
    Turn await_resume() const noexcept { return Turn(turns); }
  };
  Awaiter take() noexcept { return Awaiter{*this}; }

 private:
  void pass_on() {
    if (line_.empty()) {
      ++free_;
      return;
    }
    reactor_.make_ready(line_.front());
    line_.pop_front();
  }

  reactor::Reactor& reactor_;
  std::uint32_t free_;
  base::RingQueue<std::coroutine_handle<>> line_;
};

}  // namespace penstock::engine
