// A database against a std::map: any sequence of puts, removals, batches, flushes, closings, kills, power cuts, family changes
// and verifications leaves exactly what was acknowledged. Method: the input is a program of one-byte operations with their
// arguments; two shards on two simulated reactors. Weaker commits are flushed before a kill or a cut, so that all must be
// there.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/assert.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

constexpr int kStepsMax = 150;
constexpr std::uint64_t kBytesMax = 4_MiB;  // Of values, in one program.

class Program {
 public:
  explicit Program(fuzz::Input input) : input_(input) {
    options_.seed = 1 + input_.take<std::uint8_t>();
    boot();
  }

  void run() {
    for (int step = 0; step < kStepsMax && !input_.is_empty(); ++step) run_step();
    restart(false);
    check_all();
    verify();
    close();
  }

 private:
  struct Table {
    Family handle;
    std::optional<ShardId> pinned_to;
    Rows rows;
  };

  void boot() {
    options_.seed += 7;
    options_.reactors = 1 + static_cast<std::uint32_t>(options_.seed % 2);
    db_ = std::make_unique<SimDatabase>(disk_, options_);
    const Outcome<bool> opened = db_->open();
    PENSTOCK_ASSERT(opened.has_value());
    PENSTOCK_ASSERT_EQ(db_->family_names().size(), tables_.size());
    for (auto& [name, table] : tables_) {
      const Outcome<Family> family = db_->open_family(name);
      PENSTOCK_ASSERT(family.has_value());
      table.handle = *family;
    }
  }
  void close() {
    const Status closed = db_->close();
    PENSTOCK_ASSERT(closed.is_ok());
    db_.reset();
  }
  /// `is_hard`: a kill or a power cut.
  void restart(bool is_hard) {
    if (!is_hard) {
      close();
    } else {
      if (has_weak_) flush_all();
      const auto how = input_.take<std::uint8_t>();
      if (how % 2 == 0) {
        db_->kill(how);
      } else {
        db_->cut_power(how);
      }
      db_.reset();
    }
    has_weak_ = false;
    boot();
  }

