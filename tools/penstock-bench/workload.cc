#include "tools/penstock-bench/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <barrier>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "penstock/session.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {

std::atomic<bool> g_interrupted{false};

namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);  // One writer.
}

// Share of `total` that client `client` of `clients` gets; the shares add up to total.
std::uint64_t share_begin(std::uint64_t total, std::uint32_t client, std::uint32_t clients) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(total) * client / clients);
}

// Takes the time when the last client is ready: before any of them goes on.
struct Clock {
  std::uint64_t runtime_ns;
  std::atomic<std::uint64_t>* start_ns;
  std::atomic<std::uint64_t>* deadline_ns;
  void operator()() const noexcept {
    *start_ns = now_ns();
    *deadline_ns = runtime_ns == 0 ? kUnlimited : *start_ns + runtime_ns;
  }
};

// What the clients of a run share.
struct Run {
  explicit Run(const Load& with)
      : load(with),
        start(with.job.clients, Clock{.runtime_ns = with.job.runtime_ns, .start_ns = &start_ns, .deadline_ns = &deadline_ns}) {}

  const Load& load;
  std::atomic<std::uint64_t> start_ns{0};
  std::atomic<std::uint64_t> deadline_ns{kUnlimited};
  std::atomic<bool> failed{false};
  std::barrier<Clock> start;

  // Of each shard, the numbers of its keys; made for the first client that asks.
  const std::vector<std::uint32_t>& numbers_of(ShardId shard) {
    std::call_once(numbers_made_, [this] {
      numbers_by_shard_.resize(load.database.shard_count());
      std::string key(load.job.key_size, '\0');
      for (std::uint32_t number = 0; number < load.job.keys; ++number) {
        load.dataset.fill_key(number, key.data());
        numbers_by_shard_[load.families.front().shard_of(key)].push_back(number);
      }
    });
    return numbers_by_shard_[shard];
  }

  bool should_stop(std::uint64_t at_ns) const {
    return failed.load(std::memory_order_relaxed) || g_interrupted.load(std::memory_order_relaxed) ||
           at_ns >= deadline_ns.load(std::memory_order_relaxed);
  }

 private:
  std::once_flag numbers_made_;
  std::vector<std::vector<std::uint32_t>> numbers_by_shard_;
};

class Writer {
 public:
  Writer(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        plan_(job_, run.load.permutation, client),
        key_(job_.key_size, '\0'),
        value_(job_.value_size, '\0') {}

  void run() {
    std::uint64_t left = plan_.step_count();
    std::uint64_t at_ns = now_ns();
    while (left > 0 && result_.error.empty() && !run_.should_stop(at_ns)) {
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, job_.batch));
      Batch batch = fill(count);
      at_ns = now_ns();
      in_flight_.push_back({send(std::move(batch)), at_ns, count});
      result_.issued += count;
      left -= count;
      if (in_flight_.size() >= job_.iodepth) {
        finish_oldest();
      }
    }
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
    return is_one_shard ? run_.load.database.commit(std::move(batch), options)
                        : run_.load.database.write_each(std::move(batch), options);
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
  std::string key_;
  std::string value_;
  std::deque<Call> in_flight_;
  std::vector<Batch> spare_;
};

