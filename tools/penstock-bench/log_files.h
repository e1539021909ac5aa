// Writes the log files that a job asks for (write_lat_log= and so on), when it has ended. Their text: call_log.h.
//
// Errors: JobError, if a file cannot be written.
#pragma once

#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/workload.h"

namespace penstock::bench {

void write_log_files(const Job& job, const LoadResult& loaded);

}  // namespace penstock::bench
