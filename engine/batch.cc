// Batch and Family: the parts of the API that need no reactor.
#include "penstock/batch.h"

#include <algorithm>

#include "engine/family_state.h"
#include "engine/operation.h"
#include "penstock/family.h"

namespace penstock {

FamilyId Family::id() const noexcept { return state_->id; }
std::string_view Family::name() const noexcept { return state_->name; }
Placement Family::placement() const noexcept { return state_->options.placement; }
ShardId Family::shard_of(Bytes key) const noexcept { return state_->shard_of(key); }
bool Family::is_dropped() const noexcept { return state_->dropped.load(std::memory_order_relaxed); }

Status Batch::put(const Family& family, Bytes key, Bytes value) {
  return add(family, static_cast<std::uint8_t>(engine::OperationKind::kPut), key, value);
}

Status Batch::remove(const Family& family, Bytes key) {
  return add(family, static_cast<std::uint8_t>(engine::OperationKind::kRemove), key, {});
}

Status Batch::add(const Family& family, std::uint8_t kind, Bytes key, Bytes value) {
  if (!family.valid() || key.size() > kKeyBytesMax) {
    return Status(Code::kInvalidArgument);
  }
  if (value.size() > kValueBytesMax) {
    return Status(Code::kTooLarge);
  }
  ShardPart& part = part_of(family.state().shard_of(key));
  if (part.encoded.size() + engine::operation_bytes(key.size(), value.size()) > kBatchBytesMax) {
    return Status(Code::kTooLarge);
  }
  if (part.families.empty() || part.families.back() != family.id()) {
    if (std::ranges::find(part.families, family.id()) == part.families.end()) {
      part.families.push_back(family.id());
    }
  }
  engine::encode_operation({static_cast<engine::OperationKind>(kind), family.id(), key, value}, part.encoded);
  part.large_bytes += value.size() > kLoggedValueBytesMax ? value.size() : 0;
  ++part.operation_count;
  ++operation_count_;
  return Status::ok();
}

Batch::ShardPart& Batch::part_of(ShardId shard) {
  if (last_part_ < parts_.size() && parts_[last_part_].shard == shard) {
    return parts_[last_part_];
  }
  const auto found = std::ranges::find(parts_, shard, &ShardPart::shard);
  if (found != parts_.end()) {
    last_part_ = static_cast<std::uint32_t>(found - parts_.begin());
    return *found;
  }
  // An emptied part of another shard serves again.
  const auto empty = std::ranges::find(parts_, 0U, &ShardPart::operation_count);
  last_part_ = static_cast<std::uint32_t>(empty - parts_.begin());
  if (empty == parts_.end()) {
    parts_.emplace_back();
  }
  parts_[last_part_].shard = shard;
  return parts_[last_part_];
}

void Batch::clear() noexcept {
  for (ShardPart& part : parts_) {
    part.operation_count = 0;
    part.encoded.clear();
    part.families.clear();
    part.large_bytes = 0;
  }
  operation_count_ = 0;
}

std::uint64_t Batch::bytes() const noexcept {
  std::uint64_t total = 0;
  for (const ShardPart& part : parts_) {
    total += part.encoded.size();
  }
  return total;
}

std::uint32_t Batch::shard_count() const noexcept {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(parts_, [](const ShardPart& part) { return part.operation_count > 0; }));
}

}  // namespace penstock
