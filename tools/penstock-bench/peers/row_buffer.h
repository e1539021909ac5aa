// RowBuffer: the batch of a client whose engine has none of its own: rows one after the other, until its commit (Peer-I2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

class RowBuffer {
 public:
  /// Without a value: the row's removal.
  void add(std::uint32_t family, std::string_view key, std::optional<std::string_view> value) {
    const std::string_view written = value.value_or(std::string_view());
    rows_.push_back({.family = family,
                     .at = bytes_.size(),
                     .key_size = key.size(),
                     .value_size = written.size(),
                     .is_removal = !value.has_value()});
    bytes_.append(key).append(written);
  }
  void clear() {
    rows_.clear();
    bytes_.clear();
  }
  /// Calls visit(family, key, value) for each row, in order; the value is an optional.
  template <typename Visit>
  void for_each(Visit visit) const {
    const std::string_view bytes = bytes_;
    for (const Place& row : rows_) {
      const std::string_view value = bytes.substr(row.at + row.key_size, row.value_size);
      visit(row.family, bytes.substr(row.at, row.key_size), row.is_removal ? std::nullopt : std::optional(value));
    }
  }

 private:
  struct Place {
    std::uint32_t family;
    std::size_t at;
    std::size_t key_size;
    std::size_t value_size;
    bool is_removal;
  };
  std::vector<Place> rows_;
  std::string bytes_;
};

}  // namespace penstock::bench
