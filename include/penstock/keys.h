// Keys of C++ types: an encoding whose bytes stand in the order of the values, and the way back.
//
//   std::string key = encode_key(std::tuple{std::uint32_t{7}, std::string("ant"), Descending<std::int64_t>{-3}});
//   auto parts = decode_key<std::tuple<std::uint32_t, std::string, Descending<std::int64_t>>>(key);
//
// What may stand in a key, and its order and bytes:
//   integers, enums     by value; big-endian, the sign bit of signed ones flipped
//   bool                false, true; one byte
//   float, double       by value; -0 is 0 and comes back as it; all NaNs are one, after infinity, and come back as the quiet
//   one std::string         (std::string_view too, into a key) unsigned bytes, shorter first, zero bytes allowed; 00 becomes 00
//   ff, and 00 00 ends it std::optional<T>    none, then the values; one byte, then the value's std::array<T, n>    element by
//   element, each as T; nothing between them std::tuple, std::pair   the same; nested ones too Descending<T>       T backwards;
//   its bytes inverted a type of yours     specialise KeyCodec<T>
// Invariants:
//   Keys-I1 encode(a) < encode(b) as unsigned bytes exactly if a comes before b in the order above; equal exactly if neither
//   does. Keys-I2 No encoding of a type is the beginning of another of that type. So encodings are put one after the other, and
//   the keys that begin with the encoding of a tuple's first parts are those that have these parts (prefix_range()). Keys-I3
//   decode() accepts what encode() makes and nothing else, whatever the bytes are: what it accepts, encode() makes again.
// Limits: a key has at most kKeyBytesMax bytes; put() checks that. Threads: any. Nothing here is checked on disk: who changes a
// family's key type reads garbage or gets `corruption`.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "penstock/bytes.h"
#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock {

/// T in descending order.
template <typename T>
struct Descending {
  T value{};
  friend bool operator==(const Descending&, const Descending&) = default;
  friend bool operator<(const Descending& left, const Descending& right) { return right.value < left.value; }
};
template <typename T>
Descending(T) -> Descending<T>;

/// How a T stands in a key. Of your own: `static void encode(const T&, std::string& out)` appends, `static bool decode(Bytes&
/// in, T& out)` takes its bytes off the front of `in`, or returns false; both keep Keys-I1 to Keys-I3.
template <typename T>
struct KeyCodec;

/// What can be made into a key, and what also comes back out of one.
template <typename T>
concept EncodableKey = requires(const T& value, std::string& out) { KeyCodec<T>::encode(value, out); };
template <typename T>
concept KeyPart = EncodableKey<T> && requires(T& decoded, Bytes& in) {
  { KeyCodec<T>::decode(in, decoded) } -> std::same_as<bool>;
};

template <EncodableKey T>
void append_key(const T& value, std::string& out) {
  KeyCodec<T>::encode(value, out);
}

/// The key of one value, or of several as of a tuple of them.
template <EncodableKey... T>
std::string encode_key(const T&... parts) {
  std::string out;
  (append_key(parts, out), ...);
  return out;
}

/// Errors: corruption (the bytes are not what encode_key() makes of a T).
template <KeyPart T>
Result<T> decode_key(Bytes key) {
  T value{};
  if (!KeyCodec<T>::decode(key, value) || !key.empty()) return std::unexpected(Status(Code::kCorruption));
  return value;
}

/// The first key after all those that begin with `prefix`; none: there is no such key.
inline std::optional<std::string> after_prefix(Bytes prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.remove_suffix(1);
  if (prefix.empty()) return std::nullopt;
  std::string key(prefix);
  key.back() = static_cast<char>(static_cast<unsigned char>(key.back()) + 1U);
  return key;
}

/// Keys from `from` to before `to`, or to the last if that is none.
struct KeyRange {
  std::string from;
  std::optional<std::string> to;
};

/// The keys whose first parts are these (Keys-I2); without parts all keys.
template <EncodableKey... T>
KeyRange prefix_range(const T&... parts) {
  std::string prefix = encode_key(parts...);
  std::optional<std::string> end = after_prefix(prefix);
  return {std::move(prefix), std::move(end)};
}

namespace detail {

/// Big-endian, all bytes.
template <std::unsigned_integral T>
void append_ordered(T value, std::string& out) {
  for (std::size_t byte = sizeof(T); byte-- > 0;) out.push_back(static_cast<char>(std::uint64_t{value} >> (8 * byte)));
}
template <std::unsigned_integral T>
bool take_ordered(Bytes& in, T& value) {
  if (in.size() < sizeof(T)) return false;
  std::uint64_t bits = 0;
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) bits = (bits << 8U) | static_cast<unsigned char>(in[byte]);
  in.remove_prefix(sizeof(T));
  value = static_cast<T>(bits);
  return true;
}

/// Moves the sign bit so that unsigned order is that of the values.
template <std::integral T>
constexpr auto ordered_bits(T value) {
  using Bits = std::make_unsigned_t<T>;
  const auto bits = static_cast<Bits>(value);
  return std::is_signed_v<T> ? static_cast<Bits>(bits ^ (Bits{1} << (8 * sizeof(T) - 1))) : bits;
}

}  // namespace detail

template <std::integral T>
  requires(!std::same_as<T, bool> && sizeof(T) <= 8)
struct KeyCodec<T> {
  static void encode(const T& value, std::string& out) { detail::append_ordered(detail::ordered_bits(value), out); }
  static bool decode(Bytes& in, T& value) {
    std::make_unsigned_t<T> bits = 0;
    if (!detail::take_ordered(in, bits)) return false;
    value = static_cast<T>(detail::ordered_bits(static_cast<T>(bits)));  // The same step back.
    return true;
  }
};

