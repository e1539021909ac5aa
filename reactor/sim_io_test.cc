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
    disk_ = std::make_unique<SimDisk>(seed);
    EXPECT_TRUE(disk_->write_all("/f", std::vector<std::byte>(kBlocks * kBlockBytes, std::byte{1})).is_ok());
    system_ = std::make_unique<SimSystem>(*disk_, SimSystemOptions{.seed = seed});
    io_ = std::make_unique<SimIo>(*system_, 8);
    file_ = *system_->open_file("/f", {});
    for (std::uint32_t index = 0; index < kBlocks; ++index) {
      std::memset(buffer_.data() + (index * kBlockBytes), static_cast<int>(index) + 2, kBlockBytes);
    }
    slots_.assign(kBlocks * 2, Slot());
  }
  void shut_down() {
    if (io_ != nullptr) run_all();
    if (system_ != nullptr && file_ != Fd::kNone) system_->close_file(file_);
    io_.reset();
    system_.reset();
  }
  Entry write_of(std::uint32_t index, std::uint32_t blocks = 1) {
    return {.op = Op::kWrite,
            .file = file_,
            .bytes = blocks * kBlockBytes,
            .offset = std::uint64_t{index} * kBlockBytes,
            .buffer = buffer_.data() + (index * kBlockBytes),
            .completion = &slots_[index]};
  }
  Entry sync_of(std::uint32_t slot) { return {.op = Op::kSyncData, .file = file_, .completion = &slots_[kBlocks + slot]}; }
  void submit(std::vector<Entry> chain) {
    for (std::size_t index = 0; index + 1 < chain.size(); ++index) chain[index].link = true;
    io_->prepare(chain);
    io_->enter(0);
  }
  /// Moves the clock to the next event and collects.
  void run_one() {
    if (const std::uint64_t next = io_->next_event_ns(); next != ~0ULL) system_->advance_to(next);
    io_->enter(0);
    std::array<Reaped, 4> reaped;
    while (const std::uint32_t count = io_->reap(reaped)) {
      for (std::uint32_t index = 0; index < count; ++index) {
        reaped[index].completion->on_complete(reaped[index].result);
        order_.push_back(reaped[index].completion);
      }
    }
  }
  void run_all() {
    while (io_->in_flight() != 0) run_one();
  }
  /// Block `index` of the image: the one value it is full of, or -1 if it is mixed.
  int value_of(std::uint32_t index) {
    const std::vector<std::byte> data = *disk_->read_all("/f");
    const auto begin = data.begin() + (std::ptrdiff_t{index} * std::ptrdiff_t{kBlockBytes});
    return std::all_of(begin, begin + kBlockBytes, [begin](std::byte value) { return value == *begin; })
               ? static_cast<int>(*begin)
               : -1;
  }

  std::unique_ptr<SimDisk> disk_;
  std::unique_ptr<SimSystem> system_;
  std::unique_ptr<SimIo> io_;
  Fd file_ = Fd::kNone;
  AlignedBuffer buffer_{kBlocks * kBlockBytes};
  std::vector<Slot> slots_;
  std::vector<Completion*> order_;
};

TEST_F(SimIoTest, EntriesTakeTimeAndEndInAnyOrder) {
  bool was_reordered = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    boot(seed);
    order_.clear();
    for (std::uint32_t index = 0; index < 4; ++index) submit({write_of(index)});
    EXPECT_EQ(io_->in_flight(), 4U);
    EXPECT_FALSE(slots_[0].result.has_value());
    EXPECT_EQ(value_of(0), 1);
    run_all();
    ASSERT_EQ(order_.size(), 4U);
    was_reordered = was_reordered || order_.front() != &slots_[0];
    for (std::uint32_t index = 0; index < 4; ++index) {
      EXPECT_EQ(slots_[index].result, static_cast<std::int32_t>(kBlockBytes));
      EXPECT_EQ(value_of(index), static_cast<int>(index) + 2);
    }
  }
  EXPECT_TRUE(was_reordered);
}

