#include "tools/penstock-bench/peers/wiredtiger.h"

#include <fmt/format.h>
#include <wiredtiger.h>

#include <algorithm>
#include <utility>

#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/peers/row_buffer.h"

namespace penstock::bench {
namespace {

void require(int result, const char* what) {
  if (result != 0) {
    throw JobError(fmt::format("WiredTiger: {}: {}", what, wiredtiger_strerror(result)));
  }
}

WT_ITEM item_of(std::string_view bytes) {
  WT_ITEM item{};
  item.data = bytes.data();
  item.size = bytes.size();
  return item;
}
std::string_view view_of(const WT_ITEM& item) { return {static_cast<const char*>(item.data), item.size}; }
std::string table_name(std::uint32_t family) { return fmt::format("table:bench-{}", family); }

WT_SESSION* open_session(WT_CONNECTION* connection) {
  WT_SESSION* session = nullptr;
  require(connection->open_session(connection, nullptr, nullptr, &session), "open_session");
  return session;
}

bool is_logged(Durability durability) { return durability != Durability::kUnlogged; }
/// Each commit goes to the kernel at least.
bool is_handed_over(Durability durability) { return durability == Durability::kSync || durability == Durability::kWritten; }

class Client : public PeerClient {
 public:
  Client(WT_CONNECTION* connection, const PeerSettings& settings)
      : session_(open_session(connection)),
        cursors_(settings.families, nullptr),
        commit_config_(is_handed_over(settings.durability) ? "sync=on" : "sync=off") {}
  ~Client() override { session_->close(session_, nullptr); }  // With its cursors.

  void put(std::uint32_t family, std::string_view key, std::string_view value) override { batch_.add(family, key, value); }
  void remove(std::uint32_t family, std::string_view key) override { batch_.add(family, key, std::nullopt); }

  // A transaction may be rolled back although no one else writes its keys, when the cache is short: it begins anew.
  void commit() override {
    while (!try_commit()) {
    }
    batch_.clear();
  }

  std::optional<std::string_view> get(std::uint32_t family, std::string_view key) override {
    release();
    WT_CURSOR* cursor = cursor_of(family);
    const WT_ITEM key_item = item_of(key);
    cursor->set_key(cursor, &key_item);
    const int result = cursor->search(cursor);
    if (result == WT_NOTFOUND) {
      return std::nullopt;
    }
    require(result, "search");
    positioned_ = cursor;
    WT_ITEM value{};
    require(cursor->get_value(cursor, &value), "get_value");
    return view_of(value);
  }

  void scan(const PeerScan& scan, const Row& row) override {
    release();
    WT_CURSOR* cursor = cursor_of(scan.family);
    positioned_ = cursor;
    const auto go_on = [&] { return scan.is_reverse ? cursor->prev(cursor) : cursor->next(cursor); };
    const WT_ITEM from_item = item_of(scan.from);
    cursor->set_key(cursor, &from_item);
    int exact = 0;
    int result = cursor->search_near(cursor, &exact);
    if (result == 0 && (scan.is_reverse ? exact > 0 : exact < 0)) {
      result = go_on();
    }
    for (std::uint32_t seen = 0; result == 0 && seen < scan.rows; ++seen) {
      WT_ITEM key{};
      WT_ITEM value{};
      require(cursor->get_key(cursor, &key), "get_key");
      require(cursor->get_value(cursor, &value), "get_value");
      if (!row(view_of(key), view_of(value))) {
        break;
      }
      if (seen + 1 < scan.rows) {
        result = go_on();
      }
    }
    if (result != WT_NOTFOUND) {
      require(result, "scan");
    }
    release();
  }

 private:
  bool try_commit() {
    release();
    require(session_->begin_transaction(session_, nullptr), "begin_transaction");
    int result = 0;
    batch_.for_each([&](std::uint32_t family, std::string_view key, std::optional<std::string_view> value) {
      if (result == 0) {
        result = write(cursor_of(family), key, value);
      }
    });
    if (result == 0) {
      require(session_->commit_transaction(session_, commit_config_), "commit_transaction");
      return true;
    }
    require(session_->rollback_transaction(session_, nullptr), "rollback_transaction");
    if (result != WT_ROLLBACK) {
      require(result, "insert");
    }
    return false;
  }

  static int write(WT_CURSOR* cursor, std::string_view key, std::optional<std::string_view> value) {
    const WT_ITEM key_item = item_of(key);
    cursor->set_key(cursor, &key_item);
    if (!value.has_value()) {
      const int result = cursor->remove(cursor);
      return result == WT_NOTFOUND ? 0 : result;
    }
    const WT_ITEM value_item = item_of(*value);
    cursor->set_value(cursor, &value_item);
    return cursor->insert(cursor);
  }

