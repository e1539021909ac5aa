// Goal: a status says what the caller does next and where, and system errors become the code that tells it.
#include "penstock/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace penstock {
namespace {

TEST(Status, IsOkAndSilentByDefault) {
  EXPECT_TRUE(Status().is_ok());
  EXPECT_EQ(Status(), Status::ok());
  EXPECT_EQ(Status().to_string(), "ok");
}

TEST(Status, NamesEveryCodeDifferentlyAndGivesAdvice) {
  std::set<std::string_view> names;
  for (std::uint8_t number = 0; number < kCodeCount; ++number) {
    const auto code = static_cast<Code>(number);
    EXPECT_TRUE(names.insert(code_name(code)).second) << code_name(code);
    EXPECT_NE(code_name(code), "unnamed_code");
    if (code == Code::kOk) continue;
    const std::string line = Status(code).to_string();
    EXPECT_TRUE(line.starts_with(std::string(code_name(code)) + ": ")) << line;
  }
  EXPECT_EQ(code_name(static_cast<Code>(kCodeCount)), "unnamed_code");
}

TEST(Status, OnlyOutcomeUnknownLeavesOpenWhetherTheCallWasApplied) {
  for (std::uint8_t number = 1; number < kCodeCount; ++number) {
    const Status status(static_cast<Code>(number));
    const bool says_not_applied = status.to_string().find("not applied") != std::string::npos;
    EXPECT_NE(says_not_applied, status.is(Code::kOutcomeUnknown)) << status.to_string();
  }
}

TEST(Status, MapsSystemErrorsToWhatTheCallerDoesNext) {
  EXPECT_TRUE(Status::from_errno(ENOENT).is(Code::kNotFound));
  EXPECT_TRUE(Status::from_errno(EEXIST).is(Code::kAlreadyExists));
  EXPECT_TRUE(Status::from_errno(EACCES).is(Code::kPermission));
  EXPECT_TRUE(Status::from_errno(EROFS).is(Code::kPermission));
  EXPECT_TRUE(Status::from_errno(ENOSPC).is(Code::kNoSpace));
  EXPECT_TRUE(Status::from_errno(EDQUOT).is(Code::kNoSpace));
  EXPECT_TRUE(Status::from_errno(EOPNOTSUPP).is(Code::kNotSupported));
  EXPECT_TRUE(Status::from_errno(ECANCELED).is(Code::kCancelled));
  EXPECT_TRUE(Status::from_errno(EIO).is(Code::kIoError));
  EXPECT_EQ(Status::from_errno(EIO).error_number(), EIO);
}

TEST(Status, TellsThePlaceInTheUnitOfItsFileKind) {
  const Status log = Status(Code::kCorruption, FileKind::kLog, 8192).with_shard(3);
  EXPECT_NE(log.to_string().find("[log position 8192, shard 3]"), std::string::npos) << log.to_string();
  const Status pages = Status(Code::kCorruption).with_place(FileKind::kPages, 17).with_file(2).with_shard(1);
  EXPECT_NE(pages.to_string().find("[page file 2 block 17, shard 1]"), std::string::npos) << pages.to_string();
  const Status lock(Code::kBusy, FileKind::kLock, 4711);
  EXPECT_NE(lock.to_string().find("[held by process 4711]"), std::string::npos) << lock.to_string();
  const Status io = Status::from_errno(ENOSPC);
  EXPECT_NE(io.to_string().find("errno 28, No space left on device"), std::string::npos) << io.to_string();
}

}  // namespace
}  // namespace penstock
