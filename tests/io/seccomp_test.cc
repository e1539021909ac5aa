// Goal: where io_uring is refused (containers with a seccomp filter, old kernels) the engine works with system calls, says so
// and why in one line, and an explicit demand for io_uring fails with that reason. Method: a child process that denies itself
// io_uring_setup by a seccomp filter of its own, then uses a database.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "penstock/db.h"
#include "reactor/temporary_directory.h"

namespace penstock::iotest {
namespace {

constexpr int kChildPassed = 0;
constexpr int kChildFailed = 1;
constexpr int kChildCannotFilter = 77;

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;
#endif

/// From now on io_uring_setup fails with `error_number` in this process.
bool deny_rings(int error_number) {
  std::array<sock_filter, 6> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error_number) & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// Says why on standard error; the child's way to fail.
bool expect(bool condition, const std::string& text) {
  if (!condition) {
    std::fprintf(stderr, "in the child: %s\n", text.c_str());
  }
  return condition;
}

/// Runs `work` in a child under the filter; skips the test where filters are not permitted.
int run_denied(int error_number, const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::unsetenv("PENSTOCK_IO");
    if (!deny_rings(error_number)) {
      ::_exit(kChildCannotFilter);
    }
    ::_exit(work() ? kChildPassed : kChildFailed);
  }
  int state = 0;
  if (child < 0 || ::waitpid(child, &state, 0) != child || !WIFEXITED(state)) {
    return kChildFailed;
  }
  return WEXITSTATUS(state);
}

bool is_one_line_about_system_calls(const std::string& line, const std::string& reason) {
  return expect(line.find('\n') == std::string::npos, "more than one line: " + line) &&
         expect(line.find("system calls") != std::string::npos, "it does not say what is used: " + line) &&
         expect(line.find("io_uring_setup") != std::string::npos, "it does not say what was refused: " + line) &&
         expect(line.find(reason) != std::string::npos, "it does not say why: " + line);
}

bool use_database(const std::string& path, const std::string& reason) {
  auto runtime = Runtime::start({.reactors = 2, .memory_limit = 64_MiB});
  if (!expect(runtime.has_value(), "start fails") || !is_one_line_about_system_calls(runtime->io_backend(), reason)) {
    return false;
  }
  DatabaseOptions options;
  options.shards = 2;
  options.log_segment_bytes = 1_MiB;
  for (int round = 0; round < 2; ++round) {
    auto db = Database::open(*runtime, path, options);
    if (!expect(db.has_value(), "open: " + (db.has_value() ? "" : db.error().text))) {
      return false;
    }
    auto family = db->open_or_create_family("data", {.placement = Placement::kHashed}).get();
    for (int index = 0; index < 50; ++index) {
      const std::string key = "key" + std::to_string(index);
      if (round == 0 && !expect(db->put(*family, key, "value" + key).get().is_ok(), "put")) {
        return false;
      }
      const auto value = db->get(*family, key).get();
      if (!expect(value.has_value() && *value == "value" + key, "get")) {
        return false;
      }
    }
    const Metrics metrics = db->metrics().get().value();
    if (!is_one_line_about_system_calls(metrics.io_backend, reason) || !expect(db->flush().get().is_ok(), "flush") ||
        !expect(db->close().is_ok(), "close")) {
      return false;
    }
  }
  return true;
}

class RingDenied : public ::testing::TestWithParam<int> {
 protected:
  std::string reason() const { return GetParam() == EPERM ? "seccomp" : "no io_uring"; }
  reactor::TemporaryDirectory directory_;
};

#define PENSTOCK_SKIP_WITHOUT_FILTERS(result)                                                      \
  if ((result) == kChildCannotFilter) {                                                            \
    GTEST_SKIP() << "seccomp filters are not permitted here: the refusal of io_uring is not seen"; \
  }

TEST_P(RingDenied, TheDatabaseWorksWithSystemCallsAndSaysWhy) {
  const int result = run_denied(GetParam(), [this] { return use_database(directory_ / "db", reason()); });
  PENSTOCK_SKIP_WITHOUT_FILTERS(result);
  EXPECT_EQ(result, kChildPassed);
}

TEST_P(RingDenied, ADemandForTheRingFailsAndSaysWhy) {
  const int result = run_denied(GetParam(), [this] {
    const auto runtime = Runtime::start({.reactors = 1, .memory_limit = 64_MiB, .io_backend = IoBackend::kRing});
    return expect(!runtime.has_value(), "it started") &&
           expect(runtime.error().status.is(Code::kNotSupported) || runtime.error().status.is(Code::kPermission),
                  "code: " + runtime.error().status.to_string()) &&
           expect(runtime.error().text.find("io_uring_setup") != std::string::npos, runtime.error().text) &&
           expect(runtime.error().text.find(reason()) != std::string::npos, runtime.error().text);
  });
  PENSTOCK_SKIP_WITHOUT_FILTERS(result);
  EXPECT_EQ(result, kChildPassed);
}

INSTANTIATE_TEST_SUITE_P(Refusals, RingDenied, ::testing::Values(EPERM, ENOSYS),
                         [](const auto& each) { return each.param == EPERM ? "NotPermitted" : "NoSuchSystemCall"; });

}  // namespace
}  // namespace penstock::iotest
