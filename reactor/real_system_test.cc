// Goal: the real system keeps what system.h promises of files, names, locks and chance.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "penstock/bytes.h"
#include "reactor/buffer.h"
#include "reactor/io.h"
#include "reactor/system.h"
#include "reactor/temporary_directory.h"

namespace penstock::reactor {
namespace {

class RealSystemTest : public testing::Test {
 protected:
  File make_file(const std::string& name) {
    const Result<Fd> file = system_.open_file(folder_ / name, {.create = true, .exclusive = true});
    EXPECT_TRUE(file.has_value());
    return File(system_, *file);
  }
  static mode_t mode_of(const std::string& path) {
    struct stat attributes{};
    EXPECT_EQ(::stat(path.c_str(), &attributes), 0);
    return attributes.st_mode & 07777U;
  }

  System& system_ = real_system();
  TemporaryDirectory folder_;
};

TEST_F(RealSystemTest, ReadsBackWhatItWrote) {
  const File file = make_file("data");
  const AlignedBuffer out(16384);
  std::memset(out.data(), 'x', out.bytes());
  EXPECT_TRUE(system_.write_file(file.fd(), 4096, out.span()).is_ok());
  EXPECT_TRUE(system_.sync_file(file.fd()).is_ok());
  EXPECT_EQ(system_.file_bytes(file.fd()), 4096U + 16384U);
  const AlignedBuffer in(16384);
  EXPECT_TRUE(system_.read_file(file.fd(), 4096, in.span()).is_ok());
  EXPECT_EQ(std::memcmp(in.data(), out.data(), out.bytes()), 0);
}

TEST_F(RealSystemTest, CallsAReadPastTheEndCorruption) {
  const File file = make_file("data");
  const AlignedBuffer buffer(8192);
  EXPECT_TRUE(system_.read_file(file.fd(), 0, buffer.span()).is(Code::kCorruption));
  EXPECT_TRUE(system_.resize_file(file.fd(), 4096, false).is_ok());
  EXPECT_TRUE(system_.read_file(file.fd(), 0, buffer.span()).is(Code::kCorruption));
  EXPECT_TRUE(system_.resize_file(file.fd(), 6000, false).is_ok());
  EXPECT_TRUE(system_.read_file(file.fd(), 0, buffer.span()).is(Code::kCorruption));
}

TEST_F(RealSystemTest, OpensOnlyWhatItIsAskedFor) {
  EXPECT_EQ(system_.open_file(folder_ / "absent", {}).error().code(), Code::kNotFound);
  const File file = make_file("data");
  EXPECT_EQ(system_.open_file(folder_ / "data", {.create = true, .exclusive = true}).error().code(), Code::kAlreadyExists);
  const Result<Fd> plain = system_.open_file(folder_ / "data", {.read_only = true, .direct = false});
  ASSERT_TRUE(plain.has_value());
  EXPECT_FALSE(system_.is_direct(*plain));
  EXPECT_EQ(::fcntl(static_cast<int>(*plain), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(static_cast<int>(*plain), F_GETFD) & FD_CLOEXEC, 0);
  system_.close_file(*plain);
}

TEST_F(RealSystemTest, RefusesLinksFoldersAndPipes) {
  const File file = make_file("data");
  ASSERT_EQ(::symlink((folder_ / "data").c_str(), (folder_ / "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(system_.open_file(folder_ / "link", {}).error().error_number(), ELOOP);
  EXPECT_EQ(system_.open_file(folder_ / "pipe", {}).error().code(), Code::kIoError);
  EXPECT_EQ(system_.open_file(folder_.path(), {.read_only = true}).error().code(), Code::kIoError);
  EXPECT_EQ(system_.lock_file(folder_ / "link", true).error().error_number(), ELOOP);
}

TEST_F(RealSystemTest, MakesFilesAndFoldersForTheirOwnerAlone) {
  const File file = make_file("data");
  EXPECT_TRUE(system_.make_directory(folder_ / "folder").is_ok());
  EXPECT_EQ(mode_of(folder_ / "data"), 0600U);
  EXPECT_EQ(mode_of(folder_ / "folder"), 0700U);
  EXPECT_TRUE(system_.make_directory(folder_ / "folder").is(Code::kAlreadyExists));
}

TEST_F(RealSystemTest, ListsRenamesAndRemovesNames) {
  make_file("b").reset();
  make_file("a").reset();
  EXPECT_TRUE(system_.make_directory(folder_ / "c").is_ok());
  EXPECT_EQ(*system_.list_directory(folder_.path()), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(system_.rename_file(folder_ / "a", folder_ / "b").is_ok());
  EXPECT_TRUE(system_.sync_directory(folder_.path()).is_ok());
  EXPECT_TRUE(system_.remove_directory(folder_ / "c").is_ok());
  EXPECT_EQ(*system_.list_directory(folder_.path()), (std::vector<std::string>{"b"}));
  EXPECT_TRUE(system_.remove_file(folder_ / "b").is_ok());
  EXPECT_TRUE(system_.remove_file(folder_ / "b").is(Code::kNotFound));
  EXPECT_EQ(system_.list_directory(folder_ / "absent").error().code(), Code::kNotFound);
}

TEST_F(RealSystemTest, GrowsWithReservedBlocksAndGivesThemBack) {
  const File file = make_file("data");
  const int number = static_cast<int>(file.fd());
  struct stat attributes{};
  EXPECT_TRUE(system_.resize_file(file.fd(), 1_MiB, true).is_ok());
  ASSERT_EQ(::fstat(number, &attributes), 0);
  EXPECT_EQ(attributes.st_size, 1 << 20);
  const blkcnt_t reserved = attributes.st_blocks;
  const Status punched = system_.punch_hole(file.fd(), 0, 512_KiB);
  if (punched.is_ok()) {
    ASSERT_EQ(::fstat(number, &attributes), 0);
    EXPECT_LT(attributes.st_blocks, reserved);
    EXPECT_EQ(attributes.st_size, 1 << 20);
    EXPECT_TRUE(system_.fill_hole(file.fd(), 0, 512_KiB).is_ok());
    ASSERT_EQ(::fstat(number, &attributes), 0);
    EXPECT_EQ(attributes.st_blocks, reserved);
    EXPECT_EQ(attributes.st_size, 1 << 20);
  } else {
    EXPECT_TRUE(punched.is(Code::kNotSupported));
  }
  EXPECT_TRUE(system_.resize_file(file.fd(), 4096, true).is_ok());
  EXPECT_EQ(system_.file_bytes(file.fd()), 4096U);
}

TEST_F(RealSystemTest, SaysNoSpaceAndKeepsTheLengthWhenBlocksCannotBeReserved) {
  const File file = make_file("data");
  // A petabyte; a file system with room for it would be a surprise.
  const Status failed = system_.resize_file(file.fd(), 1ULL << 50U, true);
  EXPECT_FALSE(failed.is_ok());
  EXPECT_EQ(system_.file_bytes(file.fd()), 0U);
}

TEST_F(RealSystemTest, LocksAgainstASecondOpenAndNamesTheHolder) {
  EXPECT_EQ(system_.lock_file(folder_ / "LOCK", false).error().code(), Code::kNotFound);
  Result<Fd> first = system_.lock_file(folder_ / "LOCK", true);
  ASSERT_TRUE(first.has_value());
  const Result<Fd> second = system_.lock_file(folder_ / "LOCK", true);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error(), Status(Code::kBusy, FileKind::kLock, system_.process_id()));
  system_.close_file(*first);
  const Result<Fd> third = system_.lock_file(folder_ / "LOCK", false);
  ASSERT_TRUE(third.has_value());
  system_.close_file(*third);
}

TEST_F(RealSystemTest, HoldsALockThroughEitherBackendUntilItIsReleased) {
  for (const auto backend : {IoOptions::Backend::kRing, IoOptions::Backend::kSyscall}) {
    IoOptions options;
    options.backend = backend;
    Outcome<std::unique_ptr<Io>> io = system_.make_io(options);
    if (!io) continue;  // No ring here.
    const std::string path = folder_ / "LOCK";
    const Result<Fd> lock = system_.lock_file(path, true);
    ASSERT_TRUE(lock.has_value());
    ASSERT_TRUE((*io)->hold_file(*lock).is_ok());
    system_.close_file(*lock);
    EXPECT_EQ(system_.lock_file(path, true).error().code(), Code::kBusy) << (*io)->description();
    (*io)->release_file(*lock);
    const Result<Fd> again = system_.lock_file(path, true);
    ASSERT_TRUE(again.has_value()) << (*io)->description();

    ASSERT_TRUE((*io)->hold_file(*again).is_ok());
    system_.close_file(*again);
    EXPECT_FALSE(system_.lock_file(path, true).has_value());
    io->reset();
    const Result<Fd> last = system_.lock_file(path, true);
    ASSERT_TRUE(last.has_value()) << "the lock outlived its Io";
    system_.close_file(*last);
  }
}

TEST_F(RealSystemTest, TellsTimeChanceAndTheMachine) {
  const std::uint64_t before_ns = system_.now_ns();
  system_.sleep_ns(1000);
  EXPECT_GE(system_.now_ns(), before_ns + 1000);
  EXPECT_GT(system_.wall_clock_ns(), 1'600'000'000ULL * 1'000'000'000ULL);
  EXPECT_NE(system_.random_u64(), system_.random_u64());
  EXPECT_GE(system_.usable_cores(), 1U);
  EXPECT_GT(system_.memory_bytes(), 16_MiB);
  EXPECT_EQ(system_.process_id(), static_cast<std::uint32_t>(::getpid()));
  EXPECT_TRUE(system_.has_threads());
}

}  // namespace
}  // namespace penstock::reactor
