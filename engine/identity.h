// IDENTITY on disk, and the state a database directory is in.
//
// Blocking; used by creation and opening only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "penstock/status.h"
#include "reactor/system.h"
#include "wal/wal.h"

namespace penstock::engine {

struct DatabaseIdentity {
  wal::Identity identity;
  std::uint16_t shard_count = 0;
  std::uint64_t created_ns = 0;
};

/// Writes the file and syncs it.
Status write_identity(reactor::System& system, const std::string& path, const DatabaseIdentity& identity);
/// `block`: the whole file. Errors: corruption (kind identity, byte offset), not_supported (a newer version or feature).
Outcome<DatabaseIdentity> decode_identity(std::span<const std::byte> block, const std::string& path);
/// Errors: those, not_found, permission.
Outcome<DatabaseIdentity> read_identity(reactor::System& system, const std::string& path);

/// What a directory holds, by its names alone.
enum class DirectoryState : std::uint8_t {
  kAbsent,      ///< No such directory.
  kEmpty,       ///< Nothing, or no more than our LOCK: a database can be made here.
  kUnfinished,  ///< A creation that did not end (IDENTITY.new without IDENTITY): counts as absent, to be cleared first.
  kDatabase,    ///< IDENTITY is there.
  kDamaged,     ///< Superblocks, a log or EPOCH without IDENTITY: never to be made anew.
  kForeign,     ///< Something else.
};
struct DirectoryContents {
  DirectoryState state = DirectoryState::kAbsent;
  std::vector<std::string> names;
};
Outcome<DirectoryContents> inspect_directory(reactor::System& system, const std::string& directory);

/// Makes a database: IDENTITY.new, log folder, shards with their first superblocks, EPOCH, then the rename to IDENTITY;
/// everything synced in this order (design: creation is repeated from the start if it was cut).
Outcome<bool> create_database(reactor::System& system, const std::string& directory, const DatabaseIdentity& identity);
/// Removes the parts of an unfinished creation, IDENTITY.new last.
Outcome<bool> clear_unfinished(reactor::System& system, const std::string& directory);

}  // namespace penstock::engine
