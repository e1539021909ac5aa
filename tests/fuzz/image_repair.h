// Makes every checksum of a damaged database image right again, so that hostile bytes pass as ours: for the image fuzzer.
//
// Pages are repaired from the leaves up: the pointer in a parent gets the checksum of what now stands in the child, up to the
// roots in both superblock slots. Nothing else is changed.
#pragma once

#include "reactor/sim_disk.h"

namespace penstock::fuzz {

/// `directory`: the database's. Files that are missing or too short are left as they are.
void repair_image(reactor::SimDisk& disk, const std::string& directory);

}  // namespace penstock::fuzz
