// Opening and closing a database: what runs on reactor 0 while the caller waits, or does not.
#include <utility>

#include "base/assert.h"
#include "engine/database_core.h"
#include "engine/remote.h"
#include "penstock/db.h"
#include "reactor/hosted_loop.h"

namespace penstock {

namespace {

using detail::DatabaseCore;
using detail::RuntimeCore;

bool holds_database(const Status& /*closed*/) { return false; }
bool holds_database(const Outcome<Database>& opened) { return opened.has_value(); }

/// Opens or closes a database on reactor 0 and keeps it alive meanwhile, so that nobody has to wait. Deletes itself.
template <typename T>
class LifeCall final : public reactor::Message {
 public:
  using Function = Task<T> (*)(std::shared_ptr<DatabaseCore>);

  LifeCall(std::shared_ptr<DatabaseCore> core, Function function) : core_(std::move(core)), function_(function) {}
  Future<T> future() { return promise_.future(); }
  void run() override { core_->runtime().tasks(0).spawn(&LifeCall::run_task, this); }

 private:
  static Task<> run_task(LifeCall* self) {
    T value = co_await self->function_(self->core_);
    Promise<T> promise = std::move(self->promise_);
    RuntimeCore& runtime = self->core_->runtime();
    delete self;  // Perhaps the last that held the database. The runtime stays while a call is in progress.
    // Who has the answer that no database is left may let the runtime go, or detach, at once. An open database that nobody
    // takes is closed inside fulfill(), by another call: that one has to begin before this one ends.
    const bool is_open = holds_database(value);
    if (!is_open) {
      runtime.end_call();
    }
    promise.fulfill(std::move(value));
    if (is_open) {
      runtime.end_call();
    }
  }

  std::shared_ptr<DatabaseCore> core_;
  Function function_;
  Promise<T> promise_;
};

/// The runtime's begin_call() has been answered with true.
template <typename T>
Future<T> send(const std::shared_ptr<DatabaseCore>& core, typename LifeCall<T>::Function function) {
  auto* call = new LifeCall<T>(core, function);
  Future<T> future = call->future();
  core->home().post(*call);
  return future;
}

Task<Outcome<VerifyReport>> verify_core(DatabaseCore* core, ScrubOptions options) {
  co_return co_await core->verify_closed(std::move(options));
}

Task<Status> close_core(std::shared_ptr<DatabaseCore> core) { co_return co_await core->close(); }

std::unexpected<Failure> refuse(Code code, std::string text) { return std::unexpected(Failure(Status(code), std::move(text))); }

}  // namespace

Database::Database(std::shared_ptr<detail::DatabaseCore> core) noexcept : core_(std::move(core)) {}
Database::Database(Database&&) noexcept = default;

Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    let_go();
    core_ = std::move(other.core_);
  }
  return *this;
}

Database::~Database() { let_go(); }

void Database::let_go() noexcept {
  if (core_ == nullptr) {
    return;
  }
  if (core_->runtime().is_forked()) {
    RuntimeCore::abandon(std::move(core_));
    return;
  }
  if (!core_->is_closed()) {
    Future<Status> closed = close_async();
    if (!reactor::HostedLoop::has_reactor()) {
      closed.get().ignore("call close() to hear of it");
    }
  }
  core_.reset();
}

Task<Outcome<Database>> Database::finish_opening(std::shared_ptr<detail::DatabaseCore> core) {
  Outcome<bool> opened = co_await core->open();
  if (!opened.has_value()) {
    co_return std::unexpected(std::move(opened.error()));
  }
  co_return Database(std::move(core));
}

Outcome<Database> Database::open(Runtime& runtime, const std::string& directory, const DatabaseOptions& options) {
  if (reactor::HostedLoop::has_reactor() && !runtime.core()->is_forked()) {
    return refuse(Code::kWouldBlock, "open() blocks: call open_async() on a thread that runs a reactor");
  }
  return open_async(runtime, directory, options).get();
}

Future<Outcome<Database>> Database::open_async(Runtime& runtime, const std::string& directory, const DatabaseOptions& options) {
  const std::shared_ptr<RuntimeCore>& reactors = runtime.core();
  if (reactors->is_forked()) {
    return ready_future(Outcome<Database>(refuse(Code::kForked, "the runtime belongs to the parent process")));
  }
  if (!reactors->begin_call()) {
    return ready_future(
        Outcome<Database>(refuse(Code::kInvalidArgument, std::to_string(reactors->missing_threads()) + " of " +
                                                             std::to_string(reactors->reactors().size()) +
                                                             " reactors have no thread: attach them before opening")));
  }
  return send<Outcome<Database>>(std::make_shared<DatabaseCore>(reactors, directory, options), &Database::finish_opening);
}

Outcome<VerifyReport> Database::verify_closed(Runtime& runtime, const std::string& directory, const ScrubOptions& options) {
  const std::shared_ptr<RuntimeCore>& reactors = runtime.core();
  if (reactors->is_forked()) {
    return refuse(Code::kForked, "the runtime belongs to the parent process");
  }
  if (reactor::HostedLoop::has_reactor()) {
    return refuse(Code::kWouldBlock, "verify_closed() blocks, and this thread runs a reactor");
  }
  if (!reactors->begin_call()) {
    return refuse(Code::kInvalidArgument, "reactors have no thread: attach them before verifying");
  }
  const auto core = std::make_shared<DatabaseCore>(reactors, directory, DatabaseOptions{});
  Outcome<VerifyReport> report = engine::run_on(core->home(), reactors->tasks(0), &verify_core, core.get(), options).get();
  reactors->end_call();
  return report;
}

Status Database::close() {
  if (reactor::HostedLoop::has_reactor() && !core_->runtime().is_forked()) {
    return Status(Code::kWouldBlock);
  }
  return close_async().get();
}

Future<Status> Database::close_async() {
  if (core_->runtime().is_forked()) {
    return ready_future(Status(Code::kForked));
  }
  if (core_->is_closed()) {  // It needs no reactor any more, and a donated one may have gone.
    return ready_future(core_->close_status());
  }
  const bool has_begun = core_->runtime().begin_call();
  PENSTOCK_ASSERT(has_begun || core_->is_closed());  // Runtime-I2.
  if (!has_begun) {
    return ready_future(core_->close_status());
  }
  return send<Status>(core_, &close_core);
}

}  // namespace penstock
