#include "engine/catalog.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/catalog_format.h"
#include "engine/operation.h"

namespace penstock::engine {
namespace {

constexpr std::uint16_t kShards = 4;

std::string field(std::uint16_t tag, Bytes value) {
  CatalogField header;
  header.tag = tag;
  header.bytes = static_cast<std::uint16_t>(value.size());
  return std::string(as_bytes(base::bytes_of(header))) + std::string(value);
}
std::string le32_text(std::uint32_t value) { return std::string(as_bytes(base::bytes_of(base::le32(value)))); }
std::string id_field(FamilyId id) { return field(kCriticalTag | 1U, le32_text(id)); }
std::string shard_field() { return field(kCriticalTag | 2U, std::string("\0\1\0", 3)); }

/// Brings encoded operations into `catalog`, as recovery does.
Status load_encoded(Catalog& catalog, const std::vector<char>& encoded) {
  OperationReader reader(Bytes(encoded.data(), encoded.size()));
  while (reader.next()) {
    const Operation& operation = reader.operation();
    const bool is_put = operation.kind == OperationKind::kPut;
    PENSTOCK_TRY(catalog.load(operation.key, is_put ? std::optional<Bytes>(operation.value) : std::nullopt));
  }
  return reader.status();
}

std::shared_ptr<detail::FamilyState> make(const Catalog& catalog, const std::string& name, const FamilyOptions& options = {}) {
  Outcome<std::shared_ptr<detail::FamilyState>> made = catalog.make(name, options, 99);
  EXPECT_TRUE(made.has_value()) << made.error().text;
  return made.value_or(nullptr);
}

/// Creates a family and notes the operations of it in `stored`.
void create(Catalog& catalog, const std::string& name, const FamilyOptions& options, std::vector<char>& stored) {
  const std::shared_ptr<detail::FamilyState> family = make(catalog, name, options);
  ASSERT_NE(family, nullptr);
  catalog.encode_create(*family, stored);
  catalog.apply_create(family);
}

void expect_equal(const Catalog& left, const Catalog& right) {
  EXPECT_EQ(left.next_id(), right.next_id());
  ASSERT_EQ(left.family_count(), right.family_count());
  left.for_each([&right](const std::string& name, const detail::FamilyState& family) {
    const std::shared_ptr<detail::FamilyState> other = right.find(name);
    ASSERT_NE(other, nullptr) << name;
    EXPECT_EQ(encode_family(*other), encode_family(family)) << name;
  });
}

TEST(Catalog, IsEmptyAtFirstAndGivesTheFirstUserId) {
  const Catalog catalog(kShards);
  EXPECT_EQ(catalog.family_count(), 0U);
  EXPECT_EQ(catalog.next_id(), kFamilyIdUserMin);
  EXPECT_EQ(catalog.find("orders"), nullptr);
}

TEST(Catalog, WhatIsStoredOfItsChangesIsTheSameCatalog) {
  Catalog catalog(kShards);
  std::vector<char> stored;
  create(catalog, "pinned", {.placement = Placement::kPinned, .shard = 3}, stored);
  create(catalog, "prefix",
         {.placement = Placement::kHashed, .partition = {.kind = PartitionRule::Kind::kPrefix, .prefix_bytes = 8}}, stored);
  create(catalog, "delimiter",
         {.placement = Placement::kHashed, .partition = {.kind = PartitionRule::Kind::kDelimiter, .delimiter = ':'}}, stored);
  catalog.encode_drop("pinned", stored);
  catalog.apply_drop("pinned");
  catalog.encode_rename(*catalog.find("prefix"), "prefix", "renamed", stored);
  catalog.apply_rename("prefix", "renamed");

  Catalog loaded(kShards);
  ASSERT_TRUE(load_encoded(loaded, stored).is_ok());
  expect_equal(catalog, loaded);
  EXPECT_EQ(loaded.find("pinned"), nullptr);
  ASSERT_NE(loaded.find("renamed"), nullptr);
  EXPECT_EQ(loaded.find("renamed")->options.partition.prefix_bytes, 8U);
}

/// A random history of changes, stored and loaded again.
TEST(Catalog, AnyHistoryOfChangesIsLoadedAsItEnded) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    base::Random random(seed);
    Catalog catalog(kShards);
    std::vector<char> stored;
    for (std::uint32_t step = 0; step < 60; ++step) {
      const std::string name = "family-" + std::to_string(random.below(8));
      const std::string other = "family-" + std::to_string(random.below(8));
      if (catalog.find(name) == nullptr) {
        create(catalog, name, {.placement = random.one_in(2) ? Placement::kPinned : Placement::kHashed}, stored);
      } else if (random.one_in(3) && catalog.find(other) == nullptr) {
        catalog.encode_rename(*catalog.find(name), name, other, stored);
        catalog.apply_rename(name, other);
      } else {
        catalog.encode_drop(name, stored);
        catalog.apply_drop(name);
      }
    }
    Catalog loaded(kShards);
    ASSERT_TRUE(load_encoded(loaded, stored).is_ok());
    expect_equal(catalog, loaded);
  }
}

