// Goal: a ledger says after the end of its process what was counted in it, and refuses what is not its own.
#include "tools/penstock-bench/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tools/penstock-bench/child_process.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "penstock-ledger-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path() const { return (folder_ / "db.ledger").string(); }
  std::string error_of_opening(const std::string& job, std::uint32_t clients) const {
    try {
      Ledger::open(path(), job, clients);
      return "";
    } catch (const JobError& error) {
      return error.what();
    }
  }
  fs::path folder_;
};

TEST_F(LedgerTest, HoldsWhatAKilledProcessHasCounted) {
  Ledger ledger = Ledger::create(path(), "job", 3);
  ChildProcess child([&] {
    ledger.counters()[2].issued = 12;
    ledger.counters()[2].acknowledged = 10;
    return std::string();
  });
  while (!child.is_done()) {
    ::usleep(100);
  }
  child.kill_and_wait();
  const Ledger again = Ledger::open(path(), "job", 3);
  EXPECT_EQ(again.counters()[2].acknowledged, 10U);
  EXPECT_EQ(again.issued_at_most(2), 12U);
  EXPECT_EQ(again.issued_at_most(0), 0U);
}

TEST_F(LedgerTest, ReservesBeforeMoreIsIssuedWhenItIsKeptDurable) {
  Ledger ledger = Ledger::create(path(), "job", 2);
  EXPECT_FALSE(ledger.is_kept_durable());
  EXPECT_EQ(ledger.counters()[0].reserved, kNotReserved);
  ledger.keep_durable();
  EXPECT_TRUE(ledger.is_kept_durable());
  EXPECT_EQ(ledger.counters()[0].reserved, 0U);
  ledger.reserve(0, 5);
  EXPECT_GE(ledger.counters()[0].reserved, 5U);
  ledger.counters()[0].issued = 5;
  EXPECT_EQ(Ledger::open(path(), "job", 2).issued_at_most(0), 5U);  // The machine was not started anew: it is exact.
}

TEST_F(LedgerTest, OfAnotherJobOrDamagedIsRefusedWithItsPath) {
  EXPECT_THAT(error_of_opening("job", 1), HasSubstr(path()));
  {
    Ledger::create(path(), "job", 2);
  }
  EXPECT_EQ(error_of_opening("job", 2), "");
  EXPECT_THAT(error_of_opening("other", 2), HasSubstr("of another job (job; here other)"));
  EXPECT_THAT(error_of_opening("job", 3), HasSubstr("of another job"));
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file.put('x');
  }
  EXPECT_THAT(error_of_opening("job", 2), HasSubstr("damaged"));
  fs::resize_file(path(), 100);
  EXPECT_THAT(error_of_opening("job", 2), HasSubstr("not one"));
}

TEST(ChildProcess, AnErrorOfItsWorkIsAnErrorHere) {
  ChildProcess child([]() -> std::string { throw JobError("the disk is full"); });
  const auto wait = [&] {
    while (!child.is_done()) {
      std::this_thread::yield();
    }
  };
  try {
    wait();
    FAIL();
  } catch (const JobError& error) {
    EXPECT_STREQ(error.what(), "the disk is full");
  }
}

TEST(ChildProcess, ThatEndsByItselfIsAnError) {
  ChildProcess child([]() -> std::string { ::_exit(0); });
  const auto wait = [&] {
    while (!child.is_done()) {
      std::this_thread::yield();
    }
  };
  EXPECT_THROW(wait(), JobError);
}

}  // namespace
}  // namespace penstock::bench
