// Typed keys: the order of encodings is the order of the values, they come back as they were, and bytes from anywhere are
// either what the encoder makes or refused.
//
// Values are drawn from edges (extremes, neighbours, zero bytes) and at random, and all pairs are compared.
#include "penstock/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace penstock {
namespace {

using Random = std::mt19937_64;

template <typename T>
struct Draw;

template <std::integral T>
struct Draw<T> {
  static T one(Random& random) {
    if constexpr (std::same_as<T, bool>) {
      return random() % 2 == 0;
    } else {
      constexpr T kEdges[] = {
          std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T{0}, T{1}, static_cast<T>(-1), T{127}};
      return random() % 3 == 0 ? kEdges[random() % std::size(kEdges)] : static_cast<T>(random() >> (random() % 64));
    }
  }
};

template <std::floating_point T>
struct Draw<T> {
  static T one(Random& random) {
    using Limits = std::numeric_limits<T>;
    constexpr T kEdges[] = {T{0},
                            -T{0},
                            Limits::infinity(),
                            -Limits::infinity(),
                            Limits::denorm_min(),
                            -Limits::denorm_min(),
                            Limits::max(),
                            Limits::lowest(),
                            Limits::min(),
                            T{1}};
    if (random() % 2 == 0) {
      return kEdges[random() % std::size(kEdges)];
    }
    const auto bits = static_cast<typename KeyCodec<T>::Bits>(random());
    const T drawn = std::bit_cast<T>(bits);
    return std::isnan(drawn) ? T{0} : drawn;
  }
};

template <>
struct Draw<std::string> {
  static std::string one(Random& random) {
    std::string drawn(random() % 6, '\0');
    for (char& byte : drawn) {
      constexpr char kBytes[] = {'\0', '\1', 'a', '\x7f', '\x80', '\xfe', '\xff'};
      byte = kBytes[random() % std::size(kBytes)];
    }
    return drawn;
  }
};

template <typename T>
struct Draw<std::optional<T>> {
  static std::optional<T> one(Random& random) {
    return random() % 4 == 0 ? std::nullopt : std::optional<T>(Draw<T>::one(random));
  }
};

template <typename T, std::size_t kCount>
struct Draw<std::array<T, kCount>> {
  static std::array<T, kCount> one(Random& random) {
    std::array<T, kCount> drawn;
    std::ranges::generate(drawn, [&random] { return Draw<T>::one(random); });
    return drawn;
  }
};

template <typename... T>
struct Draw<std::tuple<T...>> {
  static std::tuple<T...> one(Random& random) { return std::tuple<T...>{Draw<T>::one(random)...}; }
};

template <typename First, typename Second>
struct Draw<std::pair<First, Second>> {
  static std::pair<First, Second> one(Random& random) { return {Draw<First>::one(random), Draw<Second>::one(random)}; }
};

template <typename T>
struct Draw<Descending<T>> {
  static Descending<T> one(Random& random) { return {Draw<T>::one(random)}; }
};

enum class Color : std::int16_t { kRed = -5, kGreen = 2, kBlue = 900 };
template <>
struct Draw<Color> {
  static Color one(Random& random) { return std::array{Color::kRed, Color::kGreen, Color::kBlue}[random() % 3]; }
};

template <typename T>
class Keys : public ::testing::Test {};

using Nested = std::tuple<std::string, std::pair<std::int32_t, Descending<std::string>>, std::optional<double>, bool>;
using Types =
    ::testing::Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, std::int8_t, std::int16_t, std::int32_t,
                     std::int64_t, char, bool, Color, float, double, std::string, std::optional<std::string>,
                     std::optional<std::int8_t>, std::array<std::uint8_t, 3>, std::array<std::string, 2>,
                     std::tuple<std::string, std::string>, std::tuple<std::string, std::uint16_t, std::string>,
                     std::pair<Color, float>, Descending<std::uint32_t>, Descending<double>, Descending<std::string>,
                     Descending<Descending<std::string>>, Descending<std::tuple<std::string, std::int64_t>>,
                     std::tuple<Descending<std::string>, std::string>, Nested, std::tuple<>>;
TYPED_TEST_SUITE(Keys, Types);

TYPED_TEST(Keys, StandInTheOrderOfTheirValues) {
  Random random(1);
  std::vector<std::pair<TypeParam, std::string>> rows;
  for (int row = 0; row < 300; ++row) {
    const auto value = Draw<TypeParam>::one(random);
    rows.emplace_back(value, encode_key(value));
  }
  for (const auto& [value, key] : rows) {
    for (const auto& [other, other_key] : rows) {
      ASSERT_EQ(value < other, key < other_key);
    }
  }
}

TYPED_TEST(Keys, ComeBackAsTheyWere) {
  Random random(2);
  for (int round = 0; round < 2000; ++round) {
    const auto value = Draw<TypeParam>::one(random);
    const Result<TypeParam> decoded = decode_key<TypeParam>(encode_key(value));
    ASSERT_TRUE(decoded.has_value());
    ASSERT_TRUE(*decoded == value);
  }
}

TYPED_TEST(Keys, HaveNoBeginningThatIsAKeyToo) {
  Random random(3);
  for (int round = 0; round < 500; ++round) {
    const std::string key = encode_key(Draw<TypeParam>::one(random));
    for (std::size_t bytes = 0; bytes < key.size(); ++bytes) {
      ASSERT_FALSE(decode_key<TypeParam>(Bytes(key).substr(0, bytes)).has_value());
    }
    ASSERT_FALSE(decode_key<TypeParam>(key + '\0').has_value());
  }
}

TYPED_TEST(Keys, OfBytesFromAnywhereAreThoseThatTheEncoderMakes) {
  Random random(4);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = round % 2 == 0 ? encode_key(Draw<TypeParam>::one(random)) : std::string(random() % 24, '\0');
    for (std::uint64_t change = random() % 4; change > 0 && !bytes.empty(); --change) {
      bytes[random() % bytes.size()] = Draw<std::string>::one(random).append("\0\xff", 2)[0];
    }
    const Result<TypeParam> decoded = decode_key<TypeParam>(bytes);
    if (decoded.has_value()) {
      ASSERT_EQ(encode_key(*decoded), bytes);
    } else {
      ASSERT_EQ(decoded.error().code(), Code::kCorruption);
    }
  }
}

