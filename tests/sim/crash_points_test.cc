// Goal: there is no point in the life of a database at which losing power loses what was promised. Method: each scenario of
// script.cc is run again and again, and power goes off at each numbered event of the disk in turn. From each such state come
// many images: with nothing, everything, a prefix or random sectors of what no sync covered, and with the write that was under
// way torn at every sector boundary. Each image is opened and compared with the history; and for some of them the opening is
// cut itself, at each of its events in turn, and the next opening is compared. The points are counted and printed.
// PENSTOCK_POINTS_EVERY: only every so many of the cuts within recovery (default 1: all).
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/sim/script.h"
#include "tests/sim/sim_memory.h"

namespace penstock::simtest {
namespace {

using reactor::SimCut;
using reactor::SimDisk;

constexpr std::uint64_t kWorldSeed = 5;

struct Points {
  std::uint64_t events = 0;
  std::uint64_t images = 0;
  std::uint64_t in_recovery = 0;
};

std::uint64_t environment_number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

/// What a cut may leave of a state in which a write of so many sectors was under way.
std::vector<SimCut> rules_of(std::uint64_t sectors, std::uint64_t seed) {
  using Data = SimCut::Data;
  using Names = SimCut::Names;
  std::vector<SimCut> rules;
  for (std::uint64_t torn = 0; torn <= sectors; ++torn) {
    rules.push_back({.data = Data::kNone, .names = Names::kNone, .in_flight_sectors = torn, .seed = seed});
    rules.push_back({.data = Data::kAll, .names = Names::kAll, .in_flight_sectors = torn, .seed = seed});
  }
  rules.push_back({.data = Data::kPrefix, .names = Names::kPrefix, .seed = seed});
  rules.push_back({.data = Data::kSuffix, .names = Names::kAll, .seed = seed});
  rules.push_back({.data = Data::kChanges, .names = Names::kAny, .seed = seed});
  rules.push_back({.data = Data::kSectors, .names = Names::kAny, .noise = true, .seed = seed});
  rules.push_back({.data = Data::kAll, .names = Names::kNone, .seed = seed});
  return rules;
}

std::string check_image(SimDisk& disk, ScriptModel model) {
  Script script(disk, model, kWorldSeed);
  std::string wrong;
  if (const Status opened = script.open(); !opened.is_ok()) {
    wrong = "open fails: " + opened.to_string();
  } else {
    wrong = script.check_recovered(End::kPowerCut);
  }
  disk.power_off();
  return wrong;
}

/// Opens the image with a cut at each event of the opening. Empty: all was well.
std::string cut_in_recovery(const SimDisk& image, const ScriptModel& model, std::uint64_t every, Points& points) {
  for (std::uint64_t step = 1;; step += every) {
    const std::unique_ptr<SimDisk> disk = image.clone();
    disk->cut_at(disk->faults().events() + step);
    ScriptModel unused = model;
    {
      Script script(*disk, unused, kWorldSeed);
      (void)script.open();
      if (disk->is_powered()) {
        disk->power_off();
        return {};  // The opening has no more events.
      }
    }
    SimCut cut = SimCut::draw(step);
    disk->cut_power(cut);
    ++points.in_recovery;
    if (const std::string wrong = check_image(*disk, model); !wrong.empty()) {
      return "cut at event " + std::to_string(step) + " of the recovery: " + wrong;
    }
  }
}

std::string check_point(const Prepared& prepared, const Scenario& scenario, std::uint64_t event, std::uint64_t every,
                        bool& is_past_end, Points& points) {
  const std::unique_ptr<SimDisk> disk = prepared.disk->clone();
  ScriptModel model = prepared.model;
  const std::uint64_t begin = disk->faults().events();
  {
    Script script(*disk, model, kWorldSeed);
    if (scenario.breaks_opening) {
      disk->cut_at(begin + event);
    }
    if (const Status opened = script.open(); !opened.is_ok() && disk->is_powered()) {
      return "open fails: " + opened.to_string();
    }
    if (!scenario.breaks_opening) {
      disk->cut_at(disk->faults().events() + event);
    }
    scenario.play(script);
    is_past_end = disk->is_powered();
    if (!script.complaint().empty()) {
      return script.complaint();
    }
    disk->power_off();
  }
  if (is_past_end) {
    return {};
  }
  ++points.events;
  std::uint64_t number = 0;
  for (const SimCut& rule : rules_of(disk->interrupted_sectors(), event)) {
    const std::unique_ptr<SimDisk> image = disk->clone();
    image->cut_power(rule);
    ++points.images;
    ++number;
    const std::unique_ptr<SimDisk> kept = number == 1 + event % 6 ? image->clone() : nullptr;
    std::string wrong = check_image(*image, model);
    if (wrong.empty() && kept != nullptr) {
      wrong = cut_in_recovery(*kept, model, every, points);
    }
    if (!wrong.empty()) {
      return "image " + std::to_string(number) + ": " + wrong;
    }
  }
  return {};
}

class CrashPoints : public ::testing::TestWithParam<std::size_t> {};

TEST_P(CrashPoints, NoneLosesWhatWasPromised) {
  SimMemory::in_place();
  const Scenario& scenario = scenarios()[GetParam()];
  const std::uint64_t every = environment_number("PENSTOCK_POINTS_EVERY", 1);
  const Prepared prepared = prepare(scenario);
  Points points;
  bool is_past_end = false;
  for (std::uint64_t event = 1; !is_past_end; ++event) {
    const std::string wrong = check_point(prepared, scenario, event, every, is_past_end, points);
    ASSERT_EQ(wrong, "") << scenario.name << ", cut at event " << event;
  }
  EXPECT_GE(points.events, 2U);
  std::printf("crash points of \"%s\": %llu events, %llu images, %llu cuts within recovery\n", scenario.name,
              static_cast<unsigned long long>(points.events), static_cast<unsigned long long>(points.images),
              static_cast<unsigned long long>(points.in_recovery));
}

INSTANTIATE_TEST_SUITE_P(, CrashPoints, ::testing::Range(std::size_t{0}, scenarios().size()));

}  // namespace
}  // namespace penstock::simtest
