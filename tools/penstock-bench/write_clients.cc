// Clients that write.
#include <chrono>
#include <deque>
#include <utility>

#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {

namespace {

class Writer {
 public:
  Writer(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        plan_(job_, run.load.permutation, client),
        pacer_(pacer_of(job_, client)),
        key_(job_.key_size, '\0'),
        value_(job_.value_size, '\0') {}

  void run() {
    pacer_.begin(run_.start_ns);
    std::uint64_t left = plan_.step_count();
    std::uint64_t at_ns = now_ns();
    while (left > 0 && result_.error.empty() && !run_.should_stop(at_ns)) {
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, job_.batch));
      Batch batch = fill(count);
      if (!wait_until_due(run_, pacer_, [this](std::uint64_t duration_ns) { wait(duration_ns); })) {
        break;
      }
      at_ns = now_ns();
      const std::uint64_t start_ns = pacer_.take(at_ns, count);
      in_flight_.push_back({send(std::move(batch)), start_ns, count});
      result_.issued += count;
      left -= count;
      if (in_flight_.size() >= job_.iodepth) {
        finish_oldest();
      }
    }
    result_.behind_ns = left > 0 ? pacer_.behind_ns(now_ns()) : 0;
    while (!in_flight_.empty()) {
      finish_oldest();
    }
  }

 private:
  struct Call {
    Future<CommitResult> future;
    std::uint64_t start_ns;
    std::uint32_t operations;
  };

  Batch fill(std::uint32_t count) {
    Batch batch;
    if (!spare_.empty()) {
      batch = std::move(spare_.back());
      spare_.pop_back();
    }
    for (std::uint32_t at = 0; at < count; ++at) {
      const Step step = plan_.next();
      run_.load.dataset.fill_key(step.number, key_.data());
      run_.load.dataset.fill_value(step.family, step.number, step.version, value_.data());
      require(batch.put(run_.load.families[step.family], key_, value_), "put");
    }
    return batch;
  }

  // A family that is hashed spreads a batch over shards, where each part is atomic by itself.
  Future<CommitResult> send(Batch batch) {
    const CommitOptions options{.durability = job_.durability};
    const bool is_one_shard = batch.shard_count() <= 1;
    return is_one_shard ? run_.load.database->commit(std::move(batch), options)
                        : run_.load.database->write_each(std::move(batch), options);
  }

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
    CommitResult answer = call.future.get();
    if (!answer.status.is_ok()) {
      if (result_.error.empty()) {
        result_.error = "commit: " + answer.status.to_string();
      }
      run_.failed.store(true, std::memory_order_relaxed);
      return;
    }
    result_.latency.record(now_ns() - call.start_ns);
    spare_.push_back(std::move(answer.batch));
    add(counters_.operations, call.operations);
    add(counters_.commits, 1);
    if (result_.error.empty()) {  // Workload-I2: nothing after a failed commit counts.
      add(counters_.acknowledged, call.operations);
    }
  }

  Run& run_;
  const Job& job_;
  ClientCounters& counters_;
  ClientResult& result_;
  Plan plan_;
  Pacer pacer_;
  std::string key_;
  std::string value_;
  std::deque<Call> in_flight_;
  std::vector<Batch> spare_;
};

// A coroutine on the shard of a pinned family, one operation per commit. Its thread only waits for it.
class ShardWriter {
 public:
  ShardWriter(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        counters_(run.load.counters[client]),
        result_(result),
        plan_(run.load.job, run.load.permutation, client),
        pacer_(pacer_of(run.load.job, client)),
        key_(run.load.job.key_size, '\0'),
        value_(run.load.job.value_size, '\0') {}

  void run() {
    pacer_.begin(run_.start_ns);
    const ShardId shard = run_.load.families.front().shard_of(key_);  // Pinned: the same for every key.
    const Status status = run_.load.database->run_on(shard, &ShardWriter::write, this).get();
    if (!status.is_ok()) {
      result_.error = "commit on the shard: " + status.to_string();
      run_.failed.store(true, std::memory_order_relaxed);
    }
  }

 private:
  static Task<Status> write(Shard& shard, ShardWriter* self) {
    const CommitOptions options{.durability = self->run_.load.job.durability};
    std::uint64_t left = self->plan_.step_count();
    std::uint64_t at_ns = now_ns();
    for (; left > 0 && !self->run_.should_stop(at_ns); --left) {
      if (!self->pacer_.is_due(at_ns)) {
        const bool is_due = co_await sleep_until_due(self->run_, self->pacer_);
        if (!is_due) {
          break;
        }
        at_ns = now_ns();
      }
      const std::uint64_t start_ns = self->pacer_.take(at_ns, 1);
      const Step step = self->plan_.next();
      self->run_.load.dataset.fill_key(step.number, self->key_.data());
      self->run_.load.dataset.fill_value(step.family, step.number, step.version, self->value_.data());
      ++self->result_.issued;
      const Status status = co_await shard.put(self->run_.load.families.front(), self->key_, self->value_, options);
      if (!status.is_ok()) {
        co_return status;
      }
      at_ns = now_ns();
      self->result_.latency.record(at_ns - start_ns);
      add(self->counters_.operations, 1);
      add(self->counters_.commits, 1);
      add(self->counters_.acknowledged, 1);
    }
    self->result_.behind_ns = left > 0 ? self->pacer_.behind_ns(at_ns) : 0;
    co_return Status();
  }

  Run& run_;
  ClientCounters& counters_;
  ClientResult& result_;
  Plan plan_;
  Pacer pacer_;
  std::string key_;
  std::string value_;
};

}  // namespace

void write_from_thread(Run& run, std::uint32_t client, ClientResult& result) {
  Writer writer(run, client, result);
  run.start.arrive_and_wait();
  writer.run();
}

void write_on_shard(Run& run, std::uint32_t client, ClientResult& result) {
  ShardWriter writer(run, client, result);
  run.start.arrive_and_wait();
  writer.run();
}

}  // namespace penstock::bench
