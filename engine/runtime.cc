// Runtime: checking its options, the reactors and who runs them.
#include <algorithm>

#include "base/assert.h"
#include "engine/attachment.h"
#include "engine/runtime_core.h"
#include "penstock/db.h"

namespace penstock {

namespace detail {

namespace {

constexpr std::uint64_t kMemoryLimitMin = 64_MiB;

std::unexpected<Failure> refuse(std::string text) {
  return std::unexpected(Failure(Status(Code::kInvalidArgument), std::move(text)));
}

reactor::IoOptions io_options_of(const RuntimeOptions& options) {
  reactor::IoOptions io;
  io.entries = options.ring_entries;
  switch (options.io_backend) {
    case IoBackend::kAuto:
      io.backend = reactor::IoOptions::Backend::kAuto;
      break;
    case IoBackend::kRing:
      io.backend = reactor::IoOptions::Backend::kRing;
      break;
    case IoBackend::kSyscall:
      io.backend = reactor::IoOptions::Backend::kSyscall;
      break;
  }
  return io;
}

reactor::ReactorOptions reactor_options_of(const RuntimeOptions& options) {
  reactor::ReactorOptions reactor_options;
  reactor_options.on_stall = options.on_stall;
  return reactor_options;
}

}  // namespace

Outcome<std::shared_ptr<RuntimeCore>> RuntimeCore::start(const RuntimeOptions& options) {
  // A child of fork() whose thread ran a reactor of the parent starts anew.
  reactor::HostedLoop::forget_inherited();
  reactor::System& system = reactor::real_system();
  const bool donated = options.threads == ReactorThreads::kDonated;
  const std::uint32_t count_default = donated ? 1 : std::min(system.usable_cores(), kReactorCountMax);
  const std::uint32_t count = options.reactors == 0 ? count_default : options.reactors;
  if (count > kReactorCountMax) {
    return refuse("option reactors: " + std::to_string(count) + " is over the limit of " + std::to_string(kReactorCountMax));
  }
  const std::uint64_t memory =
      options.memory_limit == 0 ? std::max(system.memory_bytes() / 4, kMemoryLimitMin) : options.memory_limit;
  if (memory < kMemoryLimitMin) {
    return refuse("option memory_limit: " + std::to_string(memory) + " bytes is under the minimum of 64 MiB");
  }
  if (options.ring_entries < 64 || options.ring_entries > 4096) {
    return refuse("option ring_entries: " + std::to_string(options.ring_entries) + " is not between 64 and 4096");
  }
  if (donated && options.pin_threads) {
    return refuse("option pin_threads: donated threads are the host's to pin");
  }
  auto core = std::make_shared<RuntimeCore>(system, std::vector<reactor::Reactor*>{}, memory);
  if (donated) {
    core->make_hosted(options, count);
    return core;
  }
  Outcome<bool> started = core->start_threads(options, count);
  if (!started.has_value()) {
    return std::unexpected(std::move(started.error()));
  }
  return core;
}

Outcome<bool> RuntimeCore::start_threads(const RuntimeOptions& options, std::uint32_t count) {
  const std::uint32_t cores = system_.usable_cores();
  for (std::uint32_t index = 0; index < count; ++index) {
    const std::int32_t pin = options.pin_threads ? static_cast<std::int32_t>(index % cores) : -1;
    Outcome<std::unique_ptr<reactor::ReactorThread>> thread =
        reactor::ReactorThread::start(system_, index, io_options_of(options), reactor_options_of(options), pin);
    if (!thread.has_value()) {
      return std::unexpected(std::move(thread.error()));
    }
    reactors_.push_back(&(*thread)->reactor());
    threads_.push_back(std::move(*thread));
  }
  note_io_backend(*reactors_.front());
  make_task_groups();
  if (const Status status = chunks_.start(); !status.is_ok()) {
    return std::unexpected(Failure(status, "cannot start the thread that prepares memory: " + status.to_string()));
  }
  return true;
}

void RuntimeCore::make_hosted(const RuntimeOptions& options, std::uint32_t count) {
  io_options_ = io_options_of(options);
  for (std::uint32_t index = 0; index < count; ++index) {
    hosted_.push_back(std::make_unique<reactor::Reactor>(system_, index, reactor_options_of(options)));
    reactors_.push_back(hosted_.back().get());
    slots_.emplace_back(Slot::kFree);
  }
  make_task_groups();
}

RuntimeCore::RuntimeCore(reactor::System& system, std::vector<reactor::Reactor*> reactors, std::uint64_t memory_limit)
    : system_(system), reactors_(std::move(reactors)), memory_limit_(memory_limit) {
  make_task_groups();
}

void RuntimeCore::make_task_groups() {
  tasks_.clear();
  for (reactor::Reactor* each : reactors_) {
    tasks_.push_back(std::make_unique<reactor::TaskGroup>(*each));
  }
}

RuntimeCore::~RuntimeCore() {
  // All loops end before the first reactor goes: a message may be on its way between any two.
  for (const std::unique_ptr<reactor::ReactorThread>& thread : threads_) {
    thread->stop();
  }
}

const std::string& RuntimeCore::io_backend() const noexcept {
  static const std::string unknown;
  return knows_io_backend_.load(std::memory_order_acquire) ? io_backend_ : unknown;
}

/// Once: the Io of a donated thread comes and goes with it.
void RuntimeCore::note_io_backend(const reactor::Reactor& reactor) {
  if (knows_io_backend_.load(std::memory_order_relaxed)) {
    return;
  }
  io_backend_ = reactor.io().description();
  knows_io_backend_.store(true, std::memory_order_release);
}

void RuntimeCore::abandon(std::shared_ptr<void> inherited) {
  struct Kept {
    std::shared_ptr<void> object;
    Kept* next;
  };
  static std::atomic<Kept*> newest{nullptr};
  auto* kept = new Kept{.object = std::move(inherited), .next = newest.load(std::memory_order_relaxed)};
  while (!newest.compare_exchange_weak(kept->next, kept, std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
}

// --- Donated threads ---

std::uint32_t RuntimeCore::missing_threads() const noexcept {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      slots_, [](const std::atomic<Slot>& slot) { return slot.load(std::memory_order_seq_cst) != Slot::kAttached; }));
}

Outcome<RuntimeCore::Attached> RuntimeCore::attach() {
  reactor::HostedLoop::forget_inherited();
  if (is_forked()) {
    return std::unexpected(Failure(Status(Code::kForked), "the runtime belongs to the parent process"));
  }
  if (!is_donated()) {
    return refuse("attach(): the runtime runs its reactors on threads of its own (RuntimeOptions::threads)");
  }
  if (reactor::HostedLoop::has_reactor()) {
    return refuse("attach(): this thread runs a reactor already");
  }
  Attached attached;
  for (std::atomic<Slot>& slot : slots_) {
    Slot free = Slot::kFree;
    if (!slot.compare_exchange_strong(free, Slot::kChanging, std::memory_order_seq_cst)) {
      ++attached.index;
      continue;
    }
    reactor::Reactor& reactor = *reactors_[attached.index];
    Outcome<std::unique_ptr<reactor::HostedLoop>> loop = reactor::HostedLoop::start(reactor, io_options_);
    if (!loop.has_value()) {
      slot.store(Slot::kFree, std::memory_order_seq_cst);
      return std::unexpected(std::move(loop.error()));
    }
    attached.loop = std::move(*loop);
    if (attached.index == 0) {
      note_io_backend(reactor);
    }
    slot.store(Slot::kAttached, std::memory_order_seq_cst);
    return attached;
  }
  return refuse("attach(): all " + std::to_string(slots_.size()) + " reactors have their threads");
}

Status RuntimeCore::detach(Attached& attached) {
  std::atomic<Slot>& slot = slots_[attached.index];
  PENSTOCK_ASSERT(slot.load() == Slot::kAttached);
  // First the slot, then the counts; begin_call() does the reverse. So at least one of the two sees the other.
  slot.store(Slot::kChanging, std::memory_order_seq_cst);
  if (has_calls() || has_databases()) {
    slot.store(Slot::kAttached, std::memory_order_seq_cst);
    return Status(Code::kBusy);
  }
  attached.loop->settle();
  attached.loop.reset();
  slot.store(Slot::kFree, std::memory_order_seq_cst);
  return Status::ok();
}

// --- Databases ---

bool RuntimeCore::begin_call() noexcept {
  calls_.fetch_add(1, std::memory_order_seq_cst);
  if (missing_threads() == 0) {
    return true;
  }
  end_call();
  return false;
}

Outcome<bool> RuntimeCore::add_memory_user(MemoryUser& user) {
  const std::uint64_t share = memory_limit_ / (memory_users_.size() + 1);
  if (!memory_users_.empty() && share < kMemoryShareMin) {
    return std::unexpected(Failure(Status(Code::kInvalidArgument),
                                   "memory_limit of " + std::to_string(memory_limit_ >> 20U) +
                                       " MiB is shared by the open databases, " + std::to_string(memory_users_.size()) +
                                       " now; one more would leave each " + std::to_string(share >> 20U) + " MiB, less than " +
                                       std::to_string(kMemoryShareMin >> 20U) + ": raise RuntimeOptions::memory_limit"));
  }
  for (MemoryUser* other : memory_users_) {
    other->on_memory_share(share);
  }
  memory_users_.push_back(&user);
  return true;
}

void RuntimeCore::remove_memory_user(MemoryUser& user) {
  if (std::erase(memory_users_, &user) == 0) {
    return;
  }
  for (MemoryUser* other : memory_users_) {
    other->on_memory_share(memory_share());
  }
}

void RuntimeCore::end_call() noexcept {
  if (calls_.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    unpark(calls_);
  }
}

void RuntimeCore::await_calls() noexcept {
  while (const std::uint32_t seen = calls_.load(std::memory_order_seq_cst)) {
    park(calls_, seen, -1);
  }
}

}  // namespace detail

Outcome<Runtime> Runtime::start(const RuntimeOptions& options) {
  Outcome<std::shared_ptr<detail::RuntimeCore>> core = detail::RuntimeCore::start(options);
  if (!core.has_value()) {
    return std::unexpected(std::move(core.error()));
  }
  return Runtime(std::move(*core));
}

Runtime::Runtime(std::shared_ptr<detail::RuntimeCore> core) noexcept : core_(std::move(core)) {}
Runtime::Runtime(Runtime&&) noexcept = default;

Runtime& Runtime::operator=(Runtime&& other) noexcept {
  if (this != &other) {
    let_go();
    core_ = std::move(other.core_);
  }
  return *this;
}

Runtime::~Runtime() { let_go(); }

void Runtime::let_go() noexcept {
  if (core_ == nullptr) {
    return;
  }
  if (core_->is_forked()) {
    detail::RuntimeCore::abandon(std::move(core_));
  } else if (!core_->is_donated() && reactor::Reactor::current() == nullptr) {
    // The last to end must not be a call on one of the threads that are to be joined.
    core_->await_calls();
  }
  core_.reset();
}

Outcome<AttachedReactor> Runtime::attach() {
  Outcome<detail::RuntimeCore::Attached> attached = core_->attach();
  if (!attached.has_value()) {
    return std::unexpected(std::move(attached.error()));
  }
  return AttachedReactor(std::make_unique<detail::Attachment>(core_, std::move(*attached)));
}

std::uint32_t Runtime::reactors() const noexcept { return static_cast<std::uint32_t>(core_->reactors().size()); }

std::string Runtime::io_backend() const { return core_->io_backend(); }

}  // namespace penstock
