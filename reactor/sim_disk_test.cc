#include "reactor/sim_disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "reactor/buffer.h"
#include "reactor/sim_system.h"

namespace penstock::reactor {
namespace {

constexpr std::uint64_t kSeeds = 200;

OpenOptions creating() {
  OpenOptions options;
  options.create = true;
  return options;
}

/// A file opened (and made) on a system, written block by block with one value each.
class TestFile {
 public:
  TestFile(SimSystem& system, const std::string& path) : system_(system), buffer_(1U << 20U) {
    const Result<Fd> fd = system.open_file(path, creating());
    if (fd.has_value()) file_ = File(system, *fd);
    EXPECT_TRUE(fd.has_value());
  }
  Status write(std::uint64_t offset, std::size_t bytes, int value) {
    std::memset(buffer_.data(), value, bytes);
    return system_.write_file(file_.fd(), offset, buffer_.span().first(bytes));
  }
  Status sync() { return system_.sync_file(file_.fd()); }
  Fd fd() const { return file_.fd(); }

 private:
  SimSystem& system_;
  AlignedBuffer buffer_;
  File file_;
};

/// A disk with a durable file /f of `blocks` blocks of ones.
std::unique_ptr<SimDisk> disk_with_file(std::size_t blocks) {
  auto disk = std::make_unique<SimDisk>(1);
  const std::vector<std::byte> ones(blocks * kBlockBytes, std::byte{1});
  EXPECT_TRUE(disk->write_all("/f", ones).is_ok());
  return disk;
}

std::size_t count_of(const SimDisk& disk, const std::string& path, int value) {
  const Result<std::vector<std::byte>> data = disk.read_all(path);
  if (!data.has_value()) return 0;
  return static_cast<std::size_t>(std::count(data->begin(), data->end(), static_cast<std::byte>(value)));
}

// --- data ---

TEST(SimDisk, AWriteInFlightIsTornWhereTheCutSays) {
  for (std::uint64_t sectors = 0; sectors <= 8; ++sectors) {
    const std::unique_ptr<SimDisk> disk = disk_with_file(1);
    SimSystem system(*disk);
    const std::vector<std::byte> sevens(kBlockBytes, std::byte{7});
    const Result<std::shared_ptr<SimInode>> inode = disk->open("/f", {});
    ASSERT_TRUE(inode.has_value());
    disk->begin_write(*inode, 0, sevens);
    disk->power_off();
    EXPECT_EQ(disk->interrupted_sectors(), 8U);
    disk->cut_power({.data = SimCut::Data::kNone, .names = SimCut::Names::kNone, .in_flight_sectors = sectors});
    EXPECT_EQ(count_of(*disk, "/f", 7), sectors * kSimSectorBytes);
    EXPECT_EQ(count_of(*disk, "/f", 1), kBlockBytes - (sectors * kSimSectorBytes));
  }
}

TEST(SimDisk, AnUnreadableBlockIsReadAgainOnceItIsWritten) {
  const std::unique_ptr<SimDisk> disk = disk_with_file(3);
  ASSERT_TRUE(disk->make_unreadable("/f", kBlockBytes, 1).is_ok());
  EXPECT_TRUE(disk->make_unreadable("/absent", 0, 1).is(Code::kNotFound));
  SimSystem system(*disk);
  TestFile file(system, "/f");
  const AlignedBuffer buffer(3 * kBlockBytes);
  EXPECT_TRUE(system.read_file(file.fd(), 0, buffer.span().first(kBlockBytes)).is_ok());
  EXPECT_EQ(system.read_file(file.fd(), 0, buffer.span()).error_number(), EIO);
  ASSERT_TRUE(file.write(kBlockBytes, kBlockBytes, 2).is_ok());
  EXPECT_TRUE(system.read_file(file.fd(), 0, buffer.span()).is_ok());
}

TEST(SimDisk, WhatAFailedSyncLostIsSeenUntilTheProcessHasGone) {
  const std::unique_ptr<SimDisk> disk = disk_with_file(2);
  {
    SimSystem system(*disk);
    TestFile file(system, "/f");
    ASSERT_TRUE(file.write(0, kBlockBytes, 2).is_ok());
    disk->faults().fail_nth(SimEvent::kSync, 1, {.result = -EIO, .short_bytes = 0, .sync_loss = SimSyncLoss::kLost});
    EXPECT_FALSE(file.sync().is_ok());
    ASSERT_TRUE(file.write(kBlockBytes, kBlockBytes, 3).is_ok());
    EXPECT_EQ(count_of(*disk, "/f", 2), kBlockBytes);
  }
  disk->kill_process(1);
  EXPECT_EQ(count_of(*disk, "/f", 2), 0U);
  EXPECT_EQ(count_of(*disk, "/f", 1), kBlockBytes);
  EXPECT_EQ(count_of(*disk, "/f", 3), kBlockBytes);
}

TEST(SimDisk, ListingsAreCountedLikeOtherEvents) {
  SimDisk disk(1);
  SimSystem system(disk);
  ASSERT_TRUE(system.list_directory("/").has_value());
  EXPECT_EQ(disk.faults().events_of(SimEvent::kList), 1U);
  EXPECT_EQ(disk.faults().struck(), 0U);
}

TEST(SimDisk, SyncedDataSurvivesEveryCut) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimDisk disk(seed);
    SimSystem system(disk);
    TestFile file(system, "/f");
    ASSERT_TRUE(file.write(0, 3 * kBlockBytes, 7).is_ok());
    ASSERT_TRUE(file.sync().is_ok());
    ASSERT_TRUE(system.sync_directory("/").is_ok());
    ASSERT_TRUE(file.write(3 * kBlockBytes, kBlockBytes, 8).is_ok());  // Behind it, unsynced.
    disk.cut_power(seed);
    ASSERT_GE(disk.read_all("/f")->size(), 3U * kBlockBytes) << "seed " << seed;
    ASSERT_EQ(count_of(disk, "/f", 7), 3U * kBlockBytes) << "seed " << seed;
  }
}

