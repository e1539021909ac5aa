#include "engine/operation.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"

namespace penstock::engine {
namespace {

Bytes view(const std::vector<char>& bytes) { return {bytes.data(), bytes.size()}; }

std::vector<char> encode_one(const Operation& operation) {
  std::vector<char> out;
  encode_operation(operation, out);
  return out;
}

/// The status at the end of a payload.
Status read_to_end(Bytes payload) {
  OperationReader reader(payload);
  while (reader.next()) {
  }
  return reader.status();
}

TEST(OperationReader, AnEmptyPayloadHasNoOperations) {
  OperationReader reader({});
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.status().is_ok());
}

TEST(OperationReader, OperationsComeBackInTheirOrder) {
  base::Random random(7);
  std::vector<Operation> written;
  std::vector<std::string> texts;
  for (std::uint32_t index = 0; index < 400; ++index) {
    texts.push_back(std::string(random.below(kKeyBytesMax + 1), static_cast<char>(random.next())));
    texts.push_back(std::string(random.below(3000), static_cast<char>(random.next())));
  }
  std::vector<char> encoded;
  std::uint64_t bytes = 0;
  for (std::size_t index = 0; index < texts.size(); index += 2) {
    const bool is_put = random.below(3) != 0;
    written.push_back({.kind = is_put ? OperationKind::kPut : OperationKind::kRemove,
                       .family = static_cast<FamilyId>(random.next()),
                       .key = texts[index],
                       .value = is_put ? Bytes(texts[index + 1]) : Bytes()});
    encode_operation(written.back(), encoded);
    bytes += operation_bytes(written.back().key.size(), written.back().value.size());
  }
  EXPECT_EQ(encoded.size(), bytes);
  OperationReader reader(view(encoded));
  for (const Operation& operation : written) {
    ASSERT_TRUE(reader.next());
    ASSERT_EQ(reader.operation().kind, operation.kind);
    ASSERT_EQ(reader.operation().family, operation.family);
    ASSERT_EQ(reader.operation().key, operation.key);
    ASSERT_EQ(reader.operation().value, operation.value);
  }
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.status().is_ok());
}

TEST(OperationReader, APayloadCutAnywhereIsCorruption) {
  const std::vector<char> whole = encode_one({.kind = OperationKind::kPut, .family = 16, .key = "key", .value = "value"});
  EXPECT_TRUE(read_to_end(view(whole)).is_ok());
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
    EXPECT_TRUE(read_to_end(view(whole).substr(0, bytes)).is(Code::kCorruption)) << bytes;
  }
}

TEST(OperationReader, APutOfAnExtentHasAPointerForItsValue) {
  const std::string pointer(32, 'p');
  const std::vector<char> encoded =
      encode_one({.kind = OperationKind::kPutExtent, .family = 16, .key = "key", .value = pointer});
  OperationReader reader(view(encoded));
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.operation().kind, OperationKind::kPutExtent);
  EXPECT_EQ(reader.operation().value, pointer);
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.status().is_ok());
  const std::vector<char> shorter = encode_one({.kind = OperationKind::kPutExtent, .family = 16, .key = "key", .value = "p"});
  EXPECT_TRUE(read_to_end(view(shorter)).is(Code::kCorruption));
}

TEST(OperationReader, AnUnknownKindOrFlagIsNotSupported) {
  for (std::uint32_t kind = 0; kind < 256; ++kind) {
    std::vector<char> encoded = encode_one({.kind = OperationKind::kPut, .family = 16, .key = "key", .value = {}});
    encoded[0] = static_cast<char>(kind);
    const Code known = kind == 3 ? Code::kCorruption : Code::kOk;  // An extent pointer has 32 bytes.
    EXPECT_EQ(read_to_end(view(encoded)).code(), kind >= 1 && kind <= 3 ? known : Code::kNotSupported) << kind;
  }
  for (std::uint32_t bit = 0; bit < 8; ++bit) {
    std::vector<char> encoded = encode_one({.kind = OperationKind::kPut, .family = 16, .key = "key", .value = {}});
    encoded[1] = static_cast<char>(1U << bit);
    EXPECT_TRUE(read_to_end(view(encoded)).is(Code::kNotSupported)) << bit;
  }
}

TEST(OperationReader, AKeyOverItsLimitIsCorruption) {
  std::vector<char> encoded(sizeof(OperationHeader) + kKeyBytesMax + 1);
  OperationHeader header;
  header.kind = static_cast<std::uint8_t>(OperationKind::kPut);
  header.key_bytes = static_cast<std::uint16_t>(kKeyBytesMax + 1);
  std::memcpy(encoded.data(), &header, sizeof(header));
  EXPECT_TRUE(read_to_end(view(encoded)).is(Code::kCorruption));
}

TEST(OperationReader, ARemovalWithAValueIsCorruption) {
  std::vector<char> encoded = encode_one({.kind = OperationKind::kPut, .family = 16, .key = "key", .value = "value"});
  encoded[0] = static_cast<char>(OperationKind::kRemove);
  EXPECT_TRUE(read_to_end(view(encoded)).is(Code::kCorruption));
}

TEST(OperationReader, NothingFollowsAnError) {
  std::vector<char> encoded = encode_one({.kind = OperationKind::kPut, .family = 16, .key = "key", .value = {}});
  encoded[1] = 1;
  encode_operation({.kind = OperationKind::kPut, .family = 16, .key = "good", .value = {}}, encoded);
  OperationReader reader(view(encoded));
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.status().is(Code::kNotSupported));
}

/// Whatever the bytes: what comes out lies within them, is within the limits, and is what the encoder makes of it again.
TEST(OperationReader, RandomBytesAreReadWithinTheirBounds) {
  std::uint64_t accepted = 0;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    base::Random random(seed);
    // Half of the headers are nearly right, so that lengths are believed now and then.
    std::vector<char> payload(random.below(200));
    for (char& byte : payload) {
      byte = random.one_in(2) ? static_cast<char>(random.below(4)) : static_cast<char>(random.next());
    }
    if (payload.size() > sizeof(OperationHeader) && !random.one_in(4)) {
      OperationHeader header;
      header.kind = static_cast<std::uint8_t>(1 + random.below(2));
      header.key_bytes = static_cast<std::uint16_t>(random.below(payload.size()));
      header.value_bytes = static_cast<std::uint32_t>(random.below(payload.size()));
      std::memcpy(payload.data(), &header, sizeof(header));
    }
    OperationReader reader(view(payload));
    std::vector<char> again;
    while (reader.next()) {
      const Operation& operation = reader.operation();
      ASSERT_LE(operation.key.size(), kKeyBytesMax);
      ASSERT_GE(operation.key.data(), payload.data());
      ASSERT_LE(operation.value.data() + operation.value.size(), payload.data() + payload.size());
      encode_operation(operation, again);
      ++accepted;
    }
    ASSERT_LE(again.size(), payload.size());
    EXPECT_TRUE(view(again) == view(payload).substr(0, again.size()));
    EXPECT_EQ(reader.status().is_ok(), again.size() == payload.size());
  }
  EXPECT_GT(accepted, 100U);  // The generator reaches the interesting part.
}

}  // namespace
}  // namespace penstock::engine
