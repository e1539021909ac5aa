// Power cuts at every event of a run over several segments, and again at every event of the recovery from them.
//
// The run appends records of all durabilities, releases segments as flushes would, pauses for a marker, and closes. After each
// cut: all that was acknowledged is there, what is there is a prefix of what was appended, each record whole or absent, and the
// end that a first reading finds holds for all later ones.
#include <gtest/gtest.h>

#include <optional>

#include "wal/test_log.h"

namespace penstock::wal {
namespace {

struct Run {
  bool was_started = false;
  bool was_cut = false;
  std::vector<TestRecord> records;
  std::size_t durable_count = 0;
  std::uint64_t writes_ahead = 0;
  // What the superblocks would say: of each shard, the records applied, and up to where.
  std::vector<std::size_t> applied_count;
  std::vector<std::uint64_t> applied;
};

LogOptions options_of(SyncMode mode) {
  LogOptions options = test_options();
  options.sync_mode = mode;
  return options;
}

class Script {
 public:
  Script(reactor::SimWorld& world, Run& run, SyncMode mode)
      : world_(world), run_(run), user_(world.reactor(0), options_of(mode)) {
    run_.applied_count.resize(4);
    run_.applied.resize(4);
  }
  Task<Status> play() {
    const Status opened = co_await user_.log().open();
    if (!opened.is_ok()) co_return opened;
    run_.was_started = true;
    user_.log().start();
    const Status written = co_await write();
    const Status closed = co_await user_.log().close();
    run_.records = user_.records;
    run_.durable_count = user_.durable_count();
    run_.writes_ahead = user_.log().counters().writes_ahead;
    co_return written.is_ok() ? closed : written;
  }
  Task<Status> clean_up() { co_return co_await user_.log().close(); }

 private:
  Task<Status> write() {
    for (std::uint32_t index = 0; index < 70; ++index) {
      const Durability durability = index % 7 == 3 ? Durability::kWritten : Durability::kSync;
      const std::uint64_t bytes = index % 11 == 0 ? 20000 : (index * 517) % 5000;
      // Shard 3 has one record, then none: it never applies anything more.
      const auto shard = static_cast<ShardId>(index == 5 ? 3 : index % 3);
      PENSTOCK_CO_TRY(co_await user_.append(shard, bytes, durability));
      if (index % 4 == 0) PENSTOCK_CO_TRY(co_await user_.settle());
      if (index % 12 == 11) PENSTOCK_CO_TRY(co_await flush(index > 20));
      if (index == 40) co_await world_.reactor(0).sleep(120'000'000);
    }
    co_return Status::ok();
  }
  /// Log before pages; then superblocks (instantly durable here), then release.
  Task<Status> flush(bool with_last_shard) {
    const Position end = user_.log().seal();
    const std::size_t count = user_.records.size();
    PENSTOCK_CO_TRY(co_await user_.log().make_durable(end));
    // A chain is under way when the release comes: what it was stamped with is older.
    PENSTOCK_CO_TRY(co_await user_.append(0, 100, Durability::kSync));
    co_await world_.reactor(0).sleep(1000);
    const ShardId shard_count = with_last_shard ? 4 : 3;
    for (ShardId shard = 0; shard < shard_count; ++shard) {
      if (shard == 3 && run_.applied[3] != 0) continue;
      run_.applied_count[shard] = count;
      run_.applied[shard] = end.offset;
      user_.log().release(shard, end);
    }
    co_return Status::ok();
  }

