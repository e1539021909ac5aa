#include "engine/scrub.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "btree/super_format.h"
#include "btree/zone_format.h"
#include "engine/identity.h"
#include "engine/operation.h"
#include "engine/reactor_part.h"
#include "wal/epoch_format.h"

namespace penstock {

std::string_view damage_kind_name(Damage::Kind kind) noexcept {
  switch (kind) {
    case Damage::Kind::kMissing:
      return "missing";
    case Damage::Kind::kUnreadable:
      return "unreadable";
    case Damage::Kind::kChecksum:
      return "checksum";
    case Damage::Kind::kStructure:
      return "structure";
    case Damage::Kind::kUnsupported:
      return "newer version";
    case Damage::Kind::kContradiction:
      return "contradiction";
    case Damage::Kind::kSpace:
      return "space";
  }
  return "unknown";
}

std::string Damage::to_string() const {
  std::string text = file + ", offset " + std::to_string(offset) + ", " + std::to_string(bytes) + " bytes: ";
  text += damage_kind_name(kind);
  if (file.find("/pages-") != std::string::npos) text += ", family " + std::to_string(family);
  return text + " (" + status.to_string() + ")";
}

namespace engine {
namespace {

constexpr std::uint64_t kReportBytes = 1_MiB;
constexpr std::uint64_t kSleepNsMax = 20'000'000;  // So that stopping is noticed.

Damage::Kind kind_of(const Status& status, Damage::Kind otherwise) noexcept {
  if (status.is(Code::kNotSupported)) return Damage::Kind::kUnsupported;
  if (status.is(Code::kNotFound)) return Damage::Kind::kMissing;
  return status.is(Code::kCorruption) ? otherwise : Damage::Kind::kUnreadable;
}

}  // namespace

void ScrubRun::note_read(std::uint64_t bytes) {
  const std::uint64_t now = read_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (!options_.on_progress || now - reported_bytes_.load(std::memory_order_relaxed) < kReportBytes) return;
  if (reporting_.exchange(true, std::memory_order_acquire)) return;  // Scrub-I2
  reported_bytes_.store(now, std::memory_order_relaxed);
  const ScrubProgress progress{.bytes_done = now,
                               .bytes_total = std::max(now, total_bytes_.load(std::memory_order_relaxed)),
                               .damages = damages_.load(std::memory_order_relaxed)};
  if (!is_stopped() && !options_.on_progress(progress)) stop();
  reporting_.store(false, std::memory_order_release);
}

void ScrubPart::add(Damage damage) {
  run_.note_damage();
  ++report_.damage_count;
  if (report_.damages.size() < run_.options().damages_max) report_.damages.push_back(std::move(damage));
}

bool ScrubPart::is_stopped() const noexcept { return run_.is_stopped() || (part_ != nullptr && part_->is_closing()); }

Task<bool> ScrubPart::go_on(std::uint64_t bytes) {
  report_.read_bytes += bytes;
  run_.note_read(bytes);
  if (run_.bytes_per_second() != 0) {
    paced_bytes_ += bytes;
    constexpr std::uint64_t kSecondNs = 1'000'000'000;
    const std::uint64_t whole = paced_bytes_ / run_.bytes_per_second();
    const std::uint64_t rest = paced_bytes_ % run_.bytes_per_second();
    const std::uint64_t due_ns =
        began_ns_ + (whole * kSecondNs) +
        static_cast<std::uint64_t>(static_cast<double>(rest) * 1e9 / static_cast<double>(run_.bytes_per_second()));
    while (!is_stopped() && reactor_.now_ns() < due_ns) {
      co_await reactor_.sleep(std::min(due_ns - reactor_.now_ns(), kSleepNsMax));
    }
  }
  if (is_stopped()) {
    report_.is_complete = false;
    co_return false;
  }
  if (reactor_.background_slice_over()) co_await reactor_.background_slice();
  co_return true;
}

// --- small files ---

/// The beginning of a file; what it lacks is zeros.
Task<Status> ScrubPart::read_file(std::string path, std::uint64_t bytes, reactor::AlignedBuffer* buffer) {
  reactor::System& system = reactor_.system();
  const Result<reactor::Fd> fd = system.open_file(path, {.read_only = true});
  if (!fd.has_value()) co_return fd.error();
  const reactor::File file(system, *fd);
  const Result<std::uint64_t> file_bytes = system.file_bytes(*fd);
  if (!file_bytes.has_value()) co_return file_bytes.error();
  *buffer = reactor::AlignedBuffer(bytes);
  if (!*buffer) co_return Status::from_errno(ENOMEM);
  if (*file_bytes < bytes) co_return Status(Code::kCorruption);
  report_.read_bytes += bytes;
  co_return co_await reactor_.read(*fd, 0, buffer->span());
}

Task<> ScrubPart::check_identity(std::string path, std::uint16_t shard_count) {
  reactor::AlignedBuffer buffer;
  Status status = co_await read_file(path, reactor::kBlockBytes, &buffer);
  if (status.is_ok()) {
    const Outcome<DatabaseIdentity> identity = decode_identity(buffer.span(), path);
    if (!identity.has_value()) {
      status = identity.error().status;
    } else if (identity->shard_count != shard_count) {
      status = Status(Code::kCorruption);
    }
  }
  if (status.is_ok()) co_return;
  if (status.file_kind() != FileKind::kIdentity) status = status.with_place(FileKind::kIdentity, 0);
  add({.kind = kind_of(status, Damage::Kind::kChecksum),
       .status = status,
       .file = "IDENTITY",
       .offset = 0,
       .bytes = reactor::kBlockBytes});
}

/// Both slots, once both were written, must be good: one of them this opening's `generation`, or nothing newer than it.
Task<> ScrubPart::check_epoch(std::string path, wal::Identity identity, std::uint64_t generation) {
  reactor::AlignedBuffer buffer;
  constexpr std::uint64_t kBytes = std::uint64_t{wal::kEpochSlots} * wal::kEpochSlotBytes;
  const Status status = co_await read_file(path, kBytes, &buffer);
  const auto report = [this](const Status& wrong, std::uint64_t offset, std::uint64_t bytes, Damage::Kind kind) {
    add({.kind = kind_of(wrong, kind),
         .status = wrong.with_place(FileKind::kEpoch, offset),
         .file = "EPOCH",
         .offset = offset,
         .bytes = bytes});
  };
  if (!status.is_ok()) {
    report(status, 0, kBytes, Damage::Kind::kMissing);
    co_return;
  }
  const wal::EpochSlots slots = wal::decode_epoch(buffer.span(), identity);
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
    const std::uint64_t offset = std::uint64_t{slot} * wal::kEpochSlotBytes;
    const bool is_current = slot == generation % wal::kEpochSlots;
    if (!is_current && generation <= 1) continue;  // Not written yet.
    if (!slots[slot].has_value()) {
      report(slots[slot].error(), offset, wal::kEpochSlotBytes, Damage::Kind::kChecksum);
    } else if (is_current ? slots[slot]->generation != generation : slots[slot]->generation > generation) {
      report(Status(Code::kCorruption), offset, wal::kEpochSlotBytes, Damage::Kind::kContradiction);
    }
  }
}

// --- page files ---

std::string page_file_name(ShardId shard, std::uint16_t file) {
  return "shard-" + std::to_string(shard) + "/pages-" + std::to_string(file);
}

Damage damage_of(const btree::TreeDamage& damage, ShardId shard) {
  using From = btree::TreeDamage::Kind;
  Damage::Kind kind = Damage::Kind::kUnreadable;
  if (damage.kind == From::kChecksum) kind = Damage::Kind::kChecksum;
  if (damage.kind == From::kStructure) kind = Damage::Kind::kStructure;
  if (damage.kind == From::kContradiction) kind = Damage::Kind::kContradiction;
  if (damage.status.is(Code::kNotSupported)) kind = Damage::Kind::kUnsupported;
  return {.kind = kind,
          .status = damage.status.with_shard(shard),
          .file = page_file_name(shard, damage.address.file),
          .offset = std::uint64_t{damage.address.block} * btree::kPageBlockBytes,
          .bytes = damage.blocks * btree::kPageBlockBytes,
          .family = damage.family};
}

Damage damage_of(const btree::PageStore::SuperDamage& damage, ShardId shard) {
  const bool is_super = damage.status.file_kind() == FileKind::kSuper;
  const std::uint64_t where = damage.status.where();
  return {.kind = kind_of(damage.status, Damage::Kind::kChecksum),
          .status = damage.status,
          .file = is_super ? "shard-" + std::to_string(shard) + "/super" : page_file_name(shard, damage.status.file()),
          .offset = is_super ? where / btree::kSuperSlotBytes * btree::kSuperSlotBytes : where * btree::kPageBlockBytes,
          .bytes = damage.bytes};
}

void add_report(VerifyReport& total, VerifyReport part) {
  total.families += part.families;
  total.pages += part.pages;
  total.entries += part.entries;
  total.live_bytes += part.live_bytes;
  total.log_groups += part.log_groups;
  total.log_bytes += part.log_bytes;
  total.read_bytes += part.read_bytes;
  total.damage_count += part.damage_count;
  std::ranges::move(part.damages, std::back_inserter(total.damages));
  total.is_complete = total.is_complete && part.is_complete;
}

// --- logs ---

void LogScrub::on_part(const wal::Part& part, const wal::GroupPlace& place) {
  const auto add = [&](const Status& status, Damage::Kind kind) {
    const Status placed = status.with_place(FileKind::kLog, place.begin).with_shard(part.shard);
    found_.push_back({place.begin,
                      {.kind = kind_of(placed, kind),
                       .status = placed,
                       .file = "log/" + place.file,
                       .offset = place.file_offset,
                       .bytes = place.bytes}});
  };
  const auto last = last_.find(part.shard);
  if (last != last_.end() && part.previous != last->second) add(Status(Code::kCorruption), Damage::Kind::kContradiction);
  OperationReader reader(part.payload);
  std::uint64_t operations = 0;
  while (reader.next()) ++operations;
  if (!reader.status().is_ok()) {
    add(reader.status(), Damage::Kind::kStructure);
  } else if (operations != part.operations || operations == 0) {
    add(Status(Code::kCorruption), Damage::Kind::kContradiction);
  }
  last_[part.shard] = part.first + part.operations - 1;
}

void LogScrub::on_damage(const wal::LogDamage& damage) {
  using From = wal::LogDamage::Kind;
  Damage::Kind kind = Damage::Kind::kMissing;
  if (damage.kind == From::kUnreadable) kind = Damage::Kind::kUnreadable;
  if (damage.kind == From::kChecksum) kind = Damage::Kind::kChecksum;
  if (damage.kind == From::kUnsupported) kind = Damage::Kind::kUnsupported;
  if (damage.kind == From::kContradiction) kind = Damage::Kind::kContradiction;
  found_.push_back({damage.begin,
                    {.kind = kind,
                     .status = damage.status,
                     .file = "log/" + damage.file,
                     .offset = damage.file_offset,
                     .bytes = damage.end - damage.begin}});
  last_.clear();
}

void LogScrub::finish(std::uint64_t needed_from) {
  for (Found& found : found_) {
    if (found.begin >= needed_from) part_.add(std::move(found.damage));
  }
  found_.clear();
}

}  // namespace engine
}  // namespace penstock
