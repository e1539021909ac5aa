#include "tests/sim/sim_plan.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace penstock::simtest {

namespace {

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

/// The pieces between commas.
std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> pieces;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    pieces.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return pieces;
}

constexpr bool is_told(Feature feature) noexcept { return feature >= Feature::kWriteError && feature <= Feature::kFull; }
constexpr bool is_silent(Feature feature) noexcept { return feature >= Feature::kRot; }

}  // namespace

Knobs Knobs::draw(base::Random& random) {
  Knobs knobs;
  const std::uint64_t draw = random.below(16);
  knobs.fault_class = draw < 10 ? FaultClass::kNothingLost : draw < 14 ? FaultClass::kTold : FaultClass::kSilent;
  // A run with everything in it hides bugs: each thing is off in half of them.
  for (std::size_t index = 0; index < kFeatureCount; ++index) {
    const auto feature = static_cast<Feature>(index);
    const bool is_drawn = random.one_in(2);
    const bool is_allowed = (!is_told(feature) || knobs.fault_class == FaultClass::kTold) &&
                            (!is_silent(feature) || knobs.fault_class == FaultClass::kSilent);
    const bool is_basic = feature == Feature::kFlush || feature == Feature::kReads || feature == Feature::kImages;
    knobs.features.set(feature, (is_drawn || is_basic) && is_allowed);
  }
  const bool is_small = !random.one_in(4);
  knobs.shards = 1 + random.below(is_small ? 2 : 4);
  knobs.reactors = 1 + random.below(is_small ? 2 : 3);
  knobs.memory_mib = std::uint64_t{1} << random.below(is_small ? 2 : 4);
  knobs.segment_kib = std::uint64_t{64} << (random.one_in(2) ? 0 : random.below(5));
  knobs.clients = 1 + random.below(3);
  knobs.keys = 4 + random.below(is_small ? 30 : 300);
  knobs.batch_operations = 1 + random.below(is_small ? 6 : 60);
  knobs.value_bytes = 1 + random.below(is_small ? 200 : 2000);
  knobs.flush_one_in = 3 + random.below(60);
  knobs.family_one_in = 10 + random.below(100);
  knobs.read_one_in = 3 + random.below(10);
  knobs.events = 20 + random.below(random.one_in(8) ? 2500 : is_small ? 100 : 400);
  knobs.errors_one_in = 10 + random.below(200);
  return knobs;
}

std::uint64_t* Knobs::find(std::string_view name) noexcept {
  struct Named {
    std::string_view name;
    std::uint64_t Knobs::* knob;
  };
  static constexpr std::array<Named, 13> kNamed{{{"shards", &Knobs::shards},
                                                 {"reactors", &Knobs::reactors},
                                                 {"memory_mib", &Knobs::memory_mib},
                                                 {"segment_kib", &Knobs::segment_kib},
                                                 {"clients", &Knobs::clients},
                                                 {"keys", &Knobs::keys},
                                                 {"batch_operations", &Knobs::batch_operations},
                                                 {"value_bytes", &Knobs::value_bytes},
                                                 {"flush_one_in", &Knobs::flush_one_in},
                                                 {"family_one_in", &Knobs::family_one_in},
                                                 {"read_one_in", &Knobs::read_one_in},
                                                 {"events", &Knobs::events},
                                                 {"errors_one_in", &Knobs::errors_one_in}}};
  const auto* const found = std::ranges::find(kNamed, name, &Named::name);
  return found == kNamed.end() ? nullptr : &(this->*(found->knob));
}

Knobs Plan::knobs() const {
  base::Random random(seed);
  Knobs knobs = Knobs::draw(random);
  for (const Feature feature : without) {
    knobs.features.set(feature, false);
  }
  for (const auto& [name, value] : settings) {
    *knobs.find(name) = value;
  }
  return knobs;
}

std::string Plan::to_string() const {
  std::string text = "--seed " + std::to_string(seed) + " --cycles " + std::to_string(cycles);
  if (until != 0) {
    text += " --until " + std::to_string(until);
  }
  for (const Feature feature : without) {
    text += " --no " + std::string(kFeatureNames[static_cast<std::size_t>(feature)]);
  }
  for (const auto& [name, value] : settings) {
    text += " --set " + name + "=" + std::to_string(value);
  }
  for (std::size_t index = 0; index < left_out.size(); ++index) {
    text += index == 0 ? " --leave-out " : ",";
    text += std::to_string(left_out[index].first) + "-" + std::to_string(left_out[index].second);
  }
  return text;
}

bool Plan::parse(std::string_view option, const std::string& value) {
  const std::optional<std::uint64_t> number = number_of(value);
  if (option == "--seed" || option == "--cycles" || option == "--until") {
    std::uint64_t& target = option == "--seed" ? seed : option == "--cycles" ? cycles : until;
    target = number.value_or(0);
    return number.has_value();
  }
  if (option == "--no") {
    for (const std::string& piece : pieces_of(value)) {
      const auto* const found = std::ranges::find(kFeatureNames, piece);
      if (found == kFeatureNames.end()) {
        return false;
      }
      without.push_back(static_cast<Feature>(found - kFeatureNames.begin()));
    }
    return true;
  }
  if (option == "--set") {
    const std::size_t sign = value.find('=');
    const std::optional<std::uint64_t> to = sign == std::string::npos ? std::nullopt : number_of(value.substr(sign + 1));
    if (!to.has_value() || *to == 0 || Knobs().find(value.substr(0, sign)) == nullptr) {
      return false;
    }
    settings.emplace_back(value.substr(0, sign), *to);
    return true;
  }
  if (option == "--leave-out") {
    for (const std::string& piece : pieces_of(value)) {
      const std::size_t sign = piece.find('-');
      const std::optional<std::uint64_t> first = number_of(piece.substr(0, sign));
      const std::optional<std::uint64_t> last = sign == std::string::npos ? std::nullopt : number_of(piece.substr(sign + 1));
      if (!first.has_value() || !last.has_value()) {
        return false;
      }
      left_out.emplace_back(*first, *last);
    }
    return true;
  }
  return false;
}

}  // namespace penstock::simtest
