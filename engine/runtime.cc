// Runtime: checking its options and starting the reactors.
#include <algorithm>

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

}  // namespace

Outcome<std::shared_ptr<RuntimeCore>> RuntimeCore::start(const RuntimeOptions& options) {
  reactor::System& system = reactor::real_system();
  const std::uint32_t cores = system.usable_cores();
  const std::uint32_t count = options.reactors == 0 ? std::min(cores, kReactorCountMax) : options.reactors;
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
  auto core = std::make_shared<RuntimeCore>(system, std::vector<reactor::Reactor*>{}, memory);
  reactor::ReactorOptions reactor_options;
  reactor_options.on_stall = options.on_stall;
  for (std::uint32_t index = 0; index < count; ++index) {
    const std::int32_t pin = options.pin_threads ? static_cast<std::int32_t>(index % cores) : -1;
    Outcome<std::unique_ptr<reactor::ReactorThread>> thread =
        reactor::ReactorThread::start(system, index, io_options_of(options), reactor_options, pin);
    if (!thread.has_value()) {
      return std::unexpected(std::move(thread.error()));
    }
    core->reactors_.push_back(&(*thread)->reactor());
    core->threads_.push_back(std::move(*thread));
  }
  core->make_task_groups();
  if (const Status status = core->chunks_.start(); !status.is_ok()) {
    return std::unexpected(Failure(status, "cannot start the thread that prepares memory: " + status.to_string()));
  }
  return core;
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
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

std::uint32_t Runtime::reactors() const noexcept { return static_cast<std::uint32_t>(core_->reactors().size()); }

std::string Runtime::io_backend() const { return core_->reactors().front()->io().description(); }

}  // namespace penstock
