#include "reactor/sim_world.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace penstock::reactor {
namespace {

/// One file with `count` blocks written through the ring, synced every fourth, and a second reactor's share of the time.
Task<Status> write_blocks(System* system, std::string path, std::uint32_t count) {
  OpenOptions options;
  options.create = true;
  const Result<Fd> fd = system->open_file(path, options);
  if (!fd.has_value()) co_return fd.error();
  const File file(*system, *fd);
  AlignedBuffer buffer(kBlockBytes);
  for (std::uint32_t index = 0; index < count; ++index) {
    std::memset(buffer.data(), static_cast<int>(index + 1), kBlockBytes);
    PENSTOCK_CO_TRY(co_await Reactor::current()->write(file.fd(), std::uint64_t{index} * kBlockBytes, buffer.span()));
    if (index % 4 == 3) PENSTOCK_CO_TRY(co_await Reactor::current()->sync_data(file.fd()));
  }
  PENSTOCK_CO_TRY(co_await Reactor::current()->sync_data(file.fd()));
  co_return system->sync_directory("/");
}

Task<std::uint64_t> sleep_and_tell(std::uint64_t duration_ns) {
  const std::uint64_t before = Reactor::current()->now_ns();
  co_await Reactor::current()->sleep(duration_ns);
  co_return Reactor::current()->now_ns() - before;
}

Task<std::uint32_t> index_of_reactor() {
  co_await Reactor::current()->yield();
  co_return Reactor::current()->index();
}

struct Counter {
  Task<> add(std::uint32_t amount) {
    co_await Reactor::current()->yield();
    value += amount;
  }
  std::uint32_t value = 0;
};

Task<> wait_for_event(Event* event) { co_await event->wait(); }

std::uint64_t trace_of_run(std::uint64_t seed) {
  SimDisk disk(seed);
  disk.faults().set_rates({.short_one_in = 8, .interrupted_one_in = 16, .again_one_in = 16});
  {
    SimWorld world(disk, {.seed = seed, .reactors = 3});
    std::vector<SimJob<Status>> jobs;
    for (std::uint32_t index = 0; index < 3; ++index) {
      jobs.push_back(
          world.start(index, write_blocks, static_cast<System*>(&world.system()), "/f" + std::to_string(index), 20U));
    }
    world.drain();
    for (SimJob<Status>& job : jobs) EXPECT_TRUE(job.take().is_ok());
  }
  disk.cut_power(seed);
  return disk.faults().trace_hash();
}

TEST(SimWorld, RunReturnsTheValueOfATaskOnItsReactor) {
  SimDisk disk(1);
  SimWorld world(disk, {.seed = 1, .reactors = 4});
  EXPECT_EQ(world.run(2, index_of_reactor), 2U);
  Counter counter;
  world.run(1, &Counter::add, &counter, 5U);
  EXPECT_EQ(counter.value, 5U);
  EXPECT_EQ(Reactor::current(), nullptr);
}

TEST(SimWorld, SleepingTakesVirtualTimeOnly) {
  SimDisk disk(1);
  SimWorld world(disk);
  constexpr std::uint64_t kHourNs = 3'600'000'000'000;
  const std::uint64_t slept = world.run(0, sleep_and_tell, kHourNs);
  EXPECT_GE(slept, kHourNs);
  EXPECT_LT(slept, kHourNs + 1'000'000);
}

TEST(SimWorld, TellsWhenNothingWillEverHappen) {
  SimDisk disk(1);
  SimWorld world(disk);
  Event event(world.reactor(0));
  const SimJob<void> job = world.start(0, wait_for_event, &event);
  EXPECT_FALSE(world.run_until([&job] { return job.is_done(); }));
  event.notify_all();
  EXPECT_TRUE(world.run_until([&job] { return job.is_done(); }));
  EXPECT_DEATH(world.run(0, wait_for_event, &event), "seed 1 stands still");
}

TEST(SimWorld, TheSameSeedGivesTheSameTraceAndAnotherSeedAnotherOne) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_EQ(trace_of_run(seed), trace_of_run(seed)) << "seed " << seed;
    EXPECT_NE(trace_of_run(seed), trace_of_run(seed + 100)) << "seed " << seed;
  }
}

TEST(SimWorld, ACutAtAnyEventLeavesWhatWasAcknowledgedAndARunThatEnds) {
  std::uint64_t event = 1;
  for (;; ++event) {
    SimDisk disk(event);
    disk.cut_at(event);
    bool is_acknowledged = false;
    {
      SimWorld world(disk, {.seed = event});
      const Status status = world.run(0, write_blocks, static_cast<System*>(&world.system()), std::string("/f"), 10U);
      is_acknowledged = status.is_ok();
      if (!is_acknowledged) {
        EXPECT_TRUE(status.is(Code::kIoError));
        EXPECT_FALSE(world.system().list_directory("/").has_value());
      }
    }
    if (disk.is_powered()) break;
    EXPECT_FALSE(is_acknowledged);
    disk.cut_power(event);
    SimWorld after(disk, {.seed = event + 1});
    const Status again = after.run(0, write_blocks, static_cast<System*>(&after.system()), std::string("/f"), 10U);
    EXPECT_TRUE(again.is_ok()) << again.to_string();
  }
  // 1 create, 10 writes, 3 syncs, 1 folder sync.
  EXPECT_EQ(event, 16U);
}

TEST(SimWorld, TransientErrorsAndShortResultsAreResumedByTheReactor) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimDisk disk(seed);
    disk.faults().set_rates({.short_one_in = 3, .interrupted_one_in = 4, .again_one_in = 4});
    SimWorld world(disk, {.seed = seed, .io_entries = 8});
    const Status status = world.run(0, write_blocks, static_cast<System*>(&world.system()), std::string("/f"), 16U);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    EXPECT_GT(world.reactor(0).io().counters().interrupted, 0U);
  }
}

}  // namespace
}  // namespace penstock::reactor
