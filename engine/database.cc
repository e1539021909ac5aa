// Database and Shard: the public API over DatabaseCore and ShardEngine. Each call becomes a message to a reactor and a future.
#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "engine/calls.h"
#include "engine/database_core.h"
#include "engine/merged_scan.h"
#include "engine/remote.h"
#include "penstock/db.h"

namespace penstock {

namespace {

using detail::DatabaseCore;
using detail::ShardEngine;
using engine::CommitCall;
using engine::FlatRows;

/// What a call that carries little is counted with.
constexpr std::int64_t kSmallCallCredit = 512;

// --- Commits ---

/// A batch for one shard from an ordinary thread, answered with `Answer`: the batch comes back in a CommitResult, a put or
/// remove of one key has a Status. Deletes itself.
template <typename Answer>
class CommitFromThread final : public CommitCall {
 public:
  CommitFromThread(DatabaseCore& core, Batch batch, std::int64_t credit)
      : core_(core), batch_(std::move(batch)), credit_(credit) {}

  Future<Answer> future() { return promise_.future(); }
  const Batch& batch() const noexcept { return batch_; }

  void finish(Status status) override {
    Answer answer(status);
    if constexpr (std::is_same_v<Answer, CommitResult>) {
      answer.last_sequence = last_sequence;
      answer.batch = std::move(batch_);
      answer.batch.clear();
    }
    Promise<Answer> promise = std::move(promise_);
    core_.release(shard->id(), credit_);
    delete this;
    promise.fulfill(std::move(answer));
  }

 private:
  DatabaseCore& core_;
  Batch batch_;
  std::int64_t credit_;
  Promise<Answer> promise_;
};

/// What the parts of a write_each share: the last to end answers.
struct EachState {
  EachState(DatabaseCore& owner, Batch filled, std::uint32_t parts) : core(owner), batch(std::move(filled)), remaining(parts) {}

  void part_ended(Status status) {
    if (!status.is_ok()) {
      std::uint32_t none = 0;
      if (failed.compare_exchange_strong(none, 1)) {
        failure = status;
      }
    }
    if (remaining.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      CommitResult result(failure);
      result.batch = std::move(batch);
      result.batch.clear();
      Promise<CommitResult> answer = std::move(promise);
      delete this;
      answer.fulfill(std::move(result));
    }
  }

  DatabaseCore& core;
  Batch batch;
  std::atomic<std::uint32_t> remaining;
  std::atomic<std::uint32_t> failed{0};
  Status failure;
  Promise<CommitResult> promise;
};

class EachPart final : public CommitCall {
 public:
  EachPart(EachState& state, std::int64_t credit) : state_(state), credit_(credit) {}
  void finish(Status status) override {
    EachState& state = state_;
    state.core.release(shard->id(), credit_);
    delete this;
    state.part_ended(status);
  }

