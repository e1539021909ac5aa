#include "engine/operation.h"

#include <cstring>

#include "base/assert.h"
#include "btree/btree.h"

namespace penstock::engine {

void encode_operation(const Operation& operation, std::vector<char>& out) {
  PENSTOCK_ASSERT_LE(operation.key.size(), kKeyBytesMax);
  PENSTOCK_ASSERT_LE(operation.value.size(), kBatchBytesMax);
  OperationHeader header;
  header.kind = static_cast<std::uint8_t>(operation.kind);
  header.key_bytes = static_cast<std::uint16_t>(operation.key.size());
  header.family = operation.family;
  header.value_bytes = static_cast<std::uint32_t>(operation.value.size());
  // insert, not resize and memcpy: resize would zero the bytes first.
  const auto append = [&out](const void* bytes, std::size_t count) {
    const auto* begin = static_cast<const char*>(bytes);
    out.insert(out.end(), begin, begin + count);
  };
  append(&header, sizeof(header));
  append(operation.key.data(), operation.key.size());
  append(operation.value.data(), operation.value.size());
}

bool OperationReader::next() noexcept {
  if (rest_.empty() || !status_.is_ok()) {
    return false;
  }
  if (rest_.size() < sizeof(OperationHeader)) {
    status_ = Status(Code::kCorruption);
    return false;
  }
  OperationHeader header;
  std::memcpy(&header, rest_.data(), sizeof(header));
  const auto kind = static_cast<OperationKind>(header.kind);
  const bool is_known = kind == OperationKind::kPut || kind == OperationKind::kRemove || kind == OperationKind::kPutExtent;
  if (!is_known || header.flags != 0) {
    status_ = Status(Code::kNotSupported);
    return false;
  }
  const std::uint64_t key_bytes = header.key_bytes.get();
  const std::uint64_t value_bytes = header.value_bytes.get();
  const bool lengths_fit = key_bytes <= kKeyBytesMax && operation_bytes(key_bytes, value_bytes) <= rest_.size();
  const bool is_kind_kept = (kind != OperationKind::kRemove || value_bytes == 0) &&
                            (kind != OperationKind::kPutExtent || value_bytes == btree::kExtentPointerBytes);
  if (!lengths_fit || !is_kind_kept) {
    status_ = Status(Code::kCorruption);
    return false;
  }
  operation_ = {.kind = kind,
                .family = header.family.get(),
                .key = rest_.substr(sizeof(header), key_bytes),
                .value = rest_.substr(sizeof(header) + key_bytes, value_bytes)};
  rest_.remove_prefix(operation_bytes(key_bytes, value_bytes));
  return true;
}

}  // namespace penstock::engine
