// A peer's folder: what is not marked as ours stays, what is marked goes, and one process has it at a time.
#include "tools/penstock-bench/peer_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

class PeerDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "penstock-peer-directory-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { fs::remove_all(path_); }

  void write(const std::string& name) {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << "text";
  }

  fs::path path_;
};

TEST_F(PeerDirectoryTest, ClearingRemovesEverythingButTheMark) {
  const std::string path = (path_ / "new" / "db").string();
  PeerDirectory directory(path, "lmdb");
  write("new/db/data.mdb");
  write("new/db/sub/deep");
  directory.note_data("keys=5");
  EXPECT_EQ(directory.noted_data(), "keys=5");
  directory.clear();
  EXPECT_EQ(directory.noted_data(), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(path), fs::directory_iterator()), 1);
}

TEST_F(PeerDirectoryTest, WhatIsNotMarkedForTheEngineIsNotTouched) {
  write("db/precious");
  EXPECT_THROW(PeerDirectory((path_ / "db").string(), "lmdb"), JobError);
  EXPECT_TRUE(fs::exists(path_ / "db/precious"));
  EXPECT_FALSE(fs::exists(path_ / "db/PENSTOCK-BENCH"));
  {
    const PeerDirectory other((path_ / "rocks").string(), "rocksdb");
  }
  EXPECT_THROW(PeerDirectory((path_ / "rocks").string(), "lmdb"), JobError);
}

TEST_F(PeerDirectoryTest, ItIsHeldWhileItIsUsed) {
  const std::string path = (path_ / "db").string();
  {
    const PeerDirectory held(path, "lmdb");
    EXPECT_THROW(PeerDirectory(path, "lmdb"), JobError);
  }
  EXPECT_NO_THROW(PeerDirectory(path, "lmdb"));
}

TEST_F(PeerDirectoryTest, ItLiesBesideTheDirectoryOnTheSameFileSystem) {
  EXPECT_EQ(peer_path("/a/b", "lmdb"), "/a/b-lmdb");
  EXPECT_EQ(peer_path("/a/b/", "lmdb"), "/a/b-lmdb");
  EXPECT_THROW(static_cast<void>(peer_path("/proc", "lmdb")), JobError);
}

}  // namespace
}  // namespace penstock::bench
