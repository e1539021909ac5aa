// Goal: file systems that refuse (read-only, full, no permission) and limits of the process that are too small end in an error
// that names the thing: never in a crash, a hang or an engine that starts and fails later without a word. Method: a child
// process with a mount namespace or limits of its own, so that nothing of it stays. Skipped where mounts are not permitted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "penstock/db.h"
#include "reactor/temporary_directory.h"

namespace penstock::apitest {
namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kNotPermitted = 77;
constexpr uid_t kNobody = 65534;

/// Runs `work` in a child that answers with its return value. A child that hangs is ended by a signal, and counts as failed.
int in_child(const std::function<int()>& work) {
  constexpr unsigned kSecondsMax = 120;
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kSecondsMax);
    ::_exit(work());
  }
  int state = 0;
  if (child < 0 || ::waitpid(child, &state, 0) != child) {
    return kFailed;
  }
  if (WIFSIGNALED(state)) {
    std::fprintf(stderr, "the child ended by signal %d\n", WTERMSIG(state));
    return kFailed;
  }
  return WEXITSTATUS(state);
}

int verdict(bool passed) { return passed ? kPassed : kFailed; }

bool expect(bool condition, const std::string& text) {
  if (!condition) {
    std::fprintf(stderr, "in the child: %s\n", text.c_str());
  }
  return condition;
}

#define PENSTOCK_EXPECT_PASSED(result)                                \
  do {                                                                \
    const int code = (result);                                        \
    if (code == kNotPermitted) {                                      \
      GTEST_SKIP() << "mounts or other users are not permitted here"; \
    }                                                                 \
    EXPECT_EQ(code, kPassed);                                         \
  } while (false)

DatabaseOptions small_options() {
  DatabaseOptions options;
  options.shards = 2;
  options.log_segment_bytes = 1_MiB;
  options.log_budget_bytes = 4_MiB;
  return options;
}

Outcome<Runtime> small_runtime() { return Runtime::start({.reactors = 1, .memory_limit = 64_MiB}); }

/// A mount namespace of this process's own with a file system in memory at `path`.
bool mount_memory(const std::string& path, const char* size) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return false;
  }
  const std::string options = std::string("size=") + size;
  return ::mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

/// Makes a database with one row.
bool make_database(const std::string& path) {
  auto runtime = small_runtime();
  auto db = Database::open(*runtime, path, small_options());
  if (!expect(db.has_value(), db.has_value() ? "" : db.error().text)) {
    return false;
  }
  const auto family = db->create_family("data").get();
  return expect(db->put(*family, "key", "value").get().is_ok(), "put") && expect(db->close().is_ok(), "close");
}

/// Opening fails with one of the codes and a text that names `named`.
bool expect_refused(const std::string& path, const std::vector<Code>& codes, const std::string& named) {
  auto runtime = small_runtime();
  if (!expect(runtime.has_value(), "the runtime does not start")) {
    return false;
  }
  const auto db = Database::open(*runtime, path, small_options());
  if (!expect(!db.has_value(), "it opened")) {
    return false;
  }
  bool is_code = false;
  for (const Code code : codes) {
    is_code = is_code || db.error().status.is(code);
  }
  return expect(is_code, "code: " + db.error().text) &&
         expect(db.error().text.find(named) != std::string::npos, db.error().text);
}

class Refusal : public ::testing::Test {
 protected:
  reactor::TemporaryDirectory directory_;
};

