#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/sometimes.h"
#include "reactor/buffer.h"
#include "wal/epoch_format.h"
#include "wal/wal.h"

namespace penstock::wal {

namespace {

using base::le64;

constexpr std::size_t kChecksumFrom = offsetof(EpochHeader, version);
constexpr std::uint64_t kFileBytes = std::uint64_t{kEpochSlots} * kEpochSlotBytes;

std::uint32_t slot_of(std::uint64_t generation) noexcept { return static_cast<std::uint32_t>(generation % kEpochSlots); }

std::uint64_t body_bytes_of(const EpochState& state) noexcept {
  std::uint64_t bytes = 0;
  for (const OldEpoch& old : state.old_epochs) bytes += sizeof(EpochOld) + (old.ends.size() * sizeof(le64));
  if (state.clean) bytes += (state.clean_ends.size() + state.shard_generations.size()) * sizeof(le64);
  return bytes;
}

/// Writes fields one after the other; the caller has counted them.
class Writer {
 public:
  explicit Writer(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}
  template <typename T>
  void put(const T& value) noexcept {
    base::store(bytes_, value);
    bytes_ = bytes_.subspan(sizeof(T));
  }
  void put_all(const std::vector<std::uint64_t>& values) noexcept {
    for (const std::uint64_t value : values) put(le64(value));
  }