 private:
  EachState& state_;
  std::int64_t credit_;
};

/// Points the call at a part of its batch and at its shard. The payload's checksum is computed here, on the caller's thread.
void fill(CommitCall& call, DatabaseCore& core, const Batch::ShardPart& part, const CommitOptions& options) {
  call.shard = &core.shard(part.shard);
  call.payload = Bytes(part.encoded.data(), part.encoded.size());
  call.operation_count = part.operation_count;
  call.families = &part.families;
  call.has_large_values = part.large_bytes > 0;
  call.payload_checksum = call.has_large_values ? 0 : base::checksum(as_span(call.payload));
  call.options = options;
}

/// Errors that need no shard to be found.
Status check_commit(const Batch& batch, const DatabaseCore& core) {
  if (batch.empty()) {
    return Status(Code::kInvalidArgument);
  }
  for (const Batch::ShardPart& part : batch.parts()) {
    if (part.operation_count > 0 && part.shard >= core.settings().shard_count) {
      return Status(Code::kInvalidArgument);  // Made for another database.
    }
    if (part.encoded.size() - part.large_bytes > core.settings().options.log_segment_bytes / 2) {
      return Status(Code::kTooLarge).with_shard(part.shard);
    }
  }
  return Status::ok();
}

const Batch::ShardPart& only_part(const Batch& batch) {
  const auto part = std::ranges::find_if(batch.parts(), [](const Batch::ShardPart& each) { return each.operation_count > 0; });
  PENSTOCK_ASSERT(part != batch.parts().end());
  return *part;
}

std::int64_t credit_of(const Batch::ShardPart& part) {
  return static_cast<std::int64_t>(part.encoded.size()) + kSmallCallCredit;
}

/// Sends an accepted batch of one shard on its way.
template <typename Answer>
Future<Answer> post_commit(DatabaseCore& core, Batch batch, std::int64_t credit, const CommitOptions& options) {
  auto* call = new CommitFromThread<Answer>(core, std::move(batch), credit);
  fill(*call, core, only_part(call->batch()), options);
  Future<Answer> future = call->future();
  call->shard->part().reactor().post(*call);
  return future;
}

Future<CommitResult> refuse_commit(Status status, Batch batch, bool keep) {
  CommitResult result(status);
  if (!keep) {
    batch.clear();
  }
  result.batch = std::move(batch);
  return ready_future(std::move(result));
}

Future<CommitResult> submit_commit(DatabaseCore& core, Batch batch, const CommitOptions& options, bool may_block) {
  if (const Status status = check_commit(batch, core); !status.is_ok()) {
    return refuse_commit(status, std::move(batch), false);
  }
  if (batch.shard_count() > 1) {
    return refuse_commit(Status(Code::kInvalidArgument), std::move(batch), false);
  }
  const std::int64_t credit = credit_of(only_part(batch));
  Status refused;
  if (!core.accept(only_part(batch).shard, credit, may_block, refused)) {
    return refuse_commit(refused, std::move(batch), refused.is(Code::kWouldBlock));
  }
  return post_commit<CommitResult>(core, std::move(batch), credit, options);
}

Future<Status> submit_single(DatabaseCore& core, Batch batch, Status filled, const CommitOptions& options) {
  if (filled.is_ok()) {
    filled = check_commit(batch, core);
  }
  if (!filled.is_ok()) {
    return ready_future(filled);
  }
  const std::int64_t credit = credit_of(only_part(batch));
  Status refused;
  if (!core.accept(only_part(batch).shard, credit, true, refused)) {
    return ready_future(refused);
  }
  return post_commit<Status>(core, std::move(batch), credit, options);
}

// --- Reads ---

/// A look-up from an ordinary thread: answered at once on the reactor if everything is in memory, else by a task. Deletes
/// itself.
class GetFromThread final : public reactor::Message {
 public:
  GetFromThread(DatabaseCore& core, ShardEngine& shard, const Family& family, Bytes key)
      : core_(core), shard_(shard), family_(family), key_(key) {}
  Future<Result<std::string>> future() { return promise_.future(); }
  std::int64_t credit() const noexcept { return static_cast<std::int64_t>(key_.size()) + kSmallCallCredit; }

  void run() override {
    if (std::optional<Result<std::string>> answer = shard_.try_get(family_.state(), key_)) {
      finish(std::move(*answer));
    } else {
      shard_.part().tasks().spawn(&GetFromThread::run_task, this);
    }
  }

 private:
  static Task<> run_task(GetFromThread* self) {
    Result<std::string> answer = co_await self->shard_.get(self->family_.state(), self->key_);
    self->finish(std::move(answer));
  }
  void finish(Result<std::string> answer) {
    Promise<Result<std::string>> promise = std::move(promise_);
    core_.release(shard_.id(), credit());
    delete this;
    promise.fulfill(std::move(answer));
  }

  DatabaseCore& core_;
  ShardEngine& shard_;
  Family family_;
  std::string key_;
  Promise<Result<std::string>> promise_;
};

/// The answer if the reactor sleeps and has it in memory. The call is accepted: nothing is closed meanwhile. On a donated
/// thread too, between two poll().
std::optional<Result<std::string>> borrow_get(const DatabaseCore& core, ShardEngine& shard, const Family& family, Bytes key) {
  reactor::BorrowGate& gate = shard.part().reactor().gate();
  if (!core.settings().options.borrowed_reads || reactor::Reactor::current() != nullptr || !gate.try_borrow()) {
    return std::nullopt;
  }
  std::optional<Result<std::string>> answer;
  if (const std::optional<Result<Bytes>> found = shard.get_borrowed(family.state(), key)) {
    if (found->has_value()) {
      answer = std::string(**found);
    } else {
      answer = std::unexpected(found->error());
    }
  }
  gate.give_back();
  return answer;
}

Task<Result<bool>> contains_on(ShardEngine* shard, Family family, std::string key) {
  co_return co_await shard->contains(family.state(), key);
}

Task<Result<FlatRows>> scan_on(ShardEngine* shard, Family family, ScanOptions options) {
  co_return co_await shard->scan(family.state(), options);
}

/// Runs a coroutine on a shard and gives its credit back. Deletes itself.
template <typename T, typename... Parameters>
class ShardTaskCall final : public reactor::Message {
 public:
  using Function = Task<T> (*)(ShardEngine*, Parameters...);
  ShardTaskCall(DatabaseCore& core, ShardEngine& shard, Function function, Parameters... parameters)
      : core_(core), shard_(shard), function_(function), parameters_(std::move(parameters)...) {}
  Future<T> future() { return promise_.future(); }
  void run() override { shard_.part().tasks().spawn(&ShardTaskCall::run_task, this); }

