#include "engine/reactor_part.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/integer.h"
#include "engine/old_logs.h"

namespace penstock::engine {

namespace {

wal::SyncMode sync_mode_of(WalSync wal_sync) noexcept {
  switch (wal_sync) {
    case WalSync::kLinked:
      return wal::SyncMode::kLinked;
    case WalSync::kSyscall:
      return wal::SyncMode::kSyscall;
    case WalSync::kDsync:
      return wal::SyncMode::kDsync;
    case WalSync::kAuto:
      return wal::SyncMode::kAuto;
  }
  return wal::SyncMode::kAuto;
}

constexpr std::uint32_t kPassesAtOnce = 2;
/// Of the time, for flushes: without debt, and with all of it. How long that stands.
constexpr double kShareMin = 0.1;
constexpr double kShareMax = 0.6;
constexpr std::uint64_t kShareForNs = 1'000'000;
/// From this debt on commits wait for flushes rather than flushes for commits.
constexpr double kDebtOfHaste = 0.3;
/// Of the memory, what memtables may have that are not frozen. The rest is for those that are flushed, one after the other:
/// small ones give their memory back in small steps.
constexpr std::uint64_t kActivePercent = 35;

/// A log has four buffers of this size: a sixteenth of the memory, and never more than a write needs to be cheap.
std::uint64_t group_bytes_of(const DatabaseSettings& settings) noexcept {
  const std::uint64_t share_bytes = settings.memory_bytes / settings.reactor_count / 64;
  return std::clamp<std::uint64_t>(base::align_down<std::uint64_t>(share_bytes, 4_KiB), 64_KiB, 1_MiB);
}

}  // namespace

std::string log_directory(const DatabaseSettings& settings) { return settings.directory + "/log"; }

std::string shard_directory(const DatabaseSettings& settings, ShardId shard) {
  return settings.directory + "/shard-" + std::to_string(shard);
}

ReactorPart::ReactorPart(reactor::Reactor& reactor, std::uint16_t index, const DatabaseSettings& settings,
                         std::function<void()> on_caught_up)
    : reactor_(reactor),
      index_(index),
      settings_(settings),
      options_(settings.options),
      memory_bytes_(settings.memory_bytes),
      on_caught_up_(std::move(on_caught_up)),
      tasks_(reactor),
      gate_(memtable_limit()),
      pass_turns_(reactor, kPassesAtOnce),
      admission_timer_(reactor, *this) {
  for (std::uint32_t shard = index; shard < settings.shard_count; shard += settings.reactor_count) {
    shards_.push_back(std::make_unique<detail::ShardEngine>(*this, static_cast<ShardId>(shard)));
  }
  write_pace_.set_rate(settings.options.flush_bytes_per_second / settings.reactor_count);
  write_budget_.set_fixed(settings.options.flush_write_bytes);
  settings_.chunks->raise_limit(gate_.limit_bytes());
}

ReactorPart::~ReactorPart() {
  shards_.clear();
  settings_.chunks->lower_limit(gate_.limit_bytes());
}

detail::ShardEngine& ReactorPart::shard(ShardId id) const {
  PENSTOCK_ASSERT_EQ(id % settings_.reactor_count, index_);
  return *shards_[id / settings_.reactor_count];
}

Task<Outcome<bool>> ReactorPart::open_stores() {
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    Outcome<bool> opened = co_await shard->open_store();
    if (!opened.has_value()) {
      co_return opened;
    }
  }
  co_return true;
}

Task<Outcome<bool>> ReactorPart::open_log() {
  wal::LogOptions options;
  options.directory = log_directory(settings_);
  options.identity = settings_.identity;
  options.epoch = settings_.epoch;
  options.reactor = index_;
  options.shard_count = settings_.shard_count;
  options.sync_mode = sync_mode_of(settings_.options.wal_sync);
  options.segment_bytes = settings_.options.log_segment_bytes;
  options.budget_bytes = settings_.options.log_budget_bytes;
  options.group_bytes_max = group_bytes_of(settings_);
  options.ahead_bytes_min = std::min(options.ahead_bytes_min, options.group_bytes_max / 4);
  log_ = std::make_unique<wal::Log>(reactor_, std::move(options), *this);
  if (const Status status = co_await log_->open(); !status.is_ok()) {
    co_return std::unexpected(
        Failure(status, "cannot make log segments in " + log_directory(settings_) + ": " + status.to_string()));
  }
  co_return true;
}

namespace {

/// Deals what lies behind `begin` in one log to those of its shards that live on this part.
class Dealer final : public wal::RecordVisitor {
 public:
  Dealer(ReactorPart& part, std::uint64_t begin, PassProgress& progress) : part_(part), begin_(begin), progress_(progress) {}

