// What a job asks of the store it runs on: jobs that ask for the same share one that is open.
#pragma once

#include <string>

#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/peer.h"

namespace penstock::bench {

/// Of engines other than Penstock; without the directory.
PeerSettings peer_settings(const Job& job);

/// Two jobs with the same text may share an open store.
std::string store_options(const Job& job);

}  // namespace penstock::bench
