#include "tools/penstock-bench/job_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>

#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"
#include "tools/penstock-bench/store_options.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kNumbersMax = std::numeric_limits<std::uint32_t>::max();

class JobCheck {
 public:
  JobCheck(const Job& job, const std::vector<Setting>& settings) : job_(job), settings_(settings) {}

  void run() const {
    check_required();
    check_mix();
    check_keys();
    check_end();
    check_rate();
    check_placement();
    check_verify();
    check_memory();
    check_engine();
  }

 private:
  bool is_given(std::string_view key) const { return std::ranges::find(settings_, key, &Setting::key) != settings_.end(); }

  // Blames the last setting of `key`, or the section.
  [[noreturn]] void refuse(std::string_view key, const std::string& why) const {
    Place place = job_.place;
    for (const Setting& setting : settings_) {
      if (setting.key == key) {
        place = setting.place;
      }
    }
    throw UsageError(fmt::format("{}: [{}] {}", place.to_string(), job_.name, why));
  }
  void refuse_if(bool is_bad, std::string_view key, const std::string& why) const {
    if (is_bad) {
      refuse(key, why);
    }
  }

  void check_required() const {
    refuse_if(!is_given("op"), "", "has no op=");
    refuse_if(job_.directory.empty(), "", "has no directory: set dir= or give --dir");
  }

  void check_mix() const {
    const bool wants_mix = job_.op == Op::kMixed || job_.op == Op::kBatch;
    refuse_if(wants_mix && job_.mix.empty(), "op", fmt::format("op={} needs opmix=", op_name(job_.op)));
    refuse_if(!wants_mix && is_given("opmix"), "opmix",
              fmt::format("opmix= is for op=mixed and op=batch, not op={}", op_name(job_.op)));
    if (job_.op == Op::kBatch) {
      const bool fits = std::ranges::all_of(
          job_.mix, [](const OpShare& share) { return share.kind == OpKind::kPut || share.kind == OpKind::kDelete; });
      refuse_if(!fits, "opmix", "op=batch has put and delete in its opmix=: one commit holds nothing else");
    }
    refuse_if(job_.has_kind(OpKind::kScan) && job_.scan_reverse && job_.engine == Engine::kPenstock, "scan_dir",
              "engine=penstock cannot scan backwards yet");
  }

  void check_keys() const {
    refuse_if(job_.key_dist.text != "random" && !job_.key_dist.is_sequential && job_.key_order != KeyOrder::kRandom, "key_dist",
              fmt::format("key_dist= is how key_order=random draws; key_order={} goes through the keys",
                          key_order_name(job_.key_order)));
    refuse_if(job_.key_dist.is_sequential && is_given("key_order") && last_value("key_order") != "sequential", "key_dist",
              "key_dist=sequential and key_order= contradict each other");
    const std::uint64_t total = job_.cf_affinity == Affinity::kRandom ? job_.keys * job_.cfs : job_.keys;
    refuse_if(job_.keys > kNumbersMax || total > kNumbersMax, "keys", "more than 2^32 - 1 keys");
    refuse_if(job_.keys < job_.clients, "keys", fmt::format("keys={} must be at least clients={}", job_.keys, job_.clients));
    refuse_if(job_.key_size > kKeyBytesMax, "key_size", fmt::format("key_size= is at most {}", kKeyBytesMax));
    const std::uint64_t row_bytes = std::uint64_t{job_.key_size} + job_.value_size.max();
    refuse_if(job_.writes() && job_.batch * row_bytes > kBatchBytesMax, is_given("batch") ? "batch" : "value_size",
              "a batch is over the engine's 32 MiB: lower batch= or value_size=");
    const bool inserts = job_.has_kind(OpKind::kInsert);
    refuse_if(inserts && job_.cf_affinity == Affinity::kRandom && job_.cfs > 1, "cf_affinity",
              "inserts follow on the keys of a client's own family: cf_affinity=own");
    refuse_if(job_.op == Op::kScan && job_.key_order == KeyOrder::kSequential && job_.cf_affinity == Affinity::kRandom &&
                  job_.cfs > 1,
              "cf_affinity", "op=scan goes through the keys of a client's own family: cf_affinity=own");
    refuse_if(job_.has_kind(OpKind::kScan) && job_.key_order == KeyOrder::kSequential && job_.scan_len_min != job_.scan_len,
              "scan_len", "scans with key_order=sequential follow on each other: scan_len= is one number then");
    refuse_if(job_.fresh && job_.reopen, "reopen",
              "reopen= and fresh= contradict each other: fresh data are in a store just opened");
  }

