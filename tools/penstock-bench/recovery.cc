#include "tools/penstock-bench/recovery.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <exception>
#include <new>
#include <vector>

#include "tools/penstock-bench/directory.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/plan.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kErrorBytes = 512;

// What child and parent share; the counters of the clients follow it.
struct alignas(64) SharedPage {
  std::atomic<bool> is_done{false};
  std::atomic<std::uint64_t> elapsed_ns{0};
  char error[kErrorBytes] = {};
};

class SharedMemory {
 public:
  explicit SharedMemory(std::uint32_t clients) : bytes_(sizeof(SharedPage) + clients * sizeof(ClientCounters)) {
    void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      throw JobError(fmt::format("no shared memory: {}", std::strerror(errno)));
    }
    page_ = new (memory) SharedPage;
    counters_ = reinterpret_cast<ClientCounters*>(page_ + 1);
    for (std::uint32_t client = 0; client < clients; ++client) {
      new (counters_ + client) ClientCounters;
    }
  }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory() { ::munmap(page_, bytes_); }

  SharedPage& page() { return *page_; }
  ClientCounters* counters() { return counters_; }

 private:
  std::size_t bytes_;
  SharedPage* page_;
  ClientCounters* counters_;
};

// In the child: fills, says so, and waits for its end.
void fill_log(const Job& job, Eta eta, SharedMemory& shared) {
  SharedPage& page = shared.page();
  try {
    Session session;
    session.open(job);
    Database& database = session.database();
    const std::vector<Family> families = open_families(database, job);
    const Dataset dataset(job.key_size, job.value_size, job.seed);
    const Load load{job, &database, families, dataset, shared.counters()};
    const std::vector<LoadResult> filled = run_loads({&load, 1}, eta, 'W', [] {});
    page.elapsed_ns = filled.front().elapsed_ns;
    fmt::format_to_n(page.error, kErrorBytes - 1, "{}", filled.front().error);
    page.is_done = true;
    while (true) {
      ::pause();  // The kill has to meet an open database: nothing is closed here.
    }
  } catch (const std::exception& error) {
    fmt::format_to_n(page.error, kErrorBytes - 1, "{}", error.what());
  }
}

class Child {
 public:
  Child(const Job& job, Eta eta, SharedMemory& shared) : id_(::fork()) {
    if (id_ < 0) {
      throw JobError(fmt::format("fork: {}", std::strerror(errno)));
    }
    if (id_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      fill_log(job, eta, shared);
      ::_exit(1);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill_and_wait(); }

  bool has_ended() {
    if (id_ > 0 && ::waitpid(id_, nullptr, WNOHANG) == id_) {
      id_ = 0;
    }
    return id_ == 0;
  }
  void kill_and_wait() {
    if (id_ > 0) {
      ::kill(id_, SIGKILL);
      ::waitpid(id_, nullptr, 0);
      id_ = 0;
    }
  }

 private:
  pid_t id_;
};

void wait_until_filled(Child& child, SharedPage& page) {
  constexpr timespec kPoll{.tv_sec = 0, .tv_nsec = 1'000'000};
  while (!page.is_done) {
    if (child.has_ended()) {
      throw JobError(page.error[0] == '\0' ? "the filling process ended unexpectedly" : page.error);
    }
    ::nanosleep(&kPoll, nullptr);
  }
  if (page.error[0] != '\0') {
    throw JobError(page.error);
  }
}

}  // namespace

void run_recovery(Session& session, const Job& job, Eta eta, JobResult& result) {
  session.close();
  SharedMemory shared(job.clients);
  {
    Child child(job, eta, shared);
    wait_until_filled(child, shared.page());
    child.kill_and_wait();
  }
  wait_until_unlocked(job.directory);
  // The child's statistics died with it, and so did the latencies; what its counters say is what was answered.
  OpStats stats{.kind = OpKind::kPut};
  std::vector<ClientHistory> histories;
  for (std::uint32_t client = 0; client < job.clients; ++client) {
    const ClientCounters& counters = shared.counters()[client];
    stats.operations += counters.all_operations();
    stats.calls += counters.commits;
    stats.bytes += counters.bytes;
    histories.push_back({.demanded = counters.acknowledged, .issued = Plan(job, client).step_count()});
  }
  result.ops.push_back(stats);
  result.elapsed_ns = shared.page().elapsed_ns;
  result.directory_bytes = directory_bytes(job.directory);

  Job reopened = job;
  reopened.fresh = false;
  session.reopen(reopened);
  Database& database = session.database();
  result.recovery = RecoveryOutcome{.report = database.recovery(), .open_ns = session.open_ns()};
  result.reactors = session.runtime().reactors();
  result.shards = database.shard_count();
  result.io_backend = session.runtime().io_backend();
  if (job.verify) {
    const std::vector<Family> families = open_families(database, job);
    const Dataset dataset(job.key_size, job.value_size, job.seed);
    const Load load{job, &database, families, dataset, shared.counters()};
    result.verify = verify_store(load, {.clients = histories, .was_empty = true}, eta);
  }
}

}  // namespace penstock::bench
