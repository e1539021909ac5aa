#include "engine/pass_turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "reactor/sim_disk.h"
#include "reactor/sim_world.h"

namespace penstock::engine {
namespace {

struct Passes {
  PassTurns* turns = nullptr;
  std::vector<int> begun;
  int running = 0;
  int running_most = 0;

  static Task<> flush(Passes* passes, reactor::Reactor* reactor, int number) {
    const PassTurns::Turn turn = co_await passes->turns->take();
    passes->begun.push_back(number);
    passes->running_most = std::max(passes->running_most, ++passes->running);
    co_await reactor->sleep(1'000'000);
    --passes->running;
  }
  static Task<> flush_all(Passes* passes, reactor::Reactor* reactor) {
    reactor::TaskGroup group(*reactor);
    for (int number = 0; number < 6; ++number) group.spawn(&Passes::flush, passes, reactor, number);
    co_await group.join();
  }
};

TEST(PassTurns, LetFewInAtOnceInTheOrderInWhichTheyAsked) {
  reactor::SimDisk disk(1);
  reactor::SimWorld world(disk, {.seed = 1});
  PassTurns turns(world.reactor(0), 2);
  Passes passes;
  passes.turns = &turns;
  world.run(0, &Passes::flush_all, &passes, &world.reactor(0));
  EXPECT_EQ(passes.begun, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(passes.running_most, 2);
  EXPECT_EQ(passes.running, 0);
  world.run(0, &Passes::flush_all, &passes, &world.reactor(0));  // All turns came back.
  EXPECT_EQ(passes.begun.size(), 12U);
}

}  // namespace
}  // namespace penstock::engine
