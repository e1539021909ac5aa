// All results that a chain can have, asked one by one: done only if the write was whole and the sync answered 0.
#include "wal/chain_verdict.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::wal {
namespace {

using Action = ChainVerdict::Action;
constexpr std::uint32_t kBytes = 4 * kLogBlockBytes;

const std::vector<std::int32_t> kWriteResults = {
    static_cast<std::int32_t>(kBytes), 8192, 4096, 512, 5000, 0, -EAGAIN, -EINTR, -ECANCELED, -EIO, -ENOSPC, -EDQUOT, -EBADF};
const std::vector<std::int32_t> kSyncResults = {0, -EAGAIN, -EINTR, -ECANCELED, -EIO, -ENOSPC, -EDQUOT, 1};

TEST(ChainVerdict, IsDoneOnlyIfAllThatWasAskedHappened) {
  for (const std::int32_t write : kWriteResults) {
    for (const std::int32_t sync : kSyncResults) {
      for (const unsigned shape : {1U, 2U, 3U}) {
        const ChainResults results{
            .has_write = (shape & 1U) != 0, .has_sync = (shape & 2U) != 0, .write_bytes = kBytes, .write = write, .sync = sync};
        const bool write_is_whole = !results.has_write || write == static_cast<std::int32_t>(kBytes);
        const bool sync_is_done = !results.has_sync || sync == 0;
        EXPECT_EQ(judge_chain(results).action == Action::kDone, write_is_whole && sync_is_done) << write << " " << sync;
      }
    }
  }
}

TEST(ChainVerdict, AFailedSyncPoisonsWhateverTheWriteSays) {
  for (const std::int32_t write : kWriteResults) {
    for (const std::int32_t sync : {-EIO, -ENOSPC, -EDQUOT}) {
      const ChainVerdict verdict =
          judge_chain({.has_write = true, .has_sync = true, .write_bytes = kBytes, .write = write, .sync = sync});
      EXPECT_EQ(verdict.action, Action::kPoison) << write;
      EXPECT_EQ(verdict.error_number, -sync);
    }
  }
}

TEST(ChainVerdict, AShortWriteGoesOnAtABlock) {
  for (const auto& [write, progress] : {std::pair(8192, 8192U), {4096, 4096U}, {5000, 4096U}, {512, 0U}}) {
    const ChainVerdict verdict =
        judge_chain({.has_write = true, .has_sync = true, .write_bytes = kBytes, .write = write, .sync = -ECANCELED});
    EXPECT_EQ(verdict.action, Action::kResume);
    EXPECT_EQ(verdict.progress_bytes, progress);
    // A sync that ran all the same proves nothing.
    EXPECT_EQ(judge_chain({.has_write = true, .has_sync = true, .write_bytes = kBytes, .write = write, .sync = 0}).action,
              Action::kResume);
  }
}

TEST(ChainVerdict, AWriteThatDidNotRunIsSentAgain) {
  for (const std::int32_t write : {-EAGAIN, -EINTR, -ECANCELED}) {
    const ChainVerdict verdict =
        judge_chain({.has_write = true, .has_sync = true, .write_bytes = kBytes, .write = write, .sync = -ECANCELED});
    EXPECT_EQ(verdict.action, Action::kResume);
    EXPECT_EQ(verdict.progress_bytes, 0U);
    EXPECT_EQ(verdict.needs_blocking, write == -EAGAIN);
  }
}

TEST(ChainVerdict, NoOtherResultOfAWriteIsBelieved) {
  for (const auto& [write, error] : {std::pair(0, EIO), {-EIO, EIO}, {-ENOSPC, ENOSPC}, {-EDQUOT, EDQUOT}, {-EBADF, EBADF}}) {
    const ChainVerdict verdict =
        judge_chain({.has_write = true, .has_sync = true, .write_bytes = kBytes, .write = write, .sync = -ECANCELED});
    EXPECT_EQ(verdict.action, Action::kPoison);
    EXPECT_EQ(verdict.error_number, error);
  }
}

TEST(ChainVerdict, ASyncIsSentAgainOnlyIfItDidNotRun) {
  for (const std::int32_t sync : {-EAGAIN, -EINTR, -ECANCELED}) {
    EXPECT_EQ(judge_chain({.has_sync = true, .sync = sync}).action, Action::kSyncOnly);
    EXPECT_EQ(judge_chain({.has_write = true,
                           .has_sync = true,
                           .write_bytes = kBytes,
                           .write = static_cast<std::int32_t>(kBytes),
                           .sync = sync})
                  .action,
              Action::kSyncOnly);
  }
}

}  // namespace
}  // namespace penstock::wal
