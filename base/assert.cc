#include "base/assert.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace penstock::base {

void assert_failed(const char* file, int line, const char* condition) noexcept {
  std::fprintf(stderr, "penstock: %s:%d: assertion failed: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

void assert_compare_failed(const char* file, int line, const char* condition, std::uint64_t left,
                           std::uint64_t right) noexcept {
  std::fprintf(stderr, "penstock: %s:%d: assertion failed: %s (%" PRIu64 " against %" PRIu64 ")\n", file, line, condition, left,
               right);
  std::fflush(stderr);
  std::abort();
}

}  // namespace penstock::base
