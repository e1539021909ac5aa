#include "tools/penstock-bench/peers/lmdb.h"

#include <fmt/format.h>
#include <lmdb.h>

#include <utility>
#include <vector>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/peers/row_buffer.h"

namespace penstock::bench {
namespace {

// Of addresses; the file grows as it needs.
constexpr std::size_t kMapBytes = std::size_t{64} << 30U;

void require(int result, const char* what) {
  if (result != MDB_SUCCESS) {
    throw JobError(fmt::format("LMDB: {}: {}", what, mdb_strerror(result)));
  }
}

MDB_val val_of(std::string_view bytes) { return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())}; }
std::string_view view_of(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

class Transaction {
 public:
  Transaction(MDB_env* environment, unsigned int flags) {
    require(mdb_txn_begin(environment, nullptr, flags, &transaction_), "mdb_txn_begin");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    if (transaction_ != nullptr) {
      mdb_txn_abort(transaction_);
    }
  }
  MDB_txn* get() const { return transaction_; }
  void commit() { require(mdb_txn_commit(std::exchange(transaction_, nullptr)), "mdb_txn_commit"); }

 private:
  MDB_txn* transaction_ = nullptr;
};

struct Store {
  MDB_env* environment = nullptr;
  std::vector<MDB_dbi> tables;
};

// Reads in a transaction that is renewed for each call: it sees all commits before it, and pins nothing for long.
class Client : public PeerClient {
 public:
  explicit Client(const Store& store) : store_(store), cursors_(store.tables.size(), nullptr) {}
  ~Client() override {
    for (MDB_cursor* cursor : cursors_) {
      if (cursor != nullptr) {
        mdb_cursor_close(cursor);
      }
    }
    if (read_ != nullptr) {
      mdb_txn_abort(read_);
    }
  }

  void put(std::uint32_t family, std::string_view key, std::string_view value) override { batch_.add(family, key, value); }
  void remove(std::uint32_t family, std::string_view key) override { batch_.add(family, key, std::nullopt); }

  void commit() override {
    Transaction transaction(store_.environment, 0);
    batch_.for_each([&](std::uint32_t family, std::string_view key, std::optional<std::string_view> value) {
      MDB_val key_val = val_of(key);
      if (!value.has_value()) {
        const int result = mdb_del(transaction.get(), store_.tables[family], &key_val, nullptr);
        require(result == MDB_NOTFOUND ? MDB_SUCCESS : result, "mdb_del");
        return;
      }
      MDB_val value_val = val_of(*value);
      require(mdb_put(transaction.get(), store_.tables[family], &key_val, &value_val, 0), "mdb_put");
    });
    transaction.commit();
    batch_.clear();
  }

  std::optional<std::string_view> get(std::uint32_t family, std::string_view key) override {
    renew();
    return find(family, key);
  }

  void multi_get(std::uint32_t family, std::span<const std::string> keys, const Found& found) override {
    renew();
    for (std::size_t at = 0; at < keys.size(); ++at) {
      found(at, find(family, keys[at]));
    }
  }

  void scan(const PeerScan& scan, const Row& row) override {
    renew();
    MDB_cursor*& cursor = cursors_[scan.family];
    if (cursor == nullptr) {
      require(mdb_cursor_open(read_, store_.tables[scan.family], &cursor), "mdb_cursor_open");
    } else {
      require(mdb_cursor_renew(read_, cursor), "mdb_cursor_renew");
    }
    MDB_val key = val_of(scan.from);
    MDB_val value{};
    int found = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (scan.is_reverse && (found == MDB_NOTFOUND || (found == MDB_SUCCESS && view_of(key) > scan.from))) {
      found = mdb_cursor_get(cursor, &key, &value, found == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    }
    for (std::uint32_t seen = 0; found == MDB_SUCCESS && seen < scan.rows; ++seen) {
      if (!row(view_of(key), view_of(value))) {
        return;
      }
      if (seen + 1 < scan.rows) {
        found = mdb_cursor_get(cursor, &key, &value, scan.is_reverse ? MDB_PREV : MDB_NEXT);
      }
    }
    if (found != MDB_NOTFOUND) {
      require(found, "mdb_cursor_get");
    }
  }

 private:
  void renew() {
    if (read_ == nullptr) {
      require(mdb_txn_begin(store_.environment, nullptr, MDB_RDONLY, &read_), "mdb_txn_begin");
      return;
    }
    mdb_txn_reset(read_);
    require(mdb_txn_renew(read_), "mdb_txn_renew");
  }

  std::optional<std::string_view> find(std::uint32_t family, std::string_view key) {
    MDB_val key_val = val_of(key);
    MDB_val value{};
    const int result = mdb_get(read_, store_.tables[family], &key_val, &value);
    if (result == MDB_NOTFOUND) {
      return std::nullopt;
    }
    require(result, "mdb_get");
    return view_of(value);
  }

  const Store& store_;
  RowBuffer batch_;
  MDB_txn* read_ = nullptr;
  std::vector<MDB_cursor*> cursors_;
};

class LmdbPeer : public Peer {
 public:
  explicit LmdbPeer(PeerSettings settings) : settings_(std::move(settings)) {
    require(mdb_env_create(&store_.environment), "mdb_env_create");
    try {
      open();
    } catch (...) {
      close();
      throw;
    }
  }
  ~LmdbPeer() override { LmdbPeer::close(); }

  std::unique_ptr<PeerClient> client() override { return std::make_unique<Client>(store_); }
  void settle() override { require(mdb_env_sync(store_.environment, 1), "mdb_env_sync"); }
  PeerAbout about() const override {
    const char* durability = "MDB_NOSYNC: each commit handed to the kernel, no less; there is no log to do without";
    if (settings_.durability == Durability::kSync) {
      durability = "LMDB's default: fdatasync in each commit";
    } else if (settings_.durability == Durability::kWritten) {
      durability = "MDB_NOSYNC: each commit handed to the kernel";
    }
    return {.version = lmdb_version(),
            .options =
                fmt::format("MDB_NOTLS, map of {} bytes; its cache is the kernel's: memory_limit does not bound it; one writer "
                            "at a time",
                            kMapBytes),
            .durability = durability};
  }
  void close() override {
    if (store_.environment != nullptr) {
      mdb_env_close(std::exchange(store_.environment, nullptr));
    }
  }

 private:
  void open() {
    constexpr unsigned int kSpareReaders = 16;
    constexpr mdb_mode_t kMode = 0644;
    const unsigned int flags = MDB_NOTLS | (settings_.durability == Durability::kSync ? 0U : unsigned{MDB_NOSYNC});
    require(mdb_env_set_mapsize(store_.environment, kMapBytes), "mdb_env_set_mapsize");
    require(mdb_env_set_maxdbs(store_.environment, settings_.families), "mdb_env_set_maxdbs");
    require(mdb_env_set_maxreaders(store_.environment, settings_.clients + kSpareReaders), "mdb_env_set_maxreaders");
    require(mdb_env_open(store_.environment, settings_.directory.c_str(), flags, kMode), "opening");
    Transaction transaction(store_.environment, 0);
    for (std::uint32_t family = 0; family < settings_.families; ++family) {
      MDB_dbi table = 0;
      require(mdb_dbi_open(transaction.get(), fmt::format("bench-{}", family).c_str(), MDB_CREATE, &table), "mdb_dbi_open");
      store_.tables.push_back(table);
    }
    transaction.commit();
  }

  PeerSettings settings_;
  Store store_;
};

}  // namespace

std::string lmdb_version() { return mdb_version(nullptr, nullptr, nullptr); }

std::unique_ptr<Peer> open_lmdb(const PeerSettings& settings) { return std::make_unique<LmdbPeer>(settings); }

}  // namespace penstock::bench
