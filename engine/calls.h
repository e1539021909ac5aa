// Calls on their way to a shard: what ordinary threads post to its reactor, and what code on the shard submits directly.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/atomic_work.h"
#include "engine/large_values.h"
#include "penstock/options.h"
#include "penstock/status.h"
#include "penstock/types.h"
#include "reactor/reactor.h"
#include "wal/wal.h"

namespace penstock::detail {
class ShardEngine;
}  // namespace penstock::detail

namespace penstock::engine {

/// A batch for one shard, from submission to its publication. Owned by whoever waits for it; finish() ends its life here.
class CommitCall : public reactor::Message {
 public:
  // Set by the submitter.
  detail::ShardEngine* shard = nullptr;
  AtomicWork* work = nullptr;  ///< Makes the payload and what goes with it, up to `has_large_values`, when its turn comes.
  Bytes payload;
  std::uint32_t operation_count = 0;
  const std::vector<FamilyId>* families = nullptr;
  std::uint64_t payload_checksum = 0;  ///< Not needed with large values.
  bool has_large_values = false;       ///< Over kLoggedValueBytesMax.
  CommitOptions options;
  bool is_carried = false;  ///< The shard's own: applied at once, whatever the families' state and memory.

  // Set by the shard.
  Sequence last_sequence = 0;
  wal::GroupNumber group = 0;
  std::uint64_t waiting_since_ns = 0;
  std::unique_ptr<LargeBatch> large;  ///< What `payload` names then.
  bool is_prepared = true;            ///< Its large values are written, or could not be:
  Status prepared;

  /// Once it is published.
  Status answer() const noexcept { return work == nullptr ? Status::ok() : work->answer; }

  void run() override;  ///< On the shard's reactor: submits itself.
  virtual void finish(Status status) = 0;

 protected:
  ~CommitCall() = default;
};

}  // namespace penstock::engine
