// One generation of one shard in memory: everything that all families of the shard got since the last freeze, in key order.
//
// An engine applies operations in sequence order, reads at a visible position, and when the generation is full stops applying
// (it is then frozen), walks it with cursors and drops it whole. Freeing is O(chunks): nothing is freed before.
//
// Invariants:
//   Memtable-I1  Sequences grow strictly from apply to apply, over all families.
//   Memtable-I2  A key has at most one entry per family. Entries are never removed: a delete is a version.
//   Memtable-I3  An entry's versions are linked newest first. The newest one at or below the last `published` that the entry
//                was written with is always linked, so a reader at `published` or later finds what it must.
//   Memtable-I4  Entries, keys and values never move: a view stays good as long as the memtable, whatever is applied after.
//   Memtable-I5  memory_bytes() is exactly what the memtable's arena holds from reactor::AlignedBuffer.
// Units: bytes; positions are sequences of the shard.
// Thread: the shard's. Const functions change nothing at all (no caches, no counters), so several threads may read while the
// writer is known to be still. There are no atomics.
// Source: B+tree with cached key heads; J. Rao and K. Ross, "Making B+-trees cache conscious in main memory", SIGMOD 2000.
// Layout and figures: docs/decisions/0002-memtable.md.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "memtable/arena.h"
#include "penstock/bytes.h"
#include "penstock/types.h"

namespace penstock::memtable {

struct Entry;
struct VersionRecord;
struct Leaf;
class Tree;

class Memtable {
 public:
  /// One value, or the fact of a delete, of a key at a sequence.
  struct Version {
    Sequence sequence = 0;
    bool is_delete = false;
    bool is_reference = false;  ///< `value` stands for one that lies elsewhere; what it says is the engine's affair.
    Bytes value;                ///< Empty for a delete.
  };
  class Cursor;

  /// Holds nothing from the system until the first apply(). `pool`, if given, outlives it.
  explicit Memtable(reactor::ChunkPool* pool = nullptr) noexcept : arena_(pool) {}
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  /// Opens a batch: everything applied until the next call is one step for readers (`visible` never falls inside it), so a key
  /// written twice in it keeps one version of it. Without any call every apply is its own batch.
  void begin_batch() noexcept { batch_base_ = last_sequence_; }

  /// Puts (`value` given) or deletes `key` at `sequence`, which is greater than every earlier one. Copies both.
  /// Versions older than the newest at or below `published` are unlinked: no reader is allowed there any more. That happens at
  /// the next overwrite while a key has at most three versions, later above (at most half as many again stay linked): a hot key
  /// with many commits in flight costs constant time per write.
  /// - key: at most kKeyBytesMax bytes; value: at most kBatchBytesMax.
  void apply(FamilyId family, Bytes key, std::optional<Bytes> value, Sequence sequence, Sequence published) {
    apply(family, key, value, false, sequence, published);
  }
  /// The same with what stands for a value.
  void apply_reference(FamilyId family, Bytes key, Bytes reference, Sequence sequence, Sequence published) {
    apply(family, key, reference, true, sequence, published);
  }

  /// A hint that `key` will be applied soon: what that touches comes into the processor's cache meanwhile. Worth it for several
  /// keys at once, whose memory is then waited for together.
  void fetch(FamilyId family, Bytes key) const noexcept;

  /// The newest version at or below `visible`, if any: a delete is a version too. `visible` is at least the `published` of the
  /// last apply to this key.
  std::optional<Version> find(FamilyId family, Bytes key, Sequence visible) const noexcept;

  /// An ordered walk over one family, not positioned yet. The family may be absent, and may appear later.
  Cursor cursor(FamilyId family) const noexcept;

  /// What the memtable holds from the system, unlinked versions and unused space included: the figure to budget with.
  std::uint64_t memory_bytes() const noexcept { return arena_.held_bytes(); }
  /// Of these, handed out for entries, versions and nodes.
  std::uint64_t used_bytes() const noexcept { return arena_.used_bytes(); }

  bool is_empty() const noexcept { return entry_count_ == 0; }
  std::uint64_t entry_count() const noexcept { return entry_count_; }
  std::uint64_t version_count() const noexcept { return version_count_; }  ///< Linked ones.
  Sequence first_sequence() const noexcept { return first_sequence_; }     ///< 0 while empty.
  Sequence last_sequence() const noexcept { return last_sequence_; }       ///< 0 while empty.

  /// The families that have entries, ascending.
  std::vector<FamilyId> families() const;
  std::uint64_t family_count() const noexcept { return family_count_; }
  std::uint64_t family_entry_count(FamilyId family) const noexcept;

  /// Walks every tree and version and ends the process if an invariant is broken: for tests and audits, O(n).
  void assert_invariants() const;

 private:
  struct FamilySlot {
    FamilyId family;
    Tree* tree;  ///< Null: the slot is free.
  };

  void apply(FamilyId family, Bytes key, std::optional<Bytes> value, bool is_reference, Sequence sequence, Sequence published);
  static Version version_of(const VersionRecord& record) noexcept;
  Tree* find_tree(FamilyId family) const noexcept;
  Tree& find_or_make_tree(FamilyId family);
  void grow_family_slots();
  void place_family(FamilyId family, Tree* tree) noexcept;

  Arena arena_;
  // Families by id: open addressing, a power of two, at most three quarters full, in the arena.
  FamilySlot* family_slots_ = nullptr;
  std::uint32_t family_slot_count_ = 0;
  std::uint32_t family_count_ = 0;
  // The family of the last apply: a run of operations on one family looks it up once. Read by find(), written by apply() alone.
  FamilyId last_family_ = 0;
  Tree* last_tree_ = nullptr;

  std::uint64_t entry_count_ = 0;
  std::uint64_t version_count_ = 0;
  Sequence first_sequence_ = 0;
  Sequence last_sequence_ = 0;
  // Versions above this one belong to the open batch. All ones: batches are not told apart.
  Sequence batch_base_ = ~Sequence{0};
};

/// A position in one family. It survives writes: key and versions are those of its entry, always up to date, and next() and
/// prev() go to the neighbours as of then, entries inserted meanwhile included (after an insert into the family a step costs a
/// search). A cursor must not outlive its memtable.
class Memtable::Cursor {
 public:
  void seek_first() noexcept;
  void seek_last() noexcept;
  void seek(Bytes key) noexcept;         ///< To the first entry at or after `key`.
  void seek_before(Bytes key) noexcept;  ///< To the last entry before `key`.
  void next() noexcept;                  ///< valid() beforehand.
  void prev() noexcept;                  ///< valid() beforehand.

  bool valid() const noexcept { return entry_ != nullptr; }
  Bytes key() const noexcept;
  Version newest() const noexcept;
  /// The newest version at or below `visible`; none: the key did not exist yet in this generation at that position.
  std::optional<Version> version(Sequence visible) const noexcept;

 private:
  friend class Memtable;
  Cursor(const Memtable* memtable, FamilyId family) noexcept : memtable_(memtable), family_(family) {}

  bool attach() noexcept;  // Finds the family's tree; false: it has none.
  void settle(const Leaf* leaf, std::uint32_t index) noexcept;
  void refresh() noexcept;  // Finds the entry's place again if the tree has got entries since.

  const Memtable* memtable_;
  FamilyId family_;
  std::uint32_t index_ = 0;
  const Tree* tree_ = nullptr;
  const Leaf* leaf_ = nullptr;
  const Entry* entry_ = nullptr;
  std::uint64_t seen_entry_count_ = 0;  // leaf_ and index_ are good while the tree has this many entries: it only grows.
};

}  // namespace penstock::memtable
