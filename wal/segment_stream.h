// Reads a segment in pieces of 1 MiB, the next one while the present one is looked at.
//
// Invariants:
//   Stream-I1 A view from fetch() stays valid until the next call of fetch(), attach() or close(): read-ahead goes elsewhere.
// Units: offsets in the file. Thread: the reactor's.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "reactor/buffer.h"
#include "reactor/reactor.h"

namespace penstock::wal {

class SegmentStream final {
 public:
  static constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20U;

  explicit SegmentStream(reactor::Reactor& reactor) noexcept : reactor_(reactor), tasks_(reactor) {}

  /// Reads `file` from now on, its first `file_bytes`, a block multiple. It stays open until the next attach() or close().
  Task<> attach(reactor::Fd file, std::uint64_t file_bytes);
  /// `bytes` at `offset`, both block multiples within the file.
  Task<Result<std::span<const std::byte>>> fetch(std::uint64_t offset, std::uint64_t bytes);
  Task<> close();

 private:
  struct Piece {
    reactor::AlignedBuffer buffer;
    std::uint64_t number = kNone;
    Status status;
    bool is_loading = false;
  };
  static constexpr std::uint64_t kNone = ~0ULL;

  Piece* find(std::uint64_t number) noexcept;
  std::uint64_t piece_bytes(std::uint64_t number) const noexcept;
  void start_loading(Piece* piece, std::uint64_t number);
  Task<> load(Piece* piece);
  Task<Result<Piece*>> acquire(std::uint64_t number);
  Task<Result<std::span<const std::byte>>> assemble(std::uint64_t offset, std::uint64_t bytes);

  reactor::Reactor& reactor_;
  reactor::TaskGroup tasks_;
  reactor::Fd file_ = reactor::Fd::kNone;
  std::uint64_t file_bytes_ = 0;
  std::array<Piece, 2> pieces_;
  reactor::AlignedBuffer assembled_;  // For what lies in more than one piece.
};

}  // namespace penstock::wal