TEST(SimDisk, UnsyncedDataIsLostKeptOrTornBySectors) {
  std::uint32_t lost = 0;
  std::uint32_t kept = 0;
  std::uint32_t torn = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto disk = disk_with_file(4);
    SimSystem system(*disk);
    TestFile file(system, "/f");
    ASSERT_TRUE(file.write(0, 4 * kBlockBytes, 2).is_ok());
    ASSERT_EQ(count_of(*disk, "/f", 2), 4U * kBlockBytes);  // Readers see it.
    EXPECT_EQ(disk->unsynced_bytes(), 4U * kBlockBytes);
    disk->cut_power(seed);
    const std::size_t changed = count_of(*disk, "/f", 2);
    ASSERT_EQ(count_of(*disk, "/f", 1), (4U * kBlockBytes) - changed);
    ASSERT_EQ(changed % kSimSectorBytes, 0U);
    if (changed == 0) ++lost;
    if (changed == 4U * kBlockBytes) ++kept;
    if (changed != 0 && changed != 4U * kBlockBytes) ++torn;
  }
  EXPECT_GT(lost, 10U);
  EXPECT_GT(kept, 10U);
  EXPECT_GT(torn, 50U);
}

TEST(SimDisk, ALaterUnsyncedWriteCanSurviveWithoutAnEarlierOne) {
  std::uint32_t reordered = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto disk = disk_with_file(1);
    ASSERT_TRUE(disk->write_all("/g", std::vector<std::byte>(kBlockBytes, std::byte{1})).is_ok());
    SimSystem system(*disk);
    TestFile first(system, "/f");
    TestFile second(system, "/g");
    ASSERT_TRUE(first.write(0, kBlockBytes, 2).is_ok());
    ASSERT_TRUE(second.write(0, kBlockBytes, 2).is_ok());
    disk->cut_power(seed);
    if (count_of(*disk, "/f", 2) == 0 && count_of(*disk, "/g", 2) == kBlockBytes) ++reordered;
  }
  EXPECT_GT(reordered, 10U);
}

TEST(SimDisk, EachCutModeDoesWhatItsNameSays) {
  const auto cut_with = [](SimCut::Data mode, std::uint64_t seed) {
    const auto disk = disk_with_file(8);
    SimSystem system(*disk);
    TestFile file(system, "/f");
    for (std::uint64_t index = 0; index < 8; ++index) {
      EXPECT_TRUE(file.write(index * kBlockBytes, kBlockBytes, 2).is_ok());
    }
    disk->cut_power({.data = mode, .seed = seed});
    return *disk->read_all("/f");
  };
  const std::vector<std::byte> old_bytes(8 * kBlockBytes, std::byte{1});
  const std::vector<std::byte> new_bytes(8 * kBlockBytes, std::byte{2});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(cut_with(SimCut::Data::kNone, seed), old_bytes);
    EXPECT_EQ(cut_with(SimCut::Data::kAll, seed), new_bytes);
    const std::vector<std::byte> prefix = cut_with(SimCut::Data::kPrefix, seed);
    EXPECT_TRUE(std::is_sorted(prefix.begin(), prefix.end(), std::greater<>()));
    const std::vector<std::byte> suffix = cut_with(SimCut::Data::kSuffix, seed);
    EXPECT_TRUE(std::is_sorted(suffix.begin(), suffix.end()));
    const std::vector<std::byte> changes = cut_with(SimCut::Data::kChanges, seed);
    for (std::size_t at = 0; at < changes.size(); ++at) ASSERT_EQ(changes[at], changes[at / kBlockBytes * kBlockBytes]);
  }
}

