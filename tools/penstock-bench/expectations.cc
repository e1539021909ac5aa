#include "tools/penstock-bench/expectations.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace penstock::bench {

Expectations::Expectations(const Job& job, const Dataset& dataset, ShardOf shard_of, bool was_empty)
    : job_(job), dataset_(dataset), shard_of_(std::move(shard_of)), was_empty_(was_empty), states_(job.cfs) {}

Expectations::KeyState& Expectations::state_of(std::uint32_t family, std::uint32_t number) {
  std::vector<KeyState>& states = states_[family];
  if (states.size() <= number) {
    states.resize(std::max<std::size_t>(number + std::size_t{1}, states.size() * 2));
  }
  return states[number];
}

void Expectations::add(const Step& step, bool is_demanded) {
  KeyState& state = state_of(step.family, step.number);
  const bool is_delete = step.kind == OpKind::kDelete;
  state.newest = step.version;
  if (is_demanded) {
    demanded_keys_ += state.demanded == 0 ? 1 : 0;
    state.demanded = step.version;
    state.is_demanded_gone = is_delete;
  } else {
    state.may_be_gone = state.may_be_gone || is_delete;
  }
}

void Expectations::replay(std::uint32_t client, const KeySet& set, const ClientHistory& history) {
  Plan plan(job_, client, set);
  std::string key(job_.key_size, '\0');
  std::vector<Call> calls;
  std::uint64_t left = plan.step_count();
  std::uint64_t written = 0;
  for (std::uint64_t done = 0; done < history.issued && left > 0;) {
    const bench::Call call = plan.next_call(left);
    const bool is_demanded = kind_writes(call.kind) && written + call.operations <= history.demanded;
    written += kind_writes(call.kind) ? call.operations : 0;
    Call writes;
    for (std::uint32_t at = 0; at < call.operations; ++at) {
      const Step step = plan.next(call.kind);
      if (!kind_writes(step.kind)) {
        continue;
      }
      add(step, is_demanded);
      if (!is_demanded) {
        dataset_.fill_key(step.number, key.data());
        writes.push_back({.shard = shard_of_(step.family, key),
                          .family = step.family,
                          .number = step.number,
                          .version = step.version,
                          .is_delete = step.kind == OpKind::kDelete});
      }
    }
    if (!writes.empty()) {
      calls.push_back(std::move(writes));
    }
    done += call.operations;
    left -= left == kUnlimited ? 0 : call.operations;
  }
  open_calls_.push_back(std::move(calls));
}

void Expectations::begin_family(std::uint32_t family) {
  family_ = family;
  has_last_key_ = false;
}

void Expectations::see_row(std::string_view key, std::string_view value) {
  ++rows_;
  const bool is_ours = key.size() == dataset_.key_size();
  const std::uint32_t number = is_ours ? dataset_.number_of(key) : 0;
  if (has_last_key_ && key <= last_key_) {
    note(problems_.order, family_, number, "a scan shows it after a larger key, or twice");
  }
  last_key_.assign(key);
  has_last_key_ = true;
  std::string expected(dataset_.key_size(), '\0');
  dataset_.fill_key(number, expected.data());
  if (!is_ours || expected != key) {
    note(problems_.invented, family_, number, fmt::format("a row has a key of {} bytes that is none of the job's", key.size()));
    return;
  }
  const auto version = dataset_.value_version(family_, number, value);
  if (!version.has_value()) {
    const auto origin = dataset_.origin_of(value);
    note(problems_.invented, family_, number,
         origin.has_value()
             ? fmt::format("it has the value of family {} key {}, version {}", origin->family, origin->number, origin->version)
             : "its value is not one that was written");
    return;
  }
  KeyState& state = state_of(family_, number);
  state.is_found = true;
  state.found = *version;
}