TEST_F(SimIoTest, AChainRunsInOrderAndStopsAtTheFirstFailure) {
  disk_->faults().fail_nth(SimEvent::kWrite, 2, -ENOSPC);
  submit({write_of(0), write_of(1), write_of(2), sync_of(0)});
  run_all();
  EXPECT_EQ(order_, (std::vector<Completion*>{&slots_[0], &slots_[1], &slots_[2], &slots_[kBlocks]}));
  EXPECT_EQ(slots_[0].result, static_cast<std::int32_t>(kBlockBytes));
  EXPECT_EQ(slots_[1].result, -ENOSPC);
  EXPECT_EQ(slots_[2].result, -ECANCELED);
  EXPECT_EQ(slots_[kBlocks].result, -ECANCELED);
  EXPECT_EQ(value_of(2), 1);
  EXPECT_EQ(disk_->faults().events_of(SimEvent::kSync), 0U);
}

TEST_F(SimIoTest, AShortWriteCancelsTheRestOfItsChainAndLeavesItsPrefix) {
  disk_->faults().fail_nth(SimEvent::kWrite, 1, SimFault{.short_bytes = kBlockBytes});
  submit({write_of(0, 3), sync_of(0)});
  run_all();
  EXPECT_EQ(slots_[0].result, static_cast<std::int32_t>(2 * kBlockBytes));
  EXPECT_EQ(slots_[kBlocks].result, -ECANCELED);
  EXPECT_EQ(value_of(1), 3);
  EXPECT_EQ(value_of(2), 1);
  EXPECT_EQ(io_->counters().short_results, 1U);
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
    while (!slots_[kBlocks].result.has_value()) run_one();
    if (slots_[2].result.has_value() && !slots_[kBlocks + 1].result.has_value()) ++uncovered;
    const bool is_other_synced = slots_[kBlocks + 1].result.has_value();
    disk_->cut_power({.data = SimCut::Data::kNone});
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
  disk_->cut_power({.data = SimCut::Data::kNone});
  EXPECT_EQ(value_of(0), 1);
  run_all();
  EXPECT_EQ(slots_[kBlocks].result, -EIO);
}

TEST_F(SimIoTest, AWriteInFlightAtTheCutIsLostKeptTornOrNoise) {
  std::uint32_t lost = 0;
  std::uint32_t kept = 0;
  std::uint32_t torn = 0;
  std::uint32_t noise = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    boot(seed);
    submit({write_of(0), write_of(1)});
    disk_->power_off();
    run_all();
    EXPECT_EQ(slots_[0].result, -EIO);
    EXPECT_EQ(slots_[1].result, -ECANCELED);
    std::memset(buffer_.data(), 0x77, kBlockBytes);  // The buffer is the caller's again.
    disk_->cut_power(seed);
    const int value = value_of(0);
    if (value == 1) ++lost;
    if (value == 2) ++kept;
    if (value == -1) ++torn;
    const std::vector<std::byte> data = *disk_->read_all("/f");
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
    disk_->kill_process(seed);
    EXPECT_EQ(value_of(0), 2);
    ASSERT_TRUE(value_of(1) == 1 || value_of(1) == 3);
    if (value_of(1) == 3) ++happened;
    run_all();
    EXPECT_EQ(slots_[1].result, -EIO);
  }
  EXPECT_GT(happened, 10U);
  EXPECT_LT(happened, 40U);
}

TEST_F(SimIoTest, PowerThatGoesOffAtAnEntryEndsEverythingInFlight) {
  for (std::uint32_t index = 0; index < 6; ++index) submit({write_of(index)});
  disk_->cut_at(disk_->faults().events() + 3);
  run_all();
  const auto succeeded = std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.result > 0; });
  const auto failed = std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.result == -EIO; });
  EXPECT_EQ(succeeded, 2);
  EXPECT_EQ(failed, 4);
  submit({write_of(7), sync_of(0)});  // Afterwards too.
  run_all();
  EXPECT_EQ(slots_[7].result, -EIO);
  EXPECT_EQ(slots_[kBlocks].result, -ECANCELED);
  disk_->cut_power(SimCut{.data = SimCut::Data::kAll});
  EXPECT_EQ(value_of(7), 1);
}

