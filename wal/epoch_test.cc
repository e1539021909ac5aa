// EPOCH keeps one valid slot whatever happens to the other, and never answers with bytes that are not ours.
#include <gtest/gtest.h>

#include "reactor/sim_world.h"
#include "wal/epoch_format.h"
#include "wal/test_log.h"

namespace penstock::wal {
namespace {

constexpr const char* kPath = "/EPOCH";

EpochState state_of(std::uint64_t generation) {
  EpochState state;
  state.generation = generation;
  state.epoch = static_cast<std::uint32_t>(generation + 10);
  state.reactors = 3;
  state.old_epochs = {{.epoch = 4, .ends = {4096, 0}}, {.epoch = 9, .ends = {8192, 1_MiB, 77 * 4096}}};
  if (generation % 3 == 0) {
    state.clean = true;
    state.clean_ends = {1, 2, generation};
    state.shard_generations = {9, 8, 7, 6, generation};
  }
  return state;
}

void expect_same(const EpochState& left, const EpochState& right) {
  EXPECT_EQ(left.generation, right.generation);
  EXPECT_EQ(left.epoch, right.epoch);
  EXPECT_EQ(left.reactors, right.reactors);
  EXPECT_EQ(left.clean, right.clean);
  EXPECT_EQ(left.clean_ends, right.clean_ends);
  EXPECT_EQ(left.shard_generations, right.shard_generations);
  ASSERT_EQ(left.old_epochs.size(), right.old_epochs.size());
  for (std::size_t index = 0; index < left.old_epochs.size(); ++index) {
    EXPECT_EQ(left.old_epochs[index].epoch, right.old_epochs[index].epoch);
    EXPECT_EQ(left.old_epochs[index].ends, right.old_epochs[index].ends);
  }
}

class EpochTest : public ::testing::Test {
 protected:
  reactor::System& system() { return world_.system(); }
  void write(std::uint64_t generation) {
    ASSERT_TRUE(write_epoch(system(), kPath, kTestIdentity, state_of(generation), generation == 1).is_ok());
  }

  reactor::SimDisk disk_{1};
  reactor::SimWorld world_{disk_};
};

TEST_F(EpochTest, TheNewestOfTwoSlotsIsRead) {
  for (std::uint64_t generation = 1; generation <= 7; ++generation) {
    write(generation);
    const auto read = read_epoch(system(), kPath, kTestIdentity);
    ASSERT_TRUE(read.has_value()) << read.error().text;
    expect_same(*read, state_of(generation));
  }
}

TEST_F(EpochTest, ADamagedSlotLeavesTheOther) {
  write(1);
  write(2);
  write(3);  // In slot 1; slot 0 has generation 2.
  const std::uint64_t used_bytes = 128 + (8 + 16) + (8 + 24) + (8 * 8);
  for (std::uint64_t offset = 0; offset < used_bytes; ++offset) {
    ASSERT_TRUE(disk_.flip_byte(kPath, kEpochSlotBytes + offset, 0x21).is_ok());
    const auto read = read_epoch(system(), kPath, kTestIdentity);
    ASSERT_TRUE(read.has_value()) << offset;
    EXPECT_EQ(read->generation, 2U) << offset;
    ASSERT_TRUE(disk_.flip_byte(kPath, kEpochSlotBytes + offset, 0x21).is_ok());
  }
  EXPECT_EQ(read_epoch(system(), kPath, kTestIdentity)->generation, 3U);
}

TEST_F(EpochTest, NoValidSlotIsCorruption) {
  write(1);
  write(2);
  ASSERT_TRUE(disk_.flip_byte(kPath, 20, 1).is_ok());
  ASSERT_TRUE(disk_.flip_byte(kPath, kEpochSlotBytes + 60, 1).is_ok());
  const auto read = read_epoch(system(), kPath, kTestIdentity);
  ASSERT_FALSE(read.has_value());
  EXPECT_TRUE(read.error().status.is(Code::kCorruption));
  EXPECT_NE(read.error().text.find(kPath), std::string::npos);
  EXPECT_TRUE(read_epoch(system(), "/absent", kTestIdentity).error().status.is(Code::kCorruption));
}

TEST_F(EpochTest, AnotherDatabasesFileIsNotTaken) {
  write(1);
  Identity other = kTestIdentity;
  other.uuid_high++;
  EXPECT_FALSE(read_epoch(system(), kPath, other).has_value());
  other = kTestIdentity;
  other.incarnation++;
  EXPECT_FALSE(read_epoch(system(), kPath, other).has_value());
}

TEST_F(EpochTest, ANewerVersionIsNotSupported) {
  write(1);
  auto bytes = *disk_.read_all(kPath);
  const std::span<std::byte> slot = std::span(bytes).subspan(kEpochSlotBytes, kEpochSlotBytes);
  auto header = base::load<EpochHeader>(slot);
  header.version = 2;
  base::store(slot, header);
  header.checksum = base::checksum(slot.subspan(16, sizeof(EpochHeader) - 16 + header.body_bytes.get()));
  base::store(slot, header);
  ASSERT_TRUE(disk_.write_all(kPath, bytes).is_ok());
  const auto read = read_epoch(system(), kPath, kTestIdentity);
  ASSERT_FALSE(read.has_value());
  EXPECT_TRUE(read.error().status.is(Code::kNotSupported));
}

TEST_F(EpochTest, AStateThatDoesNotFitIsRefused) {
  EpochState state = state_of(1);
  state.old_epochs.front().ends.resize(9000);
  EXPECT_TRUE(write_epoch(system(), kPath, kTestIdentity, state, true).is(Code::kTooLarge));
}

TEST(EpochCrash, APowerCutDuringAWriteLeavesTheOldOrTheNewState) {
  for (std::uint64_t cut = 1; cut <= 4; ++cut) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      reactor::SimDisk disk(seed);
      bool was_written = false;
      {
        reactor::SimWorld world(disk);
        ASSERT_TRUE(write_epoch(world.system(), kPath, kTestIdentity, state_of(1), true).is_ok());
        ASSERT_TRUE(write_epoch(world.system(), kPath, kTestIdentity, state_of(2), false).is_ok());
        disk.cut_at(disk.faults().events() + cut);
        was_written = write_epoch(world.system(), kPath, kTestIdentity, state_of(3), false).is_ok();
      }
      disk.cut_power(seed);
      reactor::SimWorld world(disk);
      const auto read = read_epoch(world.system(), kPath, kTestIdentity);
      ASSERT_TRUE(read.has_value()) << read.error().text;
      if (was_written) {
        EXPECT_EQ(read->generation, 3U);
      }
      EXPECT_GE(read->generation, 2U);
      expect_same(*read, state_of(read->generation));
    }
  }
}

}  // namespace
}  // namespace penstock::wal
