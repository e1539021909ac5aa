#include "wal/segment_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace penstock::wal {

Task<> SegmentStream::attach(reactor::Fd file, std::uint64_t file_bytes) {
  PENSTOCK_ASSERT_EQ(file_bytes % reactor::kBlockBytes, 0U);
  co_await close();
  file_ = file;
  file_bytes_ = file_bytes;
}

Task<> SegmentStream::close() {
  co_await tasks_.join();
  for (Piece& piece : pieces_) {
    PENSTOCK_ASSERT(!piece.is_loading);
    piece.number = kNone;
  }
  file_ = reactor::Fd::kNone;
}

SegmentStream::Piece* SegmentStream::find(std::uint64_t number) noexcept {
  const auto found = std::ranges::find(pieces_, number, &Piece::number);
  return found == pieces_.end() ? nullptr : &*found;
}

std::uint64_t SegmentStream::piece_bytes(std::uint64_t number) const noexcept {
  return std::min(kPieceBytes, file_bytes_ - (number * kPieceBytes));
}

void SegmentStream::start_loading(Piece* piece, std::uint64_t number) {
  PENSTOCK_ASSERT(!piece->is_loading);
  piece->number = number;
  piece->is_loading = true;
  tasks_.spawn(&SegmentStream::load, this, piece);
}

Task<> SegmentStream::load(Piece* piece) {
  if (!piece->buffer) piece->buffer = reactor::AlignedBuffer(kPieceBytes);
  if (!piece->buffer) {
    piece->status = Status::from_errno(ENOMEM);
  } else {
    const std::span<std::byte> target = piece->buffer.span().first(piece_bytes(piece->number));
    piece->status = co_await reactor_.read(file_, piece->number * kPieceBytes, target);
  }
  piece->is_loading = false;
}

Task<Result<SegmentStream::Piece*>> SegmentStream::acquire(std::uint64_t number) {
  Piece* piece = find(number);
  if (piece == nullptr) {
    // Backwards, or far ahead: what is under way is of no use.
    co_await tasks_.join();
    piece = &pieces_[number % pieces_.size()];
    start_loading(piece, number);
  }
  if (piece->is_loading) co_await tasks_.join();
  PENSTOCK_ASSERT(!piece->is_loading);
  if (!piece->status.is_ok()) {
    const Status status = piece->status;
    piece->number = kNone;
    co_return std::unexpected(status);
  }
  const std::uint64_t next = number + 1;
  if (next * kPieceBytes < file_bytes_ && find(next) == nullptr) {
    Piece* const other = &pieces_[next % pieces_.size()];
    if (!other->is_loading) start_loading(other, next);
  }
  co_return piece;
}

Task<Result<std::span<const std::byte>>> SegmentStream::fetch(std::uint64_t offset, std::uint64_t bytes) {
  PENSTOCK_ASSERT_GT(bytes, 0U);
  PENSTOCK_ASSERT_LE(bytes, file_bytes_);
  PENSTOCK_ASSERT_LE(offset, file_bytes_ - bytes);
  const std::uint64_t first = offset / kPieceBytes;
  const std::uint64_t last = (offset + bytes - 1) / kPieceBytes;
  if (first != last) co_return co_await assemble(offset, bytes);
  Result<Piece*> piece = co_await acquire(first);
  if (!piece) co_return std::unexpected(piece.error());
  co_return std::span<const std::byte>((*piece)->buffer.span().subspan(offset % kPieceBytes, bytes));
}

Task<Result<std::span<const std::byte>>> SegmentStream::assemble(std::uint64_t offset, std::uint64_t bytes) {
  if (assembled_.bytes() < bytes) assembled_ = reactor::AlignedBuffer(bytes);
  if (!assembled_) co_return std::unexpected(Status::from_errno(ENOMEM));
  std::uint64_t done = 0;
  while (done < bytes) {
    const std::uint64_t at = offset + done;
    const std::uint64_t part = std::min(bytes - done, kPieceBytes - (at % kPieceBytes));
    Result<Piece*> piece = co_await acquire(at / kPieceBytes);
    if (!piece) co_return std::unexpected(piece.error());
    std::memcpy(assembled_.data() + done, (*piece)->buffer.data() + (at % kPieceBytes), part);
    done += part;
  }
  co_return std::span<const std::byte>(assembled_.span().first(bytes));
}

}  // namespace penstock::wal
