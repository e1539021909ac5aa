// Checks the memtable against std::map: every key shape and order of arrival, reads at every position that a reader may have,
// and cursors that are moved while entries arrive.
#include "memtable/memtable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "memtable/entry.h"
#include "memtable/tree.h"
#include "reactor/buffer.h"

namespace penstock::memtable {
namespace {

constexpr FamilyId kFamily = 16;
constexpr Sequence kNewest = ~Sequence{0};

enum class KeyShape { kRandom, kAscending, kDescending, kSharedPrefix, kLongSharedPrefix, kZeroBytes, kAnyLength, kTwoRuns };
constexpr KeyShape kKeyShapes[] = {KeyShape::kRandom,       KeyShape::kAscending,        KeyShape::kDescending,
                                   KeyShape::kSharedPrefix, KeyShape::kLongSharedPrefix, KeyShape::kZeroBytes,
                                   KeyShape::kAnyLength,    KeyShape::kTwoRuns};

std::string big_endian(std::uint64_t number) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(static_cast<unsigned char>(number >> (56 - (8 * i))));
  }
  return bytes;
}

std::string random_bytes(base::Random& random, std::size_t bytes, std::uint64_t alphabet) {
  std::string result(bytes, '\0');
  for (char& byte : result) {
    byte = static_cast<char>(static_cast<unsigned char>(random.below(alphabet)));
  }
  return result;
}

std::string make_key(KeyShape shape, std::uint64_t step, base::Random& random) {
  switch (shape) {
    case KeyShape::kRandom:
      return big_endian(random.next() >> random.below(64));
    case KeyShape::kAscending:
      return big_endian(step);
    case KeyShape::kDescending:
      return big_endian(1'000'000 - step);
    case KeyShape::kSharedPrefix:
      return "user" + std::to_string(1'000'000'000'000 + random.below(5000));
    case KeyShape::kLongSharedPrefix:
      return std::string(60, 'p') + std::to_string(random.below(3000));
    case KeyShape::kZeroBytes:
      return random_bytes(random, random.below(12), 2);
    case KeyShape::kAnyLength:
      return random_bytes(random, random.below(kKeyBytesMax + 1), random.one_in(2) ? 2 : 256);
    case KeyShape::kTwoRuns:
      return (random.one_in(2) ? "a-run-of-keys/" : "b-run-of-keys/") + big_endian(step);
  }
  return {};
}

// What the memtable must answer, kept in full: nothing is ever forgotten here.
class Model {
 public:
  void apply(FamilyId family, const std::string& key, std::optional<std::string> value, Sequence sequence) {
    families_[family][key][sequence] = std::move(value);
  }

  std::optional<Memtable::Version> find(FamilyId family, const std::string& key, Sequence visible) const {
    const auto entries = families_.find(family);
    if (entries == families_.end()) return std::nullopt;
    const auto entry = entries->second.find(key);
    if (entry == entries->second.end()) return std::nullopt;
    auto version = entry->second.upper_bound(visible);
    if (version == entry->second.begin()) return std::nullopt;
    --version;
    return Memtable::Version{.sequence = version->first,
                             .is_delete = !version->second.has_value(),
                             .value = version->second ? Bytes(*version->second) : Bytes()};
  }

  using Entries = std::map<std::string, std::map<Sequence, std::optional<std::string>>>;
  const std::map<FamilyId, Entries>& families() const { return families_; }

 private:
  std::map<FamilyId, Entries> families_;
};

void expect_same(const std::optional<Memtable::Version>& expected, const std::optional<Memtable::Version>& actual) {
  ASSERT_EQ(expected.has_value(), actual.has_value());
  if (expected) {
    ASSERT_EQ(expected->sequence, actual->sequence);
    ASSERT_EQ(expected->is_delete, actual->is_delete);
    ASSERT_EQ(expected->value, actual->value);
  }
}

