// Runs the jobs of a text as penstock-bench does, for tests: those between two stonewalls at the same time.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/runner.h"
#include "tools/penstock-bench/session.h"

namespace penstock::bench {

inline std::vector<JobResult> run_all(const std::vector<Job>& jobs) {
  std::vector<JobResult> results;
  Session session;
  for (std::span<const Job> left = jobs; !left.empty();) {
    const std::size_t count = concurrent_jobs(left);
    const std::uint32_t group = results.empty() ? 0 : results.back().group_id + 1;
    for (JobResult& result : merge_groups(run_jobs(session, left.first(count), Eta::kNever), group)) {
      results.push_back(std::move(result));
    }
    left = left.subspan(count);
  }
  session.close();
  return results;
}

inline std::vector<JobResult> run_sections(const std::string& text) {
  return run_all(build_jobs(parse_job_text(text, "test.ini", {}), {}));
}

}  // namespace penstock::bench
