#include "reactor/sim_io.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "reactor/buffer.h"

namespace penstock::reactor {
namespace {

class Slot final : public Completion {
 public:
  void on_complete(std::int32_t value) override { result = value; }
  std::optional<std::int32_t> result;
};

/// A file /f of 16 durable blocks of ones, and an Io on it; block i of the buffer is full of i + 2.
class SimIoTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kBlocks = 16;

  SimIoTest() { boot(1); }
  ~SimIoTest() override { shut_down(); }

  void boot(std::uint64_t seed) {
    shut_down();
    disk = std::make_unique<SimDisk>(seed);
    EXPECT_TRUE(disk->write_all("/f", std::vector<std::byte>(kBlocks * kBlockBytes, std::byte{1})).is_ok());
    system = std::make_unique<SimSystem>(*disk, SimSystemOptions{.seed = seed});
    io = std::make_unique<SimIo>(*system, 8);
    file = *system->open_file("/f", {});
    for (std::uint32_t index = 0; index < kBlocks; ++index) {
      std::memset(buffer.data() + (index * kBlockBytes), static_cast<int>(index) + 2, kBlockBytes);
    }
    slots.assign(kBlocks * 2, Slot());
  }
  void shut_down() {
    if (io != nullptr) run_all();
    if (system != nullptr && file != Fd::kNone) system->close_file(file);
    io.reset();
    system.reset();
  }
  Entry write_of(std::uint32_t index, std::uint32_t blocks = 1) {
    return {.op = Op::kWrite,
            .file = file,
            .bytes = blocks * kBlockBytes,
            .offset = std::uint64_t{index} * kBlockBytes,
            .buffer = buffer.data() + (index * kBlockBytes),
            .completion = &slots[index]};
  }
  Entry sync_of(std::uint32_t slot) { return {.op = Op::kSyncData, .file = file, .completion = &slots[kBlocks + slot]}; }
  void submit(std::vector<Entry> chain) {
    for (std::size_t index = 0; index + 1 < chain.size(); ++index) chain[index].link = true;
    io->prepare(chain);
    io->enter(0);
  }
  /// Moves the clock to the next event and collects.
  void run_one() {
    if (const std::uint64_t next = io->next_event_ns(); next != ~0ULL) system->advance_to(next);
    io->enter(0);
    std::array<Reaped, 4> reaped;
    while (const std::uint32_t count = io->reap(reaped)) {
      for (std::uint32_t index = 0; index < count; ++index) {
        reaped[index].completion->on_complete(reaped[index].result);
        order.push_back(reaped[index].completion);
      }
    }
  }
  void run_all() {
    while (io->in_flight() != 0) run_one();
  }
  /// Block `index` of the image: the one value it is full of, or -1 if it is mixed.
  int value_of(std::uint32_t index) {
    const std::vector<std::byte> data = *disk->read_all("/f");
    const auto begin = data.begin() + static_cast<std::ptrdiff_t>(index * kBlockBytes);
    return std::all_of(begin, begin + kBlockBytes, [begin](std::byte value) { return value == *begin; })
               ? static_cast<int>(*begin)
               : -1;
  }

  std::unique_ptr<SimDisk> disk;
  std::unique_ptr<SimSystem> system;
  std::unique_ptr<SimIo> io;
  Fd file = Fd::kNone;
  AlignedBuffer buffer{kBlocks * kBlockBytes};
  std::vector<Slot> slots;
  std::vector<Completion*> order;
};

TEST_F(SimIoTest, EntriesTakeTimeAndEndInAnyOrder) {
  bool was_reordered = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    boot(seed);
    order.clear();
    for (std::uint32_t index = 0; index < 4; ++index) submit({write_of(index)});
    EXPECT_EQ(io->in_flight(), 4U);
    EXPECT_FALSE(slots[0].result.has_value());
    EXPECT_EQ(value_of(0), 1);
    run_all();
    ASSERT_EQ(order.size(), 4U);
    was_reordered = was_reordered || order.front() != &slots[0];
    for (std::uint32_t index = 0; index < 4; ++index) {
      EXPECT_EQ(slots[index].result, static_cast<std::int32_t>(kBlockBytes));
      EXPECT_EQ(value_of(index), static_cast<int>(index) + 2);
    }
  }
  EXPECT_TRUE(was_reordered);
}

