#include "reactor/ring_io.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/assert.h"
#include "reactor/backend.h"
#include "reactor/io_counting.h"

namespace penstock::reactor {

namespace {

constexpr std::uint32_t kEntriesMin = 64;
constexpr std::uint32_t kEntriesMax = 4096;
constexpr std::uint32_t kCompletionsPerEntry = 8;
constexpr std::uint32_t kFreeListEnd = 0xffffffff;
constexpr std::uint64_t kWakeUserData = 0xffffffffffffffff;
constexpr std::uint32_t kHeldFilesMax = 64;
constexpr std::uint32_t kCommonFlags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
constexpr std::uint32_t kFeaturesNeeded =
    IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG | IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL;

// What each kernel takes: 6.1, 6.0, 5.19, 5.18, 5.15. Found by trying, never by the kernel's version: distributions back-port.
constexpr std::array<std::uint32_t, 5> kFlagLadder{
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

[[noreturn]] void die_of_broken_ring(const char* what, long detail) noexcept {
  std::fprintf(stderr, "penstock: io_uring is broken: %s (%ld); buffers may still belong to the kernel, ending the process\n",
               what, detail);
  std::abort();
}

constexpr std::uint64_t make_user_data(std::uint32_t index, std::uint32_t generation) noexcept {
  return (static_cast<std::uint64_t>(generation) << 32U) | index;
}

void fill_sqe(io_uring_sqe& sqe, const Entry& entry) noexcept {
  const int file = static_cast<int>(entry.file);
  switch (entry.op) {
    case Op::kRead:
      io_uring_prep_read(&sqe, file, entry.buffer, entry.bytes, entry.offset);
      break;
    case Op::kWrite:
      io_uring_prep_write(&sqe, file, entry.buffer, entry.bytes, entry.offset);
      if (entry.durable) sqe.rw_flags = RWF_DSYNC;
      break;
    case Op::kSyncData:
      io_uring_prep_fsync(&sqe, file, IORING_FSYNC_DATASYNC);
      break;
    case Op::kSync:
      io_uring_prep_fsync(&sqe, file, 0);
      break;
    case Op::kNop:
      io_uring_prep_nop(&sqe);
      break;
  }
}

/// Makes the ring with the flags given; on -ENOMEM with fewer entries. Returns 0 or -errno.
int initialize_ring(io_uring& ring, std::uint32_t entries, std::uint32_t setup_flags) noexcept {
  while (true) {
    io_uring_params parameters{};
    parameters.flags = setup_flags | kCommonFlags;
    parameters.cq_entries = entries * kCompletionsPerEntry;
    const int result = io_uring_queue_init_params(entries, &ring, &parameters);
    if (result != -ENOMEM || entries <= kEntriesMin) return result;
    entries = std::max(entries / 2, kEntriesMin);
  }
}

/// An operation that this kernel's ring lacks, or null.
const char* find_missing_operation(io_uring& ring) noexcept {
  io_uring_probe* const probe = io_uring_get_probe_ring(&ring);
  if (probe == nullptr) return "IORING_REGISTER_PROBE";
  const char* missing = nullptr;
  if (io_uring_opcode_supported(probe, IORING_OP_READ) == 0) missing = "IORING_OP_READ";
  if (io_uring_opcode_supported(probe, IORING_OP_WRITE) == 0) missing = "IORING_OP_WRITE";
  if (io_uring_opcode_supported(probe, IORING_OP_FSYNC) == 0) missing = "IORING_OP_FSYNC";
  io_uring_free_probe(probe);
  return missing;
}

}  // namespace

// --- Making and ending ---

Outcome<std::unique_ptr<Io>> RingIo::create(const IoOptions& options) {
  for (const std::uint32_t flags : kFlagLadder) {
    std::unique_ptr<RingIo> io(new RingIo);
    Failure failure = io->set_up(options, flags);
    if (failure.status.is_ok()) return io;
    // Only "invalid argument" means that the kernel does not know a flag. Nothing else gets better with fewer flags.
    if (failure.status.error_number() != EINVAL || flags == kFlagLadder.back()) return std::unexpected(std::move(failure));
  }
  return std::unexpected(Failure(Status(Code::kNotSupported), "io_uring_setup"));
}

Outcome<std::unique_ptr<Io>> RingIo::create_with_flags(const IoOptions& options, std::uint32_t setup_flags) {
  std::unique_ptr<RingIo> io(new RingIo);
  Failure failure = io->set_up(options, setup_flags);
  if (!failure.status.is_ok()) return std::unexpected(std::move(failure));
  return io;
}

Failure RingIo::set_up(const IoOptions& options, std::uint32_t setup_flags) {
  const std::uint32_t entries = std::clamp(options.entries, kEntriesMin, kEntriesMax);
  const int result = initialize_ring(ring_, entries, setup_flags);
  if (result < 0) return Failure(Status::from_errno(-result), explain_ring_refusal(-result));
  has_ring_ = true;
  setup_flags_ = setup_flags;
  thread_id_ = ::gettid();
  return finish_set_up(options);
}

Failure RingIo::finish_set_up(const IoOptions& options) {
  if ((ring_.features & kFeaturesNeeded) != kFeaturesNeeded) {
    return Failure(Status(Code::kNotSupported), "io_uring_setup: the kernel's ring lacks features of Linux 5.11");
  }
  if (const char* const missing = find_missing_operation(ring_)) {
    return Failure(Status(Code::kNotSupported), std::string("io_uring_setup: the kernel's ring lacks ") + missing);
  }
  // A child of a fork must not share the queues. Where the kernel refuses, the child has no business with them either.
  io_uring_ring_dontfork(&ring_);
  // Bounded workers run punted file I/O: never one alone, or a stuck sync would block a log write. Older kernels keep theirs.
  std::array<unsigned, 2> workers{std::max(options.workers, 2U), 2};
  io_uring_register_iowq_max_workers(&ring_, workers.data());

  held_.assign(kHeldFilesMax, -1);
  const int registered = io_uring_register_files(&ring_, held_.data(), kHeldFilesMax);
  if (registered < 0) {
    return Failure(Status::from_errno(-registered), std::string("io_uring_register_files: ") + std::strerror(-registered));
  }
  if (Failure failure = make_wake_file(options.hosted); !failure.status.is_ok()) return failure;

  slots_.resize(ring_.cq.ring_entries - 1);  // One completion is the eventfd's.
  for (std::uint32_t index = 0; index < slots_.size(); ++index) {
    slots_[index].next_free = index + 1 < slots_.size() ? index + 1 : kFreeListEnd;
  }
  collected_.reserve(slots_.size());
  return {};
}

Failure RingIo::make_wake_file(bool hosted) {
  wake_file_ = ::eventfd(0, EFD_CLOEXEC);
  if (wake_file_ < 0) return Failure(Status::from_errno(errno), std::string("eventfd: ") + std::strerror(errno));
  if (!hosted) return {};
  const int registered = io_uring_register_eventfd(&ring_, wake_file_);
  if (registered < 0) {
    return Failure(Status::from_errno(-registered), std::string("io_uring_register_eventfd: ") + std::strerror(-registered));
  }
  hosted_ = true;
  disarm();
  return {};
}

RingIo::~RingIo() {
  PENSTOCK_ASSERT_EQ(in_flight_, 0U);
  if (has_ring_) {
    PENSTOCK_ASSERT_EQ(thread_id_, ::gettid());
    disarm_wake();
    // Before the ring: its end is not waited for, and held files (a lock) shall be free when this returns.
    io_uring_unregister_files(&ring_);
    io_uring_queue_exit(&ring_);
  }
  if (wake_file_ >= 0) ::close(wake_file_);
}

/// The kernel writes to `wake_count_` until the READ has ended: ends it by an event.
void RingIo::disarm_wake() {
  if (!wake_armed_) return;
  wake();
  while (true) {
    submit_and_wait(-1);
    take_completions();
    if (!wake_armed_) return;
  }
}

// --- Preparing ---

std::uint32_t RingIo::room() const noexcept {
  const std::uint32_t queue_room = io_uring_sq_space_left(&ring_);
  const std::uint32_t own_room = queue_room == 0 ? 0 : queue_room - 1;  // RingIo-I4.
  return std::min(own_room, static_cast<std::uint32_t>(slots_.size()) - in_flight_);
}

void RingIo::prepare(std::span<const Entry> chain) {
  PENSTOCK_ASSERT(!chain.empty());
  PENSTOCK_ASSERT_LE(chain.size(), room());
  PENSTOCK_ASSERT(!chain.back().link);
  if (chain.size() > 1) ++counters_.chains;
  bool follows_link = false;
  for (const Entry& entry : chain) {
    prepare_entry(entry, follows_link);
    follows_link = entry.link;
  }
}

void RingIo::prepare_entry(const Entry& entry, bool follows_link) {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  PENSTOCK_ASSERT(sqe != nullptr);
  const std::uint32_t index = take_slot();
  Slot& slot = slots_[index];
  slot.completion = entry.completion;
  slot.op = entry.op;
  slot.asked_bytes = moves_bytes(entry.op) ? entry.bytes : 0;
  slot.follows_link = follows_link;
  slot.cut_off = false;
  fill_sqe(*sqe, entry);
  std::uint8_t flags = 0;
  if (entry.link) flags |= IOSQE_IO_LINK;
  if (entry.blocking) flags |= IOSQE_ASYNC;
  sqe->flags = flags;
  sqe->user_data = make_user_data(index, slot.generation);
  count_entry(counters_, entry);
}

std::uint32_t RingIo::take_slot() {
  PENSTOCK_ASSERT_NE(free_slot_, kFreeListEnd);
  const std::uint32_t index = free_slot_;
  Slot& slot = slots_[index];
  PENSTOCK_ASSERT(!slot.in_use);
  free_slot_ = slot.next_free;
  slot.in_use = true;
  ++in_flight_;
  return index;
}

void RingIo::arm_wake() {
  if (wake_armed_ || hosted_) return;
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  PENSTOCK_ASSERT(sqe != nullptr);
  io_uring_prep_read(sqe, wake_file_, &wake_count_, sizeof(wake_count_), 0);
  sqe->user_data = kWakeUserData;
  wake_armed_ = true;
}

// --- Entering the kernel ---

void RingIo::enter(std::int64_t wait_ns) {
  const bool has_collected = collected_taken_ < collected_.size();
  if (wait_ns == 0 || has_collected) {
    if (io_uring_sq_ready(&ring_) != 0 || has_deferred_work()) submit_and_collect();
  } else {
    submit_and_wait(wait_ns);
  }
  collect();
}

void RingIo::submit_and_collect() {
  arm_wake();
  ++counters_.enters;
  const int result = io_uring_submit_and_get_events(&ring_);
  if (result < 0) handle_enter_error(result);
  neutralize_cut_chain();
}

void RingIo::submit_and_wait(std::int64_t wait_ns) {
  PENSTOCK_ASSERT(!hosted_);  // Nothing would end the wait.
  arm_wake();
  ++counters_.enters;
  ++counters_.sleeps;
  io_uring_cqe* cqe = nullptr;
  __kernel_timespec limit{};
  if (wait_ns > 0) {
    limit.tv_sec = wait_ns / 1'000'000'000;
    limit.tv_nsec = wait_ns % 1'000'000'000;
  }
  const int result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, wait_ns > 0 ? &limit : nullptr, nullptr);
  if (result < 0) handle_enter_error(result);
  neutralize_cut_chain();
}

bool RingIo::try_arm() {
  PENSTOCK_ASSERT(hosted_);
  // Kernels before 5.8 cannot be told and always signal: a wait then ends early now and then.
  io_uring_cq_eventfd_toggle(&ring_, true);
  // A completion looks at the switch after it was queued, this side looks for it after the switch: one sees the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  submit_and_collect();
  collect();
  if (collected_taken_ == collected_.size() && io_uring_sq_ready(&ring_) == 0) {
    ++counters_.sleeps;
    return true;
  }
  disarm();
  return false;
}

void RingIo::disarm() noexcept { io_uring_cq_eventfd_toggle(&ring_, false); }

void RingIo::handle_enter_error(int result) {
  switch (-result) {
    case ETIME:
    case EINTR:
      return;  // What was submitted stays so; what was not goes out with the next enter.
    case EAGAIN:
    case EBUSY:
      ++counters_.again;
      return;  // Completions are taken next, then the entries are tried again.
    default:
      die_of_broken_ring("io_uring_enter failed", result);
  }
}

/// The kernel took part of the queue (it had no memory for the rest, or stopped at an entry that it refused). If the cut goes
/// through a chain, the rest of it would run unordered: it is made to do nothing.
void RingIo::neutralize_cut_chain() {
  std::uint32_t left = io_uring_sq_ready(&ring_);
  if (left == 0) [[likely]]
    return;
  const std::uint32_t mask = ring_.sq.ring_mask;
  for (std::uint32_t position = ring_.sq.sqe_tail - left; left > 0; ++position, --left) {
    io_uring_sqe& sqe = ring_.sq.sqes[position & mask];
    if (sqe.user_data == kWakeUserData) return;
    Slot& slot = slots_[static_cast<std::uint32_t>(sqe.user_data)];
    if (!slot.follows_link) return;  // A whole chain starts here.
    const std::uint64_t user_data = sqe.user_data;
    io_uring_prep_nop(&sqe);
    sqe.user_data = user_data;
    slot.cut_off = true;
  }
}

// --- Completions ---

bool RingIo::has_deferred_work() const noexcept {
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

void RingIo::collect() {
  take_completions();
  // The kernel runs a limited amount of deferred work per call. Bounded: what is left comes with the next enter.
  constexpr std::uint32_t kRoundsMax = 256;
  for (std::uint32_t round = 0; round < kRoundsMax && has_deferred_work(); ++round) {
    const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
    if ((flags & IORING_SQ_CQ_OVERFLOW) != 0) ++counters_.overflows;
    ++counters_.enters;
    const int result = io_uring_get_events(&ring_);
    if (result < 0) handle_enter_error(result);
    take_completions();
  }
}

void RingIo::take_completions() {
  unsigned head = 0;
  unsigned count = 0;
  const io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    complete(cqe->user_data, cqe->res);
    ++count;
  }
  if (count != 0) io_uring_cq_advance(&ring_, count);
}

void RingIo::complete(std::uint64_t user_data, std::int32_t result) {
  if (user_data == kWakeUserData) {
    PENSTOCK_ASSERT(wake_armed_);
    wake_armed_ = false;  // Armed again before the next submission.
    ++counters_.wakes;
    return;
  }
  const auto index = static_cast<std::uint32_t>(user_data);
  const auto generation = static_cast<std::uint32_t>(user_data >> 32U);
  if (index >= slots_.size() || !slots_[index].in_use || slots_[index].generation != generation) {
    die_of_broken_ring("a completion of an entry that is not in flight", static_cast<long>(user_data));
  }
  Slot& slot = slots_[index];
  const std::int32_t true_result = slot.cut_off ? -ECANCELED : result;
  count_result(counters_, slot.op, slot.asked_bytes, true_result);
  collected_.push_back(Reaped{slot.completion, true_result});
  slot.in_use = false;
  slot.completion = nullptr;
  ++slot.generation;
  slot.next_free = free_slot_;
  free_slot_ = index;
}

std::uint32_t RingIo::reap(std::span<Reaped> reaped) {
  const std::size_t count = std::min(reaped.size(), collected_.size() - collected_taken_);
  std::copy_n(collected_.begin() + static_cast<std::ptrdiff_t>(collected_taken_), count, reaped.begin());
  collected_taken_ += count;
  if (collected_taken_ == collected_.size()) {
    collected_.clear();
    collected_taken_ = 0;
  }
  PENSTOCK_ASSERT_GE(in_flight_, count);
  in_flight_ -= static_cast<std::uint32_t>(count);
  return static_cast<std::uint32_t>(count);
}

// --- The rest ---

void RingIo::wake() noexcept {
  const std::uint64_t one = 1;
  while (::write(wake_file_, &one, sizeof(one)) < 0) {
    if (errno != EINTR) die_of_broken_ring("the eventfd refuses a wake-up", errno);
  }
}

Status RingIo::hold_file(Fd file) {
  PENSTOCK_ASSERT_NE(file, Fd::kNone);
  const auto free = std::find(held_.begin(), held_.end(), -1);
  if (free == held_.end()) return Status(Code::kTooLarge);
  const int number = static_cast<int>(file);
  const auto index = static_cast<unsigned>(free - held_.begin());
  const int result = io_uring_register_files_update(&ring_, index, &number, 1);
  if (result < 0) return Status::from_errno(-result);
  *free = number;
  return Status::ok();
}

void RingIo::release_file(Fd file) noexcept {
  const auto place = std::find(held_.begin(), held_.end(), static_cast<int>(file));
  PENSTOCK_ASSERT(place != held_.end());
  *place = -1;
  const auto index = static_cast<unsigned>(place - held_.begin());
  const int result = io_uring_register_files_update(&ring_, index, &*place, 1);
  PENSTOCK_ASSERT_EQ(result, 1);
}

std::string RingIo::description() const {
  constexpr std::array<std::pair<std::uint32_t, const char*>, 4> kNames{{
      {IORING_SETUP_SINGLE_ISSUER, "single_issuer, "},
      {IORING_SETUP_DEFER_TASKRUN, "defer_taskrun, "},
      {IORING_SETUP_COOP_TASKRUN, "coop_taskrun, "},
      {IORING_SETUP_SUBMIT_ALL, "submit_all, "},
  }};
  std::string names;
  for (const auto& [flag, name] : kNames) {
    if ((setup_flags_ & flag) != 0) names += name;
  }
  return "io_uring (" + names + std::to_string(ring_.sq.ring_entries) + " entries)";
}

}  // namespace penstock::reactor
