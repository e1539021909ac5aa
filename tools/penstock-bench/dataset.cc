#include "tools/penstock-bench/dataset.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/random.h"

namespace penstock::bench {

Dataset::Dataset(std::uint32_t key_size, ValueSizes value_size, std::uint64_t seed)
    : key_size_(key_size), sizes_(std::move(value_size)), seed_(mix_bits(seed + 1)) {
  PENSTOCK_ASSERT_LE(kKeySizeMin, key_size);
  PENSTOCK_ASSERT_LE(kValueSizeMin, sizes_.min());
  base::Random random(seed_);
  pattern_.resize(kPatternPlaces + sizes_.max());
  std::ranges::generate(pattern_, [&] { return static_cast<char>(random.next() & 0xffU); });
}

void Dataset::fill_key(std::uint32_t number, char* key) const noexcept {
  const std::uint32_t digits = std::min(key_size_, 8U);
  std::memset(key, 0, digits);
  for (std::uint32_t at = 0; at < 4; ++at) {
    key[digits - 1 - at] = static_cast<char>((number >> (8 * at)) & 0xffU);
  }
  std::memset(key + digits, '0', key_size_ - digits);
}

std::uint32_t Dataset::number_of(std::string_view key) const noexcept {
  const std::uint32_t digits = std::min(key_size_, 8U);
  std::uint32_t number = 0;
  for (std::uint32_t at = digits - 4; at < digits; ++at) {
    number = number << 8U | static_cast<unsigned char>(key[at]);
  }
  return number;
}

std::uint32_t Dataset::fill_value(std::uint32_t family, std::uint32_t number, std::uint32_t version,
                                  char* value) const noexcept {
  const std::uint64_t tag = tag_of(family, number, version);
  const std::uint32_t size = sizes_.of(tag);
  std::memcpy(value, &version, sizeof(version));
  std::memcpy(value + sizeof(version), &tag, sizeof(tag));
  const std::uint32_t header = header_bytes(size);
  if (header == kHeaderBytes) {
    const std::uint32_t origin[] = {kMagic, family, number};
    std::memcpy(value + kValueSizeMin, origin, sizeof(origin));
  }
  std::memcpy(value + header, pattern_.data() + tag % kPatternPlaces, size - header);
  return size;
}

std::optional<std::uint32_t> Dataset::value_version(std::uint32_t family, std::uint32_t number,
                                                    std::string_view value) const noexcept {
  if (value.size() < kValueSizeMin) {
    return std::nullopt;
  }
  std::uint32_t version = 0;
  std::uint64_t tag = 0;
  std::memcpy(&version, value.data(), sizeof(version));
  std::memcpy(&tag, value.data() + sizeof(version), sizeof(tag));
  if (tag != tag_of(family, number, version) || value.size() != sizes_.of(tag)) {
    return std::nullopt;
  }
  const std::uint32_t header = header_bytes(value.size());
  const std::uint32_t origin[] = {kMagic, family, number};
  const bool has_origin = header == kValueSizeMin || std::memcmp(value.data() + kValueSizeMin, origin, sizeof(origin)) == 0;
  const bool same =
      has_origin && std::memcmp(value.data() + header, pattern_.data() + tag % kPatternPlaces, value.size() - header) == 0;
  return same ? std::optional(version) : std::nullopt;
}

std::optional<ValueOrigin> Dataset::origin_of(std::string_view value) const noexcept {
  if (value.size() < kHeaderBytes) {
    return std::nullopt;
  }
  std::uint32_t origin[3] = {};
  std::memcpy(origin, value.data() + kValueSizeMin, sizeof(origin));
  const auto [magic, family, number] = origin;
  const auto version = magic == kMagic ? value_version(family, number, value) : std::nullopt;
  return version.has_value() ? std::optional(ValueOrigin{.family = family, .number = number, .version = *version})
                             : std::nullopt;
}

Permutation::Permutation(std::uint32_t count, std::uint64_t seed) noexcept : count_(count), seed_(mix_bits(seed ^ 0x5eedULL)) {
  PENSTOCK_ASSERT_GT(count, 0U);
  while ((1ULL << (2 * half_bits_)) < count) {
    ++half_bits_;
  }
}

std::uint32_t Permutation::at(std::uint32_t place) const noexcept {
  PENSTOCK_ASSERT_LT(place, count_);
  const std::uint64_t mask = (1ULL << half_bits_) - 1;
  std::uint64_t walked = place;
  do {
    std::uint64_t left = walked >> half_bits_;
    std::uint64_t right = walked & mask;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const std::uint64_t mixed = mix_bits(right + seed_ * (2 * round + 1ULL)) & mask;
      left = std::exchange(right, left ^ mixed);
    }
    walked = left << half_bits_ | right;
  } while (walked >= count_);
  return static_cast<std::uint32_t>(walked);
}

}  // namespace penstock::bench
