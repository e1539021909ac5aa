#include "tools/penstock-bench/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

const Key& key_of(const Setting& setting) {
  const Key* found = find_key(setting.key);
  if (found == nullptr) {
    throw UsageError(fmt::format("{}: unknown key '{}'; the nearest is '{}'", setting.place.to_string(), setting.key,
                                 nearest_key(setting.key)));
  }
  return *found;
}

// What a section gets where it says nothing; depends on its operation alone.
void set_defaults(Job& job) {
  job.fresh = op_fills(job.op);
  switch (job.op) {
    case Op::kBatchPut:
      job.families = job.clients = 8;
      job.batch = 1000;
      job.commits = 50;
      break;
    case Op::kFillRandom:
    case Op::kOverwrite:
      job.placement = Placement::kHashed;
      job.keys = 5'000'000;
      job.key_size = 16;
      job.value_size = 100;
      job.batch = 100;
      break;
    case Op::kReadRandom:
    case Op::kScan:
      job.placement = Placement::kHashed;
      job.keys = 5'000'000;
      job.key_size = 16;
      job.value_size = 100;
      break;
    case Op::kCommit:
      job.placement = Placement::kHashed;
      job.keys = 1'000'000;
      job.key_size = 16;
      job.value_size = 100;
      break;
    case Op::kRecovery:
      job.families = job.clients = 8;
      job.batch = 100;
      job.log_bytes = 256_MiB;
      break;
  }
}

[[noreturn]] void refuse(const Job& job, const std::string& why) {
  throw UsageError(fmt::format("{}: [{}] {}", job.place.to_string(), job.name, why));
}

void check_rate_and_time(const Job& job) {
  if ((job.op == Op::kOverwrite || job.op == Op::kCommit || op_reads(job.op)) && job.ops == 0 && job.runtime_ns == 0) {
    refuse(job, "never ends: set ops= or runtime=");
  }
  if (job.time_based && job.runtime_ns == 0) {
    refuse(job, "time_based= never ends: set runtime=");
  }
  if (job.time_based && job.ops > 0) {
    refuse(job, "time_based= goes on until runtime= is over and ops= until so many: set one");
  }
  if (job.rate.process != RateProcess::kLinear && job.rate.ops_per_second == 0) {
    refuse(job, "rate_process= needs rate_ops=");
  }
  if (job.op == Op::kRecovery && (job.rate.ops_per_second > 0 || job.time_based)) {
    refuse(job, "rate_ops= and time_based= are not for op=recovery: it writes log_bytes=, as fast as it can");
  }
}

void check_combinations(Job& job) {
  if (job.directory.empty()) {
    refuse(job, "has no directory: set dir= or give --dir");
  }
  if (job.op == Op::kBatchPut) {
    if (job.commits == 0) {
      refuse(job, "commits= must be at least 1");
    }
    const std::uint64_t clients_per_family = (job.clients + job.families - 1) / job.families;
    job.keys = clients_per_family * job.commits * job.batch;
  } else if (job.op == Op::kRecovery) {
    if (job.log_bytes == 0) {
      refuse(job, "log_bytes= must be at least 1");
    }
    const std::uint64_t commits = job.log_bytes / (job.value_bytes_per_op() * job.batch * job.clients) + 1;
    job.commits = commits;
    job.keys = (job.clients + job.families - 1) / job.families * commits * job.batch;
  } else if (job.families != 1) {
    refuse(job, "families= is for op=batch_put and op=recovery; the others use one");
  }
  if (job.keys < job.clients) {
    refuse(job, "keys= must be at least clients=");
  }
  if (job.keys > std::numeric_limits<std::uint32_t>::max()) {
    refuse(job, "more than 2^32 - 1 keys per family");
  }
  check_rate_and_time(job);
  if (job.op == Op::kCommit && job.batch != 1) {
    refuse(job, "op=commit has batch=1; use op=overwrite for more");
  }
  if (job.on_shard && ((!op_reads(job.op) && job.op != Op::kCommit) || job.iodepth != 1)) {
    refuse(job, "on_shard= is for op=readrandom, op=scan and op=commit with iodepth=1");
  }
  if (job.op == Op::kScan && job.iodepth != 1) {
    refuse(job, "op=scan has iodepth=1: more clients= instead");
  }
  if (job.on_shard && job.op == Op::kCommit && job.placement != Placement::kPinned) {
    refuse(job, "on_shard= with op=commit needs placement=pinned: a commit is made on the shard of its key");
  }
  if (job.key_dist.text != "random" && (op_fills(job.op) && job.op != Op::kCommit)) {
    refuse(job, "key_dist= is for op=overwrite, op=commit, op=readrandom and op=scan: the others write each key once");
  }
  if (job.session && (job.op != Op::kReadRandom || job.on_shard)) {
    refuse(job, "session= is for op=readrandom on threads");
  }
  if (job.key_size > kKeyBytesMax) {
    refuse(job, fmt::format("key_size= is at most {}", kKeyBytesMax));
  }
  if (!op_reads(job.op) && job.batch * job.value_bytes_per_op() > kBatchBytesMax) {
    refuse(job, "a batch is over the engine's 32 MiB: lower batch= or value_size=");
  }
}