TEST_F(SimIoTest, AChainRunsInOrderAndStopsAtTheFirstFailure) {
  disk->faults().fail_nth(SimEvent::kWrite, 2, -ENOSPC);
  submit({write_of(0), write_of(1), write_of(2), sync_of(0)});
  run_all();
  EXPECT_EQ(order, (std::vector<Completion*>{&slots[0], &slots[1], &slots[2], &slots[kBlocks]}));
  EXPECT_EQ(slots[0].result, static_cast<std::int32_t>(kBlockBytes));
  EXPECT_EQ(slots[1].result, -ENOSPC);
  EXPECT_EQ(slots[2].result, -ECANCELED);
  EXPECT_EQ(slots[kBlocks].result, -ECANCELED);
  EXPECT_EQ(value_of(2), 1);
  EXPECT_EQ(disk->faults().events_of(SimEvent::kSync), 0U);
}

TEST_F(SimIoTest, AShortWriteCancelsTheRestOfItsChainAndLeavesItsPrefix) {
  disk->faults().fail_nth(SimEvent::kWrite, 1, SimFault{.short_bytes = kBlockBytes});
  submit({write_of(0, 3), sync_of(0)});
  run_all();
  EXPECT_EQ(slots[0].result, static_cast<std::int32_t>(2 * kBlockBytes));
  EXPECT_EQ(slots[kBlocks].result, -ECANCELED);
  EXPECT_EQ(value_of(1), 3);
  EXPECT_EQ(value_of(2), 1);
  EXPECT_EQ(io->counters().short_results, 1U);
}

TEST_F(SimIoTest, ASyncCoversItsChainAndWhatWasReapedBeforeAndNothingElse) {
  std::uint32_t uncovered = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    boot(seed);
    submit({write_of(0)});
    run_all();
    submit({write_of(1), sync_of(0)});
    submit({write_of(2)});  // Submitted after the chain: it may end before the sync starts, and is not covered even then.
    submit({write_of(3), sync_of(1)});
    while (!slots[kBlocks].result.has_value()) run_one();
    if (slots[2].result.has_value() && !slots[kBlocks + 1].result.has_value()) ++uncovered;
    const bool is_other_synced = slots[kBlocks + 1].result.has_value();
    disk->cut_power({.data = SimCut::Data::kNone});
    EXPECT_EQ(value_of(0), 2);
    EXPECT_EQ(value_of(1), 3);
    EXPECT_EQ(value_of(2), 1) << "seed " << seed;
    EXPECT_EQ(value_of(3), is_other_synced ? 5 : 1);
  }
  EXPECT_GT(uncovered, 5U);
}

TEST_F(SimIoTest, ASyncTakesEffectAtItsCompletion) {
  submit({write_of(0)});
  run_all();
  submit({sync_of(0)});
  disk->cut_power({.data = SimCut::Data::kNone});
  EXPECT_EQ(value_of(0), 1);
  run_all();
  EXPECT_EQ(slots[kBlocks].result, -EIO);
}

TEST_F(SimIoTest, AWriteInFlightAtTheCutIsLostKeptTornOrNoise) {
  std::uint32_t lost = 0;
  std::uint32_t kept = 0;
  std::uint32_t torn = 0;
  std::uint32_t noise = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    boot(seed);
    submit({write_of(0), write_of(1)});
    disk->power_off();
    run_all();
    EXPECT_EQ(slots[0].result, -EIO);
    EXPECT_EQ(slots[1].result, -ECANCELED);
    std::memset(buffer.data(), 0x77, kBlockBytes);  // The buffer is the caller's again.
    disk->cut_power(seed);
    const int value = value_of(0);
    if (value == 1) ++lost;
    if (value == 2) ++kept;
    if (value == -1) ++torn;
    const std::vector<std::byte> data = *disk->read_all("/f");
    const auto is_foreign = [](std::byte byte) { return byte != std::byte{1} && byte != std::byte{2}; };
    if (std::any_of(data.begin(), data.begin() + kBlockBytes, is_foreign)) ++noise;
    EXPECT_EQ(value_of(1), 1);  // It had not started.
  }
  EXPECT_GT(lost, 10U);
  EXPECT_GT(kept, 10U);
  EXPECT_GT(torn, 50U);
  EXPECT_GT(noise, 5U);
  EXPECT_LT(noise, 60U);
}

TEST_F(SimIoTest, AKilledProcessesWriteInFlightHappensOrNot) {
  std::uint32_t happened = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    boot(seed);
    submit({write_of(0)});
    run_all();
    submit({write_of(1)});
    disk->kill_process(seed);
    EXPECT_EQ(value_of(0), 2);
    ASSERT_TRUE(value_of(1) == 1 || value_of(1) == 3);
    if (value_of(1) == 3) ++happened;
    run_all();
    EXPECT_EQ(slots[1].result, -EIO);
  }
  EXPECT_GT(happened, 10U);
  EXPECT_LT(happened, 40U);
}

