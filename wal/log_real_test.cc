// The log on a real file system, through both submission interfaces.
#include <gtest/gtest.h>

#include "reactor/temporary_directory.h"
#include "wal/test_log.h"

namespace penstock::wal {
namespace {

using Backend = reactor::IoOptions::Backend;

Task<> write_log(LogUser* user, Status* status) {
  *status = co_await user->log().open();
  if (!status->is_ok()) co_return;
  user->log().start();
  for (std::uint32_t index = 0; index < 300 && status->is_ok(); ++index) {
    *status = co_await user->append(static_cast<ShardId>(index % 4), (index * 977) % 30000, Durability::kSync);
    if (index % 3 == 0 && status->is_ok()) *status = co_await user->settle();
    if (index % 50 == 49 && index < 200) {
      for (ShardId shard = 0; shard < 4; ++shard) user->log().release(shard, user->log().durable_position());
    }
  }
  const Status closed = co_await user->log().close();
  if (status->is_ok()) *status = closed;
}

Task<> read_back(reactor::Reactor* reactor, ReadOptions options, Collector* collector, Outcome<ReadResult>* result) {
  *result = co_await read_log(*reactor, std::move(options), *collector);
}

void run_until_joined(reactor::Reactor& reactor, reactor::TaskGroup& tasks) {
  while (tasks.running_count() > 0) reactor.poll();
}

class RealLog : public ::testing::TestWithParam<std::pair<Backend, SyncMode>> {};

TEST_P(RealLog, IsReadBackAsItWasWritten) {
  const reactor::TemporaryDirectory directory;
  const auto [backend, sync_mode] = GetParam();
  LogOptions options = test_options();
  options.directory = directory.path();
  options.sync_mode = sync_mode;
  options.segment_bytes = 1_MiB;
  options.group_bytes_max = 128_KiB;
  Outcome<std::unique_ptr<reactor::Io>> io = reactor::real_system().make_io({.backend = backend});
  if (!io.has_value()) GTEST_SKIP() << io.error().text;
  reactor::Reactor reactor(reactor::real_system(), std::move(*io), 0);
  reactor::TaskGroup tasks(reactor);
  Status status;
  std::vector<TestRecord> written;
  Position end;
  {
    LogUser user(reactor, options);
    tasks.spawn(&write_log, &user, &status);
    run_until_joined(reactor, tasks);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    EXPECT_EQ(user.durable_count(), user.records.size());
    EXPECT_GT(user.log().counters().segments_recycled, 0U);
    written = user.records;
    end = user.log().end();
  }
  Collector collector;
  Outcome<ReadResult> result;
  tasks.spawn(&read_back, &reactor, test_read_options(options), &collector, &result);
  run_until_joined(reactor, tasks);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->end, end.offset);
  EXPECT_FALSE(collector.records.empty());
  EXPECT_TRUE(std::ranges::equal(collector.records, std::span(written).last(collector.records.size())));
  EXPECT_TRUE(remove_log(reactor::real_system(), directory.path(), {.epoch = 3, .reactor = 1}).is_ok());
  EXPECT_TRUE(reactor::real_system().list_directory(directory.path())->empty());
}

INSTANTIATE_TEST_SUITE_P(
    Backends, RealLog,
    ::testing::Values(std::pair(Backend::kRing, SyncMode::kLinked), std::pair(Backend::kRing, SyncMode::kSyscall),
                      std::pair(Backend::kRing, SyncMode::kDsync), std::pair(Backend::kRing, SyncMode::kAuto),
                      std::pair(Backend::kSyscall, SyncMode::kDsync), std::pair(Backend::kSyscall, SyncMode::kLinked),
                      std::pair(Backend::kSyscall, SyncMode::kSyscall)));

}  // namespace
}  // namespace penstock::wal
