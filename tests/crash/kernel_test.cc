// Goal: what the documents promise holds on real kernels and file systems when these run short or fail: errors with their
// codes, nothing acknowledged lost, no hang, no crash. Method: a child process commits numbered values and tells through shared
// memory what was acknowledged; the parent makes things worse, and opens the database afterwards. On images of ext4, XFS and
// btrfs where this process may mount them; where not, the test is skipped and says why. PENSTOCK_KILLS: kills on each of them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/sanitizer.h"
#include "penstock/db.h"
#include "tests/crash/kernel_image.h"

namespace penstock::crashtest {
namespace {

constexpr std::uint64_t kKeys = 3000;
constexpr int kSecondsMax = 120;  // What takes longer hangs.

/// What a child tells.
struct Shared {
  std::atomic<std::uint64_t> acknowledged{0};  // Values 1 to this are there.
  std::atomic<std::uint64_t> submitted{0};
  std::atomic<std::uint32_t> opened{0};
  std::atomic<std::uint32_t> failed_open{0};  // The code.
  std::atomic<std::uint32_t> first_error{0};  // Of commits; the code.
  std::atomic<std::uint32_t> close_code{0};
};

class SharedMemory {
 public:
  SharedMemory() {
    void* const place = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_ = new (place) Shared;
  }
  ~SharedMemory() { ::munmap(shared_, sizeof(Shared)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  Shared* operator->() const noexcept { return shared_; }
  Shared& operator*() const noexcept { return *shared_; }

 private:
  Shared* shared_;
};

std::string key_of(std::uint64_t number) { return "key" + std::to_string(number % kKeys); }
std::string value_of(std::uint64_t number) {
  base::Random random(number);
  std::string value = std::to_string(number) + ":";
  value.resize(200 + random.below(20'000), static_cast<char>('a' + (number % 26)));
  return value;
}

DatabaseOptions small_options() {
  DatabaseOptions options;
  options.shards = 2;
  options.log_segment_bytes = 1_MiB;
  options.log_budget_bytes = 8_MiB;
  return options;
}

Outcome<Runtime> start_runtime() { return Runtime::start({.reactors = 2, .memory_limit = 64_MiB}); }

/// In a child: commits until it is told to stop, or one fails. Several are in flight; they are acknowledged in order.
void commit_values(const std::string& directory, Shared& shared, std::uint64_t count_max) {
  auto runtime = start_runtime();
  if (!runtime.has_value()) {
    shared.failed_open = static_cast<std::uint32_t>(runtime.error().status.code());
    return;
  }
  auto db = Database::open(*runtime, directory, small_options());
  if (!db.has_value()) {
    shared.failed_open = static_cast<std::uint32_t>(db.error().status.code());
    return;
  }
  const auto family = db->open_or_create_family("data", {.shard = 1}).get();
  if (!family.has_value()) {
    shared.failed_open = static_cast<std::uint32_t>(family.error().status.code());
    db->close().ignore("its family could not be made");
    return;
  }
  shared.opened = 1;
  std::deque<Future<Status>> in_flight;
  std::uint64_t number = shared.acknowledged;
  Status failed;
  while (failed.is_ok() && (number < count_max || !in_flight.empty())) {
    if (number < count_max) {
      ++number;
      shared.submitted = std::max(number, shared.submitted.load());
      in_flight.push_back(db->put(*family, key_of(number), value_of(number)));
    }
    if (in_flight.size() < 8 && number < count_max) continue;
    failed = in_flight.front().get();
    in_flight.pop_front();
    if (failed.is_ok()) ++shared.acknowledged;
  }
  if (!failed.is_ok()) shared.first_error = static_cast<std::uint32_t>(failed.code());
  while (!in_flight.empty()) {
    (void)in_flight.front().get();
    in_flight.pop_front();
  }
  // What is read after a failure is right, or refused.
  for (std::uint64_t back = 0; back < 50 && back < shared.acknowledged; ++back) {
    const std::uint64_t each = shared.acknowledged - back;
    const Result<std::string> value = db->get(*family, key_of(each)).get();
    if (value.has_value() && std::stoull(*value) % kKeys != each % kKeys) std::abort();
  }
  shared.close_code = static_cast<std::uint32_t>(db->close().code());
}

/// Opens and compares: everything acknowledged is there, and nothing that was never submitted. A key holds the last number that
/// was acknowledged for it, or one submitted later.
void check_values(const std::string& directory, const Shared& shared) {
  auto runtime = start_runtime();
  ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
  auto db = Database::open(*runtime, directory, small_options());
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const auto family = db->open_or_create_family("data", {.shard = 1}).get();
  ASSERT_TRUE(family.has_value()) << family.error().text;
  const std::uint64_t acknowledged = shared.acknowledged;
  const std::uint64_t first = acknowledged > kKeys ? acknowledged - kKeys + 1 : 1;
  for (std::uint64_t number = first; number <= acknowledged; ++number) {
    const Result<std::string> value = db->get(*family, key_of(number)).get();
    ASSERT_TRUE(value.has_value()) << number << ": " << value.error().to_string();
    const std::uint64_t found = std::stoull(*value);
    ASSERT_GE(found, number);
    ASSERT_LE(found, shared.submitted.load());
    ASSERT_EQ(found % kKeys, number % kKeys);
    ASSERT_TRUE(*value == value_of(found)) << number;
  }
  const auto verified = db->verify().get();
  ASSERT_TRUE(verified.has_value()) << verified.error().text;
  ASSERT_TRUE(db->put(*family, "afterwards", "it takes writes").get().is_ok());
  ASSERT_TRUE(db->close().is_ok());
}

class Child {
 public:
  explicit Child(const std::function<void()>& work) : id_(::fork()) {
    if (id_ == 0) {
      work();
      ::_exit(0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (id_ > 0) {
      ::kill(id_, SIGKILL);
      ::waitpid(id_, nullptr, 0);
    }
  }
  void kill() const { ::kill(id_, SIGKILL); }
  pid_t id() const noexcept { return id_; }

  /// Its wait status; nothing: it did not end in time.
  std::optional<int> wait() {
    for (int waited = 0; waited < kSecondsMax * 100; ++waited) {
      int status = 0;
      if (::waitpid(id_, &status, WNOHANG) == id_) {
        id_ = -1;
        return status;
      }
      ::usleep(10'000);
    }
    return std::nullopt;
  }
  void expect_clean_end() {
    const std::optional<int> status = wait();
    ASSERT_TRUE(status.has_value()) << "it hangs";
    ASSERT_TRUE(WIFEXITED(*status)) << "ended by signal " << WTERMSIG(*status);
    ASSERT_EQ(WEXITSTATUS(*status), 0);
  }

 private:
  pid_t id_;
};

bool wait_for(const std::function<bool()>& done) {
  for (int waited = 0; waited < kSecondsMax * 1000; ++waited) {
    if (done()) return true;
    ::usleep(1000);
  }
  return false;
}

bool is_one_of(std::uint32_t code, std::initializer_list<Code> codes) {
  return std::ranges::any_of(codes, [code](Code each) { return code == static_cast<std::uint32_t>(each); });
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char name[] = "kernel_test_XXXXXX";
    if (::mkdtemp(name) != nullptr) path_ = std::filesystem::absolute(name);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// --- on images ---

class KernelFileSystem : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr std::uint64_t kMegabytes = 320;  // The least that mkfs.xfs takes is 300.
};

TEST_P(KernelFileSystem, AKilledProcessLosesNothingThatItAcknowledged) {
  KernelImage image(GetParam(), kMegabytes);
  if (!image.why_not().empty()) GTEST_SKIP() << image.why_not();
  const char* text = std::getenv("PENSTOCK_KILLS");
  const int kills = text == nullptr ? 3 : std::clamp(std::stoi(text) / 10, 1, 10);
  const SharedMemory shared;
  const std::string directory = image.directory() + "/db";
  for (int kill = 0; kill < kills; ++kill) {
    SCOPED_TRACE(kill);
    shared->opened = 0;
    const std::uint64_t before = shared->acknowledged;
    {
      Child child([&] { commit_values(directory, *shared, ~0ULL); });
      ASSERT_TRUE(wait_for([&] { return shared->acknowledged > before + 100 + (static_cast<std::uint64_t>(kill) * 50); }))
          << "opening " << shared->failed_open << ", commits " << shared->first_error;
    }
    check_values(directory, *shared);
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelFileSystem, AFullDiskRefusesWritesAndTakesThemAgainOnceThereIsSpace) {
  KernelImage image(GetParam(), kMegabytes);
  if (!image.why_not().empty()) GTEST_SKIP() << image.why_not();
  const std::string directory = image.directory() + "/db";
  SharedMemory shared;
  {
    Child child([&] { commit_values(directory, *shared, 200); });
    child.expect_clean_end();
    ASSERT_EQ(shared->acknowledged, 200U);
  }
  ASSERT_TRUE(image.leave_free(24_MiB));
  auto runtime = start_runtime();
  ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
  auto db = Database::open(*runtime, directory, small_options());
  ASSERT_TRUE(db.has_value()) << db.error().text;
  const auto family = db->open_or_create_family("data", {.shard = 1}).get();
  ASSERT_TRUE(family.has_value());
  std::uint64_t number = 200;
  Status status;
  while (status.is_ok() && number < 30'000) {
    ++number;
    shared->submitted = number;
    // Keys of their own: overwriting would need no more space.
    status = db->put(*family, "full" + std::to_string(number), value_of(number)).get();
    if (status.is_ok()) shared->acknowledged = number;
  }
  const bool copies_on_write = std::string(GetParam()) == "btrfs";
  EXPECT_TRUE(status.is(Code::kNoSpace) ||
              (copies_on_write && (status.is(Code::kOutcomeUnknown) || status.is(Code::kPoisoned))))
      << status.to_string();
  for (std::uint64_t each = 201; each <= shared->acknowledged; each += 7) {
    const Result<std::string> value = db->get(*family, "full" + std::to_string(each)).get();
    ASSERT_TRUE(value.has_value()) << each << ": " << value.error().to_string();
    ASSERT_TRUE(*value == value_of(each));
  }
  if (status.is(Code::kNoSpace)) {
    image.give_space_back();
    // Without opening again; what frees the space may take a moment to be noticed.
    for (std::uint64_t more = 0; more < 100; ++more) {
      const std::string key = "more" + std::to_string(more);
      ASSERT_TRUE(wait_for([&] { return db->put(*family, key, value_of(more)).get().is_ok(); })) << more;
    }
    EXPECT_TRUE(db->flush().get().is_ok());
    EXPECT_TRUE(db->close().is_ok());
  } else {
    (void)db->close();
    image.give_space_back();
  }
  auto again = Database::open(*runtime, directory, small_options());
  ASSERT_TRUE(again.has_value()) << again.error().text;
  const auto found = again->open_family("data").get();
  ASSERT_TRUE(found.has_value());
  for (std::uint64_t each = 201; each <= shared->acknowledged; ++each) {
    const Result<std::string> value = again->get(*found, "full" + std::to_string(each)).get();
    ASSERT_TRUE(value.has_value()) << each << ": " << value.error().to_string();
    ASSERT_TRUE(*value == value_of(each));
  }
  const auto verified = again->verify().get();
  EXPECT_TRUE(verified.has_value()) << verified.error().text;
  EXPECT_TRUE(again->close().is_ok());
}

TEST_P(KernelFileSystem, ThatStopsTakingWritesUnderLoadLosesNothingThatWasAcknowledged) {
  KernelImage image(GetParam(), kMegabytes);
  if (!image.why_not().empty()) GTEST_SKIP() << image.why_not();
  const std::string directory = image.directory() + "/db";
  const SharedMemory shared;
  {
    Child child([&] { commit_values(directory, *shared, ~0ULL); });
    ASSERT_TRUE(wait_for([&] { return shared->acknowledged > 300; }));
    if (!image.stop_writes()) {
      GTEST_SKIP() << GetParam() << " cannot be made read-only under a process that writes: no shutdown in this kernel";
    }
    child.expect_clean_end();
  }
  EXPECT_TRUE(is_one_of(shared->first_error, {Code::kOutcomeUnknown, Code::kPoisoned, Code::kIoError}))
      << code_name(static_cast<Code>(shared->first_error.load()));
  EXPECT_NE(shared->close_code, 0U);  // It could not say that it closed clean.
  ASSERT_TRUE(image.unmount());
  ASSERT_TRUE(image.mount());
  check_values(directory, *shared);
}

INSTANTIATE_TEST_SUITE_P(Images, KernelFileSystem, ::testing::Values("ext4", "xfs", "btrfs"),
                         [](const auto& each) { return std::string(each.param); });

// --- anywhere ---

TEST(KernelLimits, FewOpenFilesGiveAnErrorOrAWorkingDatabase) {
  // The sanitizers look at memory through a pipe of their own: without a descriptor for it they take good objects for bad ones.
  if (base::kHasAddressSanitizer) {
    GTEST_SKIP() << "the sanitizers need descriptors themselves";
  }
  int opened = 0;
  int refused = 0;
  for (const rlim_t files : {8U, 12U, 16U, 20U, 24U, 28U, 32U, 40U, 64U}) {
    SCOPED_TRACE(files);
    const TemporaryFolder folder;
    const SharedMemory shared;
    Child child([&] {
      const rlimit limit{.rlim_cur = files, .rlim_max = files};
      if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(3);
      commit_values(folder.path() + "/db", *shared, 400);
    });
    child.expect_clean_end();
    if (HasFatalFailure()) return;
    if (shared->opened == 0) {
      ++refused;
      EXPECT_TRUE(is_one_of(shared->failed_open, {Code::kIoError, Code::kNotSupported}))
          << code_name(static_cast<Code>(shared->failed_open.load()));
      EXPECT_EQ(shared->acknowledged, 0U);
      continue;
    }
    ++opened;
    check_values(folder.path() + "/db", *shared);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0);
}

TEST(KernelLimits, LittleLockedMemoryIsEnough) {
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  const SharedMemory shared;
  Child child([&] {
    const rlimit limit{.rlim_cur = 64 * 1024, .rlim_max = 64 * 1024};
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) ::_exit(3);
    // Root is not held to it. The folder above may be closed to others, so the way there comes first.
    if (::chdir(folder.path().c_str()) != 0) ::_exit(4);
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(5);
    commit_values("db", *shared, 500);
  });
  child.expect_clean_end();
  EXPECT_EQ(shared->opened, 1U) << code_name(static_cast<Code>(shared->failed_open.load()));
  EXPECT_EQ(shared->acknowledged, 500U);
  EXPECT_EQ(shared->close_code, 0U);
  check_values(folder.path() + "/db", *shared);
}

TEST(KernelLimits, ASecondProcessIsToldWhoHasTheDatabaseAndGetsItAfterwards) {
  const TemporaryFolder folder;
  const std::string directory = folder.path() + "/db";
  const SharedMemory shared;
  Child child([&] { commit_values(directory, *shared, ~0ULL); });
  ASSERT_TRUE(wait_for([&] { return shared->acknowledged > 20; }));
  {
    auto runtime = start_runtime();
    ASSERT_TRUE(runtime.has_value());
    const auto refused = Database::open(*runtime, directory, small_options());
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error().status.is(Code::kBusy));
    EXPECT_NE(refused.error().text.find(std::to_string(child.id())), std::string::npos) << refused.error().text;
    const auto verified = Database::verify_closed(*runtime, directory);
    ASSERT_FALSE(verified.has_value());
    EXPECT_TRUE(verified.error().status.is(Code::kBusy));
    child.kill();
  }
  ASSERT_TRUE(child.wait().has_value());
  check_values(directory, *shared);
}

}  // namespace
}  // namespace penstock::crashtest
