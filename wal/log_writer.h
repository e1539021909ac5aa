// The writing side of a log: open group, staging buffers, the one chain in flight and the writes ahead of it, segments in use.
//
// Private to wal/; the front door is wal.h. Records are copied into the open group, in the buffer of the open batch. A batch is
// a run of groups that lie one after the other in one segment: it goes out as one write, linked to a sync if a group of it asks
// for one. While that chain is in flight, a batch that has gathered enough goes ahead as a write alone; the next chain goes out
// once such writes are whole, and its sync covers them. Invariants, beside those of wal.h:
//   Writer-I1 Batches are sent in the order of their positions. A chain is submitted only when all batches before it were
//             reaped whole: so its sync covers the log up to its own write's end, and nothing that went ahead beside it.
//   Writer-I2 Before anything of a segment is sent, everything sent to segments before it was covered by a sync. So a sync of
//             the newest segment in use makes the whole log durable.
//   Writer-I3 A segment is offered for recycling only when a durable group says that nothing below its end is needed: whoever
//   misses
//             the file finds there why. The last block of a segment is kept for such a group, for the case that no next segment
//             can be had before.
//   Writer-I4 No allocation per group in steady state: four buffers in one block of memory, on large pages where the system
//   has
//             them. A record that alone is larger than a batch gets a buffer of its own, kept while it is not over twice as
//             large.
// Thread: the reactor's. Callbacks of the listener come from completions and from the loop's hook.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "reactor/buffer.h"
#include "reactor/reactor.h"
#include "wal/chain_verdict.h"
#include "wal/group.h"
#include "wal/segment_pool.h"
#include "wal/wal.h"

namespace penstock::wal {

/// Groups that go out in one write.
struct Batch {
  reactor::Completion* completion = nullptr;  ///< Of its write.
  std::span<std::byte> home;                  ///< Of the staging memory: as large as a batch of many records gets.
  reactor::AlignedBuffer larger;              ///< In its place for a record that does not fit there.
  Segment* segment = nullptr;
  std::uint64_t position = 0;    ///< Of its first group.
  std::uint64_t bytes = 0;       ///< Of finished groups.
  std::uint64_t sent_bytes = 0;  ///< Of those, what completed writes have written.
  std::uint64_t stated_released = 0;
  std::uint64_t opened_ns = 0;  ///< Its first record.
  std::uint64_t sent_ns = 0;
  std::uint64_t ended_ns = 0;  ///< Its last write.
  GroupNumber last_group = 0;
  std::uint32_t retries = 0;  ///< Writes in a row that moved nothing.
  bool needs_blocking = false;
  bool needs_sync = false;
  bool is_in_flight = false;
  bool is_free = true;

  bool is_whole() const noexcept { return sent_bytes == bytes; }
  std::uint64_t end() const noexcept { return position + bytes; }
  std::byte* data() const noexcept { return larger ? larger.data() : home.data(); }
  std::uint64_t capacity_bytes() const noexcept { return larger ? larger.bytes() : home.size(); }
  /// Makes room; the first `used_bytes` stay. False: no memory.
  bool reserve(std::uint64_t wanted_bytes, std::uint64_t used_bytes) noexcept;
};

/// Writes under way beside the chain.
inline constexpr std::size_t kWritesAheadMax = 2;

class Log::Impl final : public reactor::LoopHook, public SegmentPool::Owner {
 public:
  Impl(reactor::Reactor& reactor, LogOptions options, LogListener& listener);
  ~Impl();

  Task<Status> open();
  void start();
  Admission admit(std::uint64_t payload_bytes, std::uint32_t parts) noexcept;
  GroupNumber append(const Record& record, Durability durability);
  Position seal();
  Task<Status> make_durable(Position position);
  void release(ShardId shard, Position applied);
  void poison(Status cause);
  Task<Status> close();

