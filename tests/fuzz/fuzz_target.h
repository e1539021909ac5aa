// What every fuzz target begins with: its entry, and a reader that cuts the fuzzer's bytes into what the target needs.
//
//   void run(fuzz::Input input) { ... }
//   PENSTOCK_FUZZ_TARGET(penstock::run)
//
// A target fails by an assertion, a sanitizer's finding, a timeout or the memory limit. It is a pure function of its input:
// what it finds can be replayed by `./dev fuzz TARGET FILE`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "penstock/bytes.h"

namespace penstock::fuzz {

/// Takes pieces off the front; what is missing at the end reads as zeros.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  bool is_empty() const noexcept { return bytes_.empty(); }
  std::span<const std::byte> rest() const noexcept { return bytes_; }

  template <typename T>
    requires std::is_integral_v<T>
  T take() noexcept {
    T value{};
    const std::size_t count = std::min(sizeof(T), bytes_.size());
    if (count > 0) std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }
  std::span<const std::byte> take_bytes(std::size_t count) noexcept {
    count = std::min(count, bytes_.size());
    const std::span<const std::byte> taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  Bytes take_text(std::size_t count) noexcept { return as_bytes(take_bytes(count)); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace penstock::fuzz

#define PENSTOCK_FUZZ_TARGET(function)                                                \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    (function)(penstock::fuzz::Input(std::as_bytes(std::span(data, size))));          \
    return 0;                                                                         \
  }
