#include "engine/catalog.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/endian.h"
#include "engine/catalog_format.h"
#include "engine/operation.h"

namespace penstock::engine {

namespace {

constexpr Bytes kBytesComparator = "bytes";

Status catalog_status(Code code, FamilyId family) { return Status(code).with_place(FileKind::kCatalog, family); }

void append_field(std::string& out, CatalogTag tag, Bytes value) {
  CatalogField field;
  field.tag = static_cast<std::uint16_t>(tag);
  field.bytes = static_cast<std::uint16_t>(value.size());
  out.append(as_bytes(base::bytes_of(field)));
  out.append(value);
}

template <typename T>
Bytes view_of(const T& value) {
  return as_bytes(base::bytes_of(value));
}

struct PlacementField {
  std::uint8_t placement = 0;
  base::le16 shard;
};
static_assert(sizeof(PlacementField) == 3);
struct PartitionField {
  std::uint8_t kind = 0;
  std::uint8_t delimiter = 0;
  base::le16 prefix_bytes;
};
static_assert(sizeof(PartitionField) == 4);

template <typename T>
bool take(Bytes value, T& field) {
  if (value.size() != sizeof(T)) {
    return false;
  }
  field = base::load<T>(as_span(value));
  return true;
}

/// Decodes one field into `family`; kOk also for one that may be skipped.
Status decode_field(std::uint16_t tag, Bytes value, detail::FamilyState& family) {
  const Status corrupt = catalog_status(Code::kCorruption, family.id);
  switch (static_cast<CatalogTag>(tag)) {
    case CatalogTag::kId: {
      base::le32 id;
      if (!take(value, id) || id.get() < kFamilyIdUserMin) {
        return corrupt;
      }
      family.id = id.get();
      return Status::ok();
    }
    case CatalogTag::kPlacement: {
      PlacementField field;
      if (!take(value, field) || field.placement > 1 || field.shard.get() >= family.shard_count) {
        return corrupt;
      }
      family.options.placement = static_cast<Placement>(field.placement);
      family.options.shard = family.options.placement == Placement::kPinned ? field.shard.get() : -1;
      return Status::ok();
    }
    case CatalogTag::kPartition: {
      PartitionField field;
      if (!take(value, field) || field.kind > 2) {
        return corrupt;
      }
      family.options.partition = {.kind = static_cast<PartitionRule::Kind>(field.kind),
                                  .prefix_bytes = field.prefix_bytes.get(),
                                  .delimiter = static_cast<char>(field.delimiter)};
      return Status::ok();
    }
    case CatalogTag::kHashSeed: {
      base::le64 seed;
      if (!take(value, seed)) {
        return corrupt;
      }
      family.hash_seed = seed.get();
      return Status::ok();
    }
    case CatalogTag::kComparator:
      return value == kBytesComparator ? Status::ok() : catalog_status(Code::kNotSupported, family.id);
  }
  return (tag & kCriticalTag) != 0 ? catalog_status(Code::kNotSupported, family.id) : Status::ok();
}

Result<std::shared_ptr<detail::FamilyState>> decode_family(Bytes name, Bytes value, std::uint16_t shard_count) {
  auto family = std::make_shared<detail::FamilyState>();
  family->name = std::string(name);
  family->shard_count = shard_count;
  while (!value.empty()) {
    if (value.size() < sizeof(CatalogField)) {
      return std::unexpected(catalog_status(Code::kCorruption, family->id));
    }
    const auto field = base::load<CatalogField>(as_span(value));
    value.remove_prefix(sizeof(CatalogField));
    if (field.bytes.get() > value.size()) {
      return std::unexpected(catalog_status(Code::kCorruption, family->id));
    }
    if (const Status status = decode_field(field.tag.get(), value.substr(0, field.bytes.get()), *family); !status.is_ok()) {
      return std::unexpected(status);
    }
    value.remove_prefix(field.bytes.get());
  }
  const bool has_shard = family->options.placement == Placement::kHashed || family->options.shard >= 0;
  if (family->id < kFamilyIdUserMin || !has_shard) {
    return std::unexpected(catalog_status(Code::kCorruption, family->id));
  }
  return family;
}

std::string name_key(const std::string& name) { return kNameKey + name; }

}  // namespace

std::string encode_family(const detail::FamilyState& family) {
  std::string out;
  append_field(out, CatalogTag::kId, view_of(base::le32(family.id)));
  PlacementField placement;
  placement.placement = static_cast<std::uint8_t>(family.options.placement);
  placement.shard = static_cast<std::uint16_t>(std::max(family.options.shard, 0));
  append_field(out, CatalogTag::kPlacement, view_of(placement));
  PartitionField partition;
  partition.kind = static_cast<std::uint8_t>(family.options.partition.kind);
  partition.delimiter = static_cast<std::uint8_t>(family.options.partition.delimiter);
  partition.prefix_bytes = family.options.partition.prefix_bytes;
  append_field(out, CatalogTag::kPartition, view_of(partition));
  append_field(out, CatalogTag::kHashSeed, view_of(base::le64(family.hash_seed)));
  append_field(out, CatalogTag::kComparator, kBytesComparator);
  return out;
}

Status Catalog::load(Bytes key, std::optional<Bytes> value) {
  if (key == Bytes(&kNextIdKey, 1)) {
    base::le32 id;
    if (!value.has_value() || !take(*value, id) || id.get() < next_id_) {
      return catalog_status(Code::kCorruption, 0);
    }
    next_id_ = id.get();
    return Status::ok();
  }
  if (key.size() < 2 || key.front() != kNameKey || key.size() > 1 + kFamilyNameBytesMax) {
    return catalog_status(Code::kCorruption, 0);
  }
  const std::string name(key.substr(1));
  if (!value.has_value()) {
    by_name_.erase(name);
    return Status::ok();
  }
  Result<std::shared_ptr<detail::FamilyState>> family = decode_family(name, *value, shard_count_);
  if (!family.has_value()) {
    return family.error();
  }
  by_name_[name] = std::move(*family);
  return Status::ok();
}

std::shared_ptr<detail::FamilyState> Catalog::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<detail::FamilyState>> Catalog::families() const {
  std::vector<std::shared_ptr<detail::FamilyState>> list;
  list.reserve(by_name_.size());
  for (const auto& [name, family] : by_name_) {
    list.push_back(family);
  }
  return list;
}

Outcome<std::shared_ptr<detail::FamilyState>> Catalog::make(const std::string& name, FamilyOptions options,
                                                            std::uint64_t hash_seed) const {
  const auto refuse = [](std::string text) {
    return std::unexpected(Failure(Status(Code::kInvalidArgument, FileKind::kCatalog, 0), std::move(text)));
  };
  if (name.empty() || name.size() > kFamilyNameBytesMax) {
    return refuse("a family's name has 1 to 255 bytes, this one has " + std::to_string(name.size()));
  }
  if (by_name_.size() >= kFamilyCountMax) {
    return refuse("there are " + std::to_string(by_name_.size()) + " families, the most a database can have");
  }
  if (options.placement == Placement::kPinned && options.shard >= shard_count_) {
    return refuse("family \"" + name + "\": shard " + std::to_string(options.shard) + " does not exist, the database has " +
                  std::to_string(shard_count_));
  }
  if (options.placement == Placement::kHashed && options.partition.kind == PartitionRule::Kind::kPrefix &&
      options.partition.prefix_bytes == 0) {
    return refuse("family \"" + name + "\": a partition prefix of 0 bytes would put every key on one shard");
  }
  auto family = std::make_shared<detail::FamilyState>();
  family->id = next_id_;
  family->name = name;
  family->options = options;
  family->shard_count = shard_count_;
  family->hash_seed = hash_seed;
  if (options.placement == Placement::kHashed) {
    family->options.shard = -1;  // It means nothing there; a number that no shard has must not get into the stored catalog.
  } else if (options.shard < 0) {
    family->options.shard = static_cast<std::int32_t>(family->id % shard_count_);
  }
  return family;
}

namespace {

void encode_put(std::vector<char>& out, Bytes key, Bytes value) {
  encode_operation({.kind = OperationKind::kPut, .family = 0, .key = key, .value = value}, out);
}
void encode_remove(std::vector<char>& out, Bytes key) {
  encode_operation({.kind = OperationKind::kRemove, .family = 0, .key = key, .value = {}}, out);
}

}  // namespace

void Catalog::encode_create(const detail::FamilyState& family, std::vector<char>& out) const {
  PENSTOCK_ASSERT_EQ(family.id, next_id_);
  encode_put(out, Bytes(&kNextIdKey, 1), view_of(base::le32(next_id_ + 1)));
  encode_put(out, name_key(family.name), encode_family(family));
}

void Catalog::encode_drop(const std::string& name, std::vector<char>& out) const { encode_remove(out, name_key(name)); }

void Catalog::encode_rename(const detail::FamilyState& family, const std::string& from, const std::string& to,
                            std::vector<char>& out) const {
  encode_remove(out, name_key(from));
  encode_put(out, name_key(to), encode_family(family));
}

void Catalog::apply_create(std::shared_ptr<detail::FamilyState> family) {
  PENSTOCK_ASSERT_EQ(family->id, next_id_);
  ++next_id_;
  by_name_[family->name] = std::move(family);
}

void Catalog::apply_drop(const std::string& name) { by_name_.erase(name); }

void Catalog::apply_rename(const std::string& from, const std::string& to) {
  auto node = by_name_.extract(from);
  PENSTOCK_ASSERT(!node.empty());
  node.key() = to;
  by_name_.insert(std::move(node));
}

}  // namespace penstock::engine
