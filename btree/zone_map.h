// Space of a shard: which blocks a pass may write, which zones are empty, and since when nothing kept needs them. No I/O.
//
// Invariants:
//   Map-I1 A zone in state kEmptied is written again iff no kept generation lies in [first, emptied) (Store-I2): only then is
//   it
//          in the free list. Kept: the generations of the two slots, and pins.
//   Map-I2 What a pass frees is not written by that pass.
//   Map-I3 Blocks of a zone are handed out in ascending order, each once between two emptyings.
//   Map-I5 A zone with early blocks (take_early, claim_early) that somebody holds is handed out by nothing else, neither
//   emptied
//          nor cleaned. Its entry in the tables says nothing of them until a pass adopts some.
//   Map-I4 end_pass(false) restores all counts; blocks handed out of a zone that was in use before stay filled: they are lost
//          until the zone is emptied.
// Units: blocks of 4 KiB, zones of 1 MiB. Thread: the shard's reactor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "btree/page_store.h"
#include "btree/pointer.h"
#include "btree/zone_table.h"

namespace penstock::btree {

inline constexpr Address zone_address(std::uint16_t file, std::uint32_t zone) noexcept {
  return Address{file, zone * kZoneBlocks};
}

inline constexpr Address address_of(std::uint64_t key) noexcept {
  return Address{static_cast<std::uint16_t>(key >> 32U), static_cast<std::uint32_t>(key)};
}

class ZoneMap {
 public:
  enum class Stream : std::uint8_t { kPages, kExtents };

  // --- files; they are numbered 1, 2, 3 ... ---
  void add_file(std::vector<Zone> zones);
  /// Adds free zones to the end of a file. Its growth is durable.
  void grow_file(std::uint16_t file, std::uint32_t zone_count);
  /// Once all files are known: finds what can be written, and the zones to go on with.
  void start(std::uint64_t newer, std::uint64_t older);
  std::uint16_t file_count() const noexcept { return static_cast<std::uint16_t>(files_.size()); }
  std::span<const Zone> zones(std::uint16_t file) const noexcept { return files_[file - 1U].zones; }
  std::uint32_t zone_count(std::uint16_t file) const noexcept {
    return static_cast<std::uint32_t>(files_[file - 1U].zones.size());
  }
  bool is_changed(std::uint16_t file) const noexcept { return files_[file - 1U].changed; }
  void clear_changed(std::uint16_t file) noexcept { files_[file - 1U].changed = false; }
  /// Whether the blocks lie in a file's data zones: false for a pointer that cannot be right.
  bool contains(Address address, std::uint64_t blocks) const noexcept;

  // --- kept generations ---
  void keep_slots(std::uint64_t newer, std::uint64_t older) noexcept { slots_ = {newer, older}; }
  void pin(std::uint64_t generation);
  void unpin(std::uint64_t generation);
  /// Moves emptied zones that nothing kept needs any more to the free list.
  void refresh_free();

  // --- a pass ---
  void begin_pass(std::uint64_t generation);
  bool in_pass() const noexcept { return pass_ != 0; }
  /// This pass may take the zones that others leave.
  void use_reserve() noexcept { may_use_reserve_ = true; }
  bool may_use_reserve() const noexcept { return may_use_reserve_; }
  /// 1 .. 256 adjacent blocks of one zone, or nothing if space is out.
  std::optional<Address> take_blocks(Stream stream, std::uint32_t blocks);
  /// Consecutive whole zones of one file for more than 256 blocks.
  std::optional<Address> take_zones(std::uint64_t blocks);
  /// False if that many blocks are not live there: the pointer cannot be right.
  [[nodiscard]] bool release(Address address, std::uint64_t blocks);
  /// A write to the zone failed: it is left alone. `was_full_disk`: its space is missing, it counts as a hole if it was empty.
  void avoid(Address address, bool was_full_disk);
  /// Zones without a live block become emptied by this pass: the tables are complete now.
  void seal_pass();
  void end_pass(bool published);

  // --- blocks that are written before a tree names them (zone_map_early.cc); at any time ---
  /// 1 or more adjacent blocks, more than 256 in whole zones; held once. Leaves passes what they count on. Nothing: the files
  /// have to grow, by early_zones_wanted(blocks).
  std::optional<Address> take_early(std::uint64_t blocks);
  std::size_t early_zones_wanted(std::uint64_t blocks) const noexcept;
  /// Between opening and the first pass: blocks that an earlier opening took, held once. They lie within the files.
  void claim_early(Address address, std::uint64_t blocks);
  void hold_early(Address address, std::uint64_t blocks) noexcept;
  void release_early(Address address, std::uint64_t blocks) noexcept;
  /// In a pass: they are live from now on. Held meanwhile.
  void adopt_early(Address address, std::uint64_t blocks);
  /// No more into the zone under way: a write failed there.
  void close_early() noexcept { early_open_ = {}; }

