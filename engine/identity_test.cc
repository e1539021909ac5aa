#include "engine/identity.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "engine/identity_format.h"
#include "penstock/types.h"
#include "reactor/sim_world.h"

namespace penstock::engine {
namespace {

using reactor::SimDisk;
using reactor::SimWorld;

constexpr DatabaseIdentity kMade{
    .identity = {.uuid_high = 11, .uuid_low = 22, .incarnation = 1}, .shard_count = 2, .created_ns = 1234};

/// IDENTITY with a right checksum after `change`.
std::vector<std::byte> changed_identity(const std::function<void(IdentityBlock&)>& change) {
  SimDisk disk(1);
  SimWorld world(disk);
  EXPECT_TRUE(write_identity(world.system(), "/IDENTITY", kMade).is_ok());
  std::vector<std::byte> bytes = disk.read_all("/IDENTITY").value_or(std::vector<std::byte>(4096));
  auto header = base::load<IdentityBlock>(bytes);
  change(header);
  header.checksum = 0;
  base::store(bytes, header);
  header.checksum = base::checksum(bytes);
  base::store(bytes, header);
  return bytes;
}

Status read_status(std::span<const std::byte> bytes) {
  SimDisk disk(1);
  EXPECT_TRUE(disk.write_all("/IDENTITY", bytes).is_ok());
  SimWorld world(disk);
  const Outcome<DatabaseIdentity> read = read_identity(world.system(), "/IDENTITY");
  return read.has_value() ? Status::ok() : read.error().status;
}

TEST(Identity, WhatWasWrittenIsRead) {
  SimDisk disk(1);
  SimWorld world(disk);
  ASSERT_TRUE(write_identity(world.system(), "/IDENTITY", kMade).is_ok());
  EXPECT_EQ(disk.unsynced_bytes(), 0U);
  const Outcome<DatabaseIdentity> read = read_identity(world.system(), "/IDENTITY");
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_EQ(read->identity.uuid_high, kMade.identity.uuid_high);
  EXPECT_EQ(read->identity.uuid_low, kMade.identity.uuid_low);
  EXPECT_EQ(read->identity.incarnation, kMade.identity.incarnation);
  EXPECT_EQ(read->shard_count, kMade.shard_count);
  EXPECT_EQ(read->created_ns, kMade.created_ns);
}

TEST(Identity, AnyChangedByteIsCorruption) {
  std::vector<std::byte> bytes = changed_identity([](IdentityBlock&) {});
  ASSERT_TRUE(read_status(bytes).is_ok());
  for (std::size_t offset = 0; offset < bytes.size(); offset += offset < 128 ? 1 : 61) {
    bytes[offset] ^= std::byte{0x40};
    const Status status = read_status(bytes);
    EXPECT_TRUE(status.is(Code::kCorruption)) << offset;
    EXPECT_EQ(status.file_kind(), FileKind::kIdentity) << offset;
    bytes[offset] ^= std::byte{0x40};
  }
}

TEST(Identity, AnotherLengthIsCorruption) {
  const std::vector<std::byte> bytes = changed_identity([](IdentityBlock&) {});
  EXPECT_TRUE(read_status(std::span(bytes).first(512)).is(Code::kCorruption));
  std::vector<std::byte> longer = bytes;
  longer.resize(8192);
  EXPECT_TRUE(read_status(longer).is(Code::kCorruption));
  EXPECT_TRUE(read_status({}).is(Code::kCorruption));
}

TEST(Identity, ANewerFormatIsNotSupported) {
  using Change = std::function<void(IdentityBlock&)>;
  const std::vector<Change> changes = {
      [](IdentityBlock& block) { block.version = 2; },
      [](IdentityBlock& block) { block.checksum_algorithm = 2; },
      [](IdentityBlock& block) { block.block_shift = 13; },
      [](IdentityBlock& block) { block.incompatible_features = 1; },
      [](IdentityBlock& block) { block.read_only_features = std::uint64_t{1} << 63U; },
  };
  for (const Change& change : changes) {
    EXPECT_TRUE(read_status(changed_identity(change)).is(Code::kNotSupported)) << &change - changes.data();
  }
}

TEST(Identity, CompatibleFeaturesAreIgnored) {
  EXPECT_TRUE(
      read_status(changed_identity([](IdentityBlock& block) { block.compatible_features = ~std::uint64_t{0}; })).is_ok());
}

TEST(Identity, FieldsOutOfRangeAreCorruption) {
  EXPECT_TRUE(read_status(changed_identity([](IdentityBlock& block) { block.shard_count = 0; })).is(Code::kCorruption));
  EXPECT_TRUE(read_status(changed_identity([](IdentityBlock& block) {
                block.shard_count = static_cast<std::uint16_t>(kShardCountMax + 1);
              })).is(Code::kCorruption));
  EXPECT_TRUE(read_status(changed_identity([](IdentityBlock& block) { block.reserved = 1; })).is(Code::kCorruption));
}

TEST(Identity, AMissingFileIsNotFound) {
  SimDisk disk(1);
  SimWorld world(disk);
  const Outcome<DatabaseIdentity> read = read_identity(world.system(), "/IDENTITY");
  ASSERT_FALSE(read.has_value());
  EXPECT_TRUE(read.error().status.is(Code::kNotFound));
}

TEST(DirectoryState, IsToldByTheNamesInTheFolder) {
  struct Case {
    std::vector<std::string> names;
    DirectoryState expected;
  };
  const std::vector<Case> cases = {
      {{}, DirectoryState::kEmpty},
      {{"LOCK"}, DirectoryState::kEmpty},
      {{"LOCK", "IDENTITY"}, DirectoryState::kDatabase},
      {{"IDENTITY", "IDENTITY.new"}, DirectoryState::kDatabase},
      {{"LOCK", "IDENTITY.new", "EPOCH"}, DirectoryState::kUnfinished},
      {{"LOCK", "EPOCH"}, DirectoryState::kDamaged},
      {{"shard-0"}, DirectoryState::kDamaged},
      {{"log", "notes.txt"}, DirectoryState::kDamaged},
      {{"notes.txt"}, DirectoryState::kForeign},
      {{"shard-x"}, DirectoryState::kForeign},
      {{"shard-"}, DirectoryState::kForeign},
  };
  for (const Case& each : cases) {
    SimDisk disk(1);
    SimWorld world(disk);
    ASSERT_TRUE(world.system().make_directory("/db").is_ok());
    for (const std::string& name : each.names) {
      ASSERT_TRUE(disk.write_all("/db/" + name, {}).is_ok());
    }
    const Outcome<DirectoryContents> contents = inspect_directory(world.system(), "/db");
    ASSERT_TRUE(contents.has_value());
    EXPECT_EQ(contents->state, each.expected) << testing::PrintToString(each.names);
  }
}

TEST(DirectoryState, IsAbsentWithoutAFolder) {
  SimDisk disk(1);
  SimWorld world(disk);
  const Outcome<DirectoryContents> contents = inspect_directory(world.system(), "/db");
  ASSERT_TRUE(contents.has_value());
  EXPECT_EQ(contents->state, DirectoryState::kAbsent);
}

/// What opening does with a folder that may be new or half made. Cut by a planned end of power: false.
bool make_or_find(reactor::System& system) {
  Outcome<DirectoryContents> contents = inspect_directory(system, "/db");
  if (!contents.has_value()) {
    return false;
  }
  EXPECT_NE(contents->state, DirectoryState::kDamaged);
  EXPECT_NE(contents->state, DirectoryState::kForeign);
  if (contents->state == DirectoryState::kDatabase) {
    return true;
  }
  if (contents->state == DirectoryState::kAbsent && !system.make_directory("/db").is_ok()) {
    return false;
  }
  if (contents->state == DirectoryState::kUnfinished && !clear_unfinished(system, "/db").has_value()) {
    return false;
  }
  return create_database(system, "/db", kMade).has_value();
}

/// One event more is let through each time, then power goes off; a second cut strikes what the next boot does. At the end a
/// creation that was said to have succeeded is there, and one that was not is made anew.
TEST(Creation, MayBeCutAnywhereTwice) {
  std::uint64_t cut = 1;
  for (bool was_cut = true; was_cut; ++cut) {
    ASSERT_LT(cut, 500U);
    SCOPED_TRACE(cut);
    SimDisk disk(cut);
    disk.cut_at(cut);
    {
      SimWorld world(disk, {.seed = cut});
      was_cut = !make_or_find(world.system());
    }
    disk.cut_power(cut);
    disk.cut_at(disk.faults().events() + 1 + (cut * 7 % 40));
    {
      SimWorld world(disk, {.seed = cut + 1});
      make_or_find(world.system());
    }
    disk.cut_power(cut + 1);
    SimWorld world(disk, {.seed = cut + 2});
    if (!was_cut) {
      const Outcome<DirectoryContents> contents = inspect_directory(world.system(), "/db");
      ASSERT_TRUE(contents.has_value());
      EXPECT_EQ(contents->state, DirectoryState::kDatabase);
    }
    ASSERT_TRUE(make_or_find(world.system()));
    const Outcome<DatabaseIdentity> identity = read_identity(world.system(), "/db/IDENTITY");
    ASSERT_TRUE(identity.has_value()) << identity.error().text;
    EXPECT_EQ(identity->identity.uuid_high, kMade.identity.uuid_high);
    EXPECT_TRUE(wal::read_epoch(world.system(), "/db/EPOCH", kMade.identity).has_value());
    EXPECT_TRUE(disk.exists("/db/shard-1/super"));
    EXPECT_FALSE(disk.exists("/db/IDENTITY.new"));
  }
  EXPECT_GT(cut, 20U);
}

}  // namespace
}  // namespace penstock::engine
