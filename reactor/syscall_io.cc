#include "reactor/syscall_io.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/assert.h"
#include "reactor/io_counting.h"

namespace penstock::reactor {

namespace {

constexpr std::uint32_t kEntriesMin = 64;
constexpr std::uint32_t kEntriesMax = 4096;
constexpr std::uint32_t kWorkersMax = 64;

ssize_t write_entry(int file, const Entry& entry) noexcept {
  const iovec piece{.iov_base = entry.buffer, .iov_len = entry.bytes};
  return ::pwritev2(file, &piece, 1, static_cast<off_t>(entry.offset), entry.durable ? RWF_DSYNC : 0);
}

std::int32_t run_entry(const Entry& entry) noexcept {
  const int file = static_cast<int>(entry.file);
  ssize_t result = 0;
  switch (entry.op) {
    case Op::kRead:
      result = ::pread(file, entry.buffer, entry.bytes, static_cast<off_t>(entry.offset));
      break;
    case Op::kWrite:
      result = write_entry(file, entry);
      break;
    case Op::kSyncData:
      result = ::fdatasync(file);
      break;
    case Op::kSync:
      result = ::fsync(file);
      break;
    case Op::kNop:
      break;
  }
  return result < 0 ? -errno : static_cast<std::int32_t>(result);
}

bool is_whole(const Entry& entry, std::int32_t result) noexcept {
  if (moves_bytes(entry.op)) return result >= 0 && static_cast<std::uint32_t>(result) == entry.bytes;
  return result == 0;
}

}  // namespace

Outcome<std::unique_ptr<Io>> SyscallIo::create(const IoOptions& options, std::string reason) {
  const std::uint32_t entries_max = std::clamp(options.entries, kEntriesMin, kEntriesMax);
  std::unique_ptr<SyscallIo> io(new SyscallIo(entries_max, std::move(reason)));
  if (options.hosted) {
    io->wait_file_ = ::eventfd(0, EFD_CLOEXEC);
    if (io->wait_file_ < 0) return std::unexpected(Failure(Status::from_errno(errno), "cannot make an eventfd"));
  }
  const Status started = io->start_workers(std::clamp(options.workers, 1U, kWorkersMax));
  if (!started.is_ok()) return std::unexpected(Failure(started, "cannot start the threads of the system call backend"));
  return io;
}

Status SyscallIo::start_workers(std::uint32_t count) {
  for (std::uint32_t index = 0; index < count; ++index) {
    Thread& worker = workers_.emplace_back();
    PENSTOCK_TRY(worker.start("penstock-io-" + std::to_string(index), &SyscallIo::enter_worker, this));
  }
  return Status::ok();
}

SyscallIo::~SyscallIo() {
  PENSTOCK_ASSERT_EQ(in_flight_, 0U);
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  queue_changed_.notify_all();
  for (Thread& worker : workers_) {
    if (worker.is_joinable()) worker.join();
  }
  for (const auto& [file, duplicate] : held_) ::close(duplicate);
  if (wait_file_ >= 0) ::close(wait_file_);
}

// --- The reactor's thread ---

void SyscallIo::prepare(std::span<const Entry> chain) {
  PENSTOCK_ASSERT(!chain.empty());
  PENSTOCK_ASSERT_LE(chain.size(), room());
  PENSTOCK_ASSERT(!chain.back().link);
  Chain own;
  if (!spare_.empty()) {
    own = std::move(spare_.back());
    spare_.pop_back();
  }
  own.assign(chain.begin(), chain.end());
  for (const Entry& entry : own) count_entry(counters_, entry);
  if (own.size() > 1) ++counters_.chains;
  in_flight_ += static_cast<std::uint32_t>(own.size());
  prepared_.push_back(std::move(own));
}

void SyscallIo::enter(std::int64_t wait_ns) {
  if (!prepared_.empty()) hand_over();
  const bool has_news = has_news_.load(std::memory_order_acquire);
  const bool must_wait = wait_ns != 0 && collected_.empty() && !has_news;
  if (!must_wait && !has_news) return;
  ++counters_.enters;
  if (must_wait) wait(wait_ns);
  const std::lock_guard lock(done_mutex_);
  take_news();
}

/// With the lock held.
void SyscallIo::take_news() {
  collected_.insert(collected_.end(), done_.begin(), done_.end());
  done_.clear();
  for (Chain& chain : returned_) spare_.push_back(std::move(chain));
  returned_.clear();
  if (woken_) ++counters_.wakes;
  woken_ = false;
  has_news_.store(false, std::memory_order_relaxed);
}

void SyscallIo::hand_over() {
  const std::size_t count = prepared_.size();
  {
    const std::lock_guard lock(queue_mutex_);
    for (Chain& chain : prepared_) queue_.push_back(std::move(chain));
  }
  prepared_.clear();
  if (count == 1) {
    queue_changed_.notify_one();
  } else {
    queue_changed_.notify_all();
  }
}

void SyscallIo::wait(std::int64_t wait_ns) {
  PENSTOCK_ASSERT_EQ(wait_file_, -1);
  ++counters_.sleeps;
  const auto has_news = [this] { return has_news_.load(std::memory_order_relaxed); };
  std::unique_lock lock(done_mutex_);
  if (wait_ns < 0) {
    done_changed_.wait(lock, has_news);
  } else {
    done_changed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::nanoseconds(wait_ns), has_news);
  }
}

