// Where a log ends, and whether what follows its last good group is the tail that a crash tore off or damage to acknowledged
// data.
//
// The rule as a table: each combination of facts matches exactly one row (a test asks all of them). Source:
// docs/formats/log.md.
#pragma once

#include <array>
#include <cstdint>

namespace penstock::wal {

enum class Tail : std::uint8_t {
  kComplete,  ///< The log ends here, and nothing is missing.
  kTorn,      ///< It ends here; bytes of groups that were never acknowledged follow.
  kDamaged,   ///< Groups that were durable are missing: `corruption`.
};

/// What is known when the reader finds no good group after the last one.
struct TailFacts {
  bool end_is_known = false;        ///< EPOCH names the log's end.
  bool end_is_reached = false;      ///< If it does: the last good group ends there.
  bool later_group_proves = false;  ///< A group's header, found further on, says that more was durable.
  bool superblock_proves = false;   ///< A shard had applied more.
  bool looks_unfinished = false;    ///< Something that looks like a group of this log follows.
};

struct TailRow {
  enum class When : std::uint8_t { kNo, kYes, kAny };
  When end_is_known, end_is_reached, later_group_proves, superblock_proves, looks_unfinished;
  Tail tail;

  static constexpr bool matches(When when, bool fact) noexcept { return when == When::kAny || (when == When::kYes) == fact; }
  constexpr bool matches(const TailFacts& facts) const noexcept {
    return matches(end_is_known, facts.end_is_known) && matches(end_is_reached, facts.end_is_reached) &&
           matches(later_group_proves, facts.later_group_proves) && matches(superblock_proves, facts.superblock_proves) &&
           matches(looks_unfinished, facts.looks_unfinished);
  }
};

namespace tail_when {
inline constexpr auto kNo = TailRow::When::kNo;
inline constexpr auto kYes = TailRow::When::kYes;
inline constexpr auto kAny = TailRow::When::kAny;
}  // namespace tail_when

inline constexpr std::array<TailRow, 6> kTailTable{{
    // known           reached          later            superblock       unfinished
    {tail_when::kYes, tail_when::kYes, tail_when::kAny, tail_when::kAny, tail_when::kAny, Tail::kComplete},
    {tail_when::kYes, tail_when::kNo, tail_when::kAny, tail_when::kAny, tail_when::kAny, Tail::kDamaged},
    {tail_when::kNo, tail_when::kAny, tail_when::kYes, tail_when::kAny, tail_when::kAny, Tail::kDamaged},
    {tail_when::kNo, tail_when::kAny, tail_when::kNo, tail_when::kYes, tail_when::kAny, Tail::kDamaged},
    {tail_when::kNo, tail_when::kAny, tail_when::kNo, tail_when::kNo, tail_when::kYes, Tail::kTorn},
    {tail_when::kNo, tail_when::kAny, tail_when::kNo, tail_when::kNo, tail_when::kNo, Tail::kComplete},
}};

constexpr Tail judge_tail(const TailFacts& facts) noexcept {
  for (const TailRow& row : kTailTable) {
    if (row.matches(facts)) return row.tail;
  }
  return Tail::kDamaged;  // Not reached: the rows cover everything.
}

}  // namespace penstock::wal