void Expectations::judge_key(std::uint32_t family, std::uint32_t number, const KeyState& state) {
  if (state.newest == 0) {  // This job has not touched it.
    if (state.is_found && was_empty_) {
      note(problems_.invented, family, number, fmt::format("it is there (version {}) and was never written", state.found));
    }
    return;
  }
  if (!state.is_found) {
    if (state.demanded > 0 && !state.is_demanded_gone && !state.may_be_gone) {
      note(problems_.missing, family, number, fmt::format("version {} or later is expected: it is missing", state.demanded));
    }
    return;
  }
  if (state.demanded == 0) {  // What was there before the job may be, with a version of another job.
    if (was_empty_ && state.found > state.newest) {
      note(problems_.invented, family, number,
           fmt::format("it has version {}; {} was the last that was issued", state.found, state.newest));
    }
    return;
  }
  const std::uint32_t oldest = state.demanded + (state.is_demanded_gone ? 1U : 0U);
  if (state.found > state.newest) {
    note(problems_.invented, family, number,
         fmt::format("it has version {}; {} was the last that was issued", state.found, state.newest));
  } else if (state.found < oldest && state.is_demanded_gone) {
    note(problems_.invented, family, number,
         fmt::format("it has version {} and was deleted with version {}", state.found, state.demanded));
  } else if (state.found < oldest) {
    note(problems_.missing, family, number,
         fmt::format("version {} or later is expected: it has the older version {}", state.demanded, state.found));
  }
}

Expectations::Seen Expectations::look_for(const Write& write) const {
  const KeyState& state = states_[write.family][write.number];
  if (write.is_delete) {
    // Without its version a key tells nothing of a delete; nor does it where the delete was the end of something older.
    return state.is_found && state.found < write.version ? Seen::kNotThere : Seen::kUnknown;
  }
  if (!state.is_found) {
    return state.may_be_gone ? Seen::kUnknown : Seen::kNotThere;
  }
  if (!was_empty_ && state.demanded == 0) {
    return Seen::kUnknown;  // An earlier job may have written the same.
  }
  if (state.found == write.version) {
    return Seen::kThere;
  }
  // A version of this job that is later may have come in its place; a smaller one, or one of before the job, has not.
  return state.found > write.version && state.found <= state.newest ? Seen::kUnknown : Seen::kNotThere;
}

void Expectations::judge_calls(const std::vector<Call>& calls) {
  std::map<std::uint32_t, bool> has_ended;  // By shard: a write of a call before is not there.
  for (const Call& call : calls) {
    std::map<std::uint32_t, std::pair<const Write*, const Write*>> ends;  // By shard: one that is there, and one that is not.
    for (std::size_t at = 0; at < call.size(); ++at) {
      const Write& write = call[at];
      // A key that the call writes again later shows that later write alone.
      const bool is_last =
          std::none_of(call.begin() + static_cast<std::ptrdiff_t>(at) + 1, call.end(),
                       [&](const Write& later) { return later.family == write.family && later.number == write.number; });
      const Seen seen = is_last ? look_for(write) : Seen::kUnknown;
      auto& [there, not_there] = ends[write.shard];
      there = seen == Seen::kThere ? &write : there;
      not_there = seen == Seen::kNotThere ? &write : not_there;
    }
    for (const auto& [shard, pair] : ends) {
      const auto& [there, not_there] = pair;
      if (there != nullptr && not_there != nullptr) {
        note(problems_.halves, not_there->family, not_there->number,
             fmt::format("version {} is not there, but key {} of the same commit is", not_there->version, there->number));
      } else if (there != nullptr && has_ended[shard]) {
        note(problems_.halves, there->family, there->number,
             fmt::format("version {} is there, but a commit of the same client before it is not", there->version));
      }
      has_ended[shard] = has_ended[shard] || not_there != nullptr;
    }
  }
}

void Expectations::judge() {
  for (std::uint32_t family = 0; family < states_.size(); ++family) {
    for (std::uint32_t number = 0; number < states_[family].size(); ++number) {
      judge_key(family, number, states_[family][number]);
    }
  }
  for (const std::vector<Call>& calls : open_calls_) {
    judge_calls(calls);
  }
}

void Expectations::for_each_written(
    const std::function<void(std::uint32_t, std::uint32_t, std::optional<std::uint32_t>)>& visit) const {
  for (std::uint32_t family = 0; family < states_.size(); ++family) {
    for (std::uint32_t number = 0; number < states_[family].size(); ++number) {
      const KeyState& state = states_[family][number];
      if (state.newest > 0) {
        visit(family, number, state.is_found ? std::optional(state.found) : std::nullopt);
      }
    }
  }
}

void Expectations::note_get(std::uint32_t family, std::uint32_t number, const std::string& what) {
  note(problems_.missing, family, number, what);
}

void Expectations::note(std::uint64_t& counter, std::uint32_t family, std::uint32_t number, const std::string& what) {
  ++counter;
  if (problems_.first.empty()) {
    problems_.first = fmt::format("family {} key {}: {}", family, number, what);
  }
}

}  // namespace penstock::bench