  reactor::SimWorld& world_;
  Run& run_;
  LogUser user_;
};

Task<Status> play(Script* script) { co_return co_await script->play(); }
Task<Status> clean_up(Script* script) { co_return co_await script->clean_up(); }

Run run_script(reactor::SimDisk& disk, SyncMode mode, std::uint64_t seed) {
  Run run;
  reactor::SimWorld world(disk, {.seed = seed});
  EXPECT_TRUE(world.system().make_directory(kTestDirectory).is_ok() || !disk.is_powered());
  world.system().sync_directory("/").ignore("the power may be off");
  Script script(world, run, mode);
  const Status status = world.run(0, play, &script);
  if (!run.was_started) world.run(0, clean_up, &script).ignore("it was never opened");
  run.was_cut = !disk.is_powered();
  // A cut may also meet a segment that is prepared while the log closes: nobody needs it any more.
  EXPECT_TRUE(status.is_ok() || run.was_cut) << status.to_string();
  return run;
}

ReadOptions options_after(const Run& run) {
  ReadOptions options = test_read_options(test_options());
  options.begin = *std::ranges::min_element(run.applied);
  options.proven_end = *std::ranges::max_element(run.applied);
  return options;
}

/// What must hold of a reading after a cut. Returns the log's end.
std::optional<std::uint64_t> check_reading(reactor::SimDisk& disk, const Run& run, const ReadOptions& options) {
  Collector collector;
  const Outcome<ReadResult> result = read_from(disk, options, collector);
  if (!result.has_value()) {
    ADD_FAILURE() << result.error().text;
    return std::nullopt;
  }
  std::size_t first = run.records.size();
  if (!collector.records.empty()) {
    const auto place = std::ranges::find(run.records, collector.records.front());
    EXPECT_NE(place, run.records.end()) << "a record that was never appended";
    first = static_cast<std::size_t>(place - run.records.begin());
  }
  const std::size_t end = first + collector.records.size();
  if (!collector.records.empty()) {
    EXPECT_LE(end, run.records.size());
    EXPECT_TRUE(end <= run.records.size() &&
                std::ranges::equal(collector.records, std::span(run.records).subspan(first, collector.records.size())));
    EXPECT_GE(end, run.durable_count) << "an acknowledged record is missing";
  } else {
    first = 0;
  }
  for (std::size_t index = 0; index < (collector.records.empty() ? run.durable_count : first); ++index) {
    EXPECT_LT(index, run.applied_count[run.records[index].shard]) << "a record that is still needed is gone";
  }
  return result->end;
}

void cut_and_check(std::uint64_t cut, SyncMode mode, std::uint64_t seed, bool cut_recovery) {
  SCOPED_TRACE("cut " + std::to_string(cut) + " seed " + std::to_string(seed));
  reactor::SimDisk disk(seed);
  disk.cut_at(cut);
  const Run run = run_script(disk, mode, seed);
  for (std::uint64_t variant = 0; variant < 4; ++variant) {
    const auto after = disk.clone();
    after->cut_power((seed * 1000) + variant);
    if (!run.was_started) continue;  // No EPOCH names this log.
    const auto before_reading = after->clone();
    const std::optional<std::uint64_t> end = check_reading(*after, run, options_after(run));
    if (!end || !cut_recovery) continue;
    // Each event of the reading: what a first, unfinished one has seen, a second finds again.
    for (std::uint64_t event = 1; event < 20; ++event) {
      const auto again = before_reading->clone();
      again->cut_at(again->faults().events() + event);
      Collector collector;
      const Outcome<ReadResult> first = read_from(*again, options_after(run), collector);
      const bool was_cut = !again->is_powered();
      again->cut_power(variant + event);
      const std::optional<std::uint64_t> second_end = check_reading(*again, run, options_after(run));
      if (first.has_value()) {
        EXPECT_EQ(second_end, first->end);
      }
      if (!was_cut) break;
    }
  }
}

std::uint64_t events_of_clean_run(SyncMode mode, std::uint64_t seed) {
  reactor::SimDisk disk(seed);
  const Run run = run_script(disk, mode, seed);
  EXPECT_EQ(run.durable_count, run.records.size());
  EXPECT_EQ(run.records.size(), 75U);
  EXPECT_GE(run.writes_ahead, 3U);
  const std::uint64_t events = disk.faults().events();
  disk.cut_power(1);
  EXPECT_TRUE(check_reading(disk, run, options_after(run)).has_value());
  return events;
}

/// A full disk, and a release that comes while a chain is under way: its group was stamped before and proves nothing. Power
/// goes off `cut` events after the release. False: nothing happened any more.
bool release_during_a_chain(std::uint64_t cut) {
  SCOPED_TRACE("cut " + std::to_string(cut));
  reactor::SimDisk disk(1);
  Run run;
  {
    reactor::SimWorld world(disk);
    EXPECT_TRUE(world.system().make_directory(kTestDirectory).is_ok());
    EXPECT_TRUE(world.system().sync_directory("/").is_ok());
    LogUser user(world.reactor(0), test_options());
    EXPECT_TRUE(world.run(0, &Log::open, &user.log()).is_ok());
    user.log().start();
    world.drain();
    disk.set_capacity(disk.used_bytes());
    while (world.run(0, &LogUser::append, &user, ShardId{1}, std::uint64_t{9000}, Durability::kSync).is_ok()) {
    }
    EXPECT_TRUE(world.run(0, &LogUser::settle, &user).is_ok());
    const Position end = user.log().seal();
    run.applied.assign(4, 0);
    run.applied_count.assign(4, 0);
    run.applied[1] = end.offset;
    run.applied_count[1] = user.records.size();
    EXPECT_EQ(user.log().admit(100, 1), Log::Admission::kNow);  // Some room is left.
    user.append_now(2, 100, Durability::kSync);
    while (world.reactor(0).io().in_flight() == 0) world.step();
    disk.cut_at(disk.faults().events() + cut);
    world.run(0, &LogUser::release, &user, ShardId{1}, end).ignore("it cannot fail");
    world.run_for(20'000'000);
    if (disk.is_powered()) {
      EXPECT_GE(user.log().counters().segments_recycled, 1U);
    }
    run.was_cut = !disk.is_powered();
    run.durable_count = user.durable_count();
    run.records = user.records;
    world.run(0, &Log::close, &user.log()).ignore("the power may be off");
  }
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto after = disk.clone();
    after->cut_power(seed);
    check_reading(*after, run, options_after(run));
  }
  return run.was_cut;
}

TEST(LogCrash, NoSegmentIsMissedWithoutAGroupThatSaysWhy) {
  std::uint64_t cut = 1;
  while (release_during_a_chain(cut) && !::testing::Test::HasFailure()) ++cut;
  EXPECT_GT(cut, 5U);
}

class LogCrashInMode : public ::testing::TestWithParam<SyncMode> {};

TEST_P(LogCrashInMode, ACutAtAnyEventLosesNothingAcknowledged) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const std::uint64_t events = events_of_clean_run(GetParam(), seed);
    ASSERT_GT(events, 100U);
    for (std::uint64_t cut = 1; cut <= events; ++cut) {
      cut_and_check(cut, GetParam(), seed, cut % 5 == 0);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, LogCrashInMode, ::testing::Values(SyncMode::kLinked, SyncMode::kAuto),
                         [](const auto& mode) { return mode.param == SyncMode::kLinked ? "Linked" : "Auto"; });

}  // namespace
}  // namespace penstock::wal
