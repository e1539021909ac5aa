// Atomic work: functions that read what a shard has and change it in one step, with nothing of others between.
//
// They read the *applied* state: every commit submitted to the shard before, durable or not. The call resolves once what it
// wrote, and what it read, is published: so is a refusal. Order: a call runs where a commit made in its place would be applied.
// A function is plain code that runs on the shard's reactor. It may be run several times for one call: a page that it needs and
// that is not in memory ends the run, its effects are dropped, the page is read, and it runs again; so it must have no effect
// but through the view (or one that it undoes when it is run again). It must not throw, block or take long, and calls nothing
// of the engine but the view.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "penstock/bytes.h"
#include "penstock/family.h"
#include "penstock/status.h"

namespace penstock {

namespace detail {
class ShardEngine;
}  // namespace detail
namespace engine {
class AtomicWork;
}  // namespace engine

/// What Database::atomically() and Shard::atomically() give their function: the applied state of one shard under the changes
/// made so far by this run. A key of another shard is `invalid_argument`. An error but not_found ends the call, whatever the
/// function makes of it: return it. Lives for one run.
class AtomicView {
 public:
  AtomicView(const AtomicView&) = delete;
  AtomicView& operator=(const AtomicView&) = delete;

  /// Good until the next change through the view. Errors: not_found; would_block (not in memory: return, the function runs
  /// again); dropped, invalid_argument.
  Result<Bytes> get(const Family& family, Bytes key);
  Result<bool> contains(const Family& family, Bytes key);
  /// Errors as Batch's.
  Status put(const Family& family, Bytes key, Bytes value);
  Status remove(const Family& family, Bytes key);

 private:
  friend class detail::ShardEngine;
  AtomicView(detail::ShardEngine& shard, engine::AtomicWork& work) noexcept : shard_(shard), work_(work) {}
  detail::ShardEngine& shard_;
  engine::AtomicWork& work_;
};

/// Ok: the changes made through the view are applied together, or nothing if there are none. Anything else: nothing is applied,
/// and the call answers that.
using AtomicFunction = std::function<Status(AtomicView&)>;
/// From the value that a key has (none: it is not there) to the one it shall have (none: it is removed). The same: nothing is
/// written.
using UpdateFunction = std::function<std::optional<std::string>(std::optional<Bytes>)>;

}  // namespace penstock