template <>
struct KeyCodec<bool> {
  static void encode(const bool& value, std::string& out) { out.push_back(value ? '\1' : '\0'); }
  static bool decode(Bytes& in, bool& value) {
    std::uint8_t byte = 0;
    if (!detail::take_ordered(in, byte) || byte > 1) return false;
    value = byte == 1;
    return true;
  }
};

template <typename T>
  requires std::is_enum_v<T>
struct KeyCodec<T> {
  using Number = std::underlying_type_t<T>;
  static void encode(const T& value, std::string& out) { append_key(static_cast<Number>(value), out); }
  static bool decode(Bytes& in, T& value) {
    Number number{};
    if (!KeyCodec<Number>::decode(in, number)) return false;
    value = static_cast<T>(number);
    return true;
  }
};

template <std::floating_point T>
  requires(std::numeric_limits<T>::is_iec559 && sizeof(T) <= 8)
struct KeyCodec<T> {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  static constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);

  /// Negative ones run backwards: all bits inverted. Positive ones come after them: the sign bit set.
  static void encode(const T& value, std::string& out) {
    T plain = value == T{0} ? T{0} : value;
    if (std::isnan(value)) plain = std::numeric_limits<T>::quiet_NaN();
    const auto bits = std::bit_cast<Bits>(plain);
    const bool is_negative = (bits & kSign) != 0 && !std::isnan(plain);
    detail::append_ordered(static_cast<Bits>(is_negative ? ~bits : bits | kSign), out);
  }
  static bool decode(Bytes& in, T& value) {
    Bits ordered = 0;
    if (!detail::take_ordered(in, ordered)) return false;
    const Bits bits = (ordered & kSign) != 0 ? ordered ^ kSign : ~ordered;
    const auto decoded = std::bit_cast<T>(bits);
    const bool is_plain_nan = bits == (std::bit_cast<Bits>(std::numeric_limits<T>::quiet_NaN()) & ~kSign);
    if ((std::isnan(decoded) && !is_plain_nan) || bits == kSign) return false;  // Keys-I3: a NaN but ours; -0.
    value = decoded;
    return true;
  }
};

namespace detail {

inline void append_escaped(Bytes bytes, std::string& out) {
  for (const char byte : bytes) {
    out.push_back(byte);
    if (byte == '\0') out.push_back('\xff');
  }
  out.append(2, '\0');
}

}  // namespace detail

/// Encoded as the string it views; there is no way back.
template <>
struct KeyCodec<std::string_view> {
  static void encode(const std::string_view& value, std::string& out) { detail::append_escaped(value, out); }
};

template <>
struct KeyCodec<std::string> {
  static void encode(const std::string& value, std::string& out) { detail::append_escaped(value, out); }
  static bool decode(Bytes& in, std::string& value) {
    value.clear();
    while (true) {
      const std::size_t zero = in.find('\0');
      if (zero == Bytes::npos || zero + 1 == in.size()) return false;
      const char escape = in[zero + 1];
      value.append(in.substr(0, zero));
      in.remove_prefix(zero + 2);
      if (escape == '\0') return true;
      if (escape != '\xff') return false;
      value.push_back('\0');
    }
  }
};

template <KeyPart T>
struct KeyCodec<std::optional<T>> {
  static void encode(const std::optional<T>& value, std::string& out) {
    append_key(value.has_value(), out);
    if (value.has_value()) append_key(*value, out);
  }
  static bool decode(Bytes& in, std::optional<T>& value) {
    bool is_there = false;
    if (!KeyCodec<bool>::decode(in, is_there)) return false;
    if (!is_there) {
      value.reset();
      return true;
    }
    return KeyCodec<T>::decode(in, value.emplace());
  }
};

template <KeyPart T, std::size_t kCount>
struct KeyCodec<std::array<T, kCount>> {
  static void encode(const std::array<T, kCount>& value, std::string& out) {
    for (const T& element : value) append_key(element, out);
  }
  static bool decode(Bytes& in, std::array<T, kCount>& value) {
    for (T& element : value) {
      if (!KeyCodec<T>::decode(in, element)) return false;
    }
    return true;
  }
};

template <KeyPart... T>
struct KeyCodec<std::tuple<T...>> {
  static void encode(const std::tuple<T...>& value, std::string& out) {
    std::apply([&](const T&... parts) { (append_key(parts, out), ...); }, value);
  }
  static bool decode(Bytes& in, std::tuple<T...>& value) {
    return std::apply([&](T&... parts) { return (KeyCodec<T>::decode(in, parts) && ...); }, value);
  }
};

template <KeyPart First, KeyPart Second>
struct KeyCodec<std::pair<First, Second>> {
  static void encode(const std::pair<First, Second>& value, std::string& out) {
    append_key(value.first, out);
    append_key(value.second, out);
  }
  static bool decode(Bytes& in, std::pair<First, Second>& value) {
    return KeyCodec<First>::decode(in, value.first) && KeyCodec<Second>::decode(in, value.second);
  }
};

template <KeyPart T>
struct KeyCodec<Descending<T>> {
  static void encode(const Descending<T>& value, std::string& out) {
    const std::size_t begin = out.size();
    append_key(value.value, out);
    for (std::size_t at = begin; at < out.size(); ++at) out[at] = static_cast<char>(~out[at]);
  }
  static bool decode(Bytes& in, Descending<T>& value) {
    std::string inverted(in);  // To the key's end, which is near.
    for (char& byte : inverted) byte = static_cast<char>(~byte);
    Bytes rest = inverted;
    if (!KeyCodec<T>::decode(rest, value.value)) return false;
    in.remove_prefix(in.size() - rest.size());
    return true;
  }
};

}  // namespace penstock
