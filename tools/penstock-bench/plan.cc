#include "tools/penstock-bench/plan.h"

#include <algorithm>

#include "base/assert.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kOwnStream = 0x0;
constexpr std::uint64_t kAnyStream = 0x5ead;
constexpr std::uint64_t kKindStream = 0x41d;

// Copies of a job (numjobs=) and clients choose differently; the same job does the same on every engine.
std::uint64_t stream_of(const Job& job, std::uint32_t client, std::uint64_t purpose) {
  return mix_bits(job.seed * 0x9e3779b97f4a7c15ULL + (std::uint64_t{job.stream} << 32U | client)) + purpose;
}

// Places that a sequential or shuffled plan goes through, over all families that its clients share.
std::uint64_t place_total(const Job& job, const KeySet& set) {
  return job.cf_affinity == Affinity::kRandom ? set.count * job.cfs : set.count;
}

}  // namespace

std::uint32_t sharers_of(const Job& job, std::uint32_t client) {
  if (job.cf_affinity == Affinity::kRandom) {
    return job.clients;
  }
  const std::uint32_t family = client % job.cfs;
  return (job.clients - family + job.cfs - 1) / job.cfs;
}

KeySet key_set_of(const Job& job, std::uint32_t client) {
  const std::uint32_t rank = job.cf_affinity == Affinity::kRandom ? client : client / job.cfs;
  return {.numbers = nullptr, .count = job.keys, .rank = rank, .sharers = sharers_of(job, client)};
}

Plan::Plan(const Job& job, std::uint32_t client, const KeySet& set)
    : job_(job),
      set_(set),
      client_(client),
      family_(client % job.cfs),
      is_drawn_(job.key_order == KeyOrder::kRandom),
      random_(stream_of(job, client, kKindStream)),
      newest_(static_cast<std::uint32_t>(job.keys - 1)) {
  PENSTOCK_ASSERT_LT(set.rank, set.sharers);
  PENSTOCK_ASSERT_LE(set.sharers, set.count);
  if (is_drawn_) {
    const std::uint64_t own = (set.count - set.rank + set.sharers - 1) / set.sharers;  // rank, rank + sharers, ...
    own_choice_.emplace(job, own, stream_of(job, client, kOwnStream));
    any_choice_.emplace(job, set.count, stream_of(job, client, kAnyStream));
  } else {
    first_ = share_begin(place_total(job, set), set.rank, set.sharers);
    place_count_ = share_begin(place_total(job, set), set.rank + 1, set.sharers) - first_;
    if (job.key_order == KeyOrder::kShuffled) {
      shuffle_.emplace(static_cast<std::uint32_t>(set.count), job.seed);
    }
  }
  step_count_ = steps_of(job);
}

std::uint64_t Plan::steps_of(const Job& job) const noexcept {
  std::uint64_t steps = kUnlimited;
  if (!is_drawn_ && !job.time_based && job.op != Op::kInsert) {
    steps = job.op == Op::kScan ? (place_count_ + job.scan_len - 1) / job.scan_len : place_count_;
  }
  if (job.ops > 0) {
    steps = std::min(steps, share_begin(job.ops, client_ + 1, job.clients) - share_begin(job.ops, client_, job.clients));
  }
  return steps == kUnlimited ? steps : steps * job.loops;
}

Call Plan::next_call(std::uint64_t left) noexcept {
  PENSTOCK_ASSERT_GT(left, 0U);
  const OpKind kind = job_.op == Op::kBatch ? OpKind::kBatch : draw_kind();
  if (job_.cf_affinity == Affinity::kRandom && job_.cfs > 1 && is_drawn_) {
    family_ = static_cast<std::uint32_t>(random_.below(job_.cfs));
  }
  std::uint64_t operations = std::min<std::uint64_t>(left, job_.ops_per_call(kind));
  if (!is_drawn_ && kind != OpKind::kInsert && operations > 1) {
    const std::uint64_t place = place_ >= place_count_ ? 0 : place_;
    operations = std::min(operations, set_.count - (first_ + place) % set_.count);  // A call stays in its family.
  }
  return {.kind = kind, .operations = static_cast<std::uint32_t>(operations)};
}

OpKind Plan::draw_kind() noexcept {
  if (job_.mix.size() == 1) {
    return job_.mix.front().kind;
  }
  double drawn = random_.unit();
  for (const OpShare& share : job_.mix) {
    if (drawn < share.share) {
      return share.kind;
    }
    drawn -= share.share;
  }
  return job_.mix.back().kind;
}

Step Plan::next(OpKind kind) noexcept {
  if (kind == OpKind::kBatch) {
    kind = draw_kind();
  }
  Step step{.kind = kind, .family = family_};
  if (kind == OpKind::kInsert) {
    step.number = static_cast<std::uint32_t>(job_.keys + std::uint64_t{inserted_++} * set_.sharers + set_.rank);
  } else if (!is_drawn_) {
    step = at_place(kind == OpKind::kScan ? job_.scan_len : 1);
    step.kind = kind;
  } else {
    step.number = kind_writes(kind) ? own_number() : any_number();
  }
  step.version = kind_writes(kind) ? ++version_ : 0;
  if (kind == OpKind::kScan) {
    const std::uint32_t choices = job_.scan_len - job_.scan_len_min + 1;
    step.rows = job_.scan_len_min + (choices > 1 ? static_cast<std::uint32_t>(random_.below(choices)) : 0);
  }
  return step;
}

// A backward scan goes through its places from the last one on.
Step Plan::at_place(std::uint64_t width) noexcept {
  if (place_ >= place_count_) {
    place_ = 0;
  }
  const bool is_backward = job_.scan_reverse && job_.op == Op::kScan;
  const std::uint64_t place = first_ + (is_backward ? place_count_ - 1 - place_ : place_);
  place_ += width;
  const bool is_over_families = job_.cf_affinity == Affinity::kRandom;
  std::uint64_t index = is_over_families ? place % set_.count : place;
  if (shuffle_.has_value()) {
    index = shuffle_->at(static_cast<std::uint32_t>(index));
  }
  const std::uint32_t family = is_over_families ? static_cast<std::uint32_t>(place / set_.count) : family_;
  return {.kind = OpKind::kGet, .family = family, .number = number_at(index)};
}

std::uint32_t Plan::number_at(std::uint64_t index) const noexcept {
  return set_.numbers == nullptr ? static_cast<std::uint32_t>(index) : (*set_.numbers)[index];
}

std::uint32_t Plan::own_number() noexcept { return number_at(set_.rank + own_choice_->next() * set_.sharers); }

std::uint32_t Plan::any_number() noexcept {
  const std::uint64_t index = any_choice_->next();
  if (!job_.key_dist.is_latest || set_.numbers != nullptr) {
    return number_at(index);
  }
  return newest_ - static_cast<std::uint32_t>(set_.count - 1 - index);  // As far behind the newest as behind the last.
}

}  // namespace penstock::bench
