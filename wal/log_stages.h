// LogStages: how long the groups of a log wait, are written and are synced.
//
// Of each batch that is sent the first record is timed: it waits longest. Six readings of the clock a batch, none a record.
// Invariants:
//   Stages-I1 A batch that was written whole is counted once in each stage that it went through: in queue and wake always; in
//             write if a sync follows it or nothing but the write was asked for; in sync if it was made durable.
// Units: nanoseconds. Thread: the reactor's.
#pragma once

#include <cstdint>

#include "base/histogram.h"

namespace penstock::wal {

struct LogStages {
  base::Histogram queue;  ///< From the first append to the chain's submission.
  base::Histogram write;
  base::Histogram sync;  ///< A write that is durable when it completes counts here.
  base::Histogram wake;  ///< What the listener does when a chain has ended.
};

}  // namespace penstock::wal
