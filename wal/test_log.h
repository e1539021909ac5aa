// What the log's tests share: a user that appends numbered records and remembers them, and a reader that collects what is
// there.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/checksum.h"
#include "base/random.h"
#include "reactor/reactor.h"
#include "reactor/sim_world.h"
#include "wal/log_format.h"
#include "wal/wal.h"

namespace penstock::wal {

inline constexpr const char* kTestDirectory = "/log";
inline constexpr Identity kTestIdentity{.uuid_high = 0x1122334455667788, .uuid_low = 0x99aabbccddeeff00, .incarnation = 7};

inline LogOptions test_options() {
  LogOptions options;
  options.directory = kTestDirectory;
  options.identity = kTestIdentity;
  options.epoch = 3;
  options.reactor = 1;
  options.shard_count = 4;
  options.segment_bytes = 64_KiB;
  options.group_bytes_max = 16_KiB;
  options.ahead_bytes_min = 8_KiB;
  options.budget_bytes = 256_KiB;
  return options;
}

/// The payload of record `index`: drawn from it, of `bytes` bytes.
inline std::string test_payload(std::uint64_t index, std::uint64_t bytes) {
  base::Random random(index + 1);
  std::string payload(bytes, '\0');
  for (char& byte : payload) byte = static_cast<char>(random.next());
  return payload;
}

struct TestRecord {
  ShardId shard = 0;
  Sequence previous = 0;
  Sequence first = 0;
  std::uint32_t operations = 0;
  std::string payload;
  friend bool operator==(const TestRecord&, const TestRecord&) = default;
};

/// Appends records to a log and keeps what it was told about them.
class LogUser final : public LogListener {
 public:
  LogUser(reactor::Reactor& reactor, LogOptions options) : log_(reactor, options, *this), room_(reactor), progress_(reactor) {
    sequences_.resize(options.shard_count);
  }

  Log& log() noexcept { return log_; }

  /// Appends one record once it is admitted. Not ok: refused.
  Task<Status> append(ShardId shard, std::uint64_t payload_bytes, Durability durability) {
    while (true) {
      const Log::Admission admission = log_.admit(payload_bytes, 1);
      if (admission == Log::Admission::kNow) break;
      if (admission == Log::Admission::kNoSpace) co_return Status(Code::kNoSpace);
      if (admission == Log::Admission::kPoisoned) co_return Status(Code::kPoisoned);
      if (admission == Log::Admission::kClosed) co_return Status(Code::kClosed);
      ++waits;
      co_await room_.wait();
    }
    append_now(shard, payload_bytes, durability);
    co_return Status::ok();
  }

  GroupNumber append_now(ShardId shard, std::uint64_t payload_bytes, Durability durability) {
    const std::uint32_t operations = static_cast<std::uint32_t>(1 + (records.size() % 3));
    TestRecord record{.shard = shard,
                      .previous = sequences_[shard],
                      .first = sequences_[shard] + 1,
                      .operations = operations,
                      .payload = test_payload(records.size(), payload_bytes)};
    sequences_[shard] += operations;
    const Part part{.shard = shard,
                    .previous = record.previous,
                    .first = record.first,
                    .operations = operations,
                    .payload = record.payload};
    const GroupNumber group = log_.append(
        {.type = RecordType::kBatch, .payload_checksum = base::checksum(as_span(part.payload)), .parts = {&part, 1}},
        durability);
    records.push_back(std::move(record));
    groups.push_back(group);
    return group;
  }

  /// Waits until the record appended last is durable, or the log has failed.
  Task<Status> settle() {
    while (!groups.empty() && log_.durable_group() < groups.back()) {
      if (!log_.failure().is_ok()) co_return log_.failure();
      co_await progress_.wait();
    }
    co_return Status::ok();
  }

  /// From within the loop, as all calls but a test's own.
  Task<Status> release(ShardId shard, Position applied) {
    log_.release(shard, applied);
    co_return Status::ok();
  }

  /// Records that were durable when last looked at: what a power cut must not take.
  std::size_t durable_count() const noexcept {
    const GroupNumber durable = log_.durable_group();
    return static_cast<std::size_t>(std::ranges::upper_bound(groups, durable) - groups.begin());
  }

  void on_log_progress() override {
    PENSTOCK_ASSERT_LE(last_written, log_.written_group());
    PENSTOCK_ASSERT_LE(last_durable, log_.durable_group());
    PENSTOCK_ASSERT_LE(log_.durable_group(), log_.written_group());
    last_written = log_.written_group();
    last_durable = log_.durable_group();
    durable_seen.push_back(last_durable);
    progress_.notify_all();
    room_.notify_all();  // Poisoned: the waiters shall see it.
  }
  void on_log_room() override { room_.notify_all(); }
  void on_log_pressure(std::span<const ShardId> shards) override { pressures.emplace_back(shards.begin(), shards.end()); }