TEST_F(Refusal, AReadOnlyFileSystemIsNamedAndNothingIsMade) {
  PENSTOCK_EXPECT_PASSED(in_child([this] {
    const std::string mount = directory_.path();
    if (!mount_memory(mount, "64m")) {
      return kNotPermitted;
    }
    if (!make_database(mount + "/db")) {
      return kFailed;
    }
    if (::mount("none", mount.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      return kNotPermitted;
    }
    return verdict(expect_refused(mount + "/db", {Code::kPermission, Code::kIoError}, "/db/LOCK") &&
                   expect_refused(mount + "/new", {Code::kPermission, Code::kIoError}, mount + "/new"));
  }));
}

TEST_F(Refusal, AFileSystemThatIsTooSmallForANewDatabaseEndsInNoSpaceAndIsClearedLater) {
  PENSTOCK_EXPECT_PASSED(in_child([this] {
    const std::string mount = directory_.path();
    if (!mount_memory(mount, "1m")) {
      return kNotPermitted;
    }
    if (!expect_refused(mount + "/db", {Code::kNoSpace}, mount + "/db")) {
      return kFailed;
    }
    if (::mount("none", mount.c_str(), nullptr, MS_REMOUNT, "size=64m") != 0) {
      return kNotPermitted;
    }
    return verdict(make_database(mount + "/db"));
  }));
}

/// Fills the database until `no_space`; deletes and reads; then with more space writes go on in the same process.
int fill_and_grow(const std::string& mount) {
  auto runtime = small_runtime();
  auto db = Database::open(*runtime, mount + "/db", small_options());
  if (!expect(db.has_value(), db.has_value() ? "" : db.error().text)) {
    return kFailed;
  }
  const auto family = db->create_family("data", {.shard = 0}).get();
  const auto key_of = [](int index) { return "key" + std::to_string(index); };
  const std::string value(8000, 'v');
  constexpr int kPutsMax = 100'000;
  int written = 0;
  Status status;
  for (; written < kPutsMax; ++written) {
    status = db->put(*family, key_of(written), value).get();
    if (!status.is_ok()) {
      break;
    }
  }
  if (!expect(status.is(Code::kNoSpace), "full: " + status.to_string()) ||
      !expect(written > 100, "hardly anything was written")) {
    return kFailed;
  }
  for (int index = 0; index < written; ++index) {
    const auto got = db->get(*family, key_of(index)).get();
    if (!expect(got.has_value() && *got == value, "get of " + key_of(index))) {
      return kFailed;
    }
  }
  if (::mount("none", mount.c_str(), nullptr, MS_REMOUNT, "size=256m") != 0) {
    return kNotPermitted;
  }
  constexpr int kTriesMax = 200;
  for (int round = 0; round < kTriesMax; ++round) {
    status = db->put(*family, "resumed", "yes").get();
    if (status.is_ok()) {
      break;
    }
    ::usleep(50'000);
  }
  if (!expect(status.is_ok(), "resumed: " + status.to_string()) || !expect(db->close().is_ok(), "close")) {
    return kFailed;
  }
  auto again = Database::open(*runtime, mount + "/db", small_options());
  if (!expect(again.has_value(), again.has_value() ? "" : again.error().text)) {
    return kFailed;
  }
  const auto data = again->open_family("data").get();
  for (int index = 0; index < written; ++index) {
    const auto got = again->get(*data, key_of(index)).get();
    if (!expect(got.has_value() && *got == value, "get after reopening of " + key_of(index))) {
      return kFailed;
    }
  }
  return verdict(expect(again->get(*data, key_of(written)).get().error().is(Code::kNotFound), "a refused put was applied") &&
                 expect(again->get(*data, "resumed").get().has_value(), "resumed is lost"));
}

TEST_F(Refusal, AFullFileSystemEndsWritesInNoSpaceUntilThereIsRoomAgain) {
  PENSTOCK_EXPECT_PASSED(
      in_child([this] { return mount_memory(directory_.path(), "24m") ? fill_and_grow(directory_.path()) : kNotPermitted; }));
}

TEST_F(Refusal, FoldersOfAnotherUserAreNamed) {
  PENSTOCK_EXPECT_PASSED(in_child([this] {
    const std::string inner = directory_ / "inner";
    if (!make_database(directory_ / "db") || ::mkdir(inner.c_str(), 0700) != 0) {
      return kFailed;
    }
    if (::setuid(kNobody) != 0) {
      return kNotPermitted;
    }
    return verdict(expect_refused(directory_ / "db", {Code::kPermission}, directory_ / "db") &&
                   expect_refused(inner + "/db", {Code::kPermission}, inner + "/db"));
  }));
}

TEST_F(Refusal, AFileInThePlaceOfTheFolderIsNamed) {
  const std::string path = directory_ / "file";
  std::fclose(std::fopen(path.c_str(), "w"));
  PENSTOCK_EXPECT_PASSED(in_child([&path] {
    return verdict(
        expect_refused(path, {Code::kInvalidArgument, Code::kIoError, Code::kPermission}, path) &&
        expect_refused(path + "/db", {Code::kInvalidArgument, Code::kIoError, Code::kPermission, Code::kNotFound}, path));
  }));
}

/// With ever more open files allowed: each opening either says what it lacks or works, and some do work.
TEST_F(Refusal, TooFewOpenFilesEndInAnErrorThatNamesTheLimit) {
#ifdef __has_feature
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "the sanitizer's own checks need file descriptors";
#endif
#endif
  PENSTOCK_EXPECT_PASSED(in_child([this] {
    bool has_worked = false;
    bool has_failed = false;
    // The highest number in use now is not far: standard streams and what the test program has open.
    for (rlim_t limit = 4; limit < 64; ++limit) {
      const int result = in_child([this, limit] {
        const rlimit files{.rlim_cur = limit, .rlim_max = limit};
        if (::setrlimit(RLIMIT_NOFILE, &files) != 0) {
          return kNotPermitted;
        }
        auto runtime = small_runtime();
        if (!runtime.has_value()) {
          const std::string& text = runtime.error().text;
          return expect(text.find("RLIMIT_NOFILE") != std::string::npos || text.find("open files") != std::string::npos, text)
                     ? 2
                     : kFailed;
        }
        auto db = Database::open(*runtime, directory_ / "db", small_options());
        if (!db.has_value()) {
          const std::string& text = db.error().text;
          const bool is_named =
              text.find(directory_ / "db") != std::string::npos && text.find("open files") != std::string::npos;
          return expect(!db.error().status.is(Code::kCorruption) && is_named, text) ? 2 : kFailed;
        }
        const auto family = db->open_or_create_family("data").get();
        if (!expect(family.has_value(), family.has_value() ? "" : family.error().text)) {
          return kFailed;
        }
        const Status written = db->put(*family, "key", "value").get();
        const bool works = written.is_ok();
        expect(works, written.to_string());
        return verdict(expect(works, "a put fails") && expect(db->close().is_ok(), "close"));
      });
      if (result == kFailed || result == kNotPermitted) {
        std::fprintf(stderr, "with %llu open files\n", static_cast<unsigned long long>(limit));
        return result;
      }
      has_worked = has_worked || result == kPassed;
      has_failed = has_failed || result == 2;
    }
    return verdict(expect(has_worked, "it never works") && expect(has_failed, "it never fails"));
  }));
}

TEST_F(Refusal, LittleLockableMemoryIsEnoughOrNamed) {
  for (const rlim_t bytes : {rlim_t{0}, rlim_t{4096}, rlim_t{65'536}}) {
    for (const bool as_root : {true, false}) {
      const std::string path = directory_ / ("db" + std::to_string(bytes) + (as_root ? "root" : "user"));
      ASSERT_EQ(::mkdir(path.c_str(), 0777), 0);
      const int result = in_child([&path, bytes, as_root] {
        const rlimit memory{.rlim_cur = bytes, .rlim_max = bytes};
        if (::setrlimit(RLIMIT_MEMLOCK, &memory) != 0) {
          return kNotPermitted;
        }
        if (!as_root &&
            (::chown(path.c_str(), kNobody, kNobody) != 0 || ::chdir(path.c_str()) != 0 || ::setuid(kNobody) != 0)) {
          return kNotPermitted;
        }
        auto runtime = small_runtime();
        if (!runtime.has_value()) {
          return verdict(expect(runtime.error().text.find("RLIMIT_MEMLOCK") != std::string::npos, runtime.error().text));
        }
        auto db = Database::open(*runtime, as_root ? path + "/db" : "db", small_options());
        if (!expect(db.has_value(), db.has_value() ? "" : db.error().text)) {
          return kFailed;
        }
        const auto family = db->create_family("data").get();
        return verdict(expect(db->put(*family, "key", "value").get().is_ok(), "put") && expect(db->close().is_ok(), "close"));
      });
      EXPECT_TRUE(result == kPassed || result == kNotPermitted)
          << bytes << " bytes, " << (as_root ? "as this user" : "as nobody");
    }
  }
}

}  // namespace
}  // namespace penstock::apitest