TEST(SimDisk, GrownSizeCanBeLostOrOutliveItsData) {
  std::uint32_t size_lost = 0;
  std::uint32_t data_lost = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto disk = disk_with_file(1);
    SimSystem system(*disk);
    TestFile file(system, "/f");
    ASSERT_TRUE(file.write(kBlockBytes, kBlockBytes, 2).is_ok());
    disk->cut_power(seed);
    const std::vector<std::byte> data = *disk->read_all("/f");
    ASSERT_TRUE(data.size() == kBlockBytes || data.size() == 2 * kBlockBytes);
    if (data.size() == kBlockBytes) ++size_lost;
    if (data.size() == 2 * kBlockBytes && data[kBlockBytes] == std::byte{0}) ++data_lost;
    ASSERT_EQ(data[0], std::byte{1});
  }
  EXPECT_GT(size_lost, 10U);
  EXPECT_GT(data_lost, 10U);
}

TEST(SimDisk, ResizingAndPunchingAreUnsyncedChangesToo) {
  bool was_kept = false;
  bool was_lost = false;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto disk = disk_with_file(4);
    SimSystem system(*disk);
    TestFile file(system, "/f");
    ASSERT_TRUE(system.punch_hole(file.fd(), 0, kBlockBytes).is_ok());
    ASSERT_TRUE(system.resize_file(file.fd(), 2 * kBlockBytes, false).is_ok());
    EXPECT_EQ(disk->used_bytes(), kBlockBytes);
    disk->cut_power(seed);
    const std::vector<std::byte> data = *disk->read_all("/f");
    was_lost = was_lost || (data.size() == 4 * kBlockBytes && count_of(*disk, "/f", 1) == 4 * kBlockBytes);
    was_kept = was_kept || (data.size() == 2 * kBlockBytes && count_of(*disk, "/f", 1) == kBlockBytes);
    ASSERT_LE(disk->used_bytes(), 4 * kBlockBytes);
  }
  EXPECT_TRUE(was_kept);
  EXPECT_TRUE(was_lost);
}

TEST(SimDisk, DurableContentEqualsWhatWasSyncedUnderRandomChanges) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    base::Random random(seed);
    const auto disk = disk_with_file(1);
    SimSystem system(*disk);
    TestFile file(system, "/f");
    std::vector<std::byte> synced = *disk->read_all("/f");
    for (int step = 0; step < 100; ++step) {
      const std::uint64_t block = random.below(16) * kBlockBytes;
      switch (random.below(8)) {
        case 0:
          ASSERT_TRUE(system.resize_file(file.fd(), random.below(16 * kBlockBytes), random.one_in(2)).is_ok());
          break;
        case 1:
          ASSERT_TRUE(system.punch_hole(file.fd(), block, 2 * kBlockBytes).is_ok());
          break;
        case 2:
          ASSERT_TRUE(file.sync().is_ok());
          synced = *disk->read_all("/f");
          break;
        default:
          ASSERT_TRUE(file.write(block, kBlockBytes * (1 + random.below(3)), static_cast<int>(random.below(4))).is_ok());
      }
    }
    disk->cut_power({.data = SimCut::Data::kNone, .seed = seed});
    ASSERT_EQ(*disk->read_all("/f"), synced) << "seed " << seed;
  }
}

// --- syncs that fail ---

TEST(SimDisk, AFailedSyncThatKeepsItsDataLetsTheNextOneMakeItDurable) {
  const auto disk = disk_with_file(1);
  SimSystem system(*disk);
  TestFile file(system, "/f");
  ASSERT_TRUE(file.write(0, kBlockBytes, 2).is_ok());
  disk->faults().fail_nth(SimEvent::kSync, 1, -EIO);
  EXPECT_TRUE(file.sync().is(Code::kIoError));
  EXPECT_TRUE(file.sync().is_ok());
  disk->cut_power({.data = SimCut::Data::kNone});
  EXPECT_EQ(count_of(*disk, "/f", 2), kBlockBytes);
}