// Walks every family both ways at `visible` and compares with the model.
void expect_same_walk(const Model& model, const Memtable& memtable, Sequence visible) {
  std::vector<FamilyId> ids;
  std::uint64_t entry_count = 0;
  for (const auto& [family, entries] : model.families()) {
    ids.push_back(family);
    entry_count += entries.size();
    ASSERT_EQ(memtable.family_entry_count(family), entries.size());
    Memtable::Cursor cursor = memtable.cursor(family);
    cursor.seek_first();
    for (const auto& [key, versions] : entries) {
      ASSERT_TRUE(cursor.valid());
      ASSERT_EQ(cursor.key(), key);
      ASSERT_EQ(cursor.newest().sequence, versions.rbegin()->first);
      ASSERT_NO_FATAL_FAILURE(expect_same(model.find(family, key, visible), cursor.version(visible)));
      cursor.next();
    }
    ASSERT_FALSE(cursor.valid());
    cursor.seek_last();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      ASSERT_TRUE(cursor.valid());
      ASSERT_EQ(cursor.key(), entry->first);
      cursor.prev();
    }
    ASSERT_FALSE(cursor.valid());
  }
  ASSERT_EQ(memtable.families(), ids);
  ASSERT_EQ(memtable.entry_count(), entry_count);
}

// One run: `steps` operations of one key shape over a few families, with a published position that follows at a random
// distance.
void compare_with_model(KeyShape shape, std::uint64_t seed, std::uint64_t steps) {
  base::Random random(seed);
  Memtable memtable;
  Model model;
  std::vector<std::pair<FamilyId, std::string>> written;
  Sequence sequence = random.below(1000);
  Sequence published = sequence;
  for (std::uint64_t step = 0; step < steps; ++step) {
    sequence += 1 + random.below(3);
    const FamilyId family = kFamily + static_cast<FamilyId>(random.below(3));
    const bool overwrites = !written.empty() && random.one_in(3);
    const auto [target, key] =
        overwrites ? written[random.below(written.size())] : std::pair(family, make_key(shape, step, random));
    std::optional<std::string> value;
    if (!random.one_in(5)) value = random_bytes(random, random.below(40), 256);
    memtable.apply(target, key, value ? std::optional<Bytes>(*value) : std::nullopt, sequence, published);
    model.apply(target, key, value, sequence);
    written.emplace_back(target, key);
    if (random.one_in(4)) published += random.below(sequence - published + 1);
    // Any position from published on may be read, in any key: written or not.
    const Sequence visible = random.one_in(3) ? published : published + random.below(sequence - published + 2);
    const auto& [read_family, read_key] = written[random.below(written.size())];
    ASSERT_NO_FATAL_FAILURE(
        expect_same(model.find(read_family, read_key, visible), memtable.find(read_family, read_key, visible)));
    const std::string other = make_key(shape, step + 1, random);
    ASSERT_NO_FATAL_FAILURE(expect_same(model.find(family, other, visible), memtable.find(family, other, visible)));
  }
  memtable.assert_invariants();
  ASSERT_EQ(memtable.last_sequence(), sequence);
  ASSERT_NO_FATAL_FAILURE(expect_same_walk(model, memtable, published));
  ASSERT_NO_FATAL_FAILURE(expect_same_walk(model, memtable, kNewest));
}

TEST(Memtable, AKeyWithoutTheOthersPrefixIsInsertedBeforeAFullLeafOfDescendingKeys) {
  for (int count = 1; count <= 200; ++count) {
    Memtable memtable;
    Sequence sequence = 0;
    for (int index = count; index > 0; --index) {
      memtable.apply(1, "a long common prefix " + std::to_string(1000 + index), Bytes("v"), ++sequence, 0);
    }
    memtable.apply(1, "a", Bytes("first"), ++sequence, 0);
    memtable.assert_invariants();
    Memtable::Cursor cursor = memtable.cursor(1);
    cursor.seek_first();
    EXPECT_EQ(cursor.key(), "a");
    EXPECT_EQ(memtable.entry_count(), static_cast<std::uint64_t>(count) + 1);
  }
}

