// Removes a database of ours before a fresh run, and nothing else.
//
// Invariants:
//   Directory-I1 Nothing is removed unless IDENTITY is a Penstock one, nobody holds LOCK, and every name below the directory is
//   one that
//                the engine makes. Otherwise a JobError says which name is strange, and everything is still there.
// Errors: JobError.
#pragma once

#include <string>

namespace penstock::bench {

/// Whether `directory` holds an IDENTITY of ours.
bool holds_database(const std::string& directory);

/// Removes the database in `directory` and leaves the empty directory. Does nothing if there is none.
void remove_database(const std::string& directory);

/// Returns when nobody holds the database's LOCK. The kernel ends a killed process's rings, which hold it, some ten
/// milliseconds after the process: no work of an opening.
void wait_until_unlocked(const std::string& directory);

/// Bytes of all regular files below it; 0 if it is not there.
unsigned long long directory_bytes(const std::string& directory);
/// What they take of the disk, by their blocks: holes take nothing.
unsigned long long disk_use_bytes(const std::string& directory);

}  // namespace penstock::bench