TEST(SimDisk, AFailedSyncThatLosesItsDataIsNotHealedByTheNextOne) {
  const auto disk = disk_with_file(1);
  SimSystem system(*disk);
  TestFile file(system, "/f");
  ASSERT_TRUE(file.write(0, kBlockBytes, 2).is_ok());
  disk->faults().fail_nth(SimEvent::kSync, 1, SimFault{.result = -EIO, .sync_loss = SimSyncLoss::kLost});
  EXPECT_TRUE(file.sync().is(Code::kIoError));
  EXPECT_TRUE(file.sync().is_ok());
  EXPECT_EQ(count_of(*disk, "/f", 2), kBlockBytes);  // Still seen.
  disk->cut_power({.data = SimCut::Data::kAll});
  EXPECT_EQ(count_of(*disk, "/f", 1), kBlockBytes);
}

// --- names ---

TEST(SimDisk, ANewNameIsDurableOnlyAfterItsFolderIsSynced) {
  std::uint32_t lost = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimDisk disk(seed);
    SimSystem system(disk);
    TestFile named(system, "/named");
    ASSERT_TRUE(system.sync_directory("/").is_ok());
    TestFile unnamed(system, "/unnamed");
    ASSERT_TRUE(unnamed.sync().is_ok());
    disk.cut_power(seed);
    ASSERT_TRUE(disk.exists("/named"));
    if (!disk.exists("/unnamed")) ++lost;
  }
  EXPECT_GT(lost, 20U);
  EXPECT_LT(lost, kSeeds);
}

TEST(SimDisk, AFolderThatItsParentDoesNotHoldTakesItsFilesAlong) {
  SimDisk disk(1);
  SimSystem system(disk);
  ASSERT_TRUE(system.make_directory("/d").is_ok());
  TestFile file(system, "/d/f");
  ASSERT_TRUE(file.sync().is_ok());
  ASSERT_TRUE(system.sync_directory("/d").is_ok());
  const auto other = disk.clone();
  ASSERT_TRUE(system.sync_directory("/").is_ok());
  disk.cut_power({.names = SimCut::Names::kNone});
  EXPECT_TRUE(disk.exists("/d/f"));
  other->cut_power({.names = SimCut::Names::kNone});
  EXPECT_FALSE(other->exists("/d"));
}

TEST(SimDisk, ARenameIsAtomicAndCanBeLostWithoutAFolderSync) {
  bool was_lost = false;
  bool was_kept = false;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimDisk disk(seed);
    const std::vector<std::byte> ones(kBlockBytes, std::byte{1});
    const std::vector<std::byte> twos(kBlockBytes, std::byte{2});
    ASSERT_TRUE(disk.write_all("/f", ones).is_ok());
    ASSERT_TRUE(disk.write_all("/f.new", twos).is_ok());
    SimSystem system(disk);
    ASSERT_TRUE(system.rename_file("/f.new", "/f").is_ok());
    EXPECT_EQ(disk.used_bytes(), kBlockBytes);
    disk.cut_power(seed);
    const bool is_kept = !disk.exists("/f.new");
    ASSERT_EQ(count_of(disk, "/f", is_kept ? 2 : 1), kBlockBytes);
    ASSERT_EQ(count_of(disk, "/f.new", 2), is_kept ? 0U : kBlockBytes);
    EXPECT_EQ(disk.used_bytes(), is_kept ? kBlockBytes : 2 * kBlockBytes);
    was_lost = was_lost || !is_kept;
    was_kept = was_kept || is_kept;
  }
  EXPECT_TRUE(was_lost);
  EXPECT_TRUE(was_kept);
}

TEST(SimDisk, ARemovedFileComesBackIfItsFolderWasNotSynced) {
  const auto disk = disk_with_file(1);
  SimSystem system(*disk);
  ASSERT_TRUE(system.remove_file("/f").is_ok());
  EXPECT_EQ(disk->used_bytes(), 0U);
  EXPECT_TRUE(system.remove_file("/f").is(Code::kNotFound));
  const auto synced = disk->clone();
  disk->cut_power({.names = SimCut::Names::kNone});
  EXPECT_EQ(count_of(*disk, "/f", 1), kBlockBytes);
  SimSystem other(*synced);
  ASSERT_TRUE(other.sync_directory("/").is_ok());
  synced->cut_power({.names = SimCut::Names::kNone});
  EXPECT_TRUE(synced->list_files().empty());
}

