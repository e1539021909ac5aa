// Reads a segment in pieces of 2 MiB, the next two while the present one is looked at.
//
// Invariants:
//   Stream-I1 A view from fetch() stays valid until the next call of fetch(), attach() or close(): read-ahead goes elsewhere.
//   Stream-I2 Piece n is loaded into slot n mod 3 only: the present piece and the two ahead of it never share one.
// Units: offsets in the file. Thread: the reactor's.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "reactor/chunk_pool.h"
#include "reactor/reactor.h"
#include "wal/log_image.h"

namespace penstock::wal {

class SegmentStream final {
 public:
  static constexpr std::uint64_t kPieceBytes = reactor::ChunkPool::kChunkBytes;

  /// Both may be null. `source`: pieces are taken from it instead of the file; `sink`: those that were read end there.
  SegmentStream(reactor::Reactor& reactor, LogImage* source, LogImage* sink) noexcept
      : reactor_(reactor), tasks_(reactor), loaded_(reactor), source_(source), sink_(sink) {}

  /// Reads `file`, the segment `index`, from now on, its first `file_bytes`, a block multiple. It stays open until the next
  /// attach() or close().
  Task<> attach(reactor::Fd file, std::uint64_t index, std::uint64_t file_bytes);
  /// Begins to load the first piece, which is looked at later.
  void begin() { start_loading(0); }
  /// `bytes` at `offset`, both block multiples within the file.
  Task<Result<std::span<const std::byte>>> fetch(std::uint64_t offset, std::uint64_t bytes);
  Task<> close();

 private:
  struct Piece {
    reactor::PooledBuffer buffer;
    std::uint64_t number = kNone;
    Status status;
    bool is_loading = false;
  };
  static constexpr std::uint64_t kNone = ~0ULL;

  Piece& slot_of(std::uint64_t number) noexcept { return pieces_[number % pieces_.size()]; }
  std::uint64_t piece_bytes(std::uint64_t number) const noexcept;
  void start_loading(std::uint64_t number);
  Task<> load(Piece* piece);
  bool make_buffer(Piece& piece);
  void retire(Piece& piece);
  Task<Result<Piece*>> acquire(std::uint64_t number);
  Task<Result<std::span<const std::byte>>> assemble(std::uint64_t offset, std::uint64_t bytes);

  reactor::Reactor& reactor_;
  reactor::TaskGroup tasks_;
  reactor::Event loaded_;
  LogImage* const source_;
  LogImage* const sink_;
  reactor::Fd file_ = reactor::Fd::kNone;
  std::uint64_t index_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::array<Piece, 3> pieces_;
  reactor::AlignedBuffer assembled_;  // For what lies in more than one piece.
};

}  // namespace penstock::wal
