// The log reader on hostile segments: whatever the bytes, it ends, reads nothing outside its buffers and hands out only records
// that lie where their groups say. Method: the input is up to two segment files of log 3-1; with `repair` their checksums are
// made right first, so that lengths, counts and positions are what is tried.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "reactor/sim_world.h"
#include "tests/fuzz/fuzz_target.h"
#include "wal/test_repair.h"
#include "wal/wal.h"

namespace penstock::wal {
namespace {

constexpr Identity kIdentity{.uuid_high = 0x1122334455667788, .uuid_low = 0x99aabbccddeeff00, .incarnation = 7};
constexpr std::size_t kSegmentFileBytes = 256UL * 1024;

class Reader final : public RecordVisitor {
 public:
  Task<Status> on_part(const Part& part, Position end) override {
    PENSTOCK_ASSERT_GE(end.offset, last_end_);
    last_end_ = end.offset;
    checksum_ ^= base::checksum(as_span(part.payload));  // Every byte is read.
    ++parts;
    co_return Status::ok();
  }
  std::uint64_t parts = 0;

 private:
  std::uint64_t last_end_ = 0;
  std::uint64_t checksum_ = 0;
};

Task<Outcome<ReadResult>> read(reactor::Reactor* reactor, ReadOptions options, Reader* visitor) {
  co_return co_await read_log(*reactor, std::move(options), *visitor);
}

void check(reactor::SimDisk& disk, const ReadOptions& options) {
  Reader visitor;
  reactor::SimWorld world(disk);
  const Outcome<ReadResult> result = world.run(0, &read, &world.reactor(0), options, &visitor);
  if (!result.has_value()) {
    PENSTOCK_ASSERT(!result.error().text.empty());
    return;
  }
  PENSTOCK_ASSERT_EQ(result->end % kLogBlockBytes, 0U);
  PENSTOCK_ASSERT(result->durable_offset <= result->end || result->groups == 0);
  PENSTOCK_ASSERT(!options.known_end.has_value() || result->end == *options.known_end);
}

}  // namespace

void fuzz_log(fuzz::Input input) {
  const auto mode = input.take<std::uint8_t>();
  const bool repair = (mode & 1U) != 0;
  const bool is_end_known = (mode & 2U) != 0;
  const bool has_two = (mode & 4U) != 0;
  ReadOptions options;
  options.directory = "/log";
  options.identity = kIdentity;
  options.log = {.epoch = 3, .reactor = 1};
  options.begin = std::uint64_t{input.take<std::uint8_t>()} * kLogBlockBytes;
  const std::uint64_t end = std::uint64_t{input.take<std::uint8_t>()} * kLogBlockBytes;
  if (is_end_known) {
    options.known_end = end;
  } else {
    options.proven_end = end;
  }
  reactor::SimDisk disk(1);
  {
    reactor::SimWorld world(disk);
    PENSTOCK_ASSERT(world.system().make_directory("/log").is_ok());
  }
  const std::size_t half = has_two ? input.rest().size() / 2 : input.rest().size();
  const std::array<std::span<const std::byte>, 2> files = {input.take_bytes(half), input.rest()};
  for (std::size_t index = 0; index < (has_two ? 2U : 1U); ++index) {
    std::vector<std::byte> file(files[index].begin(), files[index].end());
    file.resize(std::min(file.size(), kSegmentFileBytes));
    if (repair) repair_segment(file);
    PENSTOCK_ASSERT(disk.write_all("/log/3-1-" + std::to_string(index), file).is_ok());
  }
  check(disk, options);
}

}  // namespace penstock::wal

PENSTOCK_FUZZ_TARGET(penstock::wal::fuzz_log)
