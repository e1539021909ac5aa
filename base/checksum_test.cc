// Goal: the checksum is XXH3-64 as published: files of one build are those of every other.
#include "base/checksum.h"

#include <gtest/gtest.h>

#include <array>

namespace penstock::base {
namespace {

TEST(Checksum, OfNothingIsThePublishedOne) { EXPECT_EQ(checksum({}), 0x2d06800538d394c2U); }

TEST(Checksum, DependsOnEveryByteAndOnTheSeed) {
  std::array<std::byte, 300> bytes{};
  const std::uint64_t plain = checksum(bytes);
  EXPECT_NE(checksum(bytes, 1), plain);
  EXPECT_NE(checksum(std::span(bytes).first(299)), plain);
  for (std::byte& byte : bytes) {
    byte = std::byte{1};
    EXPECT_NE(checksum(bytes), plain);
    byte = std::byte{0};
  }
}

}  // namespace
}  // namespace penstock::base
