// Goal: what a program in C cannot bring about at will: damaged logs behind a failure, and answers that have no text of their
// own. What it can is in tests/api/c_api_test.c and beside it.
#include "engine/c_api.h"

#include <gtest/gtest.h>

namespace penstock::capi {
namespace {

TEST(CApiFailure, EveryPartOfAStatusIsToldAndTheRangesToo) {
  Failure failure(
      Status::from_errno(5).with_code(Code::kCorruption).with_place(FileKind::kPages, 77).with_shard(3).with_file(2), "text");
  failure.ranges = {{.epoch = 4, .reactor = 1, .begin = 10, .end = 20}, {.epoch = 5, .reactor = 0, .begin = 0, .end = 7}};
  penstock_failure* told = nullptr;
  EXPECT_EQ(report(failure, &told), PENSTOCK_CORRUPTION);
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(penstock_failure_code(told), PENSTOCK_CORRUPTION);
  EXPECT_STREQ(penstock_failure_text(told), "text");
  EXPECT_EQ(penstock_failure_error_number(told), 5);
  EXPECT_EQ(penstock_failure_file_kind(told), PENSTOCK_FILE_PAGES);
  EXPECT_EQ(penstock_failure_file(told), 2U);
  EXPECT_EQ(penstock_failure_shard(told), 3U);
  EXPECT_EQ(penstock_failure_where(told), 77U);
  ASSERT_EQ(penstock_failure_range_count(told), 2U);
  const penstock_log_range range = penstock_failure_range(told, 0);
  EXPECT_EQ(range.epoch, 4U);
  EXPECT_EQ(range.reactor, 1U);
  EXPECT_EQ(range.begin, 10U);
  EXPECT_EQ(range.end, 20U);
  EXPECT_EQ(penstock_failure_range(told, 1).end, 7U);
  EXPECT_EQ(penstock_failure_range(told, 2).end, 0U);
  penstock_failure_free(told);
}

TEST(CApiFailure, AStatusIsPutIntoWordsAndSuccessIsNoFailure) {
  penstock_failure* told = nullptr;
  EXPECT_EQ(report(Status(Code::kNoSpace).with_shard(2), &told), PENSTOCK_NO_SPACE);
  EXPECT_EQ(std::string(penstock_failure_text(told)), Status(Code::kNoSpace).with_shard(2).to_string());
  penstock_failure_free(told);
  EXPECT_EQ(report(Status::ok(), &told), PENSTOCK_OK);
  EXPECT_EQ(told, nullptr);
  EXPECT_EQ(report(Status(Code::kPoisoned), nullptr), PENSTOCK_POISONED);
}

TEST(CApiFuture, AnAnswerThatWasTakenIsGone) {
  Promise<Status> promise;
  TypedFuture<Status> future(promise.future());
  EXPECT_FALSE(future.is_ready());
  promise.fulfill(Status(Code::kOutcomeUnknown));
  EXPECT_TRUE(future.is_ready());
  EXPECT_EQ(future.take(nullptr, kStoreNothing), PENSTOCK_OUTCOME_UNKNOWN);
  EXPECT_EQ(future.take(nullptr, kStoreNothing), PENSTOCK_INVALID_ARGUMENT);
}

TEST(CApiStruct, AnOlderProgramGetsAsMuchAsItKnows) {
  struct Older {
    std::uint32_t struct_bytes;
    std::uint32_t created;
    std::uint32_t guard;
  };
  Older older{.struct_bytes = 8, .created = 0, .guard = 0x5eed};
  penstock_recovery_report full{};
  full.created = 1;
  full.clean = 1;
  write_struct(full, reinterpret_cast<penstock_recovery_report*>(&older), older.struct_bytes);
  EXPECT_EQ(older.created, 1U);
  EXPECT_EQ(older.guard, 0x5eedU);
}

}  // namespace
}  // namespace penstock::capi