TEST(FloatingKeys, HoldOneZero) {
  EXPECT_EQ(encode_key(-0.0), encode_key(0.0));
  EXPECT_FALSE(std::signbit(*decode_key<double>(encode_key(-0.0))));
}

TEST(FloatingKeys, HoldOneNanAfterInfinity) {
  const std::string nan = encode_key(std::nan("1"));
  EXPECT_EQ(nan, encode_key(-std::nan("77")));
  EXPECT_GT(nan, encode_key(std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(std::isnan(*decode_key<double>(nan)));
  EXPECT_EQ(encode_key(*decode_key<double>(nan)), nan);
}

TEST(KeysAsStored, HaveTheBytesThatTheHeaderStates) {
  EXPECT_EQ(encode_key(std::uint32_t{0x01020304}), std::string("\x01\x02\x03\x04"));
  EXPECT_EQ(encode_key(std::int16_t{-2}), std::string("\x7f\xfe"));
  EXPECT_EQ(encode_key(std::string("a\0b", 3)), std::string("a\0\xff"
                                                            "b\0\0",
                                                            6));
  EXPECT_EQ(encode_key(Descending{std::uint8_t{1}}), std::string("\xfe"));
  EXPECT_EQ(encode_key(1.0), std::string("\xbf\xf0\0\0\0\0\0\0", 8));
  EXPECT_EQ(encode_key(-1.0F), std::string("\x40\x7f\xff\xff"));
  EXPECT_EQ(encode_key(std::optional<bool>{}), std::string(1, '\0'));
}

TEST(KeysOfViews, AreThoseOfStrings) { EXPECT_EQ(encode_key(std::string_view("ab")), encode_key(std::string("ab"))); }

TEST(PrefixRange, HoldsExactlyTheKeysThatBeginWithTheseParts) {
  using Key = std::tuple<std::string, std::uint8_t, std::string>;
  Random random(5);
  const auto within = [](const KeyRange& range, const std::string& key) {
    return key >= range.from && (!range.to.has_value() || key < *range.to);
  };
  for (int round = 0; round < 3000; ++round) {
    const auto key = Draw<Key>::one(random);
    const auto other = Draw<Key>::one(random);
    const bool same_first = std::get<0>(key) == std::get<0>(other);
    const bool same_second = same_first && std::get<1>(key) == std::get<1>(other);
    EXPECT_EQ(within(prefix_range(std::get<0>(key)), encode_key(other)), same_first);
    EXPECT_EQ(within(prefix_range(std::get<0>(key), std::get<1>(key)), encode_key(other)), same_second);
    EXPECT_TRUE(within(prefix_range(), encode_key(other)));
  }
}

TEST(AfterPrefix, IsTheNextKeyOfNoLongerLength) {
  EXPECT_EQ(after_prefix("ab"), "ac");
  EXPECT_EQ(after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(after_prefix("\xff\xff"), std::nullopt);
  EXPECT_EQ(after_prefix(""), std::nullopt);
}

}  // namespace
}  // namespace penstock
