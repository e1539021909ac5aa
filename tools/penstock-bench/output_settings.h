// What a job writes besides its report, and how its answers are checked: the part of Job (job.h) whose keys are in
// job_output_keys.cc.
//
// Units: nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::bench {

/// Files, each named PREFIX_kind.N.log as fio names them; an empty prefix: none is written.
struct LogSettings {
  std::string latency_prefix = {};    ///< write_lat_log
  std::string histogram_prefix = {};  ///< write_hist_log
  std::string bandwidth_prefix = {};  ///< write_bw_log, write_iops_log
  std::string operations_prefix = {};
  std::uint64_t average_ns = 0;                ///< log_avg_msec; 0: every call has a line of its own.
  std::uint64_t histogram_ns = 1'000'000'000;  ///< log_hist_msec
  std::uint32_t histogram_coarseness = 0;      ///< log_hist_coarseness: 2^n buckets are added up.

  bool wants_calls() const noexcept { return !latency_prefix.empty() || !histogram_prefix.empty(); }
};

enum class VerifyMode : std::uint8_t {
  kNone,
  kAfter,   ///< Close, open, check.
  kInline,  ///< Beside that, clients read back a key of each commit when it is acknowledged.
  kOnly,    ///< Nothing is written: what an earlier run left is checked against its ledger.
};

enum class VerifyPolicy : std::uint8_t {
  kAcked,    ///< Every acknowledged commit has to be there.
  kDurable,  ///< Those that were acknowledged as being on stable storage.
};

struct VerifySettings {
  VerifyMode mode = VerifyMode::kNone;
  VerifyPolicy policy = VerifyPolicy::kAcked;
  bool has_policy = false;       ///< It was given; otherwise it follows from durability.
  std::string ledger_path;       ///< Empty: beside the store.
  std::string trigger;           ///< "kill", or a command for the shell; empty: the load is not cut short.
  std::uint64_t trigger_ns = 0;  ///< After the clients' start; 0: at a random moment of runtime.

  bool is_wanted() const noexcept { return mode != VerifyMode::kNone; }
};

}  // namespace penstock::bench
