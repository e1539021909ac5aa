// Job files on hostile text: either jobs that a run could start with, or a UsageError that names the place.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "tests/fuzz/fuzz_target.h"
#include "tools/penstock-bench/job.h"

namespace penstock::bench {

void fuzz_job(fuzz::Input input) {
  const Bytes text = input.take_text(input.rest().size());
  if (text.find("include") != Bytes::npos) return;  // It would read this machine's files.
  const Environment environment = {{"HOME", "/home"}, {"EMPTY", ""}};
  try {
    for (const Job& job : build_jobs(parse_job_text(text, "fuzz.ini", environment), {})) {
      PENSTOCK_ASSERT(!job.name.empty());
      PENSTOCK_ASSERT_GT(job.clients, 0U);
      PENSTOCK_ASSERT_GT(job.iodepth, 0U);
      PENSTOCK_ASSERT_GT(job.batch, 0U);
      PENSTOCK_ASSERT_GT(job.cfs, 0U);
      (void)op_name(job.op);
    }
  } catch (const UsageError& error) {
    PENSTOCK_ASSERT(!std::string(error.what()).empty());
  }
}

}  // namespace penstock::bench

PENSTOCK_FUZZ_TARGET(penstock::bench::fuzz_job)
