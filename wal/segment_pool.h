// Makes the next segment of a log before it is needed, out of a freed one or of a new file, in the background.
//
// Invariants:
//   Pool-I1 A segment is given out only after its zeros, its header and its name are on stable storage (Wal-I5).
//   Pool-I2 A freed file's new header is durable before the file takes its new name, and its name before it is given out. Until
//   then
//           the old name leads to a header that is torn or says another index: readers take such a file for gone.
//   Pool-I3 Freed files are used, and surplus ones removed, oldest first: what remains of a log has no hole.
// A freed file is never filled with zeros again: the fresh salt in its header makes everything in it void.
// Thread: the reactor's.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "reactor/buffer.h"
#include "reactor/reactor.h"
#include "wal/group.h"
#include "wal/wal.h"

namespace penstock::wal {

struct Segment {
  SegmentFacts facts;
  reactor::File file;
  std::string path;
  /// Of each shard, the end of the last group here that has a record of it and that it still needs; 0: none.
  std::vector<std::uint64_t> needed_by_shard;
  std::uint32_t shards_needing = 0;
  std::uint64_t end = 0;  ///< Of the last group, once the next segment is in use.

  std::uint64_t file_offset(std::uint64_t position) const noexcept { return position - facts.base_offset + kLogBlockBytes; }
};

class SegmentPool final {
 public:
  enum class State : std::uint8_t { kReady, kPreparing, kNoSpace, kFailed };

  /// Told from the background task that has changed state().
  class Owner {
   public:
    virtual void on_pool_change() = 0;

   protected:
    ~Owner() = default;
  };

  SegmentPool(reactor::Reactor& reactor, const LogOptions& options, LogCounters& counters, Owner& owner);
  ~SegmentPool();

  /// Makes segment 0, given out at once, and segment 1. Removes what an unfinished opening of this epoch has left.
  Task<Result<std::unique_ptr<Segment>>> open();

  State state() const noexcept;
  /// Why, in kFailed.
  Status failure() const noexcept { return failure_; }
  /// The next segment; state() must be kReady. Begins to make the one after it.
  std::unique_ptr<Segment> take();
  /// So much of the segment taken last is used. The zeros of the next one keep ahead of twice that and no more: half-way
  /// through a segment the next one is ready, and a log that pauses has not paid for one it does not need yet.
  void pace(std::uint64_t used_bytes) noexcept;
  /// Somebody waits for the next segment.
  void hurry() noexcept { allow_fill(options_.segment_bytes); }
  /// A segment that nobody needs, nor ever asks for by its old name.
  void give_back(std::unique_ptr<Segment> segment);
  /// In kNoSpace: tries again, unless that was less than 100 ms ago.
  void retry();
  /// Nothing new is begun from now on.
  void stop() noexcept;
  Task<> close();

 private:
  struct FillJob {
    reactor::Fd file;
    Status status;
    std::uint64_t next_offset;
  };

  void start_preparing();
  Task<> prepare();
  Task<Status> prepare_one();
  Task<Status> recycle(Segment& segment, const SegmentFacts& facts);
  Task<Status> make(Segment& segment, const SegmentFacts& facts);
  Task<Status> fill(Segment& segment, const SegmentFacts& facts);
  Task<> fill_part(FillJob* job);
  Task<Status> name_segment(Segment& segment, const std::string& path);
  Status remove_leftovers();
  Task<> remove_one();
  void allow_fill(std::uint64_t end_bytes) noexcept;
  bool must_prepare() const noexcept { return ready_ == nullptr && !stopping_ && failure_.is_ok(); }

  reactor::Reactor& reactor_;
  const LogOptions& options_;
  LogCounters& counters_;
  Owner& owner_;
  reactor::TaskGroup tasks_;
  reactor::AlignedBuffer zeros_;
  reactor::AlignedBuffer header_;
  std::deque<std::unique_ptr<Segment>> freed_;  // Oldest first.
  std::unique_ptr<Segment> ready_;
  std::uint64_t next_index_ = 0;
  std::uint64_t retry_at_ns_ = 0;
  std::uint64_t fill_end_bytes_;  // How far zeros may be written now.
  reactor::Event fill_allowed_;
  Status failure_;
  bool no_space_ = false;
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace penstock::wal