TEST_F(SimIoTest, PowerThatGoesOffAtAnEntryEndsEverythingInFlight) {
  for (std::uint32_t index = 0; index < 6; ++index) submit({write_of(index)});
  disk->cut_at(disk->faults().events() + 3);
  run_all();
  const auto succeeded = std::count_if(slots.begin(), slots.end(), [](const Slot& slot) { return slot.result > 0; });
  const auto failed = std::count_if(slots.begin(), slots.end(), [](const Slot& slot) { return slot.result == -EIO; });
  EXPECT_EQ(succeeded, 2);
  EXPECT_EQ(failed, 4);
  submit({write_of(7), sync_of(0)});  // Afterwards too.
  run_all();
  EXPECT_EQ(slots[7].result, -EIO);
  EXPECT_EQ(slots[kBlocks].result, -ECANCELED);
  disk->cut_power(SimCut{.data = SimCut::Data::kAll});
  EXPECT_EQ(value_of(7), 1);
}

TEST_F(SimIoTest, RoomShrinksWithEveryPreparedEntryUntilTheNextEnter) {
  EXPECT_EQ(io->room(), 8U);
  const std::array<Entry, 1> first{write_of(0)};
  io->prepare(first);
  EXPECT_EQ(io->room(), 7U);
  EXPECT_EQ(io->next_event_ns(), 0U);
  io->enter(0);
  EXPECT_EQ(io->room(), 8U);
  EXPECT_EQ(io->in_flight(), 1U);
}

TEST_F(SimIoTest, ReadsSeeCompletedWritesAndEndWithTheFile) {
  submit({write_of(3)});
  run_all();
  AlignedBuffer target(2 * kBlockBytes);
  Entry read{.op = Op::kRead,
             .file = file,
             .bytes = 2 * kBlockBytes,
             .offset = 3 * kBlockBytes,
             .buffer = target.data(),
             .completion = &slots[0]};
  submit({read});
  run_all();
  EXPECT_EQ(slots[0].result, static_cast<std::int32_t>(2 * kBlockBytes));
  EXPECT_EQ(target.data()[0], std::byte{5});
  EXPECT_EQ(target.data()[kBlockBytes], std::byte{1});
  read.offset = (kBlocks - 1) * kBlockBytes;
  submit({read});
  run_all();
  EXPECT_EQ(slots[0].result, static_cast<std::int32_t>(kBlockBytes));
  read.offset = 1;
  submit({read});
  run_all();
  EXPECT_EQ(slots[0].result, -EINVAL);
}

TEST_F(SimIoTest, BlockingEntriesAreSparedTryAgain) {
  disk->faults().set_rates({.again_one_in = 1});
  submit({write_of(0)});
  Entry blocking = write_of(1);
  blocking.blocking = true;
  submit({blocking});
  run_all();
  EXPECT_EQ(slots[0].result, -EAGAIN);
  EXPECT_EQ(slots[1].result, static_cast<std::int32_t>(kBlockBytes));
  EXPECT_EQ(io->counters().again, 1U);
}

TEST_F(SimIoTest, AHeldLockOutlivesItsFileNumberUntilTheIoIsGone) {
  const Fd lock = *system->lock_file("/LOCK", true);
  ASSERT_TRUE(io->hold_file(lock).is_ok());
  system->close_file(lock);
  SimSystem other(*disk);
  EXPECT_TRUE(other.lock_file("/LOCK", true).error().is(Code::kBusy));
  io.reset();
  EXPECT_TRUE(other.lock_file("/LOCK", true).has_value());
}

/// Run in a new process: a forked child has no AlignedBuffer of its parent's.
class SimIoDeathTest : public SimIoTest {
 protected:
  SimIoDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(SimIoDeathTest, ABufferChangedInFlightIsCaught) {
  submit({write_of(0)});
  buffer.data()[17] = std::byte{0};
  EXPECT_DEATH(run_all(), "checksum");
  buffer.data()[17] = std::byte{2};
}

TEST_F(SimIoDeathTest, ClosingAFileWithAnEntryInFlightIsCaught) {
  submit({write_of(0)});
  EXPECT_DEATH(system->close_file(file), "in_flight");
}

}  // namespace
}  // namespace penstock::reactor
