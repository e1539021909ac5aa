// Plan: what one client of a job does, call by call: a pure function of job and client, so that the same plan writes, and later
// says what must be there.
//
// Invariants:
//   Plan-I1 A key is written by one client of a job alone, so the order of its versions is the order of that client's calls.
//   Plan-I2 The n-th operation that writes has version n. What it writes does not depend on what was read.
//   Plan-I3 In key_order=sequential and shuffled the clients together go through every key of every family that they use once,
//           before any of them begins again.
// Thread: the client's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/random.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/key_choice.h"

namespace penstock::bench {

/// One operation: on which key, and which version of its value it writes.
struct Step {
  OpKind kind = OpKind::kGet;
  std::uint32_t family = 0;
  std::uint32_t number = 0;
  std::uint32_t version = 0;
  std::uint32_t rows = 0;  ///< Of a scan.
};

/// One call of the engine's.
struct Call {
  OpKind kind = OpKind::kGet;
  std::uint32_t operations = 1;
};

/// The keys that a client chooses among, and which of them it may write.
struct KeySet {
  const std::vector<std::uint32_t>* numbers = nullptr;  ///< nullptr: 0 to count - 1. Outlives the plan.
  std::uint64_t count = 0;
  std::uint32_t rank = 0;     ///< Among those
  std::uint32_t sharers = 1;  ///< that write keys of the same set.
};
KeySet key_set_of(const Job& job, std::uint32_t client);

/// The clients that use a family with cf_affinity=own, or all of them.
std::uint32_t sharers_of(const Job& job, std::uint32_t client);

/// Share of `total` that client `client` of `clients` gets; the shares add up to total.
inline std::uint64_t share_begin(std::uint64_t total, std::uint32_t client, std::uint32_t clients) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(total) * client / clients);
}

inline constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

class Plan {
 public:
  Plan(const Job& job, std::uint32_t client) : Plan(job, client, key_set_of(job, client)) {}
  Plan(const Job& job, std::uint32_t client, const KeySet& set);

  /// How many operations there are; kUnlimited if only time ends them.
  std::uint64_t step_count() const noexcept { return step_count_; }
  /// `left`: operations that may still be done, at least 1.
  Call next_call(std::uint64_t left) noexcept;
  /// The next operation of a call of this kind.
  Step next(OpKind kind) noexcept;
  /// key_dist=latest: the newest key that is certainly there has this number now.
  void set_newest(std::uint32_t number) noexcept { newest_ = number; }

 private:
  std::uint64_t steps_of(const Job& job) const noexcept;
  OpKind draw_kind() noexcept;
  Step at_place(std::uint64_t width) noexcept;
  std::uint32_t number_at(std::uint64_t index) const noexcept;
  std::uint32_t own_number() noexcept;
  std::uint32_t any_number() noexcept;

  const Job& job_;
  const KeySet set_;
  const std::uint32_t client_;
  std::uint32_t family_;  // Of the current call.
  bool is_drawn_;         // key_order=random: keys are, by the choices.
  base::Random random_;   // Of kinds and families.
  std::optional<Permutation> shuffle_;
  std::optional<KeyChoice> own_choice_;
  std::optional<KeyChoice> any_choice_;
  std::uint64_t first_ = 0;        // Otherwise: first place,
  std::uint64_t place_count_ = 0;  // how many,
  std::uint64_t place_ = 0;        // and the next one.
  std::uint64_t step_count_ = 0;
  std::uint32_t inserted_ = 0;
  std::uint32_t version_ = 0;
  std::uint32_t newest_;
};

}  // namespace penstock::bench
