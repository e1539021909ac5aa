// Goal: what only a ring can do wrong: a submission cut in the middle of a chain, and a completion that nobody waits for.
// Method: the submission queue is tampered with between prepare() and enter(). The rest is in io_contract_test.cc.
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
  /// Lets the kernel take `count` entries only, as when it has no memory for more, and the ring see to the rest.
  static void submit_part(RingIo& io, unsigned count) {
    io_uring_sq& queue = io.ring_.sq;
    queue.sqe_head = queue.sqe_tail;
    __atomic_store_n(queue.ktail, queue.sqe_tail, __ATOMIC_RELEASE);
    ASSERT_EQ(io_uring_enter(static_cast<unsigned>(io.ring_.ring_fd), count, 0, 0, nullptr), static_cast<int>(count));
    io.neutralize_cut_chain();
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

TEST(RingIo, WhatAPartialSubmissionLeavesOfAChainIsCancelledAndNothingElse) {
  const std::unique_ptr<RingIo> io = make_ring(0);
  if (io == nullptr) GTEST_SKIP() << "refused here";
  std::array<Result32, 6> results;
  std::array<Entry, 4> chain;
  for (std::size_t index = 0; index < chain.size(); ++index) {
    chain[index].link = index + 1 < chain.size();
    chain[index].completion = &results[index];
  }
  io->prepare(chain);
  std::array<Entry, 2> other;
  other[0].link = true;
  other[0].completion = &results[4];
  other[1].completion = &results[5];
  io->prepare(other);
  RingIoProbe::submit_part(*io, 2);
  finish(*io);
  EXPECT_EQ(results[0].result, 0);
  EXPECT_EQ(results[1].result, 0);
  EXPECT_EQ(results[2].result, -ECANCELED);
  EXPECT_EQ(results[3].result, -ECANCELED);
  EXPECT_EQ(results[4].result, 0);
  EXPECT_EQ(results[5].result, 0);
}

constexpr std::uint8_t kNoOpcode = 255;

class RingIoRefusal : public testing::TestWithParam<std::uint32_t> {};

TEST_P(RingIoRefusal, AnEntryThatTheKernelRefusesAtSubmissionCancelsTheRestOfItsChainAlone) {
  const std::unique_ptr<RingIo> io = make_ring(GetParam());
  if (io == nullptr) GTEST_SKIP() << "refused here";
  std::array<Result32, 4> results;
  std::array<Entry, 3> chain;
  for (std::size_t index = 0; index < chain.size(); ++index) {
    chain[index].link = index + 1 < chain.size();
    chain[index].completion = &results[index];
  }
  io->prepare(chain);
  RingIoProbe::sqe(*io, 1).opcode = kNoOpcode;
  Entry other;
  other.completion = &results[3];
  io->prepare(std::span<const Entry>(&other, 1));
  finish(*io);
  EXPECT_EQ(results[0].result, -ECANCELED);  // The kernel has seen the refusal before it starts the chain.
  EXPECT_EQ(results[1].result, -EINVAL);
  EXPECT_EQ(results[2].result, -ECANCELED);
  EXPECT_EQ(results[3].result, 0);
}

INSTANTIATE_TEST_SUITE_P(Flags, RingIoRefusal, testing::Values(0U, static_cast<std::uint32_t>(IORING_SETUP_SUBMIT_ALL)));

void complete_with_user_data(std::uint64_t kept_bits, std::uint64_t flipped_bits) {
  const std::unique_ptr<RingIo> io = make_ring(0);
  ASSERT_NE(io, nullptr);
  Result32 result;
  Entry entry;
  entry.completion = &result;
  // Twice, so that the slot has an earlier life.
  io->prepare(std::span<const Entry>(&entry, 1));
  finish(*io);
  io->prepare(std::span<const Entry>(&entry, 1));
  io_uring_sqe& sqe = RingIoProbe::sqe(*io, 0);
  sqe.user_data = (sqe.user_data & kept_bits) ^ flipped_bits;
  finish(*io);
}

TEST(RingIoDeathTest, EndsTheProcessOnACompletionOfNoEntry) {
  if (make_ring(0) == nullptr) GTEST_SKIP() << "refused here";
  EXPECT_DEATH(complete_with_user_data(~0ULL, 0x1000'0000), "io_uring is broken");  // No such slot.
  EXPECT_DEATH(complete_with_user_data(~0ULL, 1), "io_uring is broken");            // A slot not in use.
  EXPECT_DEATH(complete_with_user_data(0xffff'ffff, 0), "io_uring is broken");      // The slot's first life.
}

}  // namespace
}  // namespace penstock::reactor