  std::string last_value(std::string_view key) const {
    std::string value;
    for (const Setting& setting : settings_) {
      value = setting.key == key ? setting.value : value;
    }
    return value;
  }

  void check_end() const {
    const bool goes_through = job_.key_order != KeyOrder::kRandom && !job_.has_kind(OpKind::kInsert);
    refuse_if(!goes_through && job_.ops == 0 && job_.runtime_ns == 0, "", "never ends: set ops= or runtime=");
    refuse_if(job_.time_based && job_.runtime_ns == 0, "time_based", "time_based= never ends: set runtime=");
    refuse_if(job_.time_based && job_.ops > 0, "ops",
              "time_based= goes on until runtime= is over and ops= until so many: set one");
    refuse_if(job_.time_based && job_.loops > 1, "loops", "time_based= goes on until runtime= is over: loops= says nothing");
    refuse_if(job_.loops > 1 && !goes_through && job_.ops == 0, "loops", "loops= needs ops=, or a key_order= that ends");
  }

  void check_rate() const {
    refuse_if(job_.rate.process != RateProcess::kLinear && job_.rate.ops_per_second == 0, "rate_process",
              "rate_process= needs rate_ops=");
    if (job_.op != Op::kRecovery) {
      refuse_if(is_given("log_bytes"), "log_bytes", "log_bytes= is for op=recovery");
      return;
    }
    for (const char* key :
         {"rate_ops", "time_based", "runtime", "ops", "ramp_time", "startdelay", "loops", "preload", "keys"}) {
      refuse_if(is_given(key), key, fmt::format("{}= is not for op=recovery: it writes log_bytes=, as fast as it can", key));
    }
    refuse_if(job_.log_bytes == 0, "log_bytes", "log_bytes= must be at least 1");
  }

  void check_placement() const {
    refuse_if(job_.session && (job_.op != Op::kGet || job_.on_shard()), "session", "session= is for op=get on threads");
    if (!job_.on_shard()) {
      return;
    }
    refuse_if(job_.op == Op::kRecovery, "placement", "op=recovery has its clients on threads");
    refuse_if(job_.iodepth != 1, "iodepth",
              "placement=on_shard has iodepth=1: a coroutine makes one call at a time; more clients= instead");
    refuse_if(job_.cf_affinity == Affinity::kRandom && job_.cfs > 1, "cf_affinity",
              "placement=on_shard needs cf_affinity=own: a call is made on the shard of its family");
    refuse_if(job_.has_kind(OpKind::kInsert) && job_.cf_placement == Placement::kHashed, "cf_placement",
              "inserts with placement=on_shard need cf_placement=pinned: the next key may belong to another shard");
  }

  void check_verify() const {
    if (!job_.verify) {
      return;
    }
    refuse_if(job_.on_shard() && job_.cf_placement == Placement::kHashed, "verify",
              "verify= with placement=on_shard needs cf_placement=pinned");
    refuse_if(job_.has_kind(OpKind::kRmw) && job_.iodepth > 1, "verify",
              "verify= with rmw needs iodepth=1: the order of two changes of a key would not be known");
  }

  void check_memory() const {
    refuse_if(job_.cache_bytes > 0 && is_given("memory_limit"), "cache", "cache= decides memory_limit=: set one");
    refuse_if(job_.database.memtable_percent + job_.database.cache_percent > 95,
              is_given("cache_percent") ? "cache_percent" : "memtable_percent",
              "memtable_percent= and cache_percent= are at most 95 together");
  }

