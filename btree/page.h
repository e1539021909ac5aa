// Pages in memory: reading a verified node without further checks, and building one.
//
// Invariants:
//   Page-I1 validate_page() checks the whole structure once; NodeView then follows offsets without checks. Bytes that pass it are safe
//           to read whatever wrote them.
//   Page-I2 Keys of a node ascend strictly; prefix + suffix <= 1,024 bytes; heads agree with suffixes.
// Units: bytes. Thread: any. Format: page_format.h, docs/formats/page.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "btree/page_format.h"
#include "btree/pointer.h"
#include "penstock/status.h"

namespace penstock::btree {

ChildPointerOnDisk encode_child(const ChildPointer& pointer) noexcept;
/// Errors: corruption (reserved bits, null address), not_supported (codec, unknown flag). No place.
Result<ChildPointer> decode_child(const ChildPointerOnDisk& stored) noexcept;
ExtentPointerOnDisk encode_extent(const ExtentPointer& pointer) noexcept;
Result<ExtentPointer> decode_extent(const ExtentPointerOnDisk& stored) noexcept;

/// Checksum, identity (address, birth, family, length, entries, flags) and structure of a node read through `pointer`.
/// Errors: corruption, not_supported; both with file and block.
Status validate_page(std::span<const std::byte> page, const ChildPointer& pointer, FamilyId family);

}  // namespace penstock::btree
