#include "tools/penstock-bench/log_files.h"

#include <cstdio>
#include <string>
#include <vector>

#include "tools/penstock-bench/call_log.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

void write_log(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  const bool is_written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool is_closed = file != nullptr && std::fclose(file) == 0;
  if (!is_written || !is_closed) {
    throw JobError(path + " cannot be written");
  }
}

}  // namespace

void write_log_files(const Job& job, const LoadResult& loaded) {
  const LogSettings& logs = job.logs;
  std::vector<const CallLog*> calls;
  for (const auto& client : loaded.clients) {
    if (client->log != nullptr) {
      client->log->finish();
      calls.push_back(client->log.get());
    }
  }
  const auto path = [&job](const std::string& prefix, const char* kind) { return log_path(prefix, kind, job.name); };
  if (!logs.latency_prefix.empty()) {
    write_log(path(logs.latency_prefix, "lat"), latency_log_text(calls));
  }
  if (!logs.histogram_prefix.empty()) {
    write_log(path(logs.histogram_prefix, "clat_hist"), histogram_log_text(calls, logs));
  }
  if (!logs.bandwidth_prefix.empty()) {
    write_log(path(logs.bandwidth_prefix, "bw"), bandwidth_log_text(loaded.series, job.mean_row_bytes()));
  }
  if (!logs.operations_prefix.empty()) {
    write_log(path(logs.operations_prefix, "iops"), bandwidth_log_text(loaded.series, 0));
  }
}

}  // namespace penstock::bench
