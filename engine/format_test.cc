// Files and values of version 1 stay readable, this version still makes them byte for byte, and the pages of docs/formats show
// them as they are.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/catalog.h"
#include "engine/identity.h"
#include "engine/operation.h"
#include "engine/test_golden.h"
#include "reactor/sim_world.h"

namespace penstock::engine {
namespace {

const std::string kGoldenIdentity = "tests/golden/identity/v1/IDENTITY";
const std::string kGoldenPinned = "tests/golden/catalog/v1/pinned";
const std::string kGoldenHashed = "tests/golden/catalog/v1/hashed";
const std::string kGoldenNextId = "tests/golden/catalog/v1/next-id";
const std::string kGoldenPayload = "tests/golden/operations/v1/payload";

std::string text_of(const std::vector<char>& bytes) { return {bytes.begin(), bytes.end()}; }

TEST(GoldenIdentity, FileOfVersion1IsReadAndWritten) {
  const std::string golden = read_repository_file(kGoldenIdentity);
  ASSERT_EQ(golden.size(), 4096U);
  reactor::SimDisk disk(1);
  ASSERT_TRUE(disk.write_all("/IDENTITY", as_span(golden)).is_ok());
  reactor::SimWorld world(disk);
  const Outcome<DatabaseIdentity> read = read_identity(world.system(), "/IDENTITY");
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_EQ(read->identity.uuid_high, 0x1122334455667788U);
  EXPECT_EQ(read->identity.uuid_low, 0x99aabbccddeeff00U);
  EXPECT_EQ(read->identity.incarnation, 7U);
  EXPECT_EQ(read->shard_count, 8U);
  EXPECT_EQ(read->created_ns, 1'700'000'000'000'000'000U);
  ASSERT_TRUE(write_identity(world.system(), "/again", *read).is_ok());
  const Result<std::vector<std::byte>> again = disk.read_all("/again");
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(as_bytes(*again) == golden);
}

TEST(GoldenIdentity, ThePageShowsTheFile) {
  EXPECT_EQ(dumped_file("docs/formats/identity.md", kGoldenIdentity), read_repository_file(kGoldenIdentity));
}

TEST(GoldenCatalog, ValuesOfVersion1AreReadAndWritten) {
  const std::string pinned = read_repository_file(kGoldenPinned);
  const std::string hashed = read_repository_file(kGoldenHashed);
  const std::string next_id = read_repository_file(kGoldenNextId);
  ASSERT_FALSE(pinned.empty() || hashed.empty() || next_id.empty());
  Catalog catalog(8);
  ASSERT_TRUE(catalog.load("i", next_id).is_ok());
  ASSERT_TRUE(catalog.load("npinned", pinned).is_ok());
  ASSERT_TRUE(catalog.load("nhashed", hashed).is_ok());
  EXPECT_EQ(catalog.next_id(), 18U);

  const auto first = catalog.find("pinned");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->id, 16U);
  EXPECT_EQ(first->options.placement, Placement::kPinned);
  EXPECT_EQ(first->options.shard, 3);
  EXPECT_EQ(first->hash_seed, 0x0123456789abcdefU);
  EXPECT_EQ(encode_family(*first), pinned);

  const auto second = catalog.find("hashed");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->id, 17U);
  EXPECT_EQ(second->options.placement, Placement::kHashed);
  EXPECT_EQ(second->options.partition.kind, PartitionRule::Kind::kDelimiter);
  EXPECT_EQ(second->options.partition.delimiter, '/');
  EXPECT_EQ(second->hash_seed, 0xfedcba9876543210U);
  EXPECT_EQ(encode_family(*second), hashed);
}

TEST(GoldenCatalog, ThePageShowsTheValues) {
  for (const std::string& golden : {kGoldenPinned, kGoldenHashed, kGoldenNextId}) {
    EXPECT_EQ(dumped_file("docs/formats/catalog.md", golden), read_repository_file(golden)) << golden;
  }
}

TEST(GoldenOperations, PayloadOfVersion1IsReadAndWritten) {
  const std::string golden = read_repository_file(kGoldenPayload);
  ASSERT_FALSE(golden.empty());
  const std::vector<Operation> expected = {
      {.kind = OperationKind::kPut, .family = 16, .key = "order-1", .value = "12 bolts"},
      {.kind = OperationKind::kRemove, .family = 17, .key = "order-1", .value = {}},
      {.kind = OperationKind::kPut, .family = 4097, .key = {}, .value = {}},
  };
  std::vector<char> encoded;
  OperationReader reader(golden);
  for (const Operation& operation : expected) {
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.operation().kind, operation.kind);
    EXPECT_EQ(reader.operation().family, operation.family);
    EXPECT_EQ(reader.operation().key, operation.key);
    EXPECT_EQ(reader.operation().value, operation.value);
    encode_operation(operation, encoded);
  }
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.status().is_ok());
  EXPECT_EQ(text_of(encoded), golden);
}

TEST(GoldenOperations, ThePageShowsThePayload) {
  EXPECT_EQ(dumped_file("docs/formats/operations.md", kGoldenPayload), read_repository_file(kGoldenPayload));
}

}  // namespace
}  // namespace penstock::engine
