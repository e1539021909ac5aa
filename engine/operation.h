// Encoding and decoding the operations of a batch.
//
// The decoder trusts nothing: a payload whose checksum is right may still have been written by a broken or newer program.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/operation_format.h"
#include "penstock/bytes.h"
#include "penstock/status.h"
#include "penstock/types.h"

namespace penstock::engine {

struct Operation {
  OperationKind kind = OperationKind::kPut;
  FamilyId family = 0;
  Bytes key;
  Bytes value;
};

/// Bytes that encode_operation appends.
constexpr std::uint64_t operation_bytes(std::uint64_t key_bytes, std::uint64_t value_bytes) noexcept {
  return sizeof(OperationHeader) + key_bytes + value_bytes;
}
void encode_operation(const Operation& operation, std::vector<char>& out);

/// Walks an encoded payload: `while (reader.next()) use(reader.operation())`, then status().
class OperationReader {
 public:
  explicit OperationReader(Bytes payload) noexcept : rest_(payload) {}

  bool next() noexcept;
  const Operation& operation() const noexcept { return operation_; }
  /// Ok at the end; `corruption` for lengths or fields that cannot be, `not_supported` for an unknown kind or flag.
  Status status() const noexcept { return status_; }

 private:
  Bytes rest_;
  Operation operation_;
  Status status_;
};

}  // namespace penstock::engine
