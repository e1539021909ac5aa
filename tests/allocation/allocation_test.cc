// Goal: a read of what is in memory, and a commit in the long run, allocate nothing on their shard. Method: this program counts
// the allocations of each thread.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "base/sanitizer.h"
#include "penstock/db.h"
#include "tests/api/test_database.h"

namespace {
thread_local constinit std::uint64_t allocations = 0;

void* counted(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace penstock::apitest {
namespace {

constexpr std::uint64_t kKeys = 2000;

// The address sanitizer is to see every frame of a coroutine come and go: none is kept for the next one (base/frame_pool.cc).
constexpr bool kKeepsFrames = !base::kHasAddressSanitizer;

struct Count {
  std::uint64_t found = 0;
  std::uint64_t missing_pages = 0;
  std::uint64_t allocations = 0;
  Status status;
  explicit Count(Status result = {}) noexcept : status(result) {}
};

Task<Count> read_all(Shard& shard, Family family) {
  Count count;
  char key[16];
  const std::uint64_t before = allocations;
  for (std::uint64_t number = 0; number < kKeys; ++number) {
    const int bytes = std::snprintf(key, sizeof key, "key%llu", static_cast<unsigned long long>(number));
    const std::optional<Result<PinnedValue>> answer = shard.get_cached(family, Bytes(key, static_cast<std::size_t>(bytes)));
    if (!answer.has_value()) {
      ++count.missing_pages;
    } else if (answer->has_value() && (*answer)->value() == Bytes(key, static_cast<std::size_t>(bytes))) {
      ++count.found;
    }
  }
  count.allocations = allocations - before;
  co_return count;
}

Task<Status> load_pages(Shard& shard, Family family) {
  for (std::uint64_t number = 0; number < kKeys; ++number) {
    const std::string key = "key" + std::to_string(number);
    const Result<PinnedValue> value = co_await shard.get_pinned(family, key);
    if (!value.has_value()) co_return value.error();
    if (value->value() != key) co_return Status(Code::kCorruption);
  }
  co_return Status();
}

Task<Count> walk_all(Shard& shard, Family family) {
  Count count;
  Result<RowCursor> cursor = shard.rows(family);
  if (!cursor.has_value()) co_return Count(cursor.error());
  if (count.status = co_await cursor->seek(""); !count.status.is_ok()) co_return count;  // The longest key has been seen, too.
  for (int round = 0; round < 2; ++round) {
    const std::uint64_t before = allocations;
    count.found = 0;
    bool has_moved = cursor->try_seek("");
    while (has_moved && cursor->valid()) {
      if (cursor->value() == cursor->key()) ++count.found;
      has_moved = cursor->try_next();
    }
    if (!has_moved) ++count.missing_pages;
    count.allocations = allocations - before;
  }
  co_return count;
}

Task<Count> commit_many(Shard& shard, Family family, Durability durability, std::uint64_t commits) {
  Count count;
  Batch batch;
  char key[16];
  std::uint64_t before = 0;
  for (std::uint64_t number = 0; number < commits; ++number) {
    if (number == 1) before = allocations;  // The batch has its memory.
    const int bytes = std::snprintf(key, sizeof key, "key%05llu", static_cast<unsigned long long>(number));
    batch.clear();
    count.status = batch.put(family, Bytes(key, static_cast<std::size_t>(bytes)), "a value");
    if (count.status.is_ok()) count.status = co_await shard.commit(batch, {.durability = durability});
    if (!count.status.is_ok()) co_return count;
  }
  count.allocations = allocations - before;
  co_return count;
}

using AllocationTest = DatabaseTest;

TEST_F(AllocationTest, SteadyCommitsOnAShardMakeNone) {
  DatabaseOptions options;
  options.shards = 4;
  options.log_segment_bytes = 64_MiB;  // A new segment is a new file, with its name and what is known of it.
  open(options);
  const Family data = family("data", {.shard = 0});
  for (const Durability durability : {Durability::kSync, Durability::kWritten, Durability::kBuffered, Durability::kUnlogged}) {
    const Count warming = db_->run_on(0, &commit_many, data, durability, std::uint64_t{2000}).get();
    ASSERT_TRUE(warming.status.is_ok()) << warming.status.to_string();
    const Count steady = db_->run_on(0, &commit_many, data, durability, std::uint64_t{2000}).get();
    ASSERT_TRUE(steady.status.is_ok()) << steady.status.to_string();
    if (kKeepsFrames) {
      EXPECT_EQ(steady.allocations, 0U) << "durability " << static_cast<int>(durability) << ", " << warming.allocations
                                        << " before";
    }
  }
}

TEST_F(AllocationTest, CachedGetsOnAShardMakeNone) {
  open();
  Database& db = *db_;
  const Family data = family("data", {.shard = 0});
  for (std::uint64_t number = 0; number < kKeys; ++number) {
    const std::string key = "key" + std::to_string(number);
    ASSERT_TRUE(db.put(data, key, key, {.durability = Durability::kBuffered}).get().is_ok());
  }
  const Count in_memtable = db.run_on(0, &read_all, data).get();
  EXPECT_EQ(in_memtable.found, kKeys);
  EXPECT_EQ(in_memtable.allocations, 0U);

  ASSERT_TRUE(db.flush().get().is_ok());
  const Count unread = db.run_on(0, &read_all, data).get();
  EXPECT_GT(unread.missing_pages, 0U) << "a flush admits nothing to the cache";
  ASSERT_TRUE(db.run_on(0, &load_pages, data).get().is_ok());
  const Count in_pages = db.run_on(0, &read_all, data).get();
  EXPECT_EQ(in_pages.missing_pages, 0U);
  EXPECT_EQ(in_pages.found, kKeys);
  EXPECT_EQ(in_pages.allocations, 0U);

  const Count walked = db.run_on(0, &walk_all, data).get();
  EXPECT_TRUE(walked.status.is_ok());
  EXPECT_EQ(walked.missing_pages, 0U);
  EXPECT_EQ(walked.found, kKeys);
  EXPECT_EQ(walked.allocations, 0U);
}

}  // namespace
}  // namespace penstock::apitest
