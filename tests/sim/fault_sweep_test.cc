// Goal: there is no operation of the disk, and no buffer of memory, whose failure makes the database lie: calls fail or do not,
// reads go on, nothing on a log is acknowledged after it failed, and the next opening finds what was promised. Method: each
// scenario of script.cc is run again and again, and the nth event of one kind fails, for every n and with each error, once or
// for good; then the process is killed, the power cut or the database closed, and it is opened without faults and compared with
// the history. The points are counted and printed.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/sim/script.h"
#include "tests/sim/sim_memory.h"

namespace penstock::simtest {
namespace {

using reactor::SimDisk;
using reactor::SimEvent;
using reactor::SimFault;
using reactor::SimSyncLoss;

constexpr std::uint64_t kWorldSeed = 5;

/// One way in which events of a kind fail.
struct Sweep {
  std::string_view name;
  SimEvent event = SimEvent::kWrite;
  SimFault fault;
  bool for_good = false;
  bool is_memory = false;
};

const std::vector<Sweep>& sweeps() {
  static const std::vector<Sweep> list{
      {.name = "read EIO", .event = SimEvent::kRead, .fault = {.result = -EIO}},
      {.name = "read EIO for good", .event = SimEvent::kRead, .fault = {.result = -EIO}, .for_good = true},
      {.name = "write EIO", .event = SimEvent::kWrite, .fault = {.result = -EIO}},
      {.name = "write EIO for good", .event = SimEvent::kWrite, .fault = {.result = -EIO}, .for_good = true},
      {.name = "write ENOSPC", .event = SimEvent::kWrite, .fault = {.result = -ENOSPC}},
      {.name = "sync EIO, data kept", .event = SimEvent::kSync, .fault = {.result = -EIO}},
      {.name = "sync EIO, data lost",
       .event = SimEvent::kSync,
       .fault = {.result = -EIO, .short_bytes = 0, .sync_loss = SimSyncLoss::kLost}},
      {.name = "sync EIO for good, data lost",
       .event = SimEvent::kSync,
       .fault = {.result = -EIO, .short_bytes = 0, .sync_loss = SimSyncLoss::kLost},
       .for_good = true},
      {.name = "create EMFILE", .event = SimEvent::kCreate, .fault = {.result = -EMFILE}},
      {.name = "create ENOSPC for good", .event = SimEvent::kCreate, .fault = {.result = -ENOSPC}, .for_good = true},
      {.name = "open EIO", .event = SimEvent::kOpen, .fault = {.result = -EIO}},
      {.name = "resize ENOSPC", .event = SimEvent::kResize, .fault = {.result = -ENOSPC}},
      {.name = "resize ENOSPC for good", .event = SimEvent::kResize, .fault = {.result = -ENOSPC}, .for_good = true},
      {.name = "rename EIO", .event = SimEvent::kRename, .fault = {.result = -EIO}},
      {.name = "remove EIO", .event = SimEvent::kRemove, .fault = {.result = -EIO}},
      {.name = "folder sync EIO", .event = SimEvent::kSyncDirectory, .fault = {.result = -EIO}},
      {.name = "punch EIO", .event = SimEvent::kPunch, .fault = {.result = -EIO}},
      {.name = "fill ENOSPC", .event = SimEvent::kFill, .fault = {.result = -ENOSPC}},
      {.name = "folder listing EIO", .event = SimEvent::kList, .fault = {.result = -EIO}},
      {.name = "no memory once", .fault = {}, .is_memory = true},
      {.name = "no memory from then on", .fault = {}, .for_good = true, .is_memory = true},
  };
  return list;
}

class FaultSweep : public ::testing::TestWithParam<std::size_t> {
 protected:
  /// False: the scenario has fewer than n such events.
  bool strike(const Prepared& prepared, const Scenario& scenario, const Sweep& sweep, std::uint64_t nth, std::string& wrong,
              bool prints_trace = false) {
    const std::unique_ptr<SimDisk> disk = prepared.disk->clone();
    if (prints_trace) {
      disk->faults().set_trace(&print);
    }
    ScriptModel model = prepared.model;
    SimMemory& memory = SimMemory::in_place();
    bool has_struck = false;
    End end = std::array{End::kPowerCut, End::kKill, End::kCleanClose}[nth % 3];
    {
      Script script(*disk, model, kWorldSeed);
      const auto arm = [&] {
        if (sweep.is_memory) {
          memory.refuse_nth(nth, sweep.for_good);
        } else if (sweep.for_good) {
          disk->faults().fail_from(sweep.event, nth, sweep.fault);
        } else {
          disk->faults().fail_nth(sweep.event, nth, sweep.fault);
        }
      };
      const std::uint64_t struck_before = disk->faults().struck();
      if (scenario.breaks_opening) {
        arm();
      }
      const std::uint64_t taken_before = memory.taken();
      const Status opened = script.open();
      if (!scenario.breaks_opening) {
        if (!opened.is_ok()) {
          wrong = "open fails without a reason: " + opened.to_string();
          return false;
        }
        arm();
      }
      const std::uint64_t taken_at_play = scenario.breaks_opening ? taken_before : memory.taken();
      scenario.play(script);
      has_struck = sweep.is_memory ? memory.taken() >= taken_at_play + nth : disk->faults().struck() > struck_before;
      memory.refuse_nth(0, false);
      wrong = script.complaint();
      // What fails for good, or is still to come, must not hide an answer that is wrong.
      const bool may_fail = sweep.event == SimEvent::kRead || sweep.event == SimEvent::kOpen || sweep.is_memory;
      if (wrong.empty() && opened.is_ok()) {
        wrong = script.check_reads(may_fail);
      }
      if (end != End::kCleanClose) {
        disk->power_off();
      } else if (!script.close().is_ok()) {
        end = End::kPowerCut;  // It told of a failure: only what is synced was promised.
      }
    }
    finish(*disk, end, nth);
    // What a failed sync lost takes with it what was only written.
    const bool is_lost = sweep.fault.sync_loss == SimSyncLoss::kLost && end == End::kKill;
    Script after(*disk, model, kWorldSeed + 1);
    if (wrong.empty()) {
      const Status opened = after.open();
      wrong = opened.is_ok() ? after.check_recovered(is_lost ? End::kPowerCut : end) : "open fails: " + opened.to_string();
    }
    disk->power_off();
    return has_struck;
  }

