// A typed view of a family: rows come back as they were put and in the order of their keys, from threads and on a shard.
#include "penstock/typed_family.h"

#include "tests/api/test_database.h"

namespace penstock {

struct Order {
  std::uint32_t pieces = 0;
  std::string article;
  friend bool operator==(const Order&, const Order&) = default;
};

/// A key's encoding serves as a value's too.
template <>
struct ValueCodec<Order> {
  static void encode(const Order& order, std::string& out) { out += encode_key(order.pieces, order.article); }
  static Result<Order> decode(Bytes bytes) {
    Result<std::tuple<std::uint32_t, std::string>> parts = decode_key<std::tuple<std::uint32_t, std::string>>(bytes);
    if (!parts.has_value()) {
      return std::unexpected(parts.error());
    }
    return Order{std::get<0>(*parts), std::move(std::get<1>(*parts))};
  }
};

namespace {

// Customer, newest first, number.
using OrderKey = std::tuple<std::string, Descending<std::int64_t>, std::uint32_t>;
using Orders = TypedFamily<OrderKey, Order>;

class TypedFamilyTest : public apitest::DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    open();
    orders_ = Orders(family("orders", {.placement = Placement::kHashed,
                                       .partition = {.kind = PartitionRule::Kind::kDelimiter, .delimiter = '\0'}}));
  }
  Orders orders_;
};

const OrderKey kOldest{"ant", {-50}, 9};
const OrderKey kNewer{"ant", {7}, 2};
const OrderKey kOther{"ant\x01", {99}, 1};

TEST_F(TypedFamilyTest, GivesBackTheRowThatWasPut) {
  ASSERT_TRUE(orders_.put(*db_, kOldest, {12, "bolts"}).get().is_ok());
  EXPECT_EQ(orders_.get(*db_, kOldest).get().value(), (Order{12, "bolts"}));
  EXPECT_TRUE(orders_.contains(*db_, kOldest).get().value());
  ASSERT_TRUE(orders_.remove(*db_, kOldest).get().is_ok());
  EXPECT_EQ(orders_.get(*db_, kOldest).get().error().code(), Code::kNotFound);
}

TEST_F(TypedFamilyTest, ScansInTheOrderOfItsKeys) {
  for (const OrderKey& key : {kOther, kOldest, kNewer}) {
    ASSERT_TRUE(orders_.put(*db_, key, {1, "anvil"}).get().is_ok());
  }
  const auto keys_of = [&](const ScanOptions& range) {
    std::vector<OrderKey> keys;
    const Orders::TypedScan found = orders_.scan(*db_, range).get().value();
    for (const Orders::TypedRow& row : found.rows) {
      keys.push_back(row.key);
    }
    return keys;
  };
  EXPECT_EQ(keys_of(Orders::all()), (std::vector{kNewer, kOldest, kOther}));
  EXPECT_EQ(keys_of(Orders::with_prefix(std::string_view("ant"))), (std::vector{kNewer, kOldest}));
  EXPECT_EQ(keys_of(Orders::with_prefix(std::string_view("ant"), Descending<std::int64_t>{7})), (std::vector{kNewer}));
  EXPECT_EQ(keys_of(Orders::between(kNewer, kOther)), (std::vector{kNewer, kOldest}));
  EXPECT_EQ(keys_of(Orders::starting_at(kOldest)), (std::vector{kOldest, kOther}));
}

TEST_F(TypedFamilyTest, ScansOnFromWhereALimitEndedIt) {
  for (const OrderKey& key : {kOther, kOldest, kNewer}) {
    ASSERT_TRUE(orders_.put(*db_, key, {1, "anvil"}).get().is_ok());
  }
  ScanOptions range = Orders::with_prefix(std::string_view("ant"));
  range.rows_max = 1;
  Orders::TypedScan first = orders_.scan(*db_, range).get().value();
  ASSERT_EQ(first.rows.size(), 1U);
  range.from = first.next.value();
  const Orders::TypedScan second = orders_.scan(*db_, range).get().value();
  ASSERT_EQ(second.rows.size(), 1U);
  EXPECT_EQ(second.rows[0].key, kOldest);
  EXPECT_FALSE(second.next.has_value());
}

TEST_F(TypedFamilyTest, PutsRowsOfOnePartitionTogetherInABatch) {
  ASSERT_EQ(orders_.shard_of(kNewer), orders_.shard_of(kOldest));
  Batch batch;
  ASSERT_TRUE(orders_.put(batch, kNewer, {1, "anvil"}).is_ok());
  ASSERT_TRUE(orders_.put(batch, kOldest, {2, "anvils"}).is_ok());
  ASSERT_TRUE(orders_.remove(batch, kNewer).is_ok());
  ASSERT_TRUE(db_->commit(std::move(batch)).get().status.is_ok());
  EXPECT_FALSE(orders_.contains(*db_, kNewer).get().value());
  EXPECT_EQ(orders_.get(*db_, kOldest).get().value(), (Order{2, "anvils"}));
}

TEST_F(TypedFamilyTest, AnswersCorruptionForRowsOfOtherTypes) {
  const Family& raw = orders_.family();
  ASSERT_TRUE(db_->put(raw, encode_key(kOldest), "?").get().is_ok());
  EXPECT_EQ(orders_.get(*db_, kOldest).get().error().code(), Code::kCorruption);
  EXPECT_EQ(orders_.scan(*db_, Orders::all()).get().error().code(), Code::kCorruption);
  ASSERT_TRUE(orders_.remove(*db_, kOldest).get().is_ok());
  ASSERT_TRUE(db_->put(raw, "no key", "").get().is_ok());
  EXPECT_EQ(orders_.scan(*db_, Orders::all()).get().error().code(), Code::kCorruption);
}

// Braces within a co_await would be GCC 12's undoing: what they make is destroyed twice.
Task<Status> work_on_shard(Shard& shard, Orders orders) {
  const Order saws{3, "saws"};
  const Order axes{4, "axes"};
  const ScanOptions range = Orders::with_prefix(std::string_view("ant"));
  PENSTOCK_CO_TRY(co_await orders.put(shard, kNewer, saws));
  PENSTOCK_CO_TRY(co_await orders.put(shard, kOldest, axes));
  const Result<Order> found = co_await orders.get(shard, kNewer);
  if (!found.has_value() || *found != saws) {
    co_return Status(Code::kCorruption);
  }
  const auto rows = co_await orders.scan(shard, range);
  if (!rows.has_value() || rows->rows.size() != 2 || rows->rows[1].value != axes) {
    co_return Status(Code::kCorruption);
  }
  PENSTOCK_CO_TRY(co_await orders.remove(shard, kNewer));
  const Result<bool> is_there = co_await orders.contains(shard, kNewer);
  co_return is_there.has_value() && !*is_there ? Status::ok() : Status(Code::kCorruption);
}

TEST_F(TypedFamilyTest, DoesTheSameOnAShard) {
  EXPECT_TRUE(db_->run_on(orders_.shard_of(kNewer), &work_on_shard, orders_).get().is_ok());
}

}  // namespace
}  // namespace penstock
