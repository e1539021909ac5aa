#include "tools/penstock-bench/job_words.h"

#include <limits>
#include <utility>

namespace penstock::bench {

std::uint32_t parse_u32(const std::string& text, std::uint32_t min) {
  const std::uint64_t value = parse_size(text);
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("the number is too large");
  }
  if (value < min) {
    throw std::invalid_argument(fmt::format("at least {} was expected", min));
  }
  return static_cast<std::uint32_t>(value);
}

std::string parse_text(const std::string& text) {
  if (text.empty()) {
    throw std::invalid_argument("a value was expected");
  }
  return text;
}

// random ... of key_distribution.h, and "latest", which is YCSB's: zipf from the last key back.
KeyDist parse_key_dist(const std::string& text) {
  KeyDist dist{.text = text, .shape = {}, .is_latest = text == "latest" || text.starts_with("latest:")};
  const std::string shape = !dist.is_latest ? text : text == "latest" ? "zipf:0.99" : "zipf" + text.substr(text.find(':'));
  auto parsed = KeyDistribution::parse(shape);
  if (!parsed.has_value()) {
    throw std::invalid_argument(parsed.error() + ", latest, latest:THETA");
  }
  dist.shape = std::move(*parsed);
  return dist;
}

}  // namespace penstock::bench
