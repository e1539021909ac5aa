// TypedFamily: a family seen through types: keys by keys.h, values as bytes or by a codec of yours.
//
//   penstock::TypedFamily<std::tuple<std::uint32_t, std::string>, Order> orders(*family);
//   orders.put(*db, {7, "ant"}, order).get();          // From a thread: futures.
//   co_await orders.put(shard, key, order);            // On a shard: tasks.
//
// With GCC 12 name keys and values before a co_await: what braces within it make is destroyed twice.
// Each call is the one of Database, Shard or Batch of that name, with its errors and promises; where a stored key or value is
// not what the types say, the answer is `corruption`. A future's answer is decoded where it arrives, which may be a reactor: a
// codec must not block. Cheap to copy; threads as Family. A hashed family's partition rule sees the encoded keys: a prefix of 4
// bytes is a first part of 4 bytes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "penstock/db.h"
#include "penstock/keys.h"

namespace penstock {

/// How a Value stands in a row. Of your own: `static void encode(const Value&, std::string& out)` appends, `static
/// Result<Value> decode(Bytes)` gives it back, or the error that the call answers with.
template <typename Value>
struct ValueCodec;

/// Bytes as they are.
template <>
struct ValueCodec<std::string> {
  static void encode(const std::string& value, std::string& out) { out.append(value); }
  static Result<std::string> decode(Bytes bytes) { return std::string(bytes); }
};

template <typename Value>
concept CodedValue = requires(const Value& value, std::string& out, Bytes bytes) {
  ValueCodec<Value>::encode(value, out);
  { ValueCodec<Value>::decode(bytes) } -> std::same_as<Result<Value>>;
};

template <KeyPart Key, CodedValue Value = std::string>
class TypedFamily {
 public:
  struct TypedRow {
    Key key;
    Value value;
  };
  struct TypedScan {
    std::vector<TypedRow> rows;
    std::optional<std::string> next;  ///< As in ScanResult: the encoded key to continue `from`.
  };

  TypedFamily() noexcept = default;
  explicit TypedFamily(Family family) noexcept : family_(std::move(family)) {}
  const Family& family() const noexcept { return family_; }
  /// The shard that holds `key`.
  ShardId shard_of(const Key& key) const { return family_.shard_of(encode_key(key)); }

  // --- from threads ---
  Future<Status> put(Database& db, const Key& key, const Value& value, const CommitOptions& options = {}) const {
    return db.put(family_, encode_key(key), bytes_of(value), options);
  }
  Future<Status> remove(Database& db, const Key& key, const CommitOptions& options = {}) const {
    return db.remove(family_, encode_key(key), options);
  }
  Future<Result<Value>> get(Database& db, const Key& key) const {
    return decoded(db.get(family_, encode_key(key)), &decode_value);
  }
  Future<Result<bool>> contains(Database& db, const Key& key) const { return db.contains(family_, encode_key(key)); }
  Future<Result<TypedScan>> scan(Database& db, ScanOptions options) const {
    return decoded(db.scan(family_, std::move(options)), &decode_rows);
  }

  // --- in a batch ---
  Status put(Batch& batch, const Key& key, const Value& value) const {
    return batch.put(family_, encode_key(key), bytes_of(value));
  }
  Status remove(Batch& batch, const Key& key) const { return batch.remove(family_, encode_key(key)); }

  // --- on a shard ---
  Task<Status> put(Shard& shard, const Key& key, const Value& value, const CommitOptions& options = {}) const {
    const std::string encoded = encode_key(key);
    const std::string bytes = bytes_of(value);
    co_return co_await shard.put(family_, encoded, bytes, options);
  }
  Task<Status> remove(Shard& shard, const Key& key, const CommitOptions& options = {}) const {
    const std::string encoded = encode_key(key);
    co_return co_await shard.remove(family_, encoded, options);
  }
  Task<Result<Value>> get(Shard& shard, const Key& key) const {
    const std::string encoded = encode_key(key);
    const Result<PinnedValue> found = co_await shard.get_pinned(family_, encoded);
    if (!found.has_value()) co_return std::unexpected(found.error());
    co_return ValueCodec<Value>::decode(found->value());
  }
  Task<Result<bool>> contains(Shard& shard, const Key& key) const {
    const std::string encoded = encode_key(key);
    co_return co_await shard.contains(family_, encoded);
  }
  Task<Result<TypedScan>> scan(Shard& shard, const ScanOptions& options) const {
    Result<ScanResult> found = co_await shard.scan(family_, options);
    if (!found.has_value()) co_return std::unexpected(found.error());
    co_return decode_rows(std::move(*found));
  }

  // --- what to scan ---
  /// All rows.
  static ScanOptions all() { return {}; }
  /// From `from` to before `to`.
  static ScanOptions between(const Key& from, const Key& to) { return {.from = encode_key(from), .to = encode_key(to)}; }
  static ScanOptions starting_at(const Key& from) { return {.from = encode_key(from), .to = std::nullopt}; }
  /// The rows whose keys' first parts are these.
  template <EncodableKey... Parts>
  static ScanOptions with_prefix(const Parts&... parts) {
    KeyRange range = prefix_range(parts...);
    return {.from = std::move(range.from), .to = std::move(range.to)};
  }

 private:
  static std::string bytes_of(const Value& value) {
    std::string bytes;
    ValueCodec<Value>::encode(value, bytes);
    return bytes;
  }
  static Result<Value> decode_value(std::string bytes) { return ValueCodec<Value>::decode(bytes); }
  static Result<TypedScan> decode_rows(ScanResult scan) {
    TypedScan typed;
    typed.next = std::move(scan.next);
    typed.rows.reserve(scan.rows.size());
    for (const Row& row : scan.rows) {
      Result<Key> key = decode_key<Key>(row.key);
      if (!key.has_value()) return std::unexpected(key.error());
      Result<Value> value = ValueCodec<Value>::decode(row.value);
      if (!value.has_value()) return std::unexpected(value.error());
      typed.rows.push_back({std::move(*key), std::move(*value)});
    }
    return typed;
  }
  /// The answer of `raw` by way of `decode`.
  template <typename Raw, typename Answer>
  static Future<Result<Answer>> decoded(Future<Result<Raw>> raw, Result<Answer> (*decode)(Raw)) {
    Promise<Result<Answer>> promise;
    Future<Result<Answer>> future = promise.future();
    std::move(raw).on_ready([promise = std::move(promise), decode](Result<Raw> answer) mutable {
      promise.fulfill(answer.has_value() ? decode(std::move(*answer)) : Result<Answer>(std::unexpected(answer.error())));
    });
    return future;
  }

  Family family_;
};

}  // namespace penstock
