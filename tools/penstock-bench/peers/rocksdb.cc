#include "tools/penstock-bench/peers/rocksdb.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr int kBloomBits = 10;

void require(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) {
    throw JobError(fmt::format("RocksDB: {}: {}", what, status.ToString()));
  }
}

std::string family_name(std::uint32_t family) { return fmt::format("bench-{}", family); }

// As large as the default at least; with many families each may have its part of what they share.
std::size_t write_buffer_bytes(const PeerSettings& settings) {
  return std::max<std::size_t>(rocksdb::Options().write_buffer_size, settings.memtable_bytes / 3 / settings.families);
}

rocksdb::Options options_of(const PeerSettings& settings) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.IncreaseParallelism(static_cast<int>(std::max(2U, std::thread::hardware_concurrency())));
  options.db_write_buffer_size = settings.memtable_bytes;
  options.write_buffer_size = write_buffer_bytes(settings);
  options.manual_wal_flush = settings.durability == Durability::kBuffered;
  rocksdb::BlockBasedTableOptions tables;
  tables.block_cache = rocksdb::NewLRUCache(settings.cache_bytes);
  tables.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBits));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(tables));
  return options;
}

// Those that are there, which have to be opened, and then those that the job needs.
std::vector<std::string> names_to_open(const PeerSettings& settings, const rocksdb::Options& options) {
  std::vector<std::string> names;
  if (std::filesystem::exists(std::filesystem::path(settings.directory) / "CURRENT")) {
    require(rocksdb::DB::ListColumnFamilies(options, settings.directory, &names), "listing the families");
  } else {
    names.push_back(rocksdb::kDefaultColumnFamilyName);
  }
  for (std::uint32_t family = 0; family < settings.families; ++family) {
    if (std::ranges::find(names, family_name(family)) == names.end()) {
      names.push_back(family_name(family));
    }
  }
  return names;
}

// Owned by the peer; what clients need of it.
struct Store {
  rocksdb::DB* database = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;   // All, to be closed.
  std::vector<rocksdb::ColumnFamilyHandle*> families;  // By the job's numbers.
};

class Client : public PeerClient {
 public:
  Client(const Store& store, Durability durability) : store_(store) {
    write_.sync = durability == Durability::kSync;
    write_.disableWAL = durability == Durability::kUnlogged;
  }

  void put(std::uint32_t family, std::string_view key, std::string_view value) override {
    require(batch_.Put(store_.families[family], key, value), "put");
  }
  void remove(std::uint32_t family, std::string_view key) override {
    require(batch_.Delete(store_.families[family], key), "delete");
  }
  void commit() override {
    require(store_.database->Write(write_, &batch_), "write");
    batch_.Clear();
  }
  std::optional<std::string_view> get(std::uint32_t family, std::string_view key) override {
    value_.Reset();
    const rocksdb::Status status = store_.database->Get({}, store_.families[family], key, &value_);
    if (status.IsNotFound()) {
      return std::nullopt;
    }
    require(status, "get");
    return value_.ToStringView();
  }
  void multi_get(std::uint32_t family, std::span<const std::string> keys, const Found& found) override {
    slices_.assign(keys.begin(), keys.end());
    values_ = std::vector<rocksdb::PinnableSlice>(keys.size());
    statuses_.resize(keys.size());
    store_.database->MultiGet({}, store_.families[family], keys.size(), slices_.data(), values_.data(), statuses_.data());
    for (std::size_t at = 0; at < keys.size(); ++at) {
      if (statuses_[at].IsNotFound()) {
        found(at, std::nullopt);
        continue;
      }
      require(statuses_[at], "multi-get");
      found(at, values_[at].ToStringView());
    }
  }
  void scan(const PeerScan& scan, const Row& row) override {
    const std::unique_ptr<rocksdb::Iterator> iterator(store_.database->NewIterator({}, store_.families[scan.family]));
    scan.is_reverse ? iterator->SeekForPrev(scan.from) : iterator->Seek(scan.from);
    for (std::uint32_t seen = 0; iterator->Valid(); scan.is_reverse ? iterator->Prev() : iterator->Next()) {
      if (!row(iterator->key().ToStringView(), iterator->value().ToStringView()) || ++seen == scan.rows) {
        break;
      }
    }
    require(iterator->status(), "scan");
  }

 private:
  const Store& store_;
  rocksdb::WriteOptions write_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice value_;
  std::vector<rocksdb::Slice> slices_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
};