  std::uint64_t record_payload_bytes_max() const noexcept;
  Position position_at(std::uint64_t offset) const noexcept { return {.epoch = options_.epoch, .offset = offset}; }
  GroupNumber written_group() const noexcept { return written_group_; }
  GroupNumber durable_group() const noexcept { return durable_group_; }
  std::uint64_t durable_offset() const noexcept { return durable_offset_; }
  std::uint64_t end_offset() const noexcept { return end_; }
  Status failure() const noexcept { return failure_; }
  void set_budget(std::uint64_t bytes) noexcept { options_.budget_bytes = bytes; }
  std::uint64_t buffer_bytes() const noexcept {
    std::uint64_t bytes = staging_.bytes();
    for (const Batch& batch : batches_) bytes += batch.larger.bytes();
    return bytes;
  }
  std::uint64_t bytes_in_use() const noexcept { return segments_.size() * options_.segment_bytes; }
  std::uint64_t needed_from() const noexcept { return segments_.empty() ? 0 : segments_.front()->facts.base_offset; }
  const LogCounters& counters() const noexcept { return counters_; }
  const LogStages& stages() const noexcept { return stages_; }
  bool begins_batch() const noexcept { return open_batch_ == nullptr; }

 private:
  /// Where a record goes.
  enum class Place : std::uint8_t { kOpenGroup, kOpenBatch, kNewBatch, kNextSegment };
  struct Plan {
    Place place = Place::kOpenGroup;
    std::uint64_t batch_bytes = 0;  ///< What the batch needs with it.
  };
  class WriteCompletion final : public reactor::Completion {
   public:
    void on_complete(std::int32_t result) override { log->on_write_complete(*batch, result); }
    Impl* log = nullptr;
    Batch* batch = nullptr;
  };
  class SyncCompletion final : public reactor::Completion {
   public:
    explicit SyncCompletion(Impl& log) noexcept : log_(log) {}
    void on_complete(std::int32_t result) override { log_.on_sync_complete(result); }

   private:
    Impl& log_;
  };
  class MarkerTimer final : public reactor::Timer {
   public:
    MarkerTimer(reactor::Reactor& reactor, Impl& log) noexcept : Timer(reactor), log_(log) {}

   private:
    void on_timer() override { log_.on_marker_timer(); }
    Impl& log_;
  };
  class RoomTimer final : public reactor::Timer {
   public:
    RoomTimer(reactor::Reactor& reactor, Impl& log) noexcept : Timer(reactor), log_(log) {}

   private:
    void on_timer() override { log_.room_due_ = true; }
    Impl& log_;
  };

  // reactor::LoopHook, SegmentPool::Owner.
  void before_enter() override;
  void on_pool_change() override;

  // Placing (log.cc).
  Plan plan(std::uint64_t added_bytes) const noexcept;
  Admission refuse_for_segment() noexcept;
  Admission refuse_for_room() noexcept;
  Batch* free_batch() noexcept;
  void open_batch();
  void open_group();
  void close_group();
  void close_batch();
  void use_next_segment();
  std::uint64_t room_in_segment(bool with_reserve) const noexcept;
  void note_shards(const Record& record);

  // Sending (log_chain.cc).
  void deliver_notices();
  void send_next();
  bool append_marker();
  void stamp(Batch& batch);
  void send_chain(Batch& batch);
  void send_sync();
  void send_ahead();
  void resend_ahead();
  void submit_ahead(Batch& batch);
  bool may_write_durably(const Batch& batch) const noexcept;
  void submit_chain(Segment& segment, bool has_sync);
  reactor::Entry write_entry(Batch& batch) noexcept;
  void on_write_complete(Batch& batch, std::int32_t result);
  void on_sync_complete(std::int32_t result);
  void on_chain_end();
  void on_ahead_end(Batch& batch, std::int32_t result);
  bool note_write(Batch& batch, const ChainVerdict& verdict);
  void advance_written();
  void on_batch_written(Batch& batch);
  void on_synced();
  void retire_batch(Batch& batch);
  void note_stages(const Batch& batch);
  void arm_marker_timer();
  void note_progress();
  void on_marker_timer();
  void release_segments();
  void raise_pressure();
  bool is_failed() const noexcept { return !failure_.is_ok(); }
  bool is_in_flight() const noexcept { return chain_pending_ + ahead_pending_ > 0; }
  std::uint64_t gathered_bytes() const noexcept;
  bool is_statement_due() const noexcept { return stated_released_ < released_; }

