// Which replacement policy the page cache should have: hit ratios of traces of page accesses, counted, not timed.
//
//   build/release/bin/cache_policies [pages [accesses]]        (default 100000 pages, 4000000 accesses; about a minute)
//
// Rows are traces, columns policies. "ours" is btree::PageCache itself, driven as the tree drives it; the others are written
// here in their plainest form, with as many frames as ours has. Belady knows the future: no policy is better.
// Traces, over leaves of a tree (ranks of the distributions scattered over them):
//   zipf 0.99, zipf 0.8   point reads, each key's popularity its own (16 keys a leaf, scattered) or neighbours alike
//   (clustered) scan                  the same as zipf 0.99 clustered, every 20,000 reads a scan over a tenth of all leaves
//   writes                zipf 0.8 clustered; every 10,000 reads a flush writes 2,000 leaves anew, popular ones more often:
//                         the page has another address then. "handed on": its successor takes over its place in the cache
//   moving                zipf 0.99 clustered, whose popular leaves are others after each eighth of the trace
//   loop                  the same leaves in order, again and again, somewhat more of them than fit
//   uniform               no leaf is special
// Sources: CLOCK, Corbató 1968; 2Q, Johnson and Shasha, VLDB 1994; S3-FIFO, Yang et al., SOSP 2023; MIN, Belady 1966.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "btree/page_cache.h"
#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/key_distribution.h"

namespace penstock::bench {
namespace {

using Page = std::uint32_t;

struct Access {
  Page page = 0;
  bool is_write = false;  ///< A flush replaces the page; not a use of it.
};
using Trace = std::vector<Access>;

// --- traces ---

constexpr std::uint32_t kKeysOnALeaf = 16;

class TraceMaker {
 public:
  TraceMaker(std::uint32_t pages, std::size_t accesses) : pages_(pages), accesses_(accesses) {}

