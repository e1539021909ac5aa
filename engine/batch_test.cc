#include "penstock/batch.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/family_state.h"
#include "engine/operation.h"
#include "penstock/family.h"

namespace penstock {
namespace {

Family family(FamilyId id, FamilyOptions options, std::uint16_t shard_count = 4) {
  auto state = std::make_shared<detail::FamilyState>();
  state->id = id;
  state->name = "family-" + std::to_string(id);
  state->options = options;
  state->shard_count = shard_count;
  return Family(std::move(state));
}
Family pinned(FamilyId id, std::int32_t shard) { return family(id, {.placement = Placement::kPinned, .shard = shard}); }

/// "family:key=value" and "family:-key" of one shard, in order.
std::string text_of(const Batch& batch, ShardId shard) {
  std::string text;
  for (const Batch::ShardPart& part : batch.parts()) {
    if (part.operation_count == 0 || part.shard != shard) {
      continue;
    }
    engine::OperationReader reader(Bytes(part.encoded.data(), part.encoded.size()));
    while (reader.next()) {
      const engine::Operation& operation = reader.operation();
      const bool is_put = operation.kind == engine::OperationKind::kPut;
      text += std::to_string(operation.family) + (is_put ? ":" : ":-") + std::string(operation.key);
      text += is_put ? "=" + std::string(operation.value) + " " : " ";
    }
    EXPECT_TRUE(reader.status().is_ok());
  }
  return text;
}

TEST(Batch, HoldsItsOperationsByShardInOrder) {
  const Family first = pinned(16, 1);
  const Family second = pinned(17, 1);
  const Family elsewhere = pinned(18, 3);
  Batch batch;
  EXPECT_TRUE(batch.empty());
  ASSERT_TRUE(batch.put(first, "a", "1").is_ok());
  ASSERT_TRUE(batch.remove(second, "b").is_ok());
  ASSERT_TRUE(batch.put(elsewhere, "c", "3").is_ok());
  ASSERT_TRUE(batch.put(first, "a", "2").is_ok());
  EXPECT_EQ(batch.operation_count(), 4U);
  EXPECT_EQ(batch.shard_count(), 2U);
  EXPECT_EQ(text_of(batch, 1), "16:a=1 17:-b 16:a=2 ");
  EXPECT_EQ(text_of(batch, 3), "18:c=3 ");
}

TEST(Batch, NamesEachFamilyOfAPartOnce) {
  const Family first = pinned(16, 1);
  const Family second = pinned(17, 1);
  Batch batch;
  for (std::uint32_t index = 0; index < 3; ++index) {
    ASSERT_TRUE(batch.put(first, "a", "").is_ok());
    ASSERT_TRUE(batch.put(second, "a", "").is_ok());
  }
  ASSERT_EQ(batch.parts().size(), 1U);
  EXPECT_EQ(batch.parts().front().families, (std::vector<FamilyId>{16, 17}));
}

TEST(Batch, IsAsBeforeAfterARefusal) {
  const Family orders = pinned(16, 1);
  Batch batch;
  ASSERT_TRUE(batch.put(orders, "a", "1").is_ok());
  const std::uint64_t bytes = batch.bytes();
  EXPECT_TRUE(batch.put(orders, std::string(kKeyBytesMax + 1, 'k'), "1").is(Code::kInvalidArgument));
  EXPECT_TRUE(batch.remove(orders, std::string(kKeyBytesMax + 1, 'k')).is(Code::kInvalidArgument));
  EXPECT_TRUE(batch.put(Family(), "a", "1").is(Code::kInvalidArgument));
  EXPECT_TRUE(batch.put(pinned(17, 2), "a", std::string(kBatchBytesMax, 'v')).is(Code::kTooLarge));
  EXPECT_EQ(batch.operation_count(), 1U);
  EXPECT_EQ(batch.shard_count(), 1U);
  EXPECT_EQ(batch.bytes(), bytes);
  EXPECT_EQ(text_of(batch, 1), "16:a=1 ");
}

TEST(Batch, TakesKeysAndBatchesUpToTheirLimits) {
  const Family orders = pinned(16, 1);
  Batch batch;
  ASSERT_TRUE(batch.put(orders, std::string(kKeyBytesMax, 'k'), "").is_ok());
  const std::uint64_t left = kBatchBytesMax - batch.bytes() - engine::operation_bytes(0, 0);
  EXPECT_TRUE(batch.put(orders, "", std::string(left + 1, 'v')).is(Code::kTooLarge));
  EXPECT_TRUE(batch.put(orders, "", std::string(left, 'v')).is_ok());
  EXPECT_EQ(batch.bytes(), kBatchBytesMax);
}

TEST(Batch, AClearedBatchIsFilledAnewForOtherShards) {
  const Family first = pinned(16, 1);
  const Family second = pinned(17, 2);
  Batch batch;
  ASSERT_TRUE(batch.put(first, "a", "1").is_ok());
  const char* const memory = batch.parts().front().encoded.data();
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0U);
  EXPECT_EQ(batch.shard_count(), 0U);
  ASSERT_TRUE(batch.put(second, "b", "2").is_ok());
  EXPECT_EQ(batch.parts().size(), 1U);
  EXPECT_EQ(batch.parts().front().encoded.data(), memory);  // Kept and used again.
  EXPECT_EQ(batch.parts().front().families, (std::vector<FamilyId>{17}));
  ASSERT_TRUE(batch.put(first, "c", "3").is_ok());
  EXPECT_EQ(text_of(batch, 2), "17:b=2 ");
  EXPECT_EQ(text_of(batch, 1), "16:c=3 ");
}

TEST(Batch, KeysThatShareAPartitionShareAShard) {
  const Family users = family(
      16, {.placement = Placement::kHashed, .partition = {.kind = PartitionRule::Kind::kDelimiter, .delimiter = '/'}}, 64);
  Batch batch;
  for (std::uint32_t index = 0; index < 100; ++index) {
    ASSERT_TRUE(batch.put(users, "user-7/" + std::to_string(index), "").is_ok());
  }
  EXPECT_EQ(batch.shard_count(), 1U);
  for (std::uint32_t index = 0; index < 100; ++index) {
    ASSERT_TRUE(batch.put(users, "user-" + std::to_string(index) + "/x", "").is_ok());
  }
  EXPECT_GT(batch.shard_count(), 32U);
}

}  // namespace
}  // namespace penstock
