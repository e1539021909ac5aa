// What a shard's rows must, may and must not be: a plain history of batches beside the engine.
//
// Batches are numbered from 1 in the order of their submission to the shard. Each writes its number under a key of its own (one
// key for logged batches, one for unlogged ones), so what stands there after a crash says which prefix of the history came
// back; everything else must equal the history up to there. While the engine runs, a read must be right for some moment
// between its call and its answer. Invariants:
//   Model-I1 A batch that was refused wrote nothing. One that was acknowledged was published, and every earlier one that was
//            not refused with it.
//   Model-I2 Acknowledged at a level that survives the crash at hand, or before a flush that ended well: it is there.
// Thread: the simulation's one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "penstock/bytes.h"
#include "penstock/options.h"
#include "penstock/types.h"

namespace penstock::simtest {

/// How a boot of the database came to its end.
enum class End : std::uint8_t { kPowerCut, kKill, kCleanClose };

class ShardModel {
 public:
  using State = std::map<std::string, std::string>;  // "family id/key" -> value
  static constexpr Bytes kCountKey = "!count";
  static constexpr Bytes kUnloggedKey = "!unlogged";

  struct Change {
    FamilyId family = 0;
    std::string key;
    std::optional<std::string> value;
  };

  static std::string state_key(FamilyId family, Bytes key);

  /// The number that the next batch will have, and has to write under counter_key().
  std::uint64_t next_number() const noexcept { return base_count_ + issued_.size() + 1; }
  static Bytes counter_key(Durability durability) noexcept {
    return durability == Durability::kUnlogged ? kUnloggedKey : kCountKey;
  }
  void issue(std::vector<Change> changes, Durability durability);
  void acknowledge(std::uint64_t number);
  void refuse(std::uint64_t number);
  /// Numbers of acknowledged batches, for flushed().
  std::vector<std::uint64_t> acknowledged() const;
  void flushed(const std::vector<std::uint64_t>& numbers);

  // --- while it runs ---
  /// To be taken before a read is called.
  std::uint64_t moment() const noexcept { return published_; }
  /// True if a read that was called at `moment` and has just answered may have found that.
  bool may_have(FamilyId family, Bytes key, const std::optional<std::string>& value, std::uint64_t moment) const;
  /// Empty if the rows of [from, to) may have been found, else what is wrong. `to`: none for the family's end.
  std::string check_rows(FamilyId family, const std::string& from, const std::optional<std::string>& to,
                         const std::vector<std::pair<std::string, std::string>>& rows, std::uint64_t moment) const;

  // --- after a crash ---
  /// What the history demands, given what survived.
  std::uint64_t required(End end) const noexcept;
  struct Recovered {
    std::string wrong;  ///< Empty: all is well.
    State state;
    std::uint64_t count = 0;
  };
  /// Compares all rows with the history. `exists`: whether a family is (still) there.
  Recovered check(const State& found, End end, const std::function<bool(FamilyId)>& exists) const;
  /// The history begins anew with that.
  void adopt(Recovered recovered);
  /// Every key that was ever written since the base, and those in it.
  std::vector<std::string> known_keys() const;
  /// With part of it unreadable: true if a key of the disk may have that value now.
  bool may_survive(const std::string& state_key, const std::optional<std::string>& value, End end) const;

 private:
  struct Batch {
    std::vector<Change> changes;
    Durability durability = Durability::kSync;
    bool acknowledged = false;
    bool is_refused = false;
    bool is_flushed = false;
  };
  using Place = std::pair<std::uint32_t, std::uint32_t>;  // Batch, change.

  bool may_be(const std::string& key, const std::optional<std::string>& value, std::uint64_t from) const;
  static void apply(State& state, const Batch& batch);

  State base_;  // After base_count_ batches.
  std::uint64_t base_count_ = 0;
  std::vector<Batch> issued_;    // Those after the base, in order.
  std::uint64_t published_ = 0;  // So many of them are known to be.
  std::unordered_map<std::string, std::vector<Place>> history_;
};

}  // namespace penstock::simtest
