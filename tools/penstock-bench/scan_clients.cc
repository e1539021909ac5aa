// Clients that walk over some rows from a random key on. Every value is checked.
#include <fmt/format.h>

#include <string>
#include <utility>

#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/key_choice.h"

namespace penstock::bench {

namespace {

/// What both kinds of scanners know of rows.
class Checker {
 public:
  Checker(Run& run, ClientResult& result) : run_(run), result_(result) {}

  bool accepts(Bytes key, Bytes value) {
    const Dataset& dataset = run_.load.dataset;
    const bool is_ours =
        key.size() == dataset.key_size() && dataset.value_version(0, dataset.number_of(key), value).has_value();
    if (!is_ours) {
      fail("scan: a row is not one that was written");
    }
    return is_ours;
  }

  void fail(std::string error) {
    if (result_.error.empty()) {
      result_.error = std::move(error);
    }
    run_.failed.store(true, std::memory_order_relaxed);
  }

 private:
  Run& run_;
  ClientResult& result_;
};

class Scanner {
 public:
  Scanner(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        checker_(run, result),
        choice_(job_, job_.keys, job_.seed + client + kScanStream),
        pacer_(pacer_of(job_, client)),
        limit_(limit_of(job_, client)),
        key_(job_.key_size, '\0') {}

  void run() {
    pacer_.begin(run_.start_ns);
    std::uint64_t at_ns = now_ns();
    while (result_.issued < limit_ && !run_.should_stop(at_ns)) {
      if (!pacer_.is_due(at_ns)) {
        if (!wait_until_due(run_, pacer_, sleep_ns)) {
          break;
        }
        at_ns = now_ns();
      }
      const std::uint64_t start_ns = pacer_.take(at_ns, 1);
      run_.load.dataset.fill_key(static_cast<std::uint32_t>(choice_.next()), key_.data());
      ++result_.issued;
      const Result<ScanResult> rows =
          run_.load.database->scan(run_.load.families.front(), {.from = key_, .to = {}, .rows_max = job_.scan_rows}).get();
      if (!rows.has_value()) {
        checker_.fail("scan: " + rows.error().to_string());
        return;
      }
      for (const Row& row : rows->rows) {
        if (!checker_.accepts(row.key, row.value)) {
          return;
        }
      }
      at_ns = now_ns();
      result_.latency.record(at_ns - start_ns);
      add(counters_.operations, 1);
    }
    result_.behind_ns = result_.issued < limit_ ? pacer_.behind_ns(at_ns) : 0;
  }

 private:
  Run& run_;
  const Job& job_;
  ClientCounters& counters_;
  ClientResult& result_;
  Checker checker_;
  KeyChoice choice_;
  Pacer pacer_;
  const std::uint64_t limit_;
  std::string key_;
};

// A coroutine on a shard, over the rows there. Its thread only waits for it.
class ShardScanner {
 public:
  ShardScanner(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        counters_(run.load.counters[client]),
        result_(result),
        checker_(run, result),
        shard_(static_cast<ShardId>(client % run.load.database->shard_count())),
        pacer_(pacer_of(run.load.job, client)),
        limit_(limit_of(run.load.job, client)),
        key_(run.load.job.key_size, '\0'),
        numbers_(run.numbers_of(shard_)),
        choice_(run.load.job, numbers_.size(), run.load.job.seed + client + kScanStream) {}

  void run() {
    pacer_.begin(run_.start_ns);
    const Status status = run_.load.database->run_on(shard_, &ShardScanner::scan, this).get();
    if (!status.is_ok()) {
      checker_.fail("scanning on the shard: " + status.to_string());
    }
  }

 private:
  static Task<Status> scan(Shard& shard, ShardScanner* self) {
    const Job& job = self->run_.load.job;
    std::uint64_t at_ns = now_ns();
    while (self->result_.issued < self->limit_ && !self->run_.should_stop(at_ns)) {
      if (!self->pacer_.is_due(at_ns)) {
        const bool is_due = co_await sleep_until_due(self->run_, self->pacer_);
        if (!is_due) {
          break;
        }
        at_ns = now_ns();
      }
      const std::uint64_t start_ns = self->pacer_.take(at_ns, 1);
      self->run_.load.dataset.fill_key(self->numbers_[self->choice_.next()], self->key_.data());
      ++self->result_.issued;
      Result<RowCursor> cursor = shard.rows(self->run_.load.families.front());
      if (!cursor.has_value()) {
        co_return cursor.error();
      }
      Status status;
      if (!cursor->try_seek(self->key_)) {
        status = co_await cursor->seek(self->key_);
      }
      for (std::uint32_t row = 0; status.is_ok() && row < job.scan_rows && cursor->valid(); ++row) {
        if (!self->checker_.accepts(cursor->key(), cursor->value())) {
          co_return Status(Code::kCorruption);
        }
        if (row + 1 < job.scan_rows && !cursor->try_next()) {
          status = co_await cursor->next();
        }
      }
      if (!status.is_ok()) {
        co_return status;
      }
      at_ns = now_ns();
      self->result_.latency.record(at_ns - start_ns);
      add(self->counters_.operations, 1);
      co_await shard.yield();
      at_ns = self->pacer_.is_paced() ? now_ns() : at_ns;
    }
    self->result_.behind_ns = self->result_.issued < self->limit_ ? self->pacer_.behind_ns(at_ns) : 0;
    co_return Status();
  }

  Run& run_;
  ClientCounters& counters_;
  ClientResult& result_;
  Checker checker_;
  const ShardId shard_;
  Pacer pacer_;
  const std::uint64_t limit_;
  std::string key_;
  const std::vector<std::uint32_t>& numbers_;
  KeyChoice choice_;  // Among numbers_.
};

}  // namespace

void scan_from_thread(Run& run, std::uint32_t client, ClientResult& result) {
  Scanner scanner(run, client, result);
  run.start.arrive_and_wait();
  scanner.run();
}

void scan_on_shard(Run& run, std::uint32_t client, ClientResult& result) {
  ShardScanner scanner(run, client, result);
  run.start.arrive_and_wait();
  scanner.run();
}

}  // namespace penstock::bench
