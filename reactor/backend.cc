#include "reactor/backend.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "reactor/ring_io.h"
#include "reactor/syscall_io.h"

namespace penstock::reactor {

namespace {

using Backend = IoOptions::Backend;

/// What PENSTOCK_IO asks for, `fallback` if it is not set, nothing if it makes no sense.
std::optional<Backend> backend_of_environment(Backend fallback) {
  const char* const text = std::getenv("PENSTOCK_IO");
  if (text == nullptr || *text == '\0') return fallback;
  const std::string_view name(text);
  if (name == "ring") return Backend::kRing;
  if (name == "syscall") return Backend::kSyscall;
  return std::nullopt;
}

std::string memory_lock_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "of unknown size";
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return std::to_string(limit.rlim_cur) + " bytes";
}

}  // namespace

std::string explain_ring_refusal(int error_number) {
  const char* const description = strerrordesc_np(error_number);
  std::string line = "io_uring_setup: ";
  line += description == nullptr ? "errno " + std::to_string(error_number) : std::string(description);
  switch (error_number) {
    case EPERM:
    case EACCES:
      return line + " (a seccomp filter, or kernel.io_uring_disabled, denies it)";
    case ENOSYS:
      return line + " (the kernel has no io_uring, or a seccomp filter hides it)";
    case ENOMEM:
      return line + " (RLIMIT_MEMLOCK is " + memory_lock_limit() + ", shared by all rings of the user)";
    case EMFILE:
    case ENFILE:
      return line + " (RLIMIT_NOFILE is used up)";
    default:
      return line;
  }
}

Outcome<std::unique_ptr<Io>> make_real_io(const IoOptions& options) {
  const std::optional<Backend> backend = backend_of_environment(options.backend);
  if (!backend) return std::unexpected(Failure(Status(Code::kInvalidArgument), "PENSTOCK_IO is neither ring nor syscall"));
  if (*backend == Backend::kSyscall) return SyscallIo::create(options, "by option");
  Outcome<std::unique_ptr<Io>> ring = RingIo::create(options);
  if (ring || *backend == Backend::kRing) return ring;
  return SyscallIo::create(options, ring.error().text);
}

}  // namespace penstock::reactor
