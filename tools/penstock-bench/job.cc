#include "tools/penstock-bench/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "tools/penstock-bench/job_check.h"
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kKeysDefault = 1'000'000;

const Key& key_of(const Setting& setting) {
  const Key* found = find_key(setting.key);
  if (found == nullptr) {
    throw UsageError(fmt::format("{}: unknown key '{}'; the nearest is '{}'", setting.place.to_string(), setting.key,
                                 nearest_word(setting.key, key_names())));
  }
  return *found;
}

void apply(Job& job, const Setting& setting) {
  const Key& key = key_of(setting);
  try {
    key.set(job, setting.value);
  } catch (const std::invalid_argument& error) {
    throw UsageError(fmt::format("{}: {}={}: {}", setting.place.to_string(), setting.key, setting.value, error.what()));
  }
}

// op=recovery: what each client has to commit so that the log gets as long as it should.
void set_keys_of_recovery(Job& job) {
  const double row_bytes = job.key_size + job.value_size.mean();
  const double per_client = static_cast<double>(job.log_bytes) / (row_bytes * job.batch * job.clients);
  const std::uint64_t commits = static_cast<std::uint64_t>(per_client) + 1;
  job.keys = (job.clients + job.cfs - 1) / job.cfs * commits * job.batch;
  job.key_order = KeyOrder::kSequential;
}

// What a job gets where its section says nothing, from what it does say.
void set_the_rest(Job& job, const std::set<std::string>& given) {
  const auto is_given = [&](const char* key) { return given.contains(key); };
  if (job.op == Op::kRecovery || job.op < Op::kMixed) {
    const OpKind kind = job.op == Op::kRecovery ? OpKind::kPut : static_cast<OpKind>(job.op);
    if (job.op != Op::kBatch) {
      job.mix = {{.kind = kind, .share = 1}};
    }
  }
  if (job.key_dist.is_sequential) {
    job.key_order = KeyOrder::kSequential;
  }
  job.log_bytes = is_given("log_bytes") || job.op != Op::kRecovery ? job.log_bytes : 256_MiB;
  job.keys = is_given("keys") ? job.keys : kKeysDefault;
  if (!is_given("cf_placement") && job.cfs > 1) {
    job.cf_placement = Placement::kPinned;
  }
  if (!is_given("preload")) {
    job.preload = job.op != Op::kRecovery && (job.op != Op::kPut || job.key_order == KeyOrder::kRandom);
  }
  if (!is_given("fresh")) {
    job.fresh = job.op == Op::kRecovery || (job.op == Op::kPut && !job.preload);
  }
  constexpr std::uint64_t kHundred = 100;
  if (job.cache_bytes > 0) {
    job.runtime.memory_limit = job.cache_bytes * kHundred / job.database.cache_percent;
  }
  if (job.op == Op::kRecovery) {
    set_keys_of_recovery(job);
  }
  if (job.engine != Engine::kPenstock) {  // A thread for each call in flight.
    const std::uint64_t threads = std::uint64_t{job.clients} * job.iodepth;
    job.clients = static_cast<std::uint32_t>(std::min<std::uint64_t>(threads, std::numeric_limits<std::uint32_t>::max()));
    job.iodepth = 1;
  }
}

Job build_job(const Section& section, std::vector<Setting> settings) {
  Job job;
  job.name = section.name;
  job.place = section.place;
  std::set<std::string> given;
  for (const Setting& setting : settings) {
    apply(job, setting);
    given.insert(setting.key);
  }
  set_the_rest(job, given);
  job.stonewall = job.stonewall || section.begins_file;
  check_job(job, settings);
  return job;
}

void add_copies(const Job& job, std::vector<Job>& jobs) {
  for (std::uint32_t copy = 0; copy < job.numjobs; ++copy) {
    jobs.push_back(job);
    if (job.numjobs > 1) {
      jobs.back().name = fmt::format("{}.{}", job.name, copy + 1);
      jobs.back().stream = copy;
    }
    jobs.back().stonewall = job.stonewall && copy == 0;
    jobs.back().new_group = job.new_group && copy == 0;
  }
}

}  // namespace

bool Job::has_kind(OpKind kind) const noexcept { return std::ranges::find(mix, kind, &OpShare::kind) != mix.end(); }
bool Job::writes() const noexcept {
  return std::ranges::any_of(mix, [](const OpShare& share) { return kind_writes(share.kind); });
}
bool Job::reads() const noexcept {
  return std::ranges::any_of(mix, [](const OpShare& share) { return share.kind >= OpKind::kGet; });
}
bool Job::deletes() const noexcept { return has_kind(OpKind::kDelete); }
bool Job::makes_data() const noexcept {
  const bool covers_all = cf_affinity == Affinity::kRandom || clients >= cfs;
  return op == Op::kPut && key_order != KeyOrder::kRandom && fresh && !preload && covers_all;
}
std::uint32_t Job::ops_per_call(OpKind kind) const noexcept {
  return kind == OpKind::kGet || kind == OpKind::kScan || kind == OpKind::kRmw ? 1 : batch;
}

std::string missing_engine_text(Engine engine) {
  return fmt::format("engine={} is not built in: install {} and build again (./dev deps installs it)", engine_name(engine),
                     engine_package(engine));
}

void require_engines(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    if (!has_engine(job.engine)) {
      throw UsageError(fmt::format("{}: [{}] {}", job.place.to_string(), job.name, missing_engine_text(job.engine)));
    }
  }
}

std::vector<Job> build_jobs(const std::vector<Section>& sections, const std::vector<Setting>& overrides) {
  std::vector<Job> jobs;
  std::set<std::string> names;
  for (const Section& section : sections) {
    std::vector<Setting> settings = section.settings;
    settings.insert(settings.end(), overrides.begin(), overrides.end());
    add_copies(build_job(section, std::move(settings)), jobs);
  }
  for (const Job& job : jobs) {
    if (!names.insert(job.name).second) {
      throw UsageError(fmt::format("{}: [{}] comes twice: results could not be told apart", job.place.to_string(), job.name));
    }
  }
  check_groups(jobs);
  return jobs;
}

}  // namespace penstock::bench
