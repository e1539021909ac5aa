// Every combination of facts about a log's end has exactly one answer, and acknowledged data is never called a torn tail.
#include "wal/recovery_verdict.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace penstock::wal {
namespace {

TailFacts facts_of(unsigned bits) {
  return {.end_is_known = (bits & 1U) != 0,
          .end_is_reached = (bits & 2U) != 0,
          .later_group_proves = (bits & 4U) != 0,
          .superblock_proves = (bits & 8U) != 0,
          .looks_unfinished = (bits & 16U) != 0};
}

TEST(RecoveryVerdict, EachCombinationMatchesExactlyOneRow) {
  for (unsigned bits = 0; bits < 32; ++bits) {
    const TailFacts facts = facts_of(bits);
    EXPECT_EQ(std::ranges::count_if(kTailTable, [&facts](const TailRow& row) { return row.matches(facts); }), 1) << bits;
  }
}

TEST(RecoveryVerdict, WhatIsProvenDurableIsNeverATornTail) {
  for (unsigned bits = 0; bits < 32; ++bits) {
    const TailFacts facts = facts_of(bits);
    const Tail tail = judge_tail(facts);
    if (facts.end_is_known) {
      EXPECT_EQ(tail, facts.end_is_reached ? Tail::kComplete : Tail::kDamaged) << bits;
    } else if (facts.later_group_proves || facts.superblock_proves) {
      EXPECT_EQ(tail, Tail::kDamaged) << bits;
    } else {
      EXPECT_EQ(tail, facts.looks_unfinished ? Tail::kTorn : Tail::kComplete) << bits;
    }
  }
}

}  // namespace
}  // namespace penstock::wal
