// RocksDB as a Peer; what its options and levels of durability became is said by about().
#pragma once

#include <memory>
#include <string>

#include "tools/penstock-bench/peer.h"

namespace penstock::bench {

std::string rocksdb_version();
std::unique_ptr<Peer> open_rocksdb(const PeerSettings& settings);

}  // namespace penstock::bench