TEST(Catalog, AnIdIsNotGivenAgainAfterADrop) {
  Catalog catalog(kShards);
  std::vector<char> stored;
  create(catalog, "first", {}, stored);
  catalog.encode_drop("first", stored);
  catalog.apply_drop("first");
  Catalog loaded(kShards);
  ASSERT_TRUE(load_encoded(loaded, stored).is_ok());
  EXPECT_EQ(make(loaded, "first")->id, kFamilyIdUserMin + 1);
}

TEST(Catalog, ARenamedFamilyKeepsItsIdAndState) {
  Catalog catalog(kShards);
  std::vector<char> stored;
  create(catalog, "old", {}, stored);
  const std::shared_ptr<detail::FamilyState> family = catalog.find("old");
  catalog.apply_rename("old", "new");
  EXPECT_EQ(catalog.find("old"), nullptr);
  EXPECT_EQ(catalog.find("new"), family);
}

TEST(Catalog, NamesAndOptionsOutOfBoundsAreInvalidArguments) {
  const Catalog catalog(kShards);
  const auto code_of = [&catalog](const std::string& name, const FamilyOptions& options) {
    const Outcome<std::shared_ptr<detail::FamilyState>> made = catalog.make(name, options, 1);
    return made.has_value() ? Code::kOk : made.error().status.code();
  };
  EXPECT_EQ(code_of("", {}), Code::kInvalidArgument);
  EXPECT_EQ(code_of(std::string(kFamilyNameBytesMax + 1, 'n'), {}), Code::kInvalidArgument);
  EXPECT_EQ(code_of(std::string(kFamilyNameBytesMax, 'n'), {}), Code::kOk);
  EXPECT_EQ(code_of(std::string("\0/..", 4), {}), Code::kOk);  // Names never become paths.
  EXPECT_EQ(code_of("pinned", {.shard = kShards}), Code::kInvalidArgument);
  EXPECT_EQ(code_of("pinned", {.shard = kShards - 1}), Code::kOk);
  EXPECT_EQ(code_of("prefix", {.placement = Placement::kHashed, .partition = {.kind = PartitionRule::Kind::kPrefix}}),
            Code::kInvalidArgument);
}

TEST(Catalog, AFamilyPinnedNowhereInParticularGetsAShardByItsId) {
  Catalog catalog(kShards);
  std::vector<char> stored;
  for (std::uint32_t index = 0; index < 2U * kShards; ++index) {
    const std::string name = std::to_string(index);
    create(catalog, name, {}, stored);
    EXPECT_EQ(catalog.find(name)->options.shard, static_cast<std::int32_t>((kFamilyIdUserMin + index) % kShards));
  }
}

TEST(Catalog, TheShardOfAHashedFamilyMeansNothing) {
  Catalog catalog(kShards);
  std::vector<char> stored;
  create(catalog, "hashed", {.placement = Placement::kHashed, .shard = 5000}, stored);
  Catalog loaded(kShards);
  ASSERT_TRUE(load_encoded(loaded, stored).is_ok());
  EXPECT_EQ(loaded.find("hashed")->options.shard, catalog.find("hashed")->options.shard);
}

