#include "reactor/sim_faults.h"

#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace penstock::reactor {

std::string_view name_of(SimEvent event) noexcept {
  static constexpr std::array<std::string_view, kSimEventKinds> kNames{"open",
                                                                       "create",
                                                                       "lock",
                                                                       "read",
                                                                       "write",
                                                                       "sync",
                                                                       "resize",
                                                                       "punch",
                                                                       "fill",
                                                                       "rename",
                                                                       "remove",
                                                                       "make directory",
                                                                       "remove directory",
                                                                       "sync directory",
                                                                       "list"};
  return kNames[static_cast<std::size_t>(event)];
}

void SimFaults::fail_nth(SimEvent event, std::uint64_t nth, SimFault fault, std::string path_part) {
  PENSTOCK_ASSERT_GT(nth, 0U);
  plan_.push_back({event, false, false, nth, fault, std::move(path_part)});
}

void SimFaults::fail_from(SimEvent event, std::uint64_t nth, SimFault fault, std::string path_part) {
  PENSTOCK_ASSERT_GT(nth, 0U);
  plan_.push_back({event, false, true, nth, fault, std::move(path_part)});
}

void SimFaults::fail_at(std::uint64_t number, SimFault fault) {
  PENSTOCK_ASSERT_GT(number, events_);
  plan_.push_back({SimEvent::kWrite, true, false, number, fault, {}});
}

void SimFaults::clear() noexcept {
  plan_.clear();
  rates_ = {};
}

void SimFaults::mix(std::uint64_t value) noexcept {
  std::uint64_t mixed = (trace_hash_ ^ value) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 29U)) * 0x94d049bb133111ebULL;
  trace_hash_ = mixed ^ (mixed >> 32U);
}

std::uint64_t SimFaults::count(SimEvent event) noexcept {
  ++counts_[static_cast<std::size_t>(event)];
  return is_numbered(event) ? ++events_ : 0;
}

SimFault SimFaults::planned(SimEvent event, std::string_view path) {
  SimFault struck;
  for (std::size_t index = 0; index < plan_.size();) {
    Planned& entry = plan_[index];
    bool strikes = false;
    if (entry.by_number) {
      strikes = is_numbered(event) && entry.left == events_;
    } else if (entry.event == event && path.find(entry.path_part) != std::string_view::npos) {
      if (entry.left > 0) --entry.left;
      strikes = entry.left == 0;
    }
    if (!strikes) {
      ++index;
      continue;
    }
    struck = entry.fault;
    ++struck_;
    if (entry.repeats) {
      ++index;
    } else {
      plan_.erase(plan_.begin() + static_cast<std::ptrdiff_t>(index));
    }
  }
  return struck;
}

SimFault SimFaults::drawn_error(SimEvent event) {
  const auto strikes = [this](std::uint32_t one_in) { return one_in != 0 && random_.one_in(one_in); };
  SimFault fault;
  if (event == SimEvent::kRead && strikes(rates_.read_error_one_in)) fault.result = -EIO;
  if (event == SimEvent::kSync && strikes(rates_.sync_error_one_in)) {
    fault = {.result = -EIO, .short_bytes = 0, .sync_loss = rates_.sync_loss};
  }
  if (event == SimEvent::kWrite) {
    if (strikes(rates_.write_error_one_in)) {
      fault.result = -EIO;
    } else if (strikes(rates_.lost_one_in)) {
      fault.lie = SimLie::kLost;
    } else if (strikes(rates_.misdirected_one_in)) {
      fault.lie = SimLie::kMisdirected;
    }
  }
  if (!fault.is_none()) ++struck_;
  if (fault.lie != SimLie::kNone) ++lies_;
  return fault;
}

SimFault SimFaults::drawn(SimEvent event, std::string_view path, std::uint64_t bytes, std::uint32_t granule, bool blocking) {
  if (path.find(rates_.path_part) != std::string_view::npos) {
    if (const SimFault error = drawn_error(event); !error.is_none()) return error;
  }
  if (rates_.interrupted_one_in != 0 && random_.one_in(rates_.interrupted_one_in)) return {.result = -EINTR};
  if (rates_.again_one_in != 0 && !blocking && random_.one_in(rates_.again_one_in)) return {.result = -EAGAIN};
  const bool moves_data = event == SimEvent::kRead || event == SimEvent::kWrite;
  if (moves_data && rates_.short_one_in != 0 && bytes > granule && random_.one_in(rates_.short_one_in)) {
    const std::uint64_t kept = (1 + random_.below((bytes - 1) / granule)) * granule;
    return {.short_bytes = static_cast<std::uint32_t>(bytes - kept)};
  }
  return {};
}

}  // namespace penstock::reactor