 private:
  std::span<std::byte> bytes_;
};

/// Reads fields one after the other; false when they do not fit into what is left.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  template <typename T>
  bool take(T& value) noexcept {
    if (bytes_.size() < sizeof(T)) return false;
    value = base::load<T>(bytes_);
    bytes_ = bytes_.subspan(sizeof(T));
    return true;
  }
  bool take_all(std::vector<std::uint64_t>& values, std::size_t count) {
    if (bytes_.size() / sizeof(le64) < count) return false;
    values.resize(count);
    for (std::uint64_t& value : values) {
      value = base::load<le64>(bytes_).get();
      bytes_ = bytes_.subspan(sizeof(le64));
    }
    return true;
  }
  bool is_empty() const noexcept { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

void encode_slot(const Identity& identity, const EpochState& state, std::span<std::byte> slot) noexcept {
  std::ranges::fill(slot, std::byte{0});
  const std::uint64_t body_bytes = body_bytes_of(state);
  PENSTOCK_ASSERT_LE(sizeof(EpochHeader) + body_bytes, slot.size());
  EpochHeader header{};
  header.magic = kEpochMagic;
  header.version = kEpochVersion;
  header.flags = state.clean ? kEpochClean : std::uint16_t{0};
  header.body_bytes = static_cast<std::uint32_t>(body_bytes);
  header.uuid_high = identity.uuid_high;
  header.uuid_low = identity.uuid_low;
  header.incarnation = identity.incarnation;
  header.epoch = state.epoch;
  header.generation = state.generation;
  header.reactor_count = state.reactors;
  header.old_epoch_count = static_cast<std::uint16_t>(state.old_epochs.size());
  header.shard_count = static_cast<std::uint16_t>(state.clean ? state.shard_generations.size() : 0);
  Writer body(slot.subspan(sizeof(EpochHeader)));
  for (const OldEpoch& old : state.old_epochs) {
    EpochOld stored{};
    stored.epoch = old.epoch;
    stored.reactor_count = static_cast<std::uint16_t>(old.ends.size());
    body.put(stored);
    body.put_all(old.ends);
  }
  if (state.clean) {
    body.put_all(state.clean_ends);
    body.put_all(state.shard_generations);
  }
  base::store(slot, header);
  header.checksum = base::checksum(slot.subspan(kChecksumFrom, sizeof(EpochHeader) - kChecksumFrom + body_bytes));
  base::store(slot, header);
}

bool decode_body(const EpochHeader& header, std::span<const std::byte> bytes, EpochState& state) {
  Reader body(bytes);
  std::uint32_t epoch_before = 0;
  for (std::uint32_t index = 0; index < header.old_epoch_count.get(); ++index) {
    EpochOld stored{};
    OldEpoch old;
    if (!body.take(stored) || !body.take_all(old.ends, stored.reactor_count.get())) return false;
    old.epoch = stored.epoch.get();
    if (stored.reserved0.get() != 0 || old.ends.empty() || old.epoch >= state.epoch) return false;
    if (index > 0 && old.epoch <= epoch_before) return false;
    epoch_before = old.epoch;
    state.old_epochs.push_back(std::move(old));
  }
  if (state.clean) {
    if (!body.take_all(state.clean_ends, state.reactors)) return false;
    if (!body.take_all(state.shard_generations, header.shard_count.get())) return false;
  }
  return body.is_empty();
}

struct SlotVerdict {
  std::optional<EpochState> state;
  bool is_newer = false;  ///< Good by its checksum, but of a version or with flags that are not known.
};

SlotVerdict decode_slot(const Identity& identity, std::uint32_t slot, std::span<const std::byte> bytes) {
  const auto header = base::load<EpochHeader>(bytes);
  if (header.magic.get() != kEpochMagic) return {};
  const std::uint64_t body_bytes = header.body_bytes.get();
  if (body_bytes > kEpochSlotBytes - sizeof(EpochHeader)) return {};
  const std::span<const std::byte> covered = bytes.subspan(kChecksumFrom, sizeof(EpochHeader) - kChecksumFrom + body_bytes);
  if (base::checksum(covered) != header.checksum.get()) return {};
  const bool reserved_is_zero =
      header.reserved0.get() == 0 && std::ranges::all_of(header.reserved1, [](std::uint8_t byte) { return byte == 0; });
  if (header.version.get() != kEpochVersion || (header.flags.get() & ~kEpochClean) != 0 || !reserved_is_zero) {
    return {.state = std::nullopt, .is_newer = true};
  }
  const bool is_ours = header.uuid_high.get() == identity.uuid_high && header.uuid_low.get() == identity.uuid_low &&
                       header.incarnation.get() == identity.incarnation && slot_of(header.generation.get()) == slot;
  if (!is_ours) return {};
  EpochState state;
  state.generation = header.generation.get();
  state.epoch = header.epoch.get();
  state.reactors = header.reactor_count.get();
  state.clean = (header.flags.get() & kEpochClean) != 0;
  if (!state.clean && header.shard_count.get() != 0) return {};
  if (!decode_body(header, bytes.subspan(sizeof(EpochHeader), body_bytes), state)) return {};
  return {.state = std::move(state)};
}

Failure cannot(Status status, const char* what, const std::string& path) {
  return {status, "cannot " + std::string(what) + " " + path + ": " + status.to_string()};
}

}  // namespace

EpochSlots decode_epoch(std::span<const std::byte> file, const Identity& identity) {
  const auto decode = [&](std::uint32_t slot) -> Result<EpochState> {
    const std::uint64_t offset = std::uint64_t{slot} * kEpochSlotBytes;
    if (file.size() < offset + kEpochSlotBytes) return std::unexpected(Status(Code::kCorruption, FileKind::kEpoch, offset));
    SlotVerdict verdict = decode_slot(identity, slot, file.subspan(offset, kEpochSlotBytes));
    if (verdict.state.has_value()) return std::move(*verdict.state);
    return std::unexpected(Status(verdict.is_newer ? Code::kNotSupported : Code::kCorruption, FileKind::kEpoch, offset));
  };
  static_assert(kEpochFileSlots == kEpochSlots);
  return {decode(0), decode(1)};
}

Outcome<EpochState> read_epoch(reactor::System& system, const std::string& path, const Identity& identity) {
  const Result<reactor::Fd> opened = system.open_file(path, {.read_only = true});
  if (!opened) {
    // Only a database that exists is asked for its EPOCH.
    const Status status = opened.error().is(Code::kNotFound) ? Status(Code::kCorruption, FileKind::kEpoch, 0) : opened.error();
    return std::unexpected(cannot(status, "open", path));
  }
  const reactor::File file(system, *opened);
  if (const Status status = system.sync_file(file.fd()); !status.is_ok()) return std::unexpected(cannot(status, "sync", path));
  const reactor::AlignedBuffer buffer(kFileBytes);
  if (!buffer) return std::unexpected(cannot(Status::from_errno(ENOMEM), "read", path));
  if (const Status status = system.read_file(file.fd(), 0, buffer.span()); !status.is_ok()) {
    return std::unexpected(cannot(status.with_place(FileKind::kEpoch, 0), "read", path));
  }
  std::optional<EpochState> newest;
  for (Result<EpochState>& slot : decode_epoch(buffer.span(), identity)) {
    if (!slot.has_value() && slot.error().is(Code::kNotSupported)) {
      return std::unexpected(Failure(
          slot.error(), path + ", file offset " + std::to_string(slot.error().where()) + ": written by a newer version"));
    }
    PENSTOCK_SOMETIMES("recovery: one slot of EPOCH is unreadable", !slot.has_value());
    if (slot.has_value() && (!newest || newest->generation < slot->generation)) newest = std::move(*slot);
  }
  if (!newest) {
    return std::unexpected(Failure(Status(Code::kCorruption, FileKind::kEpoch, 0), path + ": neither slot is valid"));
  }
  return std::move(*newest);
}

Status write_epoch(reactor::System& system, const std::string& path, const Identity& identity, const EpochState& state,
                   bool create) {
  PENSTOCK_ASSERT(!state.clean || state.clean_ends.size() == state.reactors);
  if (sizeof(EpochHeader) + body_bytes_of(state) > kEpochSlotBytes) return Status(Code::kTooLarge, FileKind::kEpoch, 0);
  const Result<reactor::Fd> opened = system.open_file(path, {.create = create});
  if (!opened) return opened.error();
  const reactor::File file(system, *opened);
  const reactor::AlignedBuffer buffer(kFileBytes);
  if (!buffer) return Status::from_errno(ENOMEM);
  const std::uint64_t offset = std::uint64_t{slot_of(state.generation)} * kEpochSlotBytes;
  const std::span<std::byte> slot = buffer.span().subspan(offset, kEpochSlotBytes);
  encode_slot(identity, state, slot);
  if (create) {
    PENSTOCK_TRY(system.resize_file(file.fd(), kFileBytes, true));
    PENSTOCK_TRY(system.write_file(file.fd(), 0, buffer.span()));
    PENSTOCK_TRY(system.sync_file(file.fd()));
    const std::size_t slash = path.rfind('/');
    return system.sync_directory(slash == std::string::npos ? "." : path.substr(0, slash));
  }
  PENSTOCK_TRY(system.write_file(file.fd(), offset, slot));
  return system.sync_file(file.fd());
}

}  // namespace penstock::wal
