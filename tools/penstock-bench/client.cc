#include "tools/penstock-bench/client.h"

#include <algorithm>

#include "reactor/reactor.h"

namespace penstock::bench {

std::uint64_t Run::nap_ns(std::uint64_t wake_ns, std::uint64_t at_ns) const {
  constexpr std::uint64_t kNapNsMax = 50'000'000;
  const std::uint64_t end_ns = std::min({wake_ns, deadline_ns.load(std::memory_order_relaxed), at_ns + kNapNsMax});
  return end_ns > at_ns ? end_ns - at_ns : 0;
}

Pacer pacer_of(const Job& job, std::uint32_t client) {
  return Pacer(job.rate,
               {.client = client, .clients = job.clients, .batch = op_reads(job.op) ? 1 : job.batch, .seed = job.seed});
}

Task<bool> sleep_until_due(const Run& run, const Pacer& pacer) {
  sleep_precisely();
  for (std::uint64_t at_ns = now_ns(); !pacer.is_due(at_ns); at_ns = now_ns()) {
    if (run.should_stop(at_ns)) {
      co_return false;
    }
    co_await reactor::Reactor::current()->sleep(run.nap_ns(pacer.wake_ns(), at_ns));
  }
  co_return true;
}

}  // namespace penstock::bench