TEST_F(SimIoTest, RoomShrinksWithEveryPreparedEntryUntilTheNextEnter) {
  EXPECT_EQ(io_->room(), 8U);
  const std::array<Entry, 1> first{write_of(0)};
  io_->prepare(first);
  EXPECT_EQ(io_->room(), 7U);
  EXPECT_EQ(io_->next_event_ns(), 0U);
  io_->enter(0);
  EXPECT_EQ(io_->room(), 8U);
  EXPECT_EQ(io_->in_flight(), 1U);
}

TEST_F(SimIoTest, ReadsSeeCompletedWritesAndEndWithTheFile) {
  submit({write_of(3)});
  run_all();
  AlignedBuffer target(2 * kBlockBytes);
  Entry read{.op = Op::kRead,
             .file = file_,
             .bytes = 2 * kBlockBytes,
             .offset = 3 * kBlockBytes,
             .buffer = target.data(),
             .completion = &slots_[0]};
  submit({read});
  run_all();
  EXPECT_EQ(slots_[0].result, static_cast<std::int32_t>(2 * kBlockBytes));
  EXPECT_EQ(target.data()[0], std::byte{5});
  EXPECT_EQ(target.data()[kBlockBytes], std::byte{1});
  read.offset = (kBlocks - 1) * kBlockBytes;
  submit({read});
  run_all();
  EXPECT_EQ(slots_[0].result, static_cast<std::int32_t>(kBlockBytes));
  read.offset = 1;
  submit({read});
  run_all();
  EXPECT_EQ(slots_[0].result, -EINVAL);
}

TEST_F(SimIoTest, BlockingEntriesAreSparedTryAgain) {
  disk_->faults().set_rates({.again_one_in = 1});
  submit({write_of(0)});
  Entry blocking = write_of(1);
  blocking.blocking = true;
  submit({blocking});
  run_all();
  EXPECT_EQ(slots_[0].result, -EAGAIN);
  EXPECT_EQ(slots_[1].result, static_cast<std::int32_t>(kBlockBytes));
  EXPECT_EQ(io_->counters().again, 1U);
}

TEST_F(SimIoTest, AWriteThatIsLostOrMisdirectedSaysThatItWentWell) {
  SimRates rates;
  rates.path_part = "/f";
  rates.lost_one_in = 1;
  disk_->faults().set_rates(rates);
  submit({write_of(0)});
  run_all();
  EXPECT_EQ(slots_[0].result, static_cast<std::int32_t>(kBlockBytes));
  EXPECT_EQ(disk_->unsynced_bytes(), 0U);
  rates.lost_one_in = 0;
  rates.misdirected_one_in = 1;
  disk_->faults().set_rates(rates);
  for (std::uint32_t count = 0; count < 20; ++count) {
    submit({write_of(0)});
    run_all();
    EXPECT_EQ(slots_[0].result, static_cast<std::int32_t>(kBlockBytes));
  }
  EXPECT_GT(disk_->unsynced_bytes(), 0U);
  EXPECT_EQ(disk_->faults().lies(), 21U);
  rates.path_part = "/other";
  disk_->faults().set_rates(rates);
  submit({write_of(0)});
  run_all();
  EXPECT_EQ(disk_->faults().lies(), 21U);
}

TEST_F(SimIoTest, AHeldLockOutlivesItsFileNumberUntilTheIoIsGone) {
  const Fd lock = *system_->lock_file("/LOCK", true);
  ASSERT_TRUE(io_->hold_file(lock).is_ok());
  system_->close_file(lock);
  SimSystem other(*disk_);
  EXPECT_TRUE(other.lock_file("/LOCK", true).error().is(Code::kBusy));
  io_.reset();
  EXPECT_TRUE(other.lock_file("/LOCK", true).has_value());
}

/// Run in a new process: a forked child has no AlignedBuffer of its parent's.
class SimIoDeathTest : public SimIoTest {
 protected:
  SimIoDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(SimIoDeathTest, ABufferChangedInFlightIsCaught) {
  submit({write_of(0)});
  buffer_.data()[17] = std::byte{0};
  EXPECT_DEATH(run_all(), "checksum");
  buffer_.data()[17] = std::byte{2};
}

TEST_F(SimIoDeathTest, ClosingAFileWithAnEntryInFlightIsCaught) {
  submit({write_of(0)});
  EXPECT_DEATH(system_->close_file(file_), "in_flight");
}

}  // namespace
}  // namespace penstock::reactor
