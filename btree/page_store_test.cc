#include "btree/page_store.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "btree/store_harness.h"

namespace penstock::btree {
namespace {

TEST(PageStore, ANewStoreOpensEmptyAtGenerationOne) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  EXPECT_EQ(harness.store().current().generation, 1U);
  EXPECT_TRUE(harness.store().current().roots.is_null());
  EXPECT_EQ(harness.store().older_applied(), AppliedPosition{});
  EXPECT_EQ(harness.store().space().file_bytes, 0U);
}

TEST(PageStore, PublishedPagesAreReadAfterReopening) {
  StoreHarness harness(1);
  harness.create();
  harness.open();
  for (std::uint32_t pass = 0; pass < 10; ++pass) ASSERT_TRUE(harness.script_pass(pass).is_ok());
  EXPECT_EQ(harness.store().current().generation, 11U);
  EXPECT_EQ(harness.verify(), "");
  harness.reopen();
  EXPECT_EQ(harness.store().current().generation, 11U);
  EXPECT_EQ(harness.verify(), "");
}

}  // namespace
}  // namespace penstock::btree
