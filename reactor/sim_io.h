// The simulator's submission interface: entries take virtual time, end in an order drawn by seed, and may fail as planned.
//
// Each entry takes effect at its completion time, when enter() sees that the clock has passed it. enter() never waits and never
// moves the clock: SimWorld does, to next_event_ns(). When the power is off everything in flight ends with -EIO at once.
// Invariants:
//   SimIo-I1 Results of a chain come in its order; of different chains in any order.
//   SimIo-I2 A sync covers the changes completed when its chain was submitted, and the writes of its own chain, nothing else.
//   SimIo-I3 What a caller must not do with a buffer in flight is caught: a write's bytes are checked to be the same at its
//   end,
//            a read's buffer is filled with junk at its start.
// Thread: the simulation's one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "reactor/io.h"
#include "reactor/sim_system.h"

namespace penstock::reactor {

class SimIo final : public Io {
 public:
  SimIo(SimSystem& system, std::uint32_t entries);
  ~SimIo() override;
  SimIo(const SimIo&) = delete;
  SimIo& operator=(const SimIo&) = delete;

  std::uint32_t room() const noexcept override;
  void prepare(std::span<const Entry> chain) override;
  void enter(std::int64_t wait_ns) override;
  std::uint32_t reap(std::span<Reaped> reaped) override;
  std::uint32_t in_flight() const noexcept override { return in_flight_; }
  void wake() noexcept override { ++counters_.wakes; }
  Status hold_file(Fd file) override;
  const IoCounters& counters() const noexcept override { return counters_; }
  std::string description() const override { return "simulated"; }

  /// When enter() next has something to do; ~0 if never.
  std::uint64_t next_event_ns() const noexcept;

 private:
  struct Chain {
    std::vector<Entry> entries;
    std::size_t next = 0;               // The entry that runs now.
    std::uint64_t covered_until = 0;    // Changes completed before the chain was submitted.
    std::vector<std::uint64_t> own;     // Changes made by the chain itself.
    std::shared_ptr<SimOpenFile> file;  // Of the entry that runs now.
    std::uint64_t write = 0;            // SimDisk's number of the write that runs now.
    std::uint64_t checksum = 0;         // Of that write's bytes at its start.
  };

  void submit_prepared();
  void start_entry(Chain& chain);
  void finish_entry(std::unique_ptr<Chain> chain, std::uint64_t time_ns);
  std::int32_t perform(Chain& chain);
  void complete(const Entry& entry, std::int32_t result);
  void fail_everything();
  std::uint64_t draw_latency_ns(Op op);

  SimSystem& system_;
  std::uint32_t entries_;
  base::Random random_;
  IoCounters counters_;
  std::uint32_t in_flight_ = 0;  // Prepared, running, or collected and not reaped.
  std::uint32_t prepared_count_ = 0;
  std::vector<std::vector<Entry>> prepared_;
  std::uint64_t next_event_ = 0;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::unique_ptr<Chain>> running_;  // By end of the entry that runs.
  std::deque<Reaped> collected_;
  std::vector<std::shared_ptr<SimOpenFile>> held_;
};

}  // namespace penstock::reactor