// --- kill, faults, space ---

TEST(SimDisk, AKilledProcessLosesNoCompletedChangeAndItsLocks) {
  SimDisk disk(1);
  SimSystem system(disk);
  TestFile file(system, "/f");
  ASSERT_TRUE(file.write(0, kBlockBytes, 2).is_ok());
  ASSERT_TRUE(system.lock_file("/LOCK", true).has_value());
  disk.kill_process(1);
  EXPECT_TRUE(file.write(0, kBlockBytes, 3).is(Code::kIoError));  // A dead process writes nothing.
  EXPECT_EQ(count_of(disk, "/f", 2), kBlockBytes);
  SimSystem next(disk);
  EXPECT_TRUE(next.lock_file("/LOCK", false).has_value());
  disk.cut_power({.data = SimCut::Data::kNone, .names = SimCut::Names::kNone});
  EXPECT_TRUE(disk.list_files().empty());
}

TEST(SimDisk, NothingHappensFromTheCutEventOn) {
  const auto disk = disk_with_file(1);
  SimSystem system(*disk);
  TestFile file(system, "/f");
  disk->cut_at(disk->faults().events() + 2);
  EXPECT_TRUE(file.write(0, kBlockBytes, 2).is_ok());
  EXPECT_TRUE(file.sync().is(Code::kIoError));
  EXPECT_FALSE(disk->is_powered());
  EXPECT_TRUE(file.write(0, kBlockBytes, 3).is(Code::kIoError));
  EXPECT_TRUE(system.rename_file("/f", "/g").is(Code::kIoError));
  EXPECT_FALSE(system.list_directory("/").has_value());
  disk->cut_power({.data = SimCut::Data::kNone});
  EXPECT_EQ(count_of(*disk, "/f", 1), kBlockBytes);
}

TEST(SimDisk, PlannedFaultsStrikeExactlyWhereTheyWerePlanned) {
  SimDisk disk(1);
  SimSystem system(disk);
  TestFile first(system, "/first");
  TestFile second(system, "/second");
  disk.faults().fail_nth(SimEvent::kWrite, 2, SimFault{.result = -ENOSPC}, "second");
  EXPECT_TRUE(second.write(0, kBlockBytes, 1).is_ok());
  EXPECT_TRUE(first.write(0, kBlockBytes, 1).is_ok());
  EXPECT_TRUE(second.write(0, kBlockBytes, 1).is(Code::kNoSpace));
  EXPECT_TRUE(second.write(0, kBlockBytes, 1).is_ok());
  disk.faults().fail_at(disk.faults().events() + 2, SimFault{.result = -EIO});
  EXPECT_TRUE(first.sync().is_ok());
  EXPECT_TRUE(system.make_directory("/d").is(Code::kIoError));
  disk.faults().fail_from(SimEvent::kRename, 2, SimFault{.result = -EIO});
  EXPECT_TRUE(system.rename_file("/first", "/a").is_ok());
  EXPECT_TRUE(system.rename_file("/a", "/b").is(Code::kIoError));
  EXPECT_TRUE(system.rename_file("/a", "/b").is(Code::kIoError));
  EXPECT_EQ(disk.faults().struck(), 4U);
}

