#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

namespace {

Result<ChildPointer> pointer_at(Bytes value, std::size_t offset) {
  return decode_child(base::load<ChildPointerOnDisk>(as_span(value.substr(offset, sizeof(ChildPointerOnDisk)))));
}

}  // namespace

std::string encode_family_key(FamilyId family) {
  const FamilyId big_endian = __builtin_bswap32(family);
  std::string key(sizeof(big_endian), '\0');
  std::memcpy(key.data(), &big_endian, sizeof(big_endian));
  return key;
}

std::string encode_family_root(const FamilyRoot& root) {
  PENSTOCK_ASSERT_LE(root.trees.runs.size(), kRunsMax);
  FamilyRootOnDisk stored{};
  if (!root.trees.base.is_null()) stored.base = encode_child(root.trees.base);
  stored.flags = root.dropped ? kFamilyDropped : 0;
  stored.runs = static_cast<std::uint32_t>(root.trees.runs.size());
  std::string value(as_bytes(base::bytes_of(stored)));
  for (const Run& run : root.trees.runs) {
    const ChildPointerOnDisk pointer = encode_child(run.root);
    value.append(as_bytes(base::bytes_of(pointer)));
  }
  return value;
}

Result<FamilyRoot> decode_family_root(Bytes key, Bytes value) {
  FamilyRoot root;
  if (key.size() != sizeof(FamilyId) || value.size() < sizeof(FamilyRootOnDisk)) {
    return std::unexpected(Status(Code::kCorruption));
  }
  std::memcpy(&root.family, key.data(), sizeof(FamilyId));
  root.family = __builtin_bswap32(root.family);
  const auto stored = base::load<FamilyRootOnDisk>(as_span(value));
  const std::size_t runs = stored.runs.get();
  if (runs > kRunsMax || value.size() != sizeof(FamilyRootOnDisk) + (runs * sizeof(ChildPointerOnDisk))) {
    return std::unexpected(Status(Code::kCorruption));
  }
  if ((stored.flags.get() & ~kFamilyDropped) != 0) return std::unexpected(Status(Code::kNotSupported));
  root.dropped = (stored.flags.get() & kFamilyDropped) != 0;
  for (std::size_t run = 0; run < runs; ++run) {
    const Result<ChildPointer> pointer = pointer_at(value, sizeof(FamilyRootOnDisk) + (run * sizeof(ChildPointerOnDisk)));
    if (!pointer.has_value()) return std::unexpected(pointer.error());
    root.trees.runs.push_back({.root = *pointer, .filter = nullptr});
  }
  const Bytes base = value.substr(0, sizeof(ChildPointerOnDisk));
  if (std::all_of(base.begin(), base.end(), [](char byte) { return byte == '\0'; })) return root;
  const Result<ChildPointer> pointer = pointer_at(value, 0);
  if (!pointer.has_value()) return std::unexpected(pointer.error());
  root.trees.base = *pointer;
  return root;
}

}  // namespace penstock::btree
