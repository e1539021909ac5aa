// What jobs may not ask for: settings that contradict each other, that an engine cannot follow, or that never end.
//
// A job that could be understood in two ways, or only in part, is refused: two results that look alike would not be.
// Errors: UsageError with the place of the setting that is to blame.
#pragma once

#include <vector>

#include "tools/penstock-bench/job.h"

namespace penstock::bench {

/// `settings`: all that the job was given; later ones count.
void check_job(const Job& job, const std::vector<Setting>& settings);

/// Jobs that run at the same time (Job-I2). Sets Job::clients_together.
void check_groups(std::vector<Job>& jobs);

}  // namespace penstock::bench
