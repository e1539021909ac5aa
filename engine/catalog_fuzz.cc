// Records on hostile bytes: the walk over a payload's operations, which encode to the same bytes again, and the catalog that
// those of family 0 build. Catalog-I1, Catalog-I2 hold whatever was loaded.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/assert.h"
#include "engine/catalog.h"
#include "engine/family_state.h"
#include "engine/operation.h"
#include "tests/fuzz/fuzz_target.h"

namespace penstock::engine {
namespace {

void check(const Catalog& catalog) {
  Catalog again(4);
  std::size_t count = 0;
  catalog.for_each([&](const std::string& name, const detail::FamilyState& family) {
    ++count;
    PENSTOCK_ASSERT_EQ(family.name, name);
    PENSTOCK_ASSERT_GE(family.id, kFamilyIdUserMin);
    for (const Bytes key : {Bytes(), Bytes("a"), Bytes("a/b/c"), Bytes("\xff\0x", 3)}) {
      PENSTOCK_ASSERT_LT(family.shard_of(key), 4);
    }
    const std::string value = encode_family(family);
    const Status loaded = again.load("n" + name, value);
    PENSTOCK_ASSERT(loaded.is_ok());
  });
  PENSTOCK_ASSERT_EQ(catalog.families().size(), count);
  PENSTOCK_ASSERT_EQ(again.family_count(), count);
}

}  // namespace

void fuzz_catalog(fuzz::Input input) {
  const Bytes payload = input.take_text(input.rest().size());
  Catalog catalog(4);
  OperationReader reader(payload);
  std::vector<char> encoded;
  bool is_loading = true;
  while (reader.next()) {
    const Operation& operation = reader.operation();
    encode_operation(operation, encoded);
    if (!is_loading || operation.kind == OperationKind::kPutExtent) continue;
    const bool is_put = operation.kind == OperationKind::kPut;
    is_loading = catalog.load(operation.key, is_put ? std::optional(operation.value) : std::nullopt).is_ok();
  }
  PENSTOCK_ASSERT(payload.starts_with(Bytes(encoded.data(), encoded.size())));
  PENSTOCK_ASSERT(!reader.status().is_ok() || encoded.size() == payload.size());
  check(catalog);
}

}  // namespace penstock::engine

PENSTOCK_FUZZ_TARGET(penstock::engine::fuzz_catalog)
