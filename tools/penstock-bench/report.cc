#include "tools/penstock-bench/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

namespace penstock::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kPercentiles[] = {1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99};

double seconds(std::uint64_t duration_ns) { return static_cast<double>(duration_ns) / 1e9; }

double per_second(std::uint64_t count, std::uint64_t duration_ns) {
  return duration_ns == 0 ? 0 : static_cast<double>(count) / seconds(duration_ns);
}

double ratio(std::uint64_t count, std::uint64_t per) {
  return per == 0 ? 0 : static_cast<double>(count) / static_cast<double>(per);
}

// 1536 -> "1.5KiB".
std::string bytes_text(double bytes) {
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (bytes < 1024) {
      break;
    }
    bytes /= 1024;
    unit = next;
  }
  return fmt::format("{:.{}f}{}", bytes, *unit == 'B' ? 0 : 1, unit);
}
std::string bytes_text(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

// fio's choice of unit (stat.c, calc_lat): the finest in which the values are not silly.
struct Unit {
  const char* name;
  double ns;
};
Unit unit_for(const base::Histogram& latency) {
  if (latency.min_ns() > 2'000'000 && latency.max_ns() > 99'999'000) {
    return {.name = "msec", .ns = 1e6};
  }
  if (latency.min_ns() > 2'000 && latency.max_ns() > 99'999) {
    return {.name = "usec", .ns = 1e3};
  }
  return {.name = "nsec", .ns = 1};
}

std::string latency_text(const base::Histogram& latency, const std::string& call) {
  const Unit unit = unit_for(latency);
  std::string text =
      fmt::format("    {} lat ({}): min={:.0f}, max={:.0f}, avg={:.2f}, stdev={:.2f}\n", call, unit.name,
                  static_cast<double>(latency.min_ns()) / unit.ns, static_cast<double>(latency.max_ns()) / unit.ns,
                  latency.mean_ns() / unit.ns, latency.stddev_ns() / unit.ns);
  text += fmt::format("    {} lat percentiles ({}):\n", call, unit.name);
  constexpr std::size_t kPerLine = 4;
  const auto widest = fmt::formatted_size("{:.0f}", static_cast<double>(latency.max_ns()) / unit.ns);
  for (std::size_t at = 0; at < std::size(kPercentiles); ++at) {
    const double value = static_cast<double>(latency.percentile_ns(kPercentiles[at])) / unit.ns;
    const bool ends_line = at % kPerLine == kPerLine - 1 || at + 1 == std::size(kPercentiles);
    text += fmt::format("{} {:5.2f}th=[{:{}.0f}]{}", at % kPerLine == 0 ? "     |" : "", kPercentiles[at], value, widest,
                        ends_line ? "\n" : ",");
  }
  return text;
}

// What the latency is of.
std::string call_name(const OpStats& stats) {
  return kind_writes(stats.kind) && stats.kind != OpKind::kRmw ? "commit" : kind_name(stats.kind);
}

std::string op_text(const OpStats& stats, std::uint64_t elapsed_ns) {
  std::string text =
      fmt::format("  {:6}: ops/s={}", kind_name(stats.kind), short_number(per_second(stats.operations, elapsed_ns)));
  if (stats.calls != stats.operations) {
    text += fmt::format(", calls/s={}", short_number(per_second(stats.calls, elapsed_ns)));
  }
  if (stats.rows > 0) {
    text += fmt::format(", rows/s={}", short_number(per_second(stats.rows, elapsed_ns)));
  }
  text += fmt::format(", BW={}/s ({}/{}msec){}\n", bytes_text(per_second(stats.bytes, elapsed_ns)), bytes_text(stats.bytes),
                      elapsed_ns / 1'000'000, stats.misses > 0 ? fmt::format(", not there={}", stats.misses) : "");
  return text + (stats.latency.count() > 0 ? latency_text(stats.latency, call_name(stats)) : "");
}

std::string throughput_text(const JobResult& result) {
  std::string text;
  for (const OpStats& stats : result.ops) {
    text += op_text(stats, result.elapsed_ns);
  }
  text += fmt::format("  total : ops={}, commits={}, seconds={:.3f}", result.operations(), result.commits(),
                      seconds(result.elapsed_ns));
  if (result.settle_ns > 0) {
    text += fmt::format(" (of them settling {:.3f})", seconds(result.settle_ns));
  }
  text += "\n";
  return text;
}

// Of the operations alone: settling is not part of the rate.
double reached_ops(const JobResult& result) { return per_second(result.operations(), result.elapsed_ns - result.settle_ns); }

std::string rate_text(const JobResult& result) {
  const Rate& rate = result.job.rate;
  const double reached = reached_ops(result);
  return fmt::format(
      "  rate  : wanted={} ops/s ({}), reached={} ops/s ({:.1f}%), behind at the end={:.1f}ms; latency from when a call was "
      "due\n",
      short_number(static_cast<double>(rate.ops_per_second)), rate_process_name(rate.process), short_number(reached),
      100 * reached / static_cast<double>(rate.ops_per_second), static_cast<double>(result.behind_ns) / 1e6);
}

std::string engine_text(const JobResult& result) {
  const Metrics& before = result.metrics.before;
  const Metrics& after = result.metrics.after;
  const auto diff = [&](std::uint64_t Metrics::* counter) { return after.*counter - before.*counter; };
  const std::uint64_t syncs = diff(&Metrics::syncs);
  std::string text;
  if (result.job.writes()) {
    text += fmt::format("  sync  : fsyncs={} (log {}), ops/fsync={:.1f}, commits/fsync={:.2f}\n", syncs,
                        diff(&Metrics::log_syncs), ratio(result.operations(), syncs), ratio(result.commits(), syncs));
    text +=
        fmt::format("  log   : groups={}, appended={}, written={}, in use={}, late segments={}\n", diff(&Metrics::log_groups),
                    bytes_text(diff(&Metrics::log_appended_bytes)), bytes_text(diff(&Metrics::log_written_bytes)),
                    bytes_text(after.log_bytes_in_use), diff(&Metrics::log_segments_late));
    text += fmt::format(
        "  flush : flushes={}, busy={:.0f}ms, pages={}, memtables={}, delayed commits={} ({:.0f}ms, max {:.1f}ms)\n",
        diff(&Metrics::flushes), static_cast<double>(diff(&Metrics::flush_ns)) / 1e6,
        bytes_text(diff(&Metrics::page_bytes_written)), bytes_text(after.memtable_bytes), diff(&Metrics::delayed_commits),
        static_cast<double>(diff(&Metrics::delayed_ns)) / 1e6, static_cast<double>(after.delayed_ns_max) / 1e6);
    text += fmt::format("  runs  : made={}, joined={}, slices merged={}, entries waiting={}, filters={}, zones cleaned={}\n",
                        diff(&Metrics::runs_made), diff(&Metrics::runs_joined), diff(&Metrics::run_slices), after.run_entries,
                        bytes_text(after.run_filter_bytes), diff(&Metrics::zones_cleaned));
  }
  const std::uint64_t hits = diff(&Metrics::cache_hits);
  const std::uint64_t misses = diff(&Metrics::cache_misses);
  text += fmt::format("  cache : hits={}, misses={} ({:.1f}% hit), gets from disk={}, pages read={}, size={}\n", hits, misses,
                      100 * ratio(hits, hits + misses), diff(&Metrics::gets_from_disk), diff(&Metrics::pages_read),
                      bytes_text(after.cache_bytes));
  text += fmt::format(
      "  io    : written={}, read={}, write amplification={:.2f}, entries={}, enters={}, wakes={} ({} elided), stalls={}\n",
      bytes_text(diff(&Metrics::write_bytes)), bytes_text(diff(&Metrics::read_bytes)),
      ratio(diff(&Metrics::write_bytes), result.written_bytes()), diff(&Metrics::entries), diff(&Metrics::enters),
      diff(&Metrics::wakes_sent), diff(&Metrics::wakes_elided), diff(&Metrics::stalls));
  return text;
}

std::string peer_text(const PeerOutcome& peer) {
  std::string text =
      fmt::format("  engine: {}; {}\n  durab : {}\n", peer.about.version, peer.about.options, peer.about.durability);
  if (!peer.counters.empty()) {
    text += "  says  : ";
    for (const PeerCounter& counter : peer.counters) {
      const bool is_bytes = counter.name.find("bytes") != std::string::npos;
      text += fmt::format("{}{}={}", &counter == &peer.counters.front() ? "" : ", ", counter.name,
                          is_bytes ? bytes_text(counter.value) : fmt::to_string(counter.value));
    }
    text += "\n";
  }
  return text;
}

std::string system_text(const JobResult& result) {
  const auto& [before, after] = result.process;
  const double elapsed = std::max(seconds(result.elapsed_ns), 1e-9);
  std::string text = fmt::format(
      "  cpu   : usr={:.1f}%, sys={:.1f}%; /proc/self/io written={}{}, read={}\n",
      100 * seconds(after.user_ns - before.user_ns) / elapsed, 100 * seconds(after.system_ns - before.system_ns) / elapsed,
      bytes_text(after.written_bytes - before.written_bytes),
      !result.job.writes() ? ""
                           : fmt::format(" ({:.2f} for each byte given)",
                                         ratio(after.written_bytes - before.written_bytes, result.written_bytes())),
      bytes_text(after.read_bytes - before.read_bytes));
  const DiskCounters& disk = result.disk.after;
  const DiskCounters& earlier = result.disk.before;
  if (!disk.name.empty()) {
    text += fmt::format("  disk  : {}: writes={} ({}), reads={} ({}), flushes={}, util={:.1f}% (all processes)\n", disk.name,
                        disk.writes - earlier.writes, bytes_text(disk.written_bytes - earlier.written_bytes),
                        disk.reads - earlier.reads, bytes_text(disk.read_bytes - earlier.read_bytes),
                        disk.flushes - earlier.flushes,
                        std::min(100.0, static_cast<double>(disk.busy_ms - earlier.busy_ms) / 10 / elapsed));
  }
  return text;
}

std::string recovery_text(const RecoveryOutcome& recovery) {
  const RecoveryReport& report = recovery.report;
  return fmt::format(
      "  recov : log={} in {} logs, records={}, ops={}, torn tails={}, open={:.1f}ms, recovery={:.1f}ms, {}/s, ops/s={}\n",
      bytes_text(report.log_bytes), report.logs, report.records, report.operations, report.torn_tails,
      static_cast<double>(recovery.open_ns) / 1e6, static_cast<double>(report.duration_ns) / 1e6,
      bytes_text(per_second(report.log_bytes, report.duration_ns)),
      short_number(per_second(report.operations, report.duration_ns)));
}

std::string verify_text(const VerifyOutcome& verify) {
  return fmt::format("  verify: {}: {} keys checked, {} wrong, {} missing; {} pages walked; {:.2f} s\n",
                     verify.is_ok() ? "ok" : "FAILED", verify.keys, verify.wrong, verify.missing, verify.pages,
                     seconds(verify.elapsed_ns));
}

Json latency_json(const base::Histogram& latency) {
  Json percentiles = Json::object();
  for (const double percent : kPercentiles) {
    percentiles[fmt::format("{:.6f}", percent)] = latency.percentile_ns(percent);
  }
  return {{"min", latency.min_ns()},       {"max", latency.max_ns()}, {"mean", latency.mean_ns()},
          {"stddev", latency.stddev_ns()}, {"N", latency.count()},    {"percentile", percentiles}};
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

Json metrics_json(const Span<Metrics>& span) {
  constexpr std::pair<const char*, std::uint64_t Metrics::*> kCounters[] = {
      {"syncs", &Metrics::syncs},
      {"log_syncs", &Metrics::log_syncs},
      {"log_groups", &Metrics::log_groups},
      {"log_appended_bytes", &Metrics::log_appended_bytes},
      {"log_written_bytes", &Metrics::log_written_bytes},
      {"log_segments_late", &Metrics::log_segments_late},
      {"flushes", &Metrics::flushes},
      {"flush_ns", &Metrics::flush_ns},
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

Json peer_json(const PeerOutcome& peer) {
  Json counters = Json::object();
  for (const PeerCounter& counter : peer.counters) {
    counters[counter.name] = counter.value;
  }
  return {{"version", peer.about.version},
          {"options", peer.about.options},
          {"durability", peer.about.durability},
          {"counters", counters}};
}

Json system_json(const JobResult& result) {
  const auto& [process_before, process_after] = result.process;
  const auto& [disk_before, disk_after] = result.disk;
  return {{"user_ns", process_after.user_ns - process_before.user_ns},
          {"system_ns", process_after.system_ns - process_before.system_ns},
          {"written_bytes", process_after.written_bytes - process_before.written_bytes},
          {"read_bytes", process_after.read_bytes - process_before.read_bytes},
          {"directory_bytes", result.directory_bytes},
          {"disk", disk_after.name},
          {"disk_writes", disk_after.writes - disk_before.writes},
          {"disk_written_bytes", disk_after.written_bytes - disk_before.written_bytes},
          {"disk_reads", disk_after.reads - disk_before.reads},
          {"disk_flushes", disk_after.flushes - disk_before.flushes}};
}

Json job_json(const JobResult& result) {
  Json json = {{"jobname", result.job.name},
               {"error", result.error},
               {"job_start", result.started_unix},
               {"job options", options_json(result.job)},
               {"operations", result.operations()},
               {"commits", result.commits()},
               {"user_bytes", result.user_bytes()},
               {"elapsed_ns", result.elapsed_ns},
               {"settle_ns", result.settle_ns},
               {"open_ns", result.open_ns},
               {"ops_per_second", per_second(result.operations(), result.elapsed_ns)},
               {"commits_per_second", per_second(result.commits(), result.elapsed_ns)},
               {"written_bytes", result.written_bytes()},
               {"system", system_json(result)}};
  for (const OpStats& stats : result.ops) {
    json[kind_name(stats.kind)] = {{"operations", stats.operations},
                                   {"calls", stats.calls},
                                   {"bytes", stats.bytes},
                                   {"rows", stats.rows},
                                   {"misses", stats.misses},
                                   {"ops_per_second", per_second(stats.operations, result.elapsed_ns)},
                                   {"lat_ns", latency_json(stats.latency)}};
  }
  if (result.peer.has_value()) {
    json["peer"] = peer_json(*result.peer);
  } else {
    json["engine"] = metrics_json(result.metrics);
    json["env"] = {{"reactors", result.reactors}, {"shards", result.shards}, {"io_backend", result.io_backend}};
  }
  if (result.job.rate.ops_per_second > 0) {
    json["rate"] = {{"wanted_ops_per_second", result.job.rate.ops_per_second},
                    {"reached_ops_per_second", reached_ops(result)},
                    {"behind_ns", result.behind_ns}};
  }
  if (result.verify.has_value()) {
    json["verify"] = {{"ok", result.verify->is_ok()},
                      {"keys", result.verify->keys},
                      {"wrong", result.verify->wrong},
                      {"missing", result.verify->missing},
                      {"elapsed_ns", result.verify->elapsed_ns}};
  }
  if (result.recovery.has_value()) {
    const RecoveryReport& report = result.recovery->report;
    json["recovery"] = {{"log_bytes", report.log_bytes},
                        {"records", report.records},
                        {"operations", report.operations},
                        {"torn_tails", report.torn_tails},
                        {"open_ns", result.recovery->open_ns},
                        {"duration_ns", report.duration_ns},
                        {"bytes_per_second", per_second(report.log_bytes, report.duration_ns)}};
  }
  return json;
}

}  // namespace

std::string text_report(const JobResult& result) {
  const Job& job = result.job;
  const auto started = static_cast<std::time_t>(result.started_unix);
  std::string text = fmt::format(
      "{}: (engine={}, op={}, clients={}, iodepth={}, batch={}): err= {}{}: seed={}: durability={}: {:%a %b %e %H:%M:%S %Y}\n",
      job.name, engine_name(job.engine), op_name(job.op), job.clients, job.iodepth, job.batch, result.error.empty() ? 0 : 1,
      result.error.empty() ? "" : " (" + result.error + ")", job.seed, durability_name(job.durability),
      fmt::localtime(started));
  if (result.loaded_keys > 0) {
    text += fmt::format("  loaded: {} keys in {:.1f} s beforehand\n", result.loaded_keys, seconds(result.load_ns));
  }
  if (job.reopen && result.open_ns > 0) {
    text += fmt::format("  open  : {:.1f} ms\n", static_cast<double>(result.open_ns) / 1e6);
  }
  if (result.elapsed_ns > 0) {
    text += throughput_text(result);
    text += result.job.rate.ops_per_second > 0 ? rate_text(result) : "";
  }
  if (!result.recovery.has_value() && result.elapsed_ns > 0) {
    text += (result.peer.has_value() ? peer_text(*result.peer) : engine_text(result)) + system_text(result);
  }
  if (result.recovery.has_value()) {
    text += recovery_text(*result.recovery);
  }
  if (result.verify.has_value()) {
    text += verify_text(*result.verify);
  }
  if (result.peer.has_value()) {
    text += fmt::format("  env   : directory={}\n", bytes_text(std::uint64_t{result.directory_bytes}));
  }
  if (result.reactors > 0) {
    text += fmt::format("  env   : reactors={}, shards={}, directory={}, io={}\n", result.reactors, result.shards,
                        bytes_text(std::uint64_t{result.directory_bytes}), result.io_backend);
  }
  return text;
}

std::string machine_line(const Machine& machine) {
  return fmt::format("{}; {} on {} cores; {}", machine.kernel, machine.processor, machine.cores, machine.file_system);
}

std::string json_report(const std::vector<JobResult>& results, const Machine& machine) {
  Json jobs = Json::array();
  for (const JobResult& result : results) {
    jobs.push_back(job_json(result));
  }
  const Json document = {{"penstock-bench version", PENSTOCK_BENCH_VERSION},
                         {"format_version", 1},
                         {"env",
                          {{"kernel", machine.kernel},
                           {"file_system", machine.file_system},
                           {"processor", machine.processor},
                           {"cores", machine.cores}}},
                         {"jobs", jobs}};
  return document.dump(2) + "\n";
}

}  // namespace penstock::bench