class RocksdbPeer : public Peer {
 public:
  explicit RocksdbPeer(PeerSettings settings) : settings_(std::move(settings)) {
    const rocksdb::Options options = options_of(settings_);
    const std::vector<std::string> names = names_to_open(settings_, options);
    std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
    for (const std::string& name : names) {
      wanted.emplace_back(name, options);
    }
    require(rocksdb::DB::Open(options, settings_.directory, wanted, &store_.handles, &store_.database), "opening");
    for (std::uint32_t family = 0; family < settings_.families; ++family) {
      const auto at = std::ranges::find(names, family_name(family)) - names.begin();
      store_.families.push_back(store_.handles[static_cast<std::size_t>(at)]);
    }
  }
  ~RocksdbPeer() override { release(); }

  std::unique_ptr<PeerClient> client() override { return std::make_unique<Client>(store_, settings_.durability); }

  void settle() override {
    require(store_.database->Flush(rocksdb::FlushOptions(), store_.families), "flush");
    constexpr std::uint64_t kPollNs = 1'000'000;
    while (is_busy()) {
      sleep_ns(kPollNs);
    }
  }

  PeerAbout about() const override {
    const char* durability = "WriteOptions.sync=false: each commit handed to the kernel";
    if (settings_.durability == Durability::kSync) {
      durability = "WriteOptions.sync=true";
    } else if (settings_.durability == Durability::kUnlogged) {
      durability = "WriteOptions.disableWAL=true: no log";
    } else if (settings_.durability == Durability::kBuffered) {
      durability = "manual_wal_flush=true, WriteOptions.sync=false: the log stays in the process";
    }
    return {.version = rocksdb_version(),
            .options =
                fmt::format("db_write_buffer_size={}, write_buffer_size={}, block cache={}, bloom filter of {} bits a key, no "
                            "compression, {} background threads, the rest as by default",
                            settings_.memtable_bytes, write_buffer_bytes(settings_), settings_.cache_bytes, kBloomBits,
                            std::max(2U, std::thread::hardware_concurrency())),
            .durability = durability};
  }

  // The engine tells in GiB, with many digits.
  std::vector<PeerCounter> counters() const override {
    double written = 0;
    double read = 0;
    for (rocksdb::ColumnFamilyHandle* family : store_.families) {
      std::map<std::string, std::string> stats;
      if (store_.database->GetMapProperty(family, rocksdb::DB::Properties::kCFStats, &stats)) {
        written += std::strtod(stats["compaction.Sum.WriteGB"].c_str(), nullptr);
        read += std::strtod(stats["compaction.Sum.ReadGB"].c_str(), nullptr);
      }
    }
    constexpr double kGiB = 1024.0 * 1024 * 1024;
    return {{.name = "table bytes written", .value = static_cast<std::uint64_t>(written * kGiB)},
            {.name = "table bytes read to merge", .value = static_cast<std::uint64_t>(read * kGiB)}};
  }

  void close() override {
    if (store_.database != nullptr && settings_.durability == Durability::kBuffered) {
      require(store_.database->FlushWAL(false), "handing over the log");
    }
    release();
  }

 private:
  bool is_busy() const {
    return std::ranges::any_of(store_.families, [this](rocksdb::ColumnFamilyHandle* family) {
      std::uint64_t due = 0;
      std::uint64_t running = 0;
      std::uint64_t flushes = 0;
      using Properties = rocksdb::DB::Properties;
      if (!store_.database->GetIntProperty(family, Properties::kCompactionPending, &due) ||
          !store_.database->GetIntProperty(family, Properties::kNumRunningCompactions, &running) ||
          !store_.database->GetIntProperty(family, Properties::kNumRunningFlushes, &flushes)) {
        throw JobError("RocksDB does not say whether it compacts");
      }
      return due + running + flushes > 0;
    });
  }

  void release() {
    for (rocksdb::ColumnFamilyHandle* family : store_.handles) {
      store_.database->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }
    delete store_.database;
    store_ = {};
  }

  PeerSettings settings_;
  Store store_;
};

}  // namespace

std::string rocksdb_version() {
  return fmt::format("RocksDB {}.{}.{}, {}", ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH, PENSTOCK_BENCH_ROCKSDB_BUILD);
}

std::unique_ptr<Peer> open_rocksdb(const PeerSettings& settings) { return std::make_unique<RocksdbPeer>(settings); }

}  // namespace penstock::bench
