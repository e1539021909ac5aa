// Peer: a store of another engine, driven by the same jobs as Penstock; PeerClient: one thread's way to it.
//
// Adapters are in peers/, one for each engine, and are built where its package is found. They translate and nothing else: keys,
// values, clocks, checks and reports are the same for all engines.
// Invariants:
//   Peer-I1 commit() returns when the batch is as durable as PeerSettings::durability says, or more: PeerAbout::durability says
//           what the engine was told.
//   Peer-I2 What is handed to put() and remove() costs the engine nothing before commit(): latency counts from there.
// Units: bytes. Thread: Peer's main one; a client is used by one thread at a time, many clients at once. Clients end before
// their peer. Errors: JobError.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/types.h"

namespace penstock::bench {

enum class Engine : std::uint8_t { kPenstock, kRocksdb, kLmdb, kLeveldb, kWiredtiger };

struct PeerSettings {
  std::string directory;  ///< There; empty, or with a store of this engine.
  std::uint32_t families = 1;
  std::uint32_t clients = 1;  ///< PeerClients at once, at most.
  std::uint64_t memtable_bytes = 0;
  std::uint64_t cache_bytes = 0;
  Durability durability = Durability::kSync;

  bool operator==(const PeerSettings&) const = default;
};

/// For the report: one line each.
struct PeerAbout {
  std::string version;
  std::string options;
  std::string durability;  ///< What the job's durability became.
};

/// What the engine says that it did since it was opened, such as {"table bytes written", 4096}.
struct PeerCounter {
  std::string name;
  std::uint64_t value = 0;
};

/// A walk over rows in order, from a key (not empty) on or back from it.
struct PeerScan {
  std::uint32_t family = 0;
  std::string_view from;
  std::uint32_t rows = 1;  ///< At most.
  bool is_reverse = false;
};

class PeerClient {
 public:
  using Row = std::function<bool(std::string_view key, std::string_view value)>;
  using Found = std::function<void(std::size_t at, std::optional<std::string_view> value)>;

  PeerClient() = default;
  PeerClient(const PeerClient&) = delete;
  PeerClient& operator=(const PeerClient&) = delete;
  virtual ~PeerClient() = default;

  /// Adds a row to the batch.
  virtual void put(std::uint32_t family, std::string_view key, std::string_view value) = 0;
  /// Adds the removal of a row, which need not be there.
  virtual void remove(std::uint32_t family, std::string_view key) = 0;
  /// Writes the batch, atomically, and empties it.
  virtual void commit() = 0;
  /// The value stays until the client's next call. Nothing: there is no such key.
  virtual std::optional<std::string_view> get(std::uint32_t family, std::string_view key) = 0;
  /// Calls found(at, value) for each keys[at]; a value stays until found() returns. One call of the engine where it has one.
  virtual void multi_get(std::uint32_t family, std::span<const std::string> keys, const Found& found);
  /// Calls row(key, value) for each row of the walk, until it says false.
  virtual void scan(const PeerScan& scan, const Row& row) = 0;
};

class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;  ///< Closes it if close() did not.

  virtual std::unique_ptr<PeerClient> client() = 0;
  /// Returns when what was committed is in the engine's files for good and no more background work is due.
  virtual void settle() = 0;
  virtual PeerAbout about() const = 0;
  virtual std::vector<PeerCounter> counters() const { return {}; }
  virtual void close() = 0;
};

/// "rocksdb"
std::string engine_name(Engine engine);
/// The Debian package that an adapter is built with; empty: none is needed.
std::string engine_package(Engine engine);
/// Whether this program was built with the engine.
bool has_engine(Engine engine);
/// Each engine on a line, with its version, or with what to install; for --enghelp.
std::string engine_help();

/// Opens or makes a store. The engine is a peer that has_engine().
std::unique_ptr<Peer> open_peer(Engine engine, const PeerSettings& settings);

}  // namespace penstock::bench