  std::string take_key() {
    const auto kind = input_.take<std::uint8_t>();
    std::string key(1 + (kind % 3), static_cast<char>('a' + (kind >> 5U)));
    key += std::to_string(input_.take<std::uint8_t>() % 64);
    if (kind % 13 == 0) key.resize(kKeyBytesMax, 'k');
    if (kind == 255) key.clear();
    return key;
  }
  std::string take_value() {
    const auto kind = input_.take<std::uint8_t>();
    std::uint64_t bytes = kind;
    if (kind >= 200) bytes = 1000 + (std::uint64_t{kind} * 8);
    if (kind >= 230) bytes = 15'000 + ((std::uint64_t{kind} - 230) * 200);
    if (kind >= 250) bytes = 60'000 + ((std::uint64_t{kind} - 250) * 3'000);
    if (value_bytes_ + bytes > kBytesMax) bytes = 1;
    value_bytes_ += bytes;
    return std::string(bytes, static_cast<char>(input_.take<std::uint8_t>()));
  }
  Durability take_durability() {
    const auto choice = input_.take<std::uint8_t>() % 8;
    if (choice >= 4) return Durability::kSync;
    has_weak_ = has_weak_ || choice != 0;
    constexpr Durability kAll[] = {Durability::kSync, Durability::kWritten, Durability::kBuffered, Durability::kUnlogged};
    return kAll[choice];
  }
  /// Null: there is no family.
  Table* take_table() {
    if (tables_.empty()) make_family();
    auto place = tables_.begin();
    std::advance(place, input_.take<std::uint8_t>() % tables_.size());
    return &place->second;
  }

  void make_family() {
    const auto kind = input_.take<std::uint8_t>();
    const std::string name = "family" + std::to_string(kind % 6);
    FamilyOptions options;
    if (kind % 2 == 0) {
      options.placement = Placement::kHashed;
    } else {
      options.shard = (kind >> 3U) % 2;
    }
    const bool is_new = !tables_.contains(name);
    const Outcome<Family> family = db_->family(name, options);
    PENSTOCK_ASSERT(family.has_value());
    Table& table = tables_[name];
    table.handle = *family;
    if (is_new && options.placement == Placement::kPinned) table.pinned_to = family->shard_of("");
  }
  void drop_family() {
    if (tables_.empty()) return;
    auto place = tables_.begin();
    std::advance(place, input_.take<std::uint8_t>() % tables_.size());
    const Outcome<bool> dropped = db_->drop_family(place->first);
    PENSTOCK_ASSERT(dropped.has_value());
    tables_.erase(place);
  }

  void put() {
    Table& table = *take_table();
    const std::string key = take_key();
    std::string value = take_value();
    const Status status = db_->put(table.handle, key, value, take_durability());
    PENSTOCK_ASSERT(status.is_ok());
    table.rows[key] = std::move(value);
  }
  void remove() {
    Table& table = *take_table();
    const std::string key = take_key();
    const Status status = db_->remove(table.handle, key);
    PENSTOCK_ASSERT(status.is_ok());
    table.rows.erase(key);
  }
  /// Those of its operations that belong to the shard of the first one.
  void batch() {
    Batch batch;
    std::optional<ShardId> shard;
    for (int count = 1 + (input_.take<std::uint8_t>() % 6); count > 0; --count) {
      Table& table = *take_table();
      const std::string key = take_key();
      const ShardId own = table.handle.shard_of(key);
      if (shard.value_or(own) != own) continue;
      shard = own;
      if (input_.take<std::uint8_t>() % 3 == 0) {
        PENSTOCK_ASSERT(batch.remove(table.handle, key).is_ok());
        table.rows.erase(key);
      } else {
        std::string value = take_value();
        PENSTOCK_ASSERT(batch.put(table.handle, key, value).is_ok());
        table.rows[key] = std::move(value);
      }
    }
    const Status status = db_->commit(*shard, batch, take_durability());
    PENSTOCK_ASSERT(status.is_ok());
  }

  void get() {
    Table& table = *take_table();
    check_get(table, take_key());
  }
  void check_get(const Table& table, const std::string& key) {
    const Result<std::string> found = db_->get(table.handle, key);
    const auto wanted = table.rows.find(key);
    if (wanted == table.rows.end()) {
      PENSTOCK_ASSERT(!found.has_value() && found.error().is(Code::kNotFound));
    } else {
      PENSTOCK_ASSERT(found.has_value() && *found == wanted->second);
    }
  }
  void check_scan(const Table& table) {
    Rows all;
    for (ShardId shard = 0; shard < db_->shard_count(); ++shard) {
      if (table.pinned_to.value_or(shard) != shard) continue;
      ShardRows found = db_->scan(table.handle, shard);
      PENSTOCK_ASSERT(found.status.is_ok());
      all.merge(found.rows);
    }
    PENSTOCK_ASSERT(all == table.rows);
  }
  void check_all() {
    for (const auto& [name, table] : tables_) {
      check_scan(table);
      if (!table.rows.empty()) check_get(table, table.rows.rbegin()->first);
    }
  }
  void flush(ShardId shard) {
    const Status status = db_->flush(shard);
    PENSTOCK_ASSERT(status.is_ok());
  }
  void flush_all() {
    for (ShardId shard = 0; shard < db_->shard_count(); ++shard) flush(shard);
  }
  void verify() {
    const Outcome<VerifyReport> report = db_->verify();
    PENSTOCK_ASSERT(report.has_value());
  }

  void run_step() {
    const auto operation = input_.take<std::uint8_t>() % 32;
    if (operation < 10) return put();
    if (operation < 13) return remove();
    if (operation < 17) return batch();
    if (operation < 20) return get();
    if (operation < 22) return check_scan(*take_table());
    if (operation < 25) return flush(static_cast<ShardId>(operation % 2));
    if (operation == 25) return restart(false);
    if (operation < 28) return restart(true);
    if (operation == 28) return make_family();
    if (operation == 29) return drop_family();
    if (operation == 30) return verify();
    db_->run_for_ms(60);
  }

  fuzz::Input input_;
  reactor::SimDisk disk_{5};
  SimDatabaseOptions options_;
  std::unique_ptr<SimDatabase> db_;
  std::map<std::string, Table> tables_;
  bool has_weak_ = false;
  std::uint64_t value_bytes_ = 0;
};

}  // namespace

void fuzz_store(fuzz::Input input) { Program(input).run(); }

}  // namespace penstock::simtest

PENSTOCK_FUZZ_TARGET(penstock::simtest::fuzz_store)