  reactor::Reactor& reactor_;
  LogOptions options_;
  LogListener& listener_;
  LogCounters counters_;
  LogStages stages_;
  GroupContext context_;
  SegmentPool pool_;
  reactor::Event progress_;
  MarkerTimer marker_timer_;
  RoomTimer room_timer_;
  Status failure_;
  bool started_ = false;
  bool closing_ = false;
  bool hooked_ = false;

  // Segments: front is the oldest that some shard needs, back takes groups.
  std::deque<std::unique_ptr<Segment>> segments_;
  std::deque<std::unique_ptr<Segment>> awaiting_statement_;  // Released; no durable group says so yet.
  std::uint64_t released_ = 0;                               // Nothing before it is needed.
  std::uint64_t stated_released_ = 0;                        // By written groups.
  std::vector<ShardId> pressure_shards_;
  std::uint64_t pressed_index_ = ~0ULL;

  // The open batch and group.
  Task<Status> settle_sync_mode();

  reactor::AlignedBuffer staging_;  // Of all batches.
  static constexpr std::size_t kBatchCount = 2 + kWritesAheadMax;
  std::array<Batch, kBatchCount> batches_;
  std::array<WriteCompletion, kBatchCount> write_completions_;
  std::vector<Batch*> queue_;  // Closed and not sent, in order.
  std::vector<Batch*>
      sent_;  // In order, up to the first that is not whole; if there is a chain with a write, its is the first.
  Batch* open_batch_ = nullptr;
  GroupWriter group_;
  bool group_is_marker_ = false;
  std::vector<ShardId> group_shards_;
  std::vector<GroupNumber> last_group_of_shard_;
  GroupNumber next_group_ = 1;  // The open group's number, or the next one's.
  std::uint64_t tail_ = 0;      // Where the next group goes.
  std::uint64_t end_ = 0;       // Of the last closed group.
  bool last_is_marker_ = true;  // Nothing to state yet.

  // The chain in flight.
  SyncCompletion sync_completion_{*this};
  ChainResults chain_;
  Batch* chain_batch_ = nullptr;
  std::uint32_t chain_pending_ = 0;
  std::uint32_t ahead_pending_ = 0;  // Writes ahead of it, or left of it.
  std::uint32_t sync_retries_ = 0;
  bool sync_needs_blocking_ = false;
  bool write_is_durable_ = false;  // The one in flight.
  Segment* chain_segment_ = nullptr;
  // What is durable once the sync in flight has ended.
  std::uint64_t covered_offset_ = 0;
  GroupNumber covered_group_ = 0;
  std::uint64_t covered_released_ = 0;
  /// Written, and waiting for a sync: for the times alone, as many as fit.
  struct Uncovered {
    std::uint64_t end = 0;
    std::uint64_t written_ns = 0;
  };
  std::vector<Uncovered> uncovered_;

  // Progress.
  Segment* unsynced_ = nullptr;  // Has written bytes that no sync has covered.
  GroupNumber written_group_ = 0;
  GroupNumber durable_group_ = 0;
  std::uint64_t written_offset_ = 0;
  std::uint64_t durable_offset_ = 0;
  std::uint64_t durable_wanted_ = 0;
  std::uint64_t last_activity_ns_ = 0;
  bool marker_due_ = false;
  bool room_wanted_ = false;
  bool room_due_ = false;
  bool progress_due_ = false;
};

}  // namespace penstock::wal
