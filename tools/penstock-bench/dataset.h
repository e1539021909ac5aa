// The data that the workloads write: keys and values made from numbers, the same for every engine that is compared.
//
// A key is its number, 8 bytes big-endian (fewer if key_size is smaller), then '0's. A value carries its version and a tag
// over (seed, family, number, version), then bytes of a fixed random pattern at a place that the tag decides, as many as the
// tag says: so any value read can be checked with nothing but its key, and making one costs a hash and two copies. Where there
// is room it also says whose it is: a value in a wrong place tells where it is from. Invariants:
//   Dataset-I1 Permutation is a bijection of [0, count).
//   Dataset-I2 value_version() returns a version only if every byte of the value is the one that fill_value() writes for it.
// Thread: all const; one object may serve many.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "tools/penstock-bench/value_sizes.h"

namespace penstock::bench {

inline constexpr std::uint32_t kKeySizeMin = 4;

inline std::uint64_t mix_bits(std::uint64_t value) noexcept {
  // The finaliser of splitmix64.
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31U);
}

/// Whose a value is.
struct ValueOrigin {
  std::uint32_t family = 0;
  std::uint32_t number = 0;
  std::uint32_t version = 0;
};

class Dataset {
 public:
  Dataset(std::uint32_t key_size, ValueSizes value_size, std::uint64_t seed);

  std::uint32_t key_size() const noexcept { return key_size_; }
  std::uint32_t value_size_max() const noexcept { return sizes_.max(); }

  /// Writes key_size() bytes.
  void fill_key(std::uint32_t number, char* key) const noexcept;
  /// Of a key of ours.
  std::uint32_t number_of(std::string_view key) const noexcept;
  /// Writes the value, of up to value_size_max() bytes, and returns how many.
  std::uint32_t fill_value(std::uint32_t family, std::uint32_t number, std::uint32_t version, char* value) const noexcept;
  /// The version of a value of ours, or nothing if any byte of it is wrong.
  std::optional<std::uint32_t> value_version(std::uint32_t family, std::uint32_t number, std::string_view value) const noexcept;
  /// Of any value of ours that says it and is whole.
  std::optional<ValueOrigin> origin_of(std::string_view value) const noexcept;

 private:
  static constexpr std::uint64_t kPatternPlaces = 4096;
  /// Version, tag; then magic, family, number: values of fewer bytes have the first two alone.
  static constexpr std::uint32_t kHeaderBytes = 24;
  static constexpr std::uint32_t kMagic = 0x56425350;  // "PSBV"
  static std::uint32_t header_bytes(std::size_t value_size) noexcept {
    return value_size >= kHeaderBytes ? kHeaderBytes : kValueSizeMin;
  }

  std::uint64_t tag_of(std::uint32_t family, std::uint32_t number, std::uint32_t version) const noexcept {
    return mix_bits(mix_bits(seed_ ^ (std::uint64_t{family} << 32U | number)) + 0x9e3779b97f4a7c15ULL * (version + 1ULL));
  }

  std::uint32_t key_size_;
  ValueSizes sizes_;
  std::uint64_t seed_;
  std::string pattern_;
};

/// Visits 0 .. count-1 in a random order that any place can be computed of: a Feistel network over the next even power of two,
/// walked until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class Permutation {
 public:
  Permutation(std::uint32_t count, std::uint64_t seed) noexcept;
  std::uint32_t at(std::uint32_t place) const noexcept;

 private:
  static constexpr std::uint32_t kRounds = 4;

  std::uint32_t count_;
  std::uint32_t half_bits_ = 1;
  std::uint64_t seed_;
};

}  // namespace penstock::bench
