// Goal: buffers are aligned, zeroed, counted, and absent (not fatal) when there is no memory.
#include "reactor/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "penstock/bytes.h"

namespace penstock::reactor {
namespace {

std::uintptr_t address_of(const AlignedBuffer& buffer) { return reinterpret_cast<std::uintptr_t>(buffer.data()); }

TEST(AlignedBuffer, RoundsUpToPagesAndStartsAsZeros) {
  const AlignedBuffer buffer(5000);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer.bytes(), 8192U);
  EXPECT_EQ(address_of(buffer) % 4096, 0U);
  EXPECT_TRUE(std::all_of(buffer.span().begin(), buffer.span().end(), [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(AlignedBuffer, StartsOnALargePageFromEightMebibytes) {
  const AlignedBuffer buffer(9_MiB + 1);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(address_of(buffer) % 2_MiB, 0U);
  buffer.data()[buffer.bytes() - 1] = std::byte{1};
}

TEST(AlignedBuffer, CountsWhatAllBuffersHold) {
  const std::uint64_t before = AlignedBuffer::total_bytes();
  {
    AlignedBuffer first(4096);
    const AlignedBuffer second(8_MiB);
    EXPECT_EQ(AlignedBuffer::total_bytes(), before + 4096 + 8_MiB);
    const AlignedBuffer moved(std::move(first));
    EXPECT_EQ(AlignedBuffer::total_bytes(), before + 4096 + 8_MiB);
  }
  EXPECT_EQ(AlignedBuffer::total_bytes(), before);
}

TEST(AlignedBuffer, IsEmptyWhenTheSystemHasNoMemory) {
  const AlignedBuffer buffer(std::size_t{1} << 60U);
  EXPECT_FALSE(buffer);
  EXPECT_EQ(buffer.bytes(), 0U);
}

}  // namespace
}  // namespace penstock::reactor
