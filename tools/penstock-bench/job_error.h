// JobError: a job failed for a reason outside its file (the engine answered with an error, data was wrong, a directory is not
// ours). The program goes on to the report and ends with exit code 1.
#pragma once

#include <stdexcept>
#include <string>

#include "penstock/status.h"

namespace penstock::bench {

class JobError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The machine lacks what the job requires, such as io_uring.
class EnvironmentError : public JobError {
 public:
  using JobError::JobError;
};

inline void require(const Status& status, const std::string& what) {
  if (!status.is_ok()) {
    throw JobError(what + ": " + status.to_string());
  }
}

/// The value, or a JobError that begins with `what`.
template <typename T>
T require(Outcome<T> outcome, const std::string& what) {
  if (!outcome.has_value()) {
    throw JobError(what + ": " + outcome.error().text + " (" + outcome.error().status.to_string() + ")");
  }
  return std::move(*outcome);
}

}  // namespace penstock::bench
