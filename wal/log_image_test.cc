// Goal: what one reading leaves in an image spares the next one the disk, and changes nothing of what it delivers.
#include "wal/log_image.h"

#include <gtest/gtest.h>

#include "wal/test_log.h"

namespace penstock::wal {
namespace {

class LogImageTest : public LogTest {
 protected:
  void write_some_segments() {
    boot();
    open_and_start();
    for (std::uint32_t index = 0; index < 60; ++index) ASSERT_TRUE(append(1, 5000).is_ok());
    ASSERT_TRUE(close().is_ok());
    written_ = user_->records;
    shut_down();
  }
  /// Reads all; returns the bytes that came from the disk.
  std::uint64_t bytes_read(LogImage* source, LogImage* sink) {
    ReadOptions options = test_read_options(options_);
    options.source = source;
    options.sink = sink;
    reactor::SimWorld world(disk_);
    Collector collector;
    const Outcome<ReadResult> result = world.run(0, read_all, &world.reactor(0), options, &collector);
    EXPECT_TRUE(result.has_value()) << result.error().text;
    EXPECT_TRUE(collector.records == written_);
    return world.reactor(0).io().counters().read_bytes;
  }

  reactor::ChunkPool pool_;
  std::vector<TestRecord> written_;
};

TEST_F(LogImageTest, TheSecondReadingTakesFromMemoryWhatTheFirstOneKept) {
  write_some_segments();
  const std::uint64_t plain_bytes = bytes_read(nullptr, nullptr);
  LogImage image(pool_, 100_MiB);
  EXPECT_EQ(bytes_read(nullptr, &image), plain_bytes);
  EXPECT_GE(image.kept_bytes(), 300'000U);
  const std::uint64_t second_bytes = bytes_read(&image, nullptr);
  EXPECT_LT(second_bytes, plain_bytes / 2) << "headers alone";
  EXPECT_EQ(image.kept_bytes(), 0U) << "each piece is handed out";
  EXPECT_EQ(bytes_read(&image, nullptr), plain_bytes) << "an empty image is none";
}

TEST_F(LogImageTest, OverTheBudgetTheRestComesFromTheDisk) {
  write_some_segments();
  const std::uint64_t plain_bytes = bytes_read(nullptr, nullptr);
  LogImage image(pool_, 130'000);  // Two segments of 64 KiB.
  bytes_read(nullptr, &image);
  EXPECT_LE(image.kept_bytes(), 130'000U);
  EXPECT_GT(image.kept_bytes(), 0U);
  const std::uint64_t second_bytes = bytes_read(&image, nullptr);
  EXPECT_LT(second_bytes, plain_bytes);
  EXPECT_GT(second_bytes, plain_bytes / 2);
}

TEST_F(LogImageTest, NothingIsKeptWhileTheFirstReadingNeedsNoSecond) {
  write_some_segments();
  LogImage image(pool_, 100_MiB);
  image.set_keeping(false);
  bytes_read(nullptr, &image);
  EXPECT_EQ(image.kept_bytes(), 0U);
  image.set_keeping(true);
  bytes_read(nullptr, &image);
  EXPECT_GT(image.kept_bytes(), 0U);
}

}  // namespace
}  // namespace penstock::wal
