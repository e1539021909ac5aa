// Keys that say how a job's clients work.
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

void set_scan_len(Job& job, const std::string& text) {
  const std::size_t dash = text.find('-');
  job.scan_len_min = parse_u32(text.substr(0, dash), 1);
  job.scan_len = dash == std::string::npos ? job.scan_len_min : parse_u32(text.substr(dash + 1), 1);
  if (job.scan_len < job.scan_len_min) {
    throw std::invalid_argument("a range begins with its smaller end, as in 1-100");
  }
}

constexpr Key kLoadKeys[] = {
    {"clients", "N", [](Job& job, const std::string& value) { job.clients = parse_u32(value, 1); },
     "Threads that issue operations, or coroutines (placement).", "1"},
    {"iodepth", "N", [](Job& job, const std::string& value) { job.iodepth = parse_u32(value, 1); },
     "Calls in flight per client. A peer answers a call before it takes the next, so it gets clients x iodepth threads.", "1"},
    {"placement", "threads|on_shard",
     [](Job& job, const std::string& value) { job.placement = parse_word<ClientPlace>(kPlacements, value); },
     "Clients are threads, or coroutines on the shards with one call at a time (Penstock alone).", "threads"},
    {"session", kFlagValues, [](Job& job, const std::string& value) { job.session = parse_flag(value); },
     "op=get: a client's gets go through a session and travel together.", "0", Scope::kPenstock},
    {"batch", "N", [](Job& job, const std::string& value) { job.batch = parse_u32(value, 1); },
     "Operations of a commit; keys of a multiget.", "1"},
    {"ops", "N", [](Job& job, const std::string& value) { job.ops = parse_size(value); },
     "Stop after so many operations, all clients together; of a put, delete or multiget each key is one.",
     "once through all keys if key_order goes through them"},
    {"loops", "N", [](Job& job, const std::string& value) { job.loops = parse_u32(value, 1); },
     "Go through the keys, or ops, so many times.", "1"},
    {"runtime", "TIME", [](Job& job, const std::string& value) { job.runtime_ns = parse_duration_ns(value); },
     "Stop after this time, ramp_time not counted."},
    {"time_based", kFlagValues, [](Job& job, const std::string& value) { job.time_based = parse_flag(value); },
     "Go on for the whole of runtime, through the keys again and again.", "0"},
    {"ramp_time", "TIME", [](Job& job, const std::string& value) { job.ramp_ns = parse_duration_ns(value); },
     "Work for this time first, and leave it out of all figures. It counts towards ops.", "0"},
    {"startdelay", "TIME", [](Job& job, const std::string& value) { job.startdelay_ns = parse_duration_ns(value); },
     "Begin this long after the jobs that it starts with.", "0"},
    {"rate_ops", "N", [](Job& job, const std::string& value) { job.rate.ops_per_second = parse_size(value); },
     "Operations per second wanted, all clients together. Latency then counts from when a call was to begin. 0: no rate.", "0"},
    {"rate_process", "linear|poisson",
     [](Job& job, const std::string& value) { job.rate.process = parse_word<RateProcess>(kRateProcesses, value); },
     "The same time between the calls of a client, or random times with that mean.", "linear"},
    {"scan_len", "N | N-N", set_scan_len, "Rows of a scan; evenly between two numbers.", "100"},
    {"scan_dir", "forward|reverse",
     [](Job& job, const std::string& value) { job.scan_reverse = parse_word<bool>(kScanDirections, value); },
     "From the key on, or back from it. Penstock scans forward alone.", "forward"},
    {"durability", "sync|written|buffered|unlogged",
     [](Job& job, const std::string& value) { job.durability = parse_word<Durability>(kDurabilities, value); },
     "What a commit waits for: stable storage, the kernel, the log's buffer, or memory and no log. The report says what a peer "
     "was "
     "told.",
     "sync"},
    {"settle", kFlagValues, [](Job& job, const std::string& value) { job.settle = parse_flag(value); },
     "The time runs on until everything is in the engine's files and no work is due.", "0"},
    {"log_bytes", "SIZE", [](Job& job, const std::string& value) { job.log_bytes = parse_size(value); },
     "op=recovery: log to leave behind.", "256m", Scope::kPenstock},
};

}  // namespace

std::span<const Key> load_keys() { return kLoadKeys; }

}  // namespace penstock::bench
