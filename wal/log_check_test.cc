// Every group of a log is checked, and every damage reported with its file and place, not only the first.
#include "wal/log_check.h"

#include <gtest/gtest.h>

#include <map>

#include "wal/group.h"
#include "wal/test_log.h"

namespace penstock::wal {
namespace {

class Seen final : public LogInspector {
 public:
  void on_part(const Part& part, const GroupPlace& place) override {
    ++parts;
    by_file[place.file].push_back(place);
    bytes += part.payload.size();
  }
  void on_group(std::uint64_t group_bytes) override { group_bytes_sum += group_bytes; }
  void on_damage(const LogDamage& damage) override { damages.push_back(damage); }
  Task<bool> go_on(std::uint64_t read_bytes) override {
    (void)read_bytes;
    co_return ++calls != stop_at;
  }

  std::uint64_t parts = 0;
  std::uint64_t bytes = 0;
  std::uint64_t group_bytes_sum = 0;
  std::uint64_t calls = 0;
  std::uint64_t stop_at = 0;
  std::map<std::string, std::vector<GroupPlace>> by_file;
  std::vector<LogDamage> damages;
};

Task<bool> check_on(reactor::Reactor* reactor, LogCheckOptions options, Seen* seen) {
  co_return co_await check_log(*reactor, std::move(options), *seen);
}

class LogCheckTest : public LogTest {
 protected:
  static constexpr std::uint64_t kCommits = 40;

  /// Three segments and more, each group with one record.
  void SetUp() override {
    boot();
    open_and_start();
    for (std::uint64_t index = 0; index < kCommits; ++index) {
      ASSERT_TRUE(commit(static_cast<ShardId>(index % 4), 3000 + (index * 100)).is_ok());
    }
    end_ = user_->log().durable_position().offset;
    ASSERT_TRUE(close().is_ok());
    shut_down();
  }

  Seen check(std::uint64_t stop_at = 0) {
    Seen seen;
    seen.stop_at = stop_at;
    reactor::SimWorld world(disk_);
    LogCheckOptions options{.directory = kTestDirectory,
                            .identity = kTestIdentity,
                            .log = {.epoch = options_.epoch, .reactor = options_.reactor},
                            .begin = 0,
                            .end = end_};
    goes_on_ = world.run(0, &check_on, &world.reactor(0), options, &seen);
    return seen;
  }

  std::uint64_t end_ = 0;
  bool goes_on_ = true;
};

TEST_F(LogCheckTest, ASoundLogHasNoDamageAndAllItsParts) {
  const Seen seen = check();
  EXPECT_TRUE(goes_on_);
  EXPECT_TRUE(seen.damages.empty());
  EXPECT_EQ(seen.parts, kCommits);
  EXPECT_GE(seen.by_file.size(), 3U);
  EXPECT_EQ(seen.calls, kCommits);
}

TEST_F(LogCheckTest, StopsWhenTheInspectorHadEnough) {
  const Seen seen = check(3);
  EXPECT_FALSE(goes_on_);
  EXPECT_EQ(seen.parts, 3U);
}

TEST_F(LogCheckTest, EveryDamagedGroupIsReportedWithItsFileAndPlace) {
  const Seen sound = check();
  std::size_t planted = 0;
  for (const auto& [file, groups] : sound.by_file) {
    for (std::size_t index = 1; index < groups.size(); index += 3) {
      // Alternately in the header and in the payload.
      const std::uint64_t within = index % 2 == 0 ? 40 : 1000;
      ASSERT_TRUE(disk_.flip_byte("/log/" + file, groups[index].file_offset + within, 1).is_ok());
      ++planted;
    }
  }
  const Seen seen = check();
  EXPECT_TRUE(goes_on_);
  ASSERT_EQ(seen.damages.size(), planted);
  EXPECT_EQ(seen.parts, kCommits - planted);
  std::size_t next = 0;
  for (const auto& [file, groups] : sound.by_file) {
    for (std::size_t index = 1; index < groups.size(); index += 3) {
      const LogDamage& damage = seen.damages[next++];
      EXPECT_EQ(damage.file, file);
      EXPECT_EQ(damage.file_offset, groups[index].file_offset);
      EXPECT_EQ(damage.begin, groups[index].begin);
      EXPECT_GE(damage.end, groups[index].begin + groups[index].bytes);
      EXPECT_EQ(damage.kind, LogDamage::Kind::kChecksum);
      EXPECT_TRUE(damage.status.is(Code::kCorruption));
    }
  }
}

TEST_F(LogCheckTest, TheLastGroupOfTheLogAndOfEachSegmentAreMissedToo) {
  const Seen sound = check();
  for (const auto& [file, groups] : sound.by_file) {
    SCOPED_TRACE(file);
    ASSERT_TRUE(disk_.flip_byte("/log/" + file, groups.back().file_offset + 20, 1).is_ok());
    const Seen seen = check();
    ASSERT_EQ(seen.damages.size(), 1U);
    EXPECT_EQ(seen.damages[0].file, file);
    EXPECT_EQ(seen.damages[0].begin, groups.back().begin);
    ASSERT_TRUE(disk_.flip_byte("/log/" + file, groups.back().file_offset + 20, 1).is_ok());
  }
}

TEST_F(LogCheckTest, ASegmentThatIsGoneOrHeadlessIsReportedByItsName) {
  const Seen sound = check();
  for (const auto& [file, groups] : sound.by_file) {
    SCOPED_TRACE(file);
    for (const bool is_removed : {false, true}) {
      const std::unique_ptr<reactor::SimDisk> copy = disk_.clone();
      const Status done = is_removed ? copy->remove("/log/" + file) : copy->flip_byte("/log/" + file, 30, 1);
      ASSERT_TRUE(done.is_ok());
      Seen seen;
      reactor::SimWorld world(*copy);
      LogCheckOptions options{.directory = kTestDirectory,
                              .identity = kTestIdentity,
                              .log = {.epoch = options_.epoch, .reactor = options_.reactor},
                              .begin = 0,
                              .end = end_};
      EXPECT_TRUE(world.run(0, &check_on, &world.reactor(0), options, &seen));
      ASSERT_EQ(seen.damages.size(), 1U);
      EXPECT_EQ(seen.damages[0].kind, LogDamage::Kind::kMissing);
      EXPECT_EQ(seen.damages[0].file, file);
      EXPECT_EQ(seen.parts, kCommits - groups.size());
    }
  }
}

}  // namespace
}  // namespace penstock::wal