  Task<Status> on_part(const wal::Part& part, wal::Position end) override {
    if (part.shard >= part_.settings().shard_count) {
      co_return Status(Code::kCorruption).with_place(FileKind::kLog, end.offset);
    }
    if (end.offset <= begin_ || !part_.has_shard(part.shard)) {
      co_return Status::ok();
    }
    co_return co_await part_.shard(part.shard).deal(part, end, detail::ShardEngine::RecoveryPass::kDealing);
  }
  void on_log(std::uint64_t bytes_max) override { progress_.add_total(bytes_max); }
  void on_group(wal::Position end, std::uint64_t group_bytes) override {
    progress_.add_done(end.offset > begin_ ? group_bytes : 0);
  }

 private:
  ReactorPart& part_;
  const std::uint64_t begin_;
  PassProgress& progress_;
};

}  // namespace

Task<Outcome<bool>> ReactorPart::replay(const std::vector<LogPlan>& plans, PassProgress& progress) {
  for (const LogPlan& plan : plans) {
    // Log r of an epoch has the shards s with s mod its reactors == r.
    const bool has_shard_here =
        std::ranges::any_of(shards_, [&](const auto& shard) { return shard->id() % plan.reactors == plan.name.reactor; });
    const std::uint64_t begin = std::max(plan.begin, plan.dealt_end);
    if (!plan.needed || begin >= plan.end || !has_shard_here) {
      continue;
    }
    wal::ReadOptions options;
    options.directory = log_directory(settings_);
    options.identity = settings_.identity;
    options.log = plan.name;
    options.begin = begin;
    options.known_end = plan.end;
    options.source = plan.image.get();
    Dealer dealer(*this, plan.dealt_end, progress);
    const Outcome<wal::ReadResult> read = co_await wal::read_log(reactor_, std::move(options), dealer);
    if (!read.has_value()) {
      co_return std::unexpected(read.error());
    }
  }
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->finish_recovery();
  }
  co_return true;
}

Status ReactorPart::hold_lock(reactor::Fd lock) {
  PENSTOCK_TRY(reactor_.io().hold_file(lock));
  held_lock_ = lock;
  return Status::ok();
}

void ReactorPart::change_options(const DatabaseOptions& options) {
  options_ = options;
  log_->set_budget(options.log_budget_bytes);
  write_pace_.set_rate(options.flush_bytes_per_second / settings_.reactor_count);
  write_budget_.set_fixed(options.flush_write_bytes);
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->change_options(options);
  }
}

void ReactorPart::change_memory(std::uint64_t memory_bytes) {
  memory_bytes_ = memory_bytes;
  settings_.chunks->lower_limit(gate_.limit_bytes());
  gate_.set_limit(memtable_limit());
  settings_.chunks->raise_limit(gate_.limit_bytes());
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->change_options(options_);
  }
  for (std::size_t shard = 0; shard < shards_.size() && has_much_active(); ++shard) {
    freeze_largest();
  }
  drain_waiting();
}

void ReactorPart::begin_closing() {
  closing_ = true;
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->refuse_waiting();
  }
}

void ReactorPart::start(bool catch_up) {
  log_->start();
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->start(catch_up);
  }
}

void ReactorPart::add_family(std::shared_ptr<const detail::FamilyState> family) {
  const FamilyId id = family->id;
  families_[id] = std::move(family);
}

void ReactorPart::drop_family(FamilyId family) {
  families_.erase(family);
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->on_family_dropped(family);
  }
}

MemoryGate::Verdict ReactorPart::admit_memory(std::uint64_t bytes) {
  const MemoryGate::Verdict verdict = gate_.admit(bytes, memtable_bytes_, reactor_.now_ns());
  if (verdict == MemoryGate::Verdict::kFull) {
    freeze_largest();
  } else if (verdict == MemoryGate::Verdict::kLater) {
    admission_timer_.arm_at(gate_.next_ns());  // Sooner than before, if memory was freed meanwhile.
  }
  return verdict;
}

void ReactorPart::on_memtable_growth(std::uint64_t before, std::uint64_t after) {
  share_time();
  memtable_bytes_ += after - before;
  active_bytes_ += after - before;
  if (has_much_active()) {
    freeze_largest();
  }
}

void ReactorPart::on_carried_growth(std::uint64_t bytes) { memtable_bytes_ += bytes; }

bool ReactorPart::has_much_active() const noexcept { return active_bytes_ >= gate_.limit_bytes() / 100 * kActivePercent; }

void ReactorPart::freeze_largest() {
  const auto largest = std::ranges::max_element(
      shards_, {}, [](const auto& shard) { return shard->is_stuck() ? std::uint64_t{0} : shard->active_bytes(); });
  (*largest)->freeze();
}

void ReactorPart::on_pass_begun(ShardId shard, std::uint64_t bytes) { gate_.on_pass_begun(shard, bytes, reactor_.now_ns()); }