TEST(Catalog, AnUnknownCriticalTagIsNotSupported) {
  Catalog catalog(kShards);
  const Status status = catalog.load("norders", id_field(16) + field(kCriticalTag | 0x123U, "new"));
  EXPECT_TRUE(status.is(Code::kNotSupported));
  EXPECT_EQ(status.file_kind(), FileKind::kCatalog);
  EXPECT_EQ(status.where(), 16U);
  EXPECT_EQ(catalog.find("orders"), nullptr);
}

TEST(Catalog, AnUnknownTagThatIsNotCriticalIsSkipped) {
  Catalog catalog(kShards);
  ASSERT_TRUE(catalog.load("norders", field(0x123, "new") + id_field(20) + shard_field() + field(1, "")).is_ok());
  ASSERT_NE(catalog.find("orders"), nullptr);
  EXPECT_EQ(catalog.find("orders")->id, 20U);
}

TEST(Catalog, AnUnknownComparatorIsNotSupported) {
  Catalog catalog(kShards);
  EXPECT_TRUE(catalog.load("norders", id_field(16) + field(kCriticalTag | 5U, "unicode")).is(Code::kNotSupported));
}

TEST(Catalog, AValueCutAnywhereIsRefusedOrEndsBetweenFields) {
  Catalog whole(kShards);
  const std::shared_ptr<detail::FamilyState> family = make(whole, "orders");
  const std::string value = encode_family(*family);
  std::uint32_t accepted = 0;
  for (std::size_t bytes = 0; bytes < value.size(); ++bytes) {
    Catalog catalog(kShards);
    const Status status = catalog.load("norders", Bytes(value).substr(0, bytes));
    EXPECT_TRUE(status.is_ok() || status.is(Code::kCorruption)) << bytes;
    accepted += status.is_ok() ? 1U : 0U;
  }
  EXPECT_EQ(accepted, 3U);  // After the placement, the partition rule, the seed: what follows has defaults.
}

TEST(Catalog, ImpossibleFieldsAreCorruption) {
  const std::vector<std::string> values = {
      "",                                                                                   // Nothing.
      shard_field(),                                                                        // No id.
      id_field(16),                                                                         // No placement.
      id_field(kFamilyIdUserMin - 1) + shard_field(),                                       // One of the engine's own ids.
      field(kCriticalTag | 1U, "abc") + shard_field(),                                      // Too short.
      id_field(16) + field(kCriticalTag | 2U, std::string("\2\0\0", 3)),                    // A third placement.
      id_field(16) + field(kCriticalTag | 2U, std::string("\0\4\0", 3)),                    // A shard that is not there.
      id_field(16) + shard_field() + field(kCriticalTag | 3U, std::string("\3\0\0\0", 4)),  // A fourth partition rule.
      id_field(16) + shard_field() + field(kCriticalTag | 4U, "short"),
      id_field(16) + shard_field() + std::string("\1"),  // A piece of a field.
  };
  for (const std::string& value : values) {
    Catalog catalog(kShards);
    EXPECT_TRUE(catalog.load("norders", value).is(Code::kCorruption)) << testing::PrintToString(value);
  }
}

TEST(Catalog, ImpossibleKeysAreCorruption) {
  const std::string value = id_field(16) + shard_field();
  for (const std::string& key : {std::string(), std::string("n"), std::string("x"), std::string("ii"), std::string("zname"),
                                 std::string(1, 'n') + std::string(kFamilyNameBytesMax + 1, 'x')}) {
    Catalog catalog(kShards);
    EXPECT_TRUE(catalog.load(key, value).is(Code::kCorruption)) << testing::PrintToString(key);
  }
}