  void check_engine() const {
    if (job_.engine == Engine::kPenstock) {
      return;
    }
    const std::string engine = engine_name(job_.engine);
    for (const Setting& setting : settings_) {
      const Key* key = find_key(setting.key);
      refuse_if(key != nullptr && key->scope == Scope::kPenstock, setting.key,
                fmt::format("engine={} has no {}=: that is Penstock's own", engine, setting.key));
    }
    refuse_if(job_.on_shard(), "placement",
              fmt::format("engine={} has no placement=on_shard: its clients are threads", engine));
    refuse_if(job_.op == Op::kRecovery, "op", fmt::format("op=recovery reads Penstock's log: engine={} cannot", engine));
  }

  const Job& job_;
  const std::vector<Setting>& settings_;
};

[[noreturn]] void refuse_together(const Job& job, const Job& first, const std::string& why) {
  throw UsageError(
      fmt::format("{}: [{}] runs at the same time as [{}], as no stonewall is between them, but {}: give it stonewall=1",
                  job.place.to_string(), job.name, first.name, why));
}

// The key of the data in which two jobs differ; empty: none.
std::string differing_data(const Job& one, const Job& other) {
  if (one.key_size != other.key_size) return "key_size";
  if (one.value_size.to_string() != other.value_size.to_string()) return "value_size";
  if (one.seed != other.seed) return "seed";
  if (one.cfs != other.cfs) return "cfs";
  if (one.cf_placement != other.cf_placement) return "cf_placement";
  return one.preload && other.preload && one.keys != other.keys ? "keys" : "";
}

void check_pair(const Job& first, const Job& job) {
  if (first.engine != job.engine) {
    refuse_together(job, first, fmt::format("on engine={}, not {}", engine_name(job.engine), engine_name(first.engine)));
  }
  if (first.directory != job.directory) {
    refuse_together(job, first, "in another dir=");
  }
  if (const std::string key = differing_data(first, job); !key.empty()) {
    refuse_together(job, first, fmt::format("with another {}=, and they share their data", key));
  }
  if (store_options(first) != store_options(job)) {
    refuse_together(job, first, "with other options of the store, and they share it");
  }
  if (first.op == Op::kRecovery || job.op == Op::kRecovery) {
    refuse_together(job, first, "op=recovery has the store alone");
  }
}

void check_group(std::span<Job> group) {
  std::uint64_t clients = 0;
  for (const Job& job : group) {
    clients += job.clients;
  }
  for (Job& job : group) {
    job.clients_together = static_cast<std::uint32_t>(std::min<std::uint64_t>(clients, kNumbersMax));
  }
  for (const Job& job : group.subspan(1)) {
    check_pair(group.front(), job);
  }
  const auto makes = std::ranges::find_if(group, [](const Job& job) { return job.fresh && !job.preload; });
  const auto wants = std::ranges::find_if(group, &Job::preload);
  if (makes != group.end() && wants != group.end()) {
    refuse_together(*wants, *makes,
                    fmt::format("wants its data to be there while [{}] begins with an empty store", makes->name));
  }
  const auto verifies = std::ranges::find_if(group, &Job::verify);
  if (verifies != group.end() && std::ranges::count_if(group, &Job::writes) > 1) {
    throw UsageError(
        fmt::format("{}: [{}] verify= needs a job that writes alone: what others write at the same time is not known",
                    verifies->place.to_string(), verifies->name));
  }
}

}  // namespace

void check_job(const Job& job, const std::vector<Setting>& settings) { JobCheck(job, settings).run(); }

void check_groups(std::vector<Job>& jobs) {
  for (std::size_t begin = 0; begin < jobs.size();) {
    std::size_t end = begin + 1;
    while (end < jobs.size() && !jobs[end].stonewall) {
      ++end;
    }
    check_group(std::span(jobs).subspan(begin, end - begin));
    begin = end;
  }
}

}  // namespace penstock::bench
