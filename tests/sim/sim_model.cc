#include "tests/sim/sim_model.h"

#include <algorithm>

#include "base/assert.h"

namespace penstock::simtest {

namespace {

std::string shorten(const std::string& text) {
  return text.size() <= 40 ? text : text.substr(0, 40) + "... (" + std::to_string(text.size()) + " bytes)";
}

std::string first_difference(const ShardModel::State& found, const ShardModel::State& wanted) {
  auto have = found.begin();
  auto want = wanted.begin();
  while (have != found.end() || want != wanted.end()) {
    if (have == found.end() || (want != wanted.end() && want->first < have->first)) {
      return "\"" + want->first + "\" is missing, it should be \"" + shorten(want->second) + "\"";
    }
    if (want == wanted.end() || have->first < want->first) {
      return "\"" + have->first + "\" = \"" + shorten(have->second) + "\" should not be there";
    }
    if (have->second != want->second) {
      return "\"" + want->first + "\" is \"" + shorten(have->second) + "\", not \"" + shorten(want->second) + "\"";
    }
    ++have;
    ++want;
  }
  return {};
}

}  // namespace

std::string ShardModel::state_key(FamilyId family, Bytes key) { return std::to_string(family) + "/" + std::string(key); }

void ShardModel::issue(std::vector<Change> changes, Durability durability) {
  const auto batch = static_cast<std::uint32_t>(issued_.size());
  for (std::uint32_t index = 0; index < changes.size(); ++index) {
    history_[state_key(changes[index].family, changes[index].key)].emplace_back(batch, index);
  }
  issued_.push_back({.changes = std::move(changes), .durability = durability});
}

void ShardModel::acknowledge(std::uint64_t number) {
  const std::uint64_t index = number - base_count_ - 1;
  issued_[index].acknowledged = true;
  published_ = std::max(published_, index + 1);
}

void ShardModel::refuse(std::uint64_t number) { issued_[number - base_count_ - 1].is_refused = true; }

std::vector<std::uint64_t> ShardModel::acknowledged() const {
  std::vector<std::uint64_t> numbers;
  for (std::size_t index = 0; index < issued_.size(); ++index) {
    if (issued_[index].acknowledged && !issued_[index].is_flushed) {
      numbers.push_back(base_count_ + index + 1);
    }
  }
  return numbers;
}

void ShardModel::flushed(const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t number : numbers) {
    issued_[number - base_count_ - 1].is_flushed = true;
  }
}

// --- while it runs ---

bool ShardModel::may_be(const std::string& key, const std::optional<std::string>& value, std::uint64_t from) const {
  const auto history = history_.find(key);
  if (history != history_.end()) {
    for (auto place = history->second.rbegin(); place != history->second.rend(); ++place) {
      const Batch& batch = issued_[place->first];
      if (batch.is_refused) {
        continue;
      }
      if (batch.changes[place->second].value == value) {
        return true;
      }
      // An earlier one is hidden by this one. But not if its answer is still on the way: it may turn out to be refused.
      if (place->first < from && batch.acknowledged) {
        return false;
      }
    }
  }
  const auto place = base_.find(key);
  return place == base_.end() ? !value.has_value() : value == place->second;
}

bool ShardModel::may_have(FamilyId family, Bytes key, const std::optional<std::string>& value, std::uint64_t moment) const {
  return may_be(state_key(family, key), value, moment);
}

std::string ShardModel::check_rows(FamilyId family, const std::string& from, const std::optional<std::string>& to,
                                   const std::vector<std::pair<std::string, std::string>>& rows, std::uint64_t moment) const {
  const std::string prefix = state_key(family, {});
  const auto is_within = [&](const std::string& key) { return key >= from && (!to.has_value() || key < *to); };
  State wanted;
  for (auto place = base_.lower_bound(prefix + from); place != base_.end() && place->first.starts_with(prefix); ++place) {
    if (!is_within(place->first.substr(prefix.size()))) {
      break;
    }
    wanted.emplace(place->first, place->second);
  }
  State found;
  for (const auto& [key, value] : rows) {
    found.emplace(prefix + key, value);
  }
  std::string first;
  for (std::size_t index = 0; index <= issued_.size(); ++index) {
    if (index >= moment) {
      const std::string difference = first_difference(found, wanted);
      if (difference.empty()) {
        return {};
      }
      first = first.empty() ? difference : first;
    }
    if (index == issued_.size() || issued_[index].is_refused) {
      continue;
    }
    for (const Change& change : issued_[index].changes) {
      if (change.family != family || !is_within(change.key)) {
        continue;
      }
      if (change.value.has_value()) {
        wanted[prefix + change.key] = *change.value;
      } else {
        wanted.erase(prefix + change.key);
      }
    }
  }
  return "rows that were there at no moment of the call: as of its beginning " + first;
}

