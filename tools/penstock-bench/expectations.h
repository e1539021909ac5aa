// Expectations: what must, may and cannot be in a store after a job, by the plans of its clients and what was acknowledged; and
// the judgement of what is found there.
//
// Filled by replaying each client's plan (Plan-I1: a key is written by one client, so its versions follow each other). Then
// every row of the store is shown to it, once, family by family in the order of a scan; then it is asked. Invariants:
//   Expect-I1 Not there, or older: a key whose last demanded write was version v has version v or a later one that was issued;
//             if that write was a delete, nothing or a later one. Nothing that was not issued is there.
//   Expect-I2 Of a call that was issued and not demanded, the writes of one shard are there together or not at all, as far as
//             later writes to the same keys let that be seen; and if they are there, so are those of the client's calls before
//             it on that shard.
//   Expect-I3 A scan's keys ascend, and every row's value is one that a client made for that key of that family.
// Thread: one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/plan.h"

namespace penstock::bench {

/// What a client has done, in the order of its plan.
struct ClientHistory {
  std::uint64_t demanded = 0;  ///< So many operations that write have to be there,
  std::uint64_t issued = 0;    ///< and none behind so many of any kind can be.
};

/// What was found wrong. Of each kind how often; of all the first, in words.
struct Problems {
  std::uint64_t missing = 0;   ///< A demanded write is not there, or an older value is in its place.
  std::uint64_t invented = 0;  ///< A row or value that nobody wrote, or that was deleted.
  std::uint64_t halves = 0;    ///< Batches of which a part is there, or a later one without them.
  std::uint64_t order = 0;     ///< Rows of a scan that do not ascend.
  std::string first;
  bool is_none() const noexcept { return first.empty(); }
};

class Expectations {
 public:
  using ShardOf = std::function<std::uint32_t(std::uint32_t family, std::string_view key)>;

  /// `shard_of`: writes of one commit to the same one are atomic. `was_empty`: nothing but the job's own rows is there.
  Expectations(const Job& job, const Dataset& dataset, ShardOf shard_of, bool was_empty);

  void replay(std::uint32_t client, const KeySet& set, const ClientHistory& history);

  /// The rows of a family follow.
  void begin_family(std::uint32_t family);
  void see_row(std::string_view key, std::string_view value);
  /// After the last row of the last family.
  void judge();

  /// Calls visit(family, number, version or nothing) for each key that a client has written: what a get has to find.
  void for_each_written(const std::function<void(std::uint32_t, std::uint32_t, std::optional<std::uint32_t>)>& visit) const;
  void note_get(std::uint32_t family, std::uint32_t number, const std::string& what);

  std::uint64_t demanded_keys() const noexcept { return demanded_keys_; }
  std::uint64_t rows() const noexcept { return rows_; }
  const Problems& problems() const noexcept { return problems_; }

 private:
  struct KeyState {
    std::uint32_t demanded = 0;  // Version; 0: nothing is.
    std::uint32_t newest = 0;    // Version that was issued last.
    std::uint32_t found = 0;
    bool is_demanded_gone = false;
    bool may_be_gone = false;  // A delete was issued behind the demanded write.
    bool is_found = false;
  };
  struct Write {
    std::uint32_t shard;
    std::uint32_t family;
    std::uint32_t number;
    std::uint32_t version;
    bool is_delete;
  };
  using Call = std::vector<Write>;

  KeyState& state_of(std::uint32_t family, std::uint32_t number);
  void add(const Step& step, bool is_demanded);
  void judge_key(std::uint32_t family, std::uint32_t number, const KeyState& state);
  void judge_calls(const std::vector<Call>& calls);
  enum class Seen : std::uint8_t { kThere, kNotThere, kUnknown };
  Seen look_for(const Write& write) const;
  void note(std::uint64_t& counter, std::uint32_t family, std::uint32_t number, const std::string& what);

  const Job& job_;
  const Dataset& dataset_;
  const ShardOf shard_of_;
  const bool was_empty_;
  std::vector<std::vector<KeyState>> states_;  // By family and number.
  std::vector<std::vector<Call>> open_calls_;  // Of each client, those that were not demanded.
  std::uint32_t family_ = 0;
  std::string last_key_;
  bool has_last_key_ = false;
  std::uint64_t rows_ = 0;
  std::uint64_t demanded_keys_ = 0;
  Problems problems_;
};

}  // namespace penstock::bench
