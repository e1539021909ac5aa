// Clients of a job: what one thread, or one coroutine on a shard, does between the start and the end of a run.
//
// Invariants: those of workload.h and plan.h. Each function waits for the others at the start, works until its steps or the
// time are up, or something failed, and returns with nothing in flight. With a rate it waits before each call until that is
// due, and takes what is answered meanwhile.
//   Client-I1 A value that is read is one that was written under its key, or the job fails.
// Thread: the client's.
#pragma once

#include <atomic>
#include <barrier>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "penstock/task.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/plan.h"
#include "tools/penstock-bench/schedule.h"
#include "tools/penstock-bench/workload.h"

namespace penstock::bench {

inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);  // One writer.
}

class Run;

/// Where the clients of all jobs wait for each other. The last one sets the times of all jobs.
class StartLine {
 public:
  StartLine(std::ptrdiff_t clients, std::vector<Run*>& runs) : barrier_(clients, SetTimes{&runs}) {}
  void arrive_and_wait() { barrier_.arrive_and_wait(); }

 private:
  struct SetTimes {
    std::vector<Run*>* runs;
    void operator()() const noexcept;
  };
  std::barrier<SetTimes> barrier_;
};

/// What the clients of a job share.
class Run {
 public:
  explicit Run(const Load& with, std::uint64_t status_every_ns = 0) : load(with), status_ns(status_every_ns) {}

  /// Each client once, when it is ready: returns when its job begins.
  void start(StartLine& line);
  bool should_stop(std::uint64_t at_ns) const noexcept {
    return failed.load(std::memory_order_relaxed) || g_interrupted.load(std::memory_order_relaxed) ||
           at_ns >= deadline_ns.load(std::memory_order_relaxed);
  }
  /// How long a client that wants to be woken then may sleep before it asks should_stop() again.
  std::uint64_t nap_ns(std::uint64_t wake_ns, std::uint64_t at_ns) const noexcept;
  /// The keys of a family that a shard has; made for the first client that asks.
  const std::vector<std::uint32_t>& numbers_of(std::uint32_t family, ShardId shard);
  void set_times(std::uint64_t now) noexcept;

  const Load& load;
  const std::uint64_t status_ns;             ///< Clients publish their statistics so often; 0: never.
  std::atomic<std::uint32_t> ended{0};       ///< Clients that have.
  std::atomic<std::uint64_t> start_ns{0};    ///< 0: not begun.
  std::atomic<std::uint64_t> measure_ns{0};  ///< From then on calls count.
  std::atomic<std::uint64_t> deadline_ns{kUnlimited};
  std::atomic<std::uint64_t> end_ns{0};  ///< Of the last client that has ended.
  std::atomic<bool> failed{false};

 private:
  std::mutex numbers_mutex_;
  std::map<std::pair<std::uint32_t, ShardId>, std::vector<std::uint32_t>> numbers_;
};

/// What a call did, besides taking time.
struct Tally {
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t misses = 0;
};

/// What all kinds of clients have in common: their plan and pace, the checks of what they read, their statistics.
class ClientCore {
 public:
  ClientCore(Run& run, std::uint32_t client, ClientResult& result) : ClientCore(run, client, result, key_set(run, client)) {}
  ClientCore(Run& run, std::uint32_t client, ClientResult& result, const KeySet& set);

  Run& run() noexcept { return run_; }
  const Job& job() const noexcept { return job_; }
  Pacer& pacer() noexcept { return pacer_; }
  const Family& family(const Step& step) const { return run_.load.families[step.family]; }

  bool goes_on(std::uint64_t at_ns) const noexcept { return left_ > 0 && result_.error.empty() && !run_.should_stop(at_ns); }
  /// The next call; its operations count as issued from now on.
  Call next_call();
  Step next(OpKind kind) noexcept { return plan_.next(kind); }
  /// A call that was never made.
  void take_back(const Call& call) noexcept;
  /// Says how far behind the client is, when it has made its last call.
  void note_end(std::uint64_t at_ns) noexcept { result_.behind_ns = left_ > 0 ? pacer_.behind_ns(at_ns) : 0; }

  /// Each good until the next call of the same.
  Bytes key_of(std::uint32_t number);
  Bytes value_of(const Step& step);

  /// A put or a delete of `batch`: the step's. Counts its bytes.
  Status add_to(Batch& batch, const Step& step, Tally& tally);
  /// Checks the answer to a get, and counts it. False: the run fails.
  bool accepts(const Step& step, std::optional<Bytes> value, Tally& tally);
  bool accepts_row(std::uint32_t family, Bytes key, Bytes value, Tally& tally);

  /// `start_ns`: when it was due.
  void note(OpKind kind, std::uint64_t start_ns, std::uint64_t end_ns, const Tally& tally);
  /// Of a call that is handed over and answered later, beside note(): when it was begun and handed over.
  void note_parts(OpKind kind, std::uint64_t begun_ns, std::uint64_t sent_ns, std::uint64_t end_ns);
  /// So many calls are in flight now.
  void note_depth(std::size_t depth) noexcept;
  /// Whether a key of each commit is to be read back, and what of it was found. False: the run fails.
  bool reads_back() const noexcept { return job_.check.mode == VerifyMode::kInline && job_.verify; }
  bool accepts_back(const Step& step, std::optional<Bytes> value);
  void fail(std::string error);

 private:
  static KeySet key_set(Run& run, std::uint32_t client);
  void look_for_newest();
  void publish(std::uint64_t at_ns);

  Run& run_;
  const Job& job_;
  const std::uint32_t client_;
  ClientCounters& counters_;
  ClientResult& result_;
  Plan plan_;
  Pacer pacer_;
  std::uint64_t left_;
  std::uint64_t next_publish_ns_ = 0;
  bool follows_newest_;
  std::string key_;
  std::string value_;
};

/// Passes the time until the next call is due with `wait(nanoseconds)`, which may end earlier. False: the run ends before.
template <typename Wait>
bool wait_until_due(const Run& run, const Pacer& pacer, Wait wait) {
  if (!pacer.is_paced()) {
    return true;
  }
  for (std::uint64_t at_ns = now_ns(); !pacer.is_due(at_ns); at_ns = now_ns()) {
    if (run.should_stop(at_ns)) {
      return false;
    }
    wait(run.nap_ns(pacer.wake_ns(), at_ns));
  }
  return true;
}
/// The same for a coroutine, by the timers of its reactor, whose thread sleeps precisely from then on.
Task<bool> sleep_until_due(const Run& run, const Pacer& pacer);

/// The shard on which a client with placement=on_shard runs.
ShardId shard_of_client(const Run& run, std::uint32_t client);

/// A client that could not be made does not keep the others waiting.
template <typename Kind>
void run_client_as(Run& run, StartLine& line, std::uint32_t client, ClientResult& result) {
  std::unique_ptr<Kind> one;
  try {
    one = std::make_unique<Kind>(run, client, result);
  } catch (...) {
    run.failed = true;
    run.start(line);
    throw;
  }
  run.start(line);
  one->run();
}

using Client = void (*)(Run& run, StartLine& line, std::uint32_t client, ClientResult& result);
void call_from_thread(Run& run, StartLine& line, std::uint32_t client, ClientResult& result);
void get_through_session(Run& run, StartLine& line, std::uint32_t client, ClientResult& result);
void call_on_shard(Run& run, StartLine& line, std::uint32_t client, ClientResult& result);
void call_peer(Run& run, StartLine& line, std::uint32_t client, ClientResult& result);

}  // namespace penstock::bench
