// What survives: power off, power cuts, killed processes, copies of the image.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "reactor/sim_disk.h"

namespace penstock::reactor {

SimCut SimCut::draw(std::uint64_t seed) noexcept {
  base::Random random(seed);
  // The extreme cases are rare in the space of subsets and find the most: they get a fixed share.
  static constexpr std::array kData{Data::kNone,    Data::kAll,     Data::kPrefix,  Data::kSuffix,
                                    Data::kChanges, Data::kSectors, Data::kSectors, Data::kSectors};
  static constexpr std::array kNames{Names::kNone, Names::kAll, Names::kPrefix, Names::kAny};
  SimCut cut;
  cut.data = kData[random.below(kData.size())];
  cut.names = kNames[random.below(kNames.size())];
  cut.noise = random.one_in(3);
  cut.seed = random.next();
  return cut;
}

void SimDisk::power_off() {
  if (!is_powered_) return;
  is_powered_ = false;
  for (auto& [write, started] : in_flight_) {
    SimChange change{.was_in_flight = true, .offset = started.offset, .bytes = started.data.size()};
    // The buffer lives until the entry is reaped, not until the next boot.
    if (!is_zeros(started.data)) change.data.assign(started.data.begin(), started.data.end());
    interrupted_.push_back({std::move(started.inode), std::move(change)});
  }
  in_flight_.clear();
}

void SimDisk::cut_power(const SimCut& cut) {
  power_off();
  base::Random random(cut.seed);
  for (Interrupted& interrupted : interrupted_) add_change(*interrupted.inode, std::move(interrupted.change));
  interrupted_.clear();
  settle_data(cut, random);
  settle_names(cut, random);
  restart();
}

void SimDisk::kill_process(std::uint64_t seed) {
  power_off();
  base::Random random(seed);
  forget_lost();
  for (Interrupted& interrupted : interrupted_) {
    const SimChange& change = interrupted.change;
    if (random.one_in(2)) continue;
    const std::vector<std::byte> data = change.data.empty() ? std::vector<std::byte>(change.bytes) : change.data;
    static_cast<void>(apply_write(*interrupted.inode, change.offset, data));
  }
  interrupted_.clear();
  restart();
}

void SimDisk::forget_lost() {
  for (auto& [id, inode] : dirty_files_) {
    if (!inode->diverged) continue;
    inode->current = inode->durable;
    inode->bytes = inode->durable_bytes;
    const std::vector<SimChange> changes = std::exchange(inode->changes, {});
    for (const SimChange& change : changes) {  // Those after the failed sync.
      if (change.kind == SimChange::Kind::kResize) {
        if (change.offset < inode->bytes) inode->current.truncate(change.offset);
        inode->bytes = change.offset;
      } else if (change.data.empty()) {
        inode->current.write_zeros(change.offset, change.bytes);
      } else {
        inode->current.write(change.offset, change.data);
      }
      if (change.kind == SimChange::Kind::kWrite) inode->bytes = std::max(inode->bytes, change.offset + change.bytes);
    }
    inode->changes = changes;
    inode->diverged = false;
  }
}

std::uint64_t SimDisk::interrupted_sectors() const noexcept {
  std::uint64_t sectors = 0;
  for (const Interrupted& interrupted : interrupted_) {
    const std::vector<std::byte>& data = interrupted.change.data;
    std::size_t used = data.size();
    while (used > 0 && data[used - 1] == std::byte{0}) --used;
    sectors = std::max<std::uint64_t>(sectors, (used + kSimSectorBytes - 1) / kSimSectorBytes);
  }
  return sectors;
}

// --- data ---

void SimDisk::settle_data(const SimCut& cut, base::Random& random) {
  std::vector<Candidate> candidates;
  for (const auto& [id, inode] : dirty_files_) {
    for (const SimChange& change : inode->changes) candidates.push_back({inode.get(), &change});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& left, const Candidate& right) { return left.change->sequence < right.change->sequence; });
  const auto point = static_cast<std::size_t>(random.below(candidates.size() + 1));
  for (std::size_t index = 0; index < candidates.size(); ++index) {
    settle_change(cut, random, candidates[index], index, point);
  }
  for (const auto& [id, inode] : dirty_files_) {
    inode->durable.truncate(inode->durable_bytes);
    inode->current = inode->durable;
    inode->bytes = inode->durable_bytes;
    // Which of the new blocks stay allocated is not simulated: those that either side had, within the size.
    inode->allocated.add_all(inode->durable_allocated);
    inode->allocated.remove((inode->bytes + kBlockBytes - 1) / kBlockBytes, ~0ULL);
    inode->durable_allocated = inode->allocated;
    inode->changes.clear();
    inode->diverged = false;
  }
  dirty_files_.clear();
}

