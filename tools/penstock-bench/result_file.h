// Reads the results that penstock-bench wrote as JSON, as far as the page of pictures needs them. Knows the JSON, and nothing
// of pictures.
//
// Errors: ResultError, which names the file. A part that is not there (an older version did not write it) is empty.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

class ResultError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// So much of the calls took at most so long.
struct CurvePoint {
  double percent = 0;
  double ns = 0;
};

/// One kind of call of a job: put, get, scan, commit, ...
struct ResultCall {
  std::string name;
  std::uint64_t count = 0;
  double per_second = 0;
  double mean_ns = 0;
  std::vector<CurvePoint> curve;  ///< Ascending, up to 100 %; from the bins if the file has them (json+).
};

/// What happened in one interval of a job.
struct ResultSample {
  double operations = 0;
  double flushes = 0;
  double delayed_ms = 0;  ///< Time that commits waited for back-pressure; over all of them, so it can exceed the interval.
};

struct ResultJob {
  std::string file;
  std::string name;
  std::string engine;
  std::string summary;  ///< "op=commit, clients=8, ..."
  std::string error;
  double ops_per_second = 0;
  double seconds = 0;
  double written_for_each_byte = 0;  ///< 0: not known, or nothing was written.
  double space_for_each_byte = 0;
  std::vector<ResultCall> calls;
  double interval_s = 0;
  std::vector<ResultSample> series;
};

struct ResultFile {
  std::string path;
  std::string version;
  std::string machine;
  std::string time;
  std::vector<ResultJob> jobs;
};

ResultFile parse_result(std::string_view text, const std::string& path);
ResultFile read_result(const std::string& path);

/// The job's name without the name of its engine at its end: what it has in common with the same job of others.
std::string workload_of(const ResultJob& job);

}  // namespace penstock::bench
