#include "wal/segment_name.h"

#include <gtest/gtest.h>

#include "reactor/sim_world.h"

namespace penstock::wal {
namespace {

TEST(SegmentName, NamesAreReadBack) {
  const LogName log{.epoch = 4294967295U, .reactor = 65535};
  const std::string name = segment_name(log, 18446744073709551615ULL);
  EXPECT_EQ(name, "4294967295-65535-18446744073709551615");
  const auto parsed = parse_segment_name(name);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->log.epoch, log.epoch);
  EXPECT_EQ(parsed->log.reactor, log.reactor);
  EXPECT_EQ(parsed->index, 18446744073709551615ULL);
  EXPECT_FALSE(parsed->is_unfinished);
  EXPECT_TRUE(parse_segment_name(name + ".new")->is_unfinished);
}

TEST(SegmentName, OtherNamesAreNotOurs) {
  for (const char* name :
       {"", "-", "1", "1-2", "1-2-", "1-2-3-", "1-2-3-4", "01-2-3", "1-02-3", "1-2-03", "1-2-3x", " 1-2-3", "+1-2-3",
        "4294967296-0-0", "0-65536-0", "0-0-18446744073709551616", "1-2-3.new.new", ".new", "lost+found"}) {
    EXPECT_FALSE(parse_segment_name(name).has_value()) << name;
  }
}

class SegmentFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world_.system().make_directory("/log").is_ok());
    ASSERT_TRUE(world_.system().sync_directory("/").is_ok());
  }
  void make(const std::string& name) { ASSERT_TRUE(disk_.write_all("/log/" + name, {}).is_ok()); }

  reactor::SimDisk disk_{1};
  reactor::SimWorld world_{disk_};
};

TEST_F(SegmentFolder, ListIsSortedByNumber) {
  for (const char* name : {"2-0-10", "2-0-9", "10-0-0", "2-1-0", "2-0-11.new"}) make(name);
  const auto segments = list_segments(world_.system(), "/log");
  ASSERT_TRUE(segments.has_value());
  std::vector<std::string> names;
  for (const SegmentFile& segment : *segments) names.push_back(segment.name);
  EXPECT_EQ(names, (std::vector<std::string>{"2-0-9", "2-0-10", "2-1-0", "10-0-0"}));
}

TEST_F(SegmentFolder, AForeignFileIsNamedAsCorruption) {
  make("2-0-10");
  make("core.1234");
  const auto segments = list_segments(world_.system(), "/log");
  ASSERT_FALSE(segments.has_value());
  EXPECT_TRUE(segments.error().status.is(Code::kCorruption));
  EXPECT_NE(segments.error().text.find("/log/core.1234"), std::string::npos);
}

TEST_F(SegmentFolder, RemovingALogTakesItsFilesAlone) {
  for (const char* name : {"2-0-9", "2-0-10", "2-0-11.new", "2-1-9", "3-0-9"}) make(name);
  ASSERT_TRUE(remove_log(world_.system(), "/log", {.epoch = 2, .reactor = 0}).is_ok());
  EXPECT_EQ(disk_.list_files(), (std::vector<std::string>{"/log/2-1-9", "/log/3-0-9"}));
  EXPECT_TRUE(remove_log(world_.system(), "/log", {.epoch = 2, .reactor = 0}).is_ok());
}

TEST_F(SegmentFolder, RemovingALogInStepsTakesItsLastFileFirst) {
  for (const char* name : {"2-0-9", "2-0-10", "2-0-11.new"}) make(name);
  const LogName log{.epoch = 2, .reactor = 0};
  std::vector<std::size_t> left;
  bool has_more = true;
  while (has_more) {
    const Result<bool> removed = shorten_log(world_.system(), "/log", log);
    ASSERT_TRUE(removed.has_value());
    has_more = *removed;
    left.push_back(disk_.list_files().size());
    EXPECT_EQ(disk_.exists("/log/2-0-9"), has_more);
  }
  EXPECT_EQ(left, (std::vector<std::size_t>{2, 1, 0}));
}

// A log that lost its beginning would be taken for damaged.
TEST(RemoveLog, APowerCutNeverLeavesALaterSegmentWithoutTheFirst) {
  for (std::uint64_t cut = 1;; ++cut) {
    reactor::SimDisk disk(cut);
    bool was_cut = false;
    {
      reactor::SimWorld world(disk);
      ASSERT_TRUE(world.system().make_directory("/log").is_ok());
      ASSERT_TRUE(world.system().sync_directory("/").is_ok());
      for (const char* name : {"2-0-0", "2-0-1", "2-0-2"}) ASSERT_TRUE(disk.write_all(std::string("/log/") + name, {}).is_ok());
      disk.cut_at(disk.faults().events() + cut);
      was_cut = !remove_log(world.system(), "/log", {.epoch = 2, .reactor = 0}).is_ok();
    }
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
      const auto after = disk.clone();
      after->cut_power(seed);
      const std::vector<std::string> files = after->list_files();
      if (!files.empty()) {
        EXPECT_EQ(files.front(), "/log/2-0-0") << "cut " << cut << " seed " << seed;
      }
      if (!was_cut) {
        EXPECT_TRUE(files.empty());
      }
    }
    if (!was_cut) break;
  }
}

}  // namespace
}  // namespace penstock::wal
