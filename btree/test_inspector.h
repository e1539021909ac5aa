// Verification in tests: the first damage as a status, and every block to a function.
#pragma once

#include <utility>

#include "btree/btree.h"

namespace penstock::btree {

class TestInspector final : public TreeInspector {
 public:
  using OnBlocks = void (*)(void* context, Address address, std::uint64_t blocks);
  TestInspector(OnBlocks function, void* context) noexcept : on_blocks_(function), context_(context) {}

  const Status& first_damage() const noexcept { return first_damage_; }
  void on_blocks(Address address, std::uint64_t blocks) override { on_blocks_(context_, address, blocks); }
  void on_damage(const TreeDamage& damage) override {
    if (first_damage_.is_ok()) first_damage_ = damage.status;
  }
  Task<bool> go_on(std::uint64_t bytes) override {
    (void)bytes;
    co_return true;
  }

 private:
  OnBlocks on_blocks_;
  void* context_;
  Status first_damage_;
};

inline Task<Status> check_all(PageStore* store, FamilyTrees trees, FamilyId family, TestInspector::OnBlocks on_blocks,
                              void* context) {
  TestInspector inspector(on_blocks, context);
  (void)co_await check(*store, std::move(trees), family, store->current().generation, inspector);
  co_return inspector.first_damage();
}

}  // namespace penstock::btree