void ReactorPart::on_pass_ended(ShardId shard, std::uint64_t freed_bytes) {
  PENSTOCK_ASSERT_GE(memtable_bytes_, freed_bytes);
  memtable_bytes_ -= freed_bytes;
  gate_.on_pass_ended(shard, freed_bytes > 0, reactor_.now_ns());
  if (freed_bytes > 0) {
    drain_waiting();
  }
}

void ReactorPart::drain_waiting() {
  if (draining_) {
    return;  // An answer may run code that submits again.
  }
  draining_ = true;
  while (!line_.empty()) {
    detail::ShardEngine* const shard = line_.front();
    line_.pop_front();
    if (!shard->try_first_waiting()) {
      line_.push_front(shard);
      break;
    }
  }
  draining_ = false;
}

void ReactorPart::note_commit(std::uint64_t since_ns) noexcept {
  const std::uint64_t now = reactor_.now_ns();
  write_budget_.note_commit(now - since_ns, gate_.debt(memtable_bytes_, now) >= kDebtOfHaste, now);
}

/// Background work gets more of the time the more it is behind: with memory, or with what holds up the log.
void ReactorPart::share_time() {
  const std::uint64_t now = reactor_.now_ns();
  if (now - share_set_ns_ < kShareForNs) {
    return;
  }
  share_set_ns_ = now;
  const double log = static_cast<double>(log_->bytes_in_use()) / static_cast<double>(options_.log_budget_bytes);
  const double debt = std::clamp(std::max(gate_.debt(memtable_bytes_, now), (2 * log) - 1), 0.0, 1.0);
  reactor_.set_background_share(kShareMin + ((kShareMax - kShareMin) * debt));
}

void ReactorPart::note_delay(std::uint64_t duration_ns) noexcept {
  ++delayed_commits_;
  delayed_ns_ += duration_ns;
  delayed_ns_max_ = std::max(delayed_ns_max_, duration_ns);
}

Task<Status> ReactorPart::close() {
  admission_timer_.disarm();
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    co_await shard->stop();
  }
  co_await tasks_.join();
  Status status;
  if (log_ != nullptr) {
    status = co_await log_->close();
  }
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    co_await shard->close_store();
  }
  if (held_lock_ != reactor::Fd::kNone) {
    reactor_.io().release_file(std::exchange(held_lock_, reactor::Fd::kNone));
  }
  co_return status;
}

void ReactorPart::collect(Metrics& metrics) const {
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->collect(metrics);
  }
  const wal::LogCounters& log = log_->counters();
  metrics.log_groups += log.groups;
  metrics.log_appended_bytes += log.appended_bytes;
  metrics.log_written_bytes += log.written_bytes;
  metrics.log_syncs += log.syncs;
  metrics.log_bytes_in_use += log_->bytes_in_use();
  metrics.log_segments_late += log.segments_late;
  metrics.log_resumed_writes += log.resumed_writes;
  metrics.memtable_bytes += memtable_bytes_;
  metrics.log_buffer_bytes += log_->buffer_bytes();
  metrics.flush_write_bytes = std::max(metrics.flush_write_bytes, write_budget_.bytes());
  metrics.flush_write_cuts += write_budget_.cuts();
  metrics.flush_percent = std::max(metrics.flush_percent, static_cast<std::uint64_t>(reactor_.background_share() * 100));
  metrics.delayed_commits += delayed_commits_;
  metrics.delayed_ns += delayed_ns_;
  metrics.delayed_ns_max = std::max(metrics.delayed_ns_max, delayed_ns_max_);
  const reactor::IoCounters& io = reactor_.io().counters();
  metrics.syncs += io.syncs;
  metrics.enters += io.enters;
  metrics.entries += io.entries;
  metrics.write_bytes += io.write_bytes;
  metrics.read_bytes += io.read_bytes;
  metrics.wakes_sent += reactor_.counters().wakes_sent;
  metrics.wakes_elided += reactor_.counters().wakes_elided;
  metrics.stalls += reactor_.counters().stalls;
  metrics.poisoned_logs += log_->failure().is_ok() ? 0U : 1U;
  ++metrics.reactors;
  if (index_ == 0) {
    metrics.io_backend = reactor_.io().description();
    metrics.memory_share_bytes = memory_bytes_;
    metrics.memtable_ready_bytes = settings_.chunks->counters().idle_bytes;
  }
}

void ReactorPart::on_log_progress() {
  for (const std::unique_ptr<detail::ShardEngine>& shard : shards_) {
    shard->on_log_progress();
  }
}

void ReactorPart::on_log_room() { drain_waiting(); }

void ReactorPart::on_log_pressure(std::span<const ShardId> shards) {
  for (const ShardId id : shards) {
    shard(id).request_release();
  }
}

}  // namespace penstock::engine
