// The job op=recovery: a child process fills the log and is killed; opening the database again is timed and, on request,
// verified.
//
// The child is killed with SIGKILL while it holds the database and its last commits are acknowledged, as a crashing program
// would be. What it acknowledged is counted in memory shared with it, which survives the kill. Threads: the process has no
// other thread when it forks, because the session is closed first.
#pragma once

#include "tools/penstock-bench/runner.h"

namespace penstock::bench {

void run_recovery(Session& session, const Job& job, Eta eta, JobResult& result);

}  // namespace penstock::bench
