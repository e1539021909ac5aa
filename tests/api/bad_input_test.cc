// Goal: every wrong option, name, size, directory and file gets an error of its own that names the thing; nothing crashes,
// nothing is lost or overwritten.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/api/test_database.h"

namespace penstock::apitest {
namespace {

using BadInput = DatabaseTest;

void write_text(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST_F(BadInput, RuntimeOptionsOutOfRangeAreNamed) {
  const auto memory = Runtime::start({.memory_limit = 1_MiB});
  ASSERT_FALSE(memory.has_value());
  EXPECT_EQ(memory.error().status.code(), Code::kInvalidArgument);
  EXPECT_NE(memory.error().text.find("memory_limit"), std::string::npos);
  const auto reactors = Runtime::start({.reactors = 257});
  ASSERT_FALSE(reactors.has_value());
  EXPECT_NE(reactors.error().text.find("reactors"), std::string::npos);
}

TEST_F(BadInput, DatabaseOptionsOutOfRangeAreNamedAndNothingIsMade) {
  const auto check = [this](const char* name, auto change) {
    DatabaseOptions options = small_options();
    change(options);
    const Failure failure = open_failure(options);
    EXPECT_EQ(failure.status.code(), Code::kInvalidArgument);
    EXPECT_NE(failure.text.find(name), std::string::npos) << failure.text;
    EXPECT_FALSE(std::filesystem::exists(path()));
  };
  check("shards", [](DatabaseOptions& options) { options.shards = 1025; });
  check("log_segment_bytes", [](DatabaseOptions& options) { options.log_segment_bytes = 1000; });
  check("log_budget_bytes", [](DatabaseOptions& options) { options.log_budget_bytes = 1_MiB; });
  check("memtable_percent", [](DatabaseOptions& options) { options.memtable_percent = 90; });
  check("cache_percent", [](DatabaseOptions& options) { options.cache_percent = 1; });
  check("space_use_percent", [](DatabaseOptions& options) { options.space_use_percent = 99; });
  check("flush_write_bytes", [](DatabaseOptions& options) { options.flush_write_bytes = 1; });
}

TEST_F(BadInput, OptionsFromTextRefuseUnknownNamesByLine) {
  const auto good = parse_database_options("shards = 7  # comment\n\nlog_segment_bytes=2m\nwal_sync = syscall\n");
  ASSERT_TRUE(good.has_value()) << good.error().text;
  EXPECT_EQ(good->shards, 7U);
  EXPECT_EQ(good->log_segment_bytes, 2_MiB);
  EXPECT_EQ(good->wal_sync, WalSync::kSyscall);
  const auto unknown = parse_database_options("shards = 7\nshard_count = 9\n");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_NE(unknown.error().text.find("line 2"), std::string::npos) << unknown.error().text;
  EXPECT_NE(unknown.error().text.find("shard_count"), std::string::npos);
  for (const char* text :
       {"shards = many", "shards", "wal_sync = maybe", "shards = 99999999999999999999", "log_budget_bytes = 99999999g1"}) {
    EXPECT_FALSE(parse_database_options(text).has_value()) << text;
  }
  EXPECT_TRUE(parse_runtime_options("reactors = 3\nio_backend = syscall\npin_threads = yes").has_value());
  EXPECT_FALSE(parse_runtime_options("pin_threads = perhaps").has_value());
}

TEST_F(BadInput, KeysValuesAndBatchesOverTheirLimitsAreRefusedAndTheBatchStaysUsable) {
  open();
  const Family data = family("data", {.shard = 0});
  Batch batch;
  EXPECT_EQ(batch.put(data, std::string(1025, 'k'), "v").code(), Code::kInvalidArgument);
  EXPECT_TRUE(batch.put(data, std::string(1024, 'k'), "v").is_ok());
  EXPECT_EQ(batch.put(Family(), "k", "v").code(), Code::kInvalidArgument);
  EXPECT_EQ(batch.operation_count(), 1U);
  EXPECT_TRUE(db_->commit(std::move(batch)).get().status.is_ok());
  Batch long_batch;
  for (int key = 0; key < 10; ++key) {
    ASSERT_TRUE(long_batch.put(data, std::to_string(key), std::string(60'000, 'v')).is_ok());
  }
  EXPECT_EQ(db_->commit(std::move(long_batch)).get().status.code(), Code::kTooLarge);  // Over half of a 1 MiB segment.
  EXPECT_TRUE(db_->put(data, "large", std::string(600'000, 'v')).get().is_ok());       // Does not go through the log.
  EXPECT_EQ(db_->put(data, std::string(2000, 'k'), "v").get().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->get(data, std::string(2000, 'k')).get().error().code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->commit(Batch{}).get().status.code(), Code::kInvalidArgument);
  std::string large;
  large.resize(kBatchBytesMax + 1, 'v');
  Batch huge;
  EXPECT_EQ(huge.put(data, "k", large).code(), Code::kTooLarge);
}

TEST_F(BadInput, FamilyNamesAndPlacementsAreChecked) {
  open();
  EXPECT_EQ(db_->create_family("").get().error().status.code(), Code::kInvalidArgument);
  EXPECT_EQ(db_->create_family(std::string(256, 'n')).get().error().status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(db_->create_family(std::string(255, 'n')).get().has_value());
  EXPECT_TRUE(db_->create_family("../../etc/passwd\n").get().has_value());  // Names never become paths.
  const auto shard = db_->create_family("far", {.shard = 4}).get();
  ASSERT_FALSE(shard.has_value());
  EXPECT_NE(shard.error().text.find("shard 4"), std::string::npos) << shard.error().text;
  EXPECT_EQ(db_->drop_family("absent").get().error().status.code(), Code::kNotFound);
  EXPECT_EQ(db_->rename_family("absent", "x").get().error().status.code(), Code::kNotFound);
}

TEST_F(BadInput, ADirectoryThatIsNotADatabaseIsLeftAlone) {
  ASSERT_EQ(::mkdir(path().c_str(), 0700), 0);
  write_text(path() + "/notes.txt", "mine");
  const Failure failure = open_failure();
  EXPECT_EQ(failure.status.code(), Code::kInvalidArgument);
  EXPECT_NE(failure.text.find(path()), std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path()), {}), 1);
}

TEST_F(BadInput, AnAbsentDatabaseIsNotMadeWhenItMustExist) {
  DatabaseOptions options = small_options();
  options.create_if_missing = false;
  EXPECT_EQ(open_failure(options).status.code(), Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(BadInput, AnExistingDatabaseIsRefusedWhenItMustNotExist) {
  open();
  DatabaseOptions options = small_options();
  options.error_if_exists = true;
  EXPECT_EQ(open_failure(options).status.code(), Code::kAlreadyExists);
}

TEST_F(BadInput, ADatabaseThatIsOpenIsBusyAndNamesItsHolder) {
  open();
  auto second = Runtime::start({.reactors = 1, .memory_limit = 64_MiB});
  ASSERT_TRUE(second.has_value());
  const auto again = Database::open(*second, path(), small_options());
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().status.code(), Code::kBusy);
  EXPECT_EQ(again.error().status.where(), static_cast<std::uint64_t>(::getpid()));
  EXPECT_NE(again.error().text.find(std::to_string(::getpid())), std::string::npos) << again.error().text;
  ASSERT_TRUE(db_->close().is_ok());
  EXPECT_TRUE(Database::open(*second, path(), small_options()).has_value());
}

TEST_F(BadInput, AMissingIdentityIsCorruptionAndNothingIsMadeAnew) {
  open();
  ASSERT_TRUE(db_->put(family("data"), "k", "v").get().is_ok());
  db_.reset();
  std::filesystem::rename(path() + "/IDENTITY", root_ + "/identity");
  EXPECT_EQ(open_failure().status.code(), Code::kCorruption);
  std::filesystem::rename(root_ + "/identity", path() + "/IDENTITY");
  open();
  EXPECT_EQ(db_->get(family("data"), "k").get().value(), "v");
}

TEST_F(BadInput, ANewerFormatIsNotSupportedAndSaysSo) {
  open();
  db_.reset();
  // A version of 2 under a right checksum needs the file's own rules; a wrong checksum must not be taken for a newer version.
  std::fstream file(path() + "/IDENTITY", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(16);
  file.put(2);
  file.close();
  EXPECT_EQ(open_failure().status.code(), Code::kCorruption);
}

TEST_F(BadInput, AMissingPartOfADatabaseIsCorruptionThatNamesIt) {
  for (const char* part : {"EPOCH", "shard-1/super", "log"}) {
    open();
    ASSERT_TRUE(db_->put(family("data"), "k", "v").get().is_ok());
    db_.reset();
    std::filesystem::rename(path() + "/" + part, root_ + "/part");
    const Failure failure = open_failure();
    EXPECT_TRUE(failure.status.is(Code::kCorruption) || failure.status.is(Code::kNotFound)) << part << ": " << failure.text;
    EXPECT_NE(failure.text.find(std::string(part).substr(0, 5)), std::string::npos) << failure.text;
    std::filesystem::remove_all(path() + "/" + part);
    std::filesystem::rename(root_ + "/part", path() + "/" + part);
    open();
    EXPECT_EQ(db_->get(family("data"), "k").get().value(), "v");
    db_.reset();
  }
}

TEST_F(BadInput, AnUnfinishedCreationCountsAsAbsent) {
  open();
  ASSERT_TRUE(db_->close().is_ok());
  db_.reset();
  std::filesystem::rename(path() + "/IDENTITY", path() + "/IDENTITY.new");
  DatabaseOptions options = small_options();
  options.create_if_missing = false;
  EXPECT_EQ(open_failure(options).status.code(), Code::kNotFound);
  open();
  EXPECT_TRUE(db_->recovery().created);
}

TEST_F(BadInput, FilesAndFoldersAreForTheirOwnerAlone) {
  open();
  ASSERT_TRUE(db_->put(family("data"), "k", "v").get().is_ok());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
    struct stat state{};
    ASSERT_EQ(::stat(entry.path().c_str(), &state), 0);
    EXPECT_EQ(state.st_mode & 0777U, entry.is_directory() ? 0700U : 0600U) << entry.path();
  }
}

}  // namespace
}  // namespace penstock::apitest
