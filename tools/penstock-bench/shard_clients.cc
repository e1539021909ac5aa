// Clients on the shards: coroutines that make one call after another where the data are. Their threads only wait for them.
#include <memory>
#include <utility>

#include "tools/penstock-bench/client.h"

namespace penstock::bench {

namespace {

class ShardClient {
 public:
  ShardClient(Run& run, std::uint32_t client, ClientResult& result)
      : core_(run, client, result), shard_(shard_of_client(run, client)) {}

  void run() {
    core_.pacer().begin(core_.run().start_ns);
    const Status status = core_.run().load.database->run_on(shard_, &ShardClient::work, this).get();
    if (!status.is_ok()) {
      core_.fail("on the shard: " + status.to_string());
    }
  }

 private:
  // So many calls that found all they wanted in memory, before others have their turn.
  static constexpr std::uint32_t kCallsPerTurn = 64;

  static Task<Status> work(Shard& shard, ShardClient* self) {
    ClientCore& core = self->core_;
    std::uint64_t at_ns = now_ns();
    std::uint32_t turn = 0;
    while (core.goes_on(at_ns)) {
      if (turn == kCallsPerTurn || !core.pacer().is_due(at_ns)) {
        if (!core.pacer().is_due(at_ns)) {
          const bool is_due = co_await sleep_until_due(core.run(), core.pacer());
          if (!is_due) {
            break;
          }
        } else {
          co_await shard.yield();
        }
        turn = 0;
        at_ns = core.pacer().is_paced() ? now_ns() : at_ns;  // Without a rate a turn's first call waited for its turn.
        continue;
      }
      ++turn;
      const Call call = core.next_call();
      const std::uint64_t start_ns = core.pacer().take(at_ns, call.operations);
      Tally tally{.operations = call.operations};
      Status status;
      if (call.kind == OpKind::kGet || call.kind == OpKind::kMultiget) {
        for (std::uint32_t at = 0; status.is_ok() && at < call.operations; ++at) {
          const Step step = core.next(call.kind);
          std::optional<Result<PinnedValue>> answer = shard.get_cached(core.family(step), core.key_of(step.number));
          if (!answer.has_value()) {
            answer = co_await shard.get_pinned(core.family(step), core.key_of(step.number));
          }
          status = self->judge(step, *answer, tally);
        }
      } else if (call.kind == OpKind::kScan) {
        status = co_await self->scan(shard, tally);
        turn = kCallsPerTurn;  // Long enough for a turn.
      } else {
        status = co_await self->write(shard, call, tally);
      }
      if (!status.is_ok()) {
        co_return status;
      }
      at_ns = now_ns();
      core.note(call.kind, start_ns, at_ns, tally);
    }
    core.note_end(at_ns);
    co_return Status();
  }

  Status judge(const Step& step, const Result<PinnedValue>& answer, Tally& tally) {
    if (!answer.has_value() && !answer.error().is(Code::kNotFound)) {
      return answer.error();
    }
    const bool is_good = core_.accepts(step, answer.has_value() ? std::optional(answer->value()) : std::nullopt, tally);
    return is_good ? Status() : Status(Code::kCorruption);
  }

  Task<Status> scan(Shard& shard, Tally& tally) {
    const Step step = core_.next(OpKind::kScan);
    const std::uint32_t rows_max = step.rows;
    Result<RowCursor> cursor = shard.rows(core_.family(step));
    if (!cursor.has_value()) {
      co_return cursor.error();
    }
    Status status;
    const Bytes from = core_.key_of(step.number);
    if (!cursor->try_seek(from)) {
      status = co_await cursor->seek(from);
    }
    for (std::uint32_t row = 0; status.is_ok() && row < rows_max && cursor->valid(); ++row) {
      if (!core_.accepts_row(step.family, cursor->key(), cursor->value(), tally)) {
        co_return Status(Code::kCorruption);
      }
      if (row + 1 < rows_max && !cursor->try_next()) {
        status = co_await cursor->next();
      }
    }
    co_return status;
  }

  Task<Status> write(Shard& shard, const Call& call, Tally& tally) {
    tally = {};
    batch_.clear();
    for (std::uint32_t at = 0; at < call.operations; ++at) {
      const Step step = core_.next(call.kind);
      if (call.kind == OpKind::kRmw) {
        std::optional<Result<PinnedValue>> answer = shard.get_cached(core_.family(step), core_.key_of(step.number));
        if (!answer.has_value()) {
          answer = co_await shard.get_pinned(core_.family(step), core_.key_of(step.number));
        }
        const Status status = judge(step, *answer, tally);
        if (!status.is_ok()) {
          co_return status;
        }
      }
      const Status status = core_.add_to(batch_, step, tally);
      if (!status.is_ok()) {
        co_return status;
      }
    }
    co_return co_await shard.commit(batch_, {.durability = core_.job().durability});
  }

  ClientCore core_;
  const ShardId shard_;
  Batch batch_;
};

}  // namespace

void call_on_shard(Run& run, StartLine& line, std::uint32_t client, ClientResult& result) {
  run_client_as<ShardClient>(run, line, client, result);
}

}  // namespace penstock::bench
