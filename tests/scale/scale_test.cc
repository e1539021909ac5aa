// Goal: what README.md states of memory and of large numbers holds: memory_limit while far more than that is written, 10,000
// families, 1,024 shards. Method: the process's own resident memory and the clock. A program of its own, so that other tests'
// memory does not count; under a sanitizer, whose memory says nothing, only that it works.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/sanitizer.h"
#include "penstock/db.h"
#include "reactor/temporary_directory.h"

namespace penstock::scaletest {
namespace {

constexpr bool kIsMeasured = !base::kHasAddressSanitizer && !base::kHasThreadSanitizer;
/// Sanitizers take many times as long.
constexpr std::uint64_t kScale = kIsMeasured ? 1 : 10;

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// What the process holds of malloc's memory. Memtables and cached pages are not in it: `memory_limit` bounds those, and how
/// much of them is resident depends on the moment.
std::uint64_t heap_bytes() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1U << 20U); }

/// The most that was resident while this lived, looked at every few milliseconds.
class PeakMemory {
 public:
  PeakMemory() : watcher_([this] { watch(); }) {}
  ~PeakMemory() {
    stop_ = true;
    watcher_.join();
  }
  std::uint64_t bytes() const { return peak_; }

 private:
  void watch() {
    while (!stop_) {
      peak_ = std::max(peak_.load(), resident_bytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  std::atomic<std::uint64_t> peak_{0};
  std::atomic<bool> stop_{false};
  std::thread watcher_;
};

class Clock {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

class ScaleTest : public testing::Test {
 protected:
  void start(std::uint64_t memory_limit) {
    auto runtime = Runtime::start({.reactors = 2, .memory_limit = memory_limit});
    ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
    runtime_.emplace(std::move(*runtime));
  }
  void open(const DatabaseOptions& options) {
    db_.reset();
    auto db = Database::open(*runtime_, directory_.path() + "/db", options);
    ASSERT_TRUE(db.has_value()) << db.error().text;
    db_.emplace(std::move(*db));
  }

  const reactor::TemporaryDirectory directory_;
  std::optional<Runtime> runtime_;
  std::optional<Database> db_;
};

TEST_F(ScaleTest, MemoryLimitHoldsWhileManyTimesAsMuchIsWritten) {
  constexpr std::uint64_t kLimit = 64_MiB;
  constexpr std::uint64_t kBatches = 30'000 / kScale;
  constexpr std::uint64_t kBatchRows = 100;
  start(kLimit);
  open({.shards = 8});
  const Family family = *db_->open_or_create_family("data", {.placement = Placement::kHashed}).get();
  const PeakMemory peak;
  base::Random random(1);
  const std::string value(100, 'v');
  std::vector<Future<CommitResult>> in_flight;
  for (std::uint64_t batch = 0; batch < kBatches; ++batch) {
    Batch rows;
    for (std::uint64_t row = 0; row < kBatchRows; ++row) {
      char key[17];
      std::snprintf(key, sizeof key, "%016llx", static_cast<unsigned long long>(random.next()));
      ASSERT_TRUE(rows.put(family, key, value).is_ok());
    }
    in_flight.push_back(db_->write_each(std::move(rows), {.durability = Durability::kBuffered}));
    if (in_flight.size() == 16) {
      for (Future<CommitResult>& answer : in_flight) {
        ASSERT_TRUE(answer.get().status.is_ok());
      }
      in_flight.clear();
    }
  }
  const Metrics metrics = *db_->metrics().get();
  std::printf("memory_limit 64 MiB, %.0f MiB written at random: %.1f MiB resident at most; memtables %.1f, cache %.1f MiB\n",
              mebibytes(kBatches * kBatchRows * 116), mebibytes(peak.bytes()), mebibytes(metrics.memtable_bytes),
              mebibytes(metrics.cache_bytes));
  if (kIsMeasured) {
    EXPECT_LT(peak.bytes(), (kLimit * 6 / 5) + 16_MiB);
  }
}

TEST_F(ScaleTest, TenThousandFamiliesOpenInAMoment) {
  constexpr std::uint64_t kFamilies = 10'000 / kScale;
  start(256_MiB);
  open({.shards = 8});
  const std::uint64_t heap_before = heap_bytes();
  const std::uint64_t resident_before = resident_bytes();
  std::vector<Family> families;
  const Clock creating;
  for (std::uint64_t number = 0; number < kFamilies; ++number) {
    auto family = db_->create_family("family" + std::to_string(number)).get();
    ASSERT_TRUE(family.has_value()) << family.error().text;
    families.push_back(*family);
  }
  const double created_seconds = creating.seconds();
  std::vector<Future<Status>> answers;
  for (const Family& family : families) {
    answers.push_back(db_->put(family, "key", "value", {.durability = Durability::kWritten}));
  }
  for (Future<Status>& answer : answers) {
    ASSERT_TRUE(answer.get().is_ok());
  }
  const Clock flushing;
  ASSERT_TRUE(db_->flush().get().is_ok());
  const double flushed_seconds = flushing.seconds();
  answers.clear();
  const std::uint64_t heap = heap_bytes() - heap_before;
  const std::uint64_t resident = resident_bytes() - resident_before;
  ASSERT_TRUE(db_->close().is_ok());

  const Clock opening;
  open({});
  const double opened_seconds = opening.seconds();
  for (std::uint64_t number = 0; number < kFamilies; number += 97) {
    auto family = db_->open_family("family" + std::to_string(number)).get();
    ASSERT_TRUE(family.has_value()) << family.error().text;
    EXPECT_EQ(db_->get(*family, "key").get().value(), "value");
  }
  std::printf(
      "%llu families with a row each: created in %.2f s, flushed in %.2f s, opened in %.2f s; each %.1f KiB of heap, %.1f "
      "resident\n",
      static_cast<unsigned long long>(kFamilies), created_seconds, flushed_seconds, opened_seconds,
      static_cast<double>(heap) / 1024 / static_cast<double>(kFamilies),
      static_cast<double>(resident) / 1024 / static_cast<double>(kFamilies));
  if (kIsMeasured) {
    EXPECT_LT(opened_seconds, 5);
    EXPECT_LT(heap, kFamilies * 2_KiB);
  }
}

TEST_F(ScaleTest, AThousandShardsOpenInAMoment) {
  constexpr std::uint32_t kShards = kIsMeasured ? 1024 : 64;
  start(256_MiB);
  const std::uint64_t before = resident_bytes();
  const Clock creating;
  open({.shards = kShards});
  const double created_seconds = creating.seconds();
  const std::uint64_t held = resident_bytes() - before;
  const Family family = *db_->open_or_create_family("data", {.placement = Placement::kHashed}).get();
  std::vector<Future<Status>> answers;
  for (std::uint64_t number = 0; number < 20'000 / kScale; ++number) {
    answers.push_back(db_->put(family, std::to_string(number), "value", {.durability = Durability::kWritten}));
  }
  for (Future<Status>& answer : answers) {
    ASSERT_TRUE(answer.get().is_ok());
  }
  const std::uint64_t written = resident_bytes() - before;
  const Clock closing;
  ASSERT_TRUE(db_->close().is_ok());
  const double closed_seconds = closing.seconds();
  const Clock opening;
  open({});
  const double opened_seconds = opening.seconds();
  EXPECT_EQ(db_->get(*db_->open_family("data").get(), "7").get().value(), "value");
  std::printf("%u shards: created in %.2f s, closed in %.2f s, opened in %.2f s; %.1f KiB of memory each, %.1f written\n",
              kShards, created_seconds, closed_seconds, opened_seconds, static_cast<double>(held) / 1024 / kShards,
              static_cast<double>(written) / 1024 / kShards);
  if (kIsMeasured) {
    EXPECT_LT(opened_seconds, 40);  // 4 s on a calm machine, 11 s beside two busy compilers.
    EXPECT_LT(written, 256_MiB);
  }
}

}  // namespace
}  // namespace penstock::scaletest
