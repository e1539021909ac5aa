#include "base/ring_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "base/random.h"

namespace penstock::base {
namespace {

TEST(RingQueue, EqualsADequeWhateverIsDoneToIt) {
  Random random(7);
  RingQueue<std::uint64_t> queue;
  std::deque<std::uint64_t> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t value = random.below(50);
    switch (random.below(step % 2000 < 1000 ? 6 : 12)) {  // Grows, then shrinks.
      case 0:
        queue.push_front(value);
        model.push_front(value);
        break;
      case 1:
        if (random.one_in(20)) {
          queue.erase(value);
          std::erase(model, value);
        }
        break;
      case 2:
      case 3:
      case 4:
        queue.push_back(value);
        model.push_back(value);
        break;
      default:
        if (!model.empty()) {
          const std::size_t count = 1 + random.below(std::min<std::uint64_t>(model.size(), 3));
          queue.pop_front(count);
          model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(count));
        }
        break;
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_EQ(queue.empty(), model.empty());
    for (std::size_t index = 0; index < model.size(); index += 1 + index / 4) ASSERT_EQ(queue[index], model[index]);
    if (!model.empty()) {
      ASSERT_EQ(queue.front(), model.front());
    }
  }
}

}  // namespace
}  // namespace penstock::base