TEST(SimDisk, AFullDiskRefusesGrowthAndNewBlocksButNotOverwrites) {
  SimDisk disk(1, {.capacity_bytes = 4 * kBlockBytes});
  SimSystem system(disk);
  TestFile file(system, "/f");
  TestFile other(system, "/g");
  ASSERT_TRUE(system.resize_file(file.fd(), 3 * kBlockBytes, true).is_ok());
  EXPECT_EQ(disk.used_bytes(), 3U * kBlockBytes);
  EXPECT_TRUE(other.write(0, 2 * kBlockBytes, 1).is(Code::kNoSpace));
  EXPECT_TRUE(other.write(0, kBlockBytes, 1).is_ok());
  EXPECT_TRUE(system.resize_file(other.fd(), 2 * kBlockBytes, true).is(Code::kNoSpace));
  EXPECT_TRUE(system.resize_file(other.fd(), 2 * kBlockBytes, false).is_ok());  // Sparse.
  EXPECT_TRUE(other.write(kBlockBytes, kBlockBytes, 1).is(Code::kNoSpace));
  EXPECT_TRUE(file.write(0, 3 * kBlockBytes, 1).is_ok());
  EXPECT_TRUE(system.punch_hole(file.fd(), 0, kBlockBytes).is_ok());
  EXPECT_TRUE(other.write(kBlockBytes, kBlockBytes, 1).is_ok());
  EXPECT_EQ(disk.used_bytes(), 4U * kBlockBytes);
  EXPECT_TRUE(system.fill_hole(file.fd(), 0, 3 * kBlockBytes).is(Code::kNoSpace));
  EXPECT_TRUE(system.fill_hole(file.fd(), kBlockBytes, 2 * kBlockBytes).is_ok());  // There is none.
  EXPECT_TRUE(system.punch_hole(other.fd(), kBlockBytes, kBlockBytes).is_ok());
  EXPECT_TRUE(system.fill_hole(file.fd(), 0, 3 * kBlockBytes).is_ok());
  EXPECT_EQ(count_of(disk, "/f", 1), 2 * kBlockBytes);
  EXPECT_EQ(disk.used_bytes(), 4U * kBlockBytes);
}

TEST(SimDisk, ACloneDivergesFromItsOriginal) {
  const auto disk = disk_with_file(1);
  SimSystem system(*disk);
  TestFile file(system, "/f");
  ASSERT_TRUE(file.write(0, kBlockBytes, 2).is_ok());
  const auto lost = disk->clone();
  const auto kept = disk->clone();
  lost->cut_power({.data = SimCut::Data::kNone});
  kept->cut_power({.data = SimCut::Data::kAll});
  EXPECT_EQ(count_of(*lost, "/f", 1), kBlockBytes);
  EXPECT_EQ(count_of(*kept, "/f", 2), kBlockBytes);
  EXPECT_TRUE(kept->flip_byte("/f", 5, 0xff).is_ok());
  EXPECT_EQ(count_of(*disk, "/f", 2), kBlockBytes);
  EXPECT_TRUE(file.sync().is_ok());
}

// --- the system ---

TEST(SimSystem, ALockIsHeldByOneOpenDescriptionAtATime) {
  SimDisk disk(1);
  SimSystem first(disk, {.process_id = 11});
  SimSystem second(disk, {.process_id = 12});
  EXPECT_FALSE(first.lock_file("/LOCK", false).has_value());
  Result<Fd> lock = first.lock_file("/LOCK", true);
  ASSERT_TRUE(lock.has_value());
  const Result<Fd> refused = second.lock_file("/LOCK", true);
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().is(Code::kBusy));
  EXPECT_EQ(refused.error().where(), 11U);
  EXPECT_FALSE(first.lock_file("/LOCK", true).has_value());
  first.close_file(*lock);
  EXPECT_TRUE(second.lock_file("/LOCK", true).has_value());
}

TEST(SimSystem, AnswersAsAKernelDoes) {
  SimDisk disk(1);
  SimSystem system(disk);
  TestFile file(system, "/f");
  AlignedBuffer buffer(2 * kBlockBytes);
  EXPECT_TRUE(system.read_file(file.fd(), 0, buffer.span()).is(Code::kCorruption));  // Past the end.
  EXPECT_EQ(system.write_file(file.fd(), 512, buffer.span()).error_number(), EINVAL);
  EXPECT_TRUE(system.make_directory("/d").is_ok());
  EXPECT_TRUE(system.make_directory("/d").is(Code::kAlreadyExists));
  EXPECT_TRUE(system.make_directory("/x/y").is(Code::kNotFound));
  OpenOptions exclusive = creating();
  exclusive.exclusive = true;
  EXPECT_TRUE(system.open_file("/f", exclusive).error().is(Code::kAlreadyExists));
  EXPECT_TRUE(system.open_file("/absent", {}).error().is(Code::kNotFound));
  TestFile inner(system, "/d/inner");
  EXPECT_EQ(system.remove_directory("/d").error_number(), ENOTEMPTY);
  EXPECT_EQ(system.rename_file("/d/inner", "/inner").error_number(), EXDEV);
  EXPECT_EQ(*system.list_directory("/"), (std::vector<std::string>{"d", "f"}));
  EXPECT_FALSE(system.has_threads());
  const std::uint64_t before = system.now_ns();
  EXPECT_LT(before, system.now_ns());
}

}  // namespace
}  // namespace penstock::reactor
