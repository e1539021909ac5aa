// The process that gets killed: crash_child DIRECTORY PIPE REACTORS NEXT_FAMILY. Commits from several threads until it dies,
// and reports each acknowledged step through the pipe.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "penstock/db.h"
#include "tests/crash/workload.h"

namespace {

using namespace penstock;
using crashtest::Report;

int pipe_fd = -1;

void report(Report::Kind kind, std::uint32_t thread, std::uint64_t number) {
  const Report message{.kind = kind, .thread = thread, .number = number};
  if (::write(pipe_fd, &message, sizeof(message)) != sizeof(message)) {
    std::abort();
  }
}

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "crash_child: %s\n", why.c_str());
  report(Report::Kind::kFailed, 0, 0);
  std::exit(1);
}

std::uint64_t stored_count(Database& db, const Family& home, std::uint32_t thread) {
  const Result<std::string> value = db.get(home, crashtest::counter_key(thread)).get();
  return value.has_value() ? std::stoull(*value) : 0;
}

void commit_forever(Database& db, Family home, Family extra, std::uint32_t thread) {
  for (std::uint64_t number = stored_count(db, home, thread) + 1;; ++number) {
    Batch batch;
    for (const crashtest::Change& change : crashtest::batch_of(thread, number)) {
      const Family& family = change.in_extra ? extra : home;
      const Status status =
          change.value.has_value() ? batch.put(family, change.key, *change.value) : batch.remove(family, change.key);
      if (!status.is_ok()) {
        die(status.to_string());
      }
    }
    const CommitResult result =
        db.commit(std::move(batch), {.durability = thread % 3 == 2 ? Durability::kWritten : Durability::kSync}).get();
    if (!result.status.is_ok()) {
      die("commit: " + result.status.to_string());
    }
    report(Report::Kind::kAcknowledged, thread, number);
  }
}

void change_families_forever(Database& db, std::uint64_t number) {
  for (;; ++number) {
    const std::string name = "temporary" + std::to_string(number);
    const Outcome<Family> made = db.create_family(name, {.placement = Placement::kHashed}).get();
    if (!made.has_value()) {
      die(made.error().text);
    }
    report(Report::Kind::kFamilyCreated, 0, number);
    for (int key = 0; key < 20; ++key) {
      if (const Status status = db.put(*made, "key" + std::to_string(key), std::string(300, 'v')).get(); !status.is_ok()) {
        die(status.to_string());
      }
    }
    if (const Status status = db.flush().get(); !status.is_ok()) {
      die("flush: " + status.to_string());
    }
    report(Report::Kind::kFlushed, 0, 0);
    if (number % 2 == 0) {
      if (const Outcome<bool> dropped = db.drop_family(name).get(); !dropped.has_value()) {
        die(dropped.error().text);
      }
      report(Report::Kind::kFamilyDropped, 0, number);
    }
    report(Report::Kind::kSegments, 0, db.metrics().get().value().log_written_bytes >> 20U);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    return 2;
  }
  const std::string directory = argv[1];
  pipe_fd = std::stoi(argv[2]);
  auto runtime = Runtime::start({.reactors = static_cast<std::uint32_t>(std::stoul(argv[3])), .memory_limit = 64_MiB});
  if (!runtime.has_value()) {
    die(runtime.error().text);
  }
  DatabaseOptions options;
  options.shards = crashtest::kShards;
  options.log_segment_bytes = 1_MiB;
  options.log_budget_bytes = 8_MiB;
  auto db = Database::open(*runtime, directory, options);
  if (!db.has_value()) {
    die(db.error().text);
  }
  std::vector<std::thread> threads;
  for (std::uint32_t thread = 0; thread < crashtest::kThreads; ++thread) {
    const auto shard = static_cast<std::int32_t>(thread % crashtest::kShards);
    auto home = db->open_or_create_family("home" + std::to_string(shard), {.shard = shard}).get();
    auto extra = db->open_or_create_family("extra" + std::to_string(shard), {.shard = shard}).get();
    if (!home.has_value() || !extra.has_value()) {
      die("families");
    }
    threads.emplace_back([&db, home, extra, thread] { commit_forever(*db, *home, *extra, thread); });
  }
  threads.emplace_back([&db, argv] { change_families_forever(*db, std::stoull(argv[4])); });
  report(Report::Kind::kReady, 0, 0);
  for (std::thread& thread : threads) {
    thread.join();
  }
}
