// Goal: what only a ring can do wrong: a submission cut in the middle of a chain, and a completion that nobody waits for.
// Method: entries are spoiled in the submission queue, between prepare() and enter(). The rest is in io_contract_test.cc.
#include "reactor/ring_io.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <climits>

namespace penstock::reactor {

struct RingIoProbe {
  /// The entry prepared `back` entries before the last one.
  static io_uring_sqe& sqe(RingIo& io, unsigned back) {
    const io_uring_sq& queue = io.ring_.sq;
    return queue.sqes[(queue.sqe_tail - 1 - back) & queue.ring_mask];
  }
};

namespace {

struct Result32 final : Completion {
  void on_complete(std::int32_t value) override { result = value; }
  std::int32_t result = INT_MIN;
};

std::unique_ptr<RingIo> make_ring(std::uint32_t flags) {
  Outcome<std::unique_ptr<Io>> io = RingIo::create_with_flags(IoOptions(), flags);
  if (!io) return nullptr;
  return std::unique_ptr<RingIo>(static_cast<RingIo*>(io->release()));
}

void finish(RingIo& io) {
  std::array<Reaped, 8> reaped;
  while (io.in_flight() != 0) {
    io.enter(-1);
    const std::uint32_t count = io.reap(reaped);
    for (std::uint32_t index = 0; index < count; ++index) reaped[index].completion->on_complete(reaped[index].result);
  }
}

constexpr std::uint8_t kNoOpcode = 255;

class RingIoCut : public testing::TestWithParam<std::uint32_t> {};

TEST_P(RingIoCut, AnEntryThatTheKernelRefusesAtSubmissionCancelsTheRestOfItsChainAlone) {
  const std::unique_ptr<RingIo> io = make_ring(GetParam());
  if (io == nullptr) GTEST_SKIP() << "refused here";
  std::array<Result32, 6> results;
  std::array<Entry, 4> chain;
  for (std::size_t index = 0; index < chain.size(); ++index) {
    chain[index].link = index + 1 < chain.size();
    chain[index].completion = &results[index];
  }
  io->prepare(chain);
  RingIoProbe::sqe(*io, 2).opcode = kNoOpcode;
  std::array<Entry, 2> other;
  other[0].link = true;
  other[0].completion = &results[4];
  other[1].completion = &results[5];
  io->prepare(other);
  finish(*io);
  EXPECT_EQ(results[0].result, -ECANCELED);  // The kernel has seen the refusal before it starts the chain.
  EXPECT_EQ(results[1].result, -EINVAL);
  EXPECT_EQ(results[2].result, -ECANCELED);
  EXPECT_EQ(results[3].result, -ECANCELED);
  EXPECT_EQ(results[4].result, 0);
  EXPECT_EQ(results[5].result, 0);
}

// Without SUBMIT_ALL the kernel stops behind the refused entry, in the middle of the chain.
INSTANTIATE_TEST_SUITE_P(Flags, RingIoCut, testing::Values(0U, static_cast<std::uint32_t>(IORING_SETUP_SUBMIT_ALL)));

void complete_with_user_data(std::uint64_t change) {
  const std::unique_ptr<RingIo> io = make_ring(0);
  ASSERT_NE(io, nullptr);
  Result32 result;
  Entry entry;
  entry.completion = &result;
  // Twice, so that the slot's generation is not its first.
  io->prepare(std::span<const Entry>(&entry, 1));
  finish(*io);
  io->prepare(std::span<const Entry>(&entry, 1));
  RingIoProbe::sqe(*io, 0).user_data ^= change;
  finish(*io);
}

TEST(RingIoDeathTest, EndsTheProcessOnACompletionOfNoEntry) {
  if (make_ring(0) == nullptr) GTEST_SKIP() << "refused here";
  EXPECT_DEATH(complete_with_user_data(0x1000'0000), "io_uring is broken");  // No such slot.
  EXPECT_DEATH(complete_with_user_data(1), "io_uring is broken");            // A slot not in use.
  EXPECT_DEATH(complete_with_user_data(1ULL << 32U), "io_uring is broken");  // An earlier life of the slot.
}

}  // namespace
}  // namespace penstock::reactor
