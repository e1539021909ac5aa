// The choice between the I/O backends of a real machine, and the words for why the ring was refused.
//
// Thread: the reactor's own.
#pragma once

#include <memory>
#include <string>

#include "reactor/io.h"

namespace penstock::reactor {

/// The backend that `options` and PENSTOCK_IO ask for. Automatic: the ring, or system calls where it is refused; description()
/// then carries the reason.
Outcome<std::unique_ptr<Io>> make_real_io(const IoOptions& options);

/// One line for people: what io_uring_setup's error means on this machine. `error_number` is positive.
std::string explain_ring_refusal(int error_number);

}  // namespace penstock::reactor
