#include "tools/penstock-bench/peers/leveldb.h"

#include <fmt/format.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/machine.h"

namespace penstock::bench {
namespace {

constexpr int kBloomBits = 10;
constexpr std::size_t kPrefixBytes = 2;
constexpr std::size_t kWriteBufferBytesMax = std::size_t{1} << 30U;  // LevelDB takes no more.

void require(const leveldb::Status& status, const char* what) {
  if (!status.ok()) {
    throw JobError(fmt::format("LevelDB: {}: {}", what, status.ToString()));
  }
}

leveldb::Slice slice_of(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view_of(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

// One memtable fills while the one before it is written.
std::size_t write_buffer_bytes(const PeerSettings& settings) {
  return std::min<std::size_t>(std::max<std::size_t>(leveldb::Options().write_buffer_size, settings.memtable_bytes / 2),
                               kWriteBufferBytesMax);
}

// LevelDB knows no families: with more than one, keys begin with theirs.
class Keys {
 public:
  explicit Keys(std::uint32_t families) : has_prefix_(families > 1) {}
  std::size_t prefix_size() const { return has_prefix_ ? kPrefixBytes : 0; }
  /// Stays until the next call.
  std::string_view of(std::uint32_t family, std::string_view key) {
    if (!has_prefix_) {
      return key;
    }
    key_.assign({static_cast<char>(family >> 8U), static_cast<char>(family)});
    key_.append(key);
    return key_;
  }

 private:
  bool has_prefix_;
  std::string key_;
};

class Client : public PeerClient {
 public:
  Client(leveldb::DB& database, const PeerSettings& settings) : database_(database), keys_(settings.families) {
    write_.sync = settings.durability == Durability::kSync;
  }

  void put(std::uint32_t family, std::string_view key, std::string_view value) override {
    batch_.Put(slice_of(keys_.of(family, key)), slice_of(value));
  }
  void remove(std::uint32_t family, std::string_view key) override { batch_.Delete(slice_of(keys_.of(family, key))); }
  void commit() override {
    require(database_.Write(write_, &batch_), "write");
    batch_.Clear();
  }
  std::optional<std::string_view> get(std::uint32_t family, std::string_view key) override {
    const leveldb::Status status = database_.Get({}, slice_of(keys_.of(family, key)), &value_);
    if (status.IsNotFound()) {
      return std::nullopt;
    }
    require(status, "get");
    return value_;
  }
  void scan(const PeerScan& scan, const Row& row) override {
    const std::unique_ptr<leveldb::Iterator> iterator(database_.NewIterator({}));
    const std::string first(keys_.of(scan.family, scan.from));
    const std::string_view prefix = std::string_view(first).substr(0, keys_.prefix_size());
    iterator->Seek(slice_of(first));
    if (scan.is_reverse && (!iterator->Valid() || view_of(iterator->key()) > first)) {
      iterator->Valid() ? iterator->Prev() : iterator->SeekToLast();
    }
    for (std::uint32_t seen = 0; iterator->Valid(); scan.is_reverse ? iterator->Prev() : iterator->Next()) {
      const std::string_view key = view_of(iterator->key());
      if (!key.starts_with(prefix) || !row(key.substr(prefix.size()), view_of(iterator->value())) || ++seen == scan.rows) {
        break;
      }
    }
    require(iterator->status(), "scan");
  }

 private:
  leveldb::DB& database_;
  Keys keys_;
  leveldb::WriteOptions write_;
  leveldb::WriteBatch batch_;
  std::string value_;
};

// A line of the property leveldb.stats: level, files, MiB, seconds, MiB read, MiB written.
struct Level {
  int number = 0;
  int files = 0;
  double mib = 0;
  double seconds = 0;
  double mib_read = 0;
  double mib_written = 0;
};

class LeveldbPeer : public Peer {
 public:
  explicit LeveldbPeer(PeerSettings settings)
      : settings_(std::move(settings)),
        cache_(leveldb::NewLRUCache(settings_.cache_bytes)),
        filter_(leveldb::NewBloomFilterPolicy(kBloomBits)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.compression = leveldb::kNoCompression;
    options.write_buffer_size = write_buffer_bytes(settings_);
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    leveldb::DB* database = nullptr;
    require(leveldb::DB::Open(options, settings_.directory, &database), "opening");
    database_.reset(database);
  }

  std::unique_ptr<PeerClient> client() override { return std::make_unique<Client>(*database_, settings_); }

  // LevelDB has no call for it. Compacting a range writes the memtable first; behind all keys there is nothing else to compact.
  void settle() override {
    const std::string behind(kPrefixBytes + 1, '\xff');
    const leveldb::Slice range(behind);
    database_->CompactRange(&range, &range);
    constexpr std::uint64_t kPollNs = 1'000'000;
    while (is_due()) {
      sleep_ns(kPollNs);
    }
  }

  PeerAbout about() const override {
    const char* durability = "WriteOptions.sync=false: each commit handed to the kernel, no less; the log cannot be left out";
    if (settings_.durability == Durability::kSync) {
      durability = "WriteOptions.sync=true";
    } else if (settings_.durability == Durability::kWritten) {
      durability = "WriteOptions.sync=false: each commit handed to the kernel";
    }
    return {.version = leveldb_version(),
            .options = fmt::format("write_buffer_size={}, block cache={}, bloom filter of {} bits a key, no compression{}",
                                   write_buffer_bytes(settings_), settings_.cache_bytes, kBloomBits,
                                   settings_.families > 1 ? "; families are prefixes of the keys" : ""),
            .durability = durability};
  }

  std::vector<PeerCounter> counters() const override {
    double written = 0;
    double read = 0;
    for (const Level& level : levels()) {
      written += level.mib_written;
      read += level.mib_read;
    }
    constexpr double kMiB = 1024.0 * 1024;
    return {{.name = "table bytes written", .value = static_cast<std::uint64_t>(written * kMiB)},
            {.name = "table bytes read to merge", .value = static_cast<std::uint64_t>(read * kMiB)}};
  }

  void close() override { database_.reset(); }

 private:
  std::vector<Level> levels() const {
    std::string text;
    std::vector<Level> levels;
    if (!database_->GetProperty("leveldb.stats", &text)) {
      throw JobError("LevelDB does not say what it compacted");
    }
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      Level level;
      if (words >> level.number >> level.files >> level.mib >> level.seconds >> level.mib_read >> level.mib_written) {
        levels.push_back(level);
      }
    }
    return levels;
  }

  // LevelDB's own rule (version_set.cc, Finalize): four files of level 0, 10 MiB of level 1, ten times as much of each next.
  bool is_due() const {
    constexpr int kFilesOfLevel0 = 4;
    constexpr int kLastLevel = 6;
    constexpr double kRounding = 1;
    return std::ranges::any_of(levels(), [](const Level& level) {
      double mib_max = 10;
      for (int number = 1; number < level.number; ++number) {
        mib_max *= 10;
      }
      return level.number == 0 ? level.files >= kFilesOfLevel0 : level.number < kLastLevel && level.mib > mib_max + kRounding;
    });
  }

  PeerSettings settings_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> database_;
};

}  // namespace

std::string leveldb_version() { return fmt::format("LevelDB {}.{}", leveldb::kMajorVersion, leveldb::kMinorVersion); }

std::unique_ptr<Peer> open_leveldb(const PeerSettings& settings) { return std::make_unique<LeveldbPeer>(settings); }

}  // namespace penstock::bench
