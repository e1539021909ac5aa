// Files of version 1 stay readable, this version still makes them byte for byte, and the pages of docs/formats show them as
// they are.
#include <gtest/gtest.h>

#include "wal/test_golden.h"

namespace penstock::wal {
namespace {

TEST(GoldenLog, SegmentOfVersion1IsReadAndWritten) {
  const std::vector<std::byte> golden = read_repository_file("tests/golden/log/v1/3-1-0");
  ASSERT_FALSE(golden.empty());
  EXPECT_TRUE(golden == golden_segment());
  reactor::SimDisk disk(1);
  {
    reactor::SimWorld world(disk);
    ASSERT_TRUE(world.system().make_directory(kTestDirectory).is_ok());
    ASSERT_TRUE(world.system().sync_directory("/").is_ok());
  }
  ASSERT_TRUE(disk.write_all("/log/3-1-0", golden).is_ok());
  Collector collector;
  const Outcome<ReadResult> result = read_from(disk, test_read_options(test_options()), collector);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->groups, 2U);
  EXPECT_EQ(result->records, 2U);
  EXPECT_EQ(result->end, 2U * kLogBlockBytes);
  EXPECT_EQ(result->durable_offset, std::uint64_t{kLogBlockBytes});
  EXPECT_TRUE(collector.records == golden_records());
}

TEST(GoldenLog, ThePageShowsTheSegment) {
  const std::vector<std::byte> golden = read_repository_file("tests/golden/log/v1/3-1-0");
  ASSERT_FALSE(golden.empty());
  EXPECT_TRUE(dumped_bytes("docs/formats/log.md", golden.size()) == golden);
}

TEST(GoldenEpoch, FileOfVersion1IsReadAndWritten) {
  const std::vector<std::byte> golden = read_repository_file("tests/golden/epoch/v1/EPOCH");
  ASSERT_FALSE(golden.empty());
  EXPECT_TRUE(golden == golden_epoch());
  reactor::SimDisk disk(1);
  ASSERT_TRUE(disk.write_all("/EPOCH", golden).is_ok());
  reactor::SimWorld world(disk);
  const Outcome<EpochState> state = read_epoch(world.system(), "/EPOCH", kTestIdentity);
  ASSERT_TRUE(state.has_value()) << state.error().text;
  const EpochState expected = golden_epoch_state();
  EXPECT_EQ(state->generation, expected.generation);
  EXPECT_EQ(state->epoch, expected.epoch);
  EXPECT_EQ(state->reactors, expected.reactors);
  EXPECT_TRUE(state->clean);
  EXPECT_EQ(state->clean_ends, expected.clean_ends);
  EXPECT_EQ(state->shard_generations, expected.shard_generations);
  ASSERT_EQ(state->old_epochs.size(), 2U);
  EXPECT_EQ(state->old_epochs[1].ends, expected.old_epochs[1].ends);
}

TEST(GoldenEpoch, ThePageShowsTheFile) {
  const std::vector<std::byte> golden = read_repository_file("tests/golden/epoch/v1/EPOCH");
  ASSERT_FALSE(golden.empty());
  EXPECT_TRUE(dumped_bytes("docs/formats/epoch.md", golden.size()) == golden);
}

}  // namespace
}  // namespace penstock::wal
