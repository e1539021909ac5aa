#include "btree/page_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "base/random.h"

namespace penstock::btree {
namespace {

ChildPointer page_at(std::uint32_t block, std::uint8_t blocks = 1, std::uint64_t birth = 1) {
  ChildPointer pointer;
  pointer.address = {1, block};
  pointer.blocks = blocks;
  pointer.birth = birth;
  pointer.checksum = (block * 0x9e37'79b9'7f4a'7c15ULL) ^ (birth << 3U);
  return pointer;
}

void add(PageCache& cache, const ChildPointer& pointer, bool admit = true) {
  Frame* frame = cache.insert(pointer, admit);
  ASSERT_NE(frame, nullptr);
  std::memset(frame->data, static_cast<int>(pointer.address.block & 0xff), frame->bytes().size());
  PageCache::unpin(*frame);
}

bool has(PageCache& cache, const ChildPointer& pointer) {
  Frame* frame = cache.find(pointer);
  if (frame == nullptr) return false;
  EXPECT_EQ(frame->data[0], static_cast<std::byte>(pointer.address.block & 0xff));
  PageCache::note_use(*frame);
  return true;
}

TEST(PageCache, APageIsFoundByAddressBirthChecksumAndLength) {
  PageCache cache(1_MiB);
  add(cache, page_at(300, 2));
  EXPECT_TRUE(has(cache, page_at(300, 2)));
  EXPECT_FALSE(has(cache, page_at(300, 1)));
  EXPECT_FALSE(has(cache, page_at(300, 2, 2)));
  EXPECT_FALSE(has(cache, page_at(301, 2)));
  add(cache, page_at(300, 2, 2));  // The zone was written again.
  EXPECT_FALSE(has(cache, page_at(300, 2)));
  EXPECT_TRUE(has(cache, page_at(300, 2, 2)));
}

TEST(PageCache, MemoryStaysWithinTheLimitWhateverTheSizes) {
  PageCache cache(2_MiB);
  base::Random random(3);
  for (std::uint32_t round = 0; round < 20'000; ++round) {
    const auto pointer =
        page_at(static_cast<std::uint32_t>(random.below(4000)), static_cast<std::uint8_t>(1 + random.below(16)));
    if (!has(cache, pointer)) add(cache, pointer);
    ASSERT_LE(cache.bytes(), 2_MiB);
  }
  EXPECT_GT(cache.evictions(), 0U);
  cache.set_bytes_max(256_KiB);
  EXPECT_LE(cache.bytes(), 256_KiB);
  cache.set_bytes_max(2_MiB);
  add(cache, page_at(9, 16));
  EXPECT_TRUE(has(cache, page_at(9, 16)));
}

TEST(PageCache, PinnedPagesStayAndLooseOnesGoWithTheirPins) {
  PageCache cache(64_KiB);  // 16 frames of one block.
  std::vector<PageRef> pins;
  for (std::uint32_t block = 0; block < 40; ++block) {
    Frame* frame = cache.insert(page_at(block), true);
    ASSERT_NE(frame, nullptr);
    pins.emplace_back(frame);
    PageCache::unpin(*frame);
  }
  for (std::uint32_t block = 0; block < 40; ++block) EXPECT_NE(cache.find(page_at(block)), nullptr);
  EXPECT_EQ(cache.bytes(), 64_KiB + (24 * kPageBlockBytes));
  pins.clear();
  EXPECT_EQ(cache.bytes(), 64_KiB);
}

TEST(PageCache, AForgottenPageLivesUntilItsLastReference) {
  PageCache cache(64_KiB);
  Frame* frame = cache.insert(page_at(1), true);
  std::memset(frame->data, 7, 4096);
  {
    const PageRef page(frame);
    PageCache::unpin(*frame);
    cache.forget(page_at(1));
    EXPECT_EQ(cache.find(page_at(1)), nullptr);
    for (std::uint32_t block = 100; block < 200; ++block) add(cache, page_at(block));
    EXPECT_EQ(page.bytes()[4095], std::byte{7});
  }
  EXPECT_EQ(cache.pinned_frames(), 0U);
}

TEST(PageCache, AScanDoesNotPushOutWhatIsUsedOften) {
  PageCache cache(1_MiB);  // 256 frames.
  for (std::uint32_t round = 0; round < 4; ++round) {
    for (std::uint32_t block = 0; block < 100; ++block) {
      if (!has(cache, page_at(block))) add(cache, page_at(block));
    }
  }
  for (std::uint32_t block = 1000; block < 6000; ++block) add(cache, page_at(block));
  std::uint32_t kept = 0;
  for (std::uint32_t block = 0; block < 100; ++block) kept += has(cache, page_at(block)) ? 1U : 0U;
  EXPECT_GE(kept, 95U);
}

TEST(PageCache, AReplacedPageGoesFirst) {
  PageCache cache(64_KiB);
  for (std::uint32_t block = 0; block < 16; ++block) add(cache, page_at(block));
  for (std::uint32_t round = 0; round < 3; ++round) EXPECT_TRUE(has(cache, page_at(5)));
  cache.mark_replaced(*cache.find(page_at(5)));
  add(cache, page_at(100));
  EXPECT_FALSE(has(cache, page_at(5)));
}

TEST(PageCache, ItAgreesWithAMapOverRandomOperations) {
  PageCache cache(8_MiB);
  base::Random random(11);
  std::map<std::uint32_t, std::uint64_t> births;  // What may be there: evictions only take away.
  for (std::uint32_t round = 0; round < 100'000; ++round) {
    const auto block = static_cast<std::uint32_t>(random.below(5000));
    const std::uint64_t birth = births.contains(block) ? births[block] : 0;
    if (random.one_in(20) && birth != 0) {
      cache.forget(page_at(block, 1, birth));
      ASSERT_EQ(cache.find(page_at(block, 1, birth)), nullptr);
      births.erase(block);
    } else if (birth == 0 || random.one_in(10)) {
      births[block] = birth + 1;
      add(cache, page_at(block, 1, birth + 1), !random.one_in(10));
      if (birth != 0) {
        ASSERT_EQ(cache.find(page_at(block, 1, birth)), nullptr);
      }
    } else if (Frame* frame = cache.find(page_at(block, 1, birth)); frame != nullptr) {
      ASSERT_EQ(frame->data[100], static_cast<std::byte>(block & 0xff));
    }
  }
}

Frame& framed(PageCache& cache, const ChildPointer& pointer) {
  if (cache.find(pointer) == nullptr) add(cache, pointer);
  return *cache.find(pointer);
}

TEST(PageCache, ALinkGoesWithItsChild) {
  PageCache cache(1_MiB);
  Frame& parent = framed(cache, page_at(1));
  PageCache::prepare_links(parent, 10);
  EXPECT_EQ(PageCache::linked(parent, 7).frame, nullptr);
  Frame& child = framed(cache, page_at(2));
  PageCache::link(parent, 7, child);
  EXPECT_EQ(PageCache::linked(parent, 7).frame, &child);
  EXPECT_EQ(PageCache::linked(parent, 7).data, child.data);
  cache.forget(child);
  EXPECT_EQ(PageCache::linked(parent, 7).frame, nullptr);
  EXPECT_EQ(PageCache::linked(parent, 7).data, nullptr);
}

TEST(PageCache, ALinkGoesWhenAPinnedChildIsForgotten) {
  PageCache cache(1_MiB);
  Frame& parent = framed(cache, page_at(1));
  PageCache::prepare_links(parent, 1);
  Frame& child = framed(cache, page_at(2));
  PageCache::link(parent, 0, child);
  PageCache::pin(child);
  cache.forget(child);  // Its reader goes on; look-ups no longer come here.
  EXPECT_EQ(PageCache::linked(parent, 0).frame, nullptr);
  PageCache::unpin(child);
}

TEST(PageCache, LinksGoWithTheirParent) {
  PageCache cache(1_MiB);
  Frame& child = framed(cache, page_at(2));
  for (std::uint32_t round = 0; round < 3; ++round) {  // The parent's frame is used again.
    Frame& parent = framed(cache, page_at(1));
    PageCache::prepare_links(parent, 5);
    EXPECT_EQ(PageCache::linked(parent, 4).frame, nullptr);
    PageCache::link(parent, 4, child);
    cache.forget(parent);
    EXPECT_EQ(child.linked_by, nullptr);
  }
}

TEST(PageCache, TheNewestParentHasTheLink) {
  PageCache cache(1_MiB);
  Frame& child = framed(cache, page_at(2));
  Frame& older = framed(cache, page_at(1));
  Frame& newer = framed(cache, page_at(3));
  PageCache::prepare_links(older, 2);
  PageCache::prepare_links(newer, 3);
  PageCache::link(older, 1, child);
  PageCache::link(newer, 2, child);
  EXPECT_EQ(PageCache::linked(older, 1).frame, nullptr);
  EXPECT_EQ(PageCache::linked(newer, 2).frame, &child);
  cache.forget(older);
  EXPECT_EQ(PageCache::linked(newer, 2).frame, &child);
}

// Every 50th block is a parent of those behind it.
TEST(PageCache, LinksAgreeWithTheTableOverRandomOperations) {
  constexpr std::uint32_t kChildren = 49;
  PageCache cache(8_MiB);
  base::Random random(12);
  std::uint32_t followed = 0;
  for (std::uint32_t round = 0; round < 200'000; ++round) {
    const auto first = static_cast<std::uint32_t>(random.below(100) * (kChildren + 1));
    const auto index = static_cast<std::uint32_t>(random.below(kChildren));
    Frame* parent = cache.find(page_at(first));
    if (parent == nullptr) {
      add(cache, page_at(first), !random.one_in(4));
      parent = cache.find(page_at(first));
      if (parent == nullptr) continue;  // Not admitted.
      PageCache::prepare_links(*parent, kChildren);
    }
    const ChildPointer wanted = page_at(first + 1 + index);
    Frame* child = cache.find(wanted);
    if (const FrameLink link = PageCache::linked(*parent, index); link.frame != nullptr) {
      ASSERT_EQ(link.frame, child);
      ASSERT_EQ(link.data, child->data);
      ++followed;
    } else if (child != nullptr) {
      PageCache::link(*parent, index, *child);
    }
    if (child == nullptr) add(cache, wanted);
    if (random.one_in(50)) cache.forget(random.one_in(5) ? page_at(first) : wanted);
  }
  EXPECT_GT(followed, 10'000U);
}

}  // namespace
}  // namespace penstock::btree