  // --- how much there is ---
  std::size_t free_zones() const noexcept { return free_.size(); }
  bool is_free(Address zone) const noexcept { return free_.contains(zone.key()); }
  /// Zones that ordinary passes leave for deletes and cleaning.
  std::size_t reserve_zones() const noexcept;
  /// Whole free zones that placing so many blocks of pages may take.
  std::size_t zones_for(std::uint64_t blocks) const noexcept;
  /// Zones that one of the last passes took, the highest of them.
  std::size_t zones_taken_lately() const noexcept { return std::max(taken_lately_, taken_); }
  std::uint64_t total_zones() const noexcept;
  SpaceStats stats() const noexcept;
  std::vector<std::pair<Address, std::uint32_t>> live_blocks() const;

  // --- cleaning and giving back ---
  std::vector<Address> choose_to_clean(std::uint32_t target_percent, bool urgent) const;
  void set_evacuated(std::span<const Address> zones);
  bool is_evacuated(Address address) const noexcept;
  /// The free zones but the `keep` lowest ones, highest first.
  std::vector<Address> returnable(std::size_t keep) const;
  /// How many zones a file needs: those after them hold nothing, for nobody, and are no free ones that are to be kept
  /// (`keep` as above).
  std::uint32_t zones_needed(std::uint16_t file, std::size_t keep) const noexcept;
  /// Between passes: forgets the zones after them.
  void shorten_file(std::uint16_t file, std::uint32_t zone_count);
  /// Between passes: a free zone's space was given back.
  void make_hole(Address zone);
  /// The lowest hole that a write did not fail in.
  std::optional<Address> find_hole() const noexcept;
  /// A hole's space was taken again.
  void fill_hole(Address zone);

 private:
  struct File {
    std::vector<Zone> zones;
    bool changed = false;
  };
  struct Saved {
    Address zone;
    Zone before;
  };
  struct OpenZone {
    Address zone;
    std::uint32_t room = 0;
  };

  struct EarlyZone {
    std::uint32_t holds = 0;
    std::uint16_t filled = 0;
  };

  bool is_early(Address zone) const noexcept { return early_.contains(zone.key()); }
  void make_early(Address zone, std::uint16_t filled);
  void retire_early(Address zone);
  template <class Apply>
  static void each_zone(Address address, std::uint64_t blocks, Apply apply);
  std::optional<Address> find_free_run(std::size_t zones) const noexcept;

  Zone& at(Address zone) noexcept { return files_[zone.file - 1U].zones[zone.zone()]; }
  const Zone& at(Address zone) const noexcept { return files_[zone.file - 1U].zones[zone.zone()]; }
  Zone& touch(Address zone);
  bool is_kept(std::uint64_t first, std::uint64_t emptied) const noexcept;
  bool may_take(std::size_t zone_count) const noexcept;
  void open_new_zone(Address zone, ZoneState state);
  std::optional<Address> take_from(OpenZone& open, std::uint32_t blocks);
  std::optional<Address> take_from_extent_zones(std::uint32_t blocks);
  std::optional<Address> take_new_zone(Stream stream, std::uint32_t blocks);
  void keep_extent_zone(const OpenZone& open);
  void drop_open(Address zone) noexcept;
  void drop_closed_zones() noexcept;
  void restore(const Saved& saved);
  std::vector<Address> clean_candidates() const;

  std::vector<File> files_;
  std::set<std::uint64_t> free_;        // Address keys of zones that can be written.
  std::vector<std::uint64_t> emptied_;  // Zones in state kEmptied that are not in free_.
  std::pair<std::uint64_t, std::uint64_t> slots_{0, 0};
  std::map<std::uint64_t, std::uint32_t> pins_;
  std::uint64_t in_use_ = 0;

  std::uint64_t pass_ = 0;
  bool may_use_reserve_ = false;
  std::size_t taken_ = 0;         // By the pass under way, or the last one.
  std::size_t taken_lately_ = 0;  // Decays by half with each pass.
  std::vector<Saved> saved_;
  std::vector<Address> evacuated_;
  OpenZone page_zone_;
  std::vector<OpenZone> extent_zones_;

  std::map<std::uint64_t, EarlyZone> early_;  // By address key.
  OpenZone early_open_;
};

}  // namespace penstock::btree