void SimDisk::settle_change(const SimCut& cut, base::Random& random, const Candidate& candidate, std::size_t index,
                            std::size_t point) {
  SimInode& inode = *candidate.inode;
  const SimChange& change = *candidate.change;
  if (change.was_in_flight && cut.in_flight_sectors != ~0ULL) {
    const std::uint64_t kept = std::min(change.bytes, cut.in_flight_sectors * kSimSectorBytes);
    make_sector_durable(inode, change, change.offset, change.offset + kept);
    if (kept > 0) inode.durable_bytes = std::max(inode.durable_bytes, change.offset + kept);
    return;
  }
  bool is_kept = false;
  switch (cut.data) {
    case SimCut::Data::kNone:
      break;
    case SimCut::Data::kAll:
      is_kept = true;
      break;
    case SimCut::Data::kPrefix:
      is_kept = index < point;
      if (index == point && change.kind == SimChange::Kind::kWrite) {
        return settle_sectors(cut, random, candidate, random.below(change.bytes + 1));
      }
      break;
    case SimCut::Data::kSuffix:
      is_kept = index >= point;
      break;
    case SimCut::Data::kChanges:
      is_kept = random.one_in(2);
      break;
    case SimCut::Data::kSectors:
      if (change.kind == SimChange::Kind::kWrite) return settle_sectors(cut, random, candidate, 0);
      is_kept = random.one_in(2);
      break;
  }
  if (is_kept) make_durable(inode, change);
}

void SimDisk::settle_sectors(const SimCut& cut, base::Random& random, const Candidate& candidate, std::uint64_t prefix_bytes) {
  SimInode& inode = *candidate.inode;
  const SimChange& change = *candidate.change;
  const std::uint64_t end = change.offset + change.bytes;
  for (std::uint64_t at = change.offset; at < end;) {
    const std::uint64_t next = std::min(end, (at / kSimSectorBytes + 1) * kSimSectorBytes);
    const bool is_kept = cut.data == SimCut::Data::kPrefix ? next <= change.offset + prefix_bytes : random.one_in(2);
    if (is_kept) {
      make_sector_durable(inode, change, at, next);
    } else if (cut.noise && cut.data == SimCut::Data::kSectors && change.was_in_flight && random.one_in(4)) {
      std::array<std::byte, kSimSectorBytes> noise;
      for (std::byte& value : noise) value = static_cast<std::byte>(random.next());
      inode.durable.write(at, std::span(noise).first(next - at));
    }
    at = next;
  }
  if (random.one_in(2)) inode.durable_bytes = std::max(inode.durable_bytes, end);
}

// --- names ---

void SimDisk::settle_names(const SimCut& cut, base::Random& random) {
  for (const auto& [id, directory] : dirty_directories_) {
    const std::vector<SimDirectory::Edits>& pending = directory->pending;
    const auto point = static_cast<std::size_t>(random.below(pending.size() + 1));
    for (std::size_t index = 0; index < pending.size(); ++index) {
      bool is_kept = false;
      switch (cut.names) {
        case SimCut::Names::kNone:
          break;
        case SimCut::Names::kAll:
          is_kept = true;
          break;
        case SimCut::Names::kPrefix:
          is_kept = index < point;
          break;
        case SimCut::Names::kAny:
          is_kept = random.one_in(2);
          break;
      }
      if (is_kept) apply_edits(directory->durable, pending[index]);
    }
    directory->pending.clear();
    directory->current = directory->durable;
  }
  dirty_directories_.clear();
}

