// An Io that answers what a test says: for tests of the reactor's own rules, without a kernel.
//
// Entries complete in the enter() after the one that submitted them, with the results of `results` in order (whole when it is
// empty). For tests alone. Thread: the reactor's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "reactor/io.h"

namespace penstock::reactor {

class ScriptedIo final : public Io {
 public:
  std::uint32_t entries_max = 8;
  std::deque<std::int32_t> results;
  std::vector<Entry> seen;                 // All entries, in submission order.
  std::vector<std::uint32_t> enter_sizes;  // Entries submitted by each enter() that submitted any.
  std::vector<std::int64_t> waits;         // Of each enter() that was to wait.
  std::function<void()> on_enter;          // Stands for what other threads do meanwhile.

  std::uint32_t room() const noexcept override { return entries_max - static_cast<std::uint32_t>(prepared_.size()); }
  void prepare(std::span<const Entry> chain) override {
    PENSTOCK_ASSERT_LE(chain.size(), room());
    prepared_.insert(prepared_.end(), chain.begin(), chain.end());
    in_flight_ += static_cast<std::uint32_t>(chain.size());
  }
  void enter(std::int64_t wait_ns) override {
    if (wait_ns != 0) waits.push_back(wait_ns);
    if (on_enter) on_enter();
    for (const Entry& entry : submitted_) complete(entry);
    submitted_ = std::move(prepared_);
    prepared_.clear();
    if (!submitted_.empty()) enter_sizes.push_back(static_cast<std::uint32_t>(submitted_.size()));
    seen.insert(seen.end(), submitted_.begin(), submitted_.end());
  }
  std::uint32_t reap(std::span<Reaped> reaped) override {
    std::uint32_t count = 0;
    for (; count < reaped.size() && !done_.empty(); ++count) {
      reaped[count] = done_.front();
      done_.pop_front();
    }
    in_flight_ -= count;
    return count;
  }
  std::uint32_t in_flight() const noexcept override { return in_flight_; }
  void wake() noexcept override {}
  Status hold_file(Fd) override { return Status::ok(); }
  const IoCounters& counters() const noexcept override { return counters_; }
  std::string description() const override { return "scripted"; }

 private:
  void complete(const Entry& entry) {
    const bool moves = entry.op == Op::kRead || entry.op == Op::kWrite;
    std::int32_t result = moves ? static_cast<std::int32_t>(entry.bytes) : 0;
    if (!results.empty()) {
      result = results.front();
      results.pop_front();
    }
    done_.push_back(Reaped{entry.completion, result});
  }

  std::vector<Entry> prepared_;
  std::vector<Entry> submitted_;
  std::deque<Reaped> done_;
  std::uint32_t in_flight_ = 0;
  IoCounters counters_;
};

}  // namespace penstock::reactor
