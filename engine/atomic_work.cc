#include "engine/atomic_work.h"

#include <algorithm>

namespace penstock::engine {

namespace {

/// Asked for by one run, so read side by side. A function that goes on after a miss may name more.
constexpr std::size_t kMissingMax = 64;

std::optional<std::string> copy_of(std::optional<Bytes> bytes) {
  return bytes.has_value() ? std::optional<std::string>(*bytes) : std::nullopt;
}

/// The value or that there is none; another error is one.
Result<std::optional<Bytes>> value_or_none(const Result<Bytes>& found) {
  if (found.has_value()) {
    return std::optional<Bytes>(*found);
  }
  if (found.error().is(Code::kNotFound)) {
    return std::optional<Bytes>();
  }
  return std::unexpected(found.error());
}

Status set(AtomicView& view, const Family& family, Bytes key, const std::optional<std::string>& value) {
  return value.has_value() ? view.put(family, key, *value) : view.remove(family, key);
}

}  // namespace

void AtomicWork::begin_run() {
  batch_.clear();
  change_offsets_.clear();
  missing.clear();
  decided_at.reset();
  answer = run_failure = Status::ok();
}

const std::uint32_t* AtomicWork::find_change(FamilyId family, Bytes key) const {
  if (change_offsets_.empty()) {
    return nullptr;
  }
  const auto found = change_offsets_.find({family, std::string(key)});
  return found == change_offsets_.end() ? nullptr : &found->second;
}

Status AtomicWork::change(const Family& family, Bytes key, std::optional<Bytes> value) {
  const Batch::ShardPart* const before = changes();
  const auto offset = before == nullptr ? 0U : static_cast<std::uint32_t>(before->encoded.size());
  PENSTOCK_TRY(value.has_value() ? batch_.put(family, key, *value) : batch_.remove(family, key));
  change_offsets_[{family.id(), std::string(key)}] = offset;
  return Status::ok();
}

const AtomicWork::Loaded* AtomicWork::find_loaded(FamilyId family, Bytes key) const noexcept {
  const auto found =
      std::ranges::find_if(loaded_, [&](const Loaded& each) { return each.family == family && Bytes(each.key) == key; });
  return found == loaded_.end() ? nullptr : &*found;
}

void AtomicWork::keep(Loaded found) {
  std::erase_if(loaded_, [&](const Loaded& each) { return each.family == found.family && each.key == found.key; });
  loaded_.push_back(std::move(found));
}

void AtomicWork::note_missing(const Family& family, Bytes key) {
  const bool is_known = std::ranges::any_of(
      missing, [&](const Missing& each) { return each.family.id() == family.id() && Bytes(each.key) == key; });
  if (!is_known && missing.size() < kMissingMax) {
    missing.push_back({.family = family, .key = std::string(key)});
  }
}

Status AtomicWork::fail(Status status) noexcept {
  if (run_failure.is_ok()) {
    run_failure = status;
  }
  return status;
}

const Batch::ShardPart* AtomicWork::changes() const noexcept {
  const auto part = std::ranges::find_if(batch_.parts(), [](const Batch::ShardPart& each) { return each.operation_count > 0; });
  return part == batch_.parts().end() ? nullptr : &*part;
}

Status AtomicUpdate::operator()(AtomicView& view) {
  const Result<std::optional<Bytes>> before = value_or_none(view.get(family_, key_));
  if (!before.has_value()) {
    return before.error();
  }
  value_ = function_(*before);
  const bool is_same = value_.has_value() == before->has_value() && (!value_.has_value() || Bytes(*value_) == **before);
  return is_same ? Status::ok() : set(view, family_, key_, value_);
}

AtomicFunction compare_and_set_function(Family family, Bytes key, std::optional<Bytes> expected, std::optional<Bytes> desired) {
  return [family = std::move(family), key = std::string(key), expected = copy_of(expected),
          desired = copy_of(desired)](AtomicView& view) {
    const Result<std::optional<Bytes>> before = value_or_none(view.get(family, key));
    if (!before.has_value()) {
      return before.error();
    }
    const bool is_expected = expected.has_value() == before->has_value() && (!expected.has_value() || **before == *expected);
    if (!is_expected) {
      return Status(Code::kConflict);
    }
    return expected == desired ? Status::ok() : set(view, family, key, desired);
  };
}

AtomicFunction put_if_absent_function(Family family, Bytes key, Bytes value) {
  return [family = std::move(family), key = std::string(key), value = std::string(value)](AtomicView& view) {
    const Result<bool> is_there = view.contains(family, key);
    if (!is_there.has_value()) {
      return is_there.error();
    }
    return *is_there ? Status(Code::kAlreadyExists) : view.put(family, key, value);
  };
}

}  // namespace penstock::engine