TEST(Catalog, TheNextIdNeverShrinksAndIsNeverRemoved) {
  Catalog catalog(kShards);
  ASSERT_TRUE(catalog.load("i", le32_text(30)).is_ok());
  EXPECT_TRUE(catalog.load("i", le32_text(29)).is(Code::kCorruption));
  EXPECT_TRUE(catalog.load("i", std::nullopt).is(Code::kCorruption));
  EXPECT_TRUE(catalog.load("i", "abc").is(Code::kCorruption));
  EXPECT_EQ(catalog.next_id(), 30U);
}

TEST(Catalog, RandomValuesNeverEndTheProcess) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    base::Random random(seed);
    std::string value =
        id_field(16 + static_cast<FamilyId>(random.below(4))) + (random.one_in(4) ? std::string() : shard_field());
    for (std::uint64_t fields = random.below(6); fields > 0; --fields) {
      std::string bytes(random.below(10), '\0');
      for (char& byte : bytes) {
        byte = static_cast<char>(random.below(5));
      }
      const std::uint64_t critical = random.one_in(4) ? 0 : kCriticalTag;
      value += field(static_cast<std::uint16_t>(critical | random.below(7)), bytes);
    }
    value.resize(value.size() - random.below(3));
    Catalog catalog(kShards);
    const Status status = catalog.load("norders", value);
    if (!status.is_ok()) {
      EXPECT_TRUE(status.is(Code::kCorruption) || status.is(Code::kNotSupported));
      EXPECT_EQ(catalog.family_count(), 0U);
      continue;
    }
    const std::shared_ptr<detail::FamilyState> family = catalog.find("orders");
    ASSERT_NE(family, nullptr);
    EXPECT_LT(family->shard_of("key"), kShards);
  }
}

// --- Where a key lives ---

struct Rule {
  detail::FamilyState family;
  explicit Rule(const PartitionRule& partition) {
    family.options.placement = Placement::kHashed;
    family.options.partition = partition;
    family.shard_count = 64;
    family.hash_seed = 5;
  }
};

TEST(PartitionRule, APrefixDecidesAndAShorterKeyCountsWhole) {
  const Rule rule({.kind = PartitionRule::Kind::kPrefix, .prefix_bytes = 4});
  EXPECT_EQ(rule.family.partition_of("user1234"), "user");
  EXPECT_EQ(rule.family.partition_of("use"), "use");
  EXPECT_EQ(rule.family.partition_of(""), "");
  EXPECT_EQ(rule.family.shard_of("user1"), rule.family.shard_of("user2"));
}

TEST(PartitionRule, WhatIsBeforeTheDelimiterDecides) {
  const Rule rule({.kind = PartitionRule::Kind::kDelimiter, .delimiter = '/'});
  EXPECT_EQ(rule.family.partition_of("user/1/a"), "user");
  EXPECT_EQ(rule.family.partition_of("/a"), "");
  EXPECT_EQ(rule.family.partition_of("user"), "user");
  EXPECT_EQ(rule.family.shard_of("user/1"), rule.family.shard_of("user"));
  const Rule zero({.kind = PartitionRule::Kind::kDelimiter, .delimiter = '\0'});
  EXPECT_EQ(zero.family.partition_of(Bytes("a\0b", 3)), "a");
}

TEST(PartitionRule, WholeKeysSpreadOverAllShards) {
  const Rule rule({});
  std::vector<std::uint32_t> counts(64);
  for (std::uint32_t index = 0; index < 64'000; ++index) {
    ++counts[rule.family.shard_of(std::to_string(index))];
  }
  for (const std::uint32_t count : counts) {
    EXPECT_GT(count, 800U);  // 1,000 on average, standard deviation 31.
    EXPECT_LT(count, 1200U);
  }
}

TEST(PartitionRule, APinnedFamilyLivesOnItsShardAlone) {
  detail::FamilyState family;
  family.options = {.placement = Placement::kPinned, .shard = 3};
  family.shard_count = 4;
  EXPECT_EQ(family.shard_of("a"), 3U);
  EXPECT_EQ(family.shard_of(""), 3U);
}

}  // namespace
}  // namespace penstock::engine
