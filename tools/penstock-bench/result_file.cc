#include "tools/penstock-bench/result_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace penstock::bench {
namespace {

using Json = nlohmann::ordered_json;

// What `json` says under `key`, or the default where it says nothing, or something of another kind.
double number(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}
std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}
const Json& child(const Json& json, const char* key) {
  static const Json nothing = Json::object();
  const auto found = json.find(key);
  return found != json.end() && found->is_object() ? *found : nothing;
}

std::vector<CurvePoint> curve_of_bins(const Json& bins, double count) {
  std::vector<CurvePoint> curve;
  for (const auto& [ns, in_bin] : bins.items()) {
    if (in_bin.is_number()) {
      curve.push_back({.percent = in_bin.get<double>(), .ns = std::stod(ns)});
    }
  }
  std::ranges::sort(curve, {}, &CurvePoint::ns);
  double seen = 0;
  for (CurvePoint& point : curve) {
    seen += point.percent;
    point.percent = std::min(100.0, 100 * seen / count);
  }
  return curve;
}

std::vector<CurvePoint> curve_of_percentiles(const Json& percentiles) {
  std::vector<CurvePoint> curve;
  for (const auto& [percent, ns] : percentiles.items()) {
    if (ns.is_number()) {
      curve.push_back({.percent = std::stod(percent), .ns = ns.get<double>()});
    }
  }
  std::ranges::sort(curve, {}, &CurvePoint::percent);
  return curve;
}

// A call is any object of the job that has a latency.
void add_call(const std::string& name, const Json& json, ResultJob& job) {
  const char* const kind = json.contains("clat_ns") ? "clat_ns" : "lat_ns";
  const Json& latency = child(json, kind);
  const double count = number(latency, "N");
  if (count == 0) {
    return;
  }
  ResultCall call{.name = name,
                  .count = static_cast<std::uint64_t>(count),
                  .per_second = number(json, "iops"),
                  .mean_ns = number(latency, "mean"),
                  .curve = {}};
  const Json& bins = child(latency, "bins");
  call.curve = bins.empty() ? curve_of_percentiles(child(latency, "percentile")) : curve_of_bins(bins, count);
  if (call.curve.empty() || call.curve.back().percent < 100) {
    call.curve.push_back({.percent = 100, .ns = number(latency, "max")});
  }
  job.calls.push_back(std::move(call));
}

void add_series(const Json& json, ResultJob& job) {
  job.interval_s = number(json, "interval_ns") / 1e9;
  const auto read = [&](const char* key, auto assign) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_array()) {
      return;
    }
    job.series.resize(std::max(job.series.size(), found->size()));
    for (std::size_t at = 0; at < found->size(); ++at) {
      assign(job.series[at], (*found)[at].is_number() ? (*found)[at].get<double>() : 0);
    }
  };
  read("operations", [](ResultSample& sample, double value) { sample.operations = value; });
  read("flushes", [](ResultSample& sample, double value) { sample.flushes = value; });
  read("delayed_ns", [](ResultSample& sample, double value) { sample.delayed_ms = value / 1e6; });
}

ResultJob job_of(const Json& json, const std::string& path) {
  const Json& options = child(json, "job options");
  ResultJob job{.file = path,
                .name = text_of(json, "jobname"),
                .engine = text_of(options, "engine"),
                .summary = {},
                .error = text_of(json, "error_text"),
                .ops_per_second = number(json, "ops_per_second"),
                .seconds = number(json, "elapsed_ns") / 1e9,
                .calls = {},
                .series = {}};
  for (const char* key : {"op", "clients", "iodepth", "batch", "keys", "key_size", "value_size", "durability"}) {
    if (const auto found = options.find(key); found != options.end()) {
      job.summary += fmt::format("{}{}={}", job.summary.empty() ? "" : ", ", key,
                                 found->is_string() ? found->get<std::string>() : found->dump());
    }
  }
  const Json& system = child(json, "system");
  job.written_for_each_byte = number(system, "write_amplification");
  job.space_for_each_byte = number(system, "space_amplification");
  for (const auto& [name, part] : json.items()) {
    if (part.is_object()) {
      add_call(name, part, job);
    }
  }
  add_series(child(json, "series"), job);
  return job;
}

}  // namespace

ResultFile parse_result(std::string_view text, const std::string& path) {
  const Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object()) {
    throw ResultError(path + ": this is not JSON");
  }
  const auto jobs = document.find("jobs");
  if (!document.contains("penstock-bench version") || jobs == document.end() || !jobs->is_array()) {
    throw ResultError(path + ": this is not a result of penstock-bench (--output-format=json or json+)");
  }
  const Json& env = child(document, "env");
  ResultFile file{.path = path,
                  .version = text_of(document, "penstock-bench version"),
                  .machine = fmt::format("{}; {} on {:.0f} cores; {}", text_of(env, "kernel"), text_of(env, "processor"),
                                         number(env, "cores"), text_of(env, "file_system")),
                  .time = text_of(document, "time"),
                  .jobs = {}};
  for (const Json& job : *jobs) {
    if (job.is_object()) {
      file.jobs.push_back(job_of(job, path));
    }
  }
  return file;
}

ResultFile read_result(const std::string& path) {
  std::ifstream input(path, std::ios::binary);
  if (!input) {
    throw ResultError(path + ": it cannot be read");
  }
  const std::string text{std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
  return parse_result(text, path);
}

std::string workload_of(const ResultJob& job) {
  const std::string ending = "-" + job.engine;
  return job.name.size() > ending.size() && job.name.ends_with(ending) ? job.name.substr(0, job.name.size() - ending.size())
                                                                       : job.name;
}

}  // namespace penstock::bench
