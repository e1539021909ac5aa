// Goal: an opening that meets errors says what they are, and the next one goes on from there. Method: planned failures of
// single operations on the simulated disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

using reactor::SimDisk;
using reactor::SimEvent;

/// "log/3-" of the newest epoch that has segments.
std::string newest_log(const SimDisk& disk) {
  std::uint64_t newest = 0;
  for (const std::string& path : disk.list_files()) {
    const std::size_t at = path.find("/log/");
    if (at != std::string::npos) {
      newest = std::max<std::uint64_t>(newest, std::stoull(path.substr(at + 5)));
    }
  }
  return "log/" + std::to_string(newest) + "-";
}

TEST(OpeningFault, ASpareLogThatCannotBeReadIsNotTakenForALostEpoch) {
  SimDisk disk(3);
  {
    SimDatabase db(disk);
    ASSERT_TRUE(db.open().has_value());
    const Outcome<Family> family = db.family("f");
    ASSERT_TRUE(family.has_value());
    ASSERT_TRUE(db.put(*family, "key", "value").is_ok());
    db.kill(1);
  }
  const std::string before = newest_log(disk);
  {
    SimDatabase db(disk);
    disk.faults().fail_nth(SimEvent::kWrite, 1, reactor::SimFault{.result = -EIO}, "EPOCH");
    ASSERT_FALSE(db.open().has_value());  // It got as far as its logs, and leaves them behind.
    db.kill(2);
  }
  const std::string spare = newest_log(disk);
  ASSERT_NE(spare, before);
  {
    SimDatabase db(disk);
    disk.faults().fail_from(SimEvent::kRead, 1, reactor::SimFault{.result = -EIO}, spare);
    const Outcome<bool> opened = db.open();
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().status.code(), Code::kIoError) << opened.error().text;
    db.kill(3);
  }
  SimDatabase db(disk);
  ASSERT_TRUE(db.open().has_value());
  EXPECT_EQ(*db.get(*db.open_family("f"), "key"), "value");
}

}  // namespace
}  // namespace penstock::simtest