// --- the next boot ---

void SimDisk::restart() {
  PENSTOCK_ASSERT(in_flight_.empty());
  ++generation_;
  is_powered_ = true;
  cut_at_ = ~0ULL;
  faults_.clear();
  used_blocks_ = 0;
  charge_tree(*root_);
}

/// Counts the blocks of all named files; nothing is open or locked.
void SimDisk::charge_tree(const SimDirectory& directory) {
  for (const auto& [name, node] : directory.current) {
    if (node.directory != nullptr) charge_tree(*node.directory);
    if (node.file == nullptr) continue;
    SimInode& inode = *node.file;
    if (inode.counted_at == generation_) {  // A second name, left by a rename of which the other half was lost.
      ++inode.links;
      continue;
    }
    inode.counted_at = generation_;
    inode.links = 1;
    inode.opens = 0;
    inode.is_locked = false;
    inode.is_charged = true;
    used_blocks_ += inode.allocated.count();
  }
}

std::unique_ptr<SimDisk> SimDisk::clone() const {
  PENSTOCK_ASSERT(in_flight_.empty());  // Power off first: then what was in flight is part of the image.
  auto copy = std::make_unique<SimDisk>(0, SimDiskOptions{capacity_bytes_});
  copy->faults_ = faults_;
  copy->used_blocks_ = used_blocks_;
  copy->next_id_ = next_id_;
  copy->sequence_ = sequence_;
  copy->cut_at_ = cut_at_;
  copy->generation_ = generation_;
  copy->is_powered_ = is_powered_;
  std::unordered_map<const SimInode*, std::shared_ptr<SimInode>> files;
  std::unordered_map<const SimDirectory*, std::shared_ptr<SimDirectory>> directories;
  const auto copy_file = [&files](const std::shared_ptr<SimInode>& file) {
    if (file == nullptr) return file;
    std::shared_ptr<SimInode>& made = files[file.get()];
    if (made == nullptr) made = std::make_shared<SimInode>(*file);
    return made;
  };
  std::vector<std::pair<const SimDirectory*, std::shared_ptr<SimDirectory>>> to_fill;
  const auto copy_directory = [&](const std::shared_ptr<SimDirectory>& directory) {
    if (directory == nullptr) return directory;
    std::shared_ptr<SimDirectory>& made = directories[directory.get()];
    if (made == nullptr) {
      made = std::make_shared<SimDirectory>();
      to_fill.emplace_back(directory.get(), made);
    }
    return made;
  };
  const auto copy_node = [&](const SimNode& node) { return SimNode{copy_file(node.file), copy_directory(node.directory)}; };
  copy->root_ = copy_directory(root_);
  for (const auto& [id, directory] : dirty_directories_) copy->dirty_directories_.emplace(id, copy_directory(directory));
  while (!to_fill.empty()) {
    const auto [from, to] = to_fill.back();
    to_fill.pop_back();
    to->id = from->id;
    for (const auto& [name, node] : from->current) to->current.emplace(name, copy_node(node));
    for (const auto& [name, node] : from->durable) to->durable.emplace(name, copy_node(node));
    for (const SimDirectory::Edits& edits : from->pending) {
      SimDirectory::Edits& made = to->pending.emplace_back();
      for (const auto& [name, node] : edits) made.emplace_back(name, copy_node(node));
    }
  }
  for (const auto& [id, file] : dirty_files_) copy->dirty_files_.emplace(id, copy_file(file));
  for (const Interrupted& interrupted : interrupted_) {
    copy->interrupted_.push_back({copy_file(interrupted.inode), interrupted.change});
  }
  return copy;
}

}  // namespace penstock::reactor
