// Clients of a peer: threads that make one call after another. Every value that is read is checked.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/key_choice.h"

namespace penstock::bench {

namespace {

// What the three kinds have in common: calls that begin when they are due, and the clock of each.
class Caller {
 public:
  Caller(Run& run, std::uint32_t client, ClientResult& result)
      : run_(run),
        job_(run.load.job),
        counters_(run.load.counters[client]),
        result_(result),
        pacer_(pacer_of(job_, client)),
        peer_(run.load.peer->client()),
        key_(job_.key_size, '\0') {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  virtual ~Caller() = default;

  /// `limit`: operations of this client.
  void run(std::uint64_t limit) {
    pacer_.begin(run_.start_ns);
    std::uint64_t at_ns = now_ns();
    while (result_.issued < limit && !run_.should_stop(at_ns)) {
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(limit - result_.issued, calls_with()));
      prepare(count);
      if (!wait_until_due(run_, pacer_, sleep_ns)) {
        break;
      }
      at_ns = now_ns();
      const std::uint64_t start_ns = pacer_.take(at_ns, count);
      result_.issued += count;
      call(count);
      at_ns = now_ns();
      note(at_ns - start_ns, count);
    }
    result_.behind_ns = result_.issued < limit ? pacer_.behind_ns(at_ns) : 0;
  }

 protected:
  const Job& job() const { return job_; }
  const Dataset& dataset() const { return run_.load.dataset; }
  ClientCounters& counters() { return counters_; }
  ClientResult& result() { return result_; }
  PeerClient& peer() { return *peer_; }
  std::string& key() { return key_; }
  std::string_view key_of(std::uint64_t number) {
    dataset().fill_key(static_cast<std::uint32_t>(number), key_.data());
    return key_;
  }

  /// Operations of a call, at most.
  virtual std::uint32_t calls_with() const = 0;
  /// What is not the engine's work, before the clock runs.
  virtual void prepare(std::uint32_t count) = 0;
  virtual void call(std::uint32_t count) = 0;
  virtual void note(std::uint64_t latency_ns, std::uint32_t count) = 0;

 private:
  Run& run_;
  const Job& job_;
  ClientCounters& counters_;
  ClientResult& result_;
  Pacer pacer_;
  std::unique_ptr<PeerClient> peer_;
  std::string key_;
};

class PeerWriter final : public Caller {
 public:
  PeerWriter(Run& run, std::uint32_t client, ClientResult& result)
      : Caller(run, client, result), plan_(job(), run.load.permutation, client), value_(job().value_size, '\0') {}
  std::uint64_t limit() const { return plan_.step_count(); }

 protected:
  std::uint32_t calls_with() const override { return job().batch; }
  void prepare(std::uint32_t count) override {
    for (std::uint32_t at = 0; at < count; ++at) {
      const Step step = plan_.next();
      dataset().fill_value(step.family, step.number, step.version, value_.data());
      peer().put(step.family, key_of(step.number), value_);
    }
  }
  void call(std::uint32_t /*count*/) override { peer().commit(); }
  void note(std::uint64_t latency_ns, std::uint32_t count) override {
    result().latency.record(latency_ns);
    add(counters().operations, count);
    add(counters().commits, 1);
    add(counters().acknowledged, count);
  }

 private:
  Plan plan_;
  std::string value_;
};

// With session=1 a call asks for iodepth keys, and each of them has the latency of the call.
class PeerReader final : public Caller {
 public:
  PeerReader(Run& run, std::uint32_t client, ClientResult& result)
      : Caller(run, client, result),
        choice_(job(), job().keys, job().seed + client + kReadStream),
        numbers_(job().iodepth),
        keys_(job().iodepth, key()),
        limit_(limit_of(job(), client)) {}
  std::uint64_t limit() const { return limit_; }

 protected:
  std::uint32_t calls_with() const override { return job().iodepth; }
  void prepare(std::uint32_t count) override {
    keys_.resize(count);
    for (std::uint32_t at = 0; at < count; ++at) {
      numbers_[at] = static_cast<std::uint32_t>(choice_.next());
      keys_[at] = key_of(numbers_[at]);
    }
  }
  void call(std::uint32_t count) override {
    if (count == 1) {
      check(0, peer().get(0, keys_.front()));
    } else {
      peer().multi_get(0, keys_, [this](std::size_t at, std::optional<std::string_view> value) { check(at, value); });
    }
  }
  void note(std::uint64_t latency_ns, std::uint32_t count) override {
    result().latency.record_many(latency_ns, count);
    add(counters().operations, count);
  }

 private:
  void check(std::size_t at, std::optional<std::string_view> value) {
    if (!value.has_value()) {
      throw JobError(fmt::format("get of key {}: it is not there", numbers_[at]));
    }
    if (!dataset().value_version(0, numbers_[at], *value).has_value()) {
      throw JobError(fmt::format("get of key {}: the value is not one that was written", numbers_[at]));
    }
  }

  KeyChoice choice_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::string> keys_;
  std::uint64_t limit_;
};

class PeerScanner final : public Caller {
 public:
  PeerScanner(Run& run, std::uint32_t client, ClientResult& result)
      : Caller(run, client, result),
        choice_(job(), job().keys, job().seed + client + kScanStream),
        limit_(limit_of(job(), client)) {}
  std::uint64_t limit() const { return limit_; }

 protected:
  std::uint32_t calls_with() const override { return 1; }
  void prepare(std::uint32_t /*count*/) override { key_of(choice_.next()); }
  void call(std::uint32_t /*count*/) override {
    peer().scan(0, key(), job().scan_rows, [this](std::string_view row_key, std::string_view value) {
      if (row_key.size() != dataset().key_size() ||
          !dataset().value_version(0, dataset().number_of(row_key), value).has_value()) {
        throw JobError("scan: a row is not one that was written");
      }
      return true;
    });
  }
  void note(std::uint64_t latency_ns, std::uint32_t /*count*/) override {
    result().latency.record(latency_ns);
    add(counters().operations, 1);
  }

 private:
  KeyChoice choice_;
  std::uint64_t limit_;
};

// A client that the engine refuses does not keep the others waiting.
template <typename Kind>
void run_caller(Run& run, std::uint32_t client, ClientResult& result) {
  std::unique_ptr<Kind> caller;
  try {
    caller = std::make_unique<Kind>(run, client, result);
  } catch (...) {
    run.failed = true;
    run.start.arrive_and_wait();
    throw;
  }
  run.start.arrive_and_wait();
  caller->run(caller->limit());
}

}  // namespace

void write_to_peer(Run& run, std::uint32_t client, ClientResult& result) { run_caller<PeerWriter>(run, client, result); }
void read_from_peer(Run& run, std::uint32_t client, ClientResult& result) { run_caller<PeerReader>(run, client, result); }
void scan_from_peer(Run& run, std::uint32_t client, ClientResult& result) { run_caller<PeerScanner>(run, client, result); }

}  // namespace penstock::bench