  /// A leaf's popularity is its own: neighbouring keys are alike.
  Trace clustered(const char* shape) {
    const KeyDistribution ranks(*KeyDistribution::parse(shape), pages_);
    const Permutation places(pages_, 1);
    return made([&](std::size_t, Trace& trace) { trace.push_back({.page = page_at(places, ranks.next(random_))}); });
  }
  /// Each key's popularity is its own: a leaf's is the sum over its keys.
  Trace scattered(const char* shape) {
    const std::uint32_t keys = pages_ * kKeysOnALeaf;
    const KeyDistribution ranks(*KeyDistribution::parse(shape), keys);
    const Permutation places(keys, 1);
    return made(
        [&](std::size_t, Trace& trace) { trace.push_back({.page = page_at(places, ranks.next(random_)) / kKeysOnALeaf}); });
  }
  Trace scans() {
    const KeyDistribution ranks(*KeyDistribution::parse("zipf:0.99"), pages_);
    const Permutation places(pages_, 1);
    return made([&](std::size_t at, Trace& trace) {
      trace.push_back({.page = page_at(places, ranks.next(random_))});
      if (at % 20'000 != 0) return;
      const auto first = static_cast<Page>(random_.below(pages_));
      for (Page step = 0; step < pages_ / 10; ++step) trace.push_back({.page = (first + step) % pages_});
    });
  }
  Trace writes() {
    const KeyDistribution ranks(*KeyDistribution::parse("zipf:0.8"), pages_);
    const Permutation places(pages_, 1);
    return made([&](std::size_t at, Trace& trace) {
      trace.push_back({.page = page_at(places, ranks.next(random_))});
      if (at % 10'000 != 0) return;
      std::set<Page> written;  // In key order, each leaf once, as a flush does it.
      for (int row = 0; row < 2000; ++row) written.insert(page_at(places, ranks.next(random_)));
      for (const Page page : written) trace.push_back({.page = page, .is_write = true});
    });
  }
  Trace moving() {
    const KeyDistribution ranks(*KeyDistribution::parse("zipf:0.99"), pages_);
    std::vector<Permutation> places;
    for (std::uint32_t part = 0; part <= 8; ++part) places.emplace_back(pages_, part);
    return made([&](std::size_t at, Trace& trace) {
      trace.push_back({.page = page_at(places[at * 8 / accesses_], ranks.next(random_))});
    });
  }
  Trace loop(std::uint32_t length) {
    return made([&](std::size_t at, Trace& trace) { trace.push_back({.page = static_cast<Page>(at % length)}); });
  }

 private:
  static Page page_at(const Permutation& places, std::uint64_t rank) { return places.at(static_cast<std::uint32_t>(rank)); }

  Trace made(const std::function<void(std::size_t at, Trace&)>& next) {
    Trace trace;
    trace.reserve(accesses_);
    while (trace.size() < accesses_) next(trace.size(), trace);
    trace.resize(accesses_);
    return trace;
  }

  std::uint32_t pages_;
  std::size_t accesses_;
  base::Random random_{11};
};

// --- policies: each gives the reads that hit ---

/// Reads `trace` with a policy that has `bool read(Page)`: whether it was there. Pages keep their place when they are
/// rewritten.
template <typename Policy>
std::uint64_t hits_of(const Trace& trace, Policy policy) {
  std::uint64_t hits = 0;
  for (const Access& access : trace) {
    if (!access.is_write && policy.read(access.page)) ++hits;
  }
  return hits;
}

class Lru {
 public:
  explicit Lru(std::size_t frames) : frames_(frames) {}
  bool read(Page page) {
    if (const auto found = places_.find(page); found != places_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    if (order_.size() == frames_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(page);
    places_[page] = order_.begin();
    return false;
  }

 private:
  std::size_t frames_;
  std::list<Page> order_;
  std::unordered_map<Page, std::list<Page>::iterator> places_;
};

class Clock {
 public:
  explicit Clock(std::size_t frames) : frames_(frames) {}
  bool read(Page page) {
    if (const auto found = places_.find(page); found != places_.end()) {
      ring_[found->second].was_used = true;
      return true;
    }
    if (ring_.size() < frames_) {
      places_[page] = ring_.size();
      ring_.push_back({.page = page});
      return false;
    }
    for (; ring_[hand_].was_used; hand_ = (hand_ + 1) % frames_) ring_[hand_].was_used = false;
    places_.erase(ring_[hand_].page);
    ring_[hand_] = {.page = page};
    places_[page] = hand_;
    hand_ = (hand_ + 1) % frames_;
    return false;
  }

 private:
  struct Entry {
    Page page = 0;
    bool was_used = false;
  };
  std::size_t frames_;
  std::vector<Entry> ring_;
  std::size_t hand_ = 0;
  std::unordered_map<Page, std::size_t> places_;
};

/// The full version: a FIFO of a quarter of the frames, names of half as many pages that left it, an LRU of those that came
/// back.
class TwoQueues {
 public:
  explicit TwoQueues(std::size_t frames) : frames_(frames), in_max_(frames / 4), out_max_(frames / 2) {}
  bool read(Page page) {
    if (const auto found = main_places_.find(page); found != main_places_.end()) {
      main_.splice(main_.begin(), main_, found->second);
      return true;
    }
    if (in_places_.contains(page)) return true;
    make_room();
    if (const auto left = out_places_.find(page); left != out_places_.end()) {
      out_.erase(left->second);
      out_places_.erase(left);
      main_.push_front(page);
      main_places_[page] = main_.begin();
    } else {
      in_.push_front(page);
      in_places_[page] = in_.begin();
    }
    return false;
  }

 private:
  using Places = std::unordered_map<Page, std::list<Page>::iterator>;

  void make_room() {
    if (in_.size() + main_.size() < frames_) return;
    if (in_.size() <= in_max_ && !main_.empty()) {
      main_places_.erase(main_.back());
      main_.pop_back();
      return;
    }
    out_.push_front(in_.back());
    out_places_[in_.back()] = out_.begin();
    in_places_.erase(in_.back());
    in_.pop_back();
    if (out_.size() > out_max_) {
      out_places_.erase(out_.back());
      out_.pop_back();
    }
  }

  std::size_t frames_;
  std::size_t in_max_;
  std::size_t out_max_;
  std::list<Page> in_;
  std::list<Page> out_;
  std::list<Page> main_;
  Places in_places_;
  Places out_places_;
  Places main_places_;
};

/// What could be reached by one who knows the future: the page that is needed last goes; one that is needed later than all of
/// these is not kept at all.
std::uint64_t belady_hits(const Trace& trace, std::size_t frames) {
  constexpr auto kNever = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> next_use(trace.size(), kNever);
  std::unordered_map<Page, std::size_t> seen;
  for (std::size_t at = trace.size(); at-- > 0;) {
    if (trace[at].is_write) continue;
    if (const auto later = seen.find(trace[at].page); later != seen.end()) next_use[at] = later->second;
    seen[trace[at].page] = at;
  }
  std::set<std::pair<std::size_t, Page>> by_next_use;
  std::unordered_map<Page, std::size_t> cached;
  std::uint64_t hits = 0;
  for (std::size_t at = 0; at < trace.size(); ++at) {
    if (trace[at].is_write) continue;
    const Page page = trace[at].page;
    if (const auto found = cached.find(page); found != cached.end()) {
      ++hits;
      by_next_use.erase({found->second, page});
    }
    cached[page] = next_use[at];
    by_next_use.insert({next_use[at], page});
    if (by_next_use.size() > frames) {
      const auto last = std::prev(by_next_use.end());
      cached.erase(last->second);
      by_next_use.erase(last);
    }
  }
  return hits;
}

/// btree::PageCache, as the tree uses it. A page that a flush replaces has another address from then on; with `hands_on` its
/// successor is put in its place, else it is dropped and comes back with the next read.
class Ours {
 public:
  Ours(std::uint64_t bytes, std::uint32_t pages, bool hands_on) : cache_(bytes), births_(pages, 1), hands_on_(hands_on) {}

  bool read(Page page) {
    const btree::ChildPointer pointer = pointer_to(page);
    if (btree::Frame* frame = cache_.find(pointer); frame != nullptr) {
      btree::PageCache::note_use(*frame);
      return true;
    }
    if (btree::Frame* frame = cache_.insert(pointer, true); frame != nullptr) btree::PageCache::unpin(*frame);
    return false;
  }
  void write(Page page) {
    btree::Frame* old = cache_.find(pointer_to(page));
    ++births_[page];
    if (old == nullptr) return;  // A flush admits nothing that was not there.
    if (hands_on_) {
      if (btree::Frame* frame = cache_.insert_successor(pointer_to(page), *old); frame != nullptr) {
        btree::PageCache::unpin(*frame);
      }
    }
    if (btree::Frame* still = cache_.find(pointer_of_birth(page, births_[page] - 1)); still != nullptr) {
      cache_.mark_replaced(*still);
    }
  }
  std::uint64_t bytes() const { return cache_.bytes(); }

 private:
  btree::ChildPointer pointer_of_birth(Page page, std::uint64_t birth) const {
    btree::ChildPointer pointer;
    pointer.address = {.file = static_cast<std::uint16_t>(1 + (birth % 1000)), .block = page};
    pointer.blocks = 1;
    pointer.birth = birth;
    pointer.checksum = mix_bits(page ^ (birth << 32U));
    return pointer;
  }
  btree::ChildPointer pointer_to(Page page) const { return pointer_of_birth(page, births_[page]); }

  btree::PageCache cache_;
  std::vector<std::uint64_t> births_;
  bool hands_on_;
};

std::uint64_t our_hits(const Trace& trace, Ours& ours) {
  std::uint64_t hits = 0;
  for (const Access& access : trace) {
    if (access.is_write) {
      ours.write(access.page);
    } else if (ours.read(access.page)) {
      ++hits;
    }
  }
  return hits;
}

// --- the table ---

void compare(const std::string& name, const Trace& trace, std::uint32_t pages) {
  const auto reads = static_cast<double>(std::ranges::count_if(trace, [](const Access& access) { return !access.is_write; }));
  const auto percent = [reads](std::uint64_t hits) { return 100 * static_cast<double>(hits) / reads; };
  for (const std::uint32_t share : {1U, 10U, 30U}) {
    const std::uint64_t bytes = std::uint64_t{pages} * share / 100 * btree::kPageBlockBytes;
    Ours handed_on(bytes, pages, true);
    Ours dropped(bytes, pages, false);
    const double ours = percent(our_hits(trace, handed_on));
    const double without = percent(our_hits(trace, dropped));
    const std::uint64_t frames = handed_on.bytes() / btree::kPageBlockBytes;
    fmt::print("| {:17} | {:2} % | {:5.1f} | {:5.1f} | {:5.1f} | {:5.1f} | {:5.1f} | {:5.1f} |\n", name, share, ours, without,
               percent(hits_of(trace, Clock(frames))), percent(hits_of(trace, TwoQueues(frames))),
               percent(hits_of(trace, Lru(frames))), percent(belady_hits(trace, frames)));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace penstock::bench

int main(int count, char** arguments) {
  using namespace penstock::bench;
  const std::uint32_t pages = count > 1 ? static_cast<std::uint32_t>(std::strtoul(arguments[1], nullptr, 10)) : 100'000;
  const std::size_t accesses = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 4'000'000;
  if (pages < 10'000 || accesses < 8 * std::size_t{pages}) {
    fmt::print(stderr, "cache_policies [pages [accesses]]: at least 10000 pages, and 8 accesses a page\n");
    return 2;
  }
  fmt::print("Reads that hit, percent; {} leaves, {} accesses.\n\n", pages, accesses);
  fmt::print(
      "| trace             | cache | ours | not handed on | CLOCK | 2Q | LRU | Belady |\n|---|---|---|---|---|---|---|---|\n");
  TraceMaker traces(pages, accesses);
  compare("zipf 0.99 clustered", traces.clustered("zipf:0.99"), pages);
  compare("zipf 0.99 scattered", traces.scattered("zipf:0.99"), pages);
  compare("zipf 0.8 clustered", traces.clustered("zipf:0.8"), pages);
  compare("zipf 0.8 scattered", traces.scattered("zipf:0.8"), pages);
  compare("scan", traces.scans(), pages);
  compare("writes", traces.writes(), pages);
  compare("moving", traces.moving(), pages);
  compare("loop of 12 %", traces.loop(pages * 12 / 100), pages);
  compare("uniform", traces.clustered("random"), pages);
  return 0;
}
