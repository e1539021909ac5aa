// Keys of verification and of what a job writes besides its report.
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

constexpr Key kOutputKeys[] = {
    {"verify", kFlagValues, [](Job& job, const std::string& value) { job.verify = parse_flag(value); },
     "Afterwards close, open, and check every key that a commit acknowledged.", "0"},
};

}  // namespace

std::span<const Key> output_keys() { return kOutputKeys; }

}  // namespace penstock::bench