bool SyscallIo::try_arm() {
  PENSTOCK_ASSERT_GE(wait_file_, 0);
  if (!prepared_.empty()) hand_over();
  if (!collected_.empty()) return false;
  const std::lock_guard lock(done_mutex_);
  if (has_news_.load(std::memory_order_relaxed)) {
    take_news();
    return false;
  }
  armed_ = true;
  ++counters_.sleeps;
  return true;
}

void SyscallIo::disarm() noexcept {
  const std::lock_guard lock(done_mutex_);
  armed_ = false;
}

std::uint32_t SyscallIo::reap(std::span<Reaped> reaped) {
  std::uint32_t count = 0;
  while (count < reaped.size() && !collected_.empty()) {
    const Done done = collected_.front();
    collected_.pop_front();
    count_result(counters_, done.op, done.asked_bytes, done.result);
    PENSTOCK_ASSERT_GT(in_flight_, 0U);
    --in_flight_;
    reaped[count++] = Reaped{done.completion, done.result};
  }
  return count;
}

Status SyscallIo::hold_file(Fd file) {
  const int duplicate = ::fcntl(static_cast<int>(file), F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return Status::from_errno(errno);
  held_.emplace_back(file, duplicate);
  return Status::ok();
}

void SyscallIo::release_file(Fd file) noexcept {
  const auto place = std::find_if(held_.begin(), held_.end(), [file](const auto& held) { return held.first == file; });
  PENSTOCK_ASSERT(place != held_.end());
  ::close(place->second);
  held_.erase(place);
}

std::string SyscallIo::description() const { return "system calls: " + reason_; }

// --- Any thread ---

void SyscallIo::wake() noexcept {
  const std::lock_guard lock(done_mutex_);
  woken_ = true;
  note_news();
}

/// With the lock held.
void SyscallIo::note_news() {
  has_news_.store(true, std::memory_order_release);
  done_changed_.notify_one();
  if (!std::exchange(armed_, false)) return;
  const std::uint64_t one = 1;
  while (::write(wait_file_, &one, sizeof(one)) < 0) PENSTOCK_ASSERT_EQ(errno, EINTR);
}

// --- Workers ---

void SyscallIo::run_worker() {
  while (true) {
    Chain chain;
    {
      std::unique_lock lock(queue_mutex_);
      queue_changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      chain = std::move(queue_.front());
      queue_.pop_front();
    }
    run_chain(chain);
    const std::lock_guard lock(done_mutex_);
    chain.clear();
    returned_.push_back(std::move(chain));
  }
}

void SyscallIo::run_chain(const Chain& chain) {
  bool broken = false;
  for (const Entry& entry : chain) {
    const std::int32_t result = broken ? -ECANCELED : run_entry(entry);
    broken = broken || !is_whole(entry, result);
    finish(entry, result);
  }
}

void SyscallIo::finish(const Entry& entry, std::int32_t result) {
  const Done done{entry.completion, entry.op, moves_bytes(entry.op) ? entry.bytes : 0, result};
  const std::lock_guard lock(done_mutex_);
  done_.push_back(done);
  note_news();
}

}  // namespace penstock::reactor
