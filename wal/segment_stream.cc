#include "wal/segment_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace penstock::wal {

Task<> SegmentStream::attach(reactor::Fd file, std::uint64_t index, std::uint64_t file_bytes) {
  PENSTOCK_ASSERT_EQ(file_bytes % reactor::kBlockBytes, 0U);
  co_await close();
  file_ = file;
  index_ = index;
  file_bytes_ = file_bytes;
}

Task<> SegmentStream::close() {
  co_await tasks_.join();
  for (Piece& piece : pieces_) retire(piece);
  file_ = reactor::Fd::kNone;
}

std::uint64_t SegmentStream::piece_bytes(std::uint64_t number) const noexcept {
  return std::min(kPieceBytes, file_bytes_ - (number * kPieceBytes));
}

/// The slot is free afterwards; its buffer is kept for the next piece unless the sink takes it.
void SegmentStream::retire(Piece& piece) {
  PENSTOCK_ASSERT(!piece.is_loading);
  const bool was_read = piece.number != kNone && piece.status.is_ok();
  if (was_read && sink_ != nullptr && sink_->keep(index_, piece.number, piece.buffer)) piece.buffer = {};
  piece.number = kNone;
}

void SegmentStream::start_loading(std::uint64_t number) {
  Piece& piece = slot_of(number);
  retire(piece);
  piece.number = number;
  piece.is_loading = true;
  tasks_.spawn(&SegmentStream::load, this, &piece);
}

/// A segment that is larger than a piece is read through chunks of the pool, if there is one.
bool SegmentStream::make_buffer(Piece& piece) {
  const std::uint64_t bytes = piece_bytes(piece.number);
  if (piece.buffer.bytes() >= bytes) return true;
  const LogImage* const image = sink_ != nullptr ? sink_ : source_;
  if (image != nullptr && file_bytes_ > kPieceBytes) {
    piece.buffer = image->pool().take();
  } else {
    piece.buffer = reactor::PooledBuffer(reactor::AlignedBuffer(bytes), nullptr);
  }
  return piece.buffer.bytes() >= bytes;
}

Task<> SegmentStream::load(Piece* piece) {
  reactor::PooledBuffer kept = source_ == nullptr ? reactor::PooledBuffer() : source_->take(index_, piece->number);
  if (kept) {
    piece->buffer = std::move(kept);
    piece->status = Status::ok();
  } else if (!make_buffer(*piece)) {
    piece->status = Status::from_errno(ENOMEM);
  } else {
    const std::span<std::byte> target = piece->buffer.span().first(piece_bytes(piece->number));
    piece->status = co_await reactor_.read(file_, piece->number * kPieceBytes, target);
  }
  piece->is_loading = false;
  loaded_.notify_all();
}

Task<Result<SegmentStream::Piece*>> SegmentStream::acquire(std::uint64_t number) {
  Piece& piece = slot_of(number);
  // Backwards, or far ahead: what is under way is of no use.
  if (piece.number != number) co_await tasks_.join();
  if (piece.number != number) start_loading(number);
  const std::uint64_t end = std::min(number + pieces_.size(), (file_bytes_ + kPieceBytes - 1) / kPieceBytes);
  for (std::uint64_t next = number + 1; next < end; ++next) {
    const Piece& slot = slot_of(next);
    if (slot.number != next && !slot.is_loading) start_loading(next);
  }
  while (piece.is_loading) co_await loaded_.wait();
  if (!piece.status.is_ok()) {
    piece.number = kNone;
    co_return std::unexpected(piece.status);
  }
  co_return &piece;
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
