// The check of a store after a kill (trigger=), or of what an earlier run left (verify=only).
//
// The load runs in a process of its own, which counts in the ledger; it is killed in the middle of it. Then the store is opened
// here, as after any crash, and judged by the ledger.
// Thread: the main one, no other is running. Errors: JobError; what the check finds is in the result.
#pragma once

#include <string>

#include "tools/penstock-bench/ledger.h"
#include "tools/penstock-bench/runner.h"
#include "tools/penstock-bench/session.h"

namespace penstock::bench {

/// Where the job's ledger is: its ledger=, or beside the store.
std::string ledger_path(const Job& job);
/// What a plan depends on: a ledger is good for jobs with the same text.
std::string plan_text(const Job& job);

/// What has to be in the store. `is_crash`: it was not closed in good order.
VerifyInput verify_input(const Job& job, const Ledger& ledger, bool is_crash);

/// The job's load is to be killed, or was by somebody else.
inline bool is_crash_check(const Job& job) noexcept {
  return job.verify && (!job.check.trigger.empty() || job.check.mode == VerifyMode::kOnly);
}
void run_crash_check(Session& session, const Job& job, Eta eta, JobResult& result);

}  // namespace penstock::bench
