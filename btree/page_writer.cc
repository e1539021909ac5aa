#include "btree/page_writer.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/integer.h"

namespace penstock::btree {
namespace {

constexpr std::size_t kIdleRunsMax = 4;
constexpr std::uint32_t kPageBytesMax = kPageBlocksMax * kPageBlockBytes;

}  // namespace

PageWriter::PageWriter(reactor::Reactor& reactor, const std::vector<PageFile>& files, std::uint32_t run_bytes_max)
    : reactor_(reactor),
      files_(files),
      run_bytes_max_(std::max(base::align_down<std::uint32_t>(run_bytes_max, kPageBlockBytes), kPageBytesMax)),
      completed_(reactor),
      writes_(reactor) {}

PageWriter::~PageWriter() { PENSTOCK_ASSERT_EQ(in_flight_bytes_, 0U); }

std::unique_ptr<PageWriter::Run> PageWriter::take_run() {
  if (!idle_.empty()) {
    std::unique_ptr<Run> run = std::move(idle_.back());
    idle_.pop_back();
    return run;
  }
  auto run = std::make_unique<Run>();
  run->memory = reactor::AlignedBuffer(run_bytes_max_);
  if (!run->memory) return nullptr;
  return run;
}

bool PageWriter::append(ZoneMap::Stream stream, Address address, std::span<const std::byte> bytes) {
  PENSTOCK_ASSERT(!bytes.empty() && bytes.size() <= kPageBytesMax);
  const std::uint32_t padded = base::align_up<std::uint32_t>(static_cast<std::uint32_t>(bytes.size()), kPageBlockBytes);
  std::unique_ptr<Run>& open = open_[static_cast<std::size_t>(stream)];
  if (open != nullptr && open->bytes > 0) {
    const bool adjoins = open->address.file == address.file && open->address.block + open->blocks() == address.block;
    if (!adjoins || open->bytes + padded > run_bytes_max_) send(open);
  }
  if (open == nullptr) open = take_run();
  if (open == nullptr) return false;
  if (open->bytes == 0) open->address = address;
  std::byte* place = open->memory.data() + open->bytes;
  std::memcpy(place, bytes.data(), bytes.size());
  std::memset(place + bytes.size(), 0, padded - bytes.size());
  open->bytes += padded;
  if (open->bytes == run_bytes_max_) send(open);
  return true;
}

void PageWriter::send(std::unique_ptr<Run>& run) {
  PENSTOCK_ASSERT_GT(run->bytes, 0U);
  in_flight_bytes_ += run->bytes;
  written_bytes_ += run->bytes;
  Run* sent = run.get();
  in_flight_.push_back(std::move(run));
  writes_.spawn(&PageWriter::write_run, this, sent);
}

Task<> PageWriter::write_run(Run* run) {
  const reactor::Fd file = files_[run->address.file - 1U].file.fd();
  const std::uint64_t offset = std::uint64_t{run->address.block} * kPageBlockBytes;
  const std::span<const std::byte> bytes(run->memory.data(), run->bytes);
  const Status status = co_await reactor_.write(file, offset, bytes);
  if (!status.is_ok()) {
    const Status placed = status.with_place(FileKind::kPages, run->address.block).with_file(run->address.file);
    failures_.push_back({run->address, run->blocks(), placed});
  }
  in_flight_bytes_ -= run->bytes;
  const auto place = std::ranges::find_if(in_flight_, [&](const std::unique_ptr<Run>& sent) { return sent.get() == run; });
  PENSTOCK_ASSERT(place != in_flight_.end());
  run->bytes = 0;
  if (idle_.size() < kIdleRunsMax) idle_.push_back(std::move(*place));
  in_flight_.erase(place);
  completed_.notify_all();
}

void PageWriter::flush() {
  for (std::unique_ptr<Run>& run : open_) {
    if (run != nullptr && run->bytes > 0) send(run);
  }
}

void PageWriter::discard() noexcept {
  for (std::unique_ptr<Run>& run : open_) {
    if (run != nullptr) run->bytes = 0;
  }
}

Task<> PageWriter::wait_below(std::uint64_t bytes) {
  while (in_flight_bytes_ > bytes) co_await completed_.wait();
  if (in_flight_bytes_ == 0) co_await writes_.join();  // The last task is past its last line, but may not have ended.
}

std::span<const std::byte> PageWriter::find(Address address, std::uint32_t blocks) const noexcept {
  const auto part_of = [&](const Run& run) -> std::span<const std::byte> {
    if (!run.holds(address, blocks)) return {};
    const std::size_t offset = std::size_t{address.block - run.address.block} * kPageBlockBytes;
    return {run.memory.data() + offset, std::size_t{blocks} * kPageBlockBytes};
  };
  for (const std::unique_ptr<Run>& run : open_) {
    if (run == nullptr) continue;
    if (const std::span<const std::byte> found = part_of(*run); !found.empty()) return found;
  }
  for (const std::unique_ptr<Run>& run : in_flight_) {
    if (const std::span<const std::byte> found = part_of(*run); !found.empty()) return found;
  }
  return {};
}

}  // namespace penstock::btree
