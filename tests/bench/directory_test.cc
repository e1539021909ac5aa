// Removing a database: all of ours goes, and nothing goes as soon as anything is not ours.
#include "tools/penstock-bench/directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

class DirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "penstock-directory-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
    for (const char* file : {"LOCK", "EPOCH", "log/1-0-0", "log/1-0-1.new", "shard-0/super", "shard-12/pages-3"}) {
      write(file, "");
    }
    write("IDENTITY", "PENSTOCK and more");
  }
  void TearDown() override { fs::remove_all(path_); }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::recursive_directory_iterator(path_), fs::recursive_directory_iterator()));
  }

  fs::path path_;
};

TEST_F(DirectoryTest, ADatabaseIsRemovedWholeAndTheFolderStays) {
  remove_database(path_.string());
  EXPECT_TRUE(fs::exists(path_));
  EXPECT_EQ(count(), 0U);
}

TEST_F(DirectoryTest, WithoutAnIdentityOfOursNothingIsRemoved) {
  write("IDENTITY", "SOMEONE'S");
  const std::size_t before = count();
  remove_database(path_.string());
  EXPECT_EQ(count(), before);
  remove_database((path_ / "absent").string());
}

TEST_F(DirectoryTest, AStrangeNameAnywhereKeepsEverything) {
  for (const char* strange :
       {"notes.txt", "log/1-0", "log/notes", "shard-0/super.bak", "shard-x/super", "shard-0/deep/file", "pages-0"}) {
    write(strange, "mine");
    const std::size_t before = count();
    EXPECT_THROW(remove_database(path_.string()), JobError) << strange;
    EXPECT_EQ(count(), before) << strange;
    fs::remove_all(path_ / strange);
    fs::remove(path_ / "shard-0/deep");
    fs::remove(path_ / "shard-x");
  }
}

TEST_F(DirectoryTest, ALinkKeepsEverything) {
  fs::create_symlink("/etc/passwd", path_ / "shard-0/pages-7");
  const std::size_t before = count();
  EXPECT_THROW(remove_database(path_.string()), JobError);
  EXPECT_EQ(count(), before);
}

TEST_F(DirectoryTest, ALockedDatabaseIsKept) {
  const int fd = ::open((path_ / "LOCK").c_str(), O_RDWR | O_CLOEXEC);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(fd, F_OFD_SETLK, &lock), 0);
  const std::size_t before = count();
  EXPECT_THROW(remove_database(path_.string()), JobError);
  EXPECT_EQ(count(), before);
  ::close(fd);
}

}  // namespace
}  // namespace penstock::bench
