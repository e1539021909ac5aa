#include <algorithm>
#include <cstring>

#include "btree/btree.h"
#include "btree/page.h"

namespace penstock::btree {

std::string encode_family_key(FamilyId family) {
  const FamilyId big_endian = __builtin_bswap32(family);
  std::string key(sizeof(big_endian), '\0');
  std::memcpy(key.data(), &big_endian, sizeof(big_endian));
  return key;
}

std::string encode_family_root(const FamilyRoot& root) {
  FamilyRootOnDisk stored{};
  if (!root.root.is_null()) stored.root = encode_child(root.root);
  stored.flags = root.dropped ? kFamilyDropped : 0;
  return std::string(as_bytes(base::bytes_of(stored)));
}

Result<FamilyRoot> decode_family_root(Bytes key, Bytes value) {
  FamilyRoot root;
  if (key.size() != sizeof(FamilyId) || value.size() != sizeof(FamilyRootOnDisk)) {
    return std::unexpected(Status(Code::kCorruption));
  }
  std::memcpy(&root.family, key.data(), sizeof(FamilyId));
  root.family = __builtin_bswap32(root.family);
  const auto stored = base::load<FamilyRootOnDisk>(as_span(value));
  if (stored.reserved.get() != 0) return std::unexpected(Status(Code::kCorruption));
  if ((stored.flags.get() & ~kFamilyDropped) != 0) return std::unexpected(Status(Code::kNotSupported));
  root.dropped = (stored.flags.get() & kFamilyDropped) != 0;
  const auto pointer_bytes = value.substr(0, sizeof(ChildPointerOnDisk));
  if (std::all_of(pointer_bytes.begin(), pointer_bytes.end(), [](char byte) { return byte == '\0'; })) return root;
  const auto pointer = decode_child(stored.root);
  if (!pointer.has_value()) return std::unexpected(pointer.error());
  root.root = *pointer;
  return root;
}

}  // namespace penstock::btree
