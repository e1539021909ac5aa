// Reading pages: from memory, from writes under way, from disk; and what stands in a zone.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/sometimes.h"
#include "btree/page.h"
#include "btree/page_format.h"
#include "btree/page_store_impl.h"

namespace penstock::btree {
namespace {

constexpr std::uint32_t kAttempts = 2;
constexpr std::size_t kBuffersMax = 4;
constexpr std::size_t kBufferBytes = 256_KiB;

bool may_be_transient(const Status& status) noexcept { return status.is(Code::kCorruption) || status.is(Code::kIoError); }

}  // namespace

PageRef PageStore::Impl::find_cached(const ChildPointer& pointer) noexcept {
  Frame* frame = cache_.find(pointer);
  if (frame == nullptr || frame->is_loading) return PageRef();
  PageCache::note_use(*frame);
  ++counters_.cache_hits;
  return PageRef(frame);
}

PageRef PageStore::Impl::peek_cached(const ChildPointer& pointer) noexcept {
  Frame* frame = cache_.find(pointer);
  return frame == nullptr || frame->is_loading ? PageRef() : PageRef(frame);
}

Task<Result<PageRef>> PageStore::Impl::read_page(ChildPointer pointer, FamilyId family, bool admit) {
  Frame* frame = cache_.find(pointer);
  if (frame == nullptr) co_return co_await load_page(pointer, family, admit);
  if (admit) PageCache::note_use(*frame);
  PageRef page(frame);
  if (frame->is_loading) {
    PENSTOCK_SOMETIMES("pages: two readers wait for one", true);
    const std::shared_ptr<PendingRead> pending = frame->pending;
    while (frame->is_loading) co_await pending->done.wait();
    if (!pending->status.is_ok()) co_return std::unexpected(pending->status);
  }
  if (admit) ++counters_.cache_hits;
  co_return page;
}

/// Reads a page that is not in memory. Others that want it meanwhile find the frame, loading.
Task<Result<PageRef>> PageStore::Impl::load_page(ChildPointer pointer, FamilyId family, bool admit) {
  if (!is_possible(pointer)) co_return std::unexpected(corruption_at(pointer.address).with_shard(options_.shard));
  Frame* frame = begin_loading(pointer, admit);
  if (frame == nullptr) co_return std::unexpected(Status::from_errno(ENOMEM).with_shard(options_.shard));
  PageRef page(frame);
  PageCache::unpin(*frame);  // The reference has its own.
  ++reads_;
  const Status status = co_await fill_frame(frame, pointer, family);
  end_loading(frame, status);
  on_read_end();
  if (!status.is_ok()) co_return std::unexpected(status);
  co_return page;
}

bool PageStore::Impl::is_possible(const ChildPointer& pointer) const noexcept {
  return pointer.blocks >= 1 && pointer.blocks <= kPageBlocksMax && map_.contains(pointer.address, pointer.blocks);
}

/// A frame, pinned once, that others find loading; null if the system has no memory.
Frame* PageStore::Impl::begin_loading(const ChildPointer& pointer, bool admit) {
  if (admit) ++counters_.cache_misses;
  Frame* frame = cache_.insert(pointer, admit);
  if (frame == nullptr) return nullptr;
  frame->is_loading = true;
  frame->pending = std::make_shared<PendingRead>(reactor_);
  return frame;
}

void PageStore::Impl::end_loading(Frame* frame, Status status) {
  const std::shared_ptr<PendingRead> pending = std::move(frame->pending);
  frame->pending.reset();
  frame->is_loading = false;
  pending->status = status;
  if (status.is_ok()) {
    if (frame->is_hashed) prepare_links(*frame);
  } else {
    cache_.forget(*frame);
  }
  pending->done.notify_all();
}

void PageStore::Impl::prefetch(std::span<const ChildPointer> pages, FamilyId family, std::deque<PageRef>& references) {
  std::vector<Loading> run;
  std::uint32_t run_blocks = 0;
  const auto send = [&] {
    if (run.empty()) return;
    ++reads_;
    prefetches_.spawn(&PageStore::Impl::load_run, this, std::exchange(run, {}), family);
    run_blocks = 0;
  };
  for (const ChildPointer& pointer : pages) {
    const bool is_known = cache_.find(pointer) != nullptr || !writer_.find(pointer.address, pointer.blocks).empty();
    if (is_known || !is_possible(pointer)) continue;
    if (!run.empty()) {
      const ChildPointer& last = run.back().pointer;
      const bool adjoins =
          last.address.file == pointer.address.file && last.address.block + last.blocks == pointer.address.block;
      if (!adjoins || (run_blocks + pointer.blocks) * kPageBlockBytes > kBufferBytes) send();
    }
    Frame* frame = begin_loading(pointer, false);
    if (frame == nullptr) break;
    references.emplace_back(frame);
    run.push_back({frame, pointer});
    run_blocks += pointer.blocks;
  }
  send();
}

/// Reads adjacent pages in one request. What is wrong with one of them is found out by reading it alone.
Task<> PageStore::Impl::load_run(std::vector<Loading> run, FamilyId family) {
  const ChildPointer& last = run.back().pointer;
  const Address first = run.front().pointer.address;
  const std::size_t bytes = std::size_t{last.address.block + last.blocks - first.block} * kPageBlockBytes;
  reactor::AlignedBuffer buffer = take_buffer(bytes);
  const Status read = buffer ? co_await read_blocks(first, buffer.span().first(bytes)) : Status::from_errno(ENOMEM);
  for (const Loading& each : run) {
    Status status = read;
    if (read.is_ok()) {
      ++counters_.pages_read;
      const std::size_t offset = std::size_t{each.pointer.address.block - first.block} * kPageBlockBytes;
      std::memcpy(each.frame->data, buffer.data() + offset, each.frame->bytes().size());
      status = validate_page(each.frame->bytes(), each.pointer, family);
    }
    if (!status.is_ok()) status = co_await fill_frame(each.frame, each.pointer, family);
    end_loading(each.frame, status);
    PageCache::unpin(*each.frame);
  }
  if (buffer) give_buffer(std::move(buffer));
  on_read_end();
}

Task<Status> PageStore::Impl::fill_frame(Frame* frame, ChildPointer pointer, FamilyId family) {
  return fetch_page(pointer, family, frame->bytes());
}

/// A page that no memory is asked for but that of writes on their way.
Task<Status> PageStore::Impl::fetch_page(ChildPointer pointer, FamilyId family, std::span<std::byte> page) {
  Status failed;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    const std::span<const std::byte> unwritten = writer_.find(pointer.address, pointer.blocks);
    if (!unwritten.empty()) {
      PENSTOCK_SOMETIMES("pages: one is read from the write under way", true);
      std::memcpy(page.data(), unwritten.data(), unwritten.size());
      failed = Status::ok();
    } else {
      failed = co_await read_blocks(pointer.address, page);
      ++counters_.pages_read;
    }
    if (failed.is_ok()) failed = validate_page(page, pointer, family);
    PENSTOCK_SOMETIMES("pages: one is damaged", failed.is(Code::kCorruption));
    if (failed.is_ok() || !may_be_transient(failed)) break;
  }
  co_return failed.is_ok() ? failed : failed.with_shard(options_.shard);
}