  std::vector<TestRecord> records;
  std::vector<GroupNumber> groups;  // Of the records.
  std::vector<GroupNumber> durable_seen;
  std::vector<std::vector<ShardId>> pressures;
  GroupNumber last_written = 0;
  GroupNumber last_durable = 0;
  std::uint64_t waits = 0;

 private:
  Log log_;
  reactor::Event room_;
  reactor::Event progress_;
  std::vector<Sequence> sequences_;
};

/// Collects the parts that a reader delivers.
class Collector final : public RecordVisitor {
 public:
  Task<Status> on_part(const Part& part, Position end) override {
    co_await reactor::Reactor::current()->yield();  // The payload must survive that.
    records.push_back({.shard = part.shard,
                       .previous = part.previous,
                       .first = part.first,
                       .operations = part.operations,
                       .payload = std::string(part.payload)});
    ends.push_back(end.offset);
    co_return Status::ok();
  }
  void on_group(Position /*end*/, std::uint64_t group_bytes) override { bytes += group_bytes; }

  std::vector<TestRecord> records;
  std::vector<std::uint64_t> ends;
  std::uint64_t bytes = 0;
};

inline ReadOptions test_read_options(const LogOptions& options) {
  ReadOptions read;
  read.directory = options.directory;
  read.identity = options.identity;
  read.log = {.epoch = options.epoch, .reactor = options.reactor};
  return read;
}

inline Task<Outcome<ReadResult>> read_all(reactor::Reactor* reactor, ReadOptions options, Collector* collector) {
  co_return co_await read_log(*reactor, std::move(options), *collector);
}

/// Boots the disk and reads the log.
inline Outcome<ReadResult> read_from(reactor::SimDisk& disk, const ReadOptions& options, Collector& collector,
                                     std::uint64_t seed = 99) {
  reactor::SimWorld world(disk, {.seed = seed});
  return world.run(0, read_all, &world.reactor(0), options, &collector);
}

/// One boot with one log. Power is on until the test says otherwise.
class LogTest : public ::testing::Test {
 protected:
  void boot(const LogOptions& options = test_options(), std::uint64_t seed = 1) {
    options_ = options;
    const Status made = make_directory();
    ASSERT_TRUE(made.is_ok() || made.is(Code::kAlreadyExists));
    world_ = std::make_unique<reactor::SimWorld>(disk_, reactor::SimWorldOptions{.seed = seed});
    user_ = std::make_unique<LogUser>(world_->reactor(0), options);
  }
  Status make_directory() {
    reactor::SimWorld world(disk_);
    PENSTOCK_TRY(world.system().make_directory(kTestDirectory));
    return world.system().sync_directory("/");
  }
  void open_and_start() {
    const Status opened = world_->run(0, &Log::open, &user_->log());
    ASSERT_TRUE(opened.is_ok()) << opened.to_string();
    user_->log().start();
  }
  Status append(ShardId shard, std::uint64_t bytes, Durability durability = Durability::kSync) {
    return world_->run(0, &LogUser::append, user_.get(), shard, bytes, durability);
  }
  Status settle() { return world_->run(0, &LogUser::settle, user_.get()); }
  Status close() { return world_->run(0, &Log::close, &user_->log()); }
  /// Appends, waits until it is durable.
  Status commit(ShardId shard, std::uint64_t bytes) {
    PENSTOCK_TRY(append(shard, bytes));
    return settle();
  }
  void release_all(Position applied) {
    for (ShardId shard = 0; shard < options_.shard_count; ++shard) release(shard, applied);
  }
  void release(ShardId shard, Position applied) {
    world_->run(0, &LogUser::release, user_.get(), shard, applied).ignore("it cannot fail");
  }
  /// What a reader finds now, after the machine is gone.
  Outcome<ReadResult> read(Collector& collector) { return read_from(disk_, test_read_options(options_), collector); }
  void shut_down() {
    user_.reset();
    world_.reset();
  }
  void TearDown() override {
    if (user_ != nullptr) close().ignore("the test is over");
    shut_down();
  }

  reactor::SimDisk disk_{1};
  LogOptions options_;
  std::unique_ptr<reactor::SimWorld> world_;
  std::unique_ptr<LogUser> user_;
};

}  // namespace penstock::wal