 private:
  static Task<> run_task(ShardTaskCall* self) {
    T value =
        co_await std::apply([self](Parameters&... each) { return self->function_(&self->shard_, each...); }, self->parameters_);
    Promise<T> promise = std::move(self->promise_);
    self->core_.release(self->shard_.id(), kSmallCallCredit);
    delete self;
    promise.fulfill(std::move(value));
  }

  DatabaseCore& core_;
  ShardEngine& shard_;
  Function function_;
  std::tuple<Parameters...> parameters_;
  Promise<T> promise_;
};

template <typename T, typename... Parameters, typename... Arguments>
Future<T> call_on_shard(DatabaseCore& core, ShardId shard, Task<T> (*function)(ShardEngine*, Parameters...),
                        Arguments... arguments) {
  Status refused;
  if (!core.accept(shard, kSmallCallCredit, true, refused)) {
    return ready_future(T(std::unexpected(refused)));
  }
  auto* call = new ShardTaskCall<T, Parameters...>(core, core.shard(shard), function, std::move(arguments)...);
  Future<T> future = call->future();
  core.part_of(shard).reactor().post(*call);
  return future;
}

// --- Calls without a shard, on reactor 0 ---

template <typename Answer, typename T, typename... Parameters>
struct HomeCall {
  using Function = Task<T> (DatabaseCore::*)(Parameters...);
  static Task<Answer> run(DatabaseCore* core, Function function, Parameters... parameters) {
    T value = co_await (core->*function)(std::move(parameters)...);
    core->leave_home_call();
    co_return Answer(std::move(value));
  }
};

template <typename Answer, typename T, typename... Parameters, typename... Arguments>
Future<Answer> call_home(DatabaseCore& core, Task<T> (DatabaseCore::*function)(Parameters...), Arguments... arguments) {
  if (const Status refused = core.enter_home_call(); !refused.is_ok()) {
    const char* const text =
        refused.is(Code::kForked) ? "the database belongs to the parent process" : "the database is closed";
    return ready_future(detail::refusal<Answer>(refused, text));
  }
  return engine::run_on(core.home(), core.home_tasks(), &HomeCall<Answer, T, Parameters...>::run, &core, function,
                        std::move(arguments)...);
}

}  // namespace

// --- Families ---

Future<Outcome<Family>> Database::create_family(std::string name, FamilyOptions options) {
  return call_home<Outcome<Family>>(*core_, &DatabaseCore::create_family, std::move(name), options, false);
}
Future<Outcome<Family>> Database::open_family(std::string name) {
  return call_home<Outcome<Family>>(*core_, &DatabaseCore::open_family, std::move(name));
}
Future<Outcome<Family>> Database::open_or_create_family(std::string name, FamilyOptions options) {
  return call_home<Outcome<Family>>(*core_, &DatabaseCore::create_family, std::move(name), options, true);
}
Future<Outcome<bool>> Database::drop_family(std::string name) {
  return call_home<Outcome<bool>>(*core_, &DatabaseCore::drop_family, std::move(name));
}
Future<Outcome<bool>> Database::rename_family(std::string from, std::string to) {
  return call_home<Outcome<bool>>(*core_, &DatabaseCore::rename_family, std::move(from), std::move(to));
}
Future<Outcome<std::vector<FamilyInfo>>> Database::list_families() {
  return call_home<Outcome<std::vector<FamilyInfo>>>(*core_, &DatabaseCore::list_families);
}

// --- Data ---

Future<Status> Database::put(const Family& family, Bytes key, Bytes value, const CommitOptions& options) {
  Batch batch;
  const Status filled = batch.put(family, key, value);
  return submit_single(*core_, std::move(batch), filled, options);
}

Future<Status> Database::remove(const Family& family, Bytes key, const CommitOptions& options) {
  Batch batch;
  const Status filled = batch.remove(family, key);
  return submit_single(*core_, std::move(batch), filled, options);
}

Future<Result<std::string>> Database::get(const Family& family, Bytes key) {
  if (!family.valid() || key.size() > kKeyBytesMax) {
    return ready_future(Result<std::string>(std::unexpected(Status(Code::kInvalidArgument))));
  }
  const ShardId id = family.shard_of(key);
  Status refused;
  if (!core_->accept(id, static_cast<std::int64_t>(key.size()) + kSmallCallCredit, true, refused)) {
    return ready_future(Result<std::string>(std::unexpected(refused)));
  }
  detail::ShardEngine& shard = core_->shard(id);
  if (std::optional<Result<std::string>> answer = borrow_get(*core_, shard, family, key)) {
    core_->release(id, static_cast<std::int64_t>(key.size()) + kSmallCallCredit);
    return ready_future(std::move(*answer));
  }
  auto* call = new GetFromThread(*core_, shard, family, key);
  Future<Result<std::string>> future = call->future();
  shard.part().reactor().post(*call);
  return future;
}

Future<Result<bool>> Database::contains(const Family& family, Bytes key) {
  if (!family.valid() || key.size() > kKeyBytesMax) {
    return ready_future(Result<bool>(std::unexpected(Status(Code::kInvalidArgument))));
  }
  return call_on_shard(*core_, family.shard_of(key), &contains_on, family, std::string(key));
}

Future<Result<ScanResult>> Database::scan(const Family& family, ScanOptions options) {
  if (!family.valid() || options.rows_max == 0) {
    return ready_future(Result<ScanResult>(std::unexpected(Status(Code::kInvalidArgument))));
  }
  const bool is_pinned = family.placement() == Placement::kPinned;
  const ShardId first = is_pinned ? family.shard_of({}) : ShardId{0};
  const std::uint16_t shards = is_pinned ? std::uint16_t{1} : core_->settings().shard_count;
  auto* scan = new engine::MergedScan(options, shards);
  Future<Result<ScanResult>> future = scan->future();
  for (std::uint16_t index = 0; index < shards; ++index) {
    call_on_shard(*core_, static_cast<ShardId>(first + index), &scan_on, family, options)
        .on_ready([scan, index](Result<FlatRows> rows) { scan->part_ended(index, std::move(rows)); });
  }
  return future;
}

Future<CommitResult> Database::commit(Batch batch, const CommitOptions& options) {
  return submit_commit(*core_, std::move(batch), options, true);
}

Future<CommitResult> Database::try_commit(Batch batch, const CommitOptions& options) {
  return submit_commit(*core_, std::move(batch), options, false);
}

Future<CommitResult> Database::write_each(Batch batch, const CommitOptions& options) {
  if (const Status status = check_commit(batch, *core_); !status.is_ok()) {
    return refuse_commit(status, std::move(batch), false);
  }
  // One more than the parts: the last to end, this function included, answers.
  auto* state = new EachState(*core_, std::move(batch), 1);
  Future<CommitResult> future = state->promise.future();
  for (const Batch::ShardPart& part : state->batch.parts()) {
    if (part.operation_count == 0) {
      continue;
    }
    state->remaining.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t credit = credit_of(part);
    Status refused;
    if (!core_->accept(part.shard, credit, true, refused)) {
      state->part_ended(refused);
      continue;
    }
    auto* call = new EachPart(*state, credit);
    fill(*call, *core_, part, options);
    call->shard->part().reactor().post(*call);
  }
  state->part_ended(Status::ok());
  return future;
}

Future<Status> Database::flush() { return call_home<Status>(*core_, &DatabaseCore::flush_all); }

void Database::post_call(ShardId shard, std::unique_ptr<ShardCall> call) {
  struct Posted final : reactor::Message {
    Posted(DatabaseCore& owner, ShardEngine& target, std::unique_ptr<ShardCall> wanted)
        : core(owner), engine(target), user_call(std::move(wanted)) {}
    void run() override { engine.part().tasks().spawn(&Posted::run_task, this); }
    static Task<> run_task(Posted* self) {
      Shard on(self->engine);
      co_await self->user_call->run(on);
      self->core.release(self->engine.id(), kSmallCallCredit);
      delete self;
    }
    DatabaseCore& core;
    ShardEngine& engine;
    std::unique_ptr<ShardCall> user_call;
  };
  if (shard >= core_->settings().shard_count) {
    call->refuse(Status(Code::kInvalidArgument));
    return;
  }
  Status refused;
  if (!core_->accept(shard, kSmallCallCredit, true, refused)) {
    call->refuse(refused);
    return;
  }
  auto* posted = new Posted(*core_, core_->shard(shard), std::move(call));
  core_->part_of(shard).reactor().post(*posted);
}

Future<Outcome<bool>> Database::change_options(const OptionChanges& changes) {
  return call_home<Outcome<bool>>(*core_, &DatabaseCore::change_options, changes);
}

// --- Looking at it ---

std::uint32_t Database::shard_count() const noexcept { return core_->settings().shard_count; }
const std::string& Database::directory() const noexcept { return core_->settings().directory; }
const RecoveryReport& Database::recovery() const noexcept { return core_->recovery(); }
Future<Result<Metrics>> Database::metrics() { return call_home<Result<Metrics>>(*core_, &DatabaseCore::collect_metrics); }
Future<Result<CommitStages>> Database::commit_stages() {
  return call_home<Result<CommitStages>>(*core_, &DatabaseCore::collect_commit_stages);
}
Future<Outcome<VerifyReport>> Database::scrub(ScrubOptions options) {
  return call_home<Outcome<VerifyReport>>(*core_, &DatabaseCore::scrub, std::move(options));
}
Future<Outcome<VerifyReport>> Database::verify() { return call_home<Outcome<VerifyReport>>(*core_, &DatabaseCore::verify); }

}  // namespace penstock
