// Goal: the limits of control groups are found in both versions, the tightest of a path counts, and "no limit" is none.
#include "reactor/machine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "reactor/temporary_directory.h"

namespace penstock::reactor {
namespace {

/// A machine laid out in a folder.
class Machine {
 public:
  const std::string& root() const { return folder_.path(); }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = folder_ / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

 private:
  TemporaryDirectory folder_;
};

TEST(GroupLimits, AreNoneWithoutControlGroups) {
  const Machine machine;
  const GroupLimits limits = read_group_limits(machine.root());
  EXPECT_FALSE(limits.cores);
  EXPECT_FALSE(limits.memory_bytes);
  EXPECT_GE(count_usable_cores(machine.root()), 1U);
  EXPECT_GT(read_memory_bytes(machine.root()), 0U);
}

TEST(GroupLimits, OfVersion2AreTheTightestUpToTheRoot) {
  const Machine machine;
  machine.write("proc/self/cgroup", "0::/system/service\n");
  machine.write("sys/fs/cgroup/system/service/cpu.max", "max 100000\n");
  machine.write("sys/fs/cgroup/system/service/memory.max", "2147483648\n");
  machine.write("sys/fs/cgroup/system/cpu.max", "150000 100000\n");
  machine.write("sys/fs/cgroup/system/memory.max", "1073741824\n");
  const GroupLimits limits = read_group_limits(machine.root());
  ASSERT_TRUE(limits.cores);
  EXPECT_DOUBLE_EQ(*limits.cores, 1.5);
  EXPECT_EQ(limits.memory_bytes, 1073741824U);
  EXPECT_EQ(count_usable_cores(machine.root()), 1U);
  EXPECT_LE(read_memory_bytes(machine.root()), 1073741824U);
}

TEST(GroupLimits, OfAContainerAreAtTheMountsRoot) {
  const Machine machine;
  machine.write("proc/self/cgroup", "0::/host/only/path\n");
  machine.write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  const GroupLimits limits = read_group_limits(machine.root());
  ASSERT_TRUE(limits.cores);
  EXPECT_DOUBLE_EQ(*limits.cores, 0.5);
  EXPECT_EQ(count_usable_cores(machine.root()), 1U);
}

TEST(GroupLimits, OfVersion1AreReadPerController) {
  const Machine machine;
  machine.write("proc/self/cgroup", "5:memory:/box\n4:cpu,cpuacct:/box\n1:name=systemd:/\n");
  machine.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "300000\n");
  machine.write("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  machine.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "536870912\n");
  const GroupLimits limits = read_group_limits(machine.root());
  ASSERT_TRUE(limits.cores);
  EXPECT_DOUBLE_EQ(*limits.cores, 3.0);
  EXPECT_EQ(limits.memory_bytes, 536870912U);
}

TEST(GroupLimits, TreatNonsenseAndMinusOneAsNoLimit) {
  const Machine machine;
  machine.write("proc/self/cgroup", "0::/\n4:cpu:/\nno colons\n");
  machine.write("sys/fs/cgroup/cpu.max", "max\n");
  machine.write("sys/fs/cgroup/memory.max", "max\n");
  machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  machine.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "0\n");
  const GroupLimits limits = read_group_limits(machine.root());
  EXPECT_FALSE(limits.cores);
  EXPECT_FALSE(limits.memory_bytes);
}

}  // namespace
}  // namespace penstock::reactor
