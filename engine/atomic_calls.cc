// Atomic work as the API has it: from threads and from code on the shard.
#include <memory>
#include <type_traits>
#include <utility>

#include "engine/atomic_work.h"
#include "engine/commit_on_shard.h"
#include "engine/database_core.h"
#include "penstock/db.h"

namespace penstock {

namespace {

using detail::DatabaseCore;
using engine::AtomicUpdate;
using engine::AtomicWork;
using Updated = Result<std::optional<std::string>>;

/// What a call that carries little is counted with.
constexpr std::int64_t kSmallCallCredit = 512;

bool is_key(const Family& family, Bytes key) noexcept { return family.valid() && key.size() <= kKeyBytesMax; }

Status check_value(std::optional<Bytes> value) noexcept {
  return value.has_value() && value->size() > kValueBytesMax ? Status(Code::kTooLarge) : Status::ok();
}

std::int64_t bytes_of(std::optional<Bytes> value) noexcept {
  return value.has_value() ? static_cast<std::int64_t>(value->size()) : 0;
}

/// A call from an ordinary thread. Deletes itself.
template <typename Answer>
class AtomicFromThread final : public engine::CommitCall {
 public:
  AtomicFromThread(DatabaseCore& core, AtomicFunction function, std::int64_t credit)
      : core_(core), work_(std::move(function)), credit_(credit) {
    work = &work_;
  }
  AtomicFromThread(DatabaseCore& core, std::unique_ptr<AtomicUpdate> update, std::int64_t credit)
      : AtomicFromThread(core, AtomicFunction(std::ref(*update)), credit) {
    update_ = std::move(update);
  }

  Future<Answer> future() { return promise_.future(); }
  void finish(Status status) override {
    Promise<Answer> promise = std::move(promise_);
    Answer answer = make_answer(status);
    core_.release(shard->id(), credit_);
    delete this;
    promise.fulfill(std::move(answer));
  }

 private:
  Answer make_answer(Status status) {
    if constexpr (std::is_same_v<Answer, Status>) {
      return status;
    } else {
      return status.is_ok() ? Answer(update_->take_value()) : Answer(std::unexpected(status));
    }
  }

  DatabaseCore& core_;
  AtomicWork work_;
  std::unique_ptr<AtomicUpdate> update_;
  std::int64_t credit_;
  Promise<Answer> promise_;
};

template <typename Answer, typename Function>
Future<Answer> post_atomic(DatabaseCore& core, ShardId shard, Function function, std::int64_t bytes,
                           const CommitOptions& options) {
  Status refused;
  const std::int64_t credit = kSmallCallCredit + bytes;
  if (!core.accept(shard, credit, true, refused)) {
    return ready_future(detail::refusal<Answer>(refused, ""));
  }
  auto* call = new AtomicFromThread<Answer>(core, std::move(function), credit);
  call->shard = &core.shard(shard);
  call->options = options;
  Future<Answer> future = call->future();
  call->shard->part().reactor().post(*call);
  return future;
}

/// `work` lives in the frame of the caller, which awaits this.
Task<Status> run_on_shard(detail::ShardEngine* shard, AtomicWork* work, CommitOptions options) {
  engine::CommitOnShard call;
  call.shard = shard;
  call.work = work;
  call.options = options;
  co_return co_await call;
}

}  // namespace

// --- From threads ---

Future<Updated> Database::update(const Family& family, Bytes key, UpdateFunction function, const CommitOptions& options) {
  if (!is_key(family, key)) {
    return ready_future(Updated(std::unexpected(Status(Code::kInvalidArgument))));
  }
  return post_atomic<Updated>(*core_, family.shard_of(key), std::make_unique<AtomicUpdate>(family, key, std::move(function)),
                              bytes_of(key), options);
}

Future<Status> Database::compare_and_set(const Family& family, Bytes key, std::optional<Bytes> expected,
                                         std::optional<Bytes> desired, const CommitOptions& options) {
  if (!is_key(family, key)) {
    return ready_future(Status(Code::kInvalidArgument));
  }
  if (const Status status = check_value(desired); !status.is_ok()) {
    return ready_future(status);
  }
  return post_atomic<Status>(*core_, family.shard_of(key), engine::compare_and_set_function(family, key, expected, desired),
                             bytes_of(key) + bytes_of(expected) + bytes_of(desired), options);
}

Future<Status> Database::put_if_absent(const Family& family, Bytes key, Bytes value, const CommitOptions& options) {
  if (!is_key(family, key)) {
    return ready_future(Status(Code::kInvalidArgument));
  }
  if (const Status status = check_value(value); !status.is_ok()) {
    return ready_future(status);
  }
  return post_atomic<Status>(*core_, family.shard_of(key), engine::put_if_absent_function(family, key, value),
                             bytes_of(key) + bytes_of(value), options);
}

Future<Status> Database::atomically(ShardId shard, AtomicFunction function, const CommitOptions& options) {
  if (shard >= core_->settings().shard_count) {
    return ready_future(Status(Code::kInvalidArgument));
  }
  return post_atomic<Status>(*core_, shard, std::move(function), 0, options);
}

// --- On a shard ---

Task<Updated> Shard::update(const Family& family, Bytes key, const UpdateFunction& function, const CommitOptions& options) {
  if (!is_mine(family, key)) {
    co_return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
  }
  AtomicUpdate update(family, key, function);
  AtomicWork work{AtomicFunction(std::ref(update))};
  const Status status = co_await run_on_shard(engine_, &work, options);
  if (!status.is_ok()) {
    co_return std::unexpected(status);
  }
  co_return update.take_value();
}

Task<Status> Shard::compare_and_set(const Family& family, Bytes key, std::optional<Bytes> expected,
                                    std::optional<Bytes> desired, const CommitOptions& options) {
  if (!is_mine(family, key)) {
    co_return Status(Code::kInvalidArgument).with_shard(id());
  }
  PENSTOCK_CO_TRY(check_value(desired));
  AtomicWork work(engine::compare_and_set_function(family, key, expected, desired));
  co_return co_await run_on_shard(engine_, &work, options);
}

Task<Status> Shard::put_if_absent(const Family& family, Bytes key, Bytes value, const CommitOptions& options) {
  if (!is_mine(family, key)) {
    co_return Status(Code::kInvalidArgument).with_shard(id());
  }
  PENSTOCK_CO_TRY(check_value(value));
  AtomicWork work(engine::put_if_absent_function(family, key, value));
  co_return co_await run_on_shard(engine_, &work, options);
}

Task<Status> Shard::atomically(const AtomicFunction& function, const CommitOptions& options) {
  AtomicWork work(function);
  co_return co_await run_on_shard(engine_, &work, options);
}

}  // namespace penstock