TEST(Memtable, AnswersAsAMapOfVersionsDoesForEveryKeyShape) {
  for (const KeyShape shape : kKeyShapes) {
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
      SCOPED_TRACE(testing::Message() << "shape " << static_cast<int>(shape) << " seed " << seed);
      ASSERT_NO_FATAL_FAILURE(compare_with_model(shape, seed, seed == 0 ? 12'000 : 700));
    }
  }
}

TEST(Memtable, SeekFindsTheNeighboursOfAnyKey) {
  for (const KeyShape shape : kKeyShapes) {
    base::Random random(7);
    Memtable memtable;
    std::map<std::string, int> model;
    for (std::uint64_t step = 0; step < 1500; ++step) {
      const std::string key = make_key(shape, step, random);
      memtable.apply(kFamily, key, Bytes("v"), step + 1, step);
      model[key] = 1;
      const std::string probe = make_key(shape, random.below(3000), random);
      Memtable::Cursor cursor = memtable.cursor(kFamily);
      const auto at = model.lower_bound(probe);
      cursor.seek(probe);
      ASSERT_EQ(cursor.valid(), at != model.end());
      if (cursor.valid()) {
        ASSERT_EQ(cursor.key(), at->first);
      }
      cursor.seek_before(probe);
      ASSERT_EQ(cursor.valid(), at != model.begin());
      if (cursor.valid()) {
        ASSERT_EQ(cursor.key(), std::prev(at)->first);
      }
    }
  }
}

// A cursor that stands on a key sees, at each step, the neighbours that exist then.
TEST(MemtableCursor, StepsToTheNeighboursOfNowWhileEntriesArrive) {
  for (const KeyShape shape : kKeyShapes) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      base::Random random(seed);
      Memtable memtable;
      std::map<std::string, std::string> model;
      Memtable::Cursor cursor = memtable.cursor(kFamily);
      Sequence sequence = 0;
      for (std::uint64_t step = 0; step < 3000; ++step) {
        if (random.one_in(2)) {
          const std::string key = make_key(shape, step, random);
          const std::string value = std::to_string(step);
          ++sequence;
          memtable.apply(kFamily, key, Bytes(value), sequence, sequence - 1);
          model[key] = value;
        }
        if (model.empty()) continue;
        if (!cursor.valid()) cursor.seek_first();
        const auto at = model.find(std::string(cursor.key()));
        ASSERT_NE(at, model.end());
        ASSERT_EQ(cursor.newest().value, at->second);
        const bool forward = !random.one_in(3);
        const auto neighbour = forward ? std::next(at) : (at == model.begin() ? model.end() : std::prev(at));
        if (forward) {
          cursor.next();
        } else {
          cursor.prev();
        }
        ASSERT_EQ(cursor.valid(), neighbour != model.end());
        if (cursor.valid()) {
          ASSERT_EQ(cursor.key(), neighbour->first);
        }
      }
    }
  }
}

TEST(MemtableCursor, OnAnAbsentFamilyIsInvalidUntilTheFamilyAppears) {
  Memtable memtable;
  Memtable::Cursor cursor = memtable.cursor(kFamily);
  cursor.seek_first();
  EXPECT_FALSE(cursor.valid());
  cursor.seek_last();
  EXPECT_FALSE(cursor.valid());
  cursor.seek("k");
  EXPECT_FALSE(cursor.valid());
  cursor.seek_before("k");
  EXPECT_FALSE(cursor.valid());
  memtable.apply(kFamily, "k", Bytes("v"), 1, 0);
  cursor.seek("k");
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.key(), "k");
}

TEST(Memtable, TellsApartKeysThatDifferOnlyInTrailingZeroBytes) {
  Memtable memtable;
  Sequence sequence = 0;
  for (std::size_t zeros = 0; zeros <= 20; ++zeros) {
    ++sequence;
    memtable.apply(kFamily, std::string(zeros, '\0'), Bytes(std::to_string(zeros)), sequence, 0);
  }
  EXPECT_EQ(memtable.entry_count(), 21U);
  for (std::size_t zeros = 0; zeros <= 20; ++zeros) {
    const auto version = memtable.find(kFamily, std::string(zeros, '\0'), kNewest);
    ASSERT_TRUE(version);
    EXPECT_EQ(version->value, std::to_string(zeros));
  }
  memtable.assert_invariants();
}

TEST(Memtable, TellsADeleteFromAnEmptyValueAndFromAnAbsentKey) {
  Memtable memtable;
  memtable.apply(kFamily, "deleted", std::nullopt, 1, 0);
  memtable.apply(kFamily, "empty", Bytes(), 2, 0);
  const auto deleted = memtable.find(kFamily, "deleted", kNewest);
  ASSERT_TRUE(deleted);
  EXPECT_TRUE(deleted->is_delete);
  const auto empty = memtable.find(kFamily, "empty", kNewest);
  ASSERT_TRUE(empty);
  EXPECT_FALSE(empty->is_delete);
  EXPECT_EQ(empty->value, "");
  EXPECT_FALSE(memtable.find(kFamily, "absent", kNewest));
  EXPECT_FALSE(memtable.find(kFamily + 1, "deleted", kNewest));
  EXPECT_FALSE(memtable.find(kFamily, "empty", 1)) << "not written yet at position 1";
}

TEST(Memtable, UnlinksEveryVersionOlderThanTheOneAReaderAtPublishedNeeds) {
  Memtable memtable;
  memtable.apply(kFamily, "k", Bytes("1"), 1, 0);
  memtable.apply(kFamily, "k", Bytes("2"), 2, 0);
  EXPECT_EQ(memtable.version_count(), 2U) << "a reader at 1 may still come";
  memtable.apply(kFamily, "k", Bytes("3"), 3, 2);
  EXPECT_EQ(memtable.version_count(), 2U) << "version 1 is below the newest at or below published";
  EXPECT_EQ(memtable.find(kFamily, "k", 2)->value, "2");
  EXPECT_EQ(memtable.find(kFamily, "k", 3)->value, "3");
  EXPECT_FALSE(memtable.find(kFamily, "k", 1)) << "unlinked";
  memtable.apply(kFamily, "k", Bytes("4"), 4, 4);
  EXPECT_EQ(memtable.version_count(), 1U) << "replay publishes what it applies: one version";
  EXPECT_EQ(memtable.find(kFamily, "k", 4)->value, "4");
  EXPECT_EQ(memtable.entry_count(), 1U);
}

// `in_flight` commits on one key are always unpublished: at most half as many again may stay linked.
TEST(Memtable, KeepsTheChainOfAHotKeyWithinHalfAsMuchAgainAsReadersNeed) {
  for (const Sequence in_flight : {0U, 1U, 2U, 3U, 10U, 1000U}) {
    Memtable memtable;
    for (Sequence sequence = 1; sequence <= 20'000; ++sequence) {
      const Sequence published = sequence > in_flight ? sequence - in_flight : 0;
      memtable.apply(kFamily, "hot", Bytes("v"), sequence, published);
      ASSERT_EQ(memtable.find(kFamily, "hot", published).has_value(), published > 0);
      const std::uint64_t needed = std::min(sequence, in_flight + 1);
      ASSERT_GE(memtable.version_count(), needed);
      ASSERT_LE(memtable.version_count(), needed + std::max<std::uint64_t>(1, needed / 2) - 1);
    }
    memtable.assert_invariants();
  }
}

TEST(Memtable, KeepsOneVersionOfAKeyPerBatchOnceBatchesAreToldApart) {
  Memtable memtable;
  memtable.apply(kFamily, "k", Bytes("before"), 1, 0);
  memtable.begin_batch();
  for (Sequence sequence = 2; sequence <= 100; ++sequence) {
    memtable.apply(kFamily, "k", Bytes(std::to_string(sequence)), sequence, 0);
  }
  EXPECT_EQ(memtable.version_count(), 2U);
  memtable.begin_batch();
  memtable.apply(kFamily, "k", std::nullopt, 101, 0);
  EXPECT_EQ(memtable.version_count(), 3U);
  EXPECT_EQ(memtable.find(kFamily, "k", 1)->value, "before");
  EXPECT_EQ(memtable.find(kFamily, "k", 100)->value, "100");
  EXPECT_TRUE(memtable.find(kFamily, "k", 101)->is_delete);
  memtable.assert_invariants();
}

TEST(Memtable, ViewsStayGoodWhateverIsAppliedAfter) {
  Memtable memtable;
  memtable.apply(kFamily, "k", Bytes("first"), 1, 0);
  const Bytes view = memtable.find(kFamily, "k", kNewest)->value;
  for (Sequence sequence = 2; sequence <= 50'000; ++sequence) {
    memtable.apply(kFamily, sequence % 2 == 0 ? "k" : big_endian(sequence), Bytes("other"), sequence, sequence - 1);
  }
  EXPECT_EQ(view, "first");
}

TEST(Memtable, AnEmptyOneHoldsNothing) {
  const std::uint64_t before = reactor::AlignedBuffer::total_bytes();
  const Memtable memtable;
  EXPECT_EQ(reactor::AlignedBuffer::total_bytes(), before);
  EXPECT_EQ(memtable.memory_bytes(), 0U);
  EXPECT_TRUE(memtable.is_empty());
  EXPECT_EQ(memtable.first_sequence(), 0U);
  EXPECT_EQ(memtable.last_sequence(), 0U);
  EXPECT_TRUE(memtable.families().empty());
  EXPECT_FALSE(memtable.find(kFamily, "", kNewest));
}

TEST(Memtable, CountsExactlyWhatItHoldsFromTheSystem) {
  const std::uint64_t before = reactor::AlignedBuffer::total_bytes();
  {
    base::Random random(3);
    Memtable memtable;
    for (Sequence sequence = 1; sequence <= 3000; ++sequence) {
      // From nothing to 300 KiB: pieces within chunks and with chunks of their own.
      const std::string value(random.one_in(100) ? random.below(300'000) : random.below(2000), 'v');
      memtable.apply(kFamily, big_endian(random.below(2000)), Bytes(value), sequence, sequence - 1);
      ASSERT_EQ(memtable.memory_bytes(), reactor::AlignedBuffer::total_bytes() - before);
      ASSERT_LE(memtable.used_bytes(), memtable.memory_bytes());
    }
    EXPECT_GT(memtable.memory_bytes(), 4_MiB);  // Chunks of every size were used.
    EXPECT_LT(memtable.memory_bytes(), memtable.used_bytes() * 3 / 2);
    EXPECT_EQ(memtable.first_sequence(), 1U);
    EXPECT_EQ(memtable.last_sequence(), 3000U);
  }
  EXPECT_EQ(reactor::AlignedBuffer::total_bytes(), before);
}

TEST(Memtable, TenThousandFamiliesCostTheirSmallRoots) {
  Memtable memtable;
  Sequence sequence = 0;
  std::vector<FamilyId> ids;
  for (FamilyId i = 0; i < 10'000; ++i) {
    const FamilyId family = kFamily + (i * 7919) % 1'000'003;
    ids.push_back(family);
    ++sequence;
    memtable.apply(family, "key", Bytes("value"), sequence, 0);
  }
  std::ranges::sort(ids);
  EXPECT_EQ(memtable.families(), ids);
  EXPECT_EQ(memtable.family_count(), 10'000U);
  // A tree (64), a leaf of four slots (128), an entry (56 with its version), table slots: below 400 bytes each.
  EXPECT_LT(memtable.used_bytes(), 10'000U * 400U);
  for (const FamilyId family : ids) {
    ASSERT_TRUE(memtable.find(family, "key", kNewest));
    ASSERT_EQ(memtable.family_entry_count(family), 1U);
  }
  EXPECT_FALSE(memtable.find(ids.back() + 1, "key", kNewest));
  memtable.assert_invariants();
}

TEST(Memtable, TakesTheLongestKeyAndABatchSizedValue) {
  Memtable memtable;
  const std::string key(kKeyBytesMax, '\xff');
  const std::string value(kBatchBytesMax, 'v');
  memtable.apply(kFamily, key, Bytes(value), 1, 0);
  memtable.apply(kFamily, key.substr(1), Bytes("short"), 2, 0);
  EXPECT_EQ(memtable.find(kFamily, key, kNewest)->value, value);
  EXPECT_EQ(memtable.find(kFamily, key.substr(1), kNewest)->value, "short");
}

TEST(MemtableDeathTest, RefusesASequenceThatDoesNotGrow) {
  Memtable memtable;
  memtable.apply(kFamily, "k", Bytes("v"), 5, 0);
  EXPECT_DEATH(memtable.apply(kFamily, "k", Bytes("v"), 5, 0), "sequence > last_sequence_");
}

// A leaf that is full of keys with a shared prefix, then a key behind them all without it: the new leaf begins with that key.
TEST(Memtable, TakesAKeyThatSharesNothingWithTheFullLeafBeforeIt) {
  for (std::uint64_t count = 1; count <= 3UL * kLeafCapacity; ++count) {
    Memtable memtable;
    Sequence sequence = 0;
    for (std::uint64_t step = 0; step < count; ++step) {
      memtable.apply(kFamily, std::string(20, 'p') + big_endian(step), "value", ++sequence, 0);
    }
    memtable.apply(kFamily, "q", "last", ++sequence, 0);
    const auto last = memtable.find(kFamily, "q", kNewest);
    ASSERT_TRUE(last.has_value()) << count;
    EXPECT_EQ(last->value, "last");
    const auto first = memtable.find(kFamily, std::string(20, 'p') + big_endian(0), kNewest);
    ASSERT_TRUE(first.has_value()) << count;
    EXPECT_EQ(memtable.family_entry_count(kFamily), count + 1);
  }
}

}  // namespace
}  // namespace penstock::memtable
