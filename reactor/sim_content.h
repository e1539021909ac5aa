// Bytes of a simulated file: a sparse map of 4 KiB blocks, shared between versions until one of them is written.
//
// Blocks of zeros are not stored, so a zero-filled segment costs nothing; two contents (what is durable, what readers see)
// share the blocks in which they agree. Invariants:
//   SimContent-I1 A stored block that two contents share is never changed in place.
// Units: bytes; a block index is offset / 4096. Thread: the simulation's one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>

#include "reactor/system.h"

namespace penstock::reactor {

class SimContent {
 public:
  void read(std::uint64_t offset, std::span<std::byte> buffer) const;
  void write(std::uint64_t offset, std::span<const std::byte> data);
  void write_zeros(std::uint64_t offset, std::uint64_t bytes);
  /// Everything from `bytes` on reads as zeros.
  void truncate(std::uint64_t bytes);
  /// Makes the blocks that hold [offset, offset + bytes) those of `other`, by reference.
  void share(const SimContent& other, std::uint64_t offset, std::uint64_t bytes);

 private:
  using Block = std::array<std::byte, kBlockBytes>;

  void write_piece(std::uint64_t index, std::size_t begin, std::span<const std::byte> piece);

  // Never iterated in a way whose order matters.
  std::unordered_map<std::uint64_t, std::shared_ptr<Block>> blocks_;
};

/// True if all bytes are zero.
bool is_zeros(std::span<const std::byte> bytes) noexcept;

/// A set of block numbers as ranges: which blocks a file has allocated.
class SimBlockSet {
 public:
  /// Each returns by how many blocks the set changed.
  std::uint64_t add(std::uint64_t begin, std::uint64_t end);
  std::uint64_t remove(std::uint64_t begin, std::uint64_t end);
  void add_all(const SimBlockSet& other) {
    for (const auto& [begin, end] : other.ranges_) add(begin, end);
  }
  /// How many blocks of the range are in the set.
  std::uint64_t count_in(std::uint64_t begin, std::uint64_t end) const;
  std::uint64_t count() const noexcept { return count_; }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // Begin -> end; neither overlapping nor adjacent.
  std::uint64_t count_ = 0;
};

}  // namespace penstock::reactor
