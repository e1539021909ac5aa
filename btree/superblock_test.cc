#include "btree/superblock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "btree/zone_table.h"

namespace penstock::btree {
namespace {

constexpr StoreIdentity kIdentity{0x0123'4567'89ab'cdef, 0xfedc'ba98'7654'3210, 2};
constexpr ShardId kShard = 7;
constexpr std::uint64_t kGeneration = 42;

SuperblockContent example() {
  SuperblockContent content;
  content.superblock.generation = kGeneration;
  content.superblock.applied = {3, 0x12000, 123'456};
  ChildPointer& roots = content.superblock.roots;
  roots.address = {2, 300};
  roots.blocks = 2;
  roots.birth = 42;
  roots.entries = 10;
  roots.checksum = 0x1122'3344'5566'7788;
  content.files.push_back({1, 2, 4096, 0xaaaa'bbbb'cccc'dddd, 41});
  content.files.push_back({2, 0, 9, 0x1111'2222'3333'4444, 42});
  return content;
}

std::vector<Zone> example_zones() {
  return {Zone{.state = ZoneState::kTables},
          Zone{.first = 3, .live = 200, .filled = 256, .state = ZoneState::kInUse},
          Zone{.first = 5, .emptied = 42, .filled = 256, .state = ZoneState::kEmptied},
          Zone{.first = 40, .live = 256, .filled = 256, .state = ZoneState::kSpan},
          Zone{.first = 40, .live = 3, .filled = 256, .state = ZoneState::kSpan},
          Zone{.first = 42, .live = 17, .filled = 21, .state = ZoneState::kInUse},
          Zone{.state = ZoneState::kFree},
          Zone{.state = ZoneState::kHole}};
}

std::vector<std::byte> encode(const SuperblockContent& content) {
  std::vector<std::byte> slot(kSuperSlotBytes);
  encode_superblock(content, kIdentity, kShard, std::span(slot).first(superblock_bytes(content)));
  return slot;
}

/// The slot with its checksum made right again after a change.
std::vector<std::byte> resealed(std::vector<std::byte> slot) {
  const auto header = base::load<SuperHeader>(slot);
  const std::size_t from = offsetof(SuperHeader, version);
  const base::le64 sum = base::checksum(std::span(slot).subspan(from, sizeof(SuperHeader) + header.body_bytes.get() - from));
  base::store(std::span(slot).subspan(offsetof(SuperHeader, checksum)), sum);
  return slot;
}

std::vector<std::byte> with_byte(std::vector<std::byte> slot, std::size_t offset, std::uint8_t value) {
  slot[offset] = std::byte{value};
  return resealed(std::move(slot));
}

Code code_of(const std::vector<std::byte>& slot) {
  const Result<SuperblockContent> decoded = decode_superblock(slot, super_slot_of(kGeneration), kIdentity, kShard);
  return decoded.has_value() ? Code::kOk : decoded.error().code();
}

std::vector<std::byte> read_golden(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(__FILE__).parent_path().parent_path() / "tests/golden" / name;
  if (std::getenv("PENSTOCK_WRITE_GOLDEN") != nullptr) return {};
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::byte> result(bytes.size());
  std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

TEST(Superblock, ARoundTripKeepsEverything) {
  const Result<SuperblockContent> decoded = decode_superblock(encode(example()), 0, kIdentity, kShard);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->superblock.generation, kGeneration);
  EXPECT_EQ(decoded->superblock.applied, example().superblock.applied);
  EXPECT_EQ(decoded->superblock.roots, example().superblock.roots);
  EXPECT_EQ(decoded->files, example().files);
}

TEST(Superblock, TheLargestOneFitsItsSlot) {
  SuperblockContent content = example();
  content.files.clear();
  for (std::uint32_t number = 1; number <= kSuperFilesMax; ++number) {
    content.files.push_back({static_cast<std::uint16_t>(number), 1, 4096, number, 5});
  }
  EXPECT_LE(superblock_bytes(content), kSuperSlotBytes);
  EXPECT_EQ(code_of(encode(content)), Code::kOk);
}

TEST(Superblock, EveryFlippedBitOfTheUsedPartIsFound) {
  const std::vector<std::byte> slot = encode(example());
  for (std::size_t offset = 0; offset < sizeof(SuperHeader) + (2 * sizeof(SuperFile)); ++offset) {
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> damaged = slot;
      damaged[offset] ^= std::byte{static_cast<std::uint8_t>(1U << bit)};
      ASSERT_EQ(code_of(damaged), Code::kCorruption) << offset;
    }
  }
}

TEST(Superblock, FieldsThatCannotBeAreRefusedUnderAValidChecksum) {
  const std::vector<std::byte> slot = encode(example());
  EXPECT_EQ(code_of(resealed(slot)), Code::kOk);
  const auto refused = [&](std::size_t offset, std::uint8_t value) { return code_of(with_byte(slot, offset, value)); };
  EXPECT_EQ(refused(offsetof(SuperHeader, version), 2), Code::kNotSupported);
  EXPECT_EQ(refused(offsetof(SuperHeader, features_incompat), 1), Code::kNotSupported);
  EXPECT_EQ(refused(offsetof(SuperHeader, features_read_only_compat), 1), Code::kNotSupported);
  EXPECT_EQ(refused(offsetof(SuperHeader, features_compat), 1), Code::kOk);
  EXPECT_EQ(refused(offsetof(SuperHeader, cursor_epoch), 1), Code::kNotSupported);
  EXPECT_EQ(refused(offsetof(SuperHeader, cursor_key_bytes), 1), Code::kNotSupported);
  EXPECT_EQ(refused(offsetof(SuperHeader, slot), 1), Code::kCorruption);
  EXPECT_EQ(refused(offsetof(SuperHeader, shard), 8), Code::kCorruption);
  EXPECT_EQ(refused(offsetof(SuperHeader, incarnation), 3), Code::kCorruption);
  EXPECT_EQ(refused(offsetof(SuperHeader, uuid_low), 1), Code::kCorruption);
  EXPECT_EQ(refused(offsetof(SuperHeader, generation), 43), Code::kCorruption);  // Belongs in the other slot.
  EXPECT_EQ(refused(offsetof(SuperHeader, file_count), 3), Code::kCorruption);
  for (const std::size_t offset : {offsetof(SuperHeader, reserved0), offsetof(SuperHeader, reserved1),
                                   offsetof(SuperHeader, reserved2), offsetof(SuperHeader, reserved3) + 95}) {
    EXPECT_EQ(refused(offset, 1), Code::kCorruption) << offset;
  }
  const std::size_t file = sizeof(SuperHeader);
  EXPECT_EQ(refused(file + offsetof(SuperFile, number), 2), Code::kCorruption);
  EXPECT_EQ(refused(file + offsetof(SuperFile, table_copy), 3), Code::kCorruption);
  EXPECT_EQ(refused(file + offsetof(SuperFile, zones) + 1, 0x11), Code::kCorruption);
  EXPECT_EQ(refused(file + offsetof(SuperFile, table_generation), 43), Code::kCorruption);
  EXPECT_EQ(refused(file + offsetof(SuperFile, reserved0), 1), Code::kCorruption);
  EXPECT_EQ(refused(file + offsetof(SuperFile, reserved2), 1), Code::kCorruption);
  EXPECT_EQ(refused(file + (2 * sizeof(SuperFile)), 1), Code::kCorruption);  // The rest of the block is zeros.
}

TEST(Superblock, GoldenFilesOfVersionOneAreDecodedAndWrittenTheSame) {
  std::vector<std::byte> super(std::size_t{kSuperSlots} * kSuperSlotBytes);
  std::ranges::copy(encode(example()), super.begin());
  const std::vector<Zone> zones = example_zones();
  std::vector<std::byte> table(zone_table_bytes(static_cast<std::uint32_t>(zones.size())));
  encode_zone_table(zones, table);
  if (const char* folder = std::getenv("PENSTOCK_WRITE_GOLDEN"); folder != nullptr) {
    std::ofstream(std::string(folder) + "/super/v1/slot0.bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(super.data()), static_cast<std::streamsize>(superblock_bytes(example())));
    std::ofstream(std::string(folder) + "/zones/v1/table.bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(table.data()), static_cast<std::streamsize>(table.size()));
    GTEST_SKIP();
  }
  std::vector<std::byte> golden = read_golden("super/v1/slot0.bin");
  ASSERT_EQ(golden.size(), superblock_bytes(example()));
  EXPECT_TRUE(std::ranges::equal(golden, std::span(super).first(golden.size())));
  golden.resize(kSuperSlotBytes);
  EXPECT_EQ(code_of(golden), Code::kOk);
  const std::vector<std::byte> golden_table = read_golden("zones/v1/table.bin");
  ASSERT_EQ(golden_table.size(), table.size());
  EXPECT_EQ(golden_table, table);
  EXPECT_TRUE(decode_zone_table(golden_table, static_cast<std::uint32_t>(zones.size()), kGeneration).has_value());
}

}  // namespace
}  // namespace penstock::btree
