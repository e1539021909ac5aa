// What the results of a log chain mean: the one place that decides between done, again, and the end of the log.
//
// A pure function, so that a test can ask it everything. Source: io_uring(7) on links; kernel behaviour measured: a short write
// ends a chain, its sync completes with -ECANCELED and has not run.
#pragma once

#include <cerrno>
#include <cstdint>

#include "wal/log_format.h"

namespace penstock::wal {

struct ChainResults {
  bool has_write = false;
  bool has_sync = false;
  std::uint32_t write_bytes = 0;  ///< That were asked for. A block multiple.
  std::int32_t write = 0;
  std::int32_t sync = 0;
};

struct ChainVerdict {
  enum class Action : std::uint8_t {
    kDone,
    kResume,    ///< `progress_bytes` are written (maybe 0): send the rest as a new chain of the same shape.
    kSyncOnly,  ///< The write is whole, the sync has not run: send it alone.
    kPoison,    ///< What is on the disk is unknown, or will never be as asked.
  };
  Action action = Action::kDone;
  bool needs_blocking = false;       ///< Ask for a blocking context.
  std::uint32_t progress_bytes = 0;  ///< Block multiple.
  int error_number = 0;              ///< With kPoison.
};

/// The kernel has not run the operation. Of a write it also says -ECANCELED when its chain was broken: the bytes are sent
/// again.
constexpr bool has_not_run(std::int32_t result) noexcept {
  return result == -EAGAIN || result == -EINTR || result == -ECANCELED;
}

constexpr ChainVerdict judge_chain(const ChainResults& results) noexcept {
  using Action = ChainVerdict::Action;
  const bool sync_was_tried = results.has_sync && !has_not_run(results.sync);
  // A sync that failed has told of an error that no later one will tell of again (Wal-I3): whatever the write says.
  if (sync_was_tried && results.sync < 0) return {.action = Action::kPoison, .error_number = -results.sync};
  if (results.has_write) {
    const bool is_whole = results.write >= 0 && static_cast<std::uint32_t>(results.write) == results.write_bytes;
    if (!is_whole) {
      if (results.write > 0 && static_cast<std::uint32_t>(results.write) < results.write_bytes) {
        const std::uint32_t progress = static_cast<std::uint32_t>(results.write) & ~(kLogBlockBytes - 1);
        return {.action = Action::kResume, .progress_bytes = progress};
      }
      if (has_not_run(results.write)) return {.action = Action::kResume, .needs_blocking = results.write == -EAGAIN};
      return {.action = Action::kPoison, .error_number = results.write < 0 ? -results.write : EIO};
    }
  }
  if (!results.has_sync || results.sync == 0) return {};
  if (has_not_run(results.sync)) return {.action = Action::kSyncOnly, .needs_blocking = results.sync == -EAGAIN};
  return {.action = Action::kPoison, .error_number = EIO};  // A positive result of a sync: nothing that can be believed.
}

}  // namespace penstock::wal
