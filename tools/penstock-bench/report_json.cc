#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tools/penstock-bench/latency_text.h"
#include "tools/penstock-bench/report.h"
#include "tools/penstock-bench/report_values.h"

namespace penstock::bench {
namespace {

using Json = nlohmann::ordered_json;

Json latency_json(const base::Histogram& latency, const std::vector<double>& percentiles, JsonBins bins) {
  Json json = {{"min", latency.min_ns()},
               {"max", latency.max_ns()},
               {"mean", latency.mean_ns()},
               {"stddev", latency.stddev_ns()},
               {"N", latency.count()}};
  Json& values = json["percentile"] = Json::object();
  for (const double percent : percentiles) {
    values[fmt::format("{:.6f}", percent)] = latency.percentile_ns(percent);
  }
  if (bins == JsonBins::kWith) {
    Json& counts = json["bins"] = Json::object();
    latency.for_each_bucket([&](std::uint64_t low_ns, std::uint64_t end_ns, std::uint64_t count) {
      counts[fmt::to_string(low_ns + (end_ns - low_ns) / 2)] = count;
    });
  }
  return json;
}

// fio's read, write and trim objects, for a kind of operation.
Json kind_json(const JobResult& result, const OpStats& stats, JsonBins bins) {
  const std::vector<double>& percentiles = percentiles_of(result.job);
  const RateSpread spread = rate_spread(result.series, stats.kind);
  const double bytes_per_second = per_second(stats.bytes, result.elapsed_ns);
  const double kib = mean_bytes(stats) / 1024;
  return {{"io_bytes", stats.bytes},
          {"io_kbytes", stats.bytes / 1024},
          {"bw_bytes", bytes_per_second},
          {"bw", bytes_per_second / 1024},
          {"iops", per_second(stats.operations, result.elapsed_ns)},
          {"runtime", result.elapsed_ns / 1'000'000},
          {"total_ios", stats.operations},
          {"short_ios", 0},
          {"drop_ios", 0},
          {"calls", stats.calls},
          {"rows", stats.rows},
          {"misses", stats.misses},
          {"slat_ns", latency_json(stats.submission, percentiles, bins)},
          {"clat_ns", latency_json(completion_of(stats), percentiles, bins)},
          {"lat_ns", latency_json(stats.latency, percentiles, bins)},
          {"bw_min", spread.least * kib},
          {"bw_max", spread.most * kib},
          {"bw_agg", 100.0},
          {"bw_mean", spread.mean * kib},
          {"bw_dev", spread.stddev * kib},
          {"bw_samples", spread.samples},
          {"iops_min", spread.least},
          {"iops_max", spread.most},
          {"iops_mean", spread.mean},
          {"iops_stddev", spread.stddev},
          {"iops_samples", spread.samples}};
}

Json options_json(const Job& job) {
  return {{"engine", engine_name(job.engine)},
          {"op", op_name(job.op)},
          {"dir", job.directory},
          {"cfs", job.cfs},
          {"keys", job.keys},
          {"key_size", job.key_size},
          {"value_size", job.value_size.to_string()},
          {"batch", job.batch},
          {"clients", job.clients},
          {"iodepth", job.iodepth},
          {"durability", durability_name(job.durability)},
          {"seed", job.seed},
          {"key_order", key_order_name(job.key_order)},
          {"key_dist", job.key_dist.text},
          {"key_scatter", job.key_scatter},
          {"runtime_ns", job.runtime_ns},
          {"time_based", job.time_based},
          {"rate_ops", job.rate.ops_per_second},
          {"rate_process", rate_process_name(job.rate.process)},
          {"settle", job.settle},
          {"memory_limit", job.runtime.memory_limit},
          {"wal_sync", wal_sync_name(job.database.wal_sync)}};
}

Json counters_json(const Span<Metrics>& span) {
  constexpr std::pair<const char*, std::uint64_t Metrics::*> kCounters[] = {
      {"syncs", &Metrics::syncs},
      {"log_syncs", &Metrics::log_syncs},
      {"log_groups", &Metrics::log_groups},
      {"log_appended_bytes", &Metrics::log_appended_bytes},
      {"log_written_bytes", &Metrics::log_written_bytes},
      {"log_segments_late", &Metrics::log_segments_late},
      {"flushes", &Metrics::flushes},
      {"flush_ns", &Metrics::flush_ns},
      {"flush_write_cuts", &Metrics::flush_write_cuts},
      {"page_bytes_written", &Metrics::page_bytes_written},
      {"pages_read", &Metrics::pages_read},
      {"gets_from_disk", &Metrics::gets_from_disk},
      {"cache_hits", &Metrics::cache_hits},
      {"cache_misses", &Metrics::cache_misses},
      {"zones_cleaned", &Metrics::zones_cleaned},
      {"runs_made", &Metrics::runs_made},
      {"runs_joined", &Metrics::runs_joined},
      {"run_slices", &Metrics::run_slices},
      {"delayed_commits", &Metrics::delayed_commits},
      {"delayed_ns", &Metrics::delayed_ns},
      {"write_bytes", &Metrics::write_bytes},
      {"read_bytes", &Metrics::read_bytes},
      {"entries", &Metrics::entries},
      {"enters", &Metrics::enters},
      {"wakes_sent", &Metrics::wakes_sent},
      {"stalls", &Metrics::stalls},
  };
  Json json = Json::object();
  for (const auto& [name, counter] : kCounters) {
    json[name] = span.after.*counter - span.before.*counter;
  }
  return json;
}

Json engine_json(const JobResult& result) {
  if (!result.peer.has_value()) {
    Json json = counters_json(result.metrics);
    json["version"] = PENSTOCK_BENCH_VERSION;
    json["reactors"] = result.reactors;
    json["shards"] = result.shards;
    json["io_backend"] = result.io_backend;
    return json;
  }
  Json json = {{"version", result.peer->about.version},
               {"options", result.peer->about.options},
               {"durability", result.peer->about.durability}};
  for (const PeerCounter& counter : result.peer->counters) {
    json[counter.name] = counter.value;
  }
  return json;
}

void add_stages(const JobResult& result, JsonBins bins, Json& json) {
  if (!result.stages.has_value() || !result.job.writes()) {
    return;
  }
  const auto add = [&](const char* name, StageTimes CommitStages::* stage) {
    json["commit_stages_ns"][name] = latency_json(stage_between(result.stages->before.*stage, result.stages->after.*stage),
                                                  percentiles_of(result.job), bins);
  };
  add("apply", &CommitStages::apply);
  add("queue", &CommitStages::queue);
  add("write", &CommitStages::write);
  add("sync", &CommitStages::sync);
  add("wake", &CommitStages::wake);
  const Json& sync = json["commit_stages_ns"]["sync"];
  json["sync"] = {{"total_ios", sync["N"]}, {"lat_ns", sync}};
}

Json kernel_json(const JobResult& result) {
  const auto& [process_before, process_after] = result.process;
  const auto& [disk_before, disk_after] = result.disk;
  return {{"user_ns", process_after.user_ns - process_before.user_ns},
          {"system_ns", process_after.system_ns - process_before.system_ns},
          {"written_bytes", process_after.written_bytes - process_before.written_bytes},
          {"read_bytes", process_after.read_bytes - process_before.read_bytes},
          {"write_amplification", write_amplification(result)},
          {"space_amplification", space_amplification(result)},
          {"disk_use_bytes", result.disk_use_bytes},
          {"directory_bytes", result.directory_bytes},
          {"disk", disk_after.name},
          {"disk_writes", disk_after.writes - disk_before.writes},
          {"disk_written_bytes", disk_after.written_bytes - disk_before.written_bytes},
          {"disk_reads", disk_after.reads - disk_before.reads},
          {"disk_flushes", disk_after.flushes - disk_before.flushes}};
}

Json series_json(const Series& series) {
  Json json = {{"interval_ns", series.interval_ns}};
  constexpr std::pair<const char*, std::uint64_t SeriesCounts::*> kCounts[] = {{"commits", &SeriesCounts::commits},
                                                                               {"flushes", &SeriesCounts::flushes},
                                                                               {"delayed_ns", &SeriesCounts::delayed_ns},
                                                                               {"stalls", &SeriesCounts::stalls},
                                                                               {"written_bytes", &SeriesCounts::written_bytes}};
  Json& operations = json["operations"] = Json::array();
  for (const SeriesCounts& sample : series.samples) {
    operations.push_back(sample.operations());
  }
  for (const auto& [name, count] : kCounts) {
    Json& values = json[name] = Json::array();
    for (const SeriesCounts& sample : series.samples) {
      values.push_back(sample.*count);
    }
  }
  return json;
}

void add_processor(const JobResult& result, Json& json) {
  const auto& [before, after] = result.process;
  const double elapsed = std::max(seconds_of(result.elapsed_ns), 1e-9);
  json["usr_cpu"] = 100 * seconds_of(after.user_ns - before.user_ns) / elapsed;
  json["sys_cpu"] = 100 * seconds_of(after.system_ns - before.system_ns) / elapsed;
  json["ctx"] = after.context_switches - before.context_switches;
  json["majf"] = after.major_faults - before.major_faults;
  json["minf"] = after.minor_faults - before.minor_faults;
  constexpr const char* kLevels[] = {"1", "2", "4", "8", "16", "32", ">=64"};
  std::uint64_t calls = 0;
  base::Histogram all;
  for (const std::uint64_t count : result.depths) {
    calls += count;
  }
  for (const OpStats& stats : result.ops) {
    all.merge(stats.latency);
  }
  for (std::size_t level = 0; level < kDepthLevels; ++level) {
    json["iodepth_level"][kLevels[level]] = 100 * ratio(result.depths[level], calls);
  }
  for (const auto& [name, unit] :
       {std::pair("latency_ns", "nsec"), std::pair("latency_us", "usec"), std::pair("latency_ms", "msec")}) {
    for (const LatencyBucket& bucket : latency_buckets(all, unit)) {
      json[name][bucket.end] = bucket.percent;
    }
  }
}

Json verify_json(const VerifyOutcome& verify) {
  return {{"ok", verify.is_ok()},
          {"keys", verify.keys},
          {"rows", verify.rows},
          {"missing", verify.missing},
          {"invented", verify.invented},
          {"halves", verify.halves},
          {"order", verify.order},
          {"pages", verify.pages},
          {"first_problem", verify.first_problem},
          {"open_ns", verify.open_ns},
          {"acknowledged", verify.acknowledged},
          {"demanded", verify.demanded},
          {"issued", verify.issued},
          {"elapsed_ns", verify.elapsed_ns}};
}

Json recovery_json(const RecoveryOutcome& recovery) {
  const RecoveryReport& report = recovery.report;
  return {{"log_bytes", report.log_bytes},
          {"records", report.records},
          {"operations", report.operations},
          {"torn_tails", report.torn_tails},
          {"open_ns", recovery.open_ns},
          {"duration_ns", report.duration_ns},
          {"bytes_per_second", per_second(report.log_bytes, report.duration_ns)}};
}

Json job_json(const JobResult& result, JsonBins bins) {
  Json json = {{"jobname", result.job.name},
               {"groupid", result.group_id},
               {"job_start", result.started_unix * 1000},
               {"error", result.error.empty() ? 0 : 1},
               {"error_text", result.error},
               {"eta", 0},
               {"elapsed", (result.elapsed_ns + 999'999'999) / 1'000'000'000},
               {"job options", options_json(result.job)},
               {"jobs", result.jobs},
               {"concurrent", result.concurrent},
               {"operations", result.operations()},
               {"commits", result.commits()},
               {"user_bytes", result.user_bytes()},
               {"written_bytes", result.written_bytes()},
               {"elapsed_ns", result.elapsed_ns},
               {"settle_ns", result.settle_ns},
               {"open_ns", result.open_ns},
               {"ops_per_second", per_second(result.operations(), result.elapsed_ns)},
               {"commits_per_second", per_second(result.commits(), result.elapsed_ns)}};
  for (const OpStats& stats : result.ops) {
    json[kind_name(stats.kind)] = kind_json(result, stats, bins);
  }
  add_stages(result, bins, json);
  json["job_runtime"] = result.elapsed_ns / 1'000'000;
  add_processor(result, json);
  json["system"] = kernel_json(result);
  json["engine"] = engine_json(result);
  json["series"] = series_json(result.series);
  if (result.job.rate.ops_per_second > 0) {
    json["rate"] = {{"wanted_ops_per_second", result.job.rate.ops_per_second},
                    {"reached_ops_per_second", per_second(result.operations(), result.elapsed_ns - result.settle_ns)},
                    {"behind_ns", result.behind_ns}};
  }
  if (result.verify.has_value()) {
    json["verify"] = verify_json(*result.verify);
  }
  if (result.recovery.has_value()) {
    json["recovery"] = recovery_json(*result.recovery);
  }
  return json;
}

Json environment_json(const Machine& machine) {
  return {{"kernel", machine.kernel},        {"file_system", machine.file_system}, {"processor", machine.processor},
          {"cores", machine.cores},          {"governor", machine.governor},       {"memory_bytes", machine.memory_bytes},
          {"memlock", machine.memlock},      {"device", machine.device},           {"device_cache", machine.device_cache},
          {"device_fua", machine.device_fua}};
}

// fio's, where it has one: the counters of the whole disk, from the first job to the last.
Json disk_util_json(const std::vector<JobResult>& results) {
  Json disks = Json::array();
  if (results.empty() || results.front().disk.before.name.empty()) {
    return disks;
  }
  const DiskCounters& before = results.front().disk.before;
  const DiskCounters& after = results.back().disk.after;
  const double elapsed_ms = std::max(static_cast<double>(after.at_ns - before.at_ns) / 1e6, 1e-9);
  disks.push_back({{"name", before.name},
                   {"read_ios", after.reads - before.reads},
                   {"write_ios", after.writes - before.writes},
                   {"read_merges", after.reads_merged - before.reads_merged},
                   {"write_merges", after.writes_merged - before.writes_merged},
                   {"read_ticks", after.read_ms - before.read_ms},
                   {"write_ticks", after.write_ms - before.write_ms},
                   {"in_queue", after.in_queue_ms - before.in_queue_ms},
                   {"flushes", after.flushes - before.flushes},
                   {"util", std::min(100.0, 100 * static_cast<double>(after.busy_ms - before.busy_ms) / elapsed_ms)}});
  return disks;
}

}  // namespace

std::string json_report(const std::vector<JobResult>& results, const Machine& machine, JsonBins bins) {
  const auto now_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  Json jobs = Json::array();
  for (const JobResult& result : results) {
    jobs.push_back(job_json(result, bins));
  }
  const Json document = {
      {"penstock-bench version", PENSTOCK_BENCH_VERSION},
      {"format_version", 2},
      {"timestamp", now_ms / 1000},
      {"timestamp_ms", now_ms},
      {"time", fmt::format("{:%a %b %e %H:%M:%S %Y}", fmt::localtime(static_cast<std::time_t>(now_ms / 1000)))},
      {"env", environment_json(machine)},
      {"jobs", jobs},
      {"disk_util", disk_util_json(results)}};
  return document.dump(2) + "\n";
}

}  // namespace penstock::bench
