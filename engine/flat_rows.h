// Rows of a scan one behind the other in one piece of memory: a shard brings many, of which a merge over shards may take few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "penstock/bytes.h"
#include "penstock/shard.h"

namespace penstock::engine {

class FlatRows {
 public:
  void push_back(Bytes key, Bytes value) {
    places_.push_back({.begin = bytes_.size(), .key_bytes = key.size()});
    bytes_.append(key);
    bytes_.append(value);
  }
  std::size_t size() const noexcept { return places_.size(); }
  /// Of keys and values.
  std::uint64_t bytes() const noexcept { return bytes_.size(); }
  Bytes key(std::size_t row) const noexcept { return Bytes(bytes_).substr(places_[row].begin, places_[row].key_bytes); }
  Bytes value(std::size_t row) const noexcept {
    const std::size_t begin = places_[row].begin + places_[row].key_bytes;
    const std::size_t end = row + 1 < size() ? places_[row + 1].begin : bytes_.size();
    return Bytes(bytes_).substr(begin, end - begin);
  }
  Row row(std::size_t row) const { return {.key = std::string(key(row)), .value = std::string(value(row))}; }

  /// If the range goes on: the key to continue from.
  std::optional<std::string> next;

 private:
  struct Place {
    std::size_t begin;
    std::size_t key_bytes;
  };
  std::string bytes_;
  std::vector<Place> places_;
};

/// What a caller gets of one shard's rows.
inline ScanResult to_result(FlatRows flat) {
  ScanResult result;
  result.rows.reserve(flat.size());
  for (std::size_t row = 0; row < flat.size(); ++row) result.rows.push_back(flat.row(row));
  result.next = std::move(flat.next);
  return result;
}

}  // namespace penstock::engine
