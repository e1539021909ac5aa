#include "tools/penstock-bench/peer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/assert.h"
#include "tools/penstock-bench/job_error.h"

#ifdef PENSTOCK_BENCH_ROCKSDB
#include "tools/penstock-bench/peers/rocksdb.h"
#endif
#ifdef PENSTOCK_BENCH_LMDB
#include "tools/penstock-bench/peers/lmdb.h"
#endif
#ifdef PENSTOCK_BENCH_LEVELDB
#include "tools/penstock-bench/peers/leveldb.h"
#endif
#ifdef PENSTOCK_BENCH_WIREDTIGER
#include "tools/penstock-bench/peers/wiredtiger.h"
#endif

namespace penstock::bench {
namespace {

using Open = std::unique_ptr<Peer> (*)(const PeerSettings& settings);
using Version = std::string (*)();

struct Adapter {
  Engine engine;
  const char* name;
  const char* package;
  Open open = nullptr;  // Of peers that are built.
  Version version = nullptr;
};

constexpr Adapter kAdapters[] = {
    {.engine = Engine::kPenstock, .name = "penstock", .package = ""},
#ifdef PENSTOCK_BENCH_ROCKSDB
    {.engine = Engine::kRocksdb,
     .name = "rocksdb",
     .package = "librocksdb-dev",
     .open = open_rocksdb,
     .version = rocksdb_version},
#else
    {.engine = Engine::kRocksdb, .name = "rocksdb", .package = "librocksdb-dev"},
#endif
#ifdef PENSTOCK_BENCH_LMDB
    {.engine = Engine::kLmdb, .name = "lmdb", .package = "liblmdb-dev", .open = open_lmdb, .version = lmdb_version},
#else
    {.engine = Engine::kLmdb, .name = "lmdb", .package = "liblmdb-dev"},
#endif
#ifdef PENSTOCK_BENCH_LEVELDB
    {.engine = Engine::kLeveldb,
     .name = "leveldb",
     .package = "libleveldb-dev",
     .open = open_leveldb,
     .version = leveldb_version},
#else
    {.engine = Engine::kLeveldb, .name = "leveldb", .package = "libleveldb-dev"},
#endif
#ifdef PENSTOCK_BENCH_WIREDTIGER
    {.engine = Engine::kWiredtiger,
     .name = "wiredtiger",
     .package = "libwiredtiger-dev",
     .open = open_wiredtiger,
     .version = wiredtiger_version},
#else
    {.engine = Engine::kWiredtiger, .name = "wiredtiger", .package = "libwiredtiger-dev"},
#endif
};

const Adapter& adapter_of(Engine engine) {
  const auto* const found = std::ranges::find(kAdapters, engine, &Adapter::engine);
  PENSTOCK_ASSERT(found != std::end(kAdapters));
  return *found;
}

}  // namespace

void PeerClient::multi_get(std::uint32_t family, std::span<const std::string> keys, const Found& found) {
  for (std::size_t at = 0; at < keys.size(); ++at) {
    found(at, get(family, keys[at]));
  }
}

std::string engine_name(Engine engine) { return adapter_of(engine).name; }
std::string engine_package(Engine engine) { return adapter_of(engine).package; }
bool has_engine(Engine engine) { return engine == Engine::kPenstock || adapter_of(engine).open != nullptr; }

std::string engine_help() {
  std::string text;
  for (const Adapter& adapter : kAdapters) {
    std::string version = fmt::format("Penstock {}", PENSTOCK_BENCH_VERSION);
    if (adapter.engine != Engine::kPenstock) {
      version = adapter.version != nullptr
                    ? adapter.version()
                    : fmt::format("not built in: install {} and build again (./dev deps installs it)", adapter.package);
    }
    text += fmt::format("{:<12}{}\n", adapter.name, version);
  }
  return text;
}

std::unique_ptr<Peer> open_peer(Engine engine, const PeerSettings& settings) {
  const Adapter& adapter = adapter_of(engine);
  PENSTOCK_ASSERT(adapter.open != nullptr);
  return adapter.open(settings);
}

}  // namespace penstock::bench
