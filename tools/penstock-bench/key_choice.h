// KeyChoice: which of so many keys the next operation of a client goes to: the ranks of a distribution turned into places.
//
// Invariants:
//   KeyChoice-I1 With key_scatter popular keys lie anywhere, the same ones for every client that chooses among as many keys
//   with
//                one seed; without it rank 0 is place 0. `latest` counts back from the last place and is never scattered.
// Thread: the client's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/random.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/key_distribution.h"

namespace penstock::bench {

class KeyChoice {
 public:
  /// `stream` tells clients apart. `keys`: 1 to 2^32 - 1.
  KeyChoice(const Job& job, std::uint64_t keys, std::uint64_t stream);

  /// A place in [0, keys).
  std::uint64_t next() noexcept;

 private:
  KeyDistribution distribution_;
  std::optional<Permutation> scatter_;
  bool is_latest_;
  base::Random random_;
};

}  // namespace penstock::bench
