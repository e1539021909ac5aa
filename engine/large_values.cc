#include "engine/large_values.h"

#include "base/assert.h"
#include "engine/operation.h"

namespace penstock::engine {

namespace {

bool is_large(const Operation& operation) noexcept {
  return operation.kind == OperationKind::kPut && operation.value.size() > kLoggedValueBytesMax;
}

}  // namespace

void EarlyExtents::hold(const std::shared_ptr<btree::PageStore>& store, const btree::ExtentPointer& pointer) {
  store->hold_early(pointer);
  take_over(store, pointer);
}

void EarlyExtents::take_over(const std::shared_ptr<btree::PageStore>& store, const btree::ExtentPointer& pointer) {
  store_ = store;
  extents_.push_back(pointer);
  bytes_ += pointer.value_bytes;
}

void EarlyExtents::release() noexcept {
  const std::shared_ptr<btree::PageStore> store = store_.lock();
  for (const btree::ExtentPointer& pointer : extents_) {
    if (store != nullptr) {
      store->release_early(pointer);
    }
  }
  extents_.clear();
  bytes_ = 0;
}

std::vector<btree::PageStore::EarlyValue> large_values_of(Bytes payload) {
  std::vector<btree::PageStore::EarlyValue> values;
  OperationReader reader(payload);
  while (reader.next()) {
    const Operation& operation = reader.operation();
    if (is_large(operation)) {
      values.push_back({.family = operation.family, .key = operation.key, .value = operation.value});
    }
  }
  return values;
}

std::vector<char> with_extents(Bytes payload, const std::vector<btree::ExtentPointer>& extents) {
  std::vector<char> rewritten;
  std::size_t index = 0;
  OperationReader reader(payload);
  while (reader.next()) {
    Operation operation = reader.operation();
    std::string stored;
    if (is_large(operation)) {
      stored = btree::extent_to_bytes(extents[index++]);
      operation.kind = OperationKind::kPutExtent;
      operation.value = stored;
    }
    encode_operation(operation, rewritten);
  }
  PENSTOCK_ASSERT_EQ(index, extents.size());
  return rewritten;
}

}  // namespace penstock::engine
