// The head of an extent: key, place and the checksums of its value. Format: page_format.h, docs/formats/page.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "btree/pointer.h"
#include "penstock/bytes.h"

namespace penstock::btree {

/// Of the n-th 64 KiB.
std::uint64_t piece_checksum(std::span<const std::byte> value, std::uint64_t piece) noexcept;
/// Checksum and identity.
bool is_head_of(std::span<const std::byte> head, const ExtentPointer& pointer, FamilyId family) noexcept;
/// Whole blocks.
std::vector<std::byte> build_head(FamilyId family, Bytes key, Bytes value, Address address, std::uint64_t birth);

}  // namespace penstock::btree