  static void print(const reactor::SimTraceLine& line) {
    std::printf("%llu %s %s at %llu = %lld\n", static_cast<unsigned long long>(line.number),
                std::string(reactor::name_of(line.event)).c_str(), std::string(line.path).c_str(),
                static_cast<unsigned long long>(line.offset), static_cast<long long>(line.result));
  }

  static void finish(SimDisk& disk, End end, std::uint64_t seed) {
    if (end == End::kPowerCut) {
      disk.cut_power(seed);
    } else if (end == End::kKill) {
      disk.kill_process(seed);
    } else {
      disk.forget_lost();
      disk.faults().clear();
    }
  }
};

TEST_P(FaultSweep, TellsTheTruthWhateverFails) {
  SimMemory::in_place();
  const Scenario& scenario = scenarios()[GetParam()];
  const Prepared prepared = prepare(scenario);
  std::uint64_t points = 0;
  for (const Sweep& sweep : sweeps()) {
    for (std::uint64_t nth = 1;; ++nth) {
      std::string wrong;
      const bool has_struck = strike(prepared, scenario, sweep, nth, wrong);
      if (!wrong.empty()) {
        std::string again;
        (void)strike(prepared, scenario, sweep, nth, again, true);
      }
      ASSERT_EQ(wrong, "") << scenario.name << ", " << sweep.name << ", number " << nth;
      if (!has_struck) {
        break;
      }
      ++points;
    }
  }
  EXPECT_GT(points, 4U);
  std::printf("fault points of \"%s\": %llu, of %zu kinds\n", scenario.name, static_cast<unsigned long long>(points),
              sweeps().size());
}

INSTANTIATE_TEST_SUITE_P(, FaultSweep, ::testing::Range(std::size_t{0}, scenarios().size()));

}  // namespace
}  // namespace penstock::simtest
