#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <map>

#include "tools/penstock-bench/latency_text.h"
#include "tools/penstock-bench/report.h"
#include "tools/penstock-bench/report_values.h"

namespace penstock::bench {
namespace {

std::string bytes_text(std::uint64_t bytes) { return bench::bytes_text(static_cast<double>(bytes)); }

double ms_of(std::uint64_t duration_ns) { return static_cast<double>(duration_ns) / 1e6; }

template <typename T>
struct Difference {
  const Span<T>& span;
  std::uint64_t operator()(std::uint64_t T::* counter) const { return span.after.*counter - span.before.*counter; }
};

// --- What fio has: a section for each kind of operation ---

std::string rate_lines(const JobResult& result, const OpStats& stats) {
  const RateSpread spread = rate_spread(result.series, stats.kind);
  if (spread.samples == 0) {
    return "";
  }
  const double kib = mean_bytes(stats) / 1024;
  return fmt::format(
      "   bw (  KiB/s): min={:5.0f}, max={:5.0f}, per=100.00%, avg={:.2f}, stdev={:.2f}, samples={}\n"
      "   ops         : min={:5.0f}, max={:5.0f}, avg={:.2f}, stdev={:.2f}, samples={}\n",
      spread.least * kib, spread.most * kib, spread.mean * kib, spread.stddev * kib, spread.samples, spread.least, spread.most,
      spread.mean, spread.stddev, spread.samples);
}

std::string kind_text(const JobResult& result, const OpStats& stats) {
  const std::uint64_t elapsed_ns = result.elapsed_ns;
  std::string text = fmt::format(
      "  {}: OPS={}, BW={}({}/{}msec)", kind_name(stats.kind), short_number(per_second(stats.operations, elapsed_ns)),
      bandwidth_text(per_second(stats.bytes, elapsed_ns)), bytes_text(stats.bytes), elapsed_ns / 1'000'000);
  if (stats.calls != stats.operations) {
    text += fmt::format("; {} {}/s", short_number(per_second(stats.calls, elapsed_ns)),
                        kind_writes(stats.kind) ? "commits" : "calls");
  }
  if (stats.rows > 0) {
    text += fmt::format("; {} rows/s", short_number(per_second(stats.rows, elapsed_ns)));
  }
  text += stats.misses > 0 ? fmt::format("; {} not there\n", stats.misses) : "\n";
  if (stats.latency.count() == 0) {
    return text;
  }
  const bool has_rate = result.job.rate.ops_per_second > 0;
  if (stats.submission.count() > 0) {
    text += latency_line("slat", stats.submission);
  }
  text += latency_line("clat", completion_of(stats)) + latency_line("lat", stats.latency);
  // With a rate the wait before a call counts: its latency is what tells (coordinated omission).
  text +=
      percentile_table(has_rate ? "lat" : "clat", has_rate ? stats.latency : completion_of(stats), percentiles_of(result.job));
  return text + rate_lines(result, stats);
}

// Of the operations alone: settling is not part of the rate.
double reached_ops(const JobResult& result) { return per_second(result.operations(), result.elapsed_ns - result.settle_ns); }

std::string rate_text(const JobResult& result) {
  const Rate& rate = result.job.rate;
  const double reached = reached_ops(result);
  return fmt::format(
      "  rate         : wanted={} ops/s ({}), reached={} ops/s ({:.1f}%), behind at the end={:.1f}ms; lat counts from when a "
      "call "
      "was due\n",
      short_number(static_cast<double>(rate.ops_per_second)), rate_process_name(rate.process), short_number(reached),
      100 * reached / static_cast<double>(rate.ops_per_second), ms_of(result.behind_ns));
}

base::Histogram all_latencies(const JobResult& result) {
  base::Histogram all;
  for (const OpStats& stats : result.ops) {
    all.merge(stats.latency);
  }
  return all;
}

std::string depth_lines(const JobResult& result) {
  constexpr const char* kLevels[] = {"1", "2", "4", "8", "16", "32", ">=64"};
  static_assert(std::size(kLevels) == kDepthLevels);
  std::uint64_t calls = 0;
  for (const std::uint64_t count : result.depths) {
    calls += count;
  }
  std::string text = "  IO depths    : ";
  for (std::size_t level = 0; level < kDepthLevels; ++level) {
    text += fmt::format("{}{}={:.1f}%", level == 0 ? "" : ", ", kLevels[level], 100 * ratio(result.depths[level], calls));
  }
  text += "\n     issued    : ";
  for (const OpStats& stats : result.ops) {
    text += fmt::format("{}{}={}", &stats == &result.ops.front() ? "" : ", ", kind_name(stats.kind), stats.operations);
  }
  return text + fmt::format("; {} client{} of {} in flight\n", result.job.clients, result.job.clients == 1 ? "" : "s",
                            result.job.iodepth);
}

std::string processor_line(const JobResult& result) {
  const Difference<ProcessCounters> diff{result.process};
  const double elapsed = std::max(seconds_of(result.elapsed_ns), 1e-9);
  return fmt::format("  cpu          : usr={:.2f}%, sys={:.2f}%, ctx={}, majf={}, minf={}\n",
                     100 * seconds_of(diff(&ProcessCounters::user_ns)) / elapsed,
                     100 * seconds_of(diff(&ProcessCounters::system_ns)) / elapsed, diff(&ProcessCounters::context_switches),
                     diff(&ProcessCounters::major_faults), diff(&ProcessCounters::minor_faults));
}

// --- What the kernel counted, for every engine ---

std::string kernel_lines(const JobResult& result) {
  const Difference<ProcessCounters> process{result.process};
  std::string text = "  kernel       : written=" + bytes_text(process(&ProcessCounters::written_bytes));
  if (const double amplification = write_amplification(result); amplification > 0) {
    text += fmt::format(" ({:.2f} for each byte given)", amplification);
  }
  text += ", read=" + bytes_text(process(&ProcessCounters::read_bytes));
  if (!result.disk.after.name.empty()) {
    const std::uint64_t flushes = result.disk.after.flushes - result.disk.before.flushes;
    text += fmt::format(", device flushes={}", flushes);
    if (result.job.writes()) {
      text += fmt::format(" ({:.2f} commits each)", ratio(result.commits(), flushes));
    }
  }
  text += "\n  space        : on disk=" + bytes_text(result.disk_use_bytes);
  if (const double amplification = space_amplification(result); amplification > 0) {
    text += fmt::format(" ({:.2f} for each byte of the data)", amplification);
  }
  return text + fmt::format(", size of the files={}\n", bytes_text(result.directory_bytes));
}

// --- What Penstock says of itself ---

std::string stage_lines(const JobResult& result) {
  if (!result.stages.has_value() || !result.job.writes()) {
    return "";
  }
  constexpr std::pair<const char*, StageTimes CommitStages::*> kStages[] = {{"apply", &CommitStages::apply},
                                                                            {"queue", &CommitStages::queue},
                                                                            {"write", &CommitStages::write},
                                                                            {"sync", &CommitStages::sync},
                                                                            {"wake", &CommitStages::wake}};
  std::string text = "  commit stages (usec), the first commit of each group: avg / p99\n     |";
  base::Histogram sync;
  for (const auto& [name, stage] : kStages) {
    const base::Histogram times = stage_between(result.stages->before.*stage, result.stages->after.*stage);
    text += fmt::format(" {}={:.1f} / {:.1f}{}", name, times.mean_ns() / 1e3,
                        static_cast<double>(times.percentile_ns(99)) / 1e3, stage == &CommitStages::wake ? "\n" : ",");
    if (stage == &CommitStages::sync) {
      sync = times;
    }
  }
  if (sync.count() > 0) {
    text += "  fsync/fdatasync/durable write of the log:\n" + latency_line("sync", sync) +
            percentile_table("sync", sync, percentiles_of(result.job));
  }
  return text;
}

std::string write_lines(const JobResult& result) {
  const Difference<Metrics> diff{result.metrics};
  const Metrics& after = result.metrics.after;
  const std::uint64_t syncs = diff(&Metrics::syncs);
  return fmt::format(
             "  sync         : fsyncs={} (log {}), ops/fsync={:.1f}, commits/fsync={:.2f}\n"
             "  log          : groups={}, appended={}, written={}, in use={}, late segments={}\n",
             syncs, diff(&Metrics::log_syncs), ratio(result.operations(), syncs), ratio(result.commits(), syncs),
             diff(&Metrics::log_groups), bytes_text(diff(&Metrics::log_appended_bytes)),
             bytes_text(diff(&Metrics::log_written_bytes)), bytes_text(after.log_bytes_in_use),
             diff(&Metrics::log_segments_late)) +
         fmt::format(
             "  flush        : flushes={}, busy={:.0f}ms, pages={}, memtables={}, in flight={} (halved {})\n"
             "  stalls       : delayed commits={} ({:.0f}ms, max {:.1f}ms), tasks over 2ms={}\n"
             "  runs         : made={}, joined={}, slices merged={}, entries waiting={}, filters={}, zones cleaned={}\n",
             diff(&Metrics::flushes), ms_of(diff(&Metrics::flush_ns)), bytes_text(diff(&Metrics::page_bytes_written)),
             bytes_text(after.memtable_bytes), bytes_text(after.flush_write_bytes), diff(&Metrics::flush_write_cuts),
             diff(&Metrics::delayed_commits), ms_of(diff(&Metrics::delayed_ns)), ms_of(after.delayed_ns_max),
             diff(&Metrics::stalls), diff(&Metrics::runs_made), diff(&Metrics::runs_joined), diff(&Metrics::run_slices),
             after.run_entries, bytes_text(after.run_filter_bytes), diff(&Metrics::zones_cleaned));
}

std::string penstock_lines(const JobResult& result) {
  const Difference<Metrics> diff{result.metrics};
  const std::uint64_t hits = diff(&Metrics::cache_hits);
  const std::uint64_t misses = diff(&Metrics::cache_misses);
  return fmt::format("  engine       : Penstock {}; reactors={}, shards={}, io={}\n", PENSTOCK_BENCH_VERSION, result.reactors,
                     result.shards, result.io_backend) +
         (result.job.writes() ? write_lines(result) : "") +
         fmt::format(
             "  cache        : hits={}, misses={} ({:.1f}% hit), gets from disk={}, pages read={}, size={}\n"
             "  io           : written={}, read={}, entries={}, enters={}, wakes={} ({} elided)\n",
             hits, misses, 100 * ratio(hits, hits + misses), diff(&Metrics::gets_from_disk), diff(&Metrics::pages_read),
             bytes_text(result.metrics.after.cache_bytes), bytes_text(diff(&Metrics::write_bytes)),
             bytes_text(diff(&Metrics::read_bytes)), diff(&Metrics::entries), diff(&Metrics::enters),
             diff(&Metrics::wakes_sent), diff(&Metrics::wakes_elided));
}

std::string peer_lines(const PeerOutcome& peer) {
  std::string text = fmt::format("  engine       : {}; {}\n  durability   : {}\n", peer.about.version, peer.about.options,
                                 peer.about.durability);
  if (!peer.counters.empty()) {
    text += "  it says      : ";
    for (const PeerCounter& counter : peer.counters) {
      const bool is_bytes = counter.name.find("bytes") != std::string::npos;
      text += fmt::format("{}{}={}", &counter == &peer.counters.front() ? "" : ", ", counter.name,
                          is_bytes ? bytes_text(counter.value) : fmt::to_string(counter.value));
    }
    text += "\n";
  }
  return text;
}

// --- Around it ---

std::string header_line(const JobResult& result) {
  const Job& job = result.job;
  const auto started = static_cast<std::time_t>(result.started_unix);
  return fmt::format(
      "{}: (groupid={}, jobs={}): err= {}{}: pid={}: {:%a %b %e %H:%M:%S %Y}\n"
      "  {}: op={}, clients={}, iodepth={}, batch={}, durability={}, seed={}\n",
      job.name, result.group_id, result.jobs, result.error.empty() ? 0 : 1,
      result.error.empty() ? "" : " (" + result.error + ")", ::getpid(), fmt::localtime(started), engine_name(job.engine),
      op_name(job.op), job.clients, job.iodepth, job.batch, durability_name(job.durability), job.seed);
}

std::string measured_lines(const JobResult& result) {
  std::string text;
  for (const OpStats& stats : result.ops) {
    text += kind_text(result, stats);
  }
  text += bucket_lines(all_latencies(result));
  text += result.job.rate.ops_per_second > 0 ? rate_text(result) : "";
  if (result.settle_ns > 0) {
    text += fmt::format("  settling     : {:.3f} s of the {:.3f}, until no background work was due\n",
                        seconds_of(result.settle_ns), seconds_of(result.elapsed_ns));
  }
  text += stage_lines(result) + processor_line(result) + depth_lines(result) + kernel_lines(result);
  return text + (result.peer.has_value() ? peer_lines(*result.peer) : penstock_lines(result));
}

std::string recovery_line(const RecoveryOutcome& recovery) {
  const RecoveryReport& report = recovery.report;
  return fmt::format(
      "  recovery     : log={} in {} logs, records={}, ops={}, torn tails={}, open={:.1f}ms, recovery={:.1f}ms, {}/s, "
      "ops/s={}\n",
      bytes_text(report.log_bytes), report.logs, report.records, report.operations, report.torn_tails, ms_of(recovery.open_ns),
      ms_of(report.duration_ns), bench::bytes_text(per_second(report.log_bytes, report.duration_ns)),
      short_number(per_second(report.operations, report.duration_ns)));
}

std::string verify_line(const VerifyOutcome& verify) {
  std::string text = fmt::format("  verify       : {}: {}\n", verify.is_ok() ? "ok" : "FAILED", verify.summary());
  return text + (verify.is_ok() ? "" : "                 " + verify.first_problem + "\n");
}

}  // namespace

std::string text_report(const JobResult& result) {
  std::string text = header_line(result);
  if (result.loaded_keys > 0) {
    text += fmt::format("  loaded       : {} keys in {:.1f} s beforehand\n", result.loaded_keys, seconds_of(result.load_ns));
  }
  if (result.job.reopen && result.open_ns > 0) {
    text += fmt::format("  opened       : in {:.1f} ms beforehand\n", ms_of(result.open_ns));
  }
  if (result.recovery.has_value()) {
    text += fmt::format("  total        : ops={}, commits={}, seconds={:.3f}\n", result.operations(), result.commits(),
                        seconds_of(result.elapsed_ns));
    text += recovery_line(*result.recovery);
  } else if (result.elapsed_ns > 0) {
    text += measured_lines(result);
  }
  return text + (result.verify.has_value() ? verify_line(*result.verify) : "");
}

std::string run_status(const std::vector<JobResult>& results) {
  std::string text;
  std::map<std::string, Span<DiskCounters>> disks;
  for (const JobResult& result : results) {
    if (result.elapsed_ns == 0) {
      continue;
    }
    const bool begins = &result == &results.front() || (&result - 1)->group_id != result.group_id;
    text += begins ? fmt::format("\nRun status group {} (all jobs):\n", result.group_id) : "";
    for (const OpStats& stats : result.ops) {
      std::string name = kind_name(stats.kind);
      std::ranges::transform(name, name.begin(), [](char letter) { return static_cast<char>(letter - 'a' + 'A'); });
      text += fmt::format("  {:>8}: bw={}, ops={}, io={}, run={}msec  ({})\n", name,
                          bandwidth_text(per_second(stats.bytes, result.elapsed_ns)),
                          short_number(per_second(stats.operations, result.elapsed_ns)), bytes_text(stats.bytes),
                          result.elapsed_ns / 1'000'000, result.job.name);
    }
    if (!result.disk.after.name.empty()) {
      const auto [at, is_new] = disks.emplace(result.disk.after.name, result.disk);
      at->second.after = is_new ? at->second.after : result.disk.after;
    }
  }
  for (const auto& [name, span] : disks) {
    const Difference<DiskCounters> diff{span};
    const double elapsed_ms = std::max(ms_of(span.after.at_ns - span.before.at_ns), 1e-9);
    text += fmt::format(
        "\nDisk stats (read/write), all processes:\n  {}: ios={}/{}, merge={}/{}, ticks={}/{}, in_queue={}, flushes={}, "
        "util={:.2f}%\n",
        name, diff(&DiskCounters::reads), diff(&DiskCounters::writes), diff(&DiskCounters::reads_merged),
        diff(&DiskCounters::writes_merged), diff(&DiskCounters::read_ms), diff(&DiskCounters::write_ms),
        diff(&DiskCounters::in_queue_ms), diff(&DiskCounters::flushes),
        std::min(100.0, 100 * static_cast<double>(diff(&DiskCounters::busy_ms)) / elapsed_ms));
  }
  return text;
}

std::string machine_text(const Machine& machine) {
  return fmt::format("{}; {} on {} cores, governor {}; {} of memory, locked at most {}\n{} on {}: cache {}, FUA {}\n",
                     machine.kernel, machine.processor, machine.cores, machine.governor, bytes_text(machine.memory_bytes),
                     machine.memlock, machine.file_system, machine.device.empty() ? "an unknown device" : machine.device,
                     machine.device_cache, machine.device_fua);
}

}  // namespace penstock::bench
