#include "tools/penstock-bench/key_choice.h"

namespace penstock::bench {

KeyChoice::KeyChoice(const Job& job, std::uint64_t keys, std::uint64_t stream)
    : distribution_(job.key_dist.shape, keys), is_latest_(job.key_dist.is_latest), random_(mix_bits(stream)) {
  // Evenly drawn places stay evenly drawn.
  if (job.key_scatter && !is_latest_ && job.key_dist.shape.kind != KeyDistribution::Kind::kRandom) {
    scatter_.emplace(static_cast<std::uint32_t>(keys), job.seed);
  }
}

std::uint64_t KeyChoice::next() noexcept {
  const std::uint64_t rank = distribution_.next(random_);
  if (is_latest_) {
    return distribution_.keys() - 1 - rank;
  }
  return scatter_.has_value() ? scatter_->at(static_cast<std::uint32_t>(rank)) : rank;
}

}  // namespace penstock::bench
