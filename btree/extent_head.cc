#include "btree/extent_head.h"

#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "btree/page.h"
#include "btree/page_format.h"

namespace penstock::btree {

std::uint64_t piece_checksum(std::span<const std::byte> value, std::uint64_t piece) noexcept {
  const std::uint64_t offset = piece * kExtentChecksumBytes;
  return base::checksum(value.subspan(offset, std::min<std::uint64_t>(kExtentChecksumBytes, value.size() - offset)));
}

std::vector<std::byte> build_head(FamilyId family, Bytes key, Bytes value, Address address, std::uint64_t birth) {
  std::vector<std::byte> head(extent_head_blocks(value.size()) * kPageBlockBytes);
  ExtentHeader header{};
  header.page.magic = kPageMagic;
  header.page.type = static_cast<std::uint8_t>(PageType::kExtent);
  header.page.version = kPageVersion;
  header.page.family = family;
  header.page.file = address.file;
  header.page.block = address.block;
  header.page.birth = birth;
  header.value_bytes = value.size();
  header.key_bytes = static_cast<std::uint16_t>(key.size());
  base::store(head, header);
  std::memcpy(head.data() + sizeof(header), key.data(), key.size());
  for (std::uint64_t piece = 0; piece < extent_checksum_count(value.size()); ++piece) {
    const base::le64 sum = piece_checksum(as_span(value), piece);
    base::store(std::span(head).subspan(kExtentChecksumsOffset + (piece * sizeof(sum))), sum);
  }
  return head;
}

std::string extent_to_bytes(const ExtentPointer& pointer) {
  const ExtentPointerOnDisk stored = encode_extent(pointer);
  static_assert(sizeof(stored) == kExtentPointerBytes);
  return std::string(as_bytes(base::bytes_of(stored)));
}

Result<ExtentPointer> extent_from_bytes(Bytes bytes) noexcept {
  if (bytes.size() != kExtentPointerBytes) return std::unexpected(Status(Code::kCorruption));
  return decode_extent(base::load<ExtentPointerOnDisk>(as_span(bytes)));
}

bool is_head_of(std::span<const std::byte> head, const ExtentPointer& pointer, FamilyId family) noexcept {
  if (base::checksum(head) != pointer.checksum) return false;
  const auto header = base::load<ExtentHeader>(head);
  return header.page.magic.get() == kPageMagic && header.page.type == static_cast<std::uint8_t>(PageType::kExtent) &&
         header.page.version.get() == kPageVersion && header.page.level == 0 && header.page.codec == 0 &&
         header.page.blocks == 0 && header.page.key_id.get() == 0 && header.page.reserved.get() == 0 &&
         header.page.family.get() == family && header.page.file.get() == pointer.address.file &&
         header.page.block.get() == pointer.address.block && header.page.birth.get() == pointer.birth &&
         header.value_bytes.get() == pointer.value_bytes && header.key_bytes.get() <= kKeyBytesMax &&
         header.reserved.get() == 0;
}

}  // namespace penstock::btree
