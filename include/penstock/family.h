// Family: a handle to one column family. Cheap to copy, usable on any thread, outlives its database (calls then answer
// `closed`).
#pragma once

#include <memory>
#include <string_view>

#include "penstock/bytes.h"
#include "penstock/options.h"
#include "penstock/types.h"

namespace penstock {

namespace detail {
struct FamilyState;
}  // namespace detail

class Family {
 public:
  Family() noexcept = default;
  explicit Family(std::shared_ptr<const detail::FamilyState> state) noexcept : state_(std::move(state)) {}

  bool valid() const noexcept { return state_ != nullptr; }
  FamilyId id() const noexcept;
  /// The name it was opened under; a rename does not change open handles.
  std::string_view name() const noexcept;
  Placement placement() const noexcept;
  /// The shard that holds `key`.
  ShardId shard_of(Bytes key) const noexcept;
  /// Whether it was dropped: calls answer `dropped`.
  bool is_dropped() const noexcept;

  const detail::FamilyState& state() const noexcept { return *state_; }

 private:
  std::shared_ptr<const detail::FamilyState> state_;
};

}  // namespace penstock
