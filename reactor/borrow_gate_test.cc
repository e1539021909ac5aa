// Goal: owner and borrowers never meet, whoever is preempted where, and the owner is not kept out for ever.
#include "reactor/borrow_gate.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace penstock::reactor {
namespace {

TEST(BorrowGate, LetsBorrowersInOnlyWhileItIsLent) {
  BorrowGate gate;
  EXPECT_FALSE(gate.try_borrow());
  gate.lend();
  EXPECT_TRUE(gate.try_borrow());
  EXPECT_TRUE(gate.try_borrow());
  gate.give_back();
  gate.give_back();
  gate.reclaim();
  EXPECT_FALSE(gate.try_borrow());
}

// The number is no atomic: if owner and borrower met, the thread sanitizer or a torn pair would tell.
TEST(BorrowGate, OwnerAndBorrowersTakeTurns) {
  BorrowGate gate;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> borrowed{0};
  std::vector<std::thread> borrowers;
  for (int thread = 0; thread < 4; ++thread) {
    borrowers.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        if (!gate.try_borrow()) continue;
        EXPECT_EQ(first, second);
        gate.give_back();
        borrowed.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (std::uint64_t turn = 0; turn < 20'000 || borrowed.load() < 1000; ++turn) {
    first = turn;
    second = turn;
    gate.lend();
    if (turn % 64 == 0) std::this_thread::yield();
    gate.reclaim();
  }
  stop = true;
  for (std::thread& thread : borrowers) thread.join();
  EXPECT_GE(borrowed.load(), 1000U);
}

}  // namespace
}  // namespace penstock::reactor
