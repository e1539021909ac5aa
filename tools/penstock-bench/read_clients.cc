// Clients that read. Every value is checked.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

#include "penstock/session.h"
#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/key_choice.h"

namespace penstock::bench {

namespace {

class Reader {
 public:
  Reader(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        choice_(job_, job_.keys, job_.seed + client + kReadStream),
        pacer_(pacer_of(job_, client)),
        limit_(limit_of(job_, client)),
        key_(job_.key_size, '\0') {}

  void run() {
    pacer_.begin(run_.start_ns);
    std::uint64_t at_ns = now_ns();
    while (result_.issued < limit_ && !run_.should_stop(at_ns)) {
      const auto number = static_cast<std::uint32_t>(choice_.next());
      run_.load.dataset.fill_key(number, key_.data());
      if (!wait_until_due(run_, pacer_, [this](std::uint64_t duration_ns) { wait(duration_ns); })) {
        break;
      }
      at_ns = now_ns();
      const std::uint64_t start_ns = pacer_.take(at_ns, 1);
      in_flight_.push_back({run_.load.database->get(run_.load.families.front(), key_), start_ns, number});
      ++result_.issued;
      if (in_flight_.size() >= job_.iodepth) {
        finish_oldest();
      }
    }
    result_.behind_ns = result_.issued < limit_ ? pacer_.behind_ns(now_ns()) : 0;
    while (!in_flight_.empty()) {
      finish_oldest();
    }
  }

 private:
  struct Call {
    Future<Result<std::string>> future;
    std::uint64_t start_ns;
    std::uint32_t number;
  };

  void wait(std::uint64_t duration_ns) {
    if (in_flight_.empty()) {
      sleep_ns(duration_ns);
    } else if (in_flight_.front().future.wait_for(std::chrono::nanoseconds(duration_ns))) {
      finish_oldest();
    }
  }

  void finish_oldest() {
    Call call = std::move(in_flight_.front());
    in_flight_.pop_front();
    const Result<std::string> value = call.future.get();
    result_.latency.record(now_ns() - call.start_ns);
    if (!value.has_value()) {
      fail(fmt::format("get of key {}: {}", call.number, value.error().to_string()));
    } else if (!run_.load.dataset.value_version(0, call.number, *value).has_value()) {
      fail(fmt::format("get of key {}: the value is not one that was written", call.number));
    } else {
      add(counters_.operations, 1);
    }
  }

  void fail(std::string error) {
    if (result_.error.empty()) {
      result_.error = std::move(error);
    }
    run_.failed.store(true, std::memory_order_relaxed);
  }

  Run& run_;
  const Job& job_;
  ClientCounters& counters_;
  ClientResult& result_;
  KeyChoice choice_;
  Pacer pacer_;
  const std::uint64_t limit_;
  std::string key_;
  std::deque<Call> in_flight_;
};

// A client whose gets travel together.
class SessionReader {
 public:
  SessionReader(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        session_(*run.load.database, std::clamp(job_.iodepth / 2, 1U, 64U)),
        choice_(job_, job_.keys, job_.seed + client + kReadStream),
        pacer_(pacer_of(job_, client)),
        limit_(limit_of(job_, client)),
        key_(job_.key_size, '\0'),
        asked_(job_.iodepth) {
    for (std::uint32_t slot = 0; slot < job_.iodepth; ++slot) {
      free_.push_back(slot);
    }
  }

  void run() {
    const auto check = [this](std::uint64_t slot, const Result<Bytes>& value) { finish(slot, value); };
    pacer_.begin(run_.start_ns);
    now_ns_ = now_ns();
    while (result_.issued < limit_ && !run_.should_stop(now_ns_)) {
      while (!free_.empty() && result_.issued < limit_ && pacer_.is_due(now_ns_)) {
        ask();
      }
      const std::uint64_t nap_ns = run_.nap_ns(pacer_.wake_ns(), now_ns_);
      if (free_.empty() || !pacer_.is_paced()) {
        session_.wait(check);
      } else if (session_.pending() == 0) {
        sleep_ns(nap_ns);
      } else {
        session_.wait_for(std::chrono::nanoseconds(nap_ns), check);
      }
      now_ns_ = now_ns();
    }
    result_.behind_ns = result_.issued < limit_ ? pacer_.behind_ns(now_ns_) : 0;
    while (session_.pending() > 0) {
      session_.wait(check);
    }
  }

 private:
  struct Asked {
    std::uint64_t start_ns = 0;
    std::uint32_t number = 0;
  };

  void ask() {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    const auto number = static_cast<std::uint32_t>(choice_.next());
    run_.load.dataset.fill_key(number, key_.data());
    asked_[slot] = {.start_ns = pacer_.take(now_ns_, 1), .number = number};
    session_.get(run_.load.families.front(), key_, slot);
    ++result_.issued;
  }

  void finish(std::uint64_t slot, const Result<Bytes>& value) {
    const Asked& asked = asked_[slot];
    result_.latency.record(now_ns() - asked.start_ns);
    free_.push_back(static_cast<std::uint32_t>(slot));
    if (value.has_value() && run_.load.dataset.value_version(0, asked.number, *value).has_value()) {
      add(counters_.operations, 1);
      return;
    }
    if (result_.error.empty()) {
      result_.error = fmt::format("get of key {}: {}", asked.number,
                                  value.has_value() ? "the value is not one that was written" : value.error().to_string());
    }
    run_.failed.store(true, std::memory_order_relaxed);
  }

  Run& run_;
  const Job& job_;
  ClientCounters& counters_;
  ClientResult& result_;
  Session session_;
  KeyChoice choice_;
  Pacer pacer_;
  const std::uint64_t limit_;
  std::string key_;
  std::vector<Asked> asked_;
  std::vector<std::uint32_t> free_;
  std::uint64_t now_ns_ = 0;
};

// The keys of one shard, and the coroutine there that reads them. Its thread only waits for it.
class ShardReader {
 public:
  ShardReader(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        counters_(run.load.counters[client]),
        result_(result),
        family_(run.load.families.front()),
        shard_(static_cast<ShardId>(client % run.load.database->shard_count())),
        pacer_(pacer_of(run.load.job, client)),
        limit_(limit_of(run.load.job, client)),
        key_(run.load.job.key_size, '\0'),
        numbers_(run.numbers_of(shard_)),
        choice_(run.load.job, numbers_.size(), run.load.job.seed + client + kReadStream) {}

  void run() {
    pacer_.begin(run_.start_ns);
    const Status status = run_.load.database->run_on(shard_, &ShardReader::read, this).get();
    if (!status.is_ok() && result_.error.empty()) {
      result_.error = "reading on the shard: " + status.to_string();
      run_.failed.store(true, std::memory_order_relaxed);
    }
  }

 private:
  static constexpr std::uint32_t kReadsPerTurn = 64;

  static Task<Status> read(Shard& shard, ShardReader* self) {
    std::uint64_t at_ns = now_ns();
    while (self->result_.issued < self->limit_ && !self->run_.should_stop(at_ns)) {
      std::uint32_t turn = 0;
      for (; turn < kReadsPerTurn && self->result_.issued < self->limit_ && self->pacer_.is_due(at_ns); ++turn) {
        const std::uint64_t start_ns = self->pacer_.take(at_ns, 1);
        const std::uint32_t number = self->numbers_[self->choice_.next()];
        self->run_.load.dataset.fill_key(number, self->key_.data());
        ++self->result_.issued;
        std::optional<Result<PinnedValue>> answer = shard.get_cached(self->family_, self->key_);
        if (!answer.has_value()) {
          answer = co_await shard.get_pinned(self->family_, self->key_);
        }
        if (!answer->has_value()) {
          co_return answer->error();
        }
        if (!self->run_.load.dataset.value_version(0, number, (*answer)->value()).has_value()) {
          co_return Status(Code::kCorruption);
        }
        at_ns = now_ns();
        self->result_.latency.record(at_ns - start_ns);
      }
      add(self->counters_.operations, turn);
      if (self->pacer_.is_due(at_ns)) {
        co_await shard.yield();
      } else {
        co_await sleep_until_due(self->run_, self->pacer_);
      }
      at_ns = self->pacer_.is_paced() ? now_ns() : at_ns;  // Without a rate a turn's first get waited for its turn.
    }
    self->result_.behind_ns = self->result_.issued < self->limit_ ? self->pacer_.behind_ns(at_ns) : 0;
    co_return Status();
  }

  Run& run_;
  ClientCounters& counters_;
  ClientResult& result_;
  const Family family_;
  const ShardId shard_;
  Pacer pacer_;
  const std::uint64_t limit_;
  std::string key_;
  const std::vector<std::uint32_t>& numbers_;
  KeyChoice choice_;  // Among numbers_.
};

}  // namespace

void read_from_thread(Run& run, std::uint32_t client, ClientResult& result) {
  Reader reader(run, client, result);
  run.start.arrive_and_wait();
  reader.run();
}

void read_through_session(Run& run, std::uint32_t client, ClientResult& result) {
  SessionReader reader(run, client, result);
  run.start.arrive_and_wait();
  reader.run();
}

void read_on_shard(Run& run, std::uint32_t client, ClientResult& result) {
  ShardReader reader(run, client, result);
  run.start.arrive_and_wait();
  reader.run();
}

}  // namespace penstock::bench
