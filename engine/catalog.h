// The catalog in memory: names, ids and options of all families, and its encoding as operations on family 0 of shard 0.
//
// Invariants: Catalog-I1 An id is never given twice: the next id is stored, and only grows. Catalog-I2 Names are unique.
// Thread: the reactor of shard 0.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/family_state.h"
#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock::engine {

class Catalog {
 public:
  explicit Catalog(std::uint16_t shard_count) noexcept : shard_count_(shard_count) {}

  /// Takes over what is stored under `key`; an empty optional removes it. Errors: corruption, not_supported (kind catalog).
  Status load(Bytes key, std::optional<Bytes> value);

  std::shared_ptr<detail::FamilyState> find(const std::string& name) const;
  FamilyId next_id() const noexcept { return next_id_; }
  std::size_t family_count() const noexcept { return by_name_.size(); }
  std::vector<std::shared_ptr<detail::FamilyState>> families() const;
  template <typename Visit>  // (name, family), by name.
  void for_each(Visit visit) const {
    for (const auto& [name, family] : by_name_) {
      visit(name, *family);
    }
  }

  /// Checks name and options; shards are filled in. The family is not in the catalog yet.
  Outcome<std::shared_ptr<detail::FamilyState>> make(const std::string& name, FamilyOptions options,
                                                     std::uint64_t hash_seed) const;

  // The operations of a change, encoded for a batch on family 0, and the change itself, made once they are published.
  void encode_create(const detail::FamilyState& family, std::vector<char>& out) const;
  void encode_drop(const std::string& name, std::vector<char>& out) const;
  void encode_rename(const detail::FamilyState& family, const std::string& from, const std::string& to,
                     std::vector<char>& out) const;
  void apply_create(std::shared_ptr<detail::FamilyState> family);
  void apply_drop(const std::string& name);
  void apply_rename(const std::string& from, const std::string& to);

 private:
  std::uint16_t shard_count_;
  FamilyId next_id_ = kFamilyIdUserMin;
  std::map<std::string, std::shared_ptr<detail::FamilyState>> by_name_;
};

std::string encode_family(const detail::FamilyState& family);

}  // namespace penstock::engine