// --- after a crash ---

std::uint64_t ShardModel::required(End end) const noexcept {
  std::uint64_t required = base_count_;
  for (std::size_t index = 0; index < issued_.size(); ++index) {
    const Batch& batch = issued_[index];
    const bool survives = end == End::kCleanClose || batch.is_flushed || batch.durability == Durability::kSync ||
                          (end == End::kKill && batch.durability == Durability::kWritten);
    if (batch.acknowledged && survives) {
      required = base_count_ + index + 1;
    }
  }
  return required;
}

void ShardModel::apply(State& state, const Batch& batch) {
  for (const Change& change : batch.changes) {
    if (change.value.has_value()) {
      state[state_key(change.family, change.key)] = *change.value;
    } else {
      state.erase(state_key(change.family, change.key));
    }
  }
}

ShardModel::Recovered ShardModel::check(const State& found, End end, const std::function<bool(FamilyId)>& exists) const {
  Recovered recovered;
  std::uint64_t logged = 0;
  std::uint64_t unlogged = 0;
  for (const auto& [key, value] : found) {
    const Bytes name = Bytes(key).substr(key.find('/') + 1);
    if (name == kCountKey) {
      logged = std::max<std::uint64_t>(logged, std::stoull(value));
    } else if (name == kUnloggedKey) {
      unlogged = std::max<std::uint64_t>(unlogged, std::stoull(value));
    }
  }
  // What is in no log is there up to a flush, and then everything before it is.
  const std::uint64_t present = std::max(logged, unlogged);
  const std::uint64_t wanted_min = required(end);
  const std::uint64_t issued = base_count_ + issued_.size();
  if (present < wanted_min || present > issued) {
    recovered.wrong = "batches 1 to " + std::to_string(present) + " are there, at least " + std::to_string(wanted_min) +
                      " and at most " + std::to_string(issued) + " should be";
    return recovered;
  }
  State wanted = base_;
  for (std::uint64_t index = base_count_; index < present; ++index) {
    const Batch& batch = issued_[index - base_count_];
    const bool is_there = index < (batch.durability == Durability::kUnlogged ? unlogged : present);
    if (is_there && !batch.is_refused) {
      apply(wanted, batch);
    }
  }
  // What stood in families that are gone now is gone with them.
  std::erase_if(wanted, [&exists](const auto& entry) {
    return !exists(static_cast<FamilyId>(std::stoull(entry.first.substr(0, entry.first.find('/')))));
  });
  if (const std::string difference = first_difference(found, wanted); !difference.empty()) {
    recovered.wrong = "after " + std::to_string(present) + " batches " + difference;
    return recovered;
  }
  recovered.state = std::move(wanted);
  recovered.count = present;
  return recovered;
}

void ShardModel::adopt(Recovered recovered) {
  PENSTOCK_ASSERT(recovered.wrong.empty());
  base_ = std::move(recovered.state);
  base_count_ = recovered.count;
  issued_.clear();
  history_.clear();
  published_ = 0;
}

std::vector<std::string> ShardModel::known_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : base_) {
    keys.push_back(key);
  }
  for (const auto& [key, places] : history_) {
    keys.push_back(key);
  }
  std::ranges::sort(keys);
  keys.erase(std::ranges::unique(keys).begin(), keys.end());
  return keys;
}

bool ShardModel::may_survive(const std::string& state_key, const std::optional<std::string>& value, End end) const {
  // Of the unlogged ones any may be gone: acknowledged is not enough to hide what was before them.
  const std::uint64_t from = required(end) - base_count_;
  const auto history = history_.find(state_key);
  if (history != history_.end()) {
    for (auto place = history->second.rbegin(); place != history->second.rend(); ++place) {
      const Batch& batch = issued_[place->first];
      if (batch.is_refused) {
        continue;
      }
      if (batch.changes[place->second].value == value) {
        return true;
      }
      if (place->first < from && batch.durability != Durability::kUnlogged) {
        return false;
      }
    }
  }
  const auto place = base_.find(state_key);
  return place == base_.end() ? !value.has_value() : value == place->second;
}

}  // namespace penstock::simtest