  // A session reads as of when it had no cursor on a row last: one left there would hide what others commit.
  void release() {
    if (WT_CURSOR* cursor = std::exchange(positioned_, nullptr); cursor != nullptr) {
      require(cursor->reset(cursor), "reset");
    }
  }

  WT_CURSOR* cursor_of(std::uint32_t family) {
    WT_CURSOR*& cursor = cursors_[family];
    if (cursor == nullptr) {
      require(session_->open_cursor(session_, table_name(family).c_str(), nullptr, "overwrite=true", &cursor), "open_cursor");
    }
    return cursor;
  }

  WT_SESSION* session_;
  std::vector<WT_CURSOR*> cursors_;
  WT_CURSOR* positioned_ = nullptr;  // On the row of the last value given.
  const char* commit_config_;
  RowBuffer batch_;
};

class WiredtigerPeer : public Peer {
 public:
  explicit WiredtigerPeer(PeerSettings settings) : settings_(std::move(settings)) {
    require(wiredtiger_open(settings_.directory.c_str(), nullptr, config().c_str(), &connection_), "opening");
    try {
      session_ = open_session(connection_);
      for (std::uint32_t family = 0; family < settings_.families; ++family) {
        require(session_->create(session_, table_name(family).c_str(), "key_format=u,value_format=u"), "create");
      }
    } catch (...) {
      connection_->close(connection_, nullptr);
      throw;
    }
  }
  ~WiredtigerPeer() override {
    if (connection_ != nullptr) {
      connection_->close(connection_, nullptr);
    }
  }

  std::unique_ptr<PeerClient> client() override { return std::make_unique<Client>(connection_, settings_); }
  void settle() override { require(session_->checkpoint(session_, nullptr), "checkpoint"); }

  PeerAbout about() const override {
    const char* durability = "commit_transaction(\"sync=off\"): the log stays in the process";
    if (settings_.durability == Durability::kSync) {
      durability = "commit_transaction(\"sync=on\"), transaction_sync=(method=fsync)";
    } else if (settings_.durability == Durability::kUnlogged) {
      durability = "log=(enabled=false): no log";
    } else if (settings_.durability == Durability::kWritten) {
      durability = "commit_transaction(\"sync=on\"), transaction_sync=(method=none): each commit handed to the kernel";
    }
    return {.version = wiredtiger_version(), .options = config() + "; tables by default", .durability = durability};
  }

  std::vector<PeerCounter> counters() const override {
    WT_CURSOR* cursor = nullptr;
    require(session_->open_cursor(session_, "statistics:", nullptr, nullptr, &cursor), "statistics");
    const auto value_of = [cursor](int statistic) {
      const char* description = nullptr;
      const char* text = nullptr;
      std::int64_t value = 0;
      cursor->set_key(cursor, statistic);
      require(cursor->search(cursor), "statistics");
      require(cursor->get_value(cursor, &description, &text, &value), "statistics");
      return static_cast<std::uint64_t>(value);
    };
    std::vector<PeerCounter> counters = {{.name = "table bytes written", .value = value_of(WT_STAT_CONN_BLOCK_BYTE_WRITE)},
                                         {.name = "log bytes written", .value = value_of(WT_STAT_CONN_LOG_BYTES_WRITTEN)},
                                         {.name = "log syncs", .value = value_of(WT_STAT_CONN_LOG_SYNC)}};
    require(cursor->close(cursor), "statistics");
    return counters;
  }

  void close() override {
    WT_CONNECTION* connection = std::exchange(connection_, nullptr);
    require(connection->close(connection, nullptr), "closing");
  }

 private:
  std::string config() const {
    constexpr std::uint32_t kSpareSessions = 32;
    constexpr std::uint64_t kCacheBytesMin = std::uint64_t{1} << 20U;
    const char* method = settings_.durability == Durability::kSync ? "fsync" : "none";
    return fmt::format(
        "create,cache_size={},session_max={},log=(enabled={},compressor=\"\"),transaction_sync=(enabled={},method={}),"
        "checkpoint=(wait=60,log_size=2GB),statistics=(fast)",
        std::max(settings_.memtable_bytes + settings_.cache_bytes, kCacheBytesMin), settings_.clients + kSpareSessions,
        is_logged(settings_.durability), is_handed_over(settings_.durability), method);
  }

  PeerSettings settings_;
  WT_CONNECTION* connection_ = nullptr;
  WT_SESSION* session_ = nullptr;
};

}  // namespace

std::string wiredtiger_version() {
  return fmt::format("WiredTiger {}.{}.{}", WIREDTIGER_VERSION_MAJOR, WIREDTIGER_VERSION_MINOR, WIREDTIGER_VERSION_PATCH);
}

std::unique_ptr<Peer> open_wiredtiger(const PeerSettings& settings) { return std::make_unique<WiredtigerPeer>(settings); }

}  // namespace penstock::bench
