#include "wal/log_image.h"

namespace penstock::wal {

bool LogImage::keep(std::uint64_t segment_index, std::uint64_t piece, reactor::PooledBuffer& buffer) {
  if (!keeps_ || kept_bytes_ + buffer.bytes() > budget_bytes_ || pieces_.contains({segment_index, piece})) return false;
  kept_bytes_ += buffer.bytes();
  pieces_.try_emplace({segment_index, piece}, std::move(buffer));
  return true;
}

reactor::PooledBuffer LogImage::take(std::uint64_t segment_index, std::uint64_t piece) {
  const auto found = pieces_.find({segment_index, piece});
  if (found == pieces_.end()) return {};
  reactor::PooledBuffer buffer = std::move(found->second);
  pieces_.erase(found);
  kept_bytes_ -= buffer.bytes();
  return buffer;
}

}  // namespace penstock::wal
