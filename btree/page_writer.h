// The way of a pass's pages and extents to disk: adjacent blocks gather in runs, runs go out as single writes.
//
// Invariants:
//   Writer-I1 Memory of a run is not touched between its submission and its completion.
//   Writer-I2 find() gives the bytes of a block until its write has completed: a page can be read as soon as it was put.
// Thread: the shard's reactor. Durability: none; the store syncs the files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "btree/pointer.h"
#include "btree/zone_map.h"
#include "penstock/status.h"
#include "penstock/task.h"
#include "reactor/reactor.h"

namespace penstock::btree {

struct PageFile {
  reactor::File file;
};

class PageWriter {
 public:
  /// `files` are those of the store, by number - 1; they outlive the writer.
  PageWriter(reactor::Reactor& reactor, const std::vector<PageFile>& files, std::uint32_t run_bytes_max);
  ~PageWriter();

  /// Adds 1-16 blocks to the open run of a stream, or starts another. `bytes` may end within the last block: zeros follow.
  /// False if the system has no memory.
  bool append(ZoneMap::Stream stream, Address address, std::span<const std::byte> bytes);
  /// Sends the open runs.
  void flush();
  /// Forgets the open runs.
  void discard() noexcept;
  /// Waits until at most so many bytes are in flight.
  Task<> wait_below(std::uint64_t bytes);
  std::uint64_t in_flight_bytes() const noexcept { return in_flight_bytes_; }
  /// The bytes of these blocks if they are not on disk yet; empty if they are (or never came here).
  std::span<const std::byte> find(Address address, std::uint32_t blocks) const noexcept;

  struct FailedWrite {
    Address address;
    std::uint32_t blocks = 0;
    Status status;
  };
  /// Writes that failed since the last call.
  std::vector<FailedWrite> take_failures() noexcept { return std::exchange(failures_, {}); }
  std::uint64_t written_bytes() const noexcept { return written_bytes_; }

 private:
  struct Run {
    reactor::AlignedBuffer memory;
    Address address;
    std::uint32_t bytes = 0;

    std::uint32_t blocks() const noexcept { return bytes / kPageBlockBytes; }
    bool holds(Address first, std::uint32_t count) const noexcept {
      return bytes > 0 && first.file == address.file && first.block >= address.block &&
             first.block + count <= address.block + blocks();
    }
  };

  std::unique_ptr<Run> take_run();
  void send(std::unique_ptr<Run>& run);
  Task<> write_run(Run* run);

  reactor::Reactor& reactor_;
  const std::vector<PageFile>& files_;
  std::uint32_t run_bytes_max_;
  std::array<std::unique_ptr<Run>, 2> open_;  // By stream; null or empty between runs.
  std::vector<std::unique_ptr<Run>> in_flight_;
  std::vector<std::unique_ptr<Run>> idle_;
  std::vector<FailedWrite> failures_;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  reactor::Event completed_;
  reactor::TaskGroup writes_;
};

}  // namespace penstock::btree
