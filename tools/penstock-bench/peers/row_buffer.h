// RowBuffer: the batch of a client whose engine has none of its own: rows one after the other, until its commit (Peer-I2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

class RowBuffer {
 public:
  void add(std::uint32_t family, std::string_view key, std::string_view value) {
    rows_.push_back({.family = family, .at = bytes_.size(), .key_size = key.size(), .value_size = value.size()});
    bytes_.append(key).append(value);
  }
  void clear() {
    rows_.clear();
    bytes_.clear();
  }
  /// Calls visit(family, key, value) for each row, in order.
  template <typename Visit>
  void for_each(Visit visit) const {
    const std::string_view bytes = bytes_;
    for (const Place& row : rows_) {
      visit(row.family, bytes.substr(row.at, row.key_size), bytes.substr(row.at + row.key_size, row.value_size));
    }
  }

 private:
  struct Place {
    std::uint32_t family;
    std::size_t at;
    std::size_t key_size;
    std::size_t value_size;
  };
  std::vector<Place> rows_;
  std::string bytes_;
};

}  // namespace penstock::bench
