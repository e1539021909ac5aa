#include "reactor/sim_world.h"

#include <algorithm>
#include <string>

namespace penstock::reactor {

namespace {

SimSystemOptions with_seed(SimSystemOptions options, std::uint64_t seed) noexcept {
  options.seed = seed;
  return options;
}

}  // namespace

SimWorld::SimWorld(SimDisk& disk, const SimWorldOptions& options)
    : seed_(options.seed), random_(options.seed), system_(disk, with_seed(options.system, random_.next())) {
  PENSTOCK_ASSERT_GT(options.reactors, 0U);
  for (std::uint32_t index = 0; index < options.reactors; ++index) {
    auto io = std::make_unique<SimIo>(system_, options.io_entries);
    Node node;
    node.io = io.get();
    node.reactor = std::make_unique<Reactor>(system_, std::move(io), index, options.reactor);
    nodes_.push_back(std::move(node));
  }
}

SimWorld::~SimWorld() { drain(); }

bool SimWorld::has_work(const Node& node) const noexcept {
  const std::uint64_t now = system_.time_ns();
  return node.wants_poll || node.reactor->has_ready_work() || node.io->next_event_ns() <= now ||
         node.reactor->next_timer_ns() <= now;
}

std::uint64_t SimWorld::next_event_ns() const noexcept {
  std::uint64_t next = ~0ULL;
  for (const Node& node : nodes_) next = std::min({next, node.io->next_event_ns(), node.reactor->next_timer_ns()});
  return next;
}

bool SimWorld::poll_one() {
  runnable_.clear();
  for (std::uint32_t index = 0; index < nodes_.size(); ++index) {
    if (has_work(nodes_[index])) runnable_.push_back(index);
  }
  if (runnable_.empty()) return false;
  const std::uint32_t index = runnable_[runnable_.size() == 1 ? 0 : random_.below(runnable_.size())];
  Node& node = nodes_[index];
  node.wants_poll = node.reactor->poll();
  system_.advance_to(system_.time_ns() + 200 + random_.below(1'000));  // What a pass takes.
  disk().faults().mix((system_.time_ns() << 8U) | index);
  return true;
}

bool SimWorld::step() {
  if (poll_one()) return true;
  const std::uint64_t next = next_event_ns();
  if (next == ~0ULL) return false;
  system_.advance_to(next);
  return poll_one();
}

bool SimWorld::run_until(const std::function<bool()>& done, std::uint64_t steps_max) {
  for (std::uint64_t count = 0; count < steps_max; ++count) {
    if (done()) return true;
    if (!step()) return done();
  }
  return done();
}

void SimWorld::drain() {
  const auto is_busy = [this] {
    return std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) {
      return node.wants_poll || node.reactor->has_ready_work() || node.io->in_flight() != 0;
    });
  };
  while (is_busy()) {
    if (!step()) return;
  }
}

void SimWorld::run_for(std::uint64_t duration_ns) {
  const std::uint64_t end_ns = system_.time_ns() + duration_ns;
  while (system_.time_ns() < end_ns) {
    if (poll_one()) continue;
    system_.advance_to(std::min(end_ns, next_event_ns()));
  }
}

void SimWorld::stop_at_deadlock() const {
  std::string text =
      "simulation of seed " + std::to_string(seed_) + " stands still at " + std::to_string(system_.time_ns()) + " ns";
  for (const Node& node : nodes_) {
    text += "; reactor " + std::to_string(node.reactor->index()) + ": " + std::to_string(node.io->in_flight()) + " in flight";
    if (node.reactor->has_ready_work()) text += ", tasks ready";
  }
  base::assert_failed(__FILE__, __LINE__, text.c_str());
}

}  // namespace penstock::reactor