// What an engine cannot do is refused, not left out: two results that look alike would not be.
void check_engine(const Job& job, const std::vector<Setting>& settings) {
  if (job.engine == Engine::kPenstock) {
    return;
  }
  const std::string engine = engine_name(job.engine);
  for (const Setting& setting : settings) {
    if (key_of(setting).scope == Scope::kPenstock) {
      throw UsageError(fmt::format("{}: [{}] engine={} has no {}=: that is Penstock's own", setting.place.to_string(), job.name,
                                   engine, setting.key));
    }
  }
  if (job.op == Op::kRecovery) {
    refuse(job, fmt::format("op=recovery reads Penstock's log: engine={} cannot", engine));
  }
  if (job.iodepth > 1 && !job.session) {
    refuse(job, fmt::format("engine={} answers a call before it takes the next: iodepth=1{}; clients={} has as many in flight",
                            engine, job.op == Op::kReadRandom ? ", or session=1 for multi-gets" : "",
                            std::uint64_t{job.clients} * job.iodepth));
  }
}

void apply(Job& job, const Setting& setting) {
  const Key& key = key_of(setting);
  try {
    key.set(job, setting.value);
  } catch (const std::invalid_argument& error) {
    throw UsageError(fmt::format("{}: {}={}: {}", setting.place.to_string(), setting.key, setting.value, error.what()));
  }
}

Job build_job(const Section& section, const std::vector<Setting>& overrides) {
  Job job;
  job.name = section.name;
  job.place = section.place;
  std::vector<Setting> settings = section.settings;
  settings.insert(settings.end(), overrides.begin(), overrides.end());
  // The operation first: it decides the defaults of the others.
  bool has_op = false;
  for (const Setting& setting : settings) {
    key_of(setting);
    if (setting.key == "op") {
      apply(job, setting);
      has_op = true;
    }
  }
  if (!has_op) {
    refuse(job, "has no op=");
  }
  set_defaults(job);
  for (const Setting& setting : settings) {
    apply(job, setting);
  }
  check_combinations(job);
  check_engine(job, settings);
  return job;
}

}  // namespace

std::string op_name(Op op) { return word_of<Op>(kOps, op); }
std::string missing_engine_text(Engine engine) {
  return fmt::format("engine={} is not built in: install {} and build again (./dev deps installs it)", engine_name(engine),
                     engine_package(engine));
}

void require_engines(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    if (!has_engine(job.engine)) {
      refuse(job, missing_engine_text(job.engine));
    }
  }
}

std::string durability_name(Durability durability) { return word_of<Durability>(kDurabilities, durability); }
std::string rate_process_name(RateProcess process) { return word_of<RateProcess>(kRateProcesses, process); }
std::string io_backend_name(IoBackend backend) { return word_of<IoBackend>(kIoBackends, backend); }
std::string wal_sync_name(WalSync wal_sync) { return word_of<WalSync>(kWalSyncs, wal_sync); }

bool op_fills(Op op) { return op != Op::kOverwrite && !op_reads(op); }
bool op_reads(Op op) { return op == Op::kReadRandom || op == Op::kScan; }

std::vector<Job> build_jobs(const std::vector<Section>& sections, const std::vector<Setting>& overrides) {
  std::vector<Job> jobs;
  std::set<std::string> names;
  for (const Section& section : sections) {
    jobs.push_back(build_job(section, overrides));
    if (!names.insert(section.name).second) {
      refuse(jobs.back(), "comes twice: results could not be told apart");
    }
  }
  return jobs;
}

}  // namespace penstock::bench