class Reader {
 public:
  Reader(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        random_(mix_bits(job_.seed + client + 0x5ead)),
        limit_(job_.ops == 0 ? kUnlimited
                             : share_begin(job_.ops, client + 1, job_.clients) - share_begin(job_.ops, client, job_.clients)),
        key_(job_.key_size, '\0') {}

  void run() {
    std::uint64_t at_ns = now_ns();
    while (result_.issued < limit_ && !run_.should_stop(at_ns)) {
      const auto number = static_cast<std::uint32_t>(random_.below(job_.keys));
      run_.load.dataset.fill_key(number, key_.data());
      at_ns = now_ns();
      in_flight_.push_back({run_.load.database.get(run_.load.families.front(), key_), at_ns, number});
      ++result_.issued;
      if (in_flight_.size() >= job_.iodepth) {
        finish_oldest();
      }
    }
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
  base::Random random_;
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
        session_(run.load.database, std::clamp(job_.iodepth / 2, 1U, 64U)),
        random_(mix_bits(job_.seed + client + 0x5ead)),
        limit_(job_.ops == 0 ? kUnlimited : job_.ops / job_.clients),
        key_(job_.key_size, '\0'),
        asked_(job_.iodepth) {
    for (std::uint32_t slot = 0; slot < job_.iodepth; ++slot) {
      free_.push_back(slot);
    }
  }

  void run() {
    const auto check = [this](std::uint64_t slot, const Result<Bytes>& value) { finish(slot, value); };
    now_ns_ = now_ns();
    while (result_.issued < limit_ && !run_.should_stop(now_ns_)) {
      while (!free_.empty()) {
        ask();
      }
      session_.wait(check);
      now_ns_ = now_ns();
    }
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
    const auto number = static_cast<std::uint32_t>(random_.below(job_.keys));
    run_.load.dataset.fill_key(number, key_.data());
    asked_[slot] = {.start_ns = now_ns_, .number = number};
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
  base::Random random_;
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
        shard_(static_cast<ShardId>(client % run.load.database.shard_count())),
        random_(mix_bits(run.load.job.seed + client + 0x5ead)),
        limit_(run.load.job.ops == 0 ? kUnlimited : run.load.job.ops / run.load.job.clients),
        key_(run.load.job.key_size, '\0'),
        numbers_(run.numbers_of(shard_)) {}

  void run() {
    const Status status = run_.load.database.run_on(shard_, &ShardReader::read, this).get();
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
      for (std::uint32_t turn = 0; turn < kReadsPerTurn; ++turn) {
        const std::uint32_t number = self->numbers_[self->random_.below(self->numbers_.size())];
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
        const std::uint64_t now = now_ns();
        self->result_.latency.record(now - at_ns);
        at_ns = now;
      }
      add(self->counters_.operations, kReadsPerTurn);
      co_await shard.yield();
    }
    co_return Status();
  }

  Run& run_;
  ClientCounters& counters_;
  ClientResult& result_;
  const Family family_;
  const ShardId shard_;
  base::Random random_;
  const std::uint64_t limit_;
  std::string key_;
  const std::vector<std::uint32_t>& numbers_;
};

void run_client(Run& run, std::uint32_t client, ClientResult& result) {
  try {
    // Made before the start: what a client prepares is not part of the time.
    if (run.load.job.on_shard) {
      ShardReader reader(run, client, result);
      run.start.arrive_and_wait();
      reader.run();
    } else if (run.load.job.session) {
      SessionReader reader(run, client, result);
      run.start.arrive_and_wait();
      reader.run();
    } else if (op_reads(run.load.job.op)) {
      Reader reader(run, client, result);
      run.start.arrive_and_wait();
      reader.run();
    } else {
      Writer writer(run, client, result);
      run.start.arrive_and_wait();
      writer.run();
    }
  } catch (const std::exception& error) {
    result.error = error.what();
    run.failed = true;
  }
}

ProgressSample sample(const Load& load, std::uint64_t total, std::uint64_t start_ns) {
  ProgressSample sum;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    sum.operations += load.counters[client].operations.load(std::memory_order_relaxed);
    sum.commits += load.counters[client].commits.load(std::memory_order_relaxed);
  }
  if (total != kUnlimited && total > 0) {
    sum.part_done = static_cast<double>(sum.operations) / static_cast<double>(total);
  }
  if (load.job.runtime_ns > 0 && start_ns > 0) {
    sum.part_done =
        std::max(sum.part_done, static_cast<double>(now_ns() - start_ns) / static_cast<double>(load.job.runtime_ns));
  }
  return sum;
}

// Operations that end the job; kUnlimited if only time does.
std::uint64_t total_steps(const Load& load) {
  if (op_reads(load.job.op)) {
    return load.job.ops == 0 ? kUnlimited : load.job.ops;
  }
  std::uint64_t total = 0;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    const std::uint64_t steps = Plan(load.job, load.permutation, client).step_count();
    if (steps == kUnlimited) {
      return kUnlimited;
    }
    total += steps;
  }
  return total;
}

}  // namespace

Plan::Plan(const Job& job, const Permutation& permutation, std::uint32_t client)
    : permutation_(&permutation),
      op_(job.op),
      client_(client),
      clients_(job.clients),
      family_(client % job.families),
      random_(mix_bits(job.seed * 0x9e3779b97f4a7c15ULL + client)) {
  if (op_ == Op::kBatchPut || op_ == Op::kRecovery) {
    step_count_ = job.commits * job.batch;
    first_ = client / job.families * step_count_;
  } else if (op_ == Op::kFillRandom) {
    first_ = share_begin(job.keys, client, clients_);
    step_count_ = share_begin(job.keys, client + 1, clients_) - first_;
  } else {
    key_count_ = (job.keys - client + clients_ - 1) / clients_;  // Numbers client, client + clients, ... below keys.
    step_count_ = kUnlimited;
  }
  if (job.ops > 0) {
    step_count_ = std::min(step_count_, share_begin(job.ops, client + 1, clients_) - share_begin(job.ops, client, clients_));
  }
}

Step Plan::next() noexcept {
  const std::uint64_t taken = taken_++;
  if (op_ == Op::kBatchPut || op_ == Op::kRecovery) {
    return {.family = family_, .number = static_cast<std::uint32_t>(first_ + taken), .version = 0};
  }
  if (op_ == Op::kFillRandom) {
    return {.family = 0, .number = permutation_->at(static_cast<std::uint32_t>(first_ + taken)), .version = 0};
  }
  const auto number = static_cast<std::uint32_t>(client_ + random_.below(key_count_) * clients_);
  return {.family = 0, .number = number, .version = static_cast<std::uint32_t>(taken + 1)};
}

std::string family_name(const Job& job, std::uint32_t family) {
  return job.families == 1 ? std::string("bench") : fmt::format("bench-{}", family);
}

std::vector<Family> open_families(Database& database, const Job& job) {
  std::vector<Family> families;
  for (std::uint32_t family = 0; family < job.families; ++family) {
    const std::string name = family_name(job, family);
    FamilyOptions options;
    options.placement = job.placement;
    families.push_back(require(database.open_or_create_family(name, options).get(), "opening family " + name));
  }
  return families;
}

LoadResult run_load(const Load& load, Eta eta, char letter) {
  LoadResult result;
  Run run(load);
  std::vector<std::thread> threads;
  for (std::uint32_t client = 0; client < load.job.clients; ++client) {
    result.clients.push_back(std::make_unique<ClientResult>());
    threads.emplace_back(run_client, std::ref(run), client, std::ref(*result.clients.back()));
  }
  {
    const Progress progress(fmt::format("{} (c={})", load.job.name, load.job.clients), letter, eta,
                            [&, total = total_steps(load)] { return sample(load, total, run.start_ns); });
    for (std::thread& thread : threads) {
      thread.join();
    }
    result.elapsed_ns = now_ns() - run.start_ns;
  }
  for (const auto& client : result.clients) {
    if (result.error.empty()) {
      result.error = client->error;
    }
  }
  return result;
}

}  // namespace penstock::bench
