#include "reactor/sim_content.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/assert.h"
#include "base/integer.h"

namespace penstock::reactor {

bool is_zeros(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return true;
  // Every byte equals its successor, and the first is zero.
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

void SimContent::read(std::uint64_t offset, std::span<std::byte> buffer) const {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const std::uint64_t at = offset + done;
    const auto begin = static_cast<std::size_t>(at % kBlockBytes);
    const std::size_t bytes = std::min<std::size_t>(kBlockBytes - begin, buffer.size() - done);
    const auto place = blocks_.find(at / kBlockBytes);
    if (place == blocks_.end()) {
      std::memset(buffer.data() + done, 0, bytes);
    } else {
      std::memcpy(buffer.data() + done, place->second->data() + begin, bytes);
    }
    done += bytes;
  }
}

void SimContent::write(std::uint64_t offset, std::span<const std::byte> data) {
  std::size_t done = 0;
  while (done < data.size()) {
    const std::uint64_t at = offset + done;
    const auto begin = static_cast<std::size_t>(at % kBlockBytes);
    const std::size_t bytes = std::min<std::size_t>(kBlockBytes - begin, data.size() - done);
    write_piece(at / kBlockBytes, begin, data.subspan(done, bytes));
    done += bytes;
  }
}

void SimContent::write_piece(std::uint64_t index, std::size_t begin, std::span<const std::byte> piece) {
  const bool is_zero = is_zeros(piece);
  if (is_zero && piece.size() == kBlockBytes) {
    blocks_.erase(index);
    return;
  }
  const auto place = blocks_.find(index);
  if (place == blocks_.end()) {
    if (is_zero) return;
    auto block = std::make_shared<Block>();
    block->fill(std::byte{0});
    std::memcpy(block->data() + begin, piece.data(), piece.size());
    blocks_.emplace(index, std::move(block));
    return;
  }
  if (place->second.use_count() > 1) place->second = std::make_shared<Block>(*place->second);  // SimContent-I1.
  std::memcpy(place->second->data() + begin, piece.data(), piece.size());
}

void SimContent::write_zeros(std::uint64_t offset, std::uint64_t bytes) {
  static constexpr Block kZeros{};
  if (blocks_.empty()) return;
  const std::uint64_t end = offset + bytes;
  while (offset < end) {
    const auto begin = static_cast<std::size_t>(offset % kBlockBytes);
    const std::uint64_t piece_bytes = std::min<std::uint64_t>(kBlockBytes - begin, end - offset);
    write_piece(offset / kBlockBytes, begin, std::span(kZeros).first(piece_bytes));
    offset += piece_bytes;
  }
}

void SimContent::truncate(std::uint64_t bytes) {
  const std::uint64_t whole_end = base::div_ceil<std::uint64_t>(bytes, kBlockBytes);
  std::erase_if(blocks_, [whole_end](const auto& entry) { return entry.first >= whole_end; });
  if (bytes % kBlockBytes != 0) write_zeros(bytes, (whole_end * kBlockBytes) - bytes);
}

void SimContent::share(const SimContent& other, std::uint64_t offset, std::uint64_t bytes) {
  if (bytes == 0 || (blocks_.empty() && other.blocks_.empty())) return;
  const std::uint64_t last = (offset + bytes - 1) / kBlockBytes;
  for (std::uint64_t index = offset / kBlockBytes; index <= last; ++index) {
    const auto place = other.blocks_.find(index);
    if (place == other.blocks_.end()) {
      blocks_.erase(index);
    } else {
      blocks_[index] = place->second;
    }
  }
}

std::uint64_t SimBlockSet::count_in(std::uint64_t begin, std::uint64_t end) const {
  std::uint64_t found = 0;
  auto place = ranges_.upper_bound(begin);
  if (place != ranges_.begin()) --place;
  for (; place != ranges_.end() && place->first < end; ++place) {
    const std::uint64_t from = std::max(begin, place->first);
    const std::uint64_t to = std::min(end, place->second);
    if (from < to) found += to - from;
  }
  return found;
}

std::uint64_t SimBlockSet::remove(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return 0;
  std::uint64_t removed = 0;
  auto place = ranges_.upper_bound(begin);
  if (place != ranges_.begin()) --place;
  while (place != ranges_.end() && place->first < end) {
    const std::uint64_t range_begin = place->first;
    const std::uint64_t range_end = place->second;
    if (range_end <= begin) {
      ++place;
      continue;
    }
    place = ranges_.erase(place);
    if (range_begin < begin) ranges_.emplace(range_begin, begin);
    if (range_end > end) ranges_.emplace(end, range_end);
    removed += std::min(range_end, end) - std::max(range_begin, begin);
  }
  PENSTOCK_ASSERT_LE(removed, count_);
  count_ -= removed;
  return removed;
}

std::uint64_t SimBlockSet::add(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return 0;
  const std::uint64_t already = remove(begin, end);
  const std::uint64_t added = end - begin;
  auto after = ranges_.lower_bound(begin);
  std::uint64_t merged_begin = begin;
  std::uint64_t merged_end = end;
  if (after != ranges_.end() && after->first == end) {
    merged_end = after->second;
    after = ranges_.erase(after);
  }
  if (after != ranges_.begin() && std::prev(after)->second == begin) {
    merged_begin = std::prev(after)->first;
    ranges_.erase(std::prev(after));
  }
  ranges_.emplace(merged_begin, merged_end);
  count_ += added;
  return added - already;
}

}  // namespace penstock::reactor