Task<Status> PageStore::Impl::read_page_from_disk(ChildPointer pointer, FamilyId family, std::span<std::byte> page) {
  if (!is_possible(pointer)) co_return corruption_at(pointer.address).with_shard(options_.shard);
  PENSTOCK_ASSERT_EQ(page.size(), std::size_t{pointer.blocks} * kPageBlockBytes);
  ++reads_;
  const Status status = co_await fetch_page(pointer, family, page);
  on_read_end();
  co_return status;
}

/// Whole blocks of a page file, as they are on disk.
Task<Status> PageStore::Impl::read_blocks(Address address, std::span<std::byte> out) {
  const std::uint64_t offset = std::uint64_t{address.block} * kPageBlockBytes;
  const Status status = co_await reactor_.read(files_[address.file - 1U].file.fd(), offset, out);
  if (status.is_ok()) co_return status;
  co_return status.with_place(FileKind::kPages, address.block).with_file(address.file).with_shard(options_.shard);
}

void PageStore::Impl::on_read_end() noexcept {
  PENSTOCK_ASSERT_GT(reads_, 0U);
  if (--reads_ == 0) reads_ended_.notify_all();
}

/// At least so many bytes; empty if the system has no memory. give_buffer() keeps a few for the next ones.
reactor::AlignedBuffer PageStore::Impl::take_buffer(std::size_t bytes) {
  if (bytes > kBufferBytes || buffers_.empty()) return reactor::AlignedBuffer(std::max(bytes, kBufferBytes));
  reactor::AlignedBuffer buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void PageStore::Impl::give_buffer(reactor::AlignedBuffer buffer) {
  if (buffer.bytes() == kBufferBytes && buffers_.size() < kBuffersMax) buffers_.push_back(std::move(buffer));
}

namespace {

/// The candidate at a block, and how many blocks it takes; none if no header of ours stands there.
struct Located {
  PageStore::Candidate candidate;
  std::uint64_t blocks = 0;
};

std::optional<Located> candidate_at(std::span<const std::byte> bytes, Address address, std::uint64_t first,
                                    std::uint64_t newest) {
  const auto header = base::load<PageHeader>(bytes);
  const bool is_extent = header.type == static_cast<std::uint8_t>(PageType::kExtent);
  const bool is_ours = header.magic.get() == kPageMagic && header.version.get() == kPageVersion &&
                       header.file.get() == address.file && header.block.get() == address.block &&
                       header.birth.get() >= first && header.birth.get() <= newest && header.blocks <= kPageBlocksMax &&
                       (header.blocks == 0) == is_extent;
  if (!is_ours) return std::nullopt;
  Located found;
  if (is_extent) {
    const std::uint64_t value_bytes = base::load<ExtentHeader>(bytes).value_bytes.get();
    if (value_bytes > kValueBytesMax) return std::nullopt;
    found.blocks = extent_blocks(value_bytes);
  } else {
    found.blocks = header.blocks;
    if (std::size_t{header.blocks} * kPageBlockBytes > bytes.size()) return std::nullopt;
    bytes = bytes.first(std::size_t{header.blocks} * kPageBlockBytes);
  }
  Result<std::string> key = read_first_key(bytes);
  if (!key.has_value()) return std::nullopt;
  found.candidate = {header.family.get(), header.level, is_extent, std::move(*key), address, header.birth.get()};
  return found;
}

}  // namespace

Task<Result<std::vector<PageStore::Candidate>>> PageStore::Impl::list_zone(Address zone) {
  std::vector<Candidate> candidates;
  if (!map_.contains(zone, 1)) co_return candidates;
  const Address start = zone_address(zone.file, zone.zone());
  const Zone entry = map_.zones(zone.file)[zone.zone()];
  if (entry.state != ZoneState::kInUse || entry.filled == 0) co_return candidates;
  const std::size_t zone_bytes = std::size_t{entry.filled} * kPageBlockBytes;
  reactor::AlignedBuffer buffer(zone_bytes);
  if (!buffer) co_return std::unexpected(Status::from_errno(ENOMEM).with_shard(options_.shard));
  const std::span<std::byte> bytes = buffer.span().first(zone_bytes);
  ++reads_;
  Status status;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    status = co_await read_blocks(start, bytes);
    if (status.is_ok()) break;
  }
  on_read_end();
  if (!status.is_ok()) co_return std::unexpected(status);
  const std::uint64_t newest = pass_ != 0 ? pass_ : current_.superblock.generation;
  for (std::uint64_t block = 0; block < entry.filled;) {
    const Address address{start.file, static_cast<std::uint32_t>(start.block + block)};
    std::optional<Located> found = candidate_at(bytes.subspan(block * kPageBlockBytes), address, entry.first, newest);
    block += found.has_value() ? found->blocks : 1;
    if (found.has_value()) candidates.push_back(std::move(found->candidate));
  }
  co_return candidates;
}

}  // namespace penstock::btree
