// Session: many gets of one thread in few messages, for readers that have more than one question at a time.
//
//   penstock::Session session(*db);
//   for (std::uint64_t at = 0; at < keys.size(); ++at) session.get(family, keys[at], at);
//   while (session.pending() > 0) session.wait([&](std::uint64_t at, const Result<Bytes>& value) { ... });
//
// Gets gather per reactor and travel together; so do their answers. An answer is as of the published position of its shard when
// it is found there; answers come in any order. Thread: one at a time; not for code on a reactor. On a donated thread nothing
// here waits: after submit() or wait(), AttachedReactor::poll() brings the answers. Several sessions share nothing.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#include "penstock/bytes.h"
#include "penstock/family.h"
#include "penstock/status.h"

namespace penstock {

class Database;

class Session {
 public:
  /// `gets_per_message`: a reactor's gets are sent when so many have gathered, and at submit() and wait(). 1 to 4,096.
  explicit Session(Database& database, std::uint32_t gets_per_message = 64);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();  ///< Waits for what is on its way, but on a donated thread; nobody hears of it.

  /// Asks for a value. The key is copied. `token` comes back with the answer.
  void get(const Family& family, Bytes key, std::uint64_t token);
  /// Sends what has gathered.
  void submit();
  /// Asked and not yet handed out.
  std::uint64_t pending() const noexcept;

  /// Hands out the answers that are there: calls `handler(token, const Result<Bytes>&)` for each, whose bytes are good for the
  /// call. Errors of an answer as in Database::get(). Returns their number; waits for none.
  template <typename Handler>
  std::uint64_t poll(Handler handler) {
    return deliver(0, &call<Handler>, &handler);
  }
  /// The same, but sends what has gathered first and waits until at least one is there. 0 if nothing is pending, or if it would
  /// wait on a donated thread, or in a forked child for what the parent asked.
  template <typename Handler>
  std::uint64_t wait(Handler handler) {
    return deliver(-1, &call<Handler>, &handler);
  }
  /// The same, but waits no longer than `timeout`, and may return 0 before.
  template <typename Handler>
  std::uint64_t wait_for(std::chrono::nanoseconds timeout, Handler handler) {
    return deliver(std::max<std::int64_t>(timeout.count(), 1), &call<Handler>, &handler);
  }

 private:
  using Deliver = void (*)(void* handler, std::uint64_t token, const Result<Bytes>& value);
  template <typename Handler>
  static void call(void* handler, std::uint64_t token, const Result<Bytes>& value) {
    (*static_cast<Handler*>(handler))(token, value);
  }
  /// `timeout_ns`: 0 sends nothing and waits for nothing; negative: no limit.
  std::uint64_t deliver(std::int64_t timeout_ns, Deliver function, void* handler);
  void let_go() noexcept;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock
