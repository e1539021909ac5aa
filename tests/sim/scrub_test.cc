// Goal: scrub() reports every damage of a running database by file, position, length, family and kind, and nothing that is
// sound. Method: a small database on the simulated disk with every kind of page; one byte, or several, flipped under it, in
// places that the formats give; its report compared with what was planted. Commits and flushes run beside it for false alarms.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/endian.h"
#include "base/random.h"
#include "btree/page_format.h"
#include "btree/super_format.h"
#include "btree/zone_format.h"
#include "tests/sim/sim_database.h"
#include "wal/log_format.h"

namespace penstock::simtest {
namespace {

using reactor::SimDisk;

std::string noise(std::uint64_t bytes, std::uint64_t seed) {
  base::Random random(seed);
  std::string text(bytes, '\0');
  for (char& each : text) each = static_cast<char>(random.below(256));
  return text;
}

/// A page or extent that stands in a page file, by its header.
struct FoundPage {
  std::string file;
  std::uint64_t offset = 0;
  btree::PageHeader header;
  std::uint64_t value_bytes = 0;  // Of an extent.
};

class ScrubTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(db_.open().has_value());
    spread_ = make("spread", {.placement = Placement::kHashed});
    pinned_ = make("pinned", {.shard = 0});
    for (int index = 0; index < 400; ++index) put(spread_, "key" + std::to_string(index), noise(60, 1));
    put(pinned_, "extent", noise(20'000, 5));
    put(pinned_, "long extent", noise(150'000, 6));
    flush();
    for (int index = 0; index < 9; ++index) put(spread_, "key" + std::to_string(index), "again");
    put(pinned_, "short", "again");
    flush();                                   // Twice: both slots are written.
    put(pinned_, "early", noise(100'000, 7));  // Its extent is named by the log alone.
    for (int index = 0; index < 30; ++index) put(pinned_, "late" + std::to_string(index), noise(500, 8));
    db_.run_for_ms(100);
  }
  void TearDown() override {
    if (owner_ != nullptr) {
      EXPECT_TRUE(db_.close().is_ok());
    }
  }
  /// The process ends, and with it its hold on the database.
  void shut() {
    ASSERT_TRUE(db_.close().is_ok());
    owner_.reset();
  }

  Family make(const std::string& name, const FamilyOptions& options) {
    const Outcome<Family> made = db_.family(name, options);
    EXPECT_TRUE(made.has_value());
    return *made;
  }
  void put(const Family& family, const std::string& key, const std::string& value) {
    ASSERT_TRUE(db_.put(family, key, value).is_ok());
  }
  void flush() {
    for (ShardId shard = 0; shard < db_.shard_count(); ++shard) ASSERT_TRUE(db_.flush(shard).is_ok());
  }
  VerifyReport scrub(const ScrubOptions& options = {}) {
    const Outcome<VerifyReport> report = db_.scrub(options);
    EXPECT_TRUE(report.has_value());
    return report.value_or(VerifyReport{});
  }

  /// Pages and extents that the sound database reaches: a scrub with that page damaged has a damage there.
  std::vector<FoundPage> pages(const std::string& path) const {
    const std::vector<std::byte> bytes = *disk_.read_all("/db/" + path);
    std::vector<FoundPage> found;
    for (std::uint64_t offset = btree::kZoneBytes; offset + btree::kPageBlockBytes <= bytes.size();
         offset += btree::kPageBlockBytes) {
      FoundPage page{.file = path, .offset = offset, .header = base::load<btree::PageHeader>(std::span(bytes).subspan(offset))};
      if (page.header.magic.get() != btree::kPageMagic) continue;
      if (page.header.type == static_cast<std::uint8_t>(btree::PageType::kExtent)) {
        page.value_bytes = base::load<btree::ExtentHeader>(std::span(bytes).subspan(offset)).value_bytes.get();
      }
      found.push_back(page);
    }
    return found;
  }
  void flip(const std::string& file, std::uint64_t offset) { ASSERT_TRUE(disk_.flip_byte("/db/" + file, offset, 8).is_ok()); }

  /// What the older superblock of shard 0 has applied, in epoch 1: the log before it is needed by nobody.
  std::uint64_t first_needed() const {
    const std::vector<std::byte> super = *disk_.read_all("/db/shard-0/super");
    std::uint64_t first = ~std::uint64_t{0};
    for (const std::uint64_t slot : {0U, 1U}) {
      const auto header = base::load<btree::SuperHeader>(std::span(super).subspan(slot * btree::kSuperSlotBytes));
      first = std::min(first, header.applied_offset.get());
    }
    return first;
  }

  SimDisk disk_{9};
  std::unique_ptr<SimDatabase> owner_ =
      std::make_unique<SimDatabase>(disk_, SimDatabaseOptions{.seed = 3, .gather_from_bytes = 1});
  SimDatabase& db_ = *owner_;
  Family spread_;
  Family pinned_;
};

TEST_F(ScrubTest, ASoundDatabaseHasNoDamageAndIsReadWhole) {
  const VerifyReport report = scrub();
  EXPECT_TRUE(report.is_sound()) << report.damages.front().to_string();
  EXPECT_TRUE(report.is_complete);
  EXPECT_GE(report.entries, 402U);
  EXPECT_GT(report.log_groups, 30U);
  EXPECT_GT(report.read_bytes, report.live_bytes);
}

TEST_F(ScrubTest, EveryDamagedPageAndExtentIsReportedWhereItLies) {
  std::set<std::pair<FamilyId, std::uint8_t>> kinds;
  std::size_t reported = 0;
  for (ShardId shard = 0; shard < db_.shard_count(); ++shard) {
    const std::string file = "shard-" + std::to_string(shard) + "/pages-1";
    for (const FoundPage& page : pages(file)) {
      SCOPED_TRACE(file + " " + std::to_string(page.offset));
      flip(file, page.offset + 100);
      const VerifyReport report = scrub();
      flip(file, page.offset + 100);
      if (report.is_sound()) continue;  // No tree reaches that page any more.
      ++reported;
      ASSERT_EQ(report.damage_count, 1U) << report.damages[1].to_string();
      const Damage& damage = report.damages[0];
      EXPECT_EQ(damage.file, file);
      EXPECT_EQ(damage.offset, page.offset);
      EXPECT_EQ(damage.kind, Damage::Kind::kChecksum);
      EXPECT_EQ(damage.family, page.header.family.get());
      EXPECT_EQ(damage.status.shard(), shard);
      EXPECT_TRUE(damage.status.is(Code::kCorruption));
      if (page.header.blocks != 0) {
        EXPECT_EQ(damage.bytes, std::uint64_t{page.header.blocks} * btree::kPageBlockBytes);
      }
      kinds.insert({std::min(page.header.family.get(), kFamilyIdUserMin), page.header.type});
    }
  }
  EXPECT_GT(reported, 10U);
  const auto leaf = static_cast<std::uint8_t>(btree::PageType::kLeaf);
  const auto inner = static_cast<std::uint8_t>(btree::PageType::kInner);
  const auto extent = static_cast<std::uint8_t>(btree::PageType::kExtent);
  EXPECT_TRUE(kinds.contains({btree::kCatalogFamily, leaf}));
  EXPECT_TRUE(kinds.contains({btree::kRootsFamily, leaf}));
  EXPECT_TRUE(kinds.contains({kFamilyIdUserMin, leaf}));
  EXPECT_TRUE(kinds.contains({kFamilyIdUserMin, inner}));
  EXPECT_TRUE(kinds.contains({kFamilyIdUserMin, extent}));
}

TEST_F(ScrubTest, EachDamagedPieceOfALongValueIsReported) {
  std::size_t seen = 0;
  for (const FoundPage& page : pages("shard-0/pages-1")) {
    if (page.value_bytes < 100'000) continue;
    ++seen;
    const std::uint64_t data = page.offset + (btree::extent_head_blocks(page.value_bytes) * btree::kPageBlockBytes);
    const std::uint64_t second = data + btree::kExtentChecksumBytes;
    flip(page.file, data + 10);
    flip(page.file, second + 10);
    const VerifyReport report = scrub();
    flip(page.file, data + 10);
    flip(page.file, second + 10);
    ASSERT_EQ(report.damage_count, 2U);
    EXPECT_EQ(report.damages[0].offset, data);
    EXPECT_EQ(report.damages[0].bytes, btree::kExtentChecksumBytes);
    EXPECT_EQ(report.damages[1].offset, second);
  }
  EXPECT_EQ(seen, 2U);  // In a tree, and named by the log alone.
}

TEST_F(ScrubTest, SlotsTablesIdentityEpochAndLogAreReportedWhereTheyLie) {
  struct Place {
    std::string file;
    std::uint64_t flipped;
    std::uint64_t offset;
    std::uint64_t bytes;
  };
  std::vector<Place> places = {
      {"IDENTITY", 100, 0, 4096},
      {"EPOCH", 60, 0, 65536},
      {"EPOCH", 65536 + 60, 65536, 65536},
      {"shard-1/super", 90, 0, btree::kSuperSlotBytes},
      {"shard-1/super", btree::kSuperSlotBytes + 90, btree::kSuperSlotBytes, btree::kSuperSlotBytes},
  };
  const std::vector<std::byte> super = *disk_.read_all("/db/shard-1/super");
  for (const std::uint64_t slot : {0U, 1U}) {
    const std::uint64_t begin = slot * btree::kSuperSlotBytes;
    const auto file = base::load<btree::SuperFile>(std::span(super).subspan(begin + sizeof(btree::SuperHeader)));
    const std::uint64_t table = std::uint64_t{file.table_copy} * btree::kZoneTableBytes;
    places.push_back({"shard-1/pages-1", table + 16, table, btree::zone_table_bytes(file.zones.get())});
  }
  // EPOCH was written twice: at creation and by this opening.
  for (const Place& place : places) {
    SCOPED_TRACE(place.file + " " + std::to_string(place.flipped));
    flip(place.file, place.flipped);
    const VerifyReport report = scrub();
    flip(place.file, place.flipped);
    ASSERT_EQ(report.damage_count, 1U);
    EXPECT_EQ(report.damages[0].file, place.file);
    EXPECT_EQ(report.damages[0].offset, place.offset);
    EXPECT_EQ(report.damages[0].bytes, place.bytes);
    EXPECT_EQ(report.damages[0].kind, Damage::Kind::kChecksum);
  }
}

TEST_F(ScrubTest, EveryGroupOfTheLogThatIsDamagedIsReported) {
  std::size_t groups = 0;
  for (const std::string& path : disk_.list_files()) {
    if (!path.starts_with("/db/log/")) continue;
    const std::string file = path.substr(4);
    const std::vector<std::byte> bytes = *disk_.read_all(path);
    for (std::uint64_t offset = wal::kLogBlockBytes; offset < bytes.size(); offset += wal::kLogBlockBytes) {
      const auto header = base::load<wal::GroupHeader>(std::span(bytes).subspan(offset));
      if (header.magic.get() != wal::kGroupMagic) continue;
      ++groups;
      flip(file, offset + 130);
      const VerifyReport report = scrub();
      flip(file, offset + 130);
      ASSERT_EQ(report.damage_count, 1U) << file << " " << offset;
      EXPECT_EQ(report.damages[0].file, file);
      EXPECT_EQ(report.damages[0].offset, offset);
      EXPECT_EQ(report.damages[0].status.file_kind(), FileKind::kLog);
    }
  }
  EXPECT_GT(groups, 30U);
}

TEST_F(ScrubTest, AllDamagesAreReportedAtOnceAndVerifyNamesTheFirst) {
  flip("IDENTITY", 100);
  flip("EPOCH", 60);
  flip("shard-0/super", 90);
  std::size_t extents = 0;
  for (const FoundPage& page : pages("shard-0/pages-1")) {
    if (page.value_bytes == 0) continue;
    flip(page.file, page.offset + 100);
    ++extents;
  }
  const VerifyReport report = scrub();
  EXPECT_EQ(report.damage_count, 3 + extents);
  const Outcome<VerifyReport> verified = db_.verify();
  ASSERT_FALSE(verified.has_value());
  EXPECT_TRUE(verified.error().status.is(Code::kCorruption));
  EXPECT_EQ(verified.error().status.file_kind(), FileKind::kIdentity);
  EXPECT_NE(verified.error().text.find("shard-0/super"), std::string::npos);
}

TEST_F(ScrubTest, APageThatCannotBeReadIsReportedAsSuch) {
  disk_.faults().fail_from(reactor::SimEvent::kRead, 1, {.result = -EIO});
  const VerifyReport report = scrub();
  disk_.faults().clear();
  EXPECT_GT(report.damage_count, 3U);
  for (const Damage& damage : report.damages) EXPECT_NE(damage.kind, Damage::Kind::kStructure) << damage.to_string();
  EXPECT_TRUE(std::ranges::any_of(report.damages, [](const Damage& damage) {
    return damage.kind == Damage::Kind::kUnreadable && damage.status.error_number() == EIO;
  }));
}

TEST_F(ScrubTest, KeepsToItsRateAndStopsWhenAsked) {
  const std::uint64_t began_ns = db_.world().now_ns();
  const VerifyReport whole = scrub({.bytes_per_second = 4_MiB});
  const std::uint64_t took_ns = db_.world().now_ns() - began_ns;
  EXPECT_TRUE(whole.is_complete);
  EXPECT_TRUE(whole.is_sound());
  // Two reactors with half of the rate each: the busier one decides.
  EXPECT_GT(took_ns, whole.read_bytes / 2 * 1'000'000'000 / 4_MiB / 2);
  std::uint64_t calls = 0;
  const VerifyReport stopped = scrub({.on_progress = [&calls](const ScrubProgress& progress) {
    EXPECT_GE(progress.bytes_total, progress.bytes_done);
    ++calls;
    return false;
  }});
  EXPECT_EQ(calls, 1U);
  EXPECT_FALSE(stopped.is_complete);
  EXPECT_LT(stopped.read_bytes, whole.read_bytes);
}

TEST_F(ScrubTest, CommitsAndFlushesBesideItRaiseNoAlarm) {
  for (std::uint64_t round = 0; round < 12; ++round) {
    auto job = db_.start_scrub({.bytes_per_second = 2_MiB});
    std::uint64_t commits = 0;
    while (!job.is_done()) {
      const std::string key = "key" + std::to_string((commits * 37) % 400);
      put(spread_, key, noise(40 + (commits % 100), commits));
      if (commits % 5 == 0) put(pinned_, "early" + std::to_string(commits % 3), noise(70'000, commits));
      if (commits % 11 == 0) flush();
      ++commits;
    }
    const Outcome<VerifyReport> report = job.take();
    ASSERT_TRUE(report.has_value());
    ASSERT_TRUE(report->is_sound()) << round << ": " << report->damages.front().to_string();
    EXPECT_GT(commits, 3U);
  }
}

TEST_F(ScrubTest, ClosingStopsIt) {
  auto job = db_.start_scrub({.bytes_per_second = 64 * 1024});
  db_.run_for_ms(50);
  ASSERT_FALSE(job.is_done());
  EXPECT_TRUE(db_.close().is_ok());
  ASSERT_TRUE(job.is_done());
  EXPECT_FALSE(job.take()->is_complete);
}

/// The same database, closed or killed, and verified by one that does not open it.
class ClosedVerifyTest : public ScrubTest {
 protected:
  VerifyReport verify_closed() {
    const std::unique_ptr<SimDisk> copy = disk_.clone();
    std::map<std::string, std::vector<std::byte>> before;
    for (const std::string& path : copy->list_files()) before[path] = *copy->read_all(path);
    SimDatabase db(*copy, {.seed = 5, .reactors = 1});
    const Outcome<VerifyReport> report = db.verify_closed();
    EXPECT_TRUE(report.has_value()) << report.error().text;
    if (!report.has_value()) return {};
    for (const std::string& path : copy->list_files()) {
      EXPECT_TRUE(*copy->read_all(path) == before[path]) << path << " was changed";
    }
    return *report;
  }
};

TEST_F(ClosedVerifyTest, ASoundDatabaseHasNoDamageClosedOrKilled) {
  const VerifyReport live = scrub();
  for (const bool is_killed : {false, true}) {
    if (is_killed) {
      SimDatabase db(disk_, {.seed = 8});
      ASSERT_TRUE(db.open().has_value());
      const Outcome<Family> family = db.open_family("pinned");
      ASSERT_TRUE(family.has_value());
      ASSERT_TRUE(db.put(*family, "another", noise(3000, 9)).is_ok());
      db.kill(4);
    } else {
      shut();
    }
    const VerifyReport report = verify_closed();
    EXPECT_TRUE(report.is_sound()) << report.damages.front().to_string();
    EXPECT_TRUE(report.is_complete);
    EXPECT_GE(report.entries, live.entries);
    EXPECT_GT(report.log_groups, 0U);
  }
}

TEST_F(ClosedVerifyTest, DamageThatKeepsADatabaseShutIsReportedWithAllTheRest) {
  shut();
  flip("shard-1/super", 90);
  flip("shard-1/super", btree::kSuperSlotBytes + 90);
  std::size_t extents = 0;
  for (const FoundPage& page : pages("shard-0/pages-1")) {
    if (page.value_bytes == 0) continue;
    extents += page.value_bytes != 100'000 ? 1U : 0U;  // No tree reaches that one: the log names it.
    flip(page.file, page.offset + 100);
  }
  ASSERT_GT(extents, 1U);
  const VerifyReport report = verify_closed();
  EXPECT_EQ(report.damage_count, 1 + extents);
  EXPECT_FALSE(report.is_complete);  // Without a superblock nothing says which log is needed.
  EXPECT_TRUE(std::ranges::any_of(report.damages, [](const Damage& damage) { return damage.file == "shard-1/super"; }));
}

TEST_F(ClosedVerifyTest, EveryDamagedGroupOfALogIsReported) {
  shut();
  std::set<std::pair<std::string, std::uint64_t>> flipped;
  for (const std::string& path : disk_.list_files()) {
    if (!path.starts_with("/db/log/1-0-")) continue;
    const std::vector<std::byte> bytes = *disk_.read_all(path);
    std::uint64_t count = 0;
    for (std::uint64_t offset = wal::kLogBlockBytes; offset < bytes.size(); offset += wal::kLogBlockBytes) {
      const auto header = base::load<wal::GroupHeader>(std::span(bytes).subspan(offset));
      if (header.magic.get() != wal::kGroupMagic || header.position.get() < first_needed()) continue;
      if (++count % 4 != 2) continue;
      flip(path.substr(4), offset + 130);
      flipped.insert({path.substr(4), offset});
    }
  }
  ASSERT_GT(flipped.size(), 3U);
  const VerifyReport report = verify_closed();
  std::set<std::pair<std::string, std::uint64_t>> reported;
  for (const Damage& damage : report.damages) reported.insert({damage.file, damage.offset});
  EXPECT_EQ(reported, flipped);
}

TEST_F(ClosedVerifyTest, AnIdentityThatIsDamagedEndsIt) {
  shut();
  flip("IDENTITY", 100);
  const VerifyReport report = verify_closed();
  EXPECT_FALSE(report.is_complete);
  ASSERT_EQ(report.damage_count, 1U);
  EXPECT_EQ(report.damages[0].file, "IDENTITY");
}

}  // namespace
}  // namespace penstock::simtest
