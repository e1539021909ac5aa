// Words that keys of job files take, and how values are read. One table of words for each enumeration: parsing, printing and
// the complaint about a word that is not in it all come from there.
//
// Errors: std::invalid_argument with what was expected; job.cc adds key and place.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/penstock-bench/job.h"

namespace penstock::bench {

template <typename E>
struct Word {
  const char* word;
  E value;
};

inline constexpr Word<Op> kOps[] = {{"put", Op::kPut},          {"insert", Op::kInsert}, {"delete", Op::kDelete},
                                    {"batch", Op::kBatch},      {"get", Op::kGet},       {"multiget", Op::kMultiget},
                                    {"scan", Op::kScan},        {"rmw", Op::kRmw},       {"mixed", Op::kMixed},
                                    {"recovery", Op::kRecovery}};
inline constexpr Word<OpKind> kKinds[] = {{"put", OpKind::kPut}, {"insert", OpKind::kInsert},     {"delete", OpKind::kDelete},
                                          {"get", OpKind::kGet}, {"multiget", OpKind::kMultiget}, {"scan", OpKind::kScan},
                                          {"rmw", OpKind::kRmw}};
inline constexpr Word<Durability> kDurabilities[] = {{"sync", Durability::kSync},
                                                     {"written", Durability::kWritten},
                                                     {"buffered", Durability::kBuffered},
                                                     {"unlogged", Durability::kUnlogged}};
inline constexpr Word<IoBackend> kIoBackends[] = {
    {"auto", IoBackend::kAuto}, {"ring", IoBackend::kRing}, {"syscall", IoBackend::kSyscall}};
inline constexpr Word<WalSync> kWalSyncs[] = {
    {"linked", WalSync::kLinked}, {"syscall", WalSync::kSyscall}, {"dsync", WalSync::kDsync}, {"auto", WalSync::kAuto}};
inline constexpr Word<RateProcess> kRateProcesses[] = {{"linear", RateProcess::kLinear}, {"poisson", RateProcess::kPoisson}};
inline constexpr Word<Engine> kEngines[] = {{"penstock", Engine::kPenstock},
                                            {"rocksdb", Engine::kRocksdb},
                                            {"lmdb", Engine::kLmdb},
                                            {"leveldb", Engine::kLeveldb},
                                            {"wiredtiger", Engine::kWiredtiger}};
inline constexpr Word<Placement> kCfPlacements[] = {{"pinned", Placement::kPinned}, {"hashed", Placement::kHashed}};
inline constexpr Word<ClientPlace> kPlacements[] = {{"threads", ClientPlace::kThreads}, {"on_shard", ClientPlace::kOnShard}};
inline constexpr Word<Affinity> kAffinities[] = {{"own", Affinity::kOwn}, {"random", Affinity::kRandom}};
inline constexpr Word<KeyOrder> kKeyOrders[] = {
    {"sequential", KeyOrder::kSequential}, {"shuffled", KeyOrder::kShuffled}, {"random", KeyOrder::kRandom}};
inline constexpr Word<bool> kScanDirections[] = {{"forward", false}, {"reverse", true}};

template <typename E>
E parse_word(std::span<const Word<E>> words, const std::string& text) {
  std::vector<std::string> known;
  for (const Word<E>& word : words) {
    if (text == word.word) {
      return word.value;
    }
    known.emplace_back(word.word);
  }
  throw std::invalid_argument(
      fmt::format("one of {} was expected; the nearest is '{}'", fmt::join(known, ", "), nearest_word(text, known)));
}

template <typename E>
std::string word_of(std::span<const Word<E>> words, E value) {
  const auto found = std::ranges::find(words, value, &Word<E>::value);
  return found == words.end() ? "?" : found->word;
}

/// "sync|written|...": for help.
template <typename E>
std::string words_text(std::span<const Word<E>> words) {
  std::string text;
  for (const Word<E>& word : words) {
    text += (text.empty() ? "" : "|") + std::string(word.word);
  }
  return text;
}

/// A whole number that fits 32 bits, with a unit if there is one.
std::uint32_t parse_u32(const std::string& text, std::uint32_t min = 0);
/// Anything but nothing.
std::string parse_text(const std::string& text);
KeyDist parse_key_dist(const std::string& text);
/// get:80,put:20
std::vector<OpShare> parse_mix(const std::string& text);
std::string mix_text(const std::vector<OpShare>& mix);

}  // namespace penstock::bench
