// Clients of a job: what one thread, or one coroutine on a shard, does between the start and the end of a run.
//
// Invariants: those of workload.h. Each function waits for the others at the start, works until its steps or the time are up,
// or something failed, and returns with nothing in flight. With a rate it waits before each call until that is due, and takes
// what is answered meanwhile. Thread: the client's.
#pragma once

#include <atomic>
#include <barrier>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "penstock/task.h"
#include "tools/penstock-bench/machine.h"
#include "tools/penstock-bench/schedule.h"
#include "tools/penstock-bench/workload.h"

namespace penstock::bench {

inline constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);  // One writer.
}

/// Share of `total` that client `client` of `clients` gets; the shares add up to total.
inline std::uint64_t share_begin(std::uint64_t total, std::uint32_t client, std::uint32_t clients) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(total) * client / clients);
}

/// Operations of a client that reads.
inline std::uint64_t limit_of(const Job& job, std::uint32_t client) {
  return job.ops == 0 ? kUnlimited : share_begin(job.ops, client + 1, job.clients) - share_begin(job.ops, client, job.clients);
}

/// Takes the time when the last client is ready: before any of them goes on.
struct Clock {
  std::uint64_t runtime_ns;
  std::atomic<std::uint64_t>* start_ns;
  std::atomic<std::uint64_t>* deadline_ns;
  void operator()() const noexcept {
    *start_ns = now_ns();
    *deadline_ns = runtime_ns == 0 ? kUnlimited : *start_ns + runtime_ns;
  }
};

/// What the clients of a run share.
struct Run {
  explicit Run(const Load& with)
      : load(with),
        start(with.job.clients, Clock{.runtime_ns = with.job.runtime_ns, .start_ns = &start_ns, .deadline_ns = &deadline_ns}) {}

  const Load& load;
  std::atomic<std::uint64_t> start_ns{0};
  std::atomic<std::uint64_t> deadline_ns{kUnlimited};
  std::atomic<bool> failed{false};
  std::barrier<Clock> start;

  /// Of each shard, the numbers of its keys; made for the first client that asks.
  const std::vector<std::uint32_t>& numbers_of(ShardId shard) {
    std::call_once(numbers_made_, [this] {
      numbers_by_shard_.resize(load.database->shard_count());
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
  /// How long a client that wants to be woken then may sleep before it asks should_stop() again.
  std::uint64_t nap_ns(std::uint64_t wake_ns, std::uint64_t at_ns) const;

 private:
  std::once_flag numbers_made_;
  std::vector<std::vector<std::uint32_t>> numbers_by_shard_;
};

Pacer pacer_of(const Job& job, std::uint32_t client);

/// Which of the keys a client asks for, as streams of KeyChoice.
inline constexpr std::uint64_t kReadStream = 0x5ead;
inline constexpr std::uint64_t kScanStream = 0x5ca7;

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

void write_from_thread(Run& run, std::uint32_t client, ClientResult& result);
void write_on_shard(Run& run, std::uint32_t client, ClientResult& result);
void read_from_thread(Run& run, std::uint32_t client, ClientResult& result);
void read_through_session(Run& run, std::uint32_t client, ClientResult& result);
void read_on_shard(Run& run, std::uint32_t client, ClientResult& result);
void scan_from_thread(Run& run, std::uint32_t client, ClientResult& result);
void scan_on_shard(Run& run, std::uint32_t client, ClientResult& result);
void write_to_peer(Run& run, std::uint32_t client, ClientResult& result);
void read_from_peer(Run& run, std::uint32_t client, ClientResult& result);
void scan_from_peer(Run& run, std::uint32_t client, ClientResult& result);

}  // namespace penstock::bench
